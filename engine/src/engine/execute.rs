//! SQL statements carried out: a script takes effect as a whole or not at all.

use super::check::{check_statements, refuse_endless_selects, refuse_letters_that_are_read};
use super::options::EngineBuilder;
use super::prepare::{OpenedInput, Prepared, prepare};
use super::start::{open_writer, resume_writer, start_stream};
use super::{Engine, Shared, State};
use crate::checkpoint::{Checkpoints, Order, ResumePoint};
use crate::consumer::{ResumedChanges, Wants};
use crate::core_loop::Control;
use crate::error::{Error, Result};
use crate::explain;
use crate::metric::Metric;
use crate::producer::ProducerId;
use crate::sink::{self, Sink};
use crate::sink_task::{Commits, SinkEvent, SinkTask};
use crate::stream::{Host, Stream, title_again};
use crate::writer::Writer;
use arrow::array::RecordBatch;
use crossbeam::channel::{Receiver, RecvError, bounded};
use raympp_coordinator::{Fact, Failure};
use raympp_operators::plan::{Emit, MetricPlan, SelectPlan, SinkInput, SinkPlan, StreamPlan};
use raympp_operators::sharing::SharedPlan;
use raympp_operators::sql::{BoundScript, Catalog, Explained, ObjectKind, Statement, bind_script, describe, execute_select};
use raympp_state::checkpoint::SinkCommit;
use raympp_state::checkpoint::shown::Shown;
use raympp_state::crash_point::{CrashPoint, visit};
use raympp_types::{EventTime, KeyGroups, MetricId, Offset, PlanVersion, SinkId, SplitId, StreamId};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a statement answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It took effect; a word on what it did.
    Done(String),
    /// Text: EXPLAIN, DESCRIBE.
    Text(String),
    /// Names: SHOW.
    Names(Vec<String>),
    /// Rows: SELECT.
    Rows {
        /// The rows.
        rows: RecordBatch,
        /// How stale they can be, in microseconds: the time since the partition that was heard of least recently, of those read, had everything
        /// that had been sent to it. 0 once the stream is complete: then nothing is missing.
        age_us: u64,
    },
}

/// Ends when what a statement has begun is done.
type Wait = Receiver<Infallible>;

/// Messages of a consumer's queue that a sink may have waiting.
const SINK_QUEUE: usize = 256;

impl Engine {
    /// Carries out a script. Reading starts after its last statement, so metrics of the script that creates a stream count from its first
    /// row, and go on with what a checkpoint has of them. A stream for writers starts with the first of them, or when somebody asks for one of
    /// its metrics. A metric that is added later counts every row that a writer is given after this returns. A SELECT is answered from what is
    /// visible at that moment.
    ///
    /// # Errors
    /// [`Error::Sql`] with line and column; [`Error::Source`] or [`Error::Sink`] if an input or output is not usable. Then nothing of the
    /// script has taken effect.
    pub fn execute(&self, sql: &str) -> Result<Vec<Answer>> {
        let answers = self.bind_and_run(sql, |_| Ok(()))?.into_iter();
        answers.map(|(answer, select)| select.map_or(Ok(answer), |select| self.shared.select(&select))).collect()
    }

    /// As [`Engine::execute`], but each SELECT is answered later, by [`Deferred::finish`].
    ///
    /// # Errors
    /// As [`Engine::execute`]; [`Error::Sql`] if a SELECT reads a stream that never ends.
    pub fn execute_deferred(&self, sql: &str) -> Result<Deferred> {
        Ok(Deferred { answers: self.bind_and_run(sql, refuse_endless_selects)? })
    }

