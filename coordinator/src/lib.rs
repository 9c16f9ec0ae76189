//! Who decides: epochs, barriers, joins of splits, floors and changes of plans, as a pure state machine.
//!
//! Facts go in, actions come out; there is no I/O, no thread and no clock in here (time arrives as a fact). The engine drives it in
//! process. What it decides per stream: when barrier n is marked, which splits take part in epoch n, under which plan version rows
//! go on after it, with which floor a split joins, when epoch n is committed, which splits are idle and how far their floors rise.

mod action;
mod epochs;
mod fact;
mod idle;

pub use action::Action;
pub use epochs::Coordinator;
pub use fact::Fact;
pub use idle::{IdleRule, Silence, SilenceWatch, Turn};
