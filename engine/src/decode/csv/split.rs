//! Cuts a block of CSV into records and fields: positions only, nothing is copied or decoded.
//!
//! Rules (RFC 4180 and what it leaves open): fields are parted by `,`, records by LF or CRLF; a field whose first byte is `"` runs to
//! its closing quote and may hold commas, newlines and doubled quotes; the last record needs no newline. An empty line is a NULL row in a
//! file of one column and no row at all in one of several. Bad records: another number of fields than the header, a quote inside
//! an unquoted field, text after a closing quote (either way the record goes on to the next newline outside quotes), a quote that is
//! not closed before the file ends or the record exceeds [`RECORD_BYTES_MAX`] (the record is then its first line, and reading goes on
//! with the second), a line longer than that.
//!
//! The fast path compares 64 bytes at a time with the comma, the newline and the quote, and walks the resulting bit masks; a record with a
//! quote in it goes the slow way, field by field. Invariant of [`CsvIndex`]: `ends` holds exactly `fields` positions per row.

use super::super::record::RECORD_BYTES_MAX;
use super::super::rows::BadRecord;
use memchr::{memchr, memchr_iter, memchr2};

const CHUNK: usize = 64;

/// Positions of fields in a block, relative to its start.
#[derive(Debug, Default)]
pub(crate) struct CsvIndex {
    fields: usize,
    /// Per good row: start of its first field.
    starts: Vec<u32>,
    /// Per good row, `fields` positions: where each field ends (exclusive); the next one starts a byte later.
    ends: Vec<u32>,
    /// Per good row: its number among the records of this run.
    pub(crate) numbers: Vec<u32>,
    /// The records that could not be cut.
    pub(crate) bad: Vec<BadRecord>,
}

impl CsvIndex {
    /// Number of good rows.
    pub(crate) fn rows(&self) -> usize {
        self.starts.len()
    }

    /// Raw bytes of a field, quotes included.
    #[inline(always)]
    pub(crate) fn field<'a>(&self, block: &'a [u8], row: usize, field: usize) -> &'a [u8] {
        let last = row * self.fields + field;
        let start = if field == 0 { self.starts[row] } else { self.ends[last - 1] + 1 };
        &block[start as usize..self.ends[last] as usize]
    }

    /// Where a row starts.
    pub(crate) fn start(&self, row: usize) -> usize {
        self.starts[row] as usize
    }

    /// Raw bytes of a row.
    pub(crate) fn record<'a>(&self, block: &'a [u8], row: usize) -> &'a [u8] {
        &block[self.starts[row] as usize..self.ends[(row + 1) * self.fields - 1] as usize]
    }

    fn clear(&mut self, fields: usize) {
        self.fields = fields;
        self.starts.clear();
        self.ends.clear();
        self.numbers.clear();
        self.bad.clear();
    }
}

/// Cuts blocks of one file.
#[derive(Debug)]
pub(crate) struct CsvSplitter {
    fields: usize,
    /// Lines passed.
    pub(crate) lines: u64,
    /// The rest of an overlong line is being passed over.
    passing_line: bool,
}

/// The run in progress.
struct Run<'a> {
    block: &'a [u8],
    at_end: bool,
    rows_max: usize,
    index: &'a mut CsvIndex,
    /// Records so far, bad ones included.
    records: usize,
    /// Start of the record in progress.
    start: usize,
    /// Length of `index.ends` there.
    ends_before: usize,
}

/// What a record turned out to be when read field by field.
pub(super) enum Outcome {
    /// Its last field ends at `end`, the next record starts at `next`.
    Complete { end: usize, next: usize, well_formed: bool },
    /// The block ends first; if the file ends there too, inside quotes.
    Open,
}

impl CsvSplitter {
    /// For a file with this many fields in its header, of which `lines` lines have been passed.
    pub(crate) fn new(fields: usize, lines: u64) -> CsvSplitter {
        CsvSplitter { fields, lines, passing_line: false }
    }

    /// Cuts up to `rows_max` records off the front of `block` into `index`; returns the bytes used and the number of records.
    pub(crate) fn split(&mut self, block: &[u8], at_end: bool, rows_max: usize, index: &mut CsvIndex) -> (usize, usize) {
        index.clear(self.fields);
        let mut start = 0;
        if self.passing_line {
            match memchr(b'\n', block) {
                Some(newline) => start = newline + 1,
                None => return (block.len(), 0),
            }
            self.passing_line = false;
        }
        let mut run = Run { block, at_end, rows_max, index, records: 0, start, ends_before: 0 };
        self.run(&mut run);
        run.index.ends.truncate(run.ends_before);
        (run.start, run.records)
    }