    /// Binds a script and, if `check` has nothing against it, carries it out; SELECTs are handed back with a place for their answer.
    fn bind_and_run(&self, sql: &str, check: impl Fn(&BoundScript) -> Result<()>) -> Result<Vec<(Answer, Option<SelectPlan>)>> {
        let _one_at_a_time = self.shared.statements.lock();
        let catalog = self.shared.state.lock().catalog.clone();
        let script = bind_script(sql, &catalog)?;
        check_statements(&script)?;
        refuse_letters_that_are_read(&script)?;
        check(&script)?;
        let mut prepared = prepare(&self.shared, &script, &catalog)?;
        let mut answers = Vec::new();
        let mut waits = Vec::new();
        for (position, statement) in script.statements.iter().enumerate() {
            let select = if let Statement::Select(select) = statement { Some(select.as_ref().clone()) } else { None };
            self.shared.apply(position, statement, &mut prepared, &mut waits)?;
            let answer = self.shared.answer(statement, &script);
            if let Answer::Done(done) = &answer
                && select.is_none()
            {
                tracing::info!("{done}");
            }
            answers.push((answer, select));
        }
        self.shared.state.lock().catalog = script.catalog.clone();
        self.shared.start_streams()?;
        // Each is let go of when its plan is in force.
        for wait in waits {
            let Err(RecvError) = wait.recv();
        }
        Ok(answers)
    }

    /// How each metric of a script compiles, without running anything.
    ///
    /// # Errors
    /// [`Error::Sql`] with line and column.
    pub fn explain_script(sql: &str) -> Result<String> {
        let script = bind_script(sql, &Catalog::default())?;
        let options = EngineBuilder::default().options()?;
        let partitions = options.partitions.unwrap_or(options.threads as u32);
        let key_groups = KeyGroups::new(options.key_groups, partitions).expect("checked with the options");
        let created = script.statements.iter().filter_map(|statement| match statement {
            Statement::CreateMetric { plan, .. } => script.catalog.metrics.get(&plan.name),
            _ => None,
        });
        let metrics: Vec<(MetricId, Arc<MetricPlan>)> = (0..).map(MetricId).zip(created.cloned()).collect();
        let mut texts = Vec::new();
        for (id, metric) in &metrics {
            let stream = Stream::new(StreamId(0), Arc::clone(&script.catalog.streams[&metric.stream]), key_groups, Host::default());
            let of_stream: Vec<_> = metrics.iter().filter(|(_, other)| other.stream == metric.stream).cloned().collect();
            stream.set_plan(Arc::new(SharedPlan::of(PlanVersion(1), &of_stream)));
            texts.push(explain::metric(&stream, &stream.metric(*id).expect("just placed")));
        }
        Ok(texts.join("\n"))
    }

    /// Answers one SELECT. How stale the answer can be is told by [`Engine::execute`].
    ///
    /// # Errors
    /// As [`Engine::execute`]; [`Error::Refused`] if the text is not one SELECT.
    pub fn query(&self, sql: &str) -> Result<RecordBatch> {
        match self.execute(sql)?.pop() {
            Some(Answer::Rows { rows, .. }) => Ok(rows),
            _ => Err(Error::Refused("query takes one SELECT; use execute for other statements".into())),
        }
    }

    /// Opens a writer on a stream without a connector. Each writer is a split of its own; once this returns, the stream waits for it.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such stream, [`Error::Refused`] if it has a connector or is complete, what made the job fail if it
    /// did.
    pub fn writer(&self, stream: &str) -> Result<Writer> {
        let _one_at_a_time = self.shared.statements.lock();
        let found = self.pushed_stream(stream)?;
        if found.started.load(Ordering::Acquire) && found.is_complete() {
            return Err(Error::Refused(format!("stream {stream} is complete: all its writers have finished, so its windows are closed")));
        }
        open_writer(&self.shared, &found)
    }

    /// Opens the next session of a producer that an earlier writer was: of this run, or with a state directory of an earlier one that a checkpoint
    /// has. Sessions are numbered upwards by the producer, which may leave numbers out; the older ones are fenced. The producer goes on with row
    /// [`Writer::resumes_at`], or, if it has that no more, says so with [`Writer::skip_to`].
    ///
    /// # Errors
    /// As [`Engine::writer`]; [`Error::Refused`] if the producer is not known or has finished, [`Error::Fenced`] if the session is not newer than the
    /// newest.
    pub fn resume_writer(&self, stream: &str, producer: ProducerId, session: u64) -> Result<Writer> {
        let _one_at_a_time = self.shared.statements.lock();
        let found = self.pushed_stream(stream)?;
        if found.resume.is_some() {
            start_stream(&self.shared, &found)?;
        }
        resume_writer(&self.shared, &found, producer, session)
    }

