//! What a report says of the command line.

use super::{Cli, KEYS};
use raympp_loadgen::schedule::Burst;
use raympp_loadgen::workload::Workload;
use std::fmt;

impl Cli {
    /// What a report says of the run: all that it takes to run it again, and in brackets why what was not asked for is as it is.
    pub(crate) fn settings_shown(&self, workload: &Workload) -> Vec<(String, String)> {
        let is_implied = |was_said: bool, is_needed: bool| if !was_said && is_needed { " (for --chaos)" } else { "" };
        let panics = self.highest_panic().is_some();
        let metrics: Vec<&str> = workload.metrics.iter().map(|metric| metric.name.as_str()).collect();
        let bursts: Vec<String> = self.burst.iter().map(|burst| Written(burst).to_string()).collect();
        let checkpoints = self.checkpoint().map(|interval| format!("{interval:?}{}", is_implied(self.checkpoint.is_some(), self.kills())));
        let behind = self.out_of_orderness.map_or("the watermark's bound".to_owned(), |behind| format!("{behind:?}"));
        let shown = |name: &str, value: String| Some((name.to_owned(), value));
        [
            shown("rate", format!("{} rows/s", self.rate)),
            shown("for", format!("{:?}", self.duration())),
            shown("warm-up", if self.warm_up().is_zero() { "none".to_owned() } else { format!("{:?}", self.warm_up()) }),
            shown("bursts", if bursts.is_empty() { "none".to_owned() } else { bursts.join("; ") }),
            self.script.as_ref().and_then(|script| shown("script", script.display().to_string())),
            shown("metrics", metrics.join(" ")),
            (workload.name != "flights").then(|| shown("keys", self.keys.unwrap_or(KEYS).to_string())).flatten(),
            (workload.name == "payments").then(|| shown("skew", self.skew.unwrap_or(0.0).to_string())).flatten(),
            (workload.name == "flights").then(|| shown("flights", self.flight_log().display().to_string())).flatten(),
            (workload.name != "flights").then(|| shown("out-of-orderness", behind)).flatten(),
            shown("seed", self.seed.to_string()),
            shown("step", format!("{:?}", self.step)),
            shown("producers", self.producers().to_string()),
            shown("threads", self.threads().to_string()),
            shown("spin", if self.spin().is_zero() { "none".to_owned() } else { format!("{:?}", self.spin()) }),
            shown(
                "partitions",
                format!("{}{}", self.partitions(), is_implied(self.partitions.is_some(), self.partitions() as usize > self.threads())),
            ),
            shown("replicas", format!("{}{}", self.replicas(), is_implied(self.replicas.is_some(), panics))),
            shown("checkpoints", checkpoints.unwrap_or_else(|| "none".to_owned())),
            shown("chaos", self.chaos.as_ref().map_or_else(|| "none".to_owned(), |faults| faults.written.clone())),
            shown("verify", if self.verify { "yes" } else { "no" }.to_owned()),
            shown("engine", if self.needs_process() { "in a process of its own" } else { "in this process" }.to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// A burst as it is written on the command line.
pub(super) struct Written<'a>(pub(super) &'a Burst);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Burst { factor, at, lasts } = self.0;
        write!(f, "{factor}x @{at:?} for {lasts:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::cli;
    use raympp_loadgen::workload::Workload;

    #[test]
    fn a_report_says_how_to_run_it_again() {
        let cli = cli("--for | 3s | --burst | 2x @1s for 500ms | --spin | 50us | --skew | 0.5 | --verify").expect("it makes sense");
        let workload = Workload::open("payments", &cli.workload_settings(1).expect("settings")).expect("payments");
        let shown: Vec<String> = cli.settings_shown(&workload).iter().map(|(name, value)| format!("{name} {value}")).collect();
        for setting in
            ["warm-up 1.5s", "bursts 2x @1s for 500ms", "metrics success", "spin 50µs", "step 200µs", "chaos none", "verify yes", "seed 42"]
        {
            assert!(shown.iter().any(|shown| shown == setting), "{setting}: {shown:?}");
        }
    }
}
