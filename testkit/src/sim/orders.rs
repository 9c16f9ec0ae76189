//! The persister and its queue of orders, carried out one after the other at the disk's pace.

use super::agenda::Link;
use super::around::Around;
use super::canary::{Canary, LiveMemory};
use super::invariants::Outcome;
use super::process::Happening;
use raympp_coordinator::{Fact, Failure};
use raympp_operators::sharing::SharedPlan;
use raympp_state::checkpoint::SinkCommit;
use raympp_state::checkpoint::shown::Shown;
use raympp_state::delta::Delta;
use raympp_state::persister::{Outcome as Written, Persister};
use raympp_types::{Epoch, SinkId, StreamId};
use std::collections::VecDeque;
use std::sync::Arc;

/// Longest time of an order that does not touch the disk.
const IN_MEMORY_US: u64 = 20;

/// What the persister is told.
pub(super) enum Order {
    AddPlan(StreamId, Arc<SharedPlan>),
    AddSink(SinkId, Box<SinkCommit>),
    DropSink(SinkId),
    Prepared(SinkId, Epoch, Vec<u8>),
    Take(StreamId, Arc<Delta>),
    Seal(StreamId, Epoch),
    Commit(Epoch, Vec<StreamId>),
    Forget,
}

/// See the module.
pub(super) struct Orders {
    pub(super) persister: Persister,
    waiting: VecDeque<Order>,
    up: Link,
    live_memory: LiveMemory,
}

impl Orders {
    pub(super) fn new(persister: Persister) -> Orders {
        Orders { persister, waiting: VecDeque::new(), up: Link::default(), live_memory: LiveMemory::default() }
    }

    pub(super) fn give(&mut self, around: &mut Around, order: Order) {
        let idle = self.waiting.is_empty();
        match order {
            Order::Take(stream, delta) if around.has(Canary::LiveMemory) => {
                let deltas = self.live_memory.instead(stream, delta).into_iter();
                self.waiting.extend(deltas.map(|delta| Order::Take(stream, delta)));
            }
            order => self.waiting.push_back(order),
        }
        if idle {
            self.schedule(around);
        }
    }

    /// Lists grow in memory; what a barrier completes, and commits, go to the disk.
    fn schedule(&self, around: &mut Around) {
        let Some(next) = self.waiting.front() else { return };
        let in_memory = match next {
            Order::Take(_, delta) => delta.stamp.marks.is_empty(),
            Order::Seal(..) | Order::Commit(..) | Order::Forget => false,
            Order::AddPlan(..) | Order::AddSink(..) | Order::DropSink(..) | Order::Prepared(..) => true,
        };
        let delay_us = around.delay(if in_memory { around.pace.disk_us.min(IN_MEMORY_US) } else { around.pace.disk_us });
        around.later(delay_us, Happening::Persist);
    }

    pub(super) fn carry_out_next(&mut self, around: &mut Around) -> Outcome {
        let Some(order) = self.waiting.pop_front() else { return Ok(()) };
        let fault = around.fault();
        around.disk.plant(fault);
        let written = self.carry_out(around, order);
        for written in written {
            around.note(format!("writes {}", text(&written)));
            if let Written::Acked(stream, epoch, _, vector) = &written {
                let truth = around.truth(*stream).vector(*epoch);
                around.witness.one_vector(*stream, *epoch, vector, &truth)?;
            }
            for fact in facts(written) {
                around.send(&mut self.up, Happening::Learn(fact));
            }
        }
        self.schedule(around);
        Ok(())
    }

    fn carry_out(&mut self, around: &Around, order: Order) -> Vec<Written> {
        let persister = &mut self.persister;
        match order {
            Order::AddPlan(stream, plan) => persister.add_plan(stream, &plan),
            Order::AddSink(sink, commit) => persister.add_sink(sink, *commit, None),
            Order::DropSink(sink) => persister.drop_sink(sink),
            Order::Prepared(sink, epoch, handle) => persister.prepared(sink, epoch, handle, Shown::new()),
            Order::Take(stream, delta) => return persister.take(stream, &delta),
            Order::Seal(stream, epoch) => return persister.seal(stream, epoch),
            Order::Commit(epoch, streams) => return vec![persister.commit(epoch, &streams, around.now_us() as i64)],
            // What can't be forgotten now is forgotten later.
            Order::Forget => drop(persister.forget()),
        }
        Vec::new()
    }
}

fn facts(written: Written) -> Vec<Fact> {
    match written {
        Written::Acked(stream, epoch, partition, vector) => vec![Fact::Acked { stream, epoch, partition, vector }],
        Written::Committed(epoch) => vec![Fact::Committed(epoch)],
        Written::Failed(epoch, _) => vec![Fact::Failed(epoch, Failure::Partition)],
        Written::CommitFailed(epoch, _, newest) => {
            std::iter::once(Fact::Failed(epoch, Failure::Commit)).chain(newest.ok().map(Fact::Reopened)).collect()
        }
    }
}

fn text(written: &Written) -> String {
    match written {
        Written::Acked(stream, epoch, partition, vector) => format!("{stream}, {partition}: {epoch} at {vector:?}"),
        Written::Committed(epoch) => format!("the commit of {epoch}"),
        Written::Failed(epoch, error) => format!("in vain a list of {epoch}: {error}"),
        Written::CommitFailed(epoch, error, newest) => format!("in vain the commit of {epoch}: {error}; there is {newest:?}"),
    }
}
