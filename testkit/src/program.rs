//! Programs that a test starts and, sometimes, kills.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Starts a command whose problems are of interest.
pub fn start(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

/// Waits for the program's end, but not longer than about so many milliseconds; kills it then.
pub fn run_for(mut child: Child, longest: Option<u64>) -> Option<(ExitStatus, String)> {
    for waited in 0.. {
        if let Some(status) = child.try_wait().expect("the program is a child") {
            let mut problems = String::new();
            std::io::Read::read_to_string(&mut child.stderr.take().expect("piped"), &mut problems).expect("text");
            return Some((status, problems));
        }
        if longest.is_some_and(|longest| waited >= longest) {
            child.kill().expect("the program is a child");
            child.wait().expect("it was killed");
            return None;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    None
}

/// A number that the environment sets, or the default.
pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
