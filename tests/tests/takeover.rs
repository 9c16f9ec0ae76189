//! Readers of splits and replicas of partitions break at any place, one by one and again and again: what comes out is what would have
//! without, value by value.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

#[path = "takeover/breaking.rs"]
mod breaking;
#[path = "takeover/outputs.rs"]
mod outputs;
#[path = "takeover/results.rs"]
mod results;
