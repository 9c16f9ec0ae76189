//! SQL text to plans: what scripts mean, what they are told when they make no sense, and that nothing makes the binder panic.
//!
//! What a statement means is a snapshot in `snapshots/`: the SQL, then the plan as text. `UPDATE_EXPECT=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::mutable_key_type, missing_docs, reason = "tests")]

#[path = "sql/aggregates.rs"]
mod aggregates;
#[path = "sql/errors.rs"]
mod errors;
#[path = "sql/execute.rs"]
mod execute;
#[path = "sql/mutations.rs"]
mod mutations;
#[path = "sql/precedence.rs"]
mod precedence;
#[path = "sql/scripts.rs"]
mod scripts;
#[path = "sql/statements.rs"]
mod statements;
#[path = "sql/windows.rs"]
mod windows;
