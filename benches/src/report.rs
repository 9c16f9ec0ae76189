//! What benchmarks print: a line per figure, with its target if it has one, and a hash of the results it rests on.
//!
//! Lines of figures have one form, by which `xtask/src/bench/compare.rs` reads them: a name, a value, two spaces, then `target ≥` or `target ≤`, or else
//! `higher is better` or `lower is better`.

use crate::floor::Totals;

/// Figures as they are found.
#[derive(Debug, Default)]
pub struct Report {
    missed: Vec<String>,
}

/// Which of two values of a figure is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Of rates and ratios of them.
    Higher,
    /// Of costs and times.
    Lower,
}

impl Report {
    /// A ratio that should be at least `target`.
    pub fn ratio(&mut self, name: &str, found: f64, target: f64, detail: &str) {
        self.line(name, &format!("{found:.2}"), &format!("≥ {target}"), found >= target, detail);
    }

    /// A cost or time that should be at most `target`.
    pub fn cost(&mut self, name: &str, found: f64, target: f64, detail: &str) {
        self.line(name, &format!("{found:.2}"), &format!("≤ {target}"), found <= target, detail);
    }

    /// A figure that has no target.
    pub fn figure(&mut self, name: &str, found: f64, better: Better, detail: &str) {
        println!("{}", figure_line(name, found, better, detail));
    }

    /// Something that has no target.
    pub fn note(&mut self, name: &str, found: &str) {
        println!("{name:<58} {found}");
    }

    /// Results are the same in every run; so is this.
    pub fn hash(&mut self, name: &str, totals: &Totals) {
        println!("{name:<58} results: {} rows, {} payments, volume {}", totals.rows, totals.payments, totals.volume);
    }

    fn line(&mut self, name: &str, found: &str, target: &str, met: bool, detail: &str) {
        println!("{name:<58} {found:>8}  target {target:<7} {}  {detail}", if met { "met   " } else { "MISSED" });
        if !met {
            self.missed.push(name.to_owned());
        }
    }

    /// Prints what fell short.
    pub fn finish(&self) {
        match &self.missed[..] {
            [] => println!("all targets met"),
            missed => println!("missed: {}", missed.join("; ")),
        }
    }
}

fn figure_line(name: &str, found: f64, better: Better, detail: &str) -> String {
    let better = match better {
        Better::Higher => "higher is better",
        Better::Lower => "lower is better",
    };
    format!("{name:<58} {found:>8.3}  {better}  {detail}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The other end of this is in `xtask/src/bench/compare.rs`, whose tests read these lines.
    #[test]
    fn lines_of_figures_have_the_form_that_they_are_read_by() {
        let name = "100 keys, TUMBLE 10 s, off: million rows/s/core";
        let line = figure_line(name, 102.34, Better::Higher, "visible p50 0.1 ms");
        assert_eq!(line, "100 keys, TUMBLE 10 s, off: million rows/s/core             102.340  higher is better  visible p50 0.1 ms");
        assert_eq!(
            figure_line("a, p99, ms", 0.0567, Better::Lower, "").split_whitespace().collect::<Vec<_>>()[3..],
            ["0.057", "lower", "is", "better"]
        );
    }
}
