//! `checkpoint`: what a state directory holds, as text, and going back to an older checkpoint.

use crate::cli::CheckpointCommand;
use crate::{Failure, output};
use raympp_engine::Error;
use raympp_engine::saved_checkpoints::{
    Commit, Contents, Epoch, EventTime, Loss, MetricCommit, SavedCheckpoints, SinkCommit, SplitCommit, StoreContents, StoreError,
    StreamCommit, import, restore,
};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Carries out a command on checkpoints.
pub(crate) fn run(command: &CheckpointCommand) -> Result<(), Failure> {
    match command {
        CheckpointCommand::List { place } => list(place),
        CheckpointCommand::Show { place, epoch } => show(place, epoch.map(Epoch)),
        CheckpointCommand::Verify { place, epoch } => verify(place, epoch.map(Epoch)),
        CheckpointCommand::Export { place, target, epoch } => export(place, epoch.map(Epoch), target),
        CheckpointCommand::Restore { place, epoch, into, accept_loss } => {
            let epoch = epoch.map_or_else(|| newest(&SavedCheckpoints::open(place)?.contents()?, place), |epoch| Ok(Epoch(epoch)))?;
            match into {
                None => {
                    restore(Path::new(place), epoch, if *accept_loss { Loss::Accept } else { Loss::Refuse })?;
                    output::line(&format!("{place}: the next run goes on from checkpoint {}", epoch.0))
                }
                Some(directory) => {
                    import(place, epoch, directory)?;
                    output::line(&format!("{}: holds checkpoint {} of {place}", directory.display(), epoch.0))
                }
            }
        }
    }
}

fn failed(error: StoreError) -> Failure {
    Failure::from(Error::Checkpoint(Arc::new(error)))
}

fn list(place: &str) -> Result<(), Failure> {
    let saved = SavedCheckpoints::open(place)?;
    let contents = saved.contents()?;
    output::line(&format!("{:>10}  {:<26}  {:>8}  {:>14}  {:>12}", "checkpoint", "committed (UTC)", "age", "rows read", "state"))?;
    let mut problems = 0;
    for epoch in contents.epochs().map_err(failed)? {
        let line = match contents.commit(epoch).and_then(|commit| Ok((contents.bytes(&commit)?, commit))) {
            Ok((bytes, commit)) => {
                let rows: u64 = commit.streams.iter().flat_map(|stream| &stream.splits).map(|split| split.offset.0).sum();
                let (at, age) = (EventTime(commit.wall_us), age_of(&commit));
                format!("{:>10}  {:<26}  {age:>8}  {rows:>14}  {:>12}", epoch.0, at.to_string(), size(bytes))
            }
            Err(error) => {
                problems += 1;
                format!("{:>10}  {error}", epoch.0)
            }
        };
        output::line(&line)?;
    }
    if problems == 0 { Ok(()) } else { Err(Failure::Running(format!("{problems} checkpoints can't be used"))) }
}

fn newest(contents: &Contents<'_>, place: &str) -> Result<Epoch, Failure> {
    let newest = contents.epochs().map_err(failed)?.last().copied();
    newest.ok_or_else(|| Failure::Running(format!("{}: there are no checkpoints", place)))
}

fn show(place: &str, epoch: Option<Epoch>) -> Result<(), Failure> {
    let saved = SavedCheckpoints::open(place)?;
    let mut contents = saved.contents()?;
    let epoch = epoch.map_or_else(|| newest(&contents, place), Ok)?;
    let commit = contents.commit(epoch).map_err(failed)?;
    let (bytes, stores) = (contents.bytes(&commit).map_err(failed)?, contents.stores(&commit).map_err(failed)?);
    output::line(&format!("checkpoint {}, committed {} ({} ago), {}", epoch.0, EventTime(commit.wall_us), age_of(&commit), size(bytes)))?;
    for (stream, stores) in commit.streams.iter().zip(&stores) {
        stream_lines(stream, stores).iter().try_for_each(|line| output::line(line))?;
    }
    commit.sinks.iter().map(|sink| sink_line(sink, &commit)).try_for_each(|line| output::line(&line))
}

