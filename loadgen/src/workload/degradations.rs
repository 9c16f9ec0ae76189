//! Degradations of channels, by event time: in each minute one channel is degraded for a third to two thirds of it, and then half of its payments fail.
//!
//! The payments' own generator has them too, in the event time that it makes for itself, which follows row numbers: in a burst a degradation would be over
//! too soon. So it is asked for payments without any, and they are put in here, where it is known when each row is due.

use super::{Settings, random};
use arrow::array::{ArrayRef, AsArray, DictionaryArray, Int32Array};
use arrow::datatypes::Int32Type;
use raympp_operators::plan::StreamPlan;
use std::ops::Range;
use std::sync::Arc;

/// In each of these one channel is degraded.
const PERIOD_US: i64 = 60 * 1_000_000;
/// One of the channels that a skewed stream uses most.
const CHANNELS_MAX: u64 = 100;
/// What becomes of a payment through a degraded channel, each as often as another.
const OUTCOMES: [&str; 6] = ["SUCCESS", "SUCCESS", "SUCCESS", "FAILED", "FAILED", "TIMEOUT"];

/// Which channels are degraded when, and what becomes of their payments.
pub(super) struct Degradations {
    seed: u64,
    channels: u64,
    channel_column: usize,
    status_column: usize,
}

/// A channel is degraded at these times.
struct Degraded {
    /// By number, which is also its code in the column's dictionary.
    channel: i32,
    times_us: Range<i64>,
}

impl Degradations {
    /// `None` if the stream has no channels, or no statuses.
    pub(super) fn of(stream: &StreamPlan, settings: &Settings) -> Option<Degradations> {
        let position = |name: &str| stream.schema.fields.iter().position(|field| field.name == name);
        Some(Degradations {
            seed: random::at(settings.seed, 0xDE6),
            channels: settings.keys.clamp(1, CHANNELS_MAX),
            channel_column: position("channel")?,
            status_column: position("status")?,
        })
    }

    /// The degradation of a period.
    fn in_period(&self, period: i64) -> Degraded {
        let seed = random::at(self.seed, period as u64);
        let drawn = |position: u64, bound: u64| random::below(random::at(seed, position), bound);
        let length_us = PERIOD_US / 3 + drawn(0, PERIOD_US as u64 / 3 + 1) as i64;
        let from_us = period * PERIOD_US + drawn(1, (PERIOD_US - length_us) as u64 + 1) as i64;
        Degraded { channel: drawn(2, self.channels) as i32, times_us: from_us..from_us + length_us }
    }

    /// All that touch the time from the first to the last of these, in microseconds.
    fn between(&self, first_us: i64, last_us: i64) -> Vec<Degraded> {
        let periods = first_us.div_euclid(PERIOD_US)..=last_us.div_euclid(PERIOD_US);
        let touches = |degraded: &Degraded| degraded.times_us.start <= last_us && first_us < degraded.times_us.end;
        periods.map(|period| self.in_period(period)).filter(touches).collect()
    }

