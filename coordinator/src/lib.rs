//! Who decides: epochs, barriers, commits, joins of splits, floors and changes of plans, as a pure state machine.
//!
//! Facts go in, actions come out; there is no I/O, no thread and no clock in here (time arrives as a fact). The engine drives it in
//! process. What it decides for the job: when barrier n is marked, when epoch n is committed or given up, when sinks may show what they have
//! prepared. What it decides per stream: which splits take part in epoch n, under which plan version rows go on after it, with which floor
//! a split joins, which splits are idle and how far their floors rise.
//!
//! In reading order: [`Fact`] and [`Action`]; `placing`: one barrier in one stream; `streams`: what a stream needs; `committing`: what becomes
//! of an epoch once its barrier is on its way; `epochs`: all of it together; `idle`: floors; `replicas`: who is in sync and who is the
//! primary.

mod action;
mod committing;
mod epochs;
mod fact;
mod idle;
mod placing;
mod replicas;
mod streams;

pub use action::{Action, StreamEpoch};
pub use epochs::{Coordinator, CoordinatorOptions};
pub use fact::{Fact, Failure, Vector};
pub use idle::{IdleRule, Silence, SilenceWatch, Turn};
