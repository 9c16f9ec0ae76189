//! What the partitions of a stream begin with: a checkpoint's records, brought into the form that the run's plan and partitions want.
//!
//! Records that stay what they are go to the replica only; the checkpoint has them. Others go into the first epoch's lists as well, so the first
//! checkpoint of the run has the stream's whole state in its new form, under new names; the old ones serve the checkpoints before it.

use super::{Checkpoints, KeptStore, ResumePoint};
use crate::error::Result;
use raympp_state::checkpoint::{Record, StreamCommit};
use raympp_state::epoch_list::{EpochLists, Uncounted};
use raympp_state::replica::Replica;
use raympp_types::{Epoch, KeyGroups, PartitionId, StoreUid};
use std::collections::BTreeMap;

/// A record of a store of the plan.
struct HeldRecord {
    position: usize,
    slice: i64,
    record: Record,
    is_new: bool,
}

/// What one partition begins with.
#[derive(Default)]
pub(crate) struct Held {
    records: Vec<HeldRecord>,
    pub(crate) uncounted: Uncounted,
}

impl Held {
    /// Gives its groups to a replica that has read nothing.
    pub(crate) fn load_into(&self, replica: &mut Replica) {
        self.records.iter().for_each(|held| replica.load(held.position, held.slice, &held.record));
    }

    /// Puts what the checkpoint does not have in this form into the lists of the epoch behind it.
    pub(crate) fn put_back_into(&self, lists: &mut EpochLists, behind: Epoch) {
        for HeldRecord { position, slice, record, .. } in self.records.iter().filter(|held| held.is_new) {
            lists.put_back(behind, &BTreeMap::from([((*position, *slice), record.clone())]), &Uncounted::default());
        }
    }
}

/// Reads what partitions begin with.
pub(crate) struct HeldStream<'a> {
    checkpoints: &'a Checkpoints,
    resume: &'a ResumePoint,
    stores: &'a [KeptStore],
    /// By partition, where the checkpoint has other partitions than the run.
    regrouped: Option<BTreeMap<PartitionId, Held>>,
}

impl<'a> HeldStream<'a> {
    /// For a run with these partitions.
    ///
    /// # Errors
    /// [`crate::Error::Checkpoint`] if the checkpoint can't be read.
    pub(crate) fn open(
        checkpoints: &'a Checkpoints,
        resume: &'a ResumePoint,
        stores: &'a [KeptStore],
        key_groups: KeyGroups,
    ) -> Result<HeldStream<'a>> {
        let mut held = HeldStream { checkpoints, resume, stores, regrouped: None };
        if key_groups.partitions() != resume.stream.partitions {
            let mut regrouped: BTreeMap<PartitionId, Held> = BTreeMap::new();
            for partition in (0..resume.stream.partitions).map(PartitionId) {
                for HeldRecord { position, slice, record, is_new } in held.read(partition)? {
                    for (partition, record) in record.by_partition(key_groups) {
                        regrouped.entry(partition).or_default().records.push(HeldRecord { position, slice, record, is_new });
                    }
                }
            }
            held.regrouped = Some(regrouped);
        }
        Ok(held)
    }

    /// What a partition begins with.
    pub(crate) fn partition(&mut self, partition: PartitionId) -> Result<Held> {
        let mut held = match &mut self.regrouped {
            Some(regrouped) => regrouped.remove(&partition).unwrap_or_default(),
            None => Held { records: self.read(partition)?, ..Held::default() },
        };
        // What counts in no window is known for the stream as a whole, which is all that anybody asks for.
        if partition == PartitionId(0) {
            held.uncounted = uncounted(&self.resume.stream, self.stores);
        }
        Ok(held)
    }

    fn read(&self, partition: PartitionId) -> Result<Vec<HeldRecord>> {
        let wanted = self.stores.iter().map(|store| (store.uid, store.columns.clone())).collect();
        let loaded = self.checkpoints.load(self.resume.stream.id, partition, wanted)?;
        let of_store = |(store, slices): (&KeptStore, Vec<(i64, Record)>)| {
            let held = |(slice, record)| HeldRecord { position: store.position, slice: store.slice(slice), record, is_new: !store.is_same };
            slices.into_iter().map(held).collect::<Vec<_>>()
        };
        Ok(self.stores.iter().zip(loaded).flat_map(of_store).collect())
    }
}

fn uncounted(stream: &StreamCommit, stores: &[KeptStore]) -> Uncounted {
    let bad_of = |uid: StoreUid| stream.counts.bad_by_store.iter().find(|(other, _)| *other == uid).map(|(_, bad)| *bad);
    let bad_by_store = stores.iter().filter_map(|store| Some((store.position, bad_of(store.uid)?))).collect();
    Uncounted { late: stream.counts.late, bad: stream.counts.bad, bad_by_store }
}
