//! SQL statements carried out: a script takes effect as a whole or not at all.

use super::options::EngineBuilder;
use super::start::{open_writer, start_stream};
use super::{Engine, Shared};
use crate::consumer::Wants;
use crate::core_loop::Control;
use crate::error::{Error, Result};
use crate::explain;
use crate::metric::Metric;
use crate::sink_task::SinkTask;
use crate::stream::{Host, Stream};
use crate::writer::Writer;
use arrow::array::RecordBatch;
use raympp_coordinator::Fact;
use raympp_operators::plan::{Emit, MetricPlan, SelectPlan, SinkInput, SinkPlan, StreamPlan};
use raympp_operators::sharing::SharedPlan;
use raympp_operators::sql::{BoundScript, Catalog, Explained, ObjectKind, Statement, bind_script, describe, execute_select};
use raympp_types::{DataType, Field, KeyGroups, MetricId, PlanVersion, StreamId};
use std::collections::BTreeSet;
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
    Rows(RecordBatch),
}

/// Messages of a consumer's queue that a sink may have waiting.
const SINK_QUEUE: usize = 256;

impl Engine {
    /// Carries out a script. Reading starts after its last statement, so metrics of the script that creates a stream count from its first
    /// row. A SELECT is answered from what is visible at that moment.
    ///
    /// # Errors
    /// [`Error::Sql`] with line and column; [`Error::Source`] or [`Error::Sink`] if an input or output is not usable.
    pub fn execute(&self, sql: &str) -> Result<Vec<Answer>> {
        let catalog = self.shared.state.lock().catalog.clone();
        let script = bind_script(sql, &catalog)?;
        let answers = self.run(&script)?.into_iter();
        answers.map(|(answer, select)| select.map_or(Ok(answer), |select| self.shared.select(&select).map(Answer::Rows))).collect()
    }

    /// As [`Engine::execute`], but each SELECT is answered later, by [`Deferred::finish`].
    ///
    /// # Errors
    /// As [`Engine::execute`]; [`Error::Refused`] if there is a SELECT and an input that never ends.
    pub fn execute_deferred(&self, sql: &str) -> Result<Deferred> {
        let catalog = self.shared.state.lock().catalog.clone();
        let script = bind_script(sql, &catalog)?;
        let selects = script.statements.iter().filter_map(|statement| match statement {
            Statement::Select(select) => Some(select.as_ref().clone()),
            _ => None,
        });
        let selects: Vec<SelectPlan> = selects.collect();
        for select in &selects {
            refuse_endless(&script, select)?;
        }
        let answers = self.run(&script)?.into_iter().map(|(answer, _)| answer).collect();
        Ok(Deferred { answers, selects })
    }

    /// Carries out a bound script; SELECTs are handed back with a place for their answer.
    fn run(&self, script: &BoundScript) -> Result<Vec<(Answer, Option<SelectPlan>)>> {
        self.shared.check_backfills(script)?;
        let mut answers = Vec::new();
        for statement in &script.statements {
            let select = match statement {
                Statement::Select(select) => Some(select.as_ref().clone()),
                other => {
                    self.shared.apply(other)?;
                    None
                }
            };
            answers.push((self.shared.answer(statement, script), select));
        }
        self.shared.state.lock().catalog = script.catalog.clone();
        self.shared.start_streams()?;
        Ok(answers)
    }

    /// Reports the first error of a script, without running anything.
    ///
    /// # Errors
    /// [`Error::Sql`] with line and column.
    pub fn check(sql: &str) -> Result<()> {
        bind_script(sql, &Catalog::default())?;
        Ok(())
    }

