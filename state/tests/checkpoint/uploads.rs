//! Uploads cut off at any call and gone on with: whatever is kept can be restored, nothing that is needed goes, and nothing that is not stays.

use crate::sample::{accumulators, batch, commit, keys, record, slice};
use raympp_state::checkpoint::packed::contents::StoreSource;
use raympp_state::checkpoint::packed::memory::Weather;
use raympp_state::checkpoint::packed::{Blobs, Contents, Head, Identity, JobId, MemoryBlobs, PackedStore, Uploader, import};
use raympp_state::checkpoint::{CheckpointStore, Ledger, MemoryStore, Record, RecordId, StoreError, StoreErrorKind};
use raympp_testkit::random::Random;
use raympp_types::Epoch;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex};

const JOB: JobId = JobId(99);

/// A job that writes a few records each epoch, merges some, and lets slices go.
struct Job {
    store: MemoryStore,
    ledger: Ledger,
    random: Random,
    epoch: u64,
    /// What each checkpoint has: records by id.
    expected: BTreeMap<u64, BTreeMap<RecordId, Record>>,
    /// All records there have been.
    all: BTreeMap<RecordId, Record>,
    /// Slices before it are gone.
    oldest_slice: i64,
}

impl Job {
    fn new(seed: u64) -> Job {
        let random = Random::new(seed);
        Job {
            store: MemoryStore::new(),
            ledger: Ledger::default(),
            random,
            epoch: 0,
            expected: BTreeMap::new(),
            all: BTreeMap::new(),
            oldest_slice: 0,
        }
    }

    /// One more committed epoch.
    fn advance(&mut self) {
        self.epoch += 1;
        let epoch = self.epoch;
        let mut own: Vec<(RecordId, Record)> = Vec::new();
        for number in 0..4 {
            if self.random.once_in(2) {
                let count = 1 + self.random.index(30);
                let id = slice(self.oldest_slice + number).record(Epoch(epoch - 1), Epoch(epoch));
                own.push((id, record(self.random.bits(), &keys(count), &accumulators())));
            }
        }
        let slices: Vec<_> = self.ledger.all_slices().collect();
        for slice in slices {
            if let Some(merge) = self.ledger.next_merge(slice, Epoch(epoch - 1)) {
                let inputs: Vec<&Record> = merge.inputs.iter().map(|id| &self.all[id]).collect();
                own.push((merge.output, Record::merge(&inputs, None)));
            }
        }
        let written = self.store.write(&batch(epoch, own.clone())).unwrap();
        own.iter().zip(written.record_bytes).for_each(|((id, _), bytes)| self.ledger.add(id, bytes));
        self.all.extend(own);
        self.store.commit(&commit(epoch)).unwrap();
        if self.random.once_in(3) {
            self.oldest_slice += 1;
        }
        let oldest = self.oldest_slice;
        let gone = self.ledger.obsolete(&[Epoch(epoch)], |slice| slice.slice >= oldest);
        let older: Vec<Epoch> = self.store.commits().unwrap().into_iter().filter(|other| other.0 < epoch).collect();
        self.store.remove(&gone, &older).unwrap();
        self.ledger.remove(&gone);
        let cover = self.ledger.all_slices().flat_map(|slice| self.ledger.cover(slice, Epoch(epoch)).unwrap());
        self.expected.insert(epoch, cover.map(|id| (id, self.all[&id].clone())).collect());
    }

    fn contents(&self) -> Contents {
        Contents::of(&self.store, &self.ledger, Epoch(self.epoch)).unwrap()
    }
}

fn identity(run: u64) -> Identity {
    Identity { job: JOB, writer: 1, run }
}

fn open(blobs: &MemoryBlobs, identity: Identity, last: Epoch, keep: usize) -> Result<Uploader, StoreError> {
    Uploader::open(Arc::new(blobs.clone()), identity, Head::read(blobs)?, last, keep)
}

/// All checkpoints that are kept hold what they must.
fn check_kept(blobs: &MemoryBlobs, job: &Job, story: &str) {
    let store = PackedStore::open(Arc::new(blobs.clone())).unwrap();
    for epoch in store.commits().unwrap() {
        let mut restored = MemoryStore::new();
        assert_eq!(import(Arc::new(blobs.clone()), epoch, &mut restored).unwrap(), commit(epoch.0), "{story}");
        let expected = &job.expected[&epoch.0];
        assert_eq!(
            restored.records().unwrap().into_iter().map(|(id, _)| id).collect::<Vec<_>>(),
            expected.keys().copied().collect::<Vec<_>>(),
            "{story}, {epoch}"
        );
        for (id, record) in expected {
            assert!(restored.read(id, &accumulators()).unwrap() == *record, "{story}, {epoch}, {id}");
        }
    }
}

