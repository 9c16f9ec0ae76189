//! What benchmarks print: a line per figure with its target, and a hash of the results it rests on.

use crate::floor::Totals;

/// Figures as they are found.
#[derive(Debug, Default)]
pub struct Report {
    missed: Vec<String>,
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
