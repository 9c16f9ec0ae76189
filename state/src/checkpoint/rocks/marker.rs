//! The newest commit, in a file beside the database.
//!
//! It lags behind or is right, never ahead: it is replaced after a commit is durable, and lowered before commits are taken back. So a commit that it
//! names and the database does not have was lost. It is not synced at commits: a machine that loses power may find an older one, which
//! notices less, and a process that is killed leaves what it wrote.

use super::directory::Directory;
use crate::checkpoint::error::StoreError;
use raympp_types::Epoch;

const NEWEST: &str = "NEWEST";
const WORDS: &str = "the newest commit is of epoch ";

/// Whether the file is on disk before the call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durable {
    Yes,
    No,
}

pub(super) fn read(directory: &Directory) -> Result<Option<Epoch>, StoreError> {
    let Some(line) = directory.read_line(NEWEST)? else { return Ok(None) };
    let epoch = line.strip_prefix(WORDS).and_then(|epoch| epoch.parse().ok());
    let what = directory.path().join(NEWEST);
    epoch.map(|epoch| Some(Epoch(epoch))).ok_or_else(|| StoreError::damaged(what.display(), "it does not name an epoch"))
}

pub(super) fn write(directory: &Directory, epoch: Epoch, durable: Durable) -> Result<(), StoreError> {
    directory.write_line(NEWEST, &format!("{WORDS}{}", epoch.0), durable == Durable::Yes)
}