    /// A stream that is fed by writers.
    fn pushed_stream(&self, stream: &str) -> Result<Arc<Stream>> {
        let missing = || Error::Unknown(self.shared.state.lock().catalog.no_such(ObjectKind::Stream, stream));
        let found = self.shared.stream(stream).ok_or_else(missing)?;
        if let Some(connector) = &found.plan.connector {
            return Err(Error::Refused(format!(
                "stream {stream} is read from connector '{connector}'; only a stream without one takes writers"
            )));
        }
        Ok(found)
    }

    /// A handle on a metric, for look-ups and subscriptions.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such metric.
    pub fn metric(&self, name: &str) -> Result<Metric> {
        self.shared.readable_metric(name)
    }

    /// How a metric compiles: filters, keys, slices and what is shared, accumulators and their bytes, partitions.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such metric.
    pub fn explain(&self, name: &str) -> Result<String> {
        let metric = self.shared.metric(name)?;
        Ok(explain::metric(&metric.stream, &metric.shared))
    }
}

impl Shared {
    /// Carries out one statement; `waits` gets what has to happen before its script is done.
    fn apply(self: &Arc<Self>, position: usize, statement: &Statement, prepared: &mut Prepared, waits: &mut Vec<Wait>) -> Result<()> {
        match statement {
            Statement::CreateStream { plan } => self.create_stream(plan, prepared.inputs.remove(&position))?,
            Statement::CreateMetric { plan, .. } => waits.extend(self.create_metric(plan, prepared.inputs.remove(&position))?),
            Statement::CreateSink { plan } => {
                if let Some(output) = prepared.outputs.remove(&position) {
                    self.create_sink(plan, output)?;
                }
            }
            Statement::Drop { kind, name } => waits.extend(self.drop_object(*kind, name)),
            _ => {}
        }
        Ok(())
    }

    /// A metric that can be read: its stream goes on from the checkpoint, if it has one.
    fn readable_metric(self: &Arc<Self>, name: &str) -> Result<Metric> {
        let metric = self.metric(name)?;
        if metric.stream.resume.is_some() && !metric.stream.started.load(Ordering::Acquire) {
            let _one_at_a_time = self.statements.lock();
            start_stream(self, &metric.stream)?;
        }
        Ok(metric)
    }

    fn metric(&self, name: &str) -> Result<Metric> {
        let (id, stream) = self.state.lock().metric(name)?;
        Metric::open(stream, id).ok_or_else(|| Error::Unknown(format!("metric {name} has just been dropped")))
    }

    fn create_stream(&self, plan: &Arc<StreamPlan>, input: Option<OpenedInput>) -> Result<()> {
        let resume = self.resume_point(plan)?;
        let key_groups = self.key_groups(resume.as_ref())?;
        let mut state = self.state.lock();
        let id = resume.as_ref().map_or(state.next_stream, |resume| resume.stream.id);
        state.next_stream = state.next_stream.max(id.next());
        let persister = self.checkpoints.as_ref().map(Checkpoints::orders);
        let host = Host {
            clock: self.options.clock.clone(),
            replicas: self.options.replicas,
            plant: self.options.plant.clone(),
            cores: self.cores.clone(),
            persister,
        };
        let mut stream = Stream::new(id, Arc::clone(plan), key_groups, host);
        stream.resume = resume;
        *stream.input.lock() = input;
        state.streams.insert(plan.name.clone(), Arc::new(stream));
        Ok(())
    }

    /// Key groups and partitions of a stream. One that goes on keeps its key groups, and its partitions unless others are asked for.
    fn key_groups(&self, resume: Option<&ResumePoint>) -> Result<KeyGroups> {
        let asked = self.options.partitions;
        let (groups, partitions) = match resume {
            None => (self.options.key_groups, asked.unwrap_or(self.options.threads as u32)),
            Some(ResumePoint { stream, .. }) => (stream.key_groups, asked.unwrap_or(stream.partitions)),
        };
        KeyGroups::new(groups, partitions).ok_or_else(|| {
            let name = resume.map_or("", |resume| &resume.stream.name);
            Error::Refused(format!(
                "stream {name}: it has {groups} key groups for as long as it lives, so it can't have {partitions} partitions; ask for at most {groups}"
            ))
        })
    }

