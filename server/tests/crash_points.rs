//! The program killed at every named point of the commit protocol and started again: what it has published is what a run that was never disturbed
//! publishes, row by row.
//!
//! A round is one point at one of its visits; half of them are killed once more while they recover. A point that a round never comes to is a
//! failure, so that no point is one in name only. `RAYMPP_CRASH_ROUNDS` asks for more rounds than one per point, `RAYMPP_SEED` for another first
//! seed; a failure names its seed and what to set to see it again.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod program {
    pub(crate) mod job;
    pub(crate) mod place;
    pub(crate) mod support;
}

use program::job::{Payments, Published, assert_equal, command_of, number, published, run_for, start, undisturbed};
use program::place::Place;
use program::support::{Directory, raympp};
use raympp_state::crash_point::{CrashPoint, VARIABLE};
use raympp_testkit::random::Random;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// SIGKILL.
const KILLED: i32 = 9;
/// A run that takes longer than this, in milliseconds, hangs.
const HANGS: u64 = 120_000;
/// Another try, with other numbers, of a round that did not come to its point.
const TRIES: u64 = 12;
/// Rows of the flight log that are read.
const FLIGHTS: usize = 20_000;

/// How a job is run so that it comes to a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    /// The first run comes to it.
    Plain,
    /// A run after a crash comes to it.
    Restarted,
    /// Partitions have a standby.
    Replicated,
    /// One split, one partition and its standby, on two cores.
    OneSplit,
    /// Checkpoints are copied to a place outside.
    Copied,
    /// They were; then the machine with the state directory was lost.
    Lost,
    /// The job is taken back to an older checkpoint.
    TakenBack,
}

/// A point's setting, what happens there (`#` stands for a number of visits) and the highest number of visits worth trying.
fn case(point: CrashPoint) -> (Setting, &'static str, u64) {
    use CrashPoint as P;
    use Setting::{Copied, Lost, OneSplit, Plain, Replicated, Restarted, TakenBack};
    match point {
        P::LineDrafted => (Plain, "", 6),
        P::DirectoryClaimed | P::DatabaseMade => (Plain, "", 1),
        P::RewindDue | P::Restored => (Restarted, "", 1),
        P::StagedCut => (Restarted, "", 3),
        P::LeftoverRemoved => (Restarted, "", 1),
        P::PlaceTaken => (Copied, "", 1),
        P::PartImported | P::Imported => (Lost, "", 1),
        P::TakenBackInPart => (TakenBack, "", 1),
        P::ChainMarked | P::OneCoreTold => (Plain, "", 20),
        // The standby stays where it is while epochs go on being committed.
        P::StandbyBehind => (OneSplit, "standby-behind:#=hold,commit-untold:3", 4),
        P::PrimaryAtBarrier => (Replicated, "primary-at-barrier:#=panic,commit-untold:2", 12),
        // Acked and prepared, not committed; a primary is lost, and a standby promoted.
        P::Promoted => (Replicated, "commit-unwritten:#=hold,primary-at-barrier:1=panic,promoted:1", 4),
        P::ListUnwritten | P::ListWritten | P::AckUntold => (Plain, "", 24),
        P::PrepareAsked | P::PreparedUntold | P::PreparedTold => (Plain, "", 32),
        // A sink takes its time, while all partitions of this epoch and of the next have acked.
        P::LateTakenIn => (Plain, "late-taken-in:#=hold,ack-untold:7", 2),
        P::StagedUnsynced | P::StagedSynced => (Plain, "", 24),
        P::CommitUnwritten | P::CommitUnmarked | P::CommitUntold | P::CommitUnpublished => (Plain, "", 8),
        P::PartUnnamed | P::PartNamed => (Plain, "", 8),
        P::ForgetDue | P::Forgotten => (Plain, "", 5),
        P::PackPut | P::EntryCreated | P::UploadUnpublished | P::CollectedInPart => (Copied, "", 4),
        P::PartsInPart => (Copied, "", 2),
        P::StoreRead => (Restarted, "", 10),
        P::StoreChange | P::StoreChanged => (Plain, "", 30),
        P::OutputChange => (Plain, "", 60),
    }
}

