//! Bytes of files to Arrow columns.
//!
//! Text formats are decoded in two steps over a block of bytes. First the block is cut into records and cells (positions only, no
//! copying); then each declared column is decoded in one loop over its cells. A record that can't be cut, or a cell that can't be
//! decoded, makes its row a bad row; the row is judged over all declared columns and leaves the batch as a whole. Modules in reading
//! order: [`number`] turns bytes into values, [`dictionary`] shares repeated strings, [`mod@column`] builds one column, [`rows`] puts columns
//! together and takes bad rows out, [`csv`], [`json`] and [`parquet`] are the formats. [`instant`] is for times that are in Arrow already.

mod cell;
mod column;
pub mod csv;
mod dictionary;
pub(crate) mod instant;
pub mod json;
mod number;
pub mod parquet;
mod record;
mod rows;

pub use record::{RECORD_BYTES_MAX, RecordDecoder, Step};
pub use rows::{BadRow, DecodedRows};
