//! Keys of a run of entries, which ascend: each says how much of the one before it begins with, then only what differs (front coding).

use super::ints::IntsV2;
use crate::delta::KeyList;
use rkyv::{Archive, Serialize};
use std::ops::Range;

#[derive(Archive, Serialize)]
pub(super) struct KeysV2 {
    /// By key, how many bytes it shares with the one before.
    shared: IntsV2,
    /// By key, how many bytes follow them.
    rest: IntsV2,
    /// Those that follow, one key's behind the other's.
    bytes: Vec<u8>,
}

impl KeysV2 {
    /// Some keys of a list.
    pub(super) fn of(keys: &KeyList, run: Range<usize>) -> KeysV2 {
        let (run_bytes, ends) = keys.run(run.clone());
        let (mut shared, mut rest, mut bytes) = (Vec::with_capacity(run.len()), Vec::with_capacity(run.len()), Vec::new());
        let (mut before, mut start): (&[u8], usize) = (&[], 0);
        for end in ends {
            let key = &run_bytes[start..end];
            let same = before.iter().zip(key).take_while(|(a, b)| a == b).count();
            shared.push(same as u64);
            rest.push((key.len() - same) as u64);
            bytes.extend_from_slice(&key[same..]);
            (before, start) = (key, end);
        }
        KeysV2 { shared: IntsV2::of(shared.into_iter()), rest: IntsV2::of(rest.into_iter()), bytes }
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.shared.bytes() + self.rest.bytes() + self.bytes.len()
    }
}

impl ArchivedKeysV2 {
    /// Appends so many keys, which together have `bytes_max` bytes at most unless there is one only.
    pub(super) fn append_to(&self, count: usize, keys: &mut KeyList, bytes_max: usize) -> Result<(), &'static str> {
        let (mut shared, mut rest) = (Vec::with_capacity(count), Vec::with_capacity(count));
        self.shared.append_to(count, &mut shared, |bytes| bytes as usize)?;
        self.rest.append_to(count, &mut rest, |bytes| bytes as usize)?;
        let (mut total, mut before, mut following) = (0, 0, 0);
        for (&shared, &rest) in shared.iter().zip(&rest) {
            if shared > before {
                return Err("a key shares more with the one before than that one has");
            }
            if rest > self.bytes.len() - following {
                return Err("a key lies outside its part");
            }
            (before, following) = (shared + rest, following + rest);
            total += before;
            if count > 1 && total > bytes_max {
                return Err("its keys are more than a part has");
            }
        }
        if following < self.bytes.len() {
            return Err("bytes follow the last key");
        }
        keys.append_front_coded(&shared, &rest, &self.bytes, total);
        Ok(())
    }
}
