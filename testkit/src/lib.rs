//! What tests are made of: a slow aggregator that is right by inspection, random streams, and texts to compare rows by.
//!
//! Nothing here depends on how the engine keeps state, so what agrees with it agrees with the dialect's definition and not with another
//! implementation. Everything random comes from a seed. Modules in reading order: [`random`] is the source of chance; [`rows`] makes
//! rows comparable; [`mod@script`] binds SQL; [`mod@generate`] makes random scripts and splits; [`mod@reference`] computes what must come out;
//! [`views`] says what readers should see; [`reader`] reads splits; [`program`] runs programs; [`sim`] drives the real state machines through whole lives of a job.
#![allow(clippy::unwrap_used, reason = "used by tests only")]

pub mod random;
pub mod rows;
pub mod program;
pub mod script;
pub mod generate;
pub mod reference;
pub mod views;
pub mod reader;
pub mod sim;