    /// Lets payments with these numbers and event times fail that are through a degraded channel.
    ///
    /// # Errors
    /// In words, if channels or statuses are not as the generator makes them.
    pub(super) fn degrade(&self, numbers: Range<u64>, times_us: &[i64], columns: &mut [ArrayRef]) -> Result<(), String> {
        let (Some(&first_us), Some(&last_us)) = (times_us.iter().min(), times_us.iter().max()) else { return Ok(()) };
        let degraded = self.between(first_us, last_us);
        if degraded.is_empty() {
            return Ok(());
        }
        let dictionary =
            |column: usize| columns[column].as_dictionary_opt::<Int32Type>().ok_or("channels and statuses are no dictionaries");
        let (channels, statuses) = (dictionary(self.channel_column)?, dictionary(self.status_column)?);
        let names = statuses.values().as_string_opt::<i32>().ok_or("statuses are no strings")?;
        let code = |outcome: &str| names.iter().position(|name| name == Some(outcome)).ok_or(format!("there is no status {outcome}"));
        let outcomes = OUTCOMES.iter().map(|outcome| code(outcome).map(|code| code as i32)).collect::<Result<Vec<_>, _>>()?;
        let mut codes = statuses.keys().values().to_vec();
        for (((code, channel), time_us), number) in codes.iter_mut().zip(channels.keys().values()).zip(times_us).zip(numbers) {
            if degraded.iter().any(|degraded| degraded.channel == *channel && degraded.times_us.contains(time_us)) {
                *code = outcomes[random::below(random::at(self.seed, number), outcomes.len() as u64) as usize];
            }
        }
        let degraded = DictionaryArray::new(Int32Array::from(codes), Arc::clone(statuses.values()));
        columns[self.status_column] = Arc::new(degraded);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::START_US;
    use super::*;
    use crate::schedule::{Burst, Schedule};
    use arrow::array::StringArray;
    use std::collections::BTreeSet;
    use std::time::Duration;

    const CHANNELS: i32 = 3;

    fn dictionary(codes: Vec<i32>, values: &[&str]) -> ArrayRef {
        Arc::new(DictionaryArray::new(Int32Array::from(codes), Arc::new(StringArray::from_iter_values(values))))
    }

    /// Channel and second of each payment that should be degraded, and of each that has failed. All would succeed.
    fn degraded_and_failed(degradations: &Degradations, schedule: &Schedule) -> [BTreeSet<(i32, i64)>; 2] {
        let rows = schedule.rows_due(2 * PERIOD_US as u64 * 1_000 - 1);
        let times: Vec<i64> = (0..rows).map(|row| START_US + schedule.due_ns(row) as i64 / 1_000).collect();
        let channels: Vec<i32> = (0..rows).map(|row| (row % CHANNELS as u64) as i32).collect();
        let mut columns =
            [dictionary(channels.clone(), &["a", "b", "c"]), dictionary(vec![2; rows as usize], &["FAILED", "TIMEOUT", "SUCCESS"])];
        degradations.degrade(0..rows, &times, &mut columns).expect("as the generator makes them");
        let statuses = columns[1].as_dictionary::<Int32Type>().keys().clone();
        let degraded: Vec<Degraded> = [0, 1].map(|period| degradations.in_period(START_US / PERIOD_US + period)).into();
        let is_degraded = |row: usize| degraded.iter().any(|one| one.channel == channels[row] && one.times_us.contains(&times[row]));
        let of = |chosen: &dyn Fn(usize) -> bool| {
            (0..rows as usize).filter(|&row| chosen(row)).map(|row| (channels[row], times[row] / 1_000_000)).collect()
        };
        [of(&is_degraded), of(&|row| statuses.value(row) != 2)]
    }

    #[test]
    fn a_degradation_lasts_as_long_in_a_burst_as_without() {
        let degradations = Degradations { seed: 7, channels: CHANNELS as u64, channel_column: 0, status_column: 1 };
        let burst = Burst { factor: 10.0, at: Duration::from_secs(10), lasts: Duration::from_secs(20) };
        let schedules = [Schedule::new(200, &[]), Schedule::new(200, &[burst])];
        let [undisturbed, in_burst] = schedules.map(|schedule| degraded_and_failed(&degradations, &schedule));
        assert!(undisturbed[0].len() >= 40, "a third of each period at least: {undisturbed:?}");
        assert_eq!(undisturbed[1], undisturbed[0]);
        assert_eq!(in_burst, undisturbed);
    }

    #[test]
    fn columns_of_another_kind_are_an_error() {
        let degradations = Degradations { seed: 7, channels: 1, channel_column: 0, status_column: 1 };
        let times: Vec<i64> = (0..120).map(|second| START_US + second * 1_000_000).collect();
        let mut columns = [dictionary(vec![0; 120], &["a"]), dictionary(vec![0; 120], &["SUCCESS", "FAILED"])];
        assert_eq!(degradations.degrade(0..120, &times, &mut columns), Err("there is no status TIMEOUT".to_owned()));
        columns[1] = Arc::new(StringArray::from(vec!["SUCCESS"; 120]));
        assert_eq!(degradations.degrade(0..120, &times, &mut columns), Err("channels and statuses are no dictionaries".to_owned()));
    }
}
