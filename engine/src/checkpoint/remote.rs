//! Places outside of the state directory for checkpoints: what a URL means.
//!
//! `file:///directory` or a plain path is a directory (`remote/directory.rs`).

mod directory;

use crate::error::{Error, Result};
use raympp_state::checkpoint::packed::Blobs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The objects under a URL, or under a plain path. Nothing is looked at yet.
///
/// # Errors
/// [`Error::Refused`] if the URL is none that is known.
pub fn open_blobs(url: &str) -> Result<Arc<dyn Blobs>> {
    Ok(Arc::new(directory::DirectoryBlobs::new(url, &path_of(url)?)))
}

/// The directory that a URL names.
fn path_of(url: &str) -> Result<PathBuf> {
    let refused = |why: &str| Error::Refused(format!("checkpoint URL {url}: {why}; write file:///directory"));
    match url.split_once("://") {
        None if url.is_empty() => Err(refused("it is empty")),
        None => Ok(PathBuf::from(url)),
        Some(("file", path)) if Path::new(path).is_absolute() => Ok(PathBuf::from(path)),
        Some(("file", _)) => Err(refused("it names no absolute path")),
        Some((scheme, _)) => Err(refused(&format!("{scheme} is not a kind of place"))),
    }
}
