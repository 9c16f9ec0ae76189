//! Going back to an older checkpoint, by choice or since newer ones are damaged: what has been published is not published again.

use crate::support::{Definition, Input, Row, builder, results, rows, stream, wait_for_rows};
use raympp_engine::saved_checkpoints::{Contents, Epoch, Loss, SavedCheckpoints, restore};
use raympp_engine::{Engine, Error};
use raympp_testkit::random::Random;
use raympp_tests::directory::Directory;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn definitions() -> Vec<Definition> {
    let grouped =
        |from: &str, what: &str| format!("SELECT k, window_start, window_end, {what} FROM {from} GROUP BY k, window_start, window_end");
    vec![
        Definition::new("counts", &grouped("TUMBLE(p, t, INTERVAL '1 second')", "COUNT(*) AS c, SUM(n) AS s")),
        Definition::new("hops", &grouped("HOP(p, t, INTERVAL '200 milliseconds', INTERVAL '2 seconds')", "MAX(n) AS m")),
        Definition::new("sessions", &grouped("SESSION(p, t, INTERVAL '60 milliseconds')", "COUNT(*) AS c")),
        Definition::new("total", "SELECT COUNT(*) AS c, SUM(n) AS s FROM p"),
    ]
}

fn script(directory: &Directory, input: &Input, out: &str, follow: bool) -> String {
    let mut sql = stream(100, Some((&input.path, follow)));
    sql.extend(definitions().iter().map(|one| one.create(directory, out)));
    let late = directory.text(&format!("{out}/late"));
    sql + &format!("CREATE SINK late_out FROM p_late WITH (connector = 'file', path = '{late}', roll = '1ms');")
}

fn published(engine: &Engine, directory: &Directory, out: &str) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = definitions().iter().map(|one| results(engine, directory, out, one)).collect();
    let mut late = directory.csv_lines(&format!("{out}/late"));
    late.sort_unstable();
    all.push(late);
    all
}

/// A job that has read some rows at each of some checkpoints; the numbers of these.
fn job(directory: &Directory, input: &Input, rows: &[Row], each: usize) -> Vec<Epoch> {
    let engine = builder(directory).keep_checkpoints(1000).build().unwrap();
    engine.execute(&script(directory, input, "out", true)).unwrap();
    let mut epochs = Vec::new();
    for (number, rows) in rows.chunks(each).enumerate() {
        input.append(rows);
        wait_for_rows(&engine, (number * each + rows.len()) as u64);
        epochs.push(engine.checkpoint().unwrap());
    }
    engine.shutdown().unwrap();
    epochs
}

fn finish(directory: &Directory, input: &Input, fall_back: bool) -> Result<Engine, Error> {
    let engine = builder(directory).fall_back(fall_back).build()?;
    engine.execute(&script(directory, input, "out", false))?;
    assert!(engine.wait_timeout(Duration::from_secs(60))?);
    Ok(engine)
}

/// What a run publishes that was never disturbed.
fn undisturbed(directory: &Directory, input: &Input) -> Vec<Vec<String>> {
    let engine = Engine::builder().build().unwrap();
    engine.execute(&script(directory, input, "undisturbed", false)).unwrap();
    engine.wait().unwrap();
    let all = published(&engine, directory, "undisturbed");
    assert!(all.iter().all(|rows| !rows.is_empty()), "all kinds of rows");
    all
}

#[test]
fn a_job_taken_back_publishes_nothing_again() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "taken-back");
    let (input, all) = (Input::new(&directory), rows(&mut Random::new(6), 800));
    let epochs = job(&directory, &input, &all[..600], 100);
    let state = PathBuf::from(directory.text("state"));
    // Twice, further back each time, with a few rows read in between.
    restore(&state, epochs[3], Loss::Refuse).unwrap();
    let engine = builder(&directory).keep_checkpoints(1000).build().unwrap();
    engine.execute(&script(&directory, &input, "out", true)).unwrap();
    engine.checkpoint().unwrap();
    drop(engine);
    restore(&state, epochs[1], Loss::Refuse).unwrap();
    input.append(&all[600..]);
    let engine = finish(&directory, &input, false).unwrap();
    assert_eq!(published(&engine, &directory, "out"), undisturbed(&directory, &input));
}

#[test]
fn what_is_not_there_or_in_use_is_refused_and_nothing_changes() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "not-taken-back");
    let (input, all) = (Input::new(&directory), rows(&mut Random::new(7), 200));
    let state = PathBuf::from(directory.text("state"));
    assert!(restore(&state, Epoch(1), Loss::Refuse).unwrap_err().to_string().contains("there is none"));
    assert!(!state.exists(), "nothing is made");
    let epochs = job(&directory, &input, &all, 100);
    let missing = restore(&state, Epoch(1_000_000), Loss::Refuse).unwrap_err().to_string();
    assert!(missing.contains("checkpoint 1000000") && missing.contains(&format!("{}", epochs[1].0)), "{missing}");
    let engine = builder(&directory).build().unwrap();
    assert!(restore(&state, epochs[0], Loss::Refuse).unwrap_err().to_string().contains("another process uses it"));
    drop(engine);
    let saved = SavedCheckpoints::open(state.to_str().unwrap()).unwrap();
    assert!(saved.contents().unwrap().epochs().unwrap().contains(&epochs[1]));
}

