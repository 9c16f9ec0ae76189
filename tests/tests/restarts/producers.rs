//! Producers: rows pushed over crashes, sessions that fence each other, what is acknowledged, and what is lost only when somebody says so.

use crate::support::{Definition, Row, builder, results, rows, stream};
use raympp_engine::saved_checkpoints::{Loss, SavedCheckpoints, restore};
use raympp_engine::{Engine, Error, Level, ManualClock, Offset, ProducerId, Writer};
use raympp_testkit::random::Random;
use raympp_tests::directory::Directory;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

fn definitions() -> Vec<Definition> {
    let grouped =
        |from: &str, what: &str| format!("SELECT k, window_start, window_end, {what} FROM {from} GROUP BY k, window_start, window_end");
    vec![
        Definition::new("counts", &grouped("TUMBLE(p, t, INTERVAL '1 second')", "COUNT(*) AS c, SUM(n) AS s")),
        Definition::new("sessions", &grouped("SESSION(p, t, INTERVAL '60 milliseconds')", "COUNT(*) AS c")),
        Definition::new("total", "SELECT COUNT(*) AS c, SUM(n) AS s FROM p"),
    ]
}

fn script(directory: &Directory, out: &str) -> String {
    stream(100, None) + &definitions().iter().map(|one| one.create(directory, out)).collect::<String>()
}

fn published(engine: &Engine, directory: &Directory, out: &str) -> Vec<Vec<String>> {
    definitions().iter().map(|one| results(engine, directory, out, one)).collect()
}

fn start(directory: &Directory) -> Engine {
    let engine = builder(directory).build().unwrap();
    engine.execute(&script(directory, "out")).unwrap();
    engine
}

fn push_all(writer: &Writer, rows: &[Row]) {
    rows.iter().for_each(|row| writer.push(row).unwrap());
}

/// A producer on the other side of a connection: its rows, and what it knows of itself.
struct Client {
    rows: Vec<Row>,
    id: Option<ProducerId>,
    session: u64,
    /// Rows that it was told are checkpointed: it must never be asked for them again.
    forgotten: Offset,
}

impl Client {
    fn connect(&mut self, engine: &Engine) -> Writer {
        if let Some(id) = self.id {
            self.session += 1;
            match engine.resume_writer("p", id, self.session) {
                Ok(writer) => {
                    assert!(writer.resumes_at() >= self.forgotten, "{} after {}", writer.resumes_at(), self.forgotten);
                    return writer;
                }
                // The run that issued the id never committed anything of it.
                Err(Error::Refused(message)) => assert!(message.contains("is not known") && self.forgotten == Offset(0), "{message}"),
                Err(error) => panic!("{error}"),
            }
        }
        let writer = engine.writer("p").unwrap();
        (self.id, self.session) = (Some(writer.producer()), writer.session());
        writer
    }

    fn push_from(&self, writer: &Writer, from: Offset, count: usize) {
        let rows = &self.rows[from.0 as usize..];
        push_all(writer, &rows[..count.min(rows.len())]);
    }
}

#[test]
fn producers_go_on_after_crashes() {
    for seed in 1..=6 {
        let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), &format!("producers-{seed}"));
        let mut random = Random::new(seed);
        let mut clients = [0, 1].map(|_| Client { rows: rows(&mut random, 300), id: None, session: 0, forgotten: Offset(0) });
        let undisturbed = Engine::builder().threads(2).build().unwrap();
        undisturbed.execute(&script(&directory, "undisturbed")).unwrap();
        // In turn, as the disturbed ones will be: neither may end before the other has joined.
        let writers = clients.each_ref().map(|_| undisturbed.writer("p").unwrap());
        writers.iter().zip(&clients).for_each(|(writer, client)| push_all(writer, &client.rows));
        writers.into_iter().for_each(Writer::finish);
        undisturbed.wait().unwrap();
        for _ in 0..5 {
            let engine = start(&directory);
            let writers = clients.each_mut().map(|client| client.connect(&engine));
            for _ in 0..random.index(3) {
                for (client, writer) in clients.iter_mut().zip(&writers) {
                    let from = Offset(writer.resumes_at().0.max(pushed(&engine, writer)));
                    client.push_from(writer, from, random.index(60));
                    if random.once_in(2) {
                        writer.wait_for(Level::Checkpointed).unwrap();
                    }
                    client.forgotten = writer.acknowledged(Level::Checkpointed).unwrap();
                }
            }
            if random.once_in(3) {
                drop(writers);
                engine.shutdown().unwrap();
            }
        }
        let engine = start(&directory);
        let writers = clients.each_mut().map(|client| client.connect(&engine));
        for (writer, client) in writers.iter().zip(&clients) {
            client.push_from(writer, writer.resumes_at(), usize::MAX);
        }
        writers.into_iter().for_each(Writer::finish);
        assert!(engine.wait_timeout(Duration::from_secs(60)).unwrap());
        assert_eq!(published(&engine, &directory, "out"), published(&undisturbed, &directory, "undisturbed"), "seed {seed}");
    }
}

