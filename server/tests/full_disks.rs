//! File systems that are full, read-only or broken under a running job: it says what and where, goes on or ends, and when there is room again what it
//! publishes is what a run that was never disturbed publishes, row by row.
//!
//! The file systems are real and small: each test runs itself again in a user and mount namespace of its own, where it may mount. A machine that
//! refuses namespaces can't run these tests, and they say so and fail: what is not tested must not look tested.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod program {
    pub(crate) mod job;
    pub(crate) mod place;
    pub(crate) mod support;
}

use program::job::{Payments, Published, assert_equal, command, number, published, run_for, start, undisturbed};
use program::support::{Directory, raympp};
use raympp_state::crash_point::VARIABLE;
use raympp_testkit::random::Random;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Set in the namespace.
const INSIDE: &str = "RAYMPP_TEST_NAMESPACE";
/// So many milliseconds are enough for anything that is waited for.
const PATIENCE: u32 = 30_000;
/// Bytes in which a state directory can be begun, and the job's checkpoints can't be kept.
const ENOUGH_TO_BEGIN: u64 = 1 << 20;
const PAYMENTS: Payments = Payments { rows: 200_000, rate: 100_000, splits: 2 };

/// True in a namespace; outside, runs the test of this name there and returns false.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut again = Command::new("unshare");
    again.args(["--user", "--map-root-user", "--mount", "--"]).arg(std::env::current_exe().unwrap());
    let output = again.args(["--exact", test, "--nocapture"]).env(INSIDE, "yes").output().expect("unshare (util-linux) is there");
    let (said, problems) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let hint = "If it is the namespace that was refused: allow unprivileged user namespaces on this machine (sysctl \
                kernel.unprivileged_userns_clone, user.max_user_namespaces), else full file systems are not tested.";
    assert!(output.status.success() && said.contains("1 passed"), "in a namespace:\n{said}{problems}\n{hint}");
    false
}

/// A small file system of its own.
struct Disk(PathBuf);

impl Disk {
    fn new(path: String, kibibytes: u32) -> Disk {
        fs::create_dir(&path).unwrap();
        mount(&["-t", "tmpfs", "-o", &format!("size={kibibytes}k"), "tmpfs", &path]);
        Disk(path.into())
    }

    /// Leaves so many bytes.
    fn fill_but(&self, left: u64) {
        let mut file = File::options().create(true).append(true).open(self.filler()).unwrap();
        for block in [1 << 16, 1 << 12, 1 << 8, 1] {
            while file.write_all(&vec![1; block]).is_ok() {}
        }
        let whole = file.metadata().unwrap().len();
        file.set_len(whole - left).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("lost+found")
    }

    fn make_read_only(&self) {
        mount(&["-o", "remount,ro", &self.0.display().to_string()]);
    }
}

fn mount(args: &[&str]) {
    let output = Command::new("mount").args(args).output().expect("mount is there");
    assert!(output.status.success(), "mount {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A job that runs, whose problems go to a file.
struct Running {
    child: Child,
    problems: PathBuf,
}

impl Running {
    fn new(directory: &Directory, mut command: Command) -> Running {
        let problems = PathBuf::from(directory.text("problems"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&problems).unwrap());
        Running { child: command.spawn().expect("the program starts"), problems }
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.problems).unwrap()).into_owned()
    }

    /// Waits, while it runs, until something is so.
    fn wait_until(&mut self, what: &str, mut is_so: impl FnMut(&str) -> bool) {
        for _ in 0..PATIENCE {
            if is_so(&self.said()) {
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "it has ended before {what}: {}", self.said());
            std::thread::park_timeout(Duration::from_millis(1));
        }
        panic!("{what} has not come about: {}", self.said());
    }

    /// Asks it to end, if it has not.
    fn terminate(&self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).stderr(Stdio::null()).status().expect("kill is there");
    }

    /// Waits for its end; its exit code, if it was not killed.
    fn finish(&mut self) -> Option<i32> {
        for _ in 0..PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        panic!("it does not end: {}", self.said());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = (self.child.kill(), self.child.wait());
    }
}

fn expected(directory: &Directory) -> Published {
    undisturbed(directory, "undisturbed", &Payments { rate: 0, ..PAYMENTS }.script(directory, "undisturbed"))
}

fn script(directory: &Directory) -> String {
    directory.write("job.sql", PAYMENTS.script(directory, "out"))
}

