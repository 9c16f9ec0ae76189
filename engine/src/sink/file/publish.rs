//! The directory of a file sink: names, what is in it, and how a complete part gets its published name.

use super::super::error::{SinkError, SinkErrorKind};
use super::disk::{Disk, length};
use super::state::{Part, State};
use super::{Format, convert, staging};
use arrow::datatypes::SchemaRef;
use raympp_state::crash_point::{CrashPoint, visit};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// See the module.
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    pub(super) disk: Disk,
}

/// Published parts with their numbers.
type NumberedFiles = Vec<(u64, PathBuf)>;

impl Directory {
    /// Where a part is staged.
    pub(super) fn staged(&self, number: u64) -> PathBuf {
        let extension = if self.format == Format::Parquet { "arrows" } else { self.format.extension() };
        self.path.join(format!(".part-{number:06}.{extension}.tmp"))
    }

    /// Where a part that is not what is staged is written before it is published.
    fn converted(&self, number: u64) -> PathBuf {
        self.path.join(format!(".part-{number:06}.{}.tmp", self.format.extension()))
    }

    fn published(&self, number: u64) -> PathBuf {
        self.path.join(format!("part-{number:06}.{}", self.format.extension()))
    }

    /// Published parts with their numbers, and temporary files, of this format.
    pub(super) fn files(&self) -> Result<(NumberedFiles, Vec<PathBuf>), SinkError> {
        let failed = |error: std::io::Error| SinkError::io("list the directory", &self.path, &error);
        let extension = self.format.extension();
        let (mut parts, mut temporary) = (Vec::new(), Vec::new());
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((parts, temporary)),
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let is_temporary = |extension: &str| number_in(name, ".part-", &format!(".{extension}.tmp")).is_some();
            if let Some(number) = number_in(name, "part-", &format!(".{extension}")) {
                parts.push((number, path));
            } else if is_temporary(extension) || (self.format == Format::Parquet && is_temporary("arrows")) {
                temporary.push(path);
            }
        }
        parts.sort();
        Ok((parts, temporary))
    }

    /// Removes all temporary files but that of the part in progress.
    pub(super) fn remove_temporary(&self, open: Option<Part>) -> Result<(), SinkError> {
        let kept = open.map(|part| self.staged(part.number));
        let (_, temporary) = self.files()?;
        temporary.iter().filter(|path| Some(*path) != kept.as_ref()).try_for_each(|path| self.remove_leftover(path))
    }

    /// Removes a file that an earlier run left.
    pub(super) fn remove_leftover(&self, path: &Path) -> Result<(), SinkError> {
        self.disk.remove(path)?;
        visit(CrashPoint::LeftoverRemoved);
        Ok(())
    }

    /// Fails if something is not there that a state needs, or something is that it does not know of.
    pub(super) fn check(&self, state: &State) -> Result<(), SinkError> {
        for &part in state.complete.iter().chain(&state.open) {
            if !self.is_published(part)? {
                staging::require(part, &self.staged(part.number))?;
            }
        }
        let (parts, _) = self.files()?;
        match parts.iter().find(|(number, _)| *number >= state.next) {
            Some((_, path)) => Err(in_the_way(path)),
            None => Ok(()),
        }
    }

    /// True if the part is there under its published name. A file of that name that is not the part is an error.
    pub(super) fn is_published(&self, part: Part) -> Result<bool, SinkError> {
        let published = self.published(part.number);
        let Some(bytes) = length(&published)? else { return Ok(false) };
        let is_part = match self.format {
            Format::Parquet => convert::rows_of(&published)? == part.rows,
            _ => bytes == part.bytes && length(&self.staged(part.number))?.is_none(),
        };
        if is_part { Ok(true) } else { Err(in_the_way(&published)) }
    }

    /// Publishes what is staged of a part, durably. May be repeated.
    pub(super) fn publish(&self, part: Part, schema: &SchemaRef) -> Result<(), SinkError> {
        let (staged, published) = (self.staged(part.number), self.published(part.number));
        if !self.is_published(part)? {
            staging::require(part, &staged)?;
            let whole = if self.format == Format::Parquet {
                let converted = self.converted(part.number);
                convert::to_parquet(&self.disk, part, &staged, &converted, schema)?;
                converted
            } else {
                self.cut(part, &staged)?;
                staged.clone()
            };
            visit(CrashPoint::PartUnnamed);
            self.disk.rename(&whole, &published)?;
            visit(CrashPoint::PartNamed);
            tracing::info!(part = %published.display(), rows = part.rows, "published");
        }
        // Also if it is there: a crash may have come between the two.
        self.disk.sync_directory(&self.path)?;
        match length(&staged)? {
            Some(_) => self.disk.remove(&staged),
            None => Ok(()),
        }
    }

    /// Cuts off what was staged behind the part's end and never committed.
    fn cut(&self, part: Part, staged: &Path) -> Result<(), SinkError> {
        if length(staged)? == Some(part.bytes) {
            return Ok(());
        }
        let file = self.disk.resume(staged, part.bytes)?;
        self.disk.sync(&file, staged)
    }
}

fn in_the_way(path: &Path) -> SinkError {
    SinkError::new(SinkErrorKind::InTheWay, "this file is not what the sink has published, as far as the checkpoint knows")
        .path(path)
        .hint("move it out of the directory, which belongs to the sink alone")
}

fn number_in(name: &str, prefix: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
    (digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}
