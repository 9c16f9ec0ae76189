//! Open-loop load for Ray-MPP: rows come when they are due, whatever the engine does, and every delay is charged to the engine.
//!
//! Modules in reading order: [`schedule`] says when rows are due; [`workload`] makes them, each a function of its number; [`target`] is what is measured,
//! behind a trait, and [`in_process`] an engine in this process; [`run`] pushes rows and looks at what becomes of them; [`recorder`] keeps latencies;
//! [`pauses`] of the generator are part of them; [`report`] shows them; [`ledger`] says whether the results were right; [`find_max`] looks for the highest rate that is sustained.
#![allow(clippy::disallowed_methods, reason = "a load generator reads the clock")]

pub mod chaos;
pub mod child;
pub mod error;
pub mod find_max;
pub mod in_process;
pub mod ledger;
mod panics;
pub mod pauses;
pub mod recorder;
pub mod report;
pub mod run;
pub mod schedule;
pub mod span;
pub mod target;
pub mod workload;
