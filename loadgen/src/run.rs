//! One run: rows are pushed when they are due, and a reader looks all the time at what has become of them.
//!
//! One thread does both, so that a moment has one clock. Rows are handed over a step at a time, when the last row of the step is due: what a row has waited for
//! its step is part of its latency, as it would be in any client. If the target takes no more, rows wait here, and go on being late.

mod closing;

use crate::chaos::{Fault, Planned};
use crate::error::Result;
use crate::pauses::Pauses;
use crate::recorder::{Kind, Recent, Recorder};
use crate::schedule::Schedule;
use crate::target::{Counts, Push, Results, Target};
use crate::workload::Workload;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use closing::Closing;
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, VecDeque};
use std::iter::Peekable;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Rows that are handed over at once, at most.
pub(crate) const STEP_ROWS_MAX: u64 = 8_192;
/// Steps whose rows are made before they are due.
const STEPS_AHEAD: usize = 64;
/// Steps that are handed over from one look at what has become of rows to the next, at most: less than a millisecond.
const STEPS_TOGETHER: usize = 8;
/// Groups of a step whose rows are taken to be due together, at most: the earliest counts for all.
const GROUPS_MAX: u64 = 64;
/// What happened when a checkpoint was committed.
pub const CHECKPOINT: &str = "checkpoint";
/// What happened when a target that was started again could take rows.
pub const BACK: &str = "back";
/// What happened when a standby took the place of a lost primary.
pub const PROMOTION: &str = "promotion";
/// From one look at the counts to the next.
const LOOK_NS: u64 = 10_000_000;

/// How long and how fast.
#[derive(Clone, Debug)]
pub struct RunPlan {
    /// When rows are due.
    pub schedule: Schedule,
    /// Rows that are due later are not sent.
    pub duration: Duration,
    /// Rows that are due before are sent, but not counted.
    pub warm_up: Duration,
    /// How much time the rows of one hand-over are due in.
    pub step: Duration,
    /// Length of an interval of the recorder.
    pub interval: Duration,
    /// What is done to the target meanwhile, in order of time.
    pub faults: Vec<Planned>,
}

impl RunPlan {
    /// How many rows are sent.
    pub fn rows(&self) -> u64 {
        self.schedule.rows_due((self.duration.as_nanos() as u64).saturating_sub(1))
    }

    /// The rows of each hand-over, in order; hand-over i goes to producer i modulo their number. A function of the plan alone, so that the ledger can follow.
    pub fn steps(&self) -> impl Iterator<Item = Range<u64>> {
        let rows = self.rows();
        let (schedule, step_ns) = (self.schedule.clone(), (self.step.as_nanos() as u64).max(1));
        let mut next = 0;
        std::iter::from_fn(move || {
            let first = next;
            if first < rows {
                let end_ns = (schedule.due_ns(first) / step_ns + 1) * step_ns;
                next = schedule.rows_due(end_ns - 1).min(rows).min(first + STEP_ROWS_MAX);
            }
            (first < next).then_some(first..next)
        })
    }
}

/// What is told while it runs.
pub struct Progress<'a> {
    /// Time since the beginning.
    pub elapsed: Duration,
    /// Rows that are visible.
    pub visible: u64,
    /// Rows that were due.
    pub due: u64,
    /// Latencies of rows that became visible lately, counted or not.
    pub recent: &'a Histogram<u64>,
}

/// What a run has found.
pub struct Found {
    /// Latencies.
    pub recorder: Recorder,
    /// How long the run did not get to look at what has become of rows, from the end of the warm-up on.
    pub pauses: Pauses,
    /// Rows sent.
    pub rows: u64,
    /// Hand-overs that they were sent in: the first so many of [`RunPlan::steps`].
    pub hand_overs: usize,
    /// Rows that became visible.
    pub visible: u64,
    /// Rows of results received, without those that only the end of the input brings.
    pub result_rows: u64,
    /// Windows whose results' latencies were counted, of all metrics.
    pub windows: u64,
    /// From the first row's time until the last one was visible.
    pub elapsed: Duration,
    /// Most rows that were due and not visible.
    pub backlog_max: u64,
    /// What has happened in the target.
    pub counts: Counts,
    /// All rows of the plan were sent and seen; else it was ended early.
    pub is_complete: bool,
}

/// Rows of one hand-over.
struct Step {
    numbers: Range<u64>,
    last_due_ns: u64,
    rows: RecordBatch,
}

/// Result rows that have come, by metric and end of their window.
type Received = BTreeMap<(usize, i64), u64>;

