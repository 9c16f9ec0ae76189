//! Objects in memory, for tests: calls fail or the caller is cut off at will.

use super::blobs::Blobs;
use crate::checkpoint::error::{StoreError, StoreErrorKind};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How calls that change something fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Not at all.
    Fair,
    /// So many calls succeed; the next one fails after it has happened or without, and all others after it: as for one who is killed.
    CutOff {
        /// Calls that succeed.
        after: u64,
        /// Whether the one that is cut off has happened.
        happened: bool,
    },
    /// So many calls succeed; then one fails as in [`Weather::CutOff`], and all others succeed.
    Lightning {
        /// Calls that succeed before it.
        after: u64,
        /// Whether it has happened.
        happened: bool,
    },
}

struct Inner {
    objects: BTreeMap<String, Arc<[u8]>>,
    weather: Weather,
    calls: u64,
    put_bytes: u64,
}

/// An object store without a network. Clones share the objects.
#[derive(Clone)]
pub struct MemoryBlobs(Arc<Mutex<Inner>>);

impl Default for MemoryBlobs {
    fn default() -> MemoryBlobs {
        let inner = Inner { objects: BTreeMap::new(), weather: Weather::Fair, calls: 0, put_bytes: 0 };
        MemoryBlobs(Arc::new(Mutex::new(inner)))
    }
}

impl MemoryBlobs {
    /// How calls fail from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.inner().weather = weather;
    }

    /// Calls so far that change something.
    pub fn calls(&self) -> u64 {
        self.inner().calls
    }

    /// Bytes of all objects put so far.
    pub fn put_bytes(&self) -> u64 {
        self.inner().put_bytes
    }

    /// All objects.
    pub fn objects(&self) -> BTreeMap<String, Arc<[u8]>> {
        self.inner().objects.clone()
    }

    /// Puts bytes in place of an object, or takes it away.
    pub fn overwrite(&self, name: &str, bytes: Option<&[u8]>) {
        let mut inner = self.inner();
        match bytes {
            Some(bytes) => inner.objects.insert(name.to_owned(), Arc::from(bytes)),
            None => inner.objects.remove(name),
        };
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries a change out, or fails.
    fn change<T>(&self, name: &str, change: impl FnOnce(&mut Inner) -> T) -> Result<T, StoreError> {
        let mut inner = self.inner();
        inner.calls += 1;
        let happened = match &mut inner.weather {
            Weather::Fair => return Ok(change(&mut inner)),
            Weather::CutOff { after, .. } | Weather::Lightning { after, .. } if *after > 0 => {
                *after -= 1;
                return Ok(change(&mut inner));
            }
            Weather::CutOff { happened, .. } => std::mem::take(happened),
            Weather::Lightning { happened, .. } => {
                let happened = *happened;
                inner.weather = Weather::Fair;
                happened
            }
        };
        if happened {
            change(&mut inner);
        }
        Err(StoreError::new(StoreErrorKind::Io, name, "the call failed as a test asked", "call again"))
    }
}

impl Blobs for MemoryBlobs {
    fn place(&self) -> &str {
        "memory:"
    }

    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.change(name, |inner| {
            inner.put_bytes += bytes.len() as u64;
            inner.objects.insert(name.to_owned(), bytes.into());
        })
    }

    fn create(&self, name: &str, bytes: Vec<u8>) -> Result<bool, StoreError> {
        self.change(name, |inner| {
            let is_new = !inner.objects.contains_key(name);
            if is_new {
                inner.put_bytes += bytes.len() as u64;
                inner.objects.insert(name.to_owned(), bytes.into());
            }
            is_new
        })
    }

    fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<Option<Vec<u8>>, StoreError> {
        let part = |bytes: &Arc<[u8]>| {
            let range = range.clone().unwrap_or(0..bytes.len() as u64);
            let end = (range.end as usize).min(bytes.len());
            bytes[(range.start as usize).min(end)..end].to_vec()
        };
        Ok(self.inner().objects.get(name).map(part))
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let inner = self.inner();
        let of_folder = inner.objects.range(folder.to_owned()..).take_while(|(name, _)| name.starts_with(folder));
        Ok(of_folder.map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect())
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.change(name, |inner| drop(inner.objects.remove(name)))
    }
}