/// Lines that say this and name this path and what to do.
fn count(said: &str, words: &[&str]) -> usize {
    said.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

fn is_published(directory: &Directory) -> bool {
    let parts = fs::read_dir(directory.text("out/visits")).into_iter().flatten();
    parts.filter(|part| part.as_ref().is_ok_and(|part| part.file_name().to_string_lossy().starts_with("part-"))).count() > 0
}

#[test]
fn a_full_state_directory_costs_checkpoints_until_there_is_room() {
    if !is_inside("a_full_state_directory_costs_checkpoints_until_there_is_room") {
        return;
    }
    let directory = Directory::new("full-state");
    let expected = expected(&directory);
    let (disk, _roomy) = (Disk::new(directory.text("state"), 64 << 10), Disk::new(directory.text("out"), 64 << 10));
    let (script, state) = (script(&directory), directory.text("state"));
    disk.fill_but(ENOUGH_TO_BEGIN);
    let mut job = Running::new(&directory, command(&script, Some(&state), None));
    let refusal = ["No space left", state.as_str(), "make room on that file system"];
    job.wait_until("a refusal", |said| count(said, &refusal) > 3);
    disk.make_room();
    assert_eq!(job.finish(), Some(0), "{}", job.said());
    assert_equal(&expected, &published(&directory, "out"), &job.said());
}

#[test]
fn a_job_that_is_killed_with_a_full_state_directory_goes_on_when_there_is_room() {
    if !is_inside("a_job_that_is_killed_with_a_full_state_directory_goes_on_when_there_is_room") {
        return;
    }
    let directory = Directory::new("killed-full");
    let expected = expected(&directory);
    let (disk, _roomy) = (Disk::new(directory.text("state"), 64 << 10), Disk::new(directory.text("out"), 64 << 10));
    let (script, state) = (script(&directory), directory.text("state"));
    disk.fill_but(ENOUGH_TO_BEGIN);
    let mut job = Running::new(&directory, command(&script, Some(&state), None));
    job.wait_until("a refusal", |said| said.contains("No space left"));
    drop(job);
    let mut again = Running::new(&directory, command(&script, Some(&state), None));
    for _ in 0..PATIENCE {
        if again.child.try_wait().unwrap().is_some() || again.said().contains("No space left") {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let said = again.said();
    assert!(count(&said, &["No space left", &state, "make room on that file system"]) > 0, "{said}");
    // Whoever wants it to end need not make room first.
    again.terminate();
    again.finish();
    drop(again);
    disk.make_room();
    let mut last = Running::new(&directory, command(&script, Some(&state), None));
    assert_eq!(last.finish(), Some(0), "{}", last.said());
    assert_equal(&expected, &published(&directory, "out"), &last.said());
}

#[test]
fn a_full_output_directory_holds_rows_back_until_there_is_room() {
    if !is_inside("a_full_output_directory_holds_rows_back_until_there_is_room") {
        return;
    }
    let directory = Directory::new("full-output");
    let expected = expected(&directory);
    let (disk, _roomy) = (Disk::new(directory.text("out"), 64 << 10), Disk::new(directory.text("state"), 64 << 10));
    let (script, state) = (script(&directory), directory.text("state"));
    disk.fill_but(0);
    let mut job = Running::new(&directory, command(&script, Some(&state), None));
    let out = directory.text("out");
    job.wait_until("a refusal", |said| count(said, &["No space left", &out, "they come with the next one"]) > 3);
    disk.make_room();
    assert_eq!(job.finish(), Some(0), "{}", job.said());
    assert_equal(&expected, &published(&directory, "out"), &job.said());
}

#[test]
fn without_checkpoints_a_full_output_directory_ends_the_job() {
    if !is_inside("without_checkpoints_a_full_output_directory_ends_the_job") {
        return;
    }
    let directory = Directory::new("full-alone");
    let disk = Disk::new(directory.text("out"), 64 << 10);
    let script = script(&directory);
    disk.fill_but(0);
    let mut job = Running::new(&directory, command(&script, None, None));
    assert_eq!(job.finish(), Some(1), "{}", job.said());
    assert!(count(&job.said(), &["No space left", &directory.text("out")]) > 0, "{}", job.said());
}

#[test]
fn places_that_can_not_be_written_to_are_named_at_the_start() {
    if !is_inside("places_that_can_not_be_written_to_are_named_at_the_start") {
        return;
    }
    let directory = Directory::new("read-only");
    let script = script(&directory);
    for (place, advice) in [("state", "let this user write there"), ("out", "Read-only file system")] {
        let disk = Disk::new(directory.text(place), 64 << 10);
        disk.make_read_only();
        let output = raympp(&["run", &script, "--plain", "--state-dir", &directory.text("state")]);
        assert_ne!(output.code, 0, "{output:?}");
        assert!(count(&output.stderr, &["Read-only file system", &directory.text(place), advice]) == 1, "{}", output.stderr);
        assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
        mount(&["-o", "remount,rw", &directory.text(place)]);
    }
    // The same when the job has been there before.
    let state = directory.text("state");
    let mut job = Running::new(&directory, command(&script, Some(&state), None));
    job.wait_until("a part", |_| is_published(&directory));
    drop(job);
    let before = published(&directory, "out");
    for place in ["state", "out"] {
        mount(&["-o", "remount,ro", &directory.text(place)]);
        let output = raympp(&["run", &script, "--plain", "--state-dir", &state]);
        assert_ne!(output.code, 0, "{output:?}");
        assert!(count(&output.stderr, &["Read-only file system", &directory.text(place)]) > 0, "{}", output.stderr);
        assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
        mount(&["-o", "remount,rw", &directory.text(place)]);
    }
    assert_eq!(before, published(&directory, "out"), "nothing has changed");
}

#[test]
fn a_new_state_directory_on_a_full_disk_is_named_and_works_when_there_is_room() {
    if !is_inside("a_new_state_directory_on_a_full_disk_is_named_and_works_when_there_is_room") {
        return;
    }
    let directory = Directory::new("full-start");
    let disk = Disk::new(directory.text("state"), 16 << 10);
    disk.fill_but(0);
    let few = Payments { rows: 5_000, rate: 0, splits: 1 };
    let (script, state) = (directory.write("job.sql", few.script(&directory, "out")), directory.text("state"));
    let expected = undisturbed(&directory, "undisturbed", &few.script(&directory, "undisturbed"));
    let refused = raympp(&["run", &script, "--plain", "--state-dir", &state]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(count(&refused.stderr, &["No space left", &state, "make room on that file system"]) == 1, "{}", refused.stderr);
    assert!(!Path::new(&directory.text("out")).exists());
    disk.make_room();
    let output = raympp(&["run", &script, "--plain", "--state-dir", &state]);
    assert_eq!(output.code, 0, "{output:?}");
    assert_equal(&expected, &published(&directory, "out"), &output.stderr);
}

/// Disks that fail now and then, wherever it hurts. Reading and writing fail as often as it takes.
#[test]
fn disks_that_fail_now_and_then_lose_no_row_and_repeat_none() {
    let directory = Directory::new("failing");
    let few = |rate| Payments { rows: 60_000, rate, splits: 2 };
    let expected = undisturbed(&directory, "undisturbed", &few(0).script(&directory, "undisturbed"));
    for round in 0..number("RAYMPP_CRASH_ROUNDS", 12) {
        let seed = number("RAYMPP_SEED", 1) + round;
        let mut random = Random::new(seed);
        let (out, state) = (format!("out-{seed}"), directory.text(&format!("state-{seed}")));
        let script = directory.write("job.sql", few(200_000).script(&directory, &out));
        let failures: Vec<String> = (0..1 + random.below(6))
            .map(|_| {
                let point = random.pick(&["store-change", "store-changed", "store-read", "output-change"]);
                let highest = if point == "output-change" { 40 } else { 12 };
                format!("{point}:{}={}", 1 + random.below(highest), random.pick(&["eio", "enospc"]))
            })
            .collect();
        let failures = failures.join(",");
        let mut job = command(&script, Some(&state), None);
        job.env(VARIABLE, &failures);
        let (status, problems) =
            run_for(start(job), Some(u64::from(PATIENCE))).unwrap_or_else(|| panic!("seed {seed}: {failures}: it hangs"));
        let story = format!("seed {seed}, {VARIABLE} = {failures}: {status} {problems}");
        assert!(!problems.contains("panicked"), "{story}");
        if !status.success() {
            // At its beginning a job may end with the error; what it has done so far stays right.
            assert!(problems.contains("Input/output error") || problems.contains("No space left"), "{story}");
            let (status, again) = run_for(start(command(&script, Some(&state), None)), Some(u64::from(PATIENCE))).expect("it ends");
            assert!(status.success(), "{story}, then {again}");
        }
        assert_equal(&expected, &published(&directory, &out), &story);
    }
}