#[test]
fn what_a_checkpoint_holds_is_told() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "told");
    let (input, all) = (Input::new(&directory), rows(&mut Random::new(8), 300));
    let epochs = job(&directory, &input, &all, 150);
    let saved = SavedCheckpoints::open(&directory.text("state")).unwrap();
    let mut contents = saved.contents().unwrap();
    for (number, epoch) in epochs.iter().enumerate() {
        let commit = contents.commit(*epoch).unwrap();
        let [stream] = &commit.streams[..] else { panic!("{commit:?}") };
        assert_eq!(stream.splits[0].offset.0, 150 * (number as u64 + 1));
        contents.verify(*epoch).unwrap();
        let stores = contents.stores(&commit).unwrap().remove(0);
        let total = stream.metrics.iter().find(|metric| metric.name == "total").unwrap();
        let position = stream.stores.iter().position(|store| store.uid == total.store).unwrap();
        assert_eq!(stores[position].rows + stream.counts.late, 150 * (number as u64 + 1), "each row is late or in the total");
        assert_eq!(contents.bytes(&commit).unwrap(), stores.iter().map(|store| store.bytes).sum::<u64>());
    }
}

/// Flips a bit in a file of the database, of those with this extension, so that some of the checkpoints are damaged and `fits` says so; those that are.
fn damage(state: &Path, extension: &str, epochs: &[Epoch], fits: impl Fn(&Contents<'_>, &[Epoch]) -> bool) -> Vec<Epoch> {
    let damaged = || -> Option<Vec<Epoch>> {
        let saved = SavedCheckpoints::open(state.to_str().unwrap()).ok()?;
        let mut contents = saved.contents().ok()?;
        let damaged: Vec<Epoch> = epochs.iter().copied().filter(|epoch| contents.verify(*epoch).is_err()).collect();
        (fits(&contents, &damaged) && damaged.len() < epochs.len()).then_some(damaged)
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(state.join("db")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    for file in files {
        let whole = std::fs::read(&file).unwrap();
        for at in (1..64).rev().map(|part| whole.len() * part / 64) {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            std::fs::write(&file, bytes).unwrap();
            if let Some(damaged) = damaged() {
                return damaged;
            }
            std::fs::write(&file, &whole).unwrap();
        }
    }
    panic!("no flipped bit damages some checkpoints only");
}

fn newest_is_known(contents: &Contents<'_>) -> bool {
    contents.epochs().is_ok_and(|epochs| contents.commit(*epochs.last().unwrap()).is_ok())
}

#[test]
fn a_damaged_checkpoint_is_an_error_until_the_user_falls_back() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "damaged");
    let (input, all) = (Input::new(&directory), rows(&mut Random::new(9), 600));
    let epochs = job(&directory, &input, &all[..400], 100);
    // Opening the database moves everything out of its log.
    drop(builder(&directory).keep_checkpoints(1000).build().unwrap());
    let damaged = damage(Path::new(&directory.text("state")), "sst", &epochs, |contents, damaged| {
        damaged.contains(&epochs[3]) && newest_is_known(contents)
    });
    input.append(&all[400..]);
    let error = finish(&directory, &input, false).err().expect("a damaged checkpoint").to_string();
    assert!(error.contains("--fall-back"), "{error}");
    let engine = finish(&directory, &input, true).unwrap();
    assert_eq!(published(&engine, &directory, "out"), undisturbed(&directory, &input), "after {damaged:?} of {epochs:?}");
}

#[test]
fn what_sinks_have_published_beyond_a_lost_checkpoint_is_told_and_not_published_again() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "lost");
    let (input, all) = (Input::new(&directory), rows(&mut Random::new(10), 600));
    let epochs = job(&directory, &input, &all[..400], 100);
    let damaged =
        damage(Path::new(&directory.text("state")), "log", &epochs, |contents, damaged| damaged.len() > 1 && !newest_is_known(contents));
    input.append(&all[400..]);
    let mut moved = 0;
    let engine = loop {
        match finish(&directory, &input, true) {
            Ok(engine) => break engine,
            Err(error) => {
                let message = error.to_string();
                assert!(message.contains("move it out of the directory"), "{message}");
                let file = message.split(": ").find(|part| part.ends_with(".csv")).expect("the file is named");
                std::fs::remove_file(file).unwrap();
                moved += 1;
            }
        }
    };
    assert!(moved > 0, "after {damaged:?} of {epochs:?}");
    assert_eq!(published(&engine, &directory, "out"), undisturbed(&directory, &input), "after {damaged:?} of {epochs:?}");
}
