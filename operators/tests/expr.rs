//! Scalar expressions: each operator and function over NULLs, extremes and errors; what is needed of a row; types and their errors.
#![allow(clippy::unwrap_used, clippy::mutable_key_type, missing_docs, reason = "tests")]

#[path = "expr/support.rs"]
mod support;
#[path = "expr/operators.rs"]
mod operators;
#[path = "expr/functions.rs"]
mod functions;
#[path = "expr/casts.rs"]
mod casts;
#[path = "expr/times.rs"]
mod times;
#[path = "expr/guards.rs"]
mod guards;
#[path = "expr/typing.rs"]
mod typing;
#[path = "expr/dictionaries.rs"]
mod dictionaries;
#[path = "expr/properties.rs"]
mod properties;
