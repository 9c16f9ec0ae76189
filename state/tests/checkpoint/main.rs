//! Checkpoint stores: one battery of tests for all of them, formats and their golden files, merging, the ledger.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod battery;
mod directory;
mod disk;
mod formats;
mod ledger;
mod memory;
mod merging;
mod packs;
mod sample;
mod savepoints;
mod torn;
mod uploads;