/// The text of a job whose sinks lie below a directory of this name.
type Script = dyn Fn(&Directory, &str) -> String + Sync;

/// What is read, and what must come out.
struct Input {
    name: &'static str,
    script: Box<Script>,
    expected: Published,
}

fn payments(directory: &Directory, name: &'static str, splits: u64) -> Input {
    let at = move |rate| Payments { rows: 60_000, rate, splits };
    let expected = undisturbed(directory, name, &at(0).script(directory, name));
    Input { name, script: Box::new(move |directory, out| at(200_000).script(directory, out)), expected }
}

/// The beginning of the flight log.
fn flights(directory: &Directory) -> Input {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let log = Command::new("gzip").args(["-dc", &format!("{root}/data/flights-2013.csv.gz")]).output().expect("gzip is there");
    let log = String::from_utf8(log.stdout).expect("the log is text");
    let input = directory.write("flights.csv", log.lines().take(FLIGHTS + 1).collect::<Vec<_>>().join("\n") + "\n");
    let example = std::fs::read_to_string(format!("{root}/flights.sql")).expect("the example");
    let example = example.replace("examples/data/flights-2013.csv.gz", &input).replace(", overwrite = true", ", roll = '20ms'");
    let script = move |directory: &Directory, out: &str| example.replace("out/flights", &directory.text(out));
    let expected = undisturbed(directory, "flights", &script(directory, "flights"));
    Input { name: "flights", script: Box::new(script), expected }
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    Killed,
    Done,
}

/// One job of a round, in directories of its own.
struct Round<'a> {
    directory: &'a Directory,
    place: &'a Place,
    input: &'a Input,
    setting: Setting,
    /// Distinguishes its directories.
    name: String,
    script: String,
    machine: u64,
    /// What was done, for who has to do it again.
    story: Vec<String>,
}

impl<'a> Round<'a> {
    fn new(directory: &'a Directory, place: &'a Place, input: &'a Input, setting: Setting, name: String) -> Round<'a> {
        let script = directory.write(&format!("{name}.sql"), (input.script)(directory, &name));
        Round { directory, place, input, setting, name, script, machine: 0, story: Vec::new() }
    }

    fn state(&self) -> String {
        self.directory.text(&format!("{}-state-{}", self.name, self.machine))
    }

    fn run(&mut self, crash: Option<&str>) -> Ended {
        let job = format!("jobs/{}", self.name);
        let place = matches!(self.setting, Setting::Copied | Setting::Lost).then_some((self.place, &*job));
        // There is no pace in a file.
        let interval = if self.input.name == "flights" { "1ms" } else { "20ms" };
        let (partitions, replicas, interval) = match self.setting {
            Setting::OneSplit => (1, "2", interval),
            // While a commit is held, barriers go on until too many epochs are in flight.
            Setting::Replicated => (3, "2", "50ms"),
            _ => (3, "1", interval),
        };
        let mut command = command_of((&self.script, partitions), Some((&self.state(), interval)), place);
        command.args(["--keep", "3", "--flush-rows", "500", "--replicas", replicas]);
        self.finish(command, crash)
    }

    fn finish(&mut self, mut command: Command, crash: Option<&str>) -> Ended {
        self.story.push(crash.unwrap_or("undisturbed").to_owned());
        if let Some(crash) = crash {
            command.env(VARIABLE, crash);
        }
        let Some((status, problems)) = run_for(start(command), Some(HANGS)) else { panic!("{self}: it hangs") };
        match status.signal() {
            Some(KILLED) if crash.is_some() => Ended::Killed,
            _ => {
                assert!(status.success() && !problems.contains("INVARIANT"), "{self}: {status} {problems}");
                Ended::Done
            }
        }
    }

    /// Brings the job to where it can come to the point.
    fn prepare(&mut self, random: &mut Random, point: CrashPoint) {
        let first = match point {
            // Something was staged that no commit names.
            CrashPoint::LeftoverRemoved => "prepared-untold",
            _ => "commit-untold",
        };
        match self.setting {
            Setting::Restarted | Setting::Lost | Setting::TakenBack => {
                let highest = if first == "commit-untold" { 8 } else { 30 };
                self.run(Some(&format!("{first}:{}", 4 + random.below(highest))));
            }
            Setting::Plain | Setting::Replicated | Setting::OneSplit | Setting::Copied => {}
        }
        if self.setting == Setting::Lost {
            self.machine += 1;
        }
    }

    /// Runs it until it kills itself at the point. False if it does not come to it.
    fn crash(&mut self, crash: &str) -> bool {
        if self.setting == Setting::TakenBack {
            let state = self.state();
            let listed = raympp(&["checkpoint", "list", &state]);
            let oldest = listed.stdout.lines().nth(1).and_then(|line| line.split_whitespace().next()).map(str::to_owned);
            let Some(oldest) = oldest else { return false };
            let mut command = Command::new(env!("CARGO_BIN_EXE_raympp"));
            command.args(["checkpoint", "restore", &state, "--epoch", &oldest]);
            return self.finish(command, Some(crash)) == Ended::Killed;
        }
        self.run(Some(crash)) == Ended::Killed
    }

    /// Half of the time it is killed once more, somewhere; then it runs to its end.
    fn recover(&mut self, random: &mut Random) {
        if random.once_in(2) {
            let point = random.pick(CrashPoint::ALL);
            self.run(Some(&format!("{}:{}", point.name(), 1 + random.below(4))));
        }
        assert_eq!(self.run(None), Ended::Done);
        assert_equal(&self.input.expected, &published(self.directory, &self.name), &self.to_string());
    }
}

impl Round<'_> {
    /// A round that was right leaves nothing to look at.
    fn clear(&self) {
        let states = (0..=self.machine).map(|machine| format!("{}-state-{machine}", self.name));
        states.chain([self.name.clone()]).for_each(|name| drop(std::fs::remove_dir_all(self.directory.text(&name))));
    }
}

