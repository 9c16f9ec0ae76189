//! A place outside of the state directory for checkpoints: what a URL means, and how a run begins with one.
//!
//! `s3://bucket/prefix` is an object store that speaks S3 (`remote/s3.rs`), `file:///directory` or a plain path a directory (`remote/directory.rs`).
//!
//! # Who may go on
//! A run with a state directory that holds a checkpoint goes on from there, if the place has nothing that the directory does not have: the same
//! job, written last by this directory, and no later checkpoint. With an empty state directory it takes the job over: it copies the newest checkpoint
//! there is. Either way it adds an entry to the place's log, behind which no other run can add anything.
//!
//! What the directory has and the place has not is copied before anything else: sinks of the run show what the checkpoint has of them.

mod directory;
mod s3;

use crate::checkpoint::checkpoint_error;
use crate::error::{Error, Result};
use raympp_state::checkpoint::packed::contents::StoreSource;
use raympp_state::checkpoint::packed::{Blobs, Contents, Head, Identity, JobId, Uploader, import};
use raympp_state::checkpoint::{CheckpointStore, Ledger, Link, RocksStore, StoreError, StoreErrorKind};
use raympp_state::crash_point::{CrashPoint, visit};
use raympp_types::Epoch;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The objects under a URL, or under a plain path. Nothing is looked at yet.
///
/// # Errors
/// [`Error::Refused`] if the URL is none that is known, or the variables that say how to get there are wrong.
pub fn open_blobs(url: &str) -> Result<Arc<dyn Blobs>> {
    let refused = |why: &str| Error::Refused(format!("checkpoint URL {url}: {why}; write s3://bucket/prefix or file:///directory"));
    match url.split_once("://") {
        None if url.is_empty() => Err(refused("it is empty")),
        None => Ok(in_directory(url, PathBuf::from(url))),
        Some(("file", path)) if Path::new(path).is_absolute() => Ok(in_directory(url, PathBuf::from(path))),
        Some(("file", _)) => Err(refused("it names no absolute path")),
        Some(("s3", rest)) => {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(refused("it names no bucket"));
            }
            let blobs = s3::S3Blobs::new(url, bucket, prefix);
            Ok(Arc::new(blobs.map_err(|error| Error::Refused(format!("checkpoint URL {url}: {error}")))?))
        }
        Some((scheme, _)) => Err(refused(&format!("{scheme} is not a kind of place"))),
    }
}

fn in_directory(url: &str, path: PathBuf) -> Arc<dyn Blobs> {
    Arc::new(directory::DirectoryBlobs::new(url, &path))
}

/// How often a place is looked at again because another run has added to it just then.
const FENCES_MAX: u32 = 100;

/// A place that this run adds checkpoints to.
pub(crate) struct Remote {
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) uploader: Uploader,
}

/// How a run begins.
enum Beginning {
    /// From what the state directory has.
    Here(Identity),
    /// From what the place has.
    There(Identity),
}

impl Remote {
    /// Opens the place of a URL for the job of a state directory. When it returns, both have the same newest checkpoint. If the directory was taken
    /// back to an older one, or `fall_back` says that it may have been, so is the place.
    ///
    /// # Errors
    /// [`Error::Refused`] for a URL that is none, [`Error::Checkpoint`] if directory and place don't belong together, another run has the place, or
    /// one of them can't be read or written.
    pub(crate) fn open(url: &str, store: &mut RocksStore, keep: usize, fall_back: bool) -> Result<Remote> {
        let blobs = open_blobs(url)?;
        let uploader = begin(&blobs, store, keep, fall_back).map_err(checkpoint_error)?;
        Ok(Remote { blobs, uploader })
    }
}

fn begin(blobs: &Arc<dyn Blobs>, store: &mut RocksStore, keep: usize, fall_back: bool) -> std::result::Result<Uploader, StoreError> {
    let link = store.link()?;
    if link.is_some_and(|link| link.importing) {
        store.rewind(Epoch(0))?;
    }
    let head = Head::read(blobs.as_ref())?;
    match beginning(blobs.as_ref(), store, link, head.as_ref(), fall_back)? {
        Beginning::Here(identity) => go_on(blobs, store, identity, head, keep),
        Beginning::There(identity) => take_over(blobs, store, identity, head, keep),
    }
}