/// Nothing lies there that no kept checkpoint needs but the entries that take over.
fn check_tidy(blobs: &MemoryBlobs, story: &str) {
    let head = Head::read(blobs).unwrap().unwrap();
    let kept: BTreeSet<String> = head.entry.kept.iter().map(|(_, slot)| format!("commits/{:020}", slot.0)).collect();
    let take_overs = head.entry.take_overs.iter().map(|slot| format!("commits/{:020}", slot.0));
    let objects = blobs.objects();
    let log: BTreeSet<String> = objects.keys().filter(|name| name.starts_with("commits/")).cloned().collect();
    assert_eq!(log, kept.iter().cloned().chain(take_overs).collect(), "{story}: the log");
    let store = PackedStore::open(Arc::new(blobs.clone())).unwrap();
    for name in objects.keys().filter(|name| name.starts_with("packs/")) {
        let without = MemoryBlobs::default();
        objects.iter().filter(|(other, _)| *other != name).for_each(|(other, bytes)| without.overwrite(other, Some(bytes)));
        let is_missed =
            store.commits().unwrap().iter().any(|epoch| import(Arc::new(without.clone()), *epoch, &mut MemoryStore::new()).is_err());
        assert!(is_missed, "{story}: {name} is needed by nobody");
    }
}

#[test]
fn only_what_is_new_travels() {
    let (blobs, mut job) = (MemoryBlobs::default(), Job::new(1));
    let mut uploader = open(&blobs, identity(1), Epoch(0), 3).unwrap();
    let (mut whole, mut travelled) = (0, 0);
    for _ in 0..100 {
        job.advance();
        travelled += uploader.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap().bytes;
        whole += job.contents().record_bytes();
        assert_eq!(uploader.newest(), Some(Epoch(job.epoch)));
    }
    check_kept(&blobs, &job, "undisturbed");
    check_tidy(&blobs, "undisturbed");
    assert_eq!(PackedStore::open(Arc::new(blobs.clone())).unwrap().commits().unwrap(), [98, 99, 100].map(Epoch));
    assert!(travelled * 2 < whole, "{travelled} bytes travelled, all checkpoints together have {whole}");
}

#[test]
fn cut_off_anywhere_nothing_needed_is_lost_and_nothing_useless_stays() {
    for seed in 0..60 {
        let (blobs, mut job, mut random) = (MemoryBlobs::default(), Job::new(seed), Random::new(1000 + seed));
        let (mut newest, mut cuts) = (0, 0);
        for run in 0..25 {
            let story = format!("seed {seed}, run {run}");
            let weather = Weather::CutOff { after: random.below(30), happened: random.once_in(2) };
            blobs.set_weather(weather);
            let opened = open(&blobs, identity(run), Epoch(job.epoch), 1 + random.index(4));
            if let Ok(mut uploader) = opened {
                for _ in 0..10 {
                    (0..1 + random.index(2)).for_each(|_| job.advance());
                    if uploader.upload(&job.contents(), &mut StoreSource(&job.store)).is_err() {
                        cuts += 1;
                        break;
                    }
                    newest = job.epoch;
                    assert_eq!(uploader.newest(), Some(Epoch(newest)), "{story}");
                }
            }
            blobs.set_weather(Weather::Fair);
            check_kept(&blobs, &job, &story);
            let there = Head::read(&blobs).unwrap().and_then(|head| head.newest()).map_or(0, |epoch| epoch.0);
            assert!(there >= newest, "{story}: {newest} was committed, {there} is there");
            newest = there;
        }
        assert!(cuts > 5, "seed {seed}: {cuts} uploads were cut off");
        let mut uploader = open(&blobs, identity(1000), Epoch(job.epoch), 2).unwrap();
        job.advance();
        uploader.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap();
        check_kept(&blobs, &job, &format!("seed {seed}, at the end"));
        check_tidy(&blobs, &format!("seed {seed}, at the end"));
    }
}