impl std::fmt::Display for Round<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}, {:?}, {VARIABLE} = {}", self.name, self.input.name, self.setting, self.story.join("; then "))
    }
}

/// One round; returns how often it had to be tried.
fn round(directory: &Directory, place: &Place, inputs: &BTreeMap<&str, Input>, seed: u64) -> u64 {
    let point = CrashPoint::ALL[seed as usize % CrashPoint::ALL.len()];
    let (setting, crash, visits) = case(point);
    let crash = if crash.is_empty() { format!("{}:#", point.name()) } else { crash.to_owned() };
    let mut random = Random::new(seed);
    for tried in 0..TRIES {
        let input = match setting {
            Setting::OneSplit => &inputs["one-split"],
            // A file is read in no time: not every round in it comes to all points.
            _ if tried == 0 && random.once_in(3) => &inputs["flights"],
            _ => &inputs["payments"],
        };
        let mut round = Round::new(directory, place, input, setting, format!("seed-{seed}-{tried}"));
        round.prepare(&mut random, point);
        // Fewer, should there have been fewer.
        let visit = 1 + random.below((visits >> (tried / 2)).max(1));
        if round.crash(&crash.replace('#', &visit.to_string())) {
            round.recover(&mut random);
            round.clear();
            return tried + 1;
        }
    }
    panic!("seed {seed}: in {TRIES} runs it has never come to {}", point.name());
}

#[test]
fn killed_at_each_point_it_publishes_each_row_once() {
    let directory = Directory::new("crash-points");
    let place = Place::new(&directory, number("RAYMPP_SEED", 1));
    let inputs = [payments(&directory, "payments", 2), payments(&directory, "one-split", 1), flights(&directory)];
    let inputs: BTreeMap<&str, Input> = inputs.into_iter().map(|input| (input.name, input)).collect();
    let (first, rounds) = (number("RAYMPP_SEED", 0), number("RAYMPP_CRASH_ROUNDS", CrashPoint::ALL.len() as u64));
    let next = AtomicU64::new(first);
    let tries = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + rounds {
                return;
            }
            let tried = round(&directory, &place, &inputs, seed);
            *tries.lock().unwrap().entry(tried).or_insert(0) += 1;
        }
    };
    std::thread::scope(|scope| {
        // A round waits for disks and clocks more than it works.
        let workers: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    println!("{rounds} rounds by number of tries: {:?}", tries.lock().unwrap());
}
