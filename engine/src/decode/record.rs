//! What the text formats have in common: a decoder that is fed a growing block of bytes and takes whole records off its front.
//!
//! Invariant: which records there are, and what becomes of each, depends on the bytes of the split alone – not on where a block ended or
//! how many rows were asked for. So a decoder that meets an incomplete record takes nothing of it and is shown it again with more bytes.

use super::rows::DecodedRows;
use arrow::datatypes::SchemaRef;

/// Longest record; a longer one is a bad row.
pub const RECORD_BYTES_MAX: usize = 64 << 20;

/// What a decoder did with a block.
#[derive(Debug)]
pub struct Step<T> {
    /// Bytes at the front of the block that are done with.
    pub consumed: usize,
    /// What was made of them.
    pub result: T,
}

/// Decodes the records of one split, in order.
pub trait RecordDecoder: Send {
    /// Reads what stands before the first record. `Ok(None)`: more bytes are needed (never if `at_end`).
    fn read_header(&mut self, block: &[u8], at_end: bool) -> Result<Option<Step<()>>, String>;

    /// Decodes up to `rows_max` whole records from the front of `block`. If `at_end`, no bytes follow the block.
    fn decode(&mut self, block: &[u8], at_end: bool, rows_max: usize) -> Step<DecodedRows>;

    /// Passes over up to `rows_max` records without decoding their cells; the result is their number.
    fn skip(&mut self, block: &[u8], at_end: bool, rows_max: usize) -> Step<usize>;

    /// Lines passed so far, header included.
    fn lines(&self) -> u64;

    /// Schema of the declared columns, strings as Utf8.
    fn schema(&self) -> &SchemaRef;
}