/// Runs a workload on a target; `watch` is called now and then, and ends the run early by answering false.
///
/// # Errors
/// What the workload or the target says.
pub fn run(
    workload: &mut Workload,
    target: &mut dyn Target,
    plan: &RunPlan,
    watch: &mut dyn FnMut(&Progress<'_>) -> bool,
) -> Result<Found> {
    let mut run = Run::new(workload, target, plan);
    while run.go_on(watch)? {}
    run.note_counts(run.now_ns());
    run.look()?;
    let is_complete = !run.is_under_way();
    Ok(run.found(is_complete))
}

struct Run<'a> {
    workload: &'a mut Workload,
    target: &'a mut dyn Target,
    plan: &'a RunPlan,
    started: Instant,
    /// Of the plan.
    rows: u64,
    /// Hand-overs whose rows have not been made.
    steps: Peekable<Box<dyn Iterator<Item = Range<u64>> + 'a>>,
    /// Made and not taken.
    ready: VecDeque<Step>,
    steps_taken: usize,
    /// By producer: rows that it was given and that have not been seen, with what it had been given before them.
    unseen: Vec<VecDeque<(u64, Range<u64>)>>,
    given: Vec<u64>,
    /// By producer: all that it was given, as in `unseen`. Kept if the target may lose rows.
    history: Vec<Vec<(u64, Range<u64>)>>,
    /// Rows that a target which has been started again does not have, with their producers.
    again: VecDeque<(usize, Range<u64>)>,
    /// Of the plan's: how many have been injected.
    faults: usize,
    closing: Closing,
    recorder: Recorder,
    recent: Recent,
    pauses: Pauses,
    visible: u64,
    /// When rows last became visible.
    visible_at_ns: u64,
    result_rows: u64,
    windows: u64,
    received: Received,
    /// Of these, what a target that was started again may bring once more, and which is not counted again.
    repeated: Received,
    backlog_max: u64,
    /// What had happened in the target before the run, and at the last look.
    counts_before: Counts,
    counts: Counts,
    next_look_ns: u64,
}

