//! One checkpoint, copied whole: out of a store into an empty place, and from a place into an empty store.

use super::blobs::Blobs;
use super::contents::{Contents, StoreSource, parts_of};
use super::log::{Head, JobId};
use super::reader::PackedStore;
use super::uploader::{Identity, Uploaded, Uploader};
use crate::checkpoint::Commit;
use crate::checkpoint::error::{StoreError, StoreErrorKind};
use crate::checkpoint::ledger::Ledger;
use crate::checkpoint::place::ArchiveKey;
use crate::checkpoint::store::CheckpointStore;
use crate::crash_point::{CrashPoint, visit};
use raympp_types::Epoch;
use std::sync::Arc;

/// Whose savepoints are: nobody goes on in the place itself.
const NOBODY: Identity = Identity { job: JobId(0), writer: 0, run: 0 };

/// Copies a checkpoint of a store into an empty place, where it needs nothing else. What an export that was cut off has left there is replaced.
///
/// # Errors
/// [`StoreErrorKind::Foreign`] if there are checkpoints in the place; what either side says.
pub fn export(store: &dyn CheckpointStore, epoch: Epoch, blobs: Arc<dyn Blobs>) -> Result<Uploaded, StoreError> {
    let head = Head::read(blobs.as_ref())?;
    if head.as_ref().is_some_and(|head| head.newest().is_some() || head.entry.job != NOBODY.job) {
        let advice = "name an empty or new place for this one";
        return Err(StoreError::new(StoreErrorKind::Foreign, blobs.place(), "there are checkpoints in it", advice));
    }
    let contents = Contents::of(store, &Ledger::of(store.records()?), epoch)?;
    let mut uploader = Uploader::open(blobs, NOBODY, head, Epoch(0), 1)?;
    uploader.upload(&contents, &mut StoreSource(store))
}

/// Copies a checkpoint from a place into a store without any, as its newest one.
///
/// # Errors
/// [`StoreErrorKind::Foreign`] if the store has checkpoints, [`StoreErrorKind::Damaged`] if what is copied is not what was put there; what either side
/// says. Then the store still has no checkpoint.
pub fn import(blobs: Arc<dyn Blobs>, epoch: Epoch, store: &mut dyn CheckpointStore) -> Result<Commit, StoreError> {
    if let Some(newest) = store.commits()?.last() {
        let happened = format!("it has checkpoints, up to {newest}");
        return Err(StoreError::new(StoreErrorKind::Foreign, "the state directory", happened, "name a new or empty directory"));
    }
    let packed = PackedStore::open_some(blobs, Some(epoch))?;
    let commit = packed.read_commit(epoch)?;
    // What an import that was cut off has left.
    store.rewind(Epoch(0))?;
    let contents = Contents::of(&packed, &Ledger::of(packed.records()?), epoch)?;
    store.put_archives(&contents.states)?;
    for run in packed.ranges(keys_of(&packed, &contents)?)? {
        store.put_archives(&packed.read_run(&run)?)?;
        visit(CrashPoint::PartImported);
    }
    store.commit(&commit)?;
    Ok(commit)
}

/// All archives of a checkpoint's records.
fn keys_of(packed: &PackedStore, contents: &Contents) -> Result<Vec<ArchiveKey>, StoreError> {
    let mut keys = Vec::new();
    for id in contents.records.keys() {
        let index = ArchiveKey::of_index(id);
        keys.extend(parts_of(id, &packed.archive(&index)?)?);
        keys.push(index);
    }
    Ok(keys)
}
