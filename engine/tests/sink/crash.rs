//! A file sink that stops between any two operations on the disk, or is refused any of them: published is what a run that was never disturbed
//! publishes, byte for byte, and at no time a row that has not been committed.

use crate::disk::{CRASHES, Crash, Scratch, Trouble, Watch};
use crate::support::{Seeded, file_source, read};
use crate::{TWO, rows};
use raympp_engine::sink::file::{FileSink, FileSinkOptions, Probe};
use raympp_engine::sink::{Cut, Format, Sink, SinkError, SinkHandle};
use raympp_types::Epoch;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What happens in an epoch.
#[derive(Clone, Debug)]
struct Step {
    /// Rows of each batch.
    batches: Vec<usize>,
    cut: Cut,
    /// False: given up after it was prepared.
    committed: bool,
    /// So many further epochs are prepared before its commit is known.
    lag: usize,
}

/// Epoch 1, 2, …; after the last no rows come.
fn script(seed: u64) -> Vec<Step> {
    let mut random = Seeded(seed * 2 + 0x9e37_79b9);
    let mut script: Vec<Step> = (0..6)
        .map(|_| {
            let batches = (0..random.below(3)).map(|_| 1 + random.below(4)).collect();
            let cut = if random.below(2) == 0 { Cut::Roll } else { Cut::IfFull };
            Step { batches, cut, committed: random.below(5) > 0, lag: random.below(3) }
        })
        .collect();
    script.push(Step { batches: vec![1], cut: Cut::End, committed: true, lag: 0 });
    script
}

/// Rows of all epochs up to this one.
fn rows_until(script: &[Step], epoch: usize) -> usize {
    script[..epoch].iter().flat_map(|step| &step.batches).sum()
}

/// What the coordinator has stored: number and handle of the newest committed epoch.
type Record = Option<(usize, SinkHandle)>;

struct Job<'a> {
    script: &'a [Step],
    format: Format,
    directory: &'a Path,
    record: Record,
    /// What fails is tried again.
    patient: bool,
}

impl Job<'_> {
    fn sink(&self, watch: &Arc<Watch>) -> Result<FileSink, SinkError> {
        let options = FileSinkOptions { directory: self.directory.to_owned(), format: self.format, overwrite: false };
        let columns = crate::support::schema(TWO);
        let probe: Arc<dyn Probe> = watch.clone();
        let mut sink = FileSink::new(options, &columns)?.watched_by(probe).part_bytes(90);
        let from = self.record.as_ref().map(|(_, handle)| handle);
        sink.check(from)?;
        sink.recover(from)?;
        Ok(sink)
    }

    /// Tries until it succeeds, if the job is patient and the error says that this may help.
    fn attempt<T>(&self, mut act: impl FnMut() -> Result<T, SinkError>) -> Result<T, SinkError> {
        loop {
            match act() {
                Err(error) if self.patient => assert!(error.retryable && error.path.is_some(), "{error}"),
                result => return result,
            }
        }
    }

    /// Goes on behind the committed epoch, to the end or the first error.
    fn run(&mut self, watch: &Arc<Watch>) -> Result<(), SinkError> {
        let mut sink = self.attempt(|| self.sink(watch))?;
        let mut waiting: Vec<(usize, usize, SinkHandle)> = Vec::new();
        let first = self.record.as_ref().map_or(1, |(epoch, _)| epoch + 1);
        for epoch in first..=self.script.len() {
            let step = &self.script[epoch - 1];
            let handle = self.attempt(|| self.prepare(&mut sink, epoch))?;
            if step.committed {
                waiting.push((epoch + step.lag, epoch, handle));
            }
            let due = |(at, ..): &mut (usize, usize, SinkHandle)| *at <= epoch || epoch == self.script.len();
            for (_, epoch, handle) in waiting.extract_if(.., due).collect::<Vec<_>>() {
                // A later one may have been committed before it.
                if self.record.as_ref().is_none_or(|(newest, _)| epoch > *newest) {
                    self.record = Some((epoch, handle));
                    self.attempt(|| sink.commit(Epoch(epoch as u64)))?;
                }
            }
        }
        Ok(())
    }

    fn prepare(&self, sink: &mut FileSink, epoch: usize) -> Result<SinkHandle, SinkError> {
        let mut next = rows_until(self.script, epoch - 1);
        for &count in &self.script[epoch - 1].batches {
            let values: Vec<(&str, i64)> = (next..next + count).map(|n| ("some key", n as i64)).collect();
            sink.append(&rows(&values))?;
            next += count;
        }
        sink.prepare(Epoch(epoch as u64), self.script[epoch - 1].cut)
    }
}

/// Numbers in the rows of visible parts, in order of the parts.
fn numbers(format: Format, directory: &Path) -> Vec<i64> {
    let number = |row: &Result<String, String>| {
        let row: serde_json::Value = serde_json::from_str(row.as_ref().expect("a good row")).expect("JSON");
        row["window_end"].as_i64().expect("a number")
    };
    let parts = crate::disk::names(directory).into_iter().filter(|path| path.extension().is_some_and(|found| found == format.extension()));
    let parts = parts.filter(|path| !path.file_name().expect("a name").to_string_lossy().starts_with('.'));
    parts.flat_map(|path| read(file_source(TWO, &path.display().to_string()).as_ref()).iter().map(number).collect::<Vec<_>>()).collect()
}

