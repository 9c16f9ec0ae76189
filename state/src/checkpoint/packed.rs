//! Checkpoints in an object store: packs of archives, and a log of small objects that says which packs make a checkpoint.
//!
//! ```text
//! packs/<epoch>-<run>-<number>   archives of records and partitions' states, an index, a footer      (pack)
//! commits/<slot>                 an entry of the log: who writes, what is kept, the packs of an epoch (log)
//! ```
//!
//! A local store's archives are copied as they are, checksums included. What an epoch needs and no pack of the last one has goes into new packs;
//! an entry that names all packs of its cover is created last, and is what makes the epoch a checkpoint here.
//!
//! # Invariants
//! - *Whole.* An entry is created after all packs that it names. Objects are never written again under their names.
//! - *One writer.* Entries have consecutive slots, and creating one fails if it is there. Each run first takes over by creating an entry in the next
//!   slot, which is the one that the run before would need. Such entries are never deleted, so a run or a request that comes late finds its slot
//!   taken, however late it is.
//! - *Nothing needed goes.* Deleted are first entries of epochs that the newest entry does not keep, then packs that no kept entry names and no upload
//!   in progress has put. After a crash anywhere in this, the same is found to be deleted by listing.
//! - *Named.* Every byte is under a checksum: archives under their own, over their place; a pack's index and footer and an entry under theirs, over
//!   the object's name.
//!
//! # Cost
//! Per epoch: an object or more with what is new, and an entry. Packs of which less than half is needed are emptied into the next one, so what is
//! copied twice is never more than what has become useless, and what lies there not more than about twice what is needed.
//!
//! Modules in reading order: [`blobs`] is what an object store is asked for, [`memory`] one for tests; [`contents`] is what a checkpoint
//! is made of; [`pack`] and [`log`] are objects; [`ledger`] decides what goes into new packs; [`uploader`] copies and deletes, [`reader`] reads as a
//! store does; [`savepoint`] copies one checkpoint from anywhere to anywhere.

pub mod blobs;
pub mod memory;
pub mod contents;
pub mod pack;
pub mod log;
pub mod ledger;
pub mod reader;
pub mod uploader;
pub mod savepoint;

pub use blobs::Blobs;
pub use contents::{ArchiveSource, Contents};
pub use log::{Head, JobId, Slot};
pub use memory::MemoryBlobs;
pub use reader::PackedStore;
pub use savepoint::{export, import};
pub use uploader::{Identity, Uploaded, Uploader};
