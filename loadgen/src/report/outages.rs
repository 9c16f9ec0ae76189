//! How long it took until what a fault had done was over: from a kill until rows were taken again, from a stop until the process was continued, from a
//! primary's panic until a standby was seen in its place.

use super::{Mark, seconds_shown};
use crate::chaos::Fault;
use crate::run::{BACK, PROMOTION};
use serde::Serialize;
use std::fmt;

/// A fault and its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outage {
    /// Seconds from the beginning.
    pub at_s: f64,
    /// The fault.
    pub fault: String,
    /// What ends it.
    pub end: String,
    /// Seconds until then, if it came.
    pub lasted_s: Option<f64>,
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outage { at_s, fault, end, lasted_s } = self;
        match lasted_s {
            Some(lasted_s) => write!(f, "{fault} at {at_s:.3} s: {end} after {}", seconds_shown(*lasted_s)),
            None => write!(f, "{fault} at {at_s:.3} s: no {end} until the end of the run"),
        }
    }
}

/// What happened, as outages. A fault that comes before the one before it is over ends with it.
pub(super) fn outages(marks: &[Mark]) -> Vec<Outage> {
    let end_of = |what: &str| match what {
        _ if what == Fault::Kill.to_string() => Some(BACK.to_owned()),
        _ if what == Fault::Stop.to_string() => Some(Fault::Continue.to_string()),
        _ if what.starts_with("panic ") => Some(PROMOTION.to_owned()),
        _ => None,
    };
    let outage = |(place, mark): (usize, &Mark)| {
        let end = end_of(&mark.what)?;
        let lasted_s = marks[place..].iter().find(|later| later.what == end).map(|later| later.at_s - mark.at_s);
        Some(Outage { at_s: mark.at_s, fault: mark.what.clone(), end, lasted_s })
    };
    marks.iter().enumerate().filter_map(outage).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_lasts_until_its_own_end() {
        let mark = |(at_s, what): (f64, &str)| Mark { at_s, what: what.to_owned() };
        let marks = [
            (0.5, "checkpoint"),
            (1.0, "kill"),
            (1.1, "promotion"),
            (1.25, "back"),
            (2.0, "stop"),
            (2.5, "continue"),
            (3.0, "panic partition 1"),
            (3.001, "panic partition 0"),
            (3.01, "promotion"),
            (4.0, "kill"),
        ];
        let shown: Vec<String> = outages(&marks.map(mark)).iter().map(Outage::to_string).collect();
        let expected = [
            "kill at 1.000 s: back after 250.00 ms",
            "stop at 2.000 s: continue after 500.00 ms",
            "panic partition 1 at 3.000 s: promotion after 10.00 ms",
            "panic partition 0 at 3.001 s: promotion after 9.00 ms",
            "kill at 4.000 s: no back until the end of the run",
        ];
        assert_eq!(shown, expected);
    }
}
