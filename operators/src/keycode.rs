//! Values as order-preserving bytes: the canonical form of a group key, in memory, on the wire and in checkpoints.
//!
//! A row of values is the concatenation of its values' codes. Comparing two codes of rows of the same types byte by byte gives the
//! SQL order: column by column, NULL after every value, NaN after every number, text and BYTEA bytewise. Two rows are equal as SQL
//! groups them iff their codes are equal bytes: −0.0 is coded as 0.0, every NaN as one NaN, every INTERVAL as the length PostgreSQL
//! compares it by. It holds for concatenations because no code is a proper prefix of another code of its type: codes have a fixed
//! length or end in a terminator that sorts before everything that may follow a shared prefix.
//!
//! # Format
//! It is fixed for ever: keys in checkpoints are these bytes, and key groups are hashes of them. A value is one marker byte,
//! `01` for a value and `FF` for NULL (which ends there), then for a value of type
//!
//! | type | bytes after the marker |
//! |---|---|
//! | BOOLEAN | `00` false, `01` true |
//! | SMALLINT, INTEGER, BIGINT | 2, 4, 8 bytes big-endian, two's complement with the sign bit inverted |
//! | DATE | 4 bytes as INTEGER: days since 1970-01-01 |
//! | TIMESTAMP, TIMESTAMPTZ | 8 bytes as BIGINT: microseconds since 1970-01-01 |
//! | REAL, DOUBLE PRECISION | 4, 8 bytes big-endian of the IEEE 754 pattern: of a number with sign bit 0 the sign bit inverted, of one with sign bit
//! 1 all bits inverted; −0.0 first becomes 0.0 and any NaN the positive quiet NaN with an empty payload (`7FC00000`, `7FF8000000000000`) |
//! | DECIMAL(p,s) | 16 bytes big-endian of the unscaled integer in two's complement with the sign bit inverted; the scale is the type's |
//! | INTERVAL | 16 bytes as DECIMAL: the length in microseconds with months of 30 days and days of 24 hours |
//! | VARCHAR, BYTEA | the bytes, each `00` as `01 01` and each `01` as `01 02`, then `00` |
//!
//! The type NULL has one value, `FF`. Types are not part of the code; decoding is told them. An INTERVAL decodes to the canonical
//! interval of its length: whole days and a rest of less than one, no months (unless the days exceed 32 bits). So a group by INTERVAL
//! shows that interval, equal to all of its rows' and perhaps none of them; an exact code ([`decode_exact`]) keeps the value itself.
//!
//! Cost: one pass over the value; text without `00` and `01` is copied as it is.

mod columns;
mod decode;
mod encode;
mod exact;
pub mod ordered;

pub use columns::decode_columns;
pub use decode::decode;
pub use encode::{KeyEncoder, encode_row, encode_values};
pub use exact::{ExactEncoder, decode_exact};

use raympp_types::DataType;
use thiserror::Error;

/// First byte of a value's code.
pub(crate) const VALUE: u8 = 0x01;
/// The whole code of NULL.
pub(crate) const NULL: u8 = 0xFF;
/// Ends VARCHAR and BYTEA.
const END: u8 = 0x00;
/// Precedes the replacement of a byte that is not above it.
const ESCAPE: u8 = 0x01;

/// Why bytes are no row of the types asked for, or values do not fit them. No retry helps: the bytes are damaged or belong to
/// other types.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeycodeError {
    /// The bytes end inside a value.
    #[error("the key code ends inside a {0} value")]
    Truncated(DataType),
    /// Bytes that no value of the type is coded as.
    #[error("the key code holds no valid {0} value")]
    Invalid(DataType),
    /// Bytes follow the last value.
    #[error("{0} bytes follow the last value of the key code")]
    Trailing(usize),
    /// The number of values differs from the number of types.
    #[error("{values} values given for {types} key columns")]
    Count {
        /// How many values were given.
        values: usize,
        /// How many types.
        types: usize,
    },
    /// A value of another type that has no exact equal in the column's type.
    #[error("the {value} value has no exact equal of the key column's type {column}")]
    Mismatch {
        /// Type of the value.
        value: DataType,
        /// Type of the column.
        column: DataType,
    },
}
