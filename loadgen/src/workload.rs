//! Workloads: a script in SQL, and rows that are functions of their numbers.
//!
//! A script defines one stream without a connector and the metrics over it. Its rows are made here, each from its number, the seed and the time it is due
//! at and nothing else, so they can be made again: for a restarted engine, and for the ledger. Event time is the time at which a row is due, less what it
//! is behind ([`Disorder`]); only the flights have their own. So what depends on event time comes when it should, in bursts too.

mod degradations;
mod flights;
mod generated;
mod prepared;
mod random;
mod ysb;

use crate::error::{Error, Result};
use crate::in_process::Job;
use crate::schedule::Schedule;
use crate::target::TargetOptions;
use arrow::array::RecordBatch;
use prepared::Prepared;
use raympp_operators::plan::{MetricPlan, StreamPlan};
use raympp_operators::sql::{Catalog, Statement, bind_script};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// 2024-11-11 00:00:00, where event time begins.
pub const START_US: i64 = 1_731_283_200 * 1_000_000;

/// What is computed of a workload's rows.
#[derive(Clone, Debug)]
pub enum Metrics {
    /// Those that are meant by the workload's name alone: of payments the success rates by channel, of others all.
    Usual,
    /// All metrics of its script.
    All,
    /// These metrics of its script.
    Named(Vec<String>),
    /// The metrics of another script over its stream.
    Others(String),
}

/// What can be chosen of a workload.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Rows are others with another seed.
    pub seed: u64,
    /// Channels, auctions in flight, or advertisements.
    pub keys: u64,
    /// Zipf exponent of the channels; 0: all alike.
    pub skew: f64,
    /// How far rows may be behind the clock, exclusive: some are late if that is more than the watermark's bound, which is what counts if nothing is said.
    pub out_of_orderness: Option<Duration>,
    /// Rows per second before bursts.
    pub rate: u64,
    /// What is computed of its rows.
    pub metrics: Metrics,
    /// Where the flights are.
    pub flights: PathBuf,
}

/// Makes rows.
pub trait Rows: Send {
    /// Rows with these numbers. Depends on nothing but the numbers, the schedule and the settings.
    ///
    /// # Errors
    /// If they can't be read.
    fn take(&mut self, numbers: Range<u64>, schedule: &Schedule) -> Result<RecordBatch>;
}

/// A script and its rows.
pub struct Workload {
    /// What it is called.
    pub name: &'static str,
    /// The stream and the metrics that are wanted.
    pub script: String,
    /// The stream that the script makes.
    pub stream: Arc<StreamPlan>,
    /// Its metrics, in order.
    pub metrics: Vec<Arc<MetricPlan>>,
    /// Its rows.
    pub rows: Box<dyn Rows>,
}

/// A workload that there is.
struct Known {
    name: &'static str,
    script: &'static str,
    /// [`Metrics::Usual`], if not all.
    usual: Option<&'static str>,
    rows: fn(&StreamPlan, &Settings) -> Result<Box<dyn Rows>>,
    /// Rows are drawn by chance, so that it makes no difference if the same ones come again.
    can_come_again: bool,
}

const KNOWN: &[Known] = &[
    Known {
        name: "payments",
        script: include_str!("../workloads/payments.sql"),
        usual: Some("success"),
        rows: generated::payments,
        can_come_again: true,
    },
    Known { name: "nexmark", script: include_str!("../workloads/nexmark.sql"), usual: None, rows: generated::bids, can_come_again: false },
    Known { name: "ysb", script: include_str!("../workloads/ysb.sql"), usual: None, rows: ysb::rows, can_come_again: true },
    Known { name: "flights", script: include_str!("../workloads/flights.sql"), usual: None, rows: flights::rows, can_come_again: false },
];

/// Names of all workloads.
pub fn names() -> Vec<&'static str> {
    KNOWN.iter().map(|known| known.name).collect()
}

