//! Points of the commit protocol at which a test can end the process, break a part of it, or let its disk fail: named here, visited where they lie.
//!
//! The program visits points whatever it was built for; without the feature `crash-points` a visit is an empty function that vanishes. With the
//! feature, which only tests ask for, the environment says what happens where (`crash_point/script.rs`). So what dies in a test is the real
//! program, at an instant that a random kill would hit once in a thousand times.

#[cfg(feature = "crash-points")]
mod script;

#[cfg(feature = "crash-points")]
pub use script::{VARIABLE, attempt, visit};

macro_rules! points {
    ($($(#[doc = $text:literal])+ $point:ident = $name:literal,)+) => {
        /// A point.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum CrashPoint {
            $($(#[doc = $text])+ $point,)+
        }

        impl CrashPoint {
            /// All points.
            pub const ALL: &[CrashPoint] = &[$(CrashPoint::$point),+];

            /// What a point is called outside of the program.
            pub fn name(self) -> &'static str {
                match self {
                    $(CrashPoint::$point => $name,)+
                }
            }
        }
    };
}

points! {
    /// The identity of a new state directory, or the number of the newest commit, is written under the name of a draft.
    LineDrafted = "line-drafted",
    /// A new state directory says what it is, and has no database.
    DirectoryClaimed = "directory-claimed",
    /// A new database is made, and nothing is in it.
    DatabaseMade = "database-made",
    /// What lies behind the newest commit is about to be forgotten.
    RewindDue = "rewind-due",
    /// A place outside of the state directory has an entry that says who goes on, and nothing of the run before is deleted.
    PlaceTaken = "place-taken",
    /// A part of a checkpoint has been copied from a place outside, and no commit.
    PartImported = "part-imported",
    /// A checkpoint from a place outside is committed here, and the directory still says that it is being copied.
    Imported = "imported",
    /// Taking a job back: the older commit has the sinks' newest handles, and later commits are there.
    TakenBackInPart = "taken-back-in-part",
    /// Recovery has cut a sink's part in progress to what was committed of it.
    StagedCut = "staged-cut",
    /// Recovery, or the first run after one that has committed nothing, has removed one of the files that no commit names.
    LeftoverRemoved = "leftover-removed",
    /// All state is restored, and no epoch has begun.
    Restored = "restored",
    /// One more split's chain has a barrier, and not all may have it.
    ChainMarked = "chain-marked",
    /// The replicas of one core have a delta with a barrier, and no other core has been sent it.
    OneCoreTold = "one-core-told",
    /// A standby is about to apply a delta with a barrier.
    StandbyBehind = "standby-behind",
    /// A primary has applied a delta with a barrier.
    PrimaryAtBarrier = "primary-at-barrier",
    /// A standby has been told that it is the primary.
    Promoted = "promoted",
    /// A partition's list is complete, and nothing of it is written.
    ListUnwritten = "list-unwritten",
    /// A partition's list is written, and nobody has been told.
    ListWritten = "list-written",
    /// The coordinator is about to hear that a partition has acked.
    AckUntold = "ack-untold",
    /// A sink is about to be asked to prepare.
    PrepareAsked = "prepare-asked",
    /// A sink has taken an epoch's late rows or changes out of its memory, and written none.
    LateTakenIn = "late-taken-in",
    /// A sink has written an epoch's rows, and not made them durable.
    StagedUnsynced = "staged-unsynced",
    /// A sink has made an epoch's rows durable, and has no handle.
    StagedSynced = "staged-synced",
    /// A sink has prepared, and nobody has been told.
    PreparedUntold = "prepared-untold",
    /// The coordinator has been told that a sink has prepared; others may not have.
    PreparedTold = "prepared-told",
    /// Partitions and sinks are ready, and the commit record is not written.
    CommitUnwritten = "commit-unwritten",
    /// The commit record is durable, and the number of the newest commit is that of an older one.
    CommitUnmarked = "commit-unmarked",
    /// The commit record is durable, and the coordinator does not know.
    CommitUntold = "commit-untold",
    /// The coordinator knows of a commit, and no sink does.
    CommitUnpublished = "commit-unpublished",
    /// A complete part is about to get its published name.
    PartUnnamed = "part-unnamed",
    /// A part has its published name, which is not durable.
    PartNamed = "part-named",
    /// One of several parts of a commit is published.
    PartsInPart = "parts-in-part",
    /// What no kept checkpoint needs is about to be removed.
    ForgetDue = "forget-due",
    /// What no kept checkpoint needs is removed, which is not durable.
    Forgotten = "forgotten",
    /// A pack of an upload is there, and nothing names it.
    PackPut = "pack-put",
    /// The log outside names a checkpoint, and it is not published.
    EntryCreated = "entry-created",
    /// One of the objects that no kept checkpoint needs is deleted.
    CollectedInPart = "collected-in-part",
    /// The persister knows that a checkpoint is copied, and no sink does.
    UploadUnpublished = "upload-unpublished",
    /// The state directory's database is about to be read.
    StoreRead = "store-read",
    /// The state directory's database is about to be changed.
    StoreChange = "store-change",
    /// It has been changed, and who wanted it does not know.
    StoreChanged = "store-changed",
    /// A file sink is about to change a file or directory.
    OutputChange = "output-change",
}

/// The process is at a point: nothing happens.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn visit(_: CrashPoint) {}

/// The process is at a point where disks may fail: none does.
///
/// # Errors
/// None.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn attempt(_: CrashPoint) -> std::io::Result<()> {
    Ok(())
}
