//! Blocks of bytes from a file, unpacked if need be: a window that records are taken off the front of.
//!
//! Invariant: the bytes in the window are those that follow the ones consumed, whatever was read when. The window is refilled when
//! less than half of it is left, and doubled when a record does not fit, so each byte is moved a bounded number of times.

use super::super::error::{SourceError, SourceErrorKind};
use super::fingerprint::Trail;
use super::paths;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

const WINDOW_BYTES: usize = 512 << 10;
const PACKED_BYTES: usize = 128 << 10;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// True if a file starts like gzip.
pub(super) fn is_gzip(path: &Path) -> Result<bool, SourceError> {
    let mut magic = [0; 2];
    let mut file = paths::open(path)?;
    match file.read_exact(&mut magic) {
        Ok(()) => Ok(magic == GZIP_MAGIC),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(paths::io_error(path, &error)),
    }
}

/// Where bytes come from.
enum Input {
    Plain(Counted),
    Gzip(Box<MultiGzDecoder<BufReader<Counted>>>),
}

/// A file that knows how much of it has been read.
struct Counted {
    file: File,
    read_bytes: u64,
    /// What has been read, if somebody will ask whether it is still there.
    trail: Option<Trail>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read_bytes += read as u64;
        if let Some(trail) = &mut self.trail {
            trail.note(&buffer[..read]);
        }
        Ok(read)
    }
}

/// The window over one file.
pub(super) struct BlockReader {
    path: PathBuf,
    input: Input,
    window: Vec<u8>,
    start: usize,
    end: usize,
    /// The input has no more bytes for now.
    at_end: bool,
    /// Why no more bytes will come although the file has not ended properly.
    broken: Option<SourceError>,
}

impl BlockReader {
    /// Opens a file at its beginning; `follow`: it may grow, and what has been read is remembered for [`BlockReader::trail`].
    pub(super) fn open(path: &Path, follow: bool) -> Result<BlockReader, SourceError> {
        let gzip = is_gzip(path)?;
        let counted = Counted { file: paths::open(path)?, read_bytes: 0, trail: follow.then(Trail::default) };
        let input = if gzip {
            Input::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(PACKED_BYTES, counted))))
        } else {
            Input::Plain(counted)
        };
        let window = vec![0; WINDOW_BYTES];
        Ok(BlockReader { path: path.to_owned(), input, window, start: 0, end: 0, at_end: false, broken: None })
    }

    /// The bytes at hand.
    pub(super) fn block(&self) -> &[u8] {
        &self.window[self.start..self.end]
    }

    /// True if nothing follows the bytes at hand: the file has ended, or is broken.
    pub(super) fn at_end(&self) -> bool {
        self.at_end
    }

    /// Why the file ended before its time.
    pub(super) fn broken(&self) -> Option<&SourceError> {
        self.broken.as_ref()
    }

    /// Takes bytes off the front.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        debug_assert!(self.start <= self.end);
    }

    /// Reads on if less than half a window is at hand.
    pub(super) fn refill(&mut self) {
        if self.end - self.start < WINDOW_BYTES / 2 && !self.at_end {
            self.read_on();
        }
    }

    /// Makes room for more bytes than are at hand, and reads on. Call it when the window holds no whole record.
    pub(super) fn extend(&mut self) {
        if self.end - self.start == self.window.len() {
            self.window.resize(self.window.len() * 2, 0);
        }
        self.read_on();
    }

    /// Looks for bytes again behind what was the end, or tries again what the operating system refused.
    pub(super) fn retry(&mut self) {
        if self.broken.as_ref().is_none_or(SourceError::retryable) {
            self.broken = None;
            self.at_end = false;
            self.read_on();
        }
    }

    /// Fills the window up.
    fn read_on(&mut self) {
        self.window.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.window.len() > 8 * WINDOW_BYTES && self.end < WINDOW_BYTES {
            self.window.truncate(WINDOW_BYTES);
            self.window.shrink_to_fit();
        }
        while self.end < self.window.len() && !self.at_end {
            let room = &mut self.window[self.end..];
            let read = match &mut self.input {
                Input::Plain(file) => file.read(room),
                Input::Gzip(unpacked) => unpacked.read(room),
            };
            match read {
                Ok(0) => self.at_end = true,
                Ok(bytes) => self.end += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.break_off(&error),
            }
        }
    }

    fn break_off(&mut self, error: &io::Error) {
        self.at_end = true;
        let broken = match (&self.input, error.kind()) {
            (Input::Gzip(_), io::ErrorKind::UnexpectedEof) => {
                SourceError::new(SourceErrorKind::Truncated, "the compressed file stops in the middle").hint("copy it again")
            }
            (Input::Gzip(_), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                SourceError::new(SourceErrorKind::Format, format!("the compressed file is damaged: {error}")).hint("copy it again")
            }
            _ => paths::io_error(&self.path, error),
        };
        self.broken = Some(broken.split(self.path.display().to_string()));
    }

    /// Bytes of the file behind the window's front: exact for plain files, for packed ones up to what unpacking reads ahead.
    pub(super) fn read_bytes(&self) -> u64 {
        match &self.input {
            Input::Plain(file) => file.read_bytes - (self.end - self.start) as u64,
            Input::Gzip(unpacked) => {
                let packed = unpacked.get_ref();
                packed.get_ref().read_bytes - packed.buffer().len() as u64
            }
        }
    }

    fn counted(&self) -> &Counted {
        match &self.input {
            Input::Plain(file) => file,
            Input::Gzip(unpacked) => unpacked.get_ref().get_ref(),
        }
    }

    /// The file as it is now.
    pub(super) fn metadata(&self) -> io::Result<std::fs::Metadata> {
        self.counted().file.metadata()
    }

    /// What has been read of a followed file up to now.
    pub(super) fn trail(&self) -> Option<Trail> {
        self.counted().trail.clone()
    }

    /// False if the file holds other bytes where some had been read.
    pub(super) fn holds(&self, trail: &Trail) -> io::Result<bool> {
        trail.leads_to(&self.counted().file)
    }
}
