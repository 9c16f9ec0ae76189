//! Chains and replicas against the reference: whatever the batches, flushes, partitions and the order in which deltas of different
//! splits arrive, what comes out is what the dialect says.
#![allow(clippy::unwrap_used, clippy::mutable_key_type, missing_docs, reason = "tests")]

#[path = "state/barriers.rs"]
mod barriers;
#[path = "state/exactly_once.rs"]
mod exactly_once;
#[path = "state/harness.rs"]
mod harness;
#[path = "state/key_kinds.rs"]
mod key_kinds;
#[path = "state/long_bounds.rs"]
mod long_bounds;
#[path = "state/memory.rs"]
mod memory;
#[path = "state/persister.rs"]
mod persister;
#[path = "state/plans.rs"]
mod plans;
#[path = "state/random_streams.rs"]
mod random_streams;
#[path = "state/readers.rs"]
mod readers;
#[path = "state/small.rs"]
mod small;