/// What a run that is never disturbed publishes, and how many operations it takes.
fn undisturbed(scratch: &Scratch, script: &[Step], format: Format) -> (BTreeMap<String, Vec<u8>>, usize) {
    let directory = scratch.fresh();
    let watch = Watch::new(&directory, Trouble::Nothing);
    let mut job = Job { script, format, directory: &directory, record: None, patient: false };
    job.run(&watch).expect("room");
    assert_eq!(numbers(format, &directory), (0..rows_until(script, script.len()) as i64).collect::<Vec<_>>());
    assert_eq!(scratch.contents(), scratch.visible(), "nothing hidden is left");
    (scratch.visible(), watch.steps().len())
}

/// Stops at a step, then once more in the middle of recovery, and goes on to the end.
fn check_crash(scratch: &Scratch, script: &[Step], format: Format, expected: &BTreeMap<String, Vec<u8>>, crash: Crash, at: usize) {
    let directory = scratch.fresh();
    let told = || format!("{format:?}, {crash:?} at step {at} of {script:?}");
    let mut job = Job { script, format, directory: &directory, record: None, patient: false };
    for stop_at in [at, 1 + at % 7] {
        let watch = Watch::new(&directory, Trouble::StopAt(stop_at));
        let finished = job.run(&watch).is_ok();
        watch.crash(crash);
        let committed = job.record.as_ref().map_or(0, |(epoch, _)| rows_until(script, *epoch));
        assert!(numbers(format, &directory).len() <= committed, "rows that are not committed are visible: {}", told());
        let is_as_ever = |(name, content): (&String, &Vec<u8>)| expected.get(name) == Some(content);
        assert!(scratch.visible().iter().all(is_as_ever), "a part is not what it has to be: {}", told());
        if finished {
            break;
        }
    }
    let watch = Watch::new(&directory, Trouble::Nothing);
    job.run(&watch).unwrap_or_else(|error| panic!("{error}: {}", told()));
    assert_eq!(&scratch.contents(), expected, "{}", told());
}

/// Stops at a step, recovers and gives the sink up: visible are exactly the rows of committed epochs.
fn check_end(scratch: &Scratch, script: &[Step], format: Format, crash: Crash, at: usize) {
    let directory = scratch.fresh();
    let told = || format!("{format:?}, {crash:?} at step {at} of {script:?}");
    let mut job = Job { script, format, directory: &directory, record: None, patient: false };
    let watch = Watch::new(&directory, Trouble::StopAt(at));
    let _ = job.run(&watch);
    watch.crash(crash);
    let committed = job.record.as_ref().map_or(0, |(epoch, _)| rows_until(script, *epoch));
    // The end is cut short too.
    for stop_at in [at % 5, usize::MAX] {
        let watch = Watch::new(&directory, Trouble::StopAt(stop_at));
        let ended = job.sink(&watch).and_then(|mut sink| sink.end());
        assert!(stop_at < usize::MAX || ended.is_ok(), "{ended:?}: {}", told());
        if ended.is_ok() {
            break;
        }
        watch.crash(crash);
    }
    assert_eq!(numbers(format, &directory), (0..committed as i64).collect::<Vec<_>>(), "{}", told());
    assert_eq!(scratch.contents(), scratch.visible(), "{}", told());
}

fn check_all_crashes(format: Format, seeds: u64) {
    let scratch = Scratch::new(&format!("crash-{}", format.extension()));
    for seed in 0..seeds {
        let script = script(seed);
        let (expected, steps) = undisturbed(&scratch, &script, format);
        for crash in CRASHES {
            for at in 0..steps {
                check_crash(&scratch, &script, format, &expected, crash, at);
            }
            for at in (0..steps).step_by(3) {
                check_end(&scratch, &script, format, crash, at);
            }
        }
    }
}

#[test]
fn csv_survives_a_crash_at_every_step() {
    check_all_crashes(Format::Csv, 6);
}

#[test]
fn json_lines_survive_a_crash_at_every_step() {
    check_all_crashes(Format::JsonLines, 4);
}

#[test]
fn parquet_survives_a_crash_at_every_step() {
    check_all_crashes(Format::Parquet, 3);
}

/// No space, or a device that fails, at any step, once or for a while: what failed is done again, and nothing is lost or doubled.
#[test]
fn a_disk_that_refuses_is_asked_again() {
    const EIO: i32 = 5;
    const ENOSPC: i32 = 28;
    let scratch = Scratch::new("refused");
    for format in [Format::Csv, Format::JsonLines, Format::Parquet] {
        for seed in 10..13 {
            let script = script(seed);
            let (expected, steps) = undisturbed(&scratch, &script, format);
            for at in 0..steps {
                for (times, number) in [(1, ENOSPC), (2, EIO), (7, ENOSPC)] {
                    let directory = scratch.fresh();
                    let mut job = Job { script: &script, format, directory: &directory, record: None, patient: true };
                    let watch = Watch::new(&directory, Trouble::FailAt(at, times, number));
                    job.run(&watch).unwrap_or_else(|error| panic!("{error}: {format:?} at step {at} of {script:?}"));
                    assert_eq!(scratch.contents(), expected, "{format:?}, {times} failures at step {at} of {script:?}");
                }
            }
        }
    }
}
