//! Faults that are injected while rows come, and when.
//!
//! `kill @20s; stop @30s for 500ms; panic partition 3 @40s`: the engine's process is killed and started again on its state directory, is stopped and
//! continued, or loses one partition's primary.

use crate::span;
use std::fmt;
use std::time::Duration;

/// What is done to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its process is killed, and started again at once.
    Kill,
    /// Its process is stopped.
    Stop,
    /// Its process, which was stopped, is continued.
    Continue,
    /// The primary of this partition panics.
    Panic(u32),
}

impl Fault {
    /// True if only an engine in a process of its own can bear it.
    pub fn needs_process(self) -> bool {
        !matches!(self, Fault::Panic(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kill => f.write_str("kill"),
            Fault::Stop => f.write_str("stop"),
            Fault::Continue => f.write_str("continue"),
            Fault::Panic(partition) => write!(f, "panic partition {partition}"),
        }
    }
}

/// A fault at its time, from the beginning of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When.
    pub at: Duration,
    /// What.
    pub fault: Fault,
}

/// Reads faults as they are written; they come out in order of time.
///
/// # Errors
/// In words, with what is wrong.
pub fn parse(text: &str) -> Result<Vec<Planned>, String> {
    let mut planned = Vec::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        planned.extend(parse_one(part)?);
    }
    planned.sort_by_key(|planned| planned.at);
    Ok(planned)
}

fn parse_one(part: &str) -> Result<Vec<Planned>, String> {
    let wrong = || format!("'{part}' is no fault; there are 'kill @20s', 'stop @30s for 500ms' and 'panic partition 3 @40s'");
    let (what, when) = part.split_once('@').ok_or_else(wrong)?;
    let words: Vec<&str> = what.split_whitespace().collect();
    match (&words[..], when.split_once("for")) {
        (["kill"], None) => Ok(vec![Planned { at: span::parse(when)?, fault: Fault::Kill }]),
        (["stop"], Some((at, lasts))) => {
            let (at, lasts) = (span::parse(at)?, span::parse(lasts)?);
            Ok(vec![Planned { at, fault: Fault::Stop }, Planned { at: at.saturating_add(lasts), fault: Fault::Continue }])
        }
        (["panic", "partition", partition], None) => {
            let partition = partition.parse().map_err(|_| wrong())?;
            Ok(vec![Planned { at: span::parse(when)?, fault: Fault::Panic(partition) }])
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_and_put_in_order() {
        let planned = parse("panic partition 3 @40s; kill @20s; stop @30s for 500ms;").expect("they are faults");
        let texts: Vec<String> = planned.iter().map(|planned| format!("{} {:?}", planned.fault, planned.at)).collect();
        assert_eq!(texts, ["kill 20s", "stop 30s", "continue 30.5s", "panic partition 3 40s"]);
        assert_eq!(parse(""), Ok(Vec::new()));
        for wrong in ["kill", "kill @20s for 1s", "stop @1s", "panic 3 @1s", "panic partition x @1s", "burn @1s", "kill @soon"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
