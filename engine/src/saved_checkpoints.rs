//! Checkpoints, looked at and chosen from outside of a run: what is there, what it holds, whether it is whole, going back, and copies of one.
//!
//! They lie in a state directory or, as copies, in a place outside of it: a URL, or a directory that was one's target. Looking and copying need no
//! run to stop; going back does, since one process at a time writes to a state directory.

use crate::checkpoint::{checkpoint_error, open_blobs};
use crate::error::{Error, Result};
use crate::producer::ProducerId;
use raympp_state::checkpoint::packed::{self, PackedStore};
use raympp_state::checkpoint::{CheckpointStore, RocksStore, take_back};
use raympp_types::Offset;
use std::path::Path;

pub use raympp_state::checkpoint::{
    Ahead, Commit, Contents, Counts, MetricCommit, SinkCommit, SplitCommit, StoreCommit, StoreContents, StoreError, StreamCommit,
};
pub use raympp_types::{Epoch, EventTime};

/// Checkpoints that can be read.
pub struct SavedCheckpoints {
    store: Box<dyn CheckpointStore>,
}

impl SavedCheckpoints {
    /// Those of a state directory or of a place outside, which a run may be writing to; what it writes from now on is not seen.
    ///
    /// # Errors
    /// [`crate::Error::Checkpoint`] if it is none, or can't be read; [`crate::Error::Refused`] for a URL that is none.
    pub fn open(place: &str) -> Result<SavedCheckpoints> {
        let store: Box<dyn CheckpointStore> = if is_outside(place) {
            Box::new(PackedStore::open(open_blobs(place)?).map_err(checkpoint_error)?)
        } else {
            Box::new(RocksStore::open_read_only(Path::new(place)).map_err(checkpoint_error)?)
        };
        Ok(SavedCheckpoints { store })
    }

    /// Copies one into an empty place outside, a URL or a directory, where it needs nothing else: a savepoint. Returns the bytes copied.
    ///
    /// # Errors
    /// [`crate::Error::Checkpoint`] if there is something in the target, or what either side says.
    pub fn export(&self, epoch: Epoch, target: &str) -> Result<u64> {
        let exported = packed::export(self.store.as_ref(), epoch, open_blobs(target)?).map_err(checkpoint_error)?;
        Ok(exported.bytes)
    }

    /// What they hold.
    ///
    /// # Errors
    /// [`crate::Error::Checkpoint`] if the index of records can't be read.
    pub fn contents(&self) -> Result<Contents<'_>> {
        Contents::open(self.store.as_ref()).map_err(checkpoint_error)
    }
}

/// True if checkpoints there are copies: a URL, or a directory that has their log.
fn is_outside(place: &str) -> bool {
    place.contains("://") || Path::new(place).join("commits").is_dir()
}

/// Copies a checkpoint from a place outside, a URL or a directory, into a new state directory; runs go on from it there.
///
/// # Errors
/// [`crate::Error::Checkpoint`] if the directory has checkpoints, if there is no such one in the place, or what either side says.
pub fn import(place: &str, epoch: Epoch, directory: &Path) -> Result<()> {
    let blobs = open_blobs(place)?;
    // Before anything is made.
    let packed = PackedStore::open(std::sync::Arc::clone(&blobs)).map_err(checkpoint_error)?;
    Contents::open(&packed).and_then(|contents| contents.commit(epoch)).map_err(checkpoint_error)?;
    let mut store = RocksStore::open(directory).map_err(checkpoint_error)?;
    packed::import(blobs, epoch, &mut store).map(|_| ()).map_err(checkpoint_error)
}

/// What becomes of rows that producers have pushed behind the checkpoint that a job is taken back to. They may have forgotten them, since these
/// were acknowledged as checkpointed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// If there are any, nothing is done.
    Refuse,
    /// They are lost, unless their producers still have them and push them again.
    Accept,
}

