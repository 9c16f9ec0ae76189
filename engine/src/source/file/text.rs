//! Reads a CSV or JSON lines file: bytes from a [`BlockReader`], rows from a [`RecordDecoder`].
//!
//! A followed file is read to its end and looked at again every [`FOLLOW_EVERY_US`]; a last line without newline waits. If the file
//! got shorter than what has been read, holds other bytes there, or another one stands at its path, that is an error: rows may have been
//! lost. Its bytes are compared after what is new has been read, so that nothing is taken from a file that was written anew in between.

use super::super::error::{SourceError, SourceErrorKind};
use super::super::{SourcePoll, SourceRows, SplitReader};
use super::block::BlockReader;
use super::fingerprint::Trail;
use super::paths;
use crate::decode::{DecodedRows, RecordDecoder, Step};
use raympp_types::Offset;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How often the end of a followed file is looked at, in microseconds.
const FOLLOW_EVERY_US: u64 = 10_000;

/// Reader of one text file.
pub(super) struct TextReader {
    path: PathBuf,
    blocks: BlockReader,
    decoder: Box<dyn RecordDecoder>,
    header_read: bool,
    /// Offset of the next row.
    next: Offset,
    /// Where the first row is wanted; rows before are passed over.
    wanted: Offset,
    follow: bool,
    /// Size and time of the last change when a followed file was last compared with what had been read.
    compared: Option<(u64, i64, i64)>,
    failed: Option<SourceError>,
    size_bytes: u64,
}

/// What a look at the input came to.
enum Progress<T> {
    Made(T),
    /// No whole record is there, and no more bytes are.
    Dry,
}

impl TextReader {
    /// Opens a file such that the row at offset `at` comes first.
    pub(super) fn open(path: &Path, decoder: Box<dyn RecordDecoder>, at: Offset, follow: bool) -> Result<TextReader, SourceError> {
        let blocks = BlockReader::open(path, follow)?;
        let size_bytes = blocks.metadata().map_err(|error| paths::io_error(path, &error))?.size();
        Ok(TextReader {
            path: path.to_owned(),
            blocks,
            decoder,
            header_read: false,
            next: Offset(0),
            wanted: at,
            follow,
            compared: None,
            failed: None,
            size_bytes,
        })
    }

    fn advance(&mut self, now_us: u64, rows_max: usize) -> Result<SourcePoll, SourceError> {
        if self.blocks.at_end() && (self.follow || self.blocks.broken().is_some()) {
            let found = self.check_followed()?;
            let (trail, before) = (self.blocks.trail(), self.blocks.block().len());
            self.blocks.retry();
            if let (Some(found), Some(trail)) = (found, trail) {
                self.compare_followed(&found, &trail, self.blocks.block().len() > before)?;
            }
        }
        if !self.header_read && matches!(self.read_header()?, Progress::Dry) {
            return self.dry(now_us);
        }
        while self.next < self.wanted {
            if matches!(self.skip()?, Progress::Dry) {
                return self.dry(now_us);
            }
        }
        match self.decode(rows_max) {
            Progress::Made(rows) => Ok(SourcePoll::Rows(rows)),
            Progress::Dry => self.dry(now_us),
        }
    }

    /// True if a last record without newline is one: not while the file may grow, nor where it is broken.
    fn ends_here(&self) -> bool {
        self.blocks.at_end() && !self.follow && self.blocks.broken().is_none()
    }

    fn read_header(&mut self) -> Result<Progress<()>, SourceError> {
        loop {
            self.blocks.refill();
            let header = self.decoder.read_header(self.blocks.block(), self.ends_here());
            let header =
                header.map_err(|problem| SourceError::new(SourceErrorKind::Format, problem).split(self.path.display().to_string()))?;
            if let Some(Step { consumed, .. }) = header {
                self.blocks.consume(consumed);
                self.header_read = true;
                return Ok(Progress::Made(()));
            }
            if self.blocks.at_end() {
                return Ok(Progress::Dry);
            }
            self.blocks.extend();
        }
    }

    /// Passes over rows before the wanted one.
    fn skip(&mut self) -> Result<Progress<()>, SourceError> {
        self.blocks.refill();
        let rows_max = usize::try_from(self.wanted.0 - self.next.0).unwrap_or(usize::MAX);
        let Step { consumed, result: rows } = self.decoder.skip(self.blocks.block(), self.ends_here(), rows_max);
        self.next.0 += rows as u64;
        self.took(consumed)
    }