    /// What the state directory has of a stream.
    pub(super) fn resume_point(&self, plan: &StreamPlan) -> Result<Option<ResumePoint>> {
        self.resume_titled(&plan.name, plan)
    }

    /// What the state directory has of a stream that reads again for a metric.
    pub(super) fn resume_point_again(&self, plan: &StreamPlan, metric: &str) -> Result<Option<ResumePoint>> {
        self.resume_titled(&title_again(&plan.name, metric), plan)
    }

    fn resume_titled(&self, title: &str, plan: &StreamPlan) -> Result<Option<ResumePoint>> {
        let from = self.checkpoints.as_ref().and_then(|checkpoints| checkpoints.from.as_deref());
        let resumed = from.map_or(Ok(None), |commit| ResumePoint::of(commit, title, plan, &self.options.reset_metrics))?;
        let now_us = self.options.clock.now_us() as i64;
        Ok(resumed.map(|resumed| resumed.without_forgotten_producers(now_us)))
    }

    fn create_metric(&self, plan: &Arc<MetricPlan>, again: Option<OpenedInput>) -> Result<Option<Wait>> {
        let stream = Arc::clone(&self.state.lock().streams[&plan.stream]);
        let resume_again = if again.is_some() { self.resume_point_again(&stream.plan, &plan.name)? } else { None };
        let resume_again = resume_again.filter(|resume| resume.metric_id(plan).is_some());
        let resume = resume_again.as_ref().or(stream.resume.as_ref());
        let mut state = self.state.lock();
        let id = resume.and_then(|resume| resume.metric_id(plan)).unwrap_or(state.next_metric);
        state.next_metric = state.next_metric.max(id.next());
        state.metric_ids.insert(plan.name.clone(), id);
        drop(state);
        if let Some(input) = again {
            self.backfill(&stream, (input, resume_again), id, plan)?;
            return Ok(None);
        }
        let next = stream.plan_with(id, plan);
        if stream.started.load(Ordering::Acquire) {
            return Ok(self.change_plan(&stream, next));
        }
        stream.set_plan(Arc::new(next));
        Ok(None)
    }

    /// Reads a stream's splits again for a metric that is to count all rows, or goes on doing so; see [`Stream::again`].
    fn backfill(
        &self,
        stream: &Stream,
        (input, resume): (OpenedInput, Option<ResumePoint>),
        id: MetricId,
        plan: &Arc<MetricPlan>,
    ) -> Result<()> {
        let key_groups = resume.as_ref().map_or(Ok(stream.key_groups), |resume| self.key_groups(Some(resume)))?;
        let mut state = self.state.lock();
        let stream_id = resume.as_ref().map_or(state.next_stream, |resume| resume.stream.id);
        state.next_stream = state.next_stream.max(stream_id.next());
        if resume.is_none() {
            self.let_go_of_again(&title_again(&stream.plan.name, &plan.name));
        }
        let again = Stream::again((stream_id, key_groups), stream, (input, resume), id, plan);
        state.again.insert(id, Arc::new(again));
        Ok(())
    }

    /// Lets go of a stream of the state directory that read again for a metric which starts anew.
    fn let_go_of_again(&self, title: &str) {
        let Some(checkpoints) = &self.checkpoints else { return };
        let before = checkpoints.from.iter().flat_map(|from| &from.streams).find(|stream| stream.name == title);
        before.into_iter().for_each(|before| checkpoints.tell(Order::DropStream(before.id)));
    }

    /// Brings a plan into force by the next barrier, which is due at once.
    fn change_plan(&self, stream: &Arc<Stream>, plan: SharedPlan) -> Option<Wait> {
        let version = plan.version;
        let plan = Arc::new(plan);
        stream.set_plan(Arc::clone(&plan));
        self.checkpoints.iter().for_each(|checkpoints| checkpoints.tell(Order::AddPlan(stream.id, Arc::clone(&plan))));
        if !stream.started.load(Ordering::Acquire) {
            return None;
        }
        let (waiter, wait) = bounded(1);
        self.state.lock().plan_waiters.push((stream.id, version, waiter));
        if self.failure().is_some() {
            return None;
        }
        self.tell_coordinator(Fact::PlanChanges(stream.id, version));
        Some(wait)
    }

