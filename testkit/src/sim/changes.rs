//! What happens to the job while it runs. What somebody does to it while no process runs takes effect with the next one.

use super::around::Around;
use super::invariants::Outcome;
use super::orders::Order;
use super::process::Process;
use super::scenario::Change;
use super::sink::Input;
use super::start::{add_sink, sink_of};
use super::truth::Membership;
use raympp_coordinator::Fact;
use raympp_operators::sharing::SharedPlan;
use raympp_types::{MetricId, StreamId};
use std::sync::Arc;

/// Makes a change.
pub(super) fn make(around: &mut Around, process: Option<&mut Process>, change: Change) -> Outcome {
    around.note(format!("{change:?}"));
    match change {
        Change::LoseReader(stream, split) => {
            if let Some(process) = process {
                process.lose_reader(around, stream, split);
            }
            Ok(())
        }
        Change::LoseReplica(stream, partition, primary) => {
            if let Some(process) = process {
                process.lose_replica(around, stream, partition, primary);
            }
            Ok(())
        }
        Change::AddMetric(stream, id) => {
            let metric = around.truth(stream).metric(id);
            if metric.dropped {
                return Ok(());
            }
            metric.wanted = true;
            process.map_or(Ok(()), |process| add_metric(around, process, stream, id))
        }
        Change::DropMetric(stream, id) => {
            let metric = around.truth(stream).metric(id);
            let was_wanted = std::mem::take(&mut metric.wanted);
            metric.dropped = true;
            process.filter(|_| was_wanted).map_or(Ok(()), |process| drop_metric(around, process, stream, id))
        }
        Change::Join(stream, split) => {
            around.truth(stream).split(split).membership = Membership::Asked;
            process.map_or(Ok(()), |process| process.learn(around, Fact::SplitJoins(stream, split)))
        }
    }
}

/// A metric is added while rows flow.
pub(super) fn add_metric(around: &mut Around, process: &mut Process, stream: StreamId, id: MetricId) -> Outcome {
    around.tally.changes += 1;
    let plan = Arc::clone(&around.truth(stream).metric(id).plan);
    let next = process.run(stream).newest.with(id, &plan);
    change_plan(around, process, stream, next)?;
    if plan.window.has_bounds() {
        add_sink(around, process, stream, (sink_of(id), Input::Metric(id)), None, None)?;
        // Where everything has closed, it has to be told.
        process.run(stream).places().into_iter().for_each(|place| process.schedule_close(around, stream, place));
    }
    Ok(())
}

/// A metric is dropped, and its sink with it.
pub(super) fn drop_metric(around: &mut Around, process: &mut Process, stream: StreamId, id: MetricId) -> Outcome {
    around.tally.changes += 1;
    let sink = sink_of(id);
    if process.sinks.remove(&sink).is_some() {
        process.orders.give(around, Order::DropSink(sink));
        process.learn(around, Fact::SinkDropped(sink))?;
    }
    let next = process.run(stream).newest.without(id);
    change_plan(around, process, stream, next)
}

fn change_plan(around: &mut Around, process: &mut Process, stream: StreamId, plan: SharedPlan) -> Outcome {
    let (version, plan) = (plan.version, Arc::new(plan));
    around.truth(stream).plans.insert(version, Arc::clone(&plan));
    let run = process.run(stream);
    run.plans.insert(version, Arc::clone(&plan));
    run.newest = Arc::clone(&plan);
    process.orders.give(around, Order::AddPlan(stream, plan));
    process.learn(around, Fact::PlanChanges(stream, version))
}