#[test]
fn failing_now_and_then_it_goes_on() {
    for seed in 0..60 {
        let (blobs, mut job, mut random) = (MemoryBlobs::default(), Job::new(seed), Random::new(2000 + seed));
        let mut uploader = open(&blobs, identity(1), Epoch(0), 2).unwrap();
        let mut failed = 0;
        for step in 0..60 {
            job.advance();
            blobs.set_weather(Weather::Lightning { after: random.below(12), happened: random.once_in(2) });
            match uploader.upload(&job.contents(), &mut StoreSource(&job.store)) {
                Ok(_) => assert_eq!(uploader.newest(), Some(Epoch(job.epoch))),
                Err(error) => {
                    assert_eq!(error.kind, StoreErrorKind::Io, "seed {seed}, step {step}: {error}");
                    failed += 1;
                    // The same epoch again, or the next one.
                    if random.once_in(2) {
                        blobs.set_weather(Weather::Fair);
                        uploader.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap();
                    }
                }
            }
            check_kept(&blobs, &job, &format!("seed {seed}, step {step}"));
        }
        assert!(failed > 2, "seed {seed}: {failed} uploads failed");
        blobs.set_weather(Weather::Fair);
        job.advance();
        uploader.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap();
        check_kept(&blobs, &job, &format!("seed {seed}, at the end"));
        check_tidy(&blobs, &format!("seed {seed}, at the end"));
    }
}

#[test]
fn what_was_put_before_a_failure_is_not_put_again() {
    let (blobs, mut job) = (MemoryBlobs::default(), Job::new(5));
    let many = keys(10_000);
    let accumulators = accumulators();
    let large: Vec<(RecordId, Record)> =
        (0..35).map(|number| (slice(100 + number).record(Epoch(0), Epoch(1)), record(number as u64, &many, &accumulators))).collect();
    let written = job.store.write(&batch(1, large.clone())).unwrap();
    assert!(written.bytes > 2 * (32 << 20), "{} bytes are some packs", written.bytes);
    large.iter().zip(&written.record_bytes).for_each(|((id, _), &bytes)| job.ledger.add(id, bytes));
    job.store.commit(&commit(1)).unwrap();
    job.epoch = 1;
    job.expected.insert(1, large.into_iter().collect());
    let mut uploader = open(&blobs, identity(1), Epoch(0), 2).unwrap();
    let before = blobs.put_bytes();
    blobs.set_weather(Weather::Lightning { after: 2, happened: false });
    assert_eq!(uploader.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap_err().kind, StoreErrorKind::Io);
    uploader.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap();
    let put = blobs.put_bytes() - before;
    assert!(put < written.bytes * 6 / 5, "{put} bytes put of {}", written.bytes);
    check_kept(&blobs, &job, "large records");
    check_tidy(&blobs, "large records");
}

#[test]
fn another_run_takes_over_and_the_one_before_notices() {
    let (blobs, mut job) = (MemoryBlobs::default(), Job::new(2));
    let mut first = open(&blobs, identity(1), Epoch(0), 2).unwrap();
    job.advance();
    first.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap();
    let mut second = open(&blobs, Identity { writer: 2, ..identity(2) }, Epoch(1), 2).unwrap();
    for _ in 0..20 {
        job.advance();
        second.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap();
        // However late it comes, and whatever has been deleted meanwhile.
        let error = first.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Taken, "{error}");
        check_kept(&blobs, &job, "taken over");
    }
    let third = open(&blobs, identity(3), Epoch(job.epoch), 2).unwrap();
    assert_eq!(third.newest(), Some(Epoch(job.epoch)));
    check_tidy(&blobs, "taken over twice");
}

#[test]
fn a_request_that_comes_late_is_taken_into_account() {
    let (blobs, mut job) = (MemoryBlobs::default(), Job::new(3));
    let mut uploader = open(&blobs, identity(1), Epoch(0), 2).unwrap();
    job.advance();
    // The entry is on its way when its answer is given up.
    blobs.set_weather(Weather::Lightning { after: 1, happened: true });
    uploader.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap_err();
    let late = blobs.objects();
    let entry = "commits/00000000000000000002";
    let bytes = late[entry].clone();
    blobs.overwrite(entry, None);
    // The next upload reads the log, finds nothing, and puts its packs; then the old request arrives.
    job.advance();
    blobs.set_weather(Weather::Lightning { after: 0, happened: false });
    uploader.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap_err();
    blobs.overwrite(entry, Some(&bytes));
    let error = uploader.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Io, "{error}");
    uploader.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap();
    check_kept(&blobs, &job, "late");
    check_tidy(&blobs, "late");
}

