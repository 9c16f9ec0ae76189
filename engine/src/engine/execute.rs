//! SQL statements carried out: a script takes effect as a whole or not at all.

use super::start::{open_writer, start_stream};
use super::{Engine, Shared, State};
use crate::consumer::Wants;
use crate::core_loop::Control;
use crate::error::{Error, Result};
use crate::explain;
use crate::metric::Metric;
use crate::sink_task::SinkTask;
use crate::stream::Stream;
use crate::writer::Writer;
use arrow::array::RecordBatch;
use raympp_coordinator::Fact;
use raympp_operators::plan::{Emit, MetricPlan, SelectPlan, SinkInput, SinkPlan, StreamPlan};
use raympp_operators::sharing::SharedPlan;
use raympp_operators::sql::{BoundScript, Explained, ObjectKind, Statement, bind_script, describe, execute_select};
use raympp_types::{KeyGroups, MetricId, PlanVersion};
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
        self.execute_if(sql, |_| Ok(()))
    }

    /// As [`Engine::execute`], but lets `check` refuse the bound script first.
    pub(crate) fn execute_if(&self, sql: &str, check: impl Fn(&BoundScript) -> Result<()>) -> Result<Vec<Answer>> {
        let catalog = self.shared.state.lock().catalog.clone();
        let script = bind_script(sql, &catalog)?;
        check(&script)?;
        let mut answers = Vec::new();
        let mut selects = Vec::new();
        for statement in &script.statements {
            match statement {
                Statement::Select(select) => selects.push((answers.len(), select)),
                other => self.shared.apply(other)?,
            }
            answers.push(self.shared.answer(statement, &script));
        }
        self.shared.state.lock().catalog = script.catalog.clone();
        self.shared.start_streams()?;
        for (position, select) in selects {
            answers[position] = Answer::Rows(self.shared.select(select)?);
        }
        Ok(answers)
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
            return Err(Error::Refused(format!("stream {stream} is read from connector '{connector}'; only a stream without one takes writers")));
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
        let plan = state.catalog.metrics.get(name).ok_or_else(|| Error::Unknown(format!("there is no metric {name}")))?;
        let stream = state.streams.get(&plan.stream).expect("a metric's stream exists");
        Metric::open(Arc::clone(stream), state.metric_ids[name]).ok_or_else(|| Error::Unknown(format!("there is no metric {name}")))
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
        state.streams.insert(plan.name.clone(), Arc::new(Stream::new(id, Arc::clone(plan), key_groups)));
    }

    fn create_metric(&self, plan: &Arc<MetricPlan>, stream_plan: &Arc<StreamPlan>) -> Result<()> {
        let mut state = self.state.lock();
        let id = state.next_metric;
        state.next_metric = id.next();
        state.metric_ids.insert(plan.name.clone(), id);
        let stream = Arc::clone(&state.streams[&plan.stream]);
        drop(state);
        if plan.backfill && stream.started.load(Ordering::Acquire) {
            return Err(Error::Refused(format!(
                "metric {}: backfill = true on a stream that is already being read is not supported yet; create the metric in the script \
                 that creates the stream",
                plan.name
            )));
        }
        stream.plan.store(Arc::clone(stream_plan));
        if stream.started.load(Ordering::Acquire) {
            self.change_plan(&stream, stream.shared.load().with(id, plan));
        } else {
            let mut metrics: Vec<(MetricId, Arc<MetricPlan>)> =
                stream.shared.load().metrics.iter().map(|metric| (metric.id, Arc::clone(&metric.plan))).collect();
            metrics.push((id, Arc::clone(plan)));
            stream.set_plan(Arc::new(SharedPlan::of(PlanVersion(1), &metrics)));
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
                let id = state.metric_ids[name];
                let stream = metric_stream(&state, id);
                let metric = stream.metric(id).expect("a metric is in its stream's plan").plan.clone();
                let wants = match plan.emit {
                    Emit::OnWindowClose => Wants::Closed(id),
                    Emit::OnUpdate { every_us } => Wants::Changes(id, every_us),
                };
                (stream, wants, metric.output_schema())
            }
            SinkInput::LateRows(name) => {
                let stream = Arc::clone(&state.streams[name]);
                stream.keeps_late_rows.store(true, Ordering::Release);
                let schema = stream.plan.load().schema.clone();
                (stream, Wants::Late, schema)
            }
        };
        drop(state);
        let consumer = stream.consumers.add(wants, SINK_QUEUE);
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
                    self.cores.iter().for_each(|core| core.tell(Control::Drop(stream.id)));
                    self.tell_coordinator(Fact::StreamDropped(stream.id));
                }
            }
            ObjectKind::Metric => {
                if let Some(id) = state.metric_ids.remove(name) {
                    let stream = metric_stream(&state, id);
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

    /// Starts every stream that has a connector and is not running.
    fn start_streams(self: &Arc<Self>) -> Result<()> {
        let streams: Vec<Arc<Stream>> = self.state.lock().streams.values().cloned().collect();
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
        if let Some(stream) = state.streams.get(&plan.stream)
            && let Some(metric) = stream.shared.load().metric(&plan.name)
        {
            return explain::metric(stream, metric);
        }
        describe::metric(plan, stream_plan)
    }

    fn select(&self, select: &SelectPlan) -> Result<RecordBatch> {
        let state = self.state.lock();
        let id = *state.metric_ids.get(&select.metric).ok_or_else(|| Error::Unknown(format!("there is no metric {}", select.metric)))?;
        let stream = metric_stream(&state, id);
        drop(state);
        let metric = Metric::open(stream, id).expect("a bound metric exists");
        let batches = metric.readable(select.point.as_deref());
        execute_select(select, &batches).map_err(|error| Error::Refused(error.to_string()))
    }
}

fn metric_stream(state: &State, id: MetricId) -> Arc<Stream> {
    let has = |stream: &&Arc<Stream>| stream.metric(id).is_some();
    Arc::clone(state.streams.values().find(has).expect("a metric is in its stream's plan"))
}

fn describe_object(script: &BoundScript, kind: ObjectKind, name: &str) -> String {
    let catalog = &script.catalog;
    match kind {
        ObjectKind::Stream => describe::stream(&catalog.streams[name]),
        ObjectKind::Metric => describe::metric(&catalog.metrics[name], &catalog.streams[&catalog.metrics[name].stream]),
        ObjectKind::Sink => describe::sink(&catalog.sinks[name]),
    }
}