/// Rows that the engine has taken of a writer, when it has taken all that was pushed.
fn pushed(engine: &Engine, writer: &Writer) -> u64 {
    writer.flush().unwrap();
    let name = format!("producer {}", writer.producer());
    engine.stats().streams[0].splits.iter().find(|split| split.name == name).unwrap().rows
}

#[test]
fn a_newer_session_fences_the_older() {
    let engine = Engine::builder().threads(1).build().unwrap();
    engine.execute(&(stream(1000, None) + "CREATE METRIC total AS SELECT COUNT(*) AS c FROM p;")).unwrap();
    let all = rows(&mut Random::new(1), 30);
    let old = engine.writer("p").unwrap();
    push_all(&old, &all[..10]);
    let refused = engine.resume_writer("p", old.producer(), 1).map(drop).unwrap_err();
    assert!(matches!(refused, Error::Fenced { session: 1, newest: 1, .. }), "{refused}");
    let new = engine.resume_writer("p", old.producer(), 5).unwrap();
    assert_eq!((new.resumes_at(), new.session(), new.producer()), (Offset(10), 5, old.producer()));
    assert!(matches!(old.push(&all[10]), Err(Error::Fenced { session: 1, newest: 5, .. })));
    push_all(&new, &all[10..20]);
    // What the older one says of its end is nothing to anybody.
    old.finish();
    let newest = engine.resume_writer("p", new.producer(), 6).unwrap();
    drop(new);
    push_all(&newest, &all[20..]);
    newest.flush().unwrap();
    assert!(!engine.stats().streams[0].splits[0].lost);
    let id = newest.producer();
    newest.finish();
    engine.wait().unwrap();
    let total = results(&engine, &Directory::new(env!("CARGO_TARGET_TMPDIR"), "fenced"), "", &Definition::new("total", ""));
    assert!(total[0].starts_with("c=BigInt(30) "), "{total:?}");
    assert!(engine.resume_writer("p", id, 7).map(drop).unwrap_err().to_string().contains("has finished"));
}

#[test]
fn a_writer_that_waits_for_room_is_told_that_it_is_fenced() {
    let engine = Engine::builder().threads(1).build().unwrap();
    // A sink that nobody reads from holds the stream, so the writer's queue fills.
    engine.execute(&(stream(0, None) + "CREATE METRIC each AS SELECT n, window_end, COUNT(*) AS c FROM TUMBLE(p, t, INTERVAL '1 millisecond') GROUP BY n, window_end;")).unwrap();
    let unread = engine.metric("each").unwrap().subscribe();
    let old = engine.writer("p").unwrap();
    let id = old.producer();
    std::thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            for i in 0.. {
                if let Err(error) = old.push(&Row { k: String::new(), n: Some(i), t: i * 1000 }) {
                    return error;
                }
            }
            unreachable!("the queue has an end")
        });
        while old.try_push(&Row { k: String::new(), n: None, t: 0 }).is_ok() {}
        let new = engine.resume_writer("p", id, 2).unwrap();
        assert!(matches!(pushing.join().unwrap(), Error::Fenced { session: 1, newest: 2, .. }));
        drop(unread);
        new.finish();
    });
    engine.wait().unwrap();
}