#[test]
fn another_jobs_place_is_refused() {
    let blobs = MemoryBlobs::default();
    open(&blobs, identity(1), Epoch(0), 2).unwrap();
    let before = blobs.objects();
    let other = Identity { job: JobId(5), ..identity(2) };
    assert_eq!(open(&blobs, other, Epoch(0), 2).err().unwrap().kind, StoreErrorKind::Foreign);
    assert_eq!(blobs.objects(), before);
}

#[test]
fn of_two_that_go_on_from_the_same_entry_one_is_refused() {
    let blobs = MemoryBlobs::default();
    open(&blobs, identity(1), Epoch(0), 2).unwrap();
    let head = Head::read(&blobs).unwrap();
    open(&blobs, identity(2), Epoch(0), 2).unwrap();
    let late = Uploader::open(Arc::new(blobs.clone()), identity(3), head, Epoch(0), 2);
    assert_eq!(late.err().unwrap().kind, StoreErrorKind::Taken);
}

#[test]
fn an_older_checkpoint_that_is_damaged_does_not_stop_a_run() {
    let (blobs, mut job) = (MemoryBlobs::default(), Job::new(6));
    let mut uploader = open(&blobs, identity(1), Epoch(0), 2).unwrap();
    for _ in 0..2 {
        job.advance();
        uploader.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap();
    }
    let (older, newest) = ("commits/00000000000000000002", "commits/00000000000000000003");
    let objects = blobs.objects();
    blobs.overwrite(newest, Some(b"torn"));
    assert_eq!(open(&blobs, identity(2), Epoch(2), 2).err().unwrap().kind, StoreErrorKind::Damaged);
    blobs.overwrite(newest, Some(&objects[newest]));
    blobs.overwrite(older, Some(b"torn"));
    let mut uploader = open(&blobs, identity(2), Epoch(2), 2).unwrap();
    assert_eq!(uploader.newest(), Some(Epoch(2)));
    job.advance();
    uploader.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap();
    check_kept(&blobs, &job, "damaged");
    check_tidy(&blobs, "damaged");
}

#[test]
fn checkpoints_that_are_taken_back_are_gone() {
    let (blobs, mut job) = (MemoryBlobs::default(), Job::new(4));
    let mut uploader = open(&blobs, identity(1), Epoch(0), 5).unwrap();
    for _ in 0..5 {
        job.advance();
        uploader.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap();
    }
    let uploader = open(&blobs, identity(2), Epoch(3), 5).unwrap();
    assert_eq!(uploader.newest(), Some(Epoch(3)));
    check_kept(&blobs, &job, "taken back");
    check_tidy(&blobs, "taken back");
}

/// Objects that a run adds to and deletes from behind the back of whoever reads them: it copies another checkpoint after each list, some times.
struct Restless {
    blobs: MemoryBlobs,
    run: Mutex<(Job, Uploader, usize)>,
}

impl Blobs for Restless {
    fn place(&self) -> &str {
        self.blobs.place()
    }

    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.blobs.put(name, bytes)
    }

    fn create(&self, name: &str, bytes: Vec<u8>) -> Result<bool, StoreError> {
        self.blobs.create(name, bytes)
    }

    fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<Option<Vec<u8>>, StoreError> {
        self.blobs.get(name, range)
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let listed = self.blobs.list(folder)?;
        let (job, uploader, left) = &mut *self.run.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            job.advance();
            uploader.upload(&job.contents(), &mut StoreSource(&job.store))?;
        }
        Ok(listed)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.blobs.delete(name)
    }
}

/// A place that a run has copied two checkpoints to, keeping one; it copies more while somebody reads.
fn restless(more: usize) -> Restless {
    let (blobs, mut job) = (MemoryBlobs::default(), Job::new(5));
    let mut uploader = open(&blobs, identity(1), Epoch(0), 1).unwrap();
    for _ in 0..2 {
        job.advance();
        uploader.upload(&job.contents(), &mut StoreSource(&job.store)).unwrap();
    }
    Restless { blobs, run: Mutex::new((job, uploader, more)) }
}

#[test]
fn what_a_run_deletes_while_somebody_reads_is_no_damage() {
    for more in 1..5 {
        let restless = restless(more);
        let head = Head::read(&restless).unwrap().unwrap();
        assert_eq!(head.newest(), Some(Epoch(2 + more as u64)), "{more} more");
    }
    for more in 1..5 {
        let store = PackedStore::open(Arc::new(restless(more))).unwrap();
        assert_eq!(store.commits().unwrap(), [Epoch(2 + more as u64)], "{more} more");
        store.read_commit(Epoch(2 + more as u64)).unwrap();
    }
}