fn verify(place: &str, epoch: Option<Epoch>) -> Result<(), Failure> {
    let saved = SavedCheckpoints::open(place)?;
    let mut contents = saved.contents()?;
    let epochs = match epoch {
        Some(epoch) => vec![epoch],
        None => contents.epochs().map_err(failed)?,
    };
    let mut damaged = 0;
    for epoch in &epochs {
        match contents.verify(*epoch) {
            Ok(()) => output::line(&format!("checkpoint {}: whole", epoch.0))?,
            Err(error) => {
                damaged += 1;
                output::line(&format!("checkpoint {}: {error}", epoch.0))?;
            }
        }
    }
    if damaged == 0 { Ok(()) } else { Err(Failure::Running(format!("{damaged} of {} checkpoints can't be used", epochs.len()))) }
}

fn export(place: &str, epoch: Option<Epoch>, target: &str) -> Result<(), Failure> {
    let saved = SavedCheckpoints::open(place)?;
    let epoch = epoch.map_or_else(|| newest(&saved.contents()?, place), Ok)?;
    let bytes = saved.export(epoch, target)?;
    output::line(&format!("{target}: holds checkpoint {} of {place}, {}", epoch.0, size(bytes)))
}

fn stream_lines(stream: &StreamCommit, stores: &[StoreContents]) -> Vec<String> {
    let StreamCommit { name, partitions, key_groups, bound_us, frontier, max_event_time, counts, .. } = stream;
    let mut lines = vec![
        format!("stream {name}: {partitions} partitions, {key_groups} key groups, rows up to {} late", duration(*bound_us)),
        format!(
            "  windows are closed up to {frontier}, highest event time {max_event_time}, {} rows late, {} bad",
            counts.late, counts.bad
        ),
    ];
    lines.extend(stream.splits.iter().map(split_line));
    for (store, held) in stream.stores.iter().zip(stores) {
        let StoreContents { slices, records, bytes, entries, rows } = held;
        lines.push(format!("  groups {}", store.description));
        lines.push(format!("    {entries} entries of {rows} rows in {slices} slices, {} in {records} records", size(*bytes)));
        lines.extend(
            stream.metrics.iter().filter(|metric| metric.store == store.uid).map(|metric| metric_line(metric, &store.accumulators)),
        );
    }
    lines
}

fn split_line(split: &SplitCommit) -> String {
    let ended = if split.ended { ", the end" } else { "" };
    format!("  split {}: {} rows{ended}, highest event time {}", split.name, split.offset, split.watermark.max_event_time)
}

fn metric_line(metric: &MetricCommit, accumulators: &[String]) -> String {
    let since = metric.first_after.map_or(String::new(), |time| format!(", windows that start after {time}"));
    let of = |&position: &u32| accumulators.get(position as usize).map_or("?", String::as_str);
    let held: Vec<&str> = metric.accumulators.iter().map(of).collect();
    format!("    metric {}: {}{since}", metric.name, if held.is_empty() { "rows".to_owned() } else { held.join(", ") })
}

fn sink_line(sink: &SinkCommit, commit: &Commit) -> String {
    let frontier = commit.streams.iter().find(|stream| stream.id == sink.stream).map(|stream| stream.frontier);
    let reached = sink.ahead.as_ref().map(|ahead| ahead.frontier).max(frontier);
    let ahead = if sink.ahead.is_some() { ", further than the streams since the job was taken back" } else { "" };
    format!("sink {}: has windows up to {}{ahead}", sink.name, reached.map_or("-".to_owned(), |reached| reached.to_string()))
}

#[expect(clippy::disallowed_methods, reason = "how old something is on a user's clock")]
fn age_of(commit: &Commit) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    duration((now - commit.wall_us).max(0) / 1_000_000 * 1_000_000)
}

/// A span of time in its largest unit.
fn duration(micros: i64) -> String {
    let units = [(86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s"), (1_000, "ms")];
    let (unit, name) = units.into_iter().find(|(unit, _)| micros >= *unit).unwrap_or((1, "us"));
    format!("{} {name}", micros / unit)
}

fn size(bytes: u64) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} B"),
        10_000..=9_999_999 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}