impl Workload {
    /// A workload by name.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is none of that name, or it has no such metric; [`Error::Workload`] if its rows can't be read.
    pub fn open(name: &str, settings: &Settings) -> Result<Workload> {
        let known = KNOWN.iter().find(|known| known.name == name);
        let known = known.ok_or_else(|| Error::Usage(format!("there is no workload {name}; there are {}", names().join(", "))))?;
        let script = script(known, &settings.metrics)?;
        let bound = bind_script(&script, &Catalog::default()).map_err(|error| failed(known.name, &error))?;
        let (mut stream, mut metrics) = (None, Vec::new());
        for statement in bound.statements {
            match statement {
                Statement::CreateStream { plan } if stream.is_none() => stream = Some(plan),
                Statement::CreateMetric { plan, .. } => metrics.push(plan),
                _ => return Err(failed(known.name, &"a script of a workload has metrics over its stream and nothing else")),
            }
        }
        let stream = stream.ok_or_else(|| failed(known.name, &"its script makes no stream"))?;
        let rows = (known.rows)(&stream, settings)?;
        Ok(Workload { name: known.name, script, stream, metrics, rows })
    }
}

impl Workload {
    /// Makes the first `rows` rows of a schedule now, which then come again and again, each time when they are due: for high rates. Rows of workloads that depend on their
    /// number in other ways than by chance (auctions come and go, flights follow each other) are made as before; answers whether these rows were prepared.
    ///
    /// # Errors
    /// [`Error::Workload`] if they can't be made.
    pub fn prepare(&mut self, rows: u64, schedule: &Schedule) -> Result<bool> {
        let can_come_again = KNOWN.iter().any(|known| known.name == self.name && known.can_come_again);
        if let Some(time_column) = self.stream.event_time.filter(|_| can_come_again) {
            self.rows = Box::new(Prepared::new(self.rows.as_mut(), rows, schedule, time_column)?);
        }
        Ok(can_come_again)
    }

    /// What an engine is started on to run it.
    pub fn job(&self, options: &TargetOptions) -> Job {
        let script = options.published.as_ref().map_or_else(|| self.script.clone(), |directory| self.script_with_sinks(directory));
        let windowed = self.metrics.iter().enumerate().filter(|(_, metric)| metric.window.has_bounds());
        let windowed = windowed.map(|(position, metric)| (position, metric.name.clone())).collect();
        Job { stream: self.stream.name.clone(), script, windowed, options: options.clone() }
    }

    /// The script with a file sink for each metric that has windows, in a directory of its name below `published`: what [`crate::ledger`] reads.
    fn script_with_sinks(&self, published: &Path) -> String {
        let windowed = self.metrics.iter().filter(|metric| metric.window.has_bounds());
        let sink = |metric: &Arc<MetricPlan>| {
            let (name, path) = (&metric.name, published.join(&metric.name));
            let path = path.to_string_lossy().replace('\'', "''");
            format!("\nCREATE SINK {name}_published FROM {name} WITH (connector = 'file', path = '{path}', format = 'parquet');")
        };
        self.script.clone() + &windowed.map(sink).collect::<String>()
    }
}

/// The stream of a workload and the metrics that are wanted of it. In workloads' own scripts, the stream comes first and semicolons only end statements.
fn script(known: &Known, metrics: &Metrics) -> Result<String> {
    let mut statements = known.script.split_inclusive(';').filter(|text| text.ends_with(';'));
    let stream = statements.next().unwrap_or_default();
    let named = |names: &[&str]| -> Result<String> {
        let statements: Vec<&str> = statements.clone().collect();
        let named = |name: &&str| {
            let begin = format!("CREATE METRIC {name} AS");
            let found = statements.iter().find(|text| text.contains(&begin));
            found.copied().ok_or_else(|| Error::Usage(format!("workload {} has no metric {name}", known.name)))
        };
        Ok(stream.to_owned() + &names.iter().map(named).collect::<Result<String>>()?)
    };
    match (metrics, known.usual) {
        (Metrics::All, _) | (Metrics::Usual, None) => Ok(known.script.to_owned()),
        (Metrics::Usual, Some(usual)) => named(&[usual]),
        (Metrics::Named(names), _) => named(&names.iter().map(String::as_str).collect::<Vec<_>>()),
        (Metrics::Others(script), _) => Ok(format!("{stream}\n{script}")),
    }
}

fn failed(workload: &str, message: &dyn ToString) -> Error {
    Error::Workload { workload: workload.to_owned(), message: message.to_string() }
}