    fn create_sink(self: &Arc<Self>, plan: &Arc<SinkPlan>, output: Box<dyn Sink>) -> Result<()> {
        let state = self.state.lock();
        let (stream, wants) = match &plan.input {
            SinkInput::Metric(name) => {
                let (id, stream) = state.metric(name)?;
                let wants = match plan.emit {
                    Emit::OnWindowClose if sink::is_sorted(plan) => Wants::ClosedInOrder(id),
                    Emit::OnWindowClose => Wants::Closed(id),
                    Emit::OnUpdate { every_us } => Wants::Changes(id, every_us),
                };
                (stream, wants)
            }
            SinkInput::LateRows(name) => {
                let stream = Arc::clone(&state.streams[name]);
                stream.keeps_late_rows.store(true, Ordering::Release);
                (stream, Wants::Late)
            }
        };
        drop(state);
        let resumed = self.resumed_changes(plan, &stream, wants)?;
        let shown = matches!(wants, Wants::Changes(..)).then(|| resumed.iter().flat_map(ResumedChanges::all_shown).collect());
        let (id, commits) = self.add_sink_to_commits(plan, &stream, shown);
        let consumer = stream.consume(wants, true, SINK_QUEUE, resumed);
        let shared = Arc::clone(self);
        let name = plan.name.clone();
        let tell = move |event| match event {
            SinkEvent::Prepared(epoch, handle, turned) => {
                visit(CrashPoint::PreparedUntold);
                if let Some(checkpoints) = &shared.checkpoints {
                    checkpoints.tell(Order::Prepared(id, epoch, handle.as_bytes().to_vec(), turned));
                }
                shared.tell_coordinator(Fact::Prepared(id, epoch));
                visit(CrashPoint::PreparedTold);
            }
            SinkEvent::Failed(epoch, error) => {
                tracing::error!(sink = name, %epoch, %error, "the rows of an epoch could not be made durable; they come with the next one");
                shared.tell_coordinator(Fact::Failed(epoch, Failure::Sink));
            }
            SinkEvent::Ended(Ok(())) => shared.note_progress(),
            SinkEvent::Ended(Err(error)) => shared.fail(error),
        };
        let sink = SinkTask::start(plan, Arc::clone(&stream), consumer, output, commits, tell)?;
        self.state.lock().sinks.insert(plan.name.clone(), (id, sink));
        if commits != Commits::AtRoll {
            self.tell_coordinator(Fact::SinkAdded(id, stream.id));
        }
        Ok(())
    }

    /// What a sink of changes goes on from; nothing if it or its metric begins now.
    fn resumed_changes(&self, plan: &SinkPlan, stream: &Stream, wants: Wants) -> Result<Option<ResumedChanges>> {
        let (Wants::Changes(metric, _), Some(checkpoints), Some(resume)) = (wants, &self.checkpoints, &stream.resume) else {
            return Ok(None);
        };
        let Some(before) = self.sink_commit(&plan.name).filter(|_| !stream.started.load(Ordering::Acquire)) else { return Ok(None) };
        if stream.metric(metric).is_none_or(|metric| resume.metric_id(&metric.plan).is_none()) {
            return Ok(None);
        }
        let shown = checkpoints.load_shown(&resume.stream, &plan.name)?;
        Ok(Some(ResumedChanges::new(shown, stream.key_groups, before.ahead.clone())))
    }