/// A look-up that begins when rows have been acknowledged shows them, whichever replica it reads.
#[test]
fn what_is_acknowledged_as_applied_shows_in_look_ups() {
    let all = rows(&mut Random::new(7), 20_000);
    for replicas in [1, 2] {
        let engine = Engine::builder().threads(2).partitions(3).replicas(replicas).build().unwrap();
        engine.execute(&(stream(300, None) + "CREATE METRIC counts AS SELECT k, COUNT(*) AS c FROM p GROUP BY k;")).unwrap();
        let (writer, counts) = (engine.writer("p").unwrap(), engine.metric("counts").unwrap());
        let mut expected = BTreeMap::new();
        for some in all.chunks(40) {
            push_all(&writer, some);
            some.iter().for_each(|row| *expected.entry(&row.k).or_insert(0.0) += 1.0);
            writer.wait_for(Level::Applied).unwrap();
            for (k, expected) in &expected {
                let seen = counts.get(&[k.as_str().into()]).unwrap().and_then(|row| row.number("c"));
                assert_eq!(seen, Some(*expected), "{k}, with {replicas} replicas");
            }
        }
        writer.finish();
        engine.wait().unwrap();
    }
}

#[test]
fn acknowledgements_are_of_their_level() {
    let all = rows(&mut Random::new(2), 100);
    let plain = Engine::builder().threads(1).build().unwrap();
    plain.execute(&stream(100, None)).unwrap();
    let writer = plain.writer("p").unwrap();
    push_all(&writer, &all);
    writer.wait_for(Level::Applied).unwrap();
    assert_eq!(writer.acknowledged(Level::Applied).unwrap(), Offset(100));
    for (level, needed) in [(Level::Replicated, "replicas(2)"), (Level::Checkpointed, "state directory")] {
        assert!(writer.wait_for(level).unwrap_err().to_string().contains(needed));
        assert!(writer.acknowledged(level).unwrap_err().to_string().contains(needed));
    }
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "levels");
    let engine = builder(&directory).replicas(2).barrier_interval_us(3_600_000_000).build().unwrap();
    engine.execute(&script(&directory, "out")).unwrap();
    let writer = engine.writer("p").unwrap();
    push_all(&writer, &all);
    writer.wait_for(Level::Replicated).unwrap();
    assert_eq!(writer.acknowledged(Level::Replicated).unwrap(), Offset(100));
    assert_eq!(writer.acknowledged(Level::Checkpointed).unwrap(), Offset(0), "no checkpoint was made");
    engine.checkpoint().unwrap();
    writer.wait_for(Level::Checkpointed).unwrap();
    assert_eq!(writer.acknowledged(Level::Checkpointed).unwrap(), Offset(100));
    let id = writer.producer();
    push_all(&writer, &all[..50]);
    writer.flush().unwrap();
    drop(engine);
    let engine = start(&directory);
    let writer = engine.resume_writer("p", id, 2).unwrap();
    assert_eq!(writer.resumes_at(), Offset(100), "what is behind the checkpoint is asked for again");
    assert_eq!(writer.acknowledged(Level::Checkpointed).unwrap(), Offset(100));
}

