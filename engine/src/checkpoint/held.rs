//! What the partitions of a stream begin with: a checkpoint's records, brought into the form that the run's plan and partitions want.
//!
//! Records that stay what they are go to the replica only; the checkpoint has them. Others go into the first epoch's lists as well, so the first
//! checkpoint of the run has the stream's whole state in its new form, under new names; the old ones serve the checkpoints before it.

use super::{Checkpoints, KeptStore, LoadedRecord, ResumePoint};
use crate::error::Result;
use raympp_state::checkpoint::{Record, StreamCommit};
use raympp_state::epoch_list::{EpochLists, Uncounted};
use raympp_state::replica::Replica;
use raympp_types::{Epoch, KeyGroups, PartitionId, StoreUid};
use std::collections::BTreeMap;

/// A record of a store of the plan.
#[derive(Clone)]
pub(crate) struct HeldRecord {
    position: usize,
    slice: i64,
    record: Record,
    is_new: bool,
}

impl HeldRecord {
    /// Gives its groups to a replica that has read nothing.
    pub(crate) fn load_into(self, replica: &mut Replica) {
        replica.load(self.position, self.slice, self.record);
    }

    /// If the checkpoint does not have it in this form, puts it into the lists of the epoch behind it.
    pub(crate) fn put_back_into(&self, lists: &mut EpochLists, behind: Epoch) {
        if self.is_new {
            let records = BTreeMap::from([((self.position, self.slice), self.record.clone())]);
            lists.put_back(behind, &records, &Uncounted::default());
        }
    }
}

/// Reads what partitions begin with.
pub(crate) struct HeldStream<'a> {
    checkpoints: &'a Checkpoints,
    resume: &'a ResumePoint,
    stores: &'a [KeptStore],
    /// By partition, where the checkpoint has other partitions than the run.
    regrouped: Option<BTreeMap<PartitionId, Vec<HeldRecord>>>,
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
            let mut regrouped: BTreeMap<PartitionId, Vec<HeldRecord>> = BTreeMap::new();
            for partition in (0..resume.stream.partitions).map(PartitionId) {
                held.read(partition, |HeldRecord { position, slice, record, is_new }| {
                    for (partition, record) in record.by_partition(key_groups) {
                        regrouped.entry(partition).or_default().push(HeldRecord { position, slice, record, is_new });
                    }
                })?;
            }
            held.regrouped = Some(regrouped);
        }
        Ok(held)
    }

    /// Gives what a partition begins with to `take`.
    pub(crate) fn partition(&mut self, partition: PartitionId, take: impl FnMut(HeldRecord)) -> Result<()> {
        match &mut self.regrouped {
            Some(regrouped) => regrouped.remove(&partition).into_iter().flatten().for_each(take),
            None => self.read(partition, take)?,
        }
        Ok(())
    }

    /// What a partition has counted in no window. It is known for the stream as a whole, which is all that anybody asks for.
    pub(crate) fn uncounted(&self, partition: PartitionId) -> Uncounted {
        if partition == PartitionId(0) { uncounted(&self.resume.stream, self.stores) } else { Uncounted::default() }
    }

    fn read(&self, partition: PartitionId, mut take: impl FnMut(HeldRecord)) -> Result<()> {
        let wanted = self.stores.iter().map(|store| (store.uid, store.columns.clone())).collect();
        for loaded in self.checkpoints.load(self.resume.stream.id, partition, wanted) {
            let LoadedRecord { store, slice, record } = loaded?;
            let store = &self.stores[store];
            take(HeldRecord { position: store.position, slice: store.slice(slice), record, is_new: !store.is_same });
        }
        Ok(())
    }
}

fn uncounted(stream: &StreamCommit, stores: &[KeptStore]) -> Uncounted {
    let bad_of = |uid: StoreUid| stream.counts.bad_by_store.iter().find(|(other, _)| *other == uid).map(|(_, bad)| *bad);
    let bad_by_store = stores.iter().filter_map(|store| Some((store.position, bad_of(store.uid)?))).collect();
    Uncounted { late: stream.counts.late, bad: stream.counts.bad, bad_by_store }
}