    /// Names a sink to those who commit, if anybody does; with what it shows, if it is one of changes.
    fn add_sink_to_commits(&self, plan: &SinkPlan, stream: &Stream, shown: Option<Shown>) -> (SinkId, Commits) {
        let mut state = self.state.lock();
        let id = state.next_sink;
        state.next_sink = id.next();
        drop(state);
        let Some(checkpoints) = &self.checkpoints else { return (id, Commits::AtRoll) };
        let before = self.sink_commit(&plan.name);
        let (handle, ahead) = before.map(|commit| (commit.handle.clone(), commit.ahead.clone())).unwrap_or_default();
        let has = ahead.as_ref().map_or(EventTime::MIN, |ahead| ahead.frontier);
        let taken = stream.resume.as_ref().map(|resume| (resume.epoch, resume.frontier().max(has)));
        let commit = SinkCommit { name: plan.name.clone(), definition: describe::sink(plan), stream: stream.id, handle, ahead };
        checkpoints.tell(Order::AddSink(id, Box::new(commit), shown));
        (id, Commits::ByEpoch(taken))
    }

    /// What the state directory has of a sink.
    pub(super) fn sink_commit(&self, name: &str) -> Option<&SinkCommit> {
        self.checkpoints.as_ref()?.from.as_ref()?.sinks.iter().find(|sink| sink.name == name)
    }

    /// Sinks have the late rows of a split up to here.
    pub(super) fn late_rows_from(&self, stream: StreamId, split: SplitId) -> Offset {
        let from = self.checkpoints.as_ref().and_then(|checkpoints| checkpoints.from.as_ref());
        let ahead = from.iter().flat_map(|from| &from.sinks).filter(|sink| sink.stream == stream).filter_map(|sink| sink.ahead.as_ref());
        let of_split = ahead.flat_map(|ahead| &ahead.offsets).filter(|(other, _)| *other == split);
        of_split.map(|(_, offset)| *offset).max().unwrap_or_default()
    }

    fn drop_object(&self, kind: ObjectKind, name: &str) -> Option<Wait> {
        match kind {
            ObjectKind::Stream => {
                let mut state = self.state.lock();
                if let Some(stream) = state.streams.remove(name) {
                    self.end_stream(&mut state, &stream);
                }
                None
            }
            ObjectKind::Metric => self.drop_metric(name),
            ObjectKind::Sink => {
                let sink = self.state.lock().sinks.remove(name);
                if let Some((id, sink)) = sink {
                    sink.end();
                    self.tell_coordinator(Fact::SinkDropped(id));
                    self.checkpoints.iter().for_each(|checkpoints| checkpoints.tell(Order::DropSink(id)));
                }
                None
            }
        }
    }

    /// Whoever still uses the stream is told that it is gone.
    fn end_stream(&self, state: &mut State, stream: &Stream) {
        state.starting.remove(&stream.id);
        self.cores.iter().for_each(|core| core.tell(Control::Drop(stream.id)));
        self.tell_coordinator(Fact::StreamDropped(stream.id));
        self.checkpoints.iter().for_each(|checkpoints| checkpoints.tell(Order::DropStream(stream.id)));
        state.plan_waiters.retain(|(id, ..)| *id != stream.id);
        state.writers.retain(|(id, writer)| {
            if *id == stream.id {
                writer.close(Error::Unknown(format!("stream {} has been dropped", stream.name())));
            }
            *id != stream.id
        });
        stream.let_go();
    }

    /// Subscriptions to the metric end.
    fn drop_metric(&self, name: &str) -> Option<Wait> {
        let mut state = self.state.lock();
        let (id, stream) = state.metric(name).ok()?;
        state.metric_ids.remove(name);
        if let Some(again) = state.again.remove(&id) {
            self.end_stream(&mut state, &again);
            return None;
        }
        drop(state);
        let wait = self.change_plan(&stream, stream.shared.load().without(id));
        stream.consumers.all().iter().filter(|consumer| consumer.wants.metric() == Some(id)).for_each(|consumer| consumer.queue.finish());
        wait
    }

    /// Starts every stream that has a connector and is not running. One for writers that goes on from a checkpoint starts when all that the
    /// checkpoint has of it is defined again, so that statements may come one by one, or when somebody needs it.
    fn start_streams(self: &Arc<Self>) -> Result<()> {
        let streams: Vec<Arc<Stream>> = self.state.lock().all_streams().cloned().collect();
        let is_due = |stream: &Stream| match &stream.resume {
            Some(resume) if stream.plan.connector.is_none() => self.undefined(resume).is_empty(),
            resume => resume.is_some() || stream.plan.connector.is_some(),
        };
        streams.iter().filter(|stream| is_due(stream)).try_for_each(|stream| start_stream(self, stream))
    }