#[test]
fn a_producer_that_has_finished_is_known_for_a_day() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "finished");
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let clock = ManualClock::new(0);
    let start = || {
        let engine = builder(&directory).clock(clock.clone()).build().unwrap();
        engine.execute(&script(&directory, "out")).unwrap();
        engine
    };
    let engine = start();
    let (one, other) = (engine.writer("p").unwrap(), engine.writer("p").unwrap());
    let (ended, goes_on) = (one.producer(), other.producer());
    push_all(&one, &rows(&mut Random::new(3), 10));
    one.finish();
    drop(other);
    engine.shutdown().unwrap();
    let refusal = |engine: &Engine, session: u64| engine.resume_writer("p", ended, session).map(drop).unwrap_err().to_string();
    clock.advance(hours(23));
    let engine = start();
    assert!(refusal(&engine, 2).contains("has finished"));
    engine.shutdown().unwrap();
    let known = || {
        let saved = SavedCheckpoints::open(&directory.text("state")).unwrap();
        let contents = saved.contents().unwrap();
        let commit = contents.commit(*contents.epochs().unwrap().last().unwrap()).unwrap();
        commit.streams[0].splits.iter().map(|split| split.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(known(), [format!("producer {ended}"), format!("producer {goes_on}")]);
    clock.advance(hours(1));
    let engine = start();
    assert!(refusal(&engine, 3).contains("is not known"));
    let writer = engine.resume_writer("p", goes_on, 2).unwrap();
    push_all(&writer, &rows(&mut Random::new(4), 10));
    drop(writer);
    engine.shutdown().unwrap();
    assert_eq!(known(), [format!("producer {goes_on}")]);
}

#[test]
fn rows_that_are_lost_are_named_and_skipped_by_name_only() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "lost-rows");
    let all = rows(&mut Random::new(5), 100);
    // None of the rows is late.
    let start = || {
        let engine = builder(&directory).keep_checkpoints(1000).build().unwrap();
        engine.execute(&script(&directory, "out").replace("'100 milliseconds'", "'1 second'")).unwrap();
        engine
    };
    let engine = start();
    let writer = engine.writer("p").unwrap();
    let id = writer.producer();
    push_all(&writer, &all[..40]);
    writer.flush().unwrap();
    let older = engine.checkpoint().unwrap();
    push_all(&writer, &all[40..70]);
    writer.wait_for(Level::Checkpointed).unwrap();
    drop((writer, engine));
    let state = PathBuf::from(directory.text("state"));
    let refused = restore(&state, older, Loss::Refuse).unwrap_err().to_string();
    assert!(refused.contains(&format!("producer {id}: rows 40 to 69")) && refused.contains("--accept-loss"), "{refused}");
    restore(&state, older, Loss::Accept).unwrap();
    let engine = start();
    let writer = engine.resume_writer("p", id, 2).unwrap();
    assert_eq!(writer.resumes_at(), Offset(40));
    assert!(writer.skip_to(Offset(39)).unwrap_err().to_string().contains("39"));
    assert_eq!(writer.skip_to(Offset(40)).unwrap(), 0);
    assert_eq!(writer.skip_to(Offset(70)).unwrap(), 30);
    push_all(&writer, &all[70..]);
    writer.flush().unwrap();
    let split = engine.stats().streams[0].splits[0].clone();
    assert_eq!((split.rows, split.skipped, split.bad), (100, 30, 30));
    writer.finish();
    assert!(engine.wait_timeout(Duration::from_secs(60)).unwrap());
    let total = results(&engine, &directory, "out", &definitions()[2]);
    assert!(total[0].starts_with("c=BigInt(70) "), "{total:?}");
}

#[test]
fn statements_may_come_one_by_one() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "producers-statements");
    let statements: Vec<String> =
        std::iter::once(stream(100, None)).chain(definitions().iter().map(|one| one.create(&directory, "out"))).collect();
    let start = || {
        let engine = builder(&directory).build().unwrap();
        statements.iter().for_each(|statement| drop(engine.execute(statement).unwrap()));
        engine
    };
    let total = |engine: &Engine| engine.metric("total").unwrap().get(&[]).unwrap().map(|row| row.number("c"));
    let rows = rows(&mut Random::new(9), 200);
    let engine = start();
    assert_eq!(total(&engine), None);
    let writer = engine.writer("p").unwrap();
    let producer = writer.producer();
    push_all(&writer, &rows[..120]);
    writer.wait_for(Level::Checkpointed).unwrap();
    let before = total(&engine);
    assert!(before.flatten() > Some(0.0));
    drop(engine);
    // Nobody has connected: what was counted is there all the same, for whoever looks.
    let engine = start();
    assert_eq!(total(&engine), before);
    drop(engine);
    let engine = start();
    let writer = engine.resume_writer("p", producer, 2).unwrap();
    assert_eq!(writer.resumes_at(), Offset(120));
    push_all(&writer, &rows[120..]);
    writer.finish();
    engine.wait().unwrap();
    let ours = published(&engine, &directory, "out");
    let undisturbed = Engine::builder().threads(2).build().unwrap();
    undisturbed.execute(&script(&directory, "undisturbed")).unwrap();
    let writer = undisturbed.writer("p").unwrap();
    push_all(&writer, &rows);
    writer.finish();
    undisturbed.wait().unwrap();
    assert_eq!(ours, published(&undisturbed, &directory, "undisturbed"));
}
