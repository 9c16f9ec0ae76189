//! Which partition owns a key: fixed seeded hash of the key's canonical bytes → key group → range of key groups → partition.
//!
//! The number of key groups is fixed for a stream's life; partitions are contiguous ranges of them, so a stream can be cut into
//! another number of partitions without hashing anything again.

use crate::ids::{PartitionId, SplitId};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

const SEED: u64 = 0x7261_796d_7070_0001;

/// Hash of a key's canonical bytes: XXH3 64 with a fixed seed, the same on every machine and in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyHash(pub u64);

impl KeyHash {
    /// Hashes canonical key bytes.
    pub fn of(key: &[u8]) -> KeyHash {
        KeyHash(xxh3_64_with_seed(key, SEED))
    }
}

/// The key groups of a stream and how they are cut into partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyGroups {
    groups: u32,
    partitions: u32,
}

impl KeyGroups {
    /// Most key groups a stream may have.
    pub const GROUPS_MAX: u32 = 65_536;
    /// Key groups of a stream that names no number.
    pub const GROUPS_DEFAULT: u32 = 256;

    /// `groups` key groups in `partitions` ranges as equal as can be. `None` unless 1 ≤ partitions ≤ groups ≤ 65,536.
    pub fn new(groups: u32, partitions: u32) -> Option<KeyGroups> {
        (1 <= partitions && partitions <= groups && groups <= Self::GROUPS_MAX).then_some(KeyGroups { groups, partitions })
    }

    /// Number of key groups.
    pub fn groups(&self) -> u32 {
        self.groups
    }

    /// Number of partitions.
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// The key group of a key, below [`KeyGroups::groups`].
    pub fn group(&self, hash: KeyHash) -> u32 {
        (hash.0 % u64::from(self.groups)) as u32
    }

    /// The partition that owns the counts of a split: its late and bad rows, which have no key.
    pub fn counts_in(&self, split: SplitId) -> PartitionId {
        self.partition(KeyHash::of(&split.0.to_be_bytes()))
    }

    /// The partition that owns a key.
    pub fn partition(&self, hash: KeyHash) -> PartitionId {
        PartitionId((u64::from(self.group(hash)) * u64::from(self.partitions) / u64::from(self.groups)) as u32)
    }

    /// The key groups `first..end` a partition owns.
    pub fn range(&self, partition: PartitionId) -> std::ops::Range<u32> {
        let (g, p) = (u64::from(self.groups), u64::from(self.partitions));
        let first = |i: u64| (i * g).div_ceil(p) as u32;
        first(u64::from(partition.0))..first(u64::from(partition.0) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_all_groups_once_and_agree_with_ownership() {
        for (groups, partitions) in [(256, 1), (256, 3), (256, 16), (7, 7), (65_536, 1000)] {
            let key_groups = KeyGroups::new(groups, partitions).expect("valid");
            let mut next = 0;
            for p in 0..partitions {
                let range = key_groups.range(PartitionId(p));
                assert_eq!(range.start, next);
                for group in range.clone() {
                    assert_eq!(key_groups.partition(KeyHash(u64::from(group))), PartitionId(p));
                }
                next = range.end;
            }
            assert_eq!(next, groups);
        }
        assert!(KeyGroups::new(2, 3).is_none() && KeyGroups::new(0, 0).is_none() && KeyGroups::new(70_000, 1).is_none());
    }

    #[test]
    fn the_key_hash_never_changes() {
        assert_eq!(KeyHash::of(b"visa").0, 47_947_088_095_092_906);
    }
}
