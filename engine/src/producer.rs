//! Producers: whoever feeds a split of a stream, over lost connections and crashes.
//!
//! A producer is known by an id that the engine has issued, and pushes in *sessions*, which it numbers upwards: a newer one fences the older, so two that
//! believe they are the producer never mix their rows. A new session is told from which row on it has to push. A producer that has finished is
//! remembered for a day, and its id is refused for ever.

use crate::error::Error;
use raympp_types::SplitId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

/// How long a producer that has finished is known, in microseconds.
const REMEMBERED_US: i64 = 24 * 3_600_000_000;

/// The id of a producer, unique among all runs of all engines. As text: 16 hexadecimal digits, a hyphen, a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProducerId {
    /// Drawn by the run that issued it: what a run issued and no checkpoint has, a later run must not issue again.
    run: u64,
    number: u32,
}

/// Ids of one run of an engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProducerIds(u64);

impl Default for ProducerIds {
    fn default() -> ProducerIds {
        ProducerIds(RandomState::new().hash_one("producers"))
    }
}

impl ProducerIds {
    pub(crate) fn issue(self, split: SplitId) -> ProducerId {
        ProducerId { run: self.0, number: split.0 }
    }
}

impl fmt::Display for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.run, self.number)
    }
}

impl FromStr for ProducerId {
    type Err = Error;

    fn from_str(text: &str) -> Result<ProducerId, Error> {
        let parsed = text
            .split_once('-')
            .filter(|(run, _)| run.len() == 16)
            .and_then(|(run, number)| Some(ProducerId { run: u64::from_str_radix(run, 16).ok()?, number: number.parse().ok()? }));
        parsed.ok_or_else(|| {
            Error::Refused(format!("{text:?} is no id of a producer: these are 16 hexadecimal digits, a hyphen and a number"))
        })
    }
}

impl ProducerId {
    /// What its split is called.
    pub(crate) fn split_name(self) -> String {
        format!("producer {self}")
    }

    /// The producer of a split of this name.
    pub(crate) fn of_split(name: &str) -> Option<ProducerId> {
        name.strip_prefix("producer ")?.parse().ok()
    }
}

/// What is kept of a producer beside its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerState {
    /// Its newest session.
    pub session: u64,
    /// When it finished, by the clock, in microseconds since 1970 UTC.
    pub finished_us: Option<i64>,
}

impl ProducerState {
    /// True if it has finished so long ago that it is known no longer.
    pub(crate) fn is_forgotten(&self, now_us: i64) -> bool {
        self.finished_us.is_some_and(|finished| now_us.saturating_sub(finished) >= REMEMBERED_US)
    }
}

/// What is promised of acknowledged rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// They show in look-ups, and outlive the writer.
    Applied,
    /// Two replicas of each partition hold them: they outlive one.
    Replicated,
    /// A committed checkpoint has them: they outlive the process, and the producer may forget them.
    Checkpointed,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Applied => "applied",
            Level::Replicated => "replicated",
            Level::Checkpointed => "checkpointed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written_and_two_runs_issue_others() {
        let (one, other) = (ProducerIds::default(), ProducerIds::default());
        let id = one.issue(SplitId(7));
        assert_eq!(id.to_string().parse::<ProducerId>().unwrap(), id);
        assert_eq!(ProducerId::of_split(&id.split_name()), Some(id));
        assert!(id != other.issue(SplitId(7)) && id != one.issue(SplitId(8)));
        for text in ["", "-", "7", "00000000000000000-1", "000000000000000g-1", "0000000000000000-x", "producer 0"] {
            assert!(text.parse::<ProducerId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_producer_is_remembered_for_a_day_after_it_has_finished() {
        let finished = ProducerState { session: 1, finished_us: Some(5) };
        assert!(!finished.is_forgotten(5 + REMEMBERED_US - 1) && finished.is_forgotten(5 + REMEMBERED_US));
        assert!(!ProducerState::default().is_forgotten(i64::MAX));
    }
}