/// Of a row that is due then, in microseconds since 1970.
fn event_time(due_ns: u64, behind_us: i64) -> i64 {
    START_US + (due_ns / 1_000) as i64 - behind_us
}

/// How far rows are behind the clock: each by its own number, up to a bound.
#[derive(Clone, Copy, Debug)]
struct Disorder {
    seed: u64,
    /// Exclusive.
    bound_us: u64,
}

impl Disorder {
    /// As much as the settings say, or else as the stream bears without late rows.
    fn of(stream: &StreamPlan, settings: &Settings) -> Disorder {
        let bound_us = settings.out_of_orderness.map_or(stream.bound_us as u64, |behind| behind.as_micros() as u64);
        Disorder { seed: random::at(settings.seed, 0xD150), bound_us }
    }

    /// Event times of these rows, in microseconds since 1970.
    fn event_times(self, numbers: Range<u64>, schedule: &Schedule) -> Vec<i64> {
        let time =
            |(number, due_ns): (u64, u64)| event_time(due_ns, random::below(random::at(self.seed, number), self.bound_us.max(1)) as i64);
        numbers.clone().zip(schedule.due(numbers)).map(time).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::STEP_ROWS_MAX;
    use arrow::array::AsArray;
    use arrow::datatypes::TimestampMicrosecondType;

    fn settings() -> Settings {
        let flights = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/data/flights-2013.csv.gz"));
        Settings { seed: 3, keys: 100, skew: 0.5, out_of_orderness: None, rate: 1_000, metrics: Metrics::All, flights }
    }

    /// However they are asked for, and in whatever order.
    #[test]
    fn rows_are_functions_of_their_numbers() {
        let schedule = Schedule::new(1_000, &[]);
        for name in names() {
            let mut workload = Workload::open(name, &settings()).expect("it is known");
            let all = workload.rows.take(0..1_000, &schedule).expect("rows");
            assert_eq!(all.num_rows(), 1_000, "{name}");
            for numbers in [500..501, 0..500, 999..1_000, 501..999] {
                let rows = workload.rows.take(numbers.clone(), &schedule).expect("rows");
                assert_eq!(rows, all.slice(numbers.start as usize, rows.num_rows()), "{name}");
            }
            let columns: Vec<&str> = workload.stream.schema.fields.iter().map(|field| field.name.as_str()).collect();
            let schema = all.schema();
            assert_eq!(schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), columns, "{name}");
        }
    }

    /// As the benchmark's own SQL names them.
    #[test]
    fn query_16_counts_bids_bidders_and_auctions_by_rank() {
        let metrics = Metrics::Named(vec!["q16".to_owned()]);
        let workload = Workload::open("nexmark", &Settings { metrics, ..settings() }).expect("it is known");
        let schema = workload.metrics[0].output_schema();
        let columns: Vec<&str> = schema.fields.iter().map(|field| field.name.as_str()).collect();
        let counts = ["bids", "bidders", "auctions"].map(|what| ["total", "rank1", "rank2", "rank3"].map(|rank| format!("{rank}_{what}")));
        assert_eq!(columns[..4], ["channel", "window_start", "window_end", "latest"]);
        assert_eq!(columns[4..], counts.concat());
    }

    /// The canonical workload is one metric, whatever else the script has; of the others it is all that there is.
    #[test]
    fn what_runs_without_a_choice_is_one_metric_of_payments_and_all_of_the_others() {
        let metrics = |name: &str, metrics| -> Vec<String> {
            let workload = Workload::open(name, &Settings { metrics, ..settings() }).expect("it is known");
            workload.metrics.iter().map(|metric| metric.name.clone()).collect()
        };
        assert_eq!(metrics("payments", Metrics::Usual), ["success"]);
        assert_eq!(metrics("payments", Metrics::All), ["success", "merchant_success"]);
        for name in ["nexmark", "ysb", "flights"] {
            assert_eq!(metrics(name, Metrics::Usual), metrics(name, Metrics::All), "{name}");
        }
    }