    /// How each metric of a script compiles, without running anything.
    ///
    /// # Errors
    /// [`Error::Sql`] with line and column.
    pub fn explain_script(sql: &str) -> Result<String> {
        let script = bind_script(sql, &Catalog::default())?;
        let options = EngineBuilder::default().options()?;
        let key_groups = KeyGroups::new(options.key_groups, options.partitions).expect("checked with the options");
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

    /// Answers one SELECT.
    ///
    /// # Errors
    /// As [`Engine::execute`]; [`Error::Refused`] if the text is not one SELECT.
    pub fn query(&self, sql: &str) -> Result<RecordBatch> {
        match self.execute(sql)?.pop() {
            Some(Answer::Rows(rows)) => Ok(rows),
            _ => Err(Error::Refused("query takes one SELECT; use execute for other statements".into())),
        }
    }

    /// Opens a writer on a stream without a connector. Each writer is a split of its own.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such stream, [`Error::Refused`] if it has a connector or is complete.
    pub fn writer(&self, stream: &str) -> Result<Writer> {
        let found = self.shared.stream(stream).ok_or_else(|| Error::Unknown(format!("there is no stream {stream}")))?;
        if self.shared.state.lock().shut_down {
            return Err(Error::ShutDown);
        }
        if let Some(connector) = &found.plan.load().connector {
            return Err(Error::Refused(format!(
                "stream {stream} is read from connector '{connector}'; only a stream without one takes writers"
            )));
        }
        if found.started.load(Ordering::Acquire) && found.is_complete() {
            return Err(Error::Refused(format!("stream {stream} is complete: all its writers have finished, so its windows are closed")));
        }
        open_writer(&self.shared, &found)
    }

    /// A handle on a metric, for look-ups and subscriptions.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such metric.
    pub fn metric(&self, name: &str) -> Result<Metric> {
        let state = self.shared.state.lock();
        let (id, stream) = state.metric(name)?;
        Metric::open(stream, id).ok_or_else(|| Error::Unknown(format!("there is no metric {name}")))
    }

    /// How a metric compiles: filters, keys, slices and what is shared, accumulators and their bytes, partitions.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such metric.
    pub fn explain(&self, name: &str) -> Result<String> {
        let metric = self.metric(name)?;
        Ok(explain::metric(&metric.stream, &metric.shared))
    }
}

impl Shared {
    fn apply(self: &Arc<Self>, statement: &Statement) -> Result<()> {
        match statement {
            Statement::CreateStream { plan } => self.create_stream(plan),
            Statement::CreateMetric { plan, stream } => self.create_metric(plan, stream)?,
            Statement::CreateSink { plan } => self.create_sink(plan)?,
            Statement::Drop { kind, name } => self.drop_object(*kind, name),
            _ => {}
        }
        Ok(())
    }

    fn create_stream(&self, plan: &Arc<StreamPlan>) {
        let mut state = self.state.lock();
        let id = state.next_stream;
        state.next_stream = id.next();
        let key_groups = KeyGroups::new(self.options.key_groups, self.options.partitions).expect("checked when the engine was built");
        let host = Host { clock: self.options.clock.clone(), cores: self.cores.clone() };
        state.streams.insert(plan.name.clone(), Arc::new(Stream::new(id, Arc::clone(plan), key_groups, host)));
    }

    fn create_metric(&self, plan: &Arc<MetricPlan>, stream_plan: &Arc<StreamPlan>) -> Result<()> {
        let mut state = self.state.lock();
        let id = state.next_metric;
        state.next_metric = id.next();
        state.metric_ids.insert(plan.name.clone(), id);
        let stream = Arc::clone(&state.streams[&plan.stream]);
        drop(state);
        stream.plan.store(Arc::clone(stream_plan));
        if stream.started.load(Ordering::Acquire) && plan.backfill {
            self.backfill(&stream, id, plan)?;
        } else if stream.started.load(Ordering::Acquire) {
            self.change_plan(&stream, stream.shared.load().with(id, plan));
        } else {
            let mut metrics: Vec<(MetricId, Arc<MetricPlan>)> =
                stream.shared.load().metrics.iter().map(|metric| (metric.id, Arc::clone(&metric.plan))).collect();
            metrics.push((id, Arc::clone(plan)));
            stream.set_plan(Arc::new(SharedPlan::of(PlanVersion(1), &metrics)));
        }
        Ok(())
    }

    /// Reads a running stream's splits again for a metric that is to count all rows; see [`Stream::again`].
    fn backfill(&self, stream: &Stream, id: MetricId, plan: &Arc<MetricPlan>) -> Result<()> {
        let mut state = self.state.lock();
        let again = Stream::again(state.next_stream, stream, id, plan).ok_or_else(|| no_backfill(plan))?;
        state.next_stream = again.id.next();
        state.again.insert(id, Arc::new(again));
        Ok(())
    }

