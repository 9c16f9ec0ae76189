//! `embedding DIRECTORY OUT SEED`: a program that embeds the engine and is two producers, each on a thread of its own. What a producer knows of itself is
//! what it has written down, as if it were far away, so the program may be killed at any instant and started again.
//!
//! It ends when both have pushed all their rows and everything is published; the file `total` of OUT then has the metric without windows.

use raympp_engine::{Engine, Error, Level, Offset, ProducerId, Writer};
use raympp_testkit::random::Random;
use raympp_testkit::rows::rows_sorted;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const PRODUCERS: usize = 2;
/// Rows of a producer.
const ROWS: usize = 40_000;
/// Rows that a producer pushes before it waits until they are in a checkpoint.
const ROWS_AT_ONCE: usize = 2_000;

#[derive(Serialize)]
struct Row {
    k: String,
    n: Option<i64>,
    t: i64,
}

/// Rows 100 µs of event time apart, out of order by up to 30 ms, so that some are late.
fn rows(seed: u64) -> Vec<Row> {
    let mut random = Random::new(seed);
    let row = |i: usize| Row {
        k: format!("k{}", random.below(7)),
        n: (random.below(9) > 0).then(|| random.below(1_000) as i64 - 300),
        t: i as i64 * 100 + random.below(30_000) as i64,
    };
    (0..ROWS).map(row).collect()
}

fn script(directory: &Path, out: &str) -> String {
    let windows = [("counts", "TUMBLE(p, t, INTERVAL '100 milliseconds')"), ("sessions", "SESSION(p, t, INTERVAL '1 millisecond')")];
    let metric = |(name, from): (&str, &str)| {
        let path = directory.join(out).join(name);
        format!(
            "CREATE METRIC {name} AS SELECT k, window_start, window_end, COUNT(*) AS c, SUM(n) AS s FROM {from} GROUP BY k, window_start, window_end;
             CREATE SINK {name}_out FROM {name} WITH (connector = 'file', path = '{}', roll = '1ms');\n",
            path.display()
        )
    };
    "CREATE STREAM p (k VARCHAR, n BIGINT, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '10 milliseconds');
     CREATE METRIC total AS SELECT COUNT(*) AS c, SUM(n) AS s FROM p;\n"
        .to_owned()
        + &windows.map(metric).concat()
}

/// What is written down in a file, as a whole or not at all.
fn write_down(path: &Path, text: &str) -> Outcome<()> {
    let new = path.with_extension("new");
    std::fs::write(&new, text)?;
    Ok(std::fs::rename(new, path)?)
}

/// What a producer knows of itself.
struct Producer {
    file: PathBuf,
    rows: Vec<Row>,
    id: Option<ProducerId>,
    /// Rows that are in a checkpoint, as it was told: it does not have them any more.
    forgotten: Offset,
}

impl Producer {
    fn read(directory: &Path, seed: u64, number: usize) -> Outcome<Producer> {
        let file = directory.join(format!("producer-{number}"));
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let known =
            text.split_once(' ').map(|(id, forgotten)| Ok::<_, Box<dyn std::error::Error>>((id.parse()?, Offset(forgotten.parse()?))));
        let (id, forgotten) = known.transpose()?.map_or((None, Offset(0)), |(id, forgotten)| (Some(id), forgotten));
        Ok(Producer { file, rows: rows(seed * PRODUCERS as u64 + number as u64), id, forgotten })
    }

    /// A writer, unless all rows have been pushed and the end has been said.
    fn connect(&mut self, engine: &Engine, session: u64) -> Outcome<Option<Writer>> {
        if let Some(id) = self.id {
            match engine.resume_writer("p", id, session) {
                Ok(writer) if writer.resumes_at() >= self.forgotten => return Ok(Some(writer)),
                Ok(writer) => return Err(format!("{id} is to push row {} again, which it has forgotten", writer.resumes_at()).into()),
                Err(Error::Refused(message)) if message.contains("has finished") => return Ok(None),
                // The run that issued the id never committed anything of it.
                Err(Error::Refused(message)) if message.contains("is not known") && self.forgotten == Offset(0) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let writer = engine.writer("p")?;
        self.id = Some(writer.producer());
        self.write_down()?;
        Ok(Some(writer))
    }

    fn write_down(&self) -> Outcome<()> {
        self.id.map_or(Ok(()), |id| write_down(&self.file, &format!("{id} {}", self.forgotten)))
    }

    /// Pushes what is left.
    fn push(mut self, writer: Writer) -> Outcome<()> {
        let rows = std::mem::take(&mut self.rows);
        for rows in rows[writer.resumes_at().0 as usize..].chunks(ROWS_AT_ONCE) {
            rows.iter().try_for_each(|row| writer.push(row))?;
            writer.wait_for(Level::Checkpointed)?;
            self.forgotten = writer.acknowledged(Level::Checkpointed)?;
            self.write_down()?;
        }
        writer.finish();
        Ok(())
    }
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, out, seed] = arguments.as_slice() else { return Err("embedding DIRECTORY OUT SEED".into()) };
    let (directory, seed) = (Path::new(directory), seed.parse()?);
    // Each run has sessions of its own number.
    let runs = directory.join("runs");
    let session = std::fs::read_to_string(&runs).map_or(Ok(0), |text| text.parse::<u64>())? + 1;
    write_down(&runs, &session.to_string())?;

    let engine = Engine::builder().threads(2).state_dir(directory.join("state")).barrier_interval_us(5_000).build()?;
    engine.execute(&script(directory, out))?;
    let mut connected = Vec::new();
    // Both connect before either pushes: neither may end before the other has joined.
    for number in 0..PRODUCERS {
        let mut producer = Producer::read(directory, seed, number)?;
        let writer = producer.connect(&engine, session)?;
        connected.push((producer, writer));
    }
    finish_others(&engine, connected.iter().filter_map(|(producer, _)| producer.id).collect(), session)?;
    std::thread::scope(|scope| {
        let push = |(producer, writer): (Producer, Option<Writer>)| {
            scope.spawn(|| writer.map_or(Ok(()), |writer| producer.push(writer)).map_err(|error| error.to_string()))
        };
        let threads: Vec<_> = connected.into_iter().map(push).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("pushing does not panic"))
    })?;
    if !engine.wait_timeout(Duration::from_secs(60))? {
        return Err(format!("it did not end: {:?}", engine.stats().streams).into());
    }
    write_down(&directory.join(out).join("total"), &rows_sorted(&[engine.query("SELECT * FROM total")?]).concat())
}

/// A run that was killed before it could write down an id that it was given has left a producer that nobody is: it has no rows, and never will.
fn finish_others(engine: &Engine, own: Vec<ProducerId>, session: u64) -> Outcome<()> {
    for split in engine.stats().streams.iter().flat_map(|stream| &stream.splits) {
        let id: ProducerId = split.name.trim_start_matches("producer ").parse()?;
        if !own.contains(&id) && !split.ended {
            engine.resume_writer("p", id, session)?.finish();
        }
    }
    Ok(())
}