/// Takes the job of a state directory back to an older checkpoint; later ones are gone. The next run reads again what comes behind it, and no sink
/// publishes again what has been published.
///
/// # Errors
/// [`crate::Error::Checkpoint`] if a run uses the directory, if there is no such checkpoint, or if it can't be read as a whole: then nothing has changed.
/// [`crate::Error::Refused`] for a place outside, whose checkpoints are copies, and if rows of producers would be lost, which it names.
pub fn restore(directory: &Path, epoch: Epoch, loss: Loss) -> Result<()> {
    if directory.to_str().is_some_and(is_outside) {
        let place = directory.display();
        return Err(Error::Refused(format!(
            "{place}: its checkpoints are copies; copy one into a new state directory (restore --into, import)"
        )));
    }
    // Made only where there is one: a mistyped path shall not become a state directory.
    RocksStore::open_read_only(directory).map_err(checkpoint_error)?;
    let mut store = RocksStore::open(directory).map_err(checkpoint_error)?;
    let mut contents = Contents::open(&store).map_err(checkpoint_error)?;
    contents.verify(epoch).map_err(checkpoint_error)?;
    let newest = newest_readable(&store).map_err(checkpoint_error)?;
    weigh_loss(&store.read_commit(epoch).map_err(checkpoint_error)?, &newest, loss)?;
    take_back(&mut store, epoch, &newest).map(|_| ()).map_err(checkpoint_error)
}

/// Fails if rows of producers would be lost and must not be.
fn weigh_loss(older: &Commit, newest: &Commit, loss: Loss) -> Result<()> {
    let mut lost = Vec::new();
    for stream in &newest.streams {
        let before = older.streams.iter().find(|before| before.id == stream.id);
        for split in stream.splits.iter().filter(|split| ProducerId::of_split(&split.name).is_some()) {
            let before = before.and_then(|before| before.splits.iter().find(|before| before.id == split.id));
            let from = before.map_or(Offset(0), |before| before.offset);
            if from < split.offset {
                lost.push(format!("stream {}, {}: rows {from} to {}", stream.name, split.name, split.offset.0 - 1));
            }
        }
    }
    let epoch = older.epoch.0;
    match loss {
        _ if lost.is_empty() => Ok(()),
        Loss::Accept => {
            lost.iter().for_each(|lost| tracing::warn!(epoch, lost, "rows are lost unless their producer pushes them again"));
            Ok(())
        }
        Loss::Refuse => Err(Error::Refused(format!(
            "checkpoint {epoch} lacks rows that producers have pushed since and may have forgotten: {}; take a later checkpoint, or accept the \
             loss (--accept-loss, Loss::Accept)",
            lost.join("; ")
        ))),
    }
}

/// Takes a store back to its newest checkpoint that is whole. Does nothing to one whose newest is, or that has none.
pub(crate) fn fall_back(store: &mut dyn CheckpointStore, loss: Loss) -> Result<()> {
    let Some((whole, newest)) = older_to_take(store).map_err(checkpoint_error)? else { return Ok(()) };
    weigh_loss(&store.read_commit(whole).map_err(checkpoint_error)?, &newest, loss)?;
    take_back(store, whole, &newest).map(|_| ()).map_err(checkpoint_error)
}

/// The newest checkpoint that is whole, if it is not the newest, and the newest commit record that can be read.
fn older_to_take(store: &mut dyn CheckpointStore) -> std::result::Result<Option<(Epoch, Commit)>, StoreError> {
    let mut contents = Contents::open(store)?;
    let mut damaged = Vec::new();
    let mut whole = None;
    for epoch in store.commits()?.into_iter().rev() {
        match contents.verify(epoch) {
            Ok(()) => {
                whole = Some(epoch);
                break;
            }
            Err(error) => damaged.push((epoch, error)),
        }
    }
    let Some((_, newest)) = damaged.first() else { return Ok(None) };
    let Some(whole) = whole else { return Err(newest.clone()) };
    for (epoch, error) in &damaged {
        tracing::warn!(%epoch, %error, to = %whole, "the checkpoint can't be used; falling back to an older one");
    }
    Ok(Some((whole, newest_readable(store)?)))
}

/// The newest commit record that can be read.
fn newest_readable(store: &dyn CheckpointStore) -> std::result::Result<Commit, StoreError> {
    let mut outcome = Err(StoreError::missing("a checkpoint"));
    for epoch in store.commits()?.into_iter().rev() {
        outcome = store.read_commit(epoch);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}
