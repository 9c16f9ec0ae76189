//! What sources promise: rows and offsets that depend on the contents alone, resumption anywhere, bad rows that are named, clear errors.
#![allow(clippy::unwrap_used, clippy::mutable_key_type, missing_docs, reason = "tests")]

#[path = "source/csv.rs"]
mod csv;
#[path = "source/damage.rs"]
mod damage;
#[path = "source/files.rs"]
mod files;
#[path = "source/generators.rs"]
mod generators;
#[path = "source/json.rs"]
mod json;
#[path = "source/parquet.rs"]
mod parquet;
#[path = "source/reference.rs"]
mod reference;
#[path = "source/support.rs"]
mod support;