    #[test]
    fn rows_are_as_far_behind_the_clock_as_it_is_said() {
        let schedule = Schedule::new(1_000, &[]);
        let behind_ms_max = |out_of_orderness: Option<Duration>| {
            let disorder = Disorder::of(
                &Workload::open("payments", &settings()).expect("it is known").stream,
                &Settings { out_of_orderness, ..settings() },
            );
            let times = disorder.event_times(0..10_000, &schedule);
            let behind_us = (0..10_000).zip(times).map(|(row, time)| START_US + schedule.due_ns(row) as i64 / 1_000 - time);
            behind_us.max().expect("there are rows") / 1_000
        };
        let said = [None, Some(Duration::ZERO), Some(Duration::from_millis(200))];
        assert_eq!(said.map(behind_ms_max), [49, 0, 199]);
    }

    #[test]
    fn flights_are_as_late_as_they_were() {
        let settings = Settings { out_of_orderness: Some(Duration::from_millis(1)), ..settings() };
        let error = Workload::open("flights", &settings).err().expect("they have their own times").to_string();
        assert!(error.contains("flights come in the order in which they left"), "{error}");
    }

    #[test]
    fn prepared_rows_come_again_at_times_of_their_own() {
        let schedule = Schedule::new(1_000, &[]);
        let rows = STEP_ROWS_MAX + 500;
        for (name, can_come_again) in [("payments", true), ("ysb", true), ("nexmark", false), ("flights", false)] {
            let open = || Workload::open(name, &settings()).expect("it is known");
            let (mut plain, mut prepared) = (open(), open());
            assert_eq!(prepared.prepare(rows, &schedule).expect("rows"), can_come_again);
            let taken = |workload: &mut Workload, numbers| workload.rows.take(numbers, &schedule).expect("rows");
            assert_eq!(taken(&mut plain, 300..700), taken(&mut prepared, 300..700), "{name}");
            if can_come_again {
                let time_column = plain.stream.event_time.expect("it has one");
                let others = |batch: &RecordBatch| {
                    let kept: Vec<usize> = (0..batch.num_columns()).filter(|column| *column != time_column).collect();
                    batch.project(&kept).expect("its columns")
                };
                let again = taken(&mut prepared, 2 * rows - 100..2 * rows + 300);
                assert_eq!(others(&again.slice(100, 300)), others(&taken(&mut plain, 0..300)), "{name}");
                assert_eq!(others(&again.slice(0, 100)), others(&taken(&mut plain, rows - 100..rows)), "{name}");
                let shift_us = (2 * rows * 1_000) as i64;
                let times = |batch: &RecordBatch| batch.column(time_column).as_primitive::<TimestampMicrosecondType>().values().to_vec();
                let later: Vec<i64> = times(&taken(&mut plain, 0..300)).iter().map(|time| time + shift_us).collect();
                assert_eq!(times(&again.slice(100, 300)), later, "{name}");
            }
        }
    }

    #[test]
    fn metrics_can_be_chosen() {
        let open = |metrics| Workload::open("nexmark", &Settings { metrics, ..settings() });
        let chosen = |metrics: &[&str]| open(Metrics::Named(metrics.iter().map(|&metric| metric.to_owned()).collect()));
        let others = |script: &str| open(Metrics::Others(script.to_owned()));
        let workload = chosen(&["q5", "q17"]).expect("it has both");
        assert_eq!(workload.metrics.iter().map(|metric| metric.name.as_str()).collect::<Vec<_>>(), ["q5", "q17"]);
        assert!(workload.script.contains("CREATE METRIC q17") && !workload.script.contains("CREATE METRIC q7"));
        let error = chosen(&["q99"]).err().expect("it has none");
        assert_eq!(error.to_string(), "workload nexmark has no metric q99");
        let workload =
            others("CREATE METRIC bids AS SELECT auction, COUNT(*) AS bids FROM bid GROUP BY auction").expect("it is a metric of bids");
        assert_eq!(workload.metrics.iter().map(|metric| metric.name.as_str()).collect::<Vec<_>>(), ["bids"]);
        for wrong in ["CREATE STREAM other (a BIGINT)", "CREATE METRIC m AS SELECT a FROM b", "SHOW METRICS"] {
            assert!(others(wrong).is_err(), "{wrong}");
        }
    }
}
