//! The ledger of packs: what is copied, and how much of it over time.

use super::*;
use crate::checkpoint::packed::pack::Placed;
use crate::checkpoint::place::ArchiveKey;
use raympp_types::{Epoch, PartitionId, StoreUid, StreamId};

fn record(slice: i64, to: u64) -> RecordId {
    let (stream, partition, store) = (StreamId(0), PartitionId(0), StoreUid(0));
    RecordId { stream, partition, store, slice, from: Epoch(to - 1), to: Epoch(to) }
}

/// A pack of records with one part of so many bytes each.
fn pack(records: &[(RecordId, u64)]) -> PackIndex {
    let placed = |key, bytes: u64| Placed { key, offset: 0, bytes: bytes as u32 };
    let of = |&(id, bytes): &(RecordId, u64)| [placed(ArchiveKey::of_part(&id, 0), bytes), placed(ArchiveKey::of_index(&id), 0)];
    PackIndex { archives: records.iter().flat_map(of).collect() }
}

fn needed(records: &[(RecordId, u64)]) -> BTreeMap<RecordId, u64> {
    records.iter().copied().collect()
}

fn ids(records: &[(RecordId, u64)]) -> BTreeSet<RecordId> {
    records.iter().map(|(id, _)| *id).collect()
}

#[test]
fn only_what_is_new_is_copied() {
    let (old, new) = ([(record(1, 1), 100), (record(2, 1), 100)], (record(1, 2), 10));
    let mut ledger = PackLedger::default();
    ledger.add("a", &pack(&old));
    let all = [old[0], old[1], new];
    assert_eq!(ledger.plan(&needed(&all)), ids(&[new]));
    ledger.add("b", &pack(&[new]));
    assert_eq!(ledger.plan(&needed(&all)), ids(&[]));
    assert_eq!(ledger.cover(ids(&all).iter()), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
}

#[test]
fn a_pack_of_which_less_than_half_is_needed_is_emptied() {
    let old = [(record(1, 1), 49), (record(2, 1), 51)];
    let mut ledger = PackLedger::default();
    ledger.add("a", &pack(&old));
    assert_eq!(ledger.plan(&needed(&old[1..])), ids(&[]));
    assert_eq!(ledger.plan(&needed(&old[..1])), ids(&old[..1]));
}

#[test]
fn a_record_that_was_not_finished_is_begun_anew() {
    let id = record(1, 1);
    let part = |number| Placed { key: ArchiveKey::of_part(&id, number), offset: 0, bytes: 10 };
    let end = Placed { key: ArchiveKey::of_index(&id), offset: 0, bytes: 1 };
    let needed = needed(&[(id, 20)]);
    let mut ledger = PackLedger::default();
    ledger.add("a", &PackIndex { archives: vec![part(0)] });
    assert_eq!(ledger.plan(&needed), ids(&[(id, 20)]));
    ledger.add("b", &PackIndex { archives: vec![part(0)] });
    ledger.add("c", &PackIndex { archives: vec![part(1), end] });
    assert_eq!(ledger.plan(&needed), ids(&[]));
    assert_eq!(ledger.cover([id].iter()), BTreeSet::from(["b".to_owned(), "c".to_owned()]));
}

/// Each epoch brings a record that stays for some epochs. Returns bytes new, bytes copied, and the most packs a checkpoint named.
fn run(epochs: u64, bytes: impl Fn(u64) -> u64, lives: impl Fn(u64) -> u64) -> (u64, u64, usize) {
    let (mut ledger, mut fresh, mut copied, mut packs_max) = (PackLedger::default(), 0, 0, 0);
    let mut all: Vec<(RecordId, u64)> = Vec::new();
    for epoch in 1..=epochs {
        all.push((record(0, epoch), bytes(epoch)));
        all.retain(|(id, _)| id.to.0 + lives(id.to.0) > epoch);
        fresh += bytes(epoch);
        let needed = needed(&all);
        let plan = ledger.plan(&needed);
        let new: Vec<(RecordId, u64)> = all.iter().filter(|(id, _)| plan.contains(id)).copied().collect();
        copied += new.iter().map(|(_, bytes)| bytes).sum::<u64>();
        ledger.add(&format!("{epoch:06}"), &pack(&new));
        let cover = ledger.cover(needed.keys());
        packs_max = packs_max.max(cover.len());
        let held: u64 = cover.iter().map(|pack| ledger.packs[pack].bytes).sum();
        let live: u64 = needed.values().sum();
        assert!(held <= 2 * live, "epoch {epoch}: {held} bytes for {live}");
        ledger.keep(&cover);
    }
    (fresh, copied, packs_max)
}

#[test]
fn copying_again_is_no_more_than_copying() {
    let large = SMALL_BYTES;
    for (fresh, copied, _) in
        [run(500, |_| large, |epoch| 1 + epoch % 7), run(500, |epoch| large * (1 + epoch % 5), |epoch| 1 + epoch * 31 % 40)]
    {
        assert!(copied <= 2 * fresh, "{copied} bytes copied of {fresh}");
    }
}

#[test]
fn small_packs_stay_few() {
    let (fresh, copied, packs) = run(3000, |_| 1000, |_| 10_000);
    assert!(packs <= SMALL_PACKS_MAX + 16, "{packs} packs");
    assert!(copied <= 8 * fresh, "{copied} bytes copied of {fresh}");
    let (_, _, packs) = run(400, |epoch| SMALL_BYTES >> (epoch / 12).min(20), |_| 10_000);
    assert!(packs <= SMALL_PACKS_MAX + 24, "{packs} packs of falling sizes");
}
