//! What is computed: SQL text becomes metric plans; plans are made of expressions, windows and accumulators.
//!
//! Everything here is pure: no I/O, no threads, no clock, no randomness. Modules in reading order: [`expr`] computes columns from
//! columns, [`window`] holds all window arithmetic, [`keycode`] writes values as order-preserving bytes, [`accumulator`] holds what
//! is kept per group, [`plan`] puts them together, [`sharing`] says what metrics of a stream have in common, [`sql`] makes plans from text.

pub mod expr;
pub mod window;
pub mod keycode;
pub mod accumulator;
pub mod plan;
pub mod sharing;
pub mod sql;
