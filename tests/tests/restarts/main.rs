//! A job that is stopped and started again with a state directory: what it goes on with, what may change in between, and what is refused.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod changelogs;
mod changes;
mod going_back;
mod producers;
mod random_changes;
mod support;