/// What directory and place together allow.
fn beginning(
    blobs: &dyn Blobs,
    store: &RocksStore,
    link: Option<Link>,
    head: Option<&Head>,
    fall_back: bool,
) -> std::result::Result<Beginning, StoreError> {
    let run = random();
    let own = |job| Identity { job, writer: link.map_or_else(random, |link| link.writer), run };
    let Some(head) = head else { return Ok(Beginning::Here(own(link.map_or_else(new_job, |link| link.job)))) };
    let job = head.entry.job;
    let refuse = |kind, happened: String, advice: &str| Err(StoreError::new(kind, blobs.place(), happened, advice));
    if job == JobId(0) {
        let advice = "restore it with raympp checkpoint restore, and name another place for the job's checkpoints";
        return refuse(StoreErrorKind::Foreign, "it holds a savepoint".to_owned(), advice);
    }
    let Some(newest) = store.commits()?.last().copied() else {
        return Ok(Beginning::There(Identity { job, writer: random(), run }));
    };
    if link.is_none_or(|link| link.job != job) {
        let advice = "name another place for this job's checkpoints, or an empty state directory to go on with the job that is there";
        return refuse(StoreErrorKind::Foreign, "it has checkpoints of another job than the state directory".to_owned(), advice);
    }
    let there = head.newest().unwrap_or_default();
    let taken_back = || -> std::result::Result<bool, StoreError> {
        Ok(fall_back || store.read_commit(newest)?.sinks.iter().any(|sink| sink.ahead.is_some()))
    };
    if head.entry.writer != own(job).writer || (there > newest && !taken_back()?) {
        let happened = format!("another state directory has gone on with this job, up to {there}; this one has {newest}");
        return refuse(
            StoreErrorKind::Taken,
            happened,
            "to go on here, name an empty state directory; this one's checkpoints are of the past",
        );
    }
    Ok(Beginning::Here(own(job)))
}

/// From the state directory's newest checkpoint, if there is one.
fn go_on(
    blobs: &Arc<dyn Blobs>,
    store: &mut RocksStore,
    identity: Identity,
    head: Option<Head>,
    keep: usize,
) -> std::result::Result<Uploader, StoreError> {
    store.set_link(Link { job: identity.job, writer: identity.writer, importing: false })?;
    let newest = store.commits()?.last().copied();
    // The commit record of a checkpoint that the job was taken back to is another one now.
    let is_behind = head.as_ref().and_then(Head::newest) > newest;
    let last = newest.map_or(Epoch(0), |newest| if is_behind { Epoch(newest.0 - 1) } else { newest });
    let mut uploader = Uploader::open(Arc::clone(blobs), identity, head, last, keep)?;
    if let Some(epoch) = newest.filter(|newest| uploader.newest().is_none_or(|there| there < *newest)) {
        let contents = Contents::of(store, &Ledger::of(store.records()?), epoch)?;
        let uploaded = uploader.upload(&contents, &mut StoreSource(store))?;
        tracing::info!(%epoch, bytes = uploaded.bytes, place = blobs.place(), "the state directory's newest checkpoint is copied");
    }
    Ok(uploader)
}

/// From the place's newest checkpoint, if there is one. The place is taken over first: so there is one newest checkpoint while it is copied, however
/// fast another run makes new ones. A copy that is cut off is begun again by the next run.
fn take_over(
    blobs: &Arc<dyn Blobs>,
    store: &mut RocksStore,
    identity: Identity,
    head: Option<Head>,
    keep: usize,
) -> std::result::Result<Uploader, StoreError> {
    let mut link = Link { job: identity.job, writer: identity.writer, importing: true };
    store.set_link(link)?;
    let uploader = fence(blobs, identity, head, keep)?;
    if let Some(epoch) = uploader.newest() {
        let commit = import(Arc::clone(blobs), epoch, store)?;
        tracing::info!(epoch = %commit.epoch, place = blobs.place(), "the newest checkpoint is restored");
        visit(CrashPoint::Imported);
    }
    link.importing = false;
    store.set_link(link)?;
    Ok(uploader)
}

/// Ends what another run may do in the place. That run may add to the place's log meanwhile; then it is looked at again, with so few requests that one who
/// adds to it as fast as can be is met between two of his.
fn fence(blobs: &Arc<dyn Blobs>, identity: Identity, mut head: Option<Head>, keep: usize) -> std::result::Result<Uploader, StoreError> {
    for _ in 1..FENCES_MAX {
        let (newest, slot) = (head.as_ref().and_then(Head::newest).unwrap_or_default(), head.as_ref().map(|head| head.slot));
        match Uploader::open(Arc::clone(blobs), identity, head, newest, keep) {
            Err(error) if error.kind == StoreErrorKind::Taken => head = Head::read_after(blobs.as_ref(), slot)?,
            outcome => return outcome,
        }
    }
    let newest = head.as_ref().and_then(Head::newest).unwrap_or_default();
    Uploader::open(Arc::clone(blobs), identity, head, newest, keep)
}

/// A number that nobody else has drawn: keys of hash maps are drawn from the system's randomness.
fn random() -> u64 {
    RandomState::new().hash_one((std::process::id(), crate::clock::machine_now_us()))
}

fn new_job() -> JobId {
    JobId(u128::from(random()) << 64 | u128::from(random()))
}