    /// Refuses metrics that want rows which nobody has any more.
    fn check_backfills(&self, script: &BoundScript) -> Result<()> {
        let state = self.state.lock();
        let mut new: BTreeSet<&str> = BTreeSet::new();
        for statement in &script.statements {
            match statement {
                Statement::CreateStream { plan } => {
                    new.insert(&plan.name);
                }
                Statement::CreateMetric { plan, .. } if plan.backfill && !new.contains(plan.stream.as_str()) => {
                    let forgets = |stream: &Arc<Stream>| stream.started.load(Ordering::Acquire) && stream.source.get().is_none();
                    if state.streams.get(&plan.stream).is_some_and(forgets) {
                        return Err(no_backfill(plan));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Brings a plan into force: by the next barrier, or at once where no split can carry one.
    fn change_plan(&self, stream: &Arc<Stream>, plan: SharedPlan) {
        let plan = Arc::new(plan);
        stream.set_plan(Arc::clone(&plan));
        let flows = stream.splits.lock().values().any(|split| !split.ended.load(Ordering::Relaxed));
        if !flows {
            self.cores.iter().for_each(|core| core.tell(Control::Adopt(stream.id, Arc::clone(&plan))));
        }
        self.tell_coordinator(Fact::PlanChanges(stream.id, plan.version));
    }

    fn create_sink(self: &Arc<Self>, plan: &Arc<SinkPlan>) -> Result<()> {
        let state = self.state.lock();
        let (stream, wants, schema) = match &plan.input {
            SinkInput::Metric(name) => {
                let (id, stream) = state.metric(name)?;
                let metric = stream.metric(id).expect("a metric is in its stream's plan").plan.clone();
                let mut schema = metric.output_schema();
                let wants = match plan.emit {
                    Emit::OnWindowClose => Wants::Closed(id),
                    Emit::OnUpdate { every_us } => {
                        schema.fields.insert(0, Field::new("op", DataType::Varchar));
                        Wants::Changes(id, every_us)
                    }
                };
                (stream, wants, schema)
            }
            SinkInput::LateRows(name) => {
                let stream = Arc::clone(&state.streams[name]);
                stream.keeps_late_rows.store(true, Ordering::Release);
                let schema = stream.plan.load().schema.clone();
                (stream, Wants::Late, schema)
            }
        };
        drop(state);
        let consumer = stream.consume(wants, SINK_QUEUE);
        let shared = Arc::clone(self);
        let sink = SinkTask::start(plan, stream, consumer, schema, move |result| match result {
            Ok(()) => shared.note_progress(),
            Err(error) => shared.fail(error),
        })?;
        self.state.lock().sinks.insert(plan.name.clone(), sink);
        Ok(())
    }

    fn drop_object(&self, kind: ObjectKind, name: &str) {
        let mut state = self.state.lock();
        match kind {
            ObjectKind::Stream => {
                if let Some(stream) = state.streams.remove(name) {
                    self.drop_stream(&stream);
                }
            }
            ObjectKind::Metric => {
                if let Ok((id, stream)) = state.metric(name) {
                    state.metric_ids.remove(name);
                    if let Some(again) = state.again.remove(&id) {
                        return self.drop_stream(&again);
                    }
                    drop(state);
                    self.change_plan(&stream, stream.shared.load().without(id));
                }
            }
            ObjectKind::Sink => {
                if let Some(sink) = state.sinks.remove(name) {
                    drop(state);
                    sink.end();
                }
            }
        }
    }

    fn drop_stream(&self, stream: &Stream) {
        self.cores.iter().for_each(|core| core.tell(Control::Drop(stream.id)));
        self.tell_coordinator(Fact::StreamDropped(stream.id));
    }

    /// Starts every stream that has a connector and is not running.
    fn start_streams(self: &Arc<Self>) -> Result<()> {
        let streams: Vec<Arc<Stream>> = self.state.lock().all_streams().cloned().collect();
        for stream in streams.iter().filter(|stream| stream.plan.load().connector.is_some()) {
            start_stream(self, stream)?;
        }
        Ok(())
    }

    fn answer(&self, statement: &Statement, script: &BoundScript) -> Answer {
        match statement {
            Statement::CreateStream { plan } => Answer::Done(format!("CREATE STREAM {}", plan.name)),
            Statement::CreateMetric { plan, .. } => Answer::Done(format!("CREATE METRIC {}", plan.name)),
            Statement::CreateSink { plan } => Answer::Done(format!("CREATE SINK {}", plan.name)),
            Statement::Drop { kind, name } => Answer::Done(format!("DROP {} {name}", kind.noun().to_uppercase())),
            Statement::Show(kind) => Answer::Names(script.catalog.names(*kind).into_iter().map(str::to_owned).collect()),
            Statement::Describe { kind, name } => Answer::Text(describe_object(script, *kind, name)),
            Statement::Explain(Explained::Metric { plan, stream }) => Answer::Text(self.explain(plan, stream)),
            Statement::Explain(Explained::Select(select)) => Answer::Text(describe::select(select)),
            Statement::NoOp { notice } => Answer::Done(notice.clone()),
            Statement::Select(_) => Answer::Done(String::new()),
        }
    }

    fn explain(&self, plan: &Arc<MetricPlan>, stream_plan: &Arc<StreamPlan>) -> String {
        let state = self.state.lock();
        if let Ok((id, stream)) = state.metric(&plan.name)
            && let Some(metric) = stream.metric(id)
        {
            return explain::metric(&stream, &metric);
        }
        describe::metric(plan, stream_plan)
    }

    fn select(&self, select: &SelectPlan) -> Result<RecordBatch> {
        let state = self.state.lock();
        let (id, stream) = state.metric(&select.metric)?;
        drop(state);
        let unknown = || Error::Unknown(format!("there is no metric {}", select.metric));
        let metric = Metric::open(stream, id).ok_or_else(unknown)?;
        let batches = metric.readable(select.point.as_deref());
        execute_select(select, &batches).map_err(|error| Error::Refused(error.to_string()))
    }
}

/// The SELECTs of a script that has been carried out otherwise.
pub struct Deferred {
    answers: Vec<Answer>,
    selects: Vec<SelectPlan>,
}

impl Deferred {
    /// Answers of all statements that have one, those of SELECTs last, from what is visible now.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub fn finish(self, engine: &Engine) -> Result<Vec<Answer>> {
        let mut answers: Vec<Answer> = self.answers.into_iter().filter(|answer| !matches!(answer, Answer::Done(_))).collect();
        for select in &self.selects {
            answers.push(Answer::Rows(engine.shared.select(select)?));
        }
        Ok(answers)
    }
}

/// A SELECT that waits for the end of an input that has none is never answered.
fn refuse_endless(script: &BoundScript, select: &SelectPlan) -> Result<()> {
    let stream = &script.catalog.streams[&script.catalog.metrics[&select.metric].stream];
    let endless = match &stream.connector {
        None => true,
        Some(_) => {
            crate::source::create(stream).map_err(|error| Error::Source { stream: stream.name.clone(), error: Arc::new(error) })?.endless()
        }
    };
    if endless {
        return Err(Error::Refused(format!(
            "SELECT from {} would be answered when stream {} ends, but that never ends; give its source an end, or use a sink",
            select.metric, stream.name
        )));
    }
    Ok(())
}

fn no_backfill(plan: &MetricPlan) -> Error {
    Error::Refused(format!(
        "metric {}: backfill = true asks for rows that are gone: writers have fed stream {} before, and their rows are not kept; create the \
         metric before the first writer is opened, or leave backfill out to count from now on",
        plan.name, plan.stream
    ))
}

fn describe_object(script: &BoundScript, kind: ObjectKind, name: &str) -> String {
    let catalog = &script.catalog;
    match kind {
        ObjectKind::Stream => describe::stream(&catalog.streams[name]),
        ObjectKind::Metric => describe::metric(&catalog.metrics[name], &catalog.streams[&catalog.metrics[name].stream]),
        ObjectKind::Sink => describe::sink(&catalog.sinks[name]),
    }
}
