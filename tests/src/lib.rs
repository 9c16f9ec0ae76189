//! What whole-system tests share. The tests themselves are in `tests/`, those in Python in `python/`.
//!
//! [`directory`] gives a test its own files; [`feed`] brings rows into an engine in every way there is; [`job`] runs a script to its end and
//! collects all that came out; [`fuzz`] holds properties for arbitrary bytes.

pub mod directory;
pub mod feed;
pub mod fuzz;
pub mod job;