impl<'a> Run<'a> {
    fn new(workload: &'a mut Workload, target: &'a mut dyn Target, plan: &'a RunPlan) -> Run<'a> {
        let producers = target.producers();
        let nanos = |duration: Duration| duration.as_nanos() as u64;
        let counts = target.counts();
        Run {
            started: Instant::now(),
            rows: plan.rows(),
            steps: (Box::new(plan.steps()) as Box<dyn Iterator<Item = Range<u64>>>).peekable(),
            ready: VecDeque::new(),
            steps_taken: 0,
            unseen: vec![VecDeque::new(); producers],
            given: vec![0; producers],
            history: vec![Vec::new(); producers],
            again: VecDeque::new(),
            faults: 0,
            closing: Closing::new(workload.stream.bound_us, producers),
            recorder: Recorder::new(nanos(plan.warm_up), nanos(plan.interval), nanos(plan.duration)),
            recent: Recent::default(),
            pauses: Pauses::default(),
            visible: 0,
            visible_at_ns: 0,
            result_rows: 0,
            windows: 0,
            received: Received::new(),
            repeated: Received::new(),
            backlog_max: 0,
            counts_before: counts,
            counts,
            next_look_ns: 0,
            workload,
            target,
            plan,
        }
    }

    fn now_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    /// Does what is due and looks at everything once; false at the end.
    fn go_on(&mut self, watch: &mut dyn FnMut(&Progress<'_>) -> bool) -> Result<bool> {
        self.inject_due()?;
        let pushed = self.push_again()? && self.push_due()?;
        let seen = self.look()?;
        if !pushed && !seen && (self.ready.len() >= STEPS_AHEAD || !self.make_step()?) {
            std::thread::yield_now();
        }
        let now_ns = self.now_ns();
        if now_ns >= self.recorder.from_ns() {
            self.pauses.note(now_ns);
        }
        if now_ns >= self.next_look_ns {
            self.next_look_ns = now_ns + LOOK_NS;
            self.note_counts(now_ns);
            let due = self.plan.schedule.rows_due(now_ns).min(self.rows);
            self.backlog_max = self.backlog_max.max(due - self.visible);
            let recent = self.recent.until(now_ns);
            if !watch(&Progress { elapsed: Duration::from_nanos(now_ns), visible: self.visible, due, recent }) {
                return Ok(false);
            }
        }
        Ok(self.is_under_way())
    }

    /// Rows are still to be sent or to be seen, or results of windows that they have closed are still to come.
    fn is_under_way(&mut self) -> bool {
        self.faults < self.plan.faults.len()
            || !self.again.is_empty()
            || self.steps.peek().is_some()
            || !self.ready.is_empty()
            || self.unseen.iter().any(|unseen| !unseen.is_empty())
            || self.counts.closed_us < self.closing.reached_us()
    }

    /// Does to the target what is due, and notes when it is back.
    fn inject_due(&mut self) -> Result<()> {
        let now_ns = self.now_ns();
        while let Some(planned) = self.plan.faults.get(self.faults).filter(|planned| planned.at.as_nanos() as u64 <= now_ns) {
            self.recorder.note(now_ns, planned.fault.to_string());
            self.target.inject(planned.fault)?;
            self.faults += 1;
        }
        if let Some(offsets) = self.target.resumed()? {
            self.recorder.note(self.now_ns(), BACK);
            self.go_back(&offsets);
        }
        Ok(())
    }

    /// What producers were given from these offsets on is to be pushed again, in the order in which it was.
    fn go_back(&mut self, offsets: &[u64]) {
        let after = |(producer, offset): (usize, u64)| {
            let given = &self.history[producer];
            let first = given.partition_point(|(before, rows)| before + (rows.end - rows.start) <= offset);
            given[first..].iter().map(move |(before, rows)| (producer, rows.start + offset.saturating_sub(*before)..rows.end))
        };
        let mut again: Vec<(usize, Range<u64>)> = offsets.iter().copied().enumerate().flat_map(after).collect();
        again.sort_by_key(|(_, rows)| rows.start);
        self.again = again.into();
        self.repeated = self.received.clone();
    }

    /// Pushes again what has to be; true if nothing is left of it.
    fn push_again(&mut self) -> Result<bool> {
        while let Some((producer, numbers)) = self.again.front() {
            let rows = self.workload.rows.take(numbers.clone(), &self.plan.schedule)?;
            if self.target.push(*producer, &rows)? == Push::Full {
                return Ok(false);
            }
            self.again.pop_front();
        }
        Ok(true)
    }

    /// Makes the rows of the next step, if there is one.
    fn make_step(&mut self) -> Result<bool> {
        let Some(numbers) = self.steps.next() else { return Ok(false) };
        let rows = self.workload.rows.take(numbers.clone(), &self.plan.schedule)?;
        self.ready.push_back(Step { last_due_ns: self.plan.schedule.due_ns(numbers.end - 1), numbers, rows });
        Ok(true)
    }

    /// Hands over steps that are due, as long as there is room; true if there were any. Those that are too many at once have to wait for another call.
    fn push_due(&mut self) -> Result<bool> {
        for pushed in 0..STEPS_TOGETHER {
            let now_ns = self.now_ns();
            if self.ready.is_empty() && self.steps.peek().is_some_and(|rows| self.plan.schedule.due_ns(rows.start) <= now_ns) {
                self.make_step()?;
            }
            let Some(step) = self.ready.front().filter(|step| step.last_due_ns <= now_ns) else { return Ok(pushed > 0) };
            let producer = self.steps_taken % self.unseen.len();
            if self.target.push(producer, &step.rows)? == Push::Full {
                return Ok(pushed > 0);
            }
            let step = self.ready.pop_front().expect("just looked at");
            self.note_times(producer, &step);
            let given = (self.given[producer], step.numbers.clone());
            if self.plan.faults.iter().any(|planned| planned.fault == Fault::Kill) {
                self.history[producer].push(given.clone());
            }
            self.unseen[producer].push_back(given);
            self.given[producer] += step.numbers.end - step.numbers.start;
            self.steps_taken += 1;
        }
        Ok(true)
    }

    fn note_times(&mut self, producer: usize, step: &Step) {
        let Some(column) = self.workload.stream.event_time else { return };
        let times = step.rows.column(column).as_primitive::<TimestampMicrosecondType>();
        self.closing.note(producer, times.values(), |row| self.plan.schedule.due_ns(step.numbers.start + row as u64));
    }

    /// Looks at what has become visible and at what has come out.
    fn look(&mut self) -> Result<bool> {
        let mut seen_any = false;
        for producer in 0..self.unseen.len() {
            if self.unseen[producer].is_empty() {
                continue;
            }
            let visible = self.target.visible(producer)?;
            let now_ns = self.now_ns();
            while let Some((before, numbers)) = self.unseen[producer].front_mut() {
                let seen = visible.saturating_sub(*before).min(numbers.end - numbers.start);
                if seen == 0 {
                    break;
                }
                let rows = numbers.start..numbers.start + seen;
                (*before, numbers.start) = (*before + seen, rows.end);
                if numbers.is_empty() {
                    self.unseen[producer].pop_front();
                }
                self.visible += seen;
                self.visible_at_ns = now_ns;
                seen_any = true;
                self.record_visible(rows, now_ns);
            }
        }
        while let Some(results) = self.target.results()? {
            seen_any = true;
            let is_new = !self.received.contains_key(&(results.metric, results.end_us));
            let rows = self.receive(&results);
            if let Some(due_ns) = self.closing.due_ns(results.end_us).filter(|_| rows > 0) {
                self.recorder.record(Kind::Result, due_ns, self.now_ns(), rows);
                self.result_rows += rows;
                self.windows += u64::from(is_new && due_ns >= self.recorder.from_ns());
            }
        }
        Ok(seen_any)
    }

    /// How many of these rows have not come before.
    fn receive(&mut self, results: &Results) -> u64 {
        let window = (results.metric, results.end_us);
        let repeated = self.repeated.get_mut(&window).map_or(0, |left| {
            let repeated = results.rows.min(*left);
            *left -= repeated;
            repeated
        });
        *self.received.entry(window).or_default() += results.rows - repeated;
        results.rows - repeated
    }

    fn record_visible(&mut self, rows: Range<u64>, now_ns: u64) {
        let group = (rows.end - rows.start).div_ceil(GROUPS_MAX);
        for first in rows.clone().step_by(group as usize) {
            let (due_ns, rows) = (self.plan.schedule.due_ns(first), group.min(rows.end - first));
            self.recorder.record(Kind::Visible, due_ns, now_ns, rows);
            self.recent.record(now_ns.saturating_sub(due_ns), rows);
        }
    }

    fn note_counts(&mut self, now_ns: u64) {
        let counts = self.target.counts();
        for (what, now, before) in
            [(CHECKPOINT, counts.checkpoints, self.counts.checkpoints), (PROMOTION, counts.promotions, self.counts.promotions)]
        {
            if now > before {
                self.recorder.note(now_ns, what);
            }
        }
        self.counts = counts;
    }

    fn found(self, is_complete: bool) -> Found {
        Found {
            is_complete,
            rows: self.given.iter().sum(),
            hand_overs: self.steps_taken,
            visible: self.visible,
            result_rows: self.result_rows,
            windows: self.windows,
            elapsed: Duration::from_nanos(self.visible_at_ns),
            backlog_max: self.backlog_max,
            counts: self.counts.since(self.counts_before),
            recorder: self.recorder,
            pauses: self.pauses,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::workload::{Metrics, Settings};
    use std::path::PathBuf;

    /// Takes everything, and shows it a look later.
    #[derive(Default)]
    struct Taker {
        taken: u64,
        pushes: usize,
        most_pushes: usize,
    }

    impl Target for Taker {
        fn producers(&self) -> usize {
            1
        }

        fn push(&mut self, _producer: usize, rows: &RecordBatch) -> Result<Push> {
            self.taken += rows.num_rows() as u64;
            self.pushes += 1;
            self.most_pushes = self.most_pushes.max(self.pushes);
            Ok(Push::Taken)
        }

        fn visible(&mut self, _producer: usize) -> Result<u64> {
            self.pushes = 0;
            Ok(self.taken)
        }

        fn results(&mut self) -> Result<Option<Results>> {
            Ok(None)
        }

        fn counts(&mut self) -> Counts {
            Counts { closed_us: Some(i64::MAX), ..Counts::default() }
        }

        fn inject(&mut self, fault: Fault) -> Result<()> {
            Err(Error::Usage(fault.to_string()))
        }

        fn resumed(&mut self) -> Result<Option<Vec<u64>>> {
            Ok(None)
        }

        fn finish(self: Box<Self>) -> Result<()> {
            Ok(())
        }
    }

    /// All rows are due at once, as when the generator has been stopped for a while: it looks in between, or each would count as visible when the last one is.
    #[test]
    fn rows_that_are_behind_are_looked_for_while_others_are_handed_over() {
        let rate = 1_000_000_000;
        let (out_of_orderness, flights) = (None, PathBuf::new());
        let settings = Settings { seed: 1, keys: 10, skew: 0.0, out_of_orderness, rate, metrics: Metrics::Usual, flights };
        let mut workload = Workload::open("payments", &settings).expect("payments");
        let plan = RunPlan {
            schedule: Schedule::new(rate, &[]),
            duration: Duration::from_millis(1),
            warm_up: Duration::ZERO,
            step: Duration::from_nanos(1_000),
            interval: Duration::from_millis(1),
            faults: Vec::new(),
        };
        let mut taker = Taker::default();
        let found = run(&mut workload, &mut taker, &plan, &mut |_| true).expect("it takes everything");
        assert_eq!((found.visible, found.rows), (1_000_000, 1_000_000));
        assert_eq!(taker.most_pushes, STEPS_TOGETHER);
    }
}
