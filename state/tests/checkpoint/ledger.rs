//! The ledger against sets of epochs: whatever is appended, merged, removed and lost, each kept epoch has a cover that holds exactly what came.

use crate::sample::slice;
use raympp_state::checkpoint::ledger::RECORDS_MAX;
use raympp_state::checkpoint::{Ledger, RecordId};
use raympp_testkit::random::Random;
use raympp_types::Epoch;
use std::collections::{BTreeMap, BTreeSet};

/// One slice: the ledger, and what is in each record that a store would have.
struct World {
    random: Random,
    ledger: Ledger,
    records: BTreeMap<RecordId, (BTreeSet<u64>, u64)>,
    /// Epochs whose list was not empty.
    touched: BTreeSet<u64>,
    /// Epochs whose list the partition wrote.
    written: BTreeSet<u64>,
    /// Those that are kept.
    committed: BTreeSet<u64>,
    now: u64,
    keep: usize,
    /// Merge below the newest epoch instead of the oldest kept one.
    eager: bool,
    merged_to: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let (keep, eager) = (1 + random.index(10), random.once_in(2));
        World {
            random,
            ledger: Ledger::default(),
            records: BTreeMap::new(),
            touched: BTreeSet::new(),
            written: BTreeSet::new(),
            committed: BTreeSet::new(),
            now: 0,
            keep,
            eager,
            merged_to: 0,
        }
    }

    fn kept(&self) -> Vec<Epoch> {
        self.committed.iter().map(|&epoch| Epoch(epoch)).collect()
    }

    fn add(&mut self, id: RecordId, content: BTreeSet<u64>, bytes: u64) {
        self.ledger.add(&id, bytes);
        self.records.insert(id, (content, bytes));
    }

    /// An epoch ends, and its list is written or merged into the next one's.
    fn append(&mut self) {
        self.now += 1;
        if !self.random.once_in(3) {
            self.touched.insert(self.now);
        }
        if self.random.once_in(6) {
            return;
        }
        let from = self.written.last().copied().unwrap_or(0);
        let content: BTreeSet<u64> = self.touched.range(from + 1..).copied().collect();
        if !content.is_empty() {
            let bytes = [1, 100, 10_000][self.random.index(3)] * (1 + self.random.below(20));
            self.add(slice(0).record(Epoch(from), Epoch(self.now)), content, bytes);
        }
        self.written.insert(self.now);
    }

    fn commit(&mut self) {
        let open: Vec<u64> = self.written.iter().copied().filter(|epoch| self.committed.last().is_none_or(|last| epoch > last)).collect();
        if !open.is_empty() {
            self.committed.insert(open[self.random.index(open.len())]);
        }
        if self.committed.len() > self.keep {
            self.committed.pop_first();
        }
    }

    fn merge(&mut self) {
        let kept = self.kept();
        let epoch = if self.eager { self.written.last().map(|&epoch| Epoch(epoch)) } else { kept.first().copied() };
        let Some(epoch) = epoch.filter(|epoch| epoch.0 >= self.merged_to) else { return };
        self.merged_to = epoch.0;
        while let Some(merge) = self.ledger.next_merge(slice(0), epoch) {
            assert!(merge.inputs.len() >= 2);
            let inputs: Vec<(BTreeSet<u64>, u64)> = merge.inputs.iter().map(|id| self.records[id].clone()).collect();
            let sum: u64 = inputs.iter().map(|(_, bytes)| bytes).sum();
            let largest = inputs.iter().map(|&(_, bytes)| bytes).max().unwrap();
            let content = inputs.iter().flat_map(|(content, _)| content).copied().collect();
            let bytes = largest + self.random.below(sum - largest + 1);
            self.add(merge.output, content, bytes);
        }
    }

    fn let_go(&mut self) {
        let obsolete = self.ledger.obsolete(&self.kept(), |_| true);
        let gone = obsolete.len().min(self.random.index(20));
        // Several calls, for a crash may come between them.
        for id in &obsolete[..gone] {
            self.ledger.remove(&[*id]);
            self.records.remove(id).unwrap();
        }
    }

    /// The machine stops; what was written after the newest commit, or after an older one that is kept, is taken back.
    fn restart(&mut self) {
        let kept = self.kept();
        let back = if kept.is_empty() { Epoch(0) } else { self.random.pick(&kept) };
        self.records.retain(|id, _| id.to <= back);
        self.ledger = Ledger::of(self.records.iter().map(|(id, (_, bytes))| (*id, *bytes)));
        for epochs in [&mut self.touched, &mut self.written, &mut self.committed] {
            epochs.retain(|&epoch| epoch <= back.0);
        }
        (self.now, self.merged_to) = (back.0, self.merged_to.min(back.0));
    }

    fn check(&self, what: &str) {
        let oldest = self.kept().first().map_or(0, |epoch| epoch.0);
        let later = self.written.iter().copied().filter(|epoch| self.committed.last().is_none_or(|last| epoch > last));
        for epoch in self.kept().iter().map(|epoch| epoch.0).chain(later) {
            let cover = self.ledger.cover(slice(0), Epoch(epoch)).unwrap_or_else(|| panic!("{what}: no cover of {epoch}"));
            assert!(cover.is_sorted_by(|a, b| a.to <= b.from), "{what}: {cover:?}");
            let held: Vec<u64> = cover.iter().flat_map(|id| &self.records[id].0).copied().collect();
            let came: Vec<u64> = self.touched.range(..=epoch).copied().collect();
            assert_eq!(held, came, "{what}: epoch {epoch}, oldest kept {oldest}");
        }
        assert_eq!(self.ledger.len(), self.records.len());
        assert_eq!(self.ledger.bytes(), self.records.values().map(|(_, bytes)| bytes).sum::<u64>());
    }
}

