//! Whether options make sense together: whatever can't work is refused before anything begins.

use super::shown::Written;
use super::{Cli, FLIGHTS, PARTITIONS, wrong};
use raympp_loadgen::chaos::{Fault, Planned};
use raympp_loadgen::error::Result;
use raympp_loadgen::find_max::RATE_MAX;

impl Cli {
    /// Whether the options make sense together.
    ///
    /// # Errors
    /// [`Error::Usage`], saying what does not, and what to do.
    pub(crate) fn check(&self) -> Result<()> {
        self.check_workload()?;
        self.check_times()?;
        self.check_bursts()?;
        self.check_faults()?;
        if self.state_dir.is_some() && self.checkpoint().is_none() {
            return wrong("--state-dir is where checkpoints are kept, and none are taken: say --checkpoint 1s, for example");
        }
        Ok(())
    }

    /// Options of workloads that have no use for them.
    fn check_workload(&self) -> Result<()> {
        let name = &self.workload;
        if self.keys.is_some() && name == "flights" {
            return wrong("--keys is not for flights, which have the keys that are in the log");
        }
        if self.skew.is_some() && name != "payments" {
            return wrong(format!("--skew is for payments; {name} draws its keys in a way of its own"));
        }
        if self.flights.is_some() && name != "flights" {
            return wrong(format!("--flights is for --workload flights, not for {name}"));
        }
        if name == "flights" && !self.flight_log().is_file() {
            let path = self.flight_log();
            return wrong(format!(
                "there is no flight log {}: --flights says where it is; the project has it in {FLIGHTS}",
                path.display()
            ));
        }
        Ok(())
    }

    fn check_times(&self) -> Result<()> {
        match self.warm_up {
            Some(warm_up) if warm_up >= self.duration() => wrong(format!(
                "a warm-up of {warm_up:?} leaves nothing to count of {:?}: say a shorter --warm-up or a longer --for",
                self.duration()
            )),
            _ => Ok(()),
        }
    }

    fn check_bursts(&self) -> Result<()> {
        let mut bursts = self.burst.clone();
        bursts.sort_by_key(|burst| burst.at);
        for burst in &bursts {
            let end = burst.at.saturating_add(burst.lasts);
            if end > self.duration() {
                return wrong(format!("burst '{}' would end after the run, at {end:?}: say a longer --for", Written(burst)));
            }
            if self.rate as f64 * burst.factor > RATE_MAX as f64 {
                return wrong(format!("burst '{}' would be more than {RATE_MAX} rows a second", Written(burst)));
            }
        }
        match bursts.windows(2).find(|pair| pair[0].at.saturating_add(pair[0].lasts) > pair[1].at) {
            Some(pair) => wrong(format!("bursts '{}' and '{}' overlap", Written(&pair[0]), Written(&pair[1]))),
            None => Ok(()),
        }
    }

    fn check_faults(&self) -> Result<()> {
        let is_late = |planned: &&Planned| planned.at >= self.duration() && planned.fault != Fault::Continue;
        if let Some(late) = self.faults().iter().find(is_late) {
            return wrong(format!("'{}' at {:?} would come after the run's end: say a longer --for", late.fault, late.at));
        }
        let Some(highest) = self.highest_panic() else { return Ok(()) };
        if self.replicas() < 2 {
            return wrong("a primary that panics needs a standby: say --replicas 2, or nothing");
        }
        if highest >= self.partitions() || !PARTITIONS.contains(&self.partitions().into()) {
            let partitions = self.partitions().min(*PARTITIONS.end() as u32);
            return wrong(format!("'{}': there are {partitions} partitions, from 0 on; --partitions says how many", Fault::Panic(highest)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::cli;

    #[test]
    fn what_makes_no_sense_is_refused_at_once() {
        for (line, reason) in [
            ("--rate | 0", "0 is not in 1.."),
            ("--producers | 0", "0 is not in 1.."),
            ("--threads | 0", "0 is not in 1.."),
            ("--partitions | 0", "0 is not in 1.."),
            ("--replicas | 0", "0 is not in 1..=2"),
            ("--replicas | 3", "3 is not in 1..=2"),
            ("--keys | 0", "0 is not in 1.."),
            ("--for | 0s", "longer"),
            ("--for | 10000h", "more than a year"),
            ("--step | 0us", "longer"),
            ("--checkpoint | 0ms", "longer"),
            ("--skew=-1", "no exponent"),
            ("--skew | nan", "no exponent"),
            ("--slo | p99 < 1ms", "--find-max"),
            ("--max-rate | 7", "--find-max"),
            ("--find-max | --out | x", "--out"),
            ("--workload | nexmark | --skew | 0.5", "--skew is for payments"),
            ("--workload | flights | --keys | 5", "--keys is not for flights"),
            ("--flights | x", "--flights is for --workload flights"),
            ("--workload | flights | --flights | no/such/file", "no flight log no/such/file: --flights says where"),
            ("--for | 3s | --warm-up | 3s", "leaves nothing to count"),
            ("--state-dir | x", "say --checkpoint"),
            ("--burst | 2x @1s for 2s | --burst | 3x @2s for 1s", "bursts '2x @1s for 2s' and '3x @2s for 1s' overlap"),
            ("--for | 10s | --burst | 2x @9s for 2s", "'2x @9s for 2s' would end after the run, at 11s"),
            ("--burst | 1e300x @1s for 1s", "more than 1000000000 rows a second"),
            ("--for | 10s | --chaos | kill @10s", "'kill' at 10s would come after the run's end"),
            ("--chaos | panic partition 3 @4s | --partitions | 3", "'panic partition 3': there are 3 partitions"),
            ("--chaos | panic partition 4000000000 @4s", "there are 65536 partitions"),
            ("--chaos | panic partition 0 @4s | --replicas | 1", "--replicas 2"),
        ] {
            let error = cli(line).expect_err(line);
            assert!(error.contains(reason), "{line}: {error}");
        }
        for line in ["--burst | 2x @1s for 2s | --burst | 3x @3s for 57s", "--for | 3s | --warm-up | 2999ms", "--warm-up | 0s"] {
            assert!(cli(line).is_ok(), "{line}");
        }
    }
}
