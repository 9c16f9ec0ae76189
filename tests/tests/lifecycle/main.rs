//! What an embedding program does while rows flow: writers, metrics and sinks that come and go, subscriptions, questions, failures.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod changes;
mod failures;
mod outputs;
mod places;
mod sorted;
mod statements;
mod support;
mod writers;
