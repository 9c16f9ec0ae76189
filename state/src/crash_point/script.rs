//! What happens at which visit of which point, told by an environment variable.
//!
//! Steps are separated by commas: `point:visit=action`. A step waits for its visit, counted from when the step before it was taken; the last
//! is followed by nothing. Actions: `kill` (unless said: the process gets SIGKILL, so no destructor runs and no buffer is flushed), `panic` (where
//! the engine catches panics), `eio` and `enospc` (the operation fails with that error), `hold` (the thread stays there until all steps are taken,
//! for ten seconds at most) and `pass` (nothing). So `commit-unwritten:2=hold,
//! primary-at-barrier:1=panic, promoted:1` ends the process when a standby has been promoted between an epoch's acks and its commit.

use super::CrashPoint;
use rustix::io::Errno;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// The variable.
pub const VARIABLE: &str = "RAYMPP_CRASH_POINT";

/// Whoever is held goes on after this time: what it was held for has not come about.
const HOLD_MAX: Duration = Duration::from_secs(10);

static SCRIPT: OnceLock<Option<Script>> = OnceLock::new();

/// The process is at a point: what the variable says happens.
///
/// # Panics
/// If the variable says so, or nothing that can be understood.
pub fn visit(point: CrashPoint) {
    if let Err(error) = attempt(point) {
        panic!("nothing at {} can fail with {error}", point.name());
    }
}

/// The process is at a point where disks may fail: what the variable says happens.
///
/// # Errors
/// If the variable says so.
///
/// # Panics
/// As [`visit`].
pub fn attempt(point: CrashPoint) -> io::Result<()> {
    let read = || std::env::var(VARIABLE).ok().map(|text| Script::parse(&text).unwrap_or_else(|| panic!("{VARIABLE}={text} is no script")));
    SCRIPT.get_or_init(read).as_ref().map_or(Ok(()), |script| script.visit(point))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Kill,
    Panic,
    Fail(Errno),
    Hold,
    Pass,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    point: CrashPoint,
    visit: u64,
    action: Action,
}

/// How far a script has come.
#[derive(Default)]
struct Progress {
    steps: usize,
    /// Of the next step's point, since the step before it.
    visits: u64,
}

struct Script {
    steps: Vec<Step>,
    progress: Mutex<Progress>,
    moved: Condvar,
}

impl Script {
    fn parse(text: &str) -> Option<Script> {
        let steps = text.split(',').map(|step| parse_step(step.trim())).collect::<Option<Vec<Step>>>()?;
        Some(Script { steps, progress: Mutex::default(), moved: Condvar::new() })
    }

    fn visit(&self, point: CrashPoint) -> io::Result<()> {
        let mut progress = self.progress();
        let Some(step) = self.steps.get(progress.steps).filter(|step| step.point == point) else { return Ok(()) };
        progress.visits += 1;
        if progress.visits < step.visit {
            return Ok(());
        }
        *progress = Progress { steps: progress.steps + 1, visits: 0 };
        self.moved.notify_all();
        match step.action {
            Action::Kill => kill(),
            Action::Panic => {
                drop(progress);
                panic!("the test wants it, at {}", point.name());
            }
            Action::Fail(error) => return Err(error.into()),
            Action::Hold => {
                let is_on = |progress: &mut Progress| progress.steps < self.steps.len();
                drop(self.moved.wait_timeout_while(progress, HOLD_MAX, is_on));
            }
            Action::Pass => {}
        }
        Ok(())
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse_step(text: &str) -> Option<Step> {
    let (at, action) = text.split_once('=').unwrap_or((text, "kill"));
    let (name, visit) = at.split_once(':')?;
    let action = match action {
        "kill" => Action::Kill,
        "panic" => Action::Panic,
        "eio" => Action::Fail(Errno::IO),
        "enospc" => Action::Fail(Errno::NOSPC),
        "hold" => Action::Hold,
        "pass" => Action::Pass,
        _ => return None,
    };
    let point = CrashPoint::ALL.iter().copied().find(|point| point.name() == name)?;
    Some(Step { point, visit: visit.parse().ok()?, action })
}

/// Ends the process as `kill -9` does. The signal reaches it no later than when the call returns, in this thread or in another one.
fn kill() -> ! {
    // A process may always send itself a signal.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn steps_are_taken_in_order_each_at_its_visit() {
        let script = Script::parse("pack-put:2=eio, restored:1=panic").expect("it is one");
        let seen = |point| match catch_unwind(AssertUnwindSafe(|| script.visit(point))) {
            Err(_) => "a panic".to_owned(),
            Ok(Err(error)) => format!("{:?}", Errno::from_io_error(&error)),
            Ok(Ok(())) => String::new(),
        };
        use CrashPoint::{PackPut, Restored};
        let seen = [Restored, PackPut, Restored, PackPut, PackPut, Restored, Restored].map(seen);
        let io = format!("{:?}", Some(Errno::IO));
        assert_eq!(seen, ["", "", "", &io, "", "a panic", ""]);
    }

    #[test]
    fn who_is_held_goes_on_when_all_steps_are_taken() {
        let script = Script::parse("restored:1=hold,pack-put:1=pass,promoted:1=pass").expect("it is one");
        std::thread::scope(|scope| {
            let visit = |point| script.visit(point).expect("nothing fails");
            let held = scope.spawn(move || visit(CrashPoint::Restored));
            while script.progress().steps == 0 {
                std::thread::yield_now();
            }
            visit(CrashPoint::PackPut);
            assert!(!held.is_finished());
            visit(CrashPoint::Promoted);
            held.join().expect("it goes on");
        });
    }

    #[test]
    fn what_is_no_script_is_refused() {
        for text in ["", "restored", "restored:x", "restored:1=dance", "nowhere:1", "restored:1,"] {
            assert!(Script::parse(text).is_none(), "{text:?}");
        }
        let names: std::collections::BTreeSet<&str> = CrashPoint::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), CrashPoint::ALL.len(), "each point has a name of its own");
    }
}
