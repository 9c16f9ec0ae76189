//! Random streams: a script of metrics that overlap in what they share, and splits whose rows are awkward in every way that is allowed.
//!
//! Everything is a function of the seed. [`mod@script`] writes SQL, so that a failure can be read and run by hand; [`mod@splits`] makes rows for
//! the stream of such a script ([`COLUMNS`]), in quasi-monotone event time.

pub mod script;
pub mod splits;

pub use script::{ScriptShape, script};
pub use splits::{SplitsShape, splits};

/// Columns of the stream, as CREATE STREAM lists them. `et` is the event time.
pub const COLUMNS: &str = "k VARCHAR, n BIGINT, flag BOOLEAN, tiny SMALLINT, i INTEGER, amount DECIMAL(18,2), big BIGINT, \
                           r REAL, x DOUBLE PRECISION, name VARCHAR, day DATE, et TIMESTAMP";
