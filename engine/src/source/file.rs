//! Connector 'file': one split per file, in path order.
//!
//! Options: `path` (a file, or a pattern with `*`, `?`, `[…]`, `**`), `format` = csv, jsonl or parquet (default: by extension, `.gz`
//! stripped), `follow` = true for a text file that grows. Text may be gzipped, which is seen by its first bytes. Offsets are reached by
//! passing over records (text) or row groups (parquet).

mod block;
mod fingerprint;
mod parquet;
mod paths;
mod text;

pub use fingerprint::FileFingerprint;
pub(super) use paths::names;

use super::error::{Mistake, SourceError, SourceErrorKind};
use super::options::{OptionReader, bad_value};
use super::{Fingerprint, Source, SplitDescription, SplitReader};
use crate::decode::csv::CsvDecoder;
use crate::decode::json::JsonDecoder;
use raympp_operators::plan::StreamPlan;
use raympp_types::{Offset, Schema};
use std::path::{Path, PathBuf};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    JsonLines,
    Parquet,
}

impl Format {
    fn named(name: &str) -> Option<Format> {
        match name.to_ascii_lowercase().as_str() {
            "csv" => Some(Format::Csv),
            "jsonl" | "json" | "ndjson" => Some(Format::JsonLines),
            "parquet" => Some(Format::Parquet),
            _ => None,
        }
    }

    /// By extension, `.gz` stripped.
    fn of_path(path: &Path) -> Option<Format> {
        let name = path.file_name()?.to_str()?;
        let name = name.strip_suffix(".gz").unwrap_or(name);
        Format::named(name.rsplit_once('.')?.1)
    }
}

/// The connector's options, which say nothing about what is there.
#[derive(Debug)]
pub(super) struct FileOptions<'a> {
    path: &'a str,
    format: Option<Format>,
    pub(super) follow: bool,
}

impl<'a> FileOptions<'a> {
    /// Reads them and finds what can't work whatever is there.
    pub(super) fn read(stream: &'a StreamPlan) -> Result<FileOptions<'a>, SourceError> {
        let mut options = OptionReader::new("file", stream);
        let path = options.required("path")?;
        let format = match options.text("format") {
            None => None,
            Some(name) => Some(Format::named(name).ok_or_else(|| bad_value("format", name, "csv, jsonl or parquet"))?),
        };
        let follow = options.boolean("follow", false)?;
        options.finish()?;
        if follow && format == Some(Format::Parquet) {
            return Err(parquet_can_not_be_followed().mistake(Mistake::Option("follow".to_owned())));
        }
        Ok(FileOptions { path, format, follow })
    }
}

fn parquet_can_not_be_followed() -> SourceError {
    SourceError::new(SourceErrorKind::Option, "a parquet file can't be followed: its directory stands at its end")
        .hint("follow works with csv and jsonl")
}

/// Files of one stream.
pub(super) struct FileSource {
    schema: Schema,
    files: Vec<(PathBuf, Format)>,
    follow: bool,
}

impl FileSource {
    pub(super) fn create(stream: &StreamPlan) -> Result<FileSource, SourceError> {
        let FileOptions { path, format, follow } = FileOptions::read(stream)?;
        let files = paths::find(path)?.into_iter().map(|path| with_format(path, format)).collect::<Result<Vec<_>, _>>()?;
        let source = FileSource { schema: stream.schema.clone(), files, follow };
        source.files.iter().try_for_each(|(path, format)| source.check(path, *format))?;
        Ok(source)
    }

    fn check(&self, path: &Path, format: Format) -> Result<(), SourceError> {
        paths::check_readable(path)?;
        if self.follow && format == Format::Parquet {
            return Err(parquet_can_not_be_followed().split(path.display().to_string()));
        }
        if self.follow && block::is_gzip(path)? {
            return Err(SourceError::new(SourceErrorKind::Option, "a compressed file can't be followed")
                .split(path.display().to_string())
                .hint("write it uncompressed, or read it without follow"));
        }
        Ok(())
    }

    fn file(&self, split: usize) -> Result<&(PathBuf, Format), SourceError> {
        self.files.get(split).ok_or_else(|| {
            SourceError::new(SourceErrorKind::Missing, format!("there is no split {split}: the stream has {} files", self.files.len()))
        })
    }
}

fn with_format(path: PathBuf, format: Option<Format>) -> Result<(PathBuf, Format), SourceError> {
    match format.or_else(|| Format::of_path(&path)) {
        Some(format) => Ok((path, format)),
        None => Err(SourceError::new(SourceErrorKind::Option, "the format can't be told by the file's name")
            .split(path.display().to_string())
            .hint("add format = 'csv', 'jsonl' or 'parquet'")
            .mistake(Mistake::Option("path".to_owned()))),
    }
}

impl Source for FileSource {
    fn splits(&self) -> Result<Vec<SplitDescription>, SourceError> {
        let describe = |(path, _): &(PathBuf, Format)| {
            let fingerprint = FileFingerprint::take(path, self.follow)?;
            let name = path.display().to_string();
            Ok(SplitDescription { name, size_bytes: Some(fingerprint.size_bytes), fingerprint: Fingerprint::File(fingerprint) })
        };
        self.files.iter().map(describe).collect()
    }

    fn open(&self, split: usize, at: Offset) -> Result<Box<dyn SplitReader>, SourceError> {
        let (path, format) = self.file(split)?;
        Ok(match format {
            Format::Csv => Box::new(text::TextReader::open(path, Box::new(CsvDecoder::new(&self.schema)), at, self.follow)?),
            Format::JsonLines => Box::new(text::TextReader::open(path, Box::new(JsonDecoder::new(&self.schema)), at, self.follow)?),
            Format::Parquet => Box::new(parquet::ParquetReader::open(path, &self.schema, at)?),
        })
    }

    fn open_again(&self, split: usize, at: Offset, fingerprint: &Fingerprint) -> Result<Box<dyn SplitReader>, SourceError> {
        let (path, _) = self.file(split)?;
        match fingerprint {
            Fingerprint::File(before) => before.check(path, self.follow)?,
            Fingerprint::Generator(_) | Fingerprint::Producer(_) => {
                return Err(SourceError::new(SourceErrorKind::Replaced, "this split was no file when it was first read")
                    .split(path.display().to_string()));
            }
        }
        self.open(split, at)
    }

    fn endless(&self) -> bool {
        self.follow
    }
}