    fn run(&mut self, run: &mut Run<'_>) {
        let mut at = run.start;
        while run.records < run.rows_max && at < run.block.len() {
            let (separators, quotes) = masks(run.block, at);
            let before_quote = if quotes == 0 { u64::MAX } else { (quotes & quotes.wrapping_neg()) - 1 };
            if !self.walk(run, at, separators & before_quote) {
                return;
            }
            if quotes == 0 {
                at += CHUNK;
                continue;
            }
            match self.slow_record(run) {
                Some(next) => at = next,
                None => return,
            }
        }
        self.last_record(run);
    }

    /// Walks the separators of a chunk that starts at `at`. False if the run is full.
    #[inline(always)]
    fn walk(&mut self, run: &mut Run<'_>, at: usize, mut separators: u64) -> bool {
        while separators != 0 {
            let position = at + separators.trailing_zeros() as usize;
            separators &= separators - 1;
            if run.block[position] == b'\n' {
                self.end_of_line(run, position);
                if run.records == run.rows_max {
                    return false;
                }
            } else {
                run.index.ends.push(position as u32);
            }
        }
        true
    }

    /// The record in progress, which has no quotes, ends with the newline (or the end of the file) at `position`.
    #[inline(always)]
    fn end_of_line(&mut self, run: &mut Run<'_>, position: usize) {
        let carriage_return = position > run.start && run.block[position - 1] == b'\r';
        let end = position - usize::from(carriage_return);
        let next = (position + 1).min(run.block.len());
        if next - run.start > RECORD_BYTES_MAX {
            return self.overlong(run);
        }
        self.lines += 1;
        if end == run.start && self.fields != 1 {
            run.start = next;
            return;
        }
        self.end_of_record(run, end, next, true);
    }

    #[inline(always)]
    fn end_of_record(&mut self, run: &mut Run<'_>, end: usize, next: usize, well_formed: bool) {
        run.index.ends.push(end as u32);
        let found = run.index.ends.len() - run.ends_before;
        if found == self.fields && well_formed {
            run.index.starts.push(run.start as u32);
            run.index.numbers.push(run.records as u32);
            run.ends_before = run.index.ends.len();
            run.records += 1;
            run.start = next;
        } else {
            self.bad_record(run, end, next, found, well_formed);
        }
    }

    #[cold]
    fn bad_record(&mut self, run: &mut Run<'_>, end: usize, next: usize, found: usize, well_formed: bool) {
        let reason = if well_formed {
            format!("{found} fields where the header has {}", self.fields)
        } else {
            "a quote where none may be: a quoted field is quoted from its first to its last byte, quotes inside it doubled".to_owned()
        };
        self.push_bad(run, end, next, reason);
    }

    /// Records the bad record `start..end`, which ends the record in progress.
    fn push_bad(&mut self, run: &mut Run<'_>, end: usize, next: usize, reason: String) {
        let record = &run.block[run.start..end];
        let first_line = self.lines.saturating_sub(memchr_iter(b'\n', record).count() as u64);
        run.index.bad.push(BadRecord::new(run.records as u32, format!("line {first_line}: {reason}"), record));
        run.index.ends.truncate(run.ends_before);
        run.records += 1;
        run.start = next;
    }

    /// Reads the record in progress field by field. The position after it, or `None` if the run is over.
    fn slow_record(&mut self, run: &mut Run<'_>) -> Option<usize> {
        run.index.ends.truncate(run.ends_before);
        match fields_of_record(run.block, run.start, run.at_end, &mut run.index.ends) {
            Outcome::Complete { next, .. } if next - run.start > RECORD_BYTES_MAX => self.overlong(run),
            Outcome::Complete { end, next, well_formed } => {
                self.lines += 1 + memchr_iter(b'\n', &run.block[run.start..end]).count() as u64;
                run.index.ends.pop();
                self.end_of_record(run, end, next, well_formed);
            }
            Outcome::Open => return self.open_record(run),
        }
        (run.records < run.rows_max).then_some(run.start)
    }