    fn decode(&mut self, rows_max: usize) -> Progress<SourceRows> {
        loop {
            self.blocks.refill();
            let Step { consumed, result } = self.decoder.decode(self.blocks.block(), self.ends_here(), rows_max);
            let progress = self.took(consumed).unwrap_or(Progress::Dry);
            if result.rows > 0 {
                return Progress::Made(self.rows(result));
            }
            if matches!(progress, Progress::Dry) {
                return Progress::Dry;
            }
        }
    }

    /// Takes bytes that are done with off the input; where there were none, sees to it that there are more next time.
    fn took(&mut self, consumed: usize) -> Result<Progress<()>, SourceError> {
        self.blocks.consume(consumed);
        if consumed == 0 {
            if self.blocks.at_end() {
                return Ok(Progress::Dry);
            }
            self.blocks.extend();
        }
        Ok(Progress::Made(()))
    }

    fn rows(&mut self, mut decoded: DecodedRows) -> SourceRows {
        let from = self.next;
        self.next.0 += decoded.rows as u64;
        let bad = decoded.bad_at(from);
        SourceRows { from, to: self.next, batch: decoded.batch, row_offsets: decoded.row_numbers, bad }
    }

    /// No rows are there: the end, an error, or a pause.
    fn dry(&mut self, now_us: u64) -> Result<SourcePoll, SourceError> {
        if let Some(broken) = self.blocks.broken() {
            return Err(broken.clone().offset(self.next).line(self.decoder.lines() + 1));
        }
        if self.follow {
            return Ok(SourcePoll::Pending { retry_at_us: Some(now_us + FOLLOW_EVERY_US) });
        }
        if self.next < self.wanted {
            let message = format!("asked for row {}, but the file has {} rows", self.wanted, self.next);
            return Err(SourceError::new(SourceErrorKind::OffsetBeyondEnd, message).split(self.path.display().to_string()));
        }
        Ok(SourcePoll::End)
    }

    /// Fails if the followed file has been cut or replaced; else says what it is like.
    fn check_followed(&self) -> Result<Option<Metadata>, SourceError> {
        if !self.follow {
            return Ok(None);
        }
        let opened = self.blocks.metadata().map_err(|error| paths::io_error(&self.path, &error))?;
        let problem = match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "the followed file is gone",
            Err(error) => return Err(paths::io_error(&self.path, &error)),
            Ok(found) if (found.dev(), found.ino()) != (opened.dev(), opened.ino()) => "another file has taken the followed one's place",
            Ok(found) if found.size() < self.blocks.read_bytes() + self.blocks.block().len() as u64 => {
                "the followed file has become shorter"
            }
            Ok(found) => return Ok(Some(found)),
        };
        Err(self.replaced(problem))
    }

    /// Fails if the followed file has changed since it was compared last, and holds other bytes where some have been read. `found` and `trail`
    /// are what it was like and what had been read of it before the last look, which may have `grown` the bytes at hand.
    fn compare_followed(&mut self, found: &Metadata, trail: &Trail, grown: bool) -> Result<(), SourceError> {
        let state = Some((found.size(), found.mtime(), found.mtime_nsec()));
        if state == self.compared && !grown {
            return Ok(());
        }
        match self.blocks.holds(trail) {
            Ok(true) => {
                self.compared = state;
                Ok(())
            }
            Ok(false) => Err(self.replaced("the followed file has been written anew: it holds other bytes than those that have been read")),
            Err(error) => Err(paths::io_error(&self.path, &error)),
        }
    }

    fn replaced(&self, problem: &str) -> SourceError {
        SourceError::new(SourceErrorKind::Replaced, problem)
            .split(self.path.display().to_string())
            .offset(self.next)
            .hint("append to a followed file only; for a rotated log make a stream of the new file")
    }
}

impl SplitReader for TextReader {
    fn poll(&mut self, now_us: u64, rows_max: usize) -> Result<SourcePoll, SourceError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let polled = self.advance(now_us, rows_max.max(1));
        if let Err(error) = &polled
            && !error.retryable()
        {
            self.failed = Some(error.clone());
        }
        polled
    }

    fn progress(&self) -> Option<(u64, u64)> {
        (!self.follow).then(|| (self.blocks.read_bytes().min(self.size_bytes), self.size_bytes))
    }
}
