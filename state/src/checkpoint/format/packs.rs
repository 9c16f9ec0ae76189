//! Packs' indices, and entries of the log that names packs.

use crate::checkpoint::packed::log::{Checkpoint, Entry, JobId, PackRef, Slot};
use crate::checkpoint::packed::pack::{PackIndex, Placed};
use crate::checkpoint::place::{ArchiveKey, Table};
use raympp_types::Epoch;
use rkyv::{Archive, Deserialize, Serialize};

/// What a pack holds, in order.
#[derive(Archive, Serialize, Deserialize)]
pub(in crate::checkpoint) struct PackIndexV1 {
    archives: Vec<PlacedV1>,
}

#[derive(Archive, Serialize, Deserialize)]
struct PlacedV1 {
    /// Position in the order of tables.
    table: u8,
    key: Vec<u8>,
    offset: u64,
    bytes: u32,
}

/// An entry of the log.
#[derive(Archive, Serialize, Deserialize)]
pub(in crate::checkpoint) struct EntryV1 {
    job_high: u64,
    job_low: u64,
    writer: u64,
    run: u64,
    /// Epochs and slots.
    kept: Vec<(u64, u64)>,
    take_overs: Vec<u64>,
    checkpoint: Option<CheckpointV1>,
}

#[derive(Archive, Serialize, Deserialize)]
struct CheckpointV1 {
    epoch: u64,
    commit: Vec<u8>,
    packs: Vec<PackRefV1>,
}

#[derive(Archive, Serialize, Deserialize)]
struct PackRefV1 {
    name: String,
    bytes: u64,
    tail: u64,
    live: Vec<u8>,
}

impl PackIndexV1 {
    pub(in crate::checkpoint) fn of(index: &PackIndex) -> PackIndexV1 {
        let placed = |placed: &Placed| PlacedV1 {
            table: Table::ALL.iter().position(|table| *table == placed.key.table).unwrap_or_default() as u8,
            key: placed.key.key.clone(),
            offset: placed.offset,
            bytes: placed.bytes,
        };
        PackIndexV1 { archives: index.archives.iter().map(placed).collect() }
    }

    pub(in crate::checkpoint) fn into_index(self) -> Result<PackIndex, &'static str> {
        let placed = |placed: PlacedV1| {
            let table = *Table::ALL.get(usize::from(placed.table)).ok_or("its index names a table that is none")?;
            Ok(Placed { key: ArchiveKey::new(table, placed.key), offset: placed.offset, bytes: placed.bytes })
        };
        Ok(PackIndex { archives: self.archives.into_iter().map(placed).collect::<Result<_, &'static str>>()? })
    }
}

impl EntryV1 {
    pub(in crate::checkpoint) fn of(entry: &Entry) -> EntryV1 {
        EntryV1 {
            job_high: (entry.job.0 >> 64) as u64,
            job_low: entry.job.0 as u64,
            writer: entry.writer,
            run: entry.run,
            kept: entry.kept.iter().map(|&(epoch, slot)| (epoch.0, slot.0)).collect(),
            take_overs: entry.take_overs.iter().map(|slot| slot.0).collect(),
            checkpoint: entry.checkpoint.as_ref().map(CheckpointV1::of),
        }
    }

    pub(in crate::checkpoint) fn into_entry(self) -> Entry {
        Entry {
            job: JobId(u128::from(self.job_high) << 64 | u128::from(self.job_low)),
            writer: self.writer,
            run: self.run,
            kept: self.kept.into_iter().map(|(epoch, slot)| (Epoch(epoch), Slot(slot))).collect(),
            take_overs: self.take_overs.into_iter().map(Slot).collect(),
            checkpoint: self.checkpoint.map(CheckpointV1::into_checkpoint),
        }
    }
}

impl CheckpointV1 {
    fn of(checkpoint: &Checkpoint) -> CheckpointV1 {
        let pack = |pack: &PackRef| PackRefV1 { name: pack.name.clone(), bytes: pack.bytes, tail: pack.tail, live: pack.live.clone() };
        let Checkpoint { epoch, commit, packs } = checkpoint;
        CheckpointV1 { epoch: epoch.0, commit: commit.clone(), packs: packs.iter().map(pack).collect() }
    }

    fn into_checkpoint(self) -> Checkpoint {
        let pack = |pack: PackRefV1| PackRef { name: pack.name, bytes: pack.bytes, tail: pack.tail, live: pack.live };
        Checkpoint { epoch: Epoch(self.epoch), commit: self.commit, packs: self.packs.into_iter().map(pack).collect() }
    }
}