    /// The block ends before the record does.
    #[cold]
    fn open_record(&mut self, run: &mut Run<'_>) -> Option<usize> {
        if run.block.len() - run.start > RECORD_BYTES_MAX {
            self.overlong(run);
        } else if run.at_end {
            self.first_line_is_bad(run, "a quoted field that is never closed".to_owned());
        } else {
            return None;
        }
        (run.records < run.rows_max && !self.passing_line).then_some(run.start)
    }

    #[cold]
    fn overlong(&mut self, run: &mut Run<'_>) {
        self.first_line_is_bad(run, format!("a record of more than {} MiB", RECORD_BYTES_MAX >> 20));
    }

    /// The record in progress is given up: its first line is a bad row, reading goes on after that.
    #[cold]
    fn first_line_is_bad(&mut self, run: &mut Run<'_>, reason: String) {
        let newline = memchr(b'\n', &run.block[run.start..]).map(|at| run.start + at);
        let end = newline.unwrap_or(run.block.len());
        self.passing_line = newline.is_none() && !run.at_end;
        self.lines += 1;
        self.push_bad(run, end, (end + 1).min(run.block.len()), reason);
    }

    /// What is left after the last newline: a record if the file ends here.
    fn last_record(&mut self, run: &mut Run<'_>) {
        if run.records == run.rows_max || run.start == run.block.len() {
            return;
        }
        if run.at_end {
            self.end_of_line(run, run.block.len());
        } else if run.block.len() - run.start > RECORD_BYTES_MAX {
            self.overlong(run);
        }
    }
}

/// Bits of the 64 bytes at `at` that are commas or newlines, and of those that are quotes; bytes beyond the block are neither.
#[inline(always)]
fn masks(block: &[u8], at: usize) -> (u64, u64) {
    match block[at..].first_chunk::<CHUNK>() {
        Some(chunk) => masks_of(chunk),
        None => {
            let mut chunk = [0; CHUNK];
            chunk[..block.len() - at].copy_from_slice(&block[at..]);
            masks_of(&chunk)
        }
    }
}

#[inline(always)]
fn masks_of(chunk: &[u8; CHUNK]) -> (u64, u64) {
    let separators: [u8; CHUNK] = std::array::from_fn(|i| u8::from((chunk[i] == b',') | (chunk[i] == b'\n')));
    let quotes = chunk.iter().fold(0u8, |any, &byte| any | u8::from(byte == b'"'));
    let quotes = if quotes == 0 { 0 } else { bits(&std::array::from_fn(|i| u8::from(chunk[i] == b'"'))) };
    (bits(&separators), quotes)
}

/// Bit i of the result is byte i, each 0 or 1: eight bytes at a time are gathered into the top byte by a multiplication.
#[inline(always)]
fn bits(bytes: &[u8; CHUNK]) -> u64 {
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let (groups, _) = bytes.as_chunks::<8>();
    groups.iter().enumerate().fold(0, |mask, (i, &group)| mask | (u64::from_le_bytes(group).wrapping_mul(GATHER) >> 56) << (8 * i))
}

/// Cuts one record that starts at `start`, minding quotes. Pushes the end of every field, the last one included.
pub(super) fn fields_of_record(block: &[u8], start: usize, at_end: bool, ends: &mut Vec<u32>) -> Outcome {
    let mut at = start;
    let mut well_formed = true;
    loop {
        if block.get(at) == Some(&b'"') {
            match closing_quote(block, at + 1) {
                Some(quote) => at = quote + 1,
                None => return Outcome::Open,
            }
            well_formed &= matches!(block.get(at), None | Some(b',' | b'\n'))
                || (block.get(at) == Some(&b'\r') && matches!(block.get(at + 1), None | Some(b'\n')));
        }
        let separator = match memchr2(b',', b'\n', &block[at..]) {
            Some(found) => at + found,
            None if at_end => block.len(),
            None => return Outcome::Open,
        };
        well_formed &= memchr(b'"', &block[at..separator]).is_none();
        if block.get(separator) != Some(&b',') {
            let end = separator - usize::from(separator > start && block[separator - 1] == b'\r');
            ends.push(end as u32);
            return Outcome::Complete { end, next: (separator + 1).min(block.len()), well_formed };
        }
        ends.push(separator as u32);
        at = separator + 1;
    }
}

/// The quote that closes a field, looking from `at` on: the first one that is not doubled.
fn closing_quote(block: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let quote = at + memchr(b'"', &block[at..])?;
        if block.get(quote + 1) != Some(&b'"') {
            return Some(quote);
        }
        at = quote + 2;
    }
}
