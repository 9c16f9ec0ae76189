//! Where a run keeps what nobody asked for.

use raympp_loadgen::error::{Error, Result};
use std::path::{Path, PathBuf};

/// A directory that lives as long as a run, if it is not one that was asked for.
pub(crate) struct Scratch {
    path: PathBuf,
    is_own: bool,
}

impl Scratch {
    /// One that stays.
    pub(super) fn given(path: PathBuf) -> Scratch {
        Scratch { path, is_own: false }
    }

    /// A new directory below another.
    pub(super) fn new(parent: &Path) -> Result<Scratch> {
        let mut number = 0_u64;
        loop {
            let path = parent.join(format!("raympp-loadgen-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Scratch { path, is_own: true }),
                // Left by a process that had this one's id and could not remove it.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(Error::File { path, error }),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_own {
            // What can't be removed is the system's to remove.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_directory_is_new_and_goes_away() {
        let (first, second) = (Scratch::new(&std::env::temp_dir()).expect("one"), Scratch::new(&std::env::temp_dir()).expect("another"));
        let paths = [first.path().to_owned(), second.path().to_owned()];
        assert!(paths[0] != paths[1] && paths.iter().all(|path| path.is_dir()));
        drop((first, second));
        assert!(!paths.iter().any(|path| path.exists()));
    }
}
