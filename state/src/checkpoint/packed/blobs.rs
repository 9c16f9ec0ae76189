//! What an object store is asked for.

use crate::checkpoint::error::{StoreError, StoreErrorKind};
use std::ops::Range;

/// Objects under names of letters, digits, `-` and `/`.
///
/// # Contract
/// - *Whole.* An object is there with all its bytes or not at all, and durable when the call returns.
/// - *At once.* What a call has done, every later call of anybody sees, also in lists.
/// - *After an error* a call may have happened, or not, or may still happen.
pub trait Blobs: Send + Sync {
    /// Where it is, for messages: a URL or a path.
    fn place(&self) -> &str;

    /// Puts an object under a name that nobody else uses.
    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError>;

    /// Puts an object unless there is one of that name. False if there is.
    fn create(&self, name: &str, bytes: Vec<u8>) -> Result<bool, StoreError>;

    /// An object's bytes, or those of a range that are there; `None` if there is no such object.
    fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<Option<Vec<u8>>, StoreError>;

    /// Names of all objects that begin with `folder` and their bytes, by name.
    fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, StoreError>;

    /// Removes an object, which need not be there.
    fn delete(&self, name: &str) -> Result<(), StoreError>;

    /// Whoever makes calls ends: those under way, and later ones, fail soon.
    fn stop(&self) {}
}

/// An object as messages name it.
pub(super) fn text_of(blobs: &dyn Blobs, name: &str) -> String {
    format!("{}/{name}", blobs.place())
}

/// An object that is named and not there.
pub(super) fn gone(blobs: &dyn Blobs, name: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Damaged,
        text_of(blobs, name),
        "it is not there",
        "restore another checkpoint; somebody or something deletes objects",
    )
}
