//! Where files are going to be written: one spelling for each place, and whether it can be written to, without leaving a trace.
//!
//! A script is checked before it takes effect, so what it will write has to be judged while it may not be there yet: the part of a path that
//! exists is resolved by the operating system, symbolic links included, and the rest is taken as it is written. Two paths that would be one
//! file or directory come out equal. Cost: a few system calls for each output of a script.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A path in its one spelling, and the part of it that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Absolute, without symbolic links, `.` and `..`.
    pub(crate) path: PathBuf,
    /// The longest part of it that exists.
    pub(crate) existing: PathBuf,
}

impl Place {
    /// Finds the place that a path names.
    pub(crate) fn of(path: &Path) -> io::Result<Place> {
        let absolute = std::path::absolute(path)?;
        let found = absolute.ancestors().find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
        let (ancestor, existing) = found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no part of the path exists"))?;
        let mut resolved = existing.clone();
        for component in absolute.strip_prefix(ancestor).unwrap_or(Path::new("")).components() {
            match component {
                Component::Normal(name) => resolved.push(name),
                Component::ParentDir => drop(resolved.pop()),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        Ok(Place { path: resolved, existing })
    }
}

/// Fails if no file can be made in this directory. What it makes to find out is gone when it returns.
pub(crate) fn probe(directory: &Path) -> io::Result<()> {
    static PROBES: AtomicU64 = AtomicU64::new(0);
    let number = PROBES.fetch_add(1, Ordering::Relaxed);
    let probe = directory.join(format!(".raympp-probe-{}-{number}.tmp", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(&probe)
}
