//! Placeholder.
pub mod decode;
pub mod sink;
pub mod source;