    /// Metrics and sinks that the checkpoint has of a stream and no statement has defined.
    pub(super) fn undefined(&self, resume: &ResumePoint) -> Vec<String> {
        let state = self.state.lock();
        let metrics = resume.stream.metrics.iter().map(|metric| &metric.name).filter(|name| !state.metric_ids.contains_key(*name));
        let from = self.checkpoints.iter().filter_map(|checkpoints| checkpoints.from.as_ref()).flat_map(|from| &from.sinks);
        let sinks = from.filter(|sink| sink.stream == resume.stream.id).map(|sink| &sink.name);
        let sinks = sinks.filter(|name| !state.sinks.contains_key(*name));
        metrics.map(|name| format!("metric {name}")).chain(sinks.map(|name| format!("sink {name}"))).collect()
    }

    fn answer(&self, statement: &Statement, script: &BoundScript) -> Answer {
        match statement {
            Statement::CreateStream { plan } => Answer::Done(format!("CREATE STREAM {}", plan.name)),
            Statement::CreateMetric { plan, .. } => Answer::Done(format!("CREATE METRIC {}", plan.name)),
            Statement::CreateSink { plan } => Answer::Done(format!("CREATE SINK {}", plan.name)),
            Statement::Drop { kind, name } => Answer::Done(format!("DROP {} {name}", kind.noun().to_uppercase())),
            Statement::Show(kind) => Answer::Names(script.catalog.names(*kind).into_iter().map(str::to_owned).collect()),
            Statement::Describe { kind, name } => Answer::Text(describe_object(script, *kind, name)),
            Statement::DescribeLateRows { stream } => Answer::Text(describe::late_rows(stream)),
            Statement::Explain(Explained::Metric { plan, .. }) => Answer::Text(self.explain(plan)),
            Statement::Explain(Explained::Select(select)) => Answer::Text(describe::select(select)),
            Statement::NoOp { notice } => Answer::Done(notice.clone()),
            Statement::Select(_) => Answer::Done(String::new()),
        }
    }

    /// A metric as it is, or as it would be.
    fn explain(&self, plan: &Arc<MetricPlan>) -> String {
        let state = self.state.lock();
        let found = state.metric(&plan.name).ok().and_then(|(id, stream)| Some((stream.metric(id)?, stream)));
        match found.filter(|(metric, _)| metric.plan == *plan) {
            Some((metric, stream)) => explain::metric(&stream, &metric),
            None => explain::planned(&state.streams[&plan.stream], state.next_metric, plan),
        }
    }

    fn select(self: &Arc<Self>, select: &SelectPlan) -> Result<Answer> {
        let (batches, age_us) = self.readable_metric(&select.metric)?.readable(select.point.as_deref());
        let rows =
            execute_select(select, &batches).map_err(|error| Error::Refused(format!("SELECT from metric {}: {error}", select.metric)))?;
        Ok(Answer::Rows { rows, age_us })
    }
}

/// The SELECTs of a script that has been carried out otherwise.
pub struct Deferred {
    /// In order of the script.
    answers: Vec<(Answer, Option<SelectPlan>)>,
}

impl Deferred {
    /// Answers of all statements that have one, in order of the script; those of SELECTs from what is visible now.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub fn finish(self, engine: &Engine) -> Result<Vec<Answer>> {
        let mut answers = Vec::new();
        for (answer, select) in self.answers {
            match (answer, select) {
                (_, Some(select)) => answers.push(engine.shared.select(&select)?),
                (Answer::Done(_), None) => {}
                (answer, None) => answers.push(answer),
            }
        }
        Ok(answers)
    }
}

fn describe_object(script: &BoundScript, kind: ObjectKind, name: &str) -> String {
    let catalog = &script.catalog;
    match kind {
        ObjectKind::Stream => describe::stream(&catalog.streams[name]),
        ObjectKind::Metric => describe::metric(&catalog.metrics[name], &catalog.streams[&catalog.metrics[name].stream]),
        ObjectKind::Sink => describe::sink(&catalog.sinks[name]),
    }
}