#[test]
fn every_kept_epoch_has_an_exact_cover_whatever_happens() {
    for seed in 0..300 {
        let mut world = World::new(seed);
        for step in 0..200 {
            match world.random.index(12) {
                0..=4 => world.append(),
                5..=7 => world.commit(),
                8..=9 => world.merge(),
                10 => world.let_go(),
                _ if world.random.once_in(8) => world.restart(),
                _ => world.let_go(),
            }
            world.check(&format!("seed {seed}, step {step}"));
        }
    }
}

#[test]
fn an_epoch_that_is_not_kept_has_no_cover_instead_of_a_wrong_one() {
    let merged = slice(0).record(Epoch(2), Epoch(6));
    let ledger = Ledger::of([(slice(0).record(Epoch(0), Epoch(1)), 1), (merged, 1)]);
    let cover = |epoch| ledger.cover(slice(0), Epoch(epoch)).map(|cover| cover.len());
    assert_eq!([0, 1, 2, 3, 5, 6, 7].map(cover), [Some(0), Some(1), Some(1), None, None, Some(2), Some(2)]);
    assert_eq!(ledger.cover(slice(1), Epoch(6)), Some(vec![]));
}

#[test]
fn inputs_stay_as_long_as_a_kept_epoch_lies_between_the_ends() {
    let (input, merged) = (slice(0).record(Epoch(0), Epoch(3)), slice(0).record(Epoch(0), Epoch(6)));
    let ledger = Ledger::of([(input, 1), (slice(0).record(Epoch(3), Epoch(6)), 1), (merged, 1)]);
    let obsolete = |kept: &[u64]| ledger.obsolete(&kept.iter().map(|&epoch| Epoch(epoch)).collect::<Vec<_>>(), |_| true).len();
    assert_eq!(obsolete(&[]), 0, "nothing is committed yet");
    assert_eq!(obsolete(&[2]), 0, "3, 4 and 5 may still be committed");
    assert_eq!(obsolete(&[3, 6]), 1, "the second input is of no use: 3 ends before it");
    assert_eq!(obsolete(&[5, 6]), 1);
    assert_eq!(obsolete(&[6]), 2);
    assert_eq!(obsolete(&[2, 7]), 2);
    assert_eq!(ledger.obsolete(&[Epoch(2)], |_| false).len(), 3, "slices go as a whole");
}

/// Appends one record per epoch, merges at once and lets go at once. Returns bytes that were written in all, and the most records a cover had.
fn run(epochs: u64, bytes_of: impl Fn(u64) -> u64, merged_bytes: impl Fn(&[u64]) -> u64) -> (u64, usize, u64) {
    let mut ledger = Ledger::default();
    let mut sizes = BTreeMap::new();
    let (mut written, mut most) = (0, 0);
    for epoch in 1..=epochs {
        let id = slice(0).record(Epoch(epoch - 1), Epoch(epoch));
        let mut pending = vec![(id, bytes_of(epoch))];
        while let Some((id, bytes)) = pending.pop() {
            ledger.add(&id, bytes);
            sizes.insert(id, bytes);
            written += bytes;
            if let Some(merge) = ledger.next_merge(slice(0), Epoch(epoch)) {
                let inputs: Vec<u64> = merge.inputs.iter().map(|id| sizes[id]).collect();
                pending.push((merge.output, merged_bytes(&inputs)));
            }
        }
        ledger.remove(&ledger.obsolete(&[Epoch(epoch)], |_| true));
        most = most.max(ledger.cover(slice(0), Epoch(epoch)).unwrap().len());
    }
    (written, most, ledger.bytes())
}

fn sum(inputs: &[u64]) -> u64 {
    inputs.iter().sum()
}

fn largest(inputs: &[u64]) -> u64 {
    inputs.iter().copied().max().unwrap()
}

#[test]
fn ever_new_keys_are_written_a_few_times_and_lie_in_a_few_records() {
    let (written, most, left) = run(10_000, |_| 100, sum);
    assert_eq!(left, 1_000_000, "nothing is lost and nothing is kept twice");
    assert!(written <= 12 * left, "about once for every doubling: {written}");
    assert!(most <= RECORDS_MAX + 4, "{most}");
}

#[test]
fn the_same_keys_again_and_again_are_hardly_rewritten() {
    let (written, most, left) = run(10_000, |_| 100, largest);
    assert!(left <= 100 * RECORDS_MAX as u64, "{left}");
    assert!(written <= 1_200_000, "one rewriting for every eight records: {written}");
    assert!(most <= RECORDS_MAX, "{most}");
}

#[test]
fn a_large_record_is_not_rewritten_for_small_ones() {
    let (written, most, left) = run(10_000, |epoch| if epoch == 20 { 100_000_000 } else { 100 }, sum);
    assert_eq!(left, 100_999_900);
    assert!(written <= 220_000_000, "{written}");
    assert!(most <= RECORDS_MAX + 20, "{most}");
}

#[test]
fn sizes_by_chance_are_written_a_few_times() {
    for seed in 0..20 {
        let size = |epoch: u64| 1 << Random::new(1000 * seed + epoch).below(20);
        let (written, most, left) = run(3_000, size, sum);
        assert!(written <= 10 * left, "seed {seed}: {written} for {left}");
        assert!(most <= RECORDS_MAX + 25, "seed {seed}: {most}");
    }
}
