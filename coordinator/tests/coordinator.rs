//! The coordinator against a world of splits and partitions that do what it says, at any pace and in any order.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

#[path = "coordinator/commits.rs"]
mod commits;
#[path = "coordinator/examples.rs"]
mod examples;
#[path = "coordinator/sequences.rs"]
mod sequences;
#[path = "coordinator/world.rs"]
mod world;
