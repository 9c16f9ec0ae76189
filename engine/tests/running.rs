//! What happens to a stream while rows flow: splits fall silent or are lost, metrics are added. Time is a clock that the tests move.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

#[path = "running/backfill.rs"]
mod backfill;
#[path = "running/cores.rs"]
mod cores;
#[path = "running/idle.rs"]
mod idle;
#[path = "running/support.rs"]
mod support;
