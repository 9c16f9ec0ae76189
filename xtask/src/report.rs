//! Runs steps one after the other, says how each went and how long it took, and counts tests.
//!
//! Tests are counted by the lines that test programs print: cargo's `test result: ok. 12 passed; 0 failed; …` and the plain
//! `12 passed, 0 failed` of the scripts. Invariant: a step with a failed test has failed, and the last line is the sum over all steps.

use crate::workspace::Workspace;
use std::time::{Duration, Instant};

/// What a step returns; the error says what is wrong, in words for the reader.
pub(crate) type Outcome<T> = Result<T, String>;

/// One step.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Workspace, &mut Report) -> Outcome<()>,
}

/// Numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

/// How the steps went so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    finished: Vec<Finished>,
    tests: Tests,
}

#[derive(Debug)]
struct Finished {
    name: &'static str,
    took: Duration,
    tests: Tests,
    error: Option<String>,
}

impl Report {
    /// Runs one step and remembers how it went.
    pub(crate) fn run(&mut self, workspace: &Workspace, step: &Step) {
        println!("\n==> {}", step.name);
        let before = self.tests;
        let start = now();
        let outcome = (step.run)(workspace, self);
        let took = now() - start;
        let tests = Tests { passed: self.tests.passed - before.passed, failed: self.tests.failed - before.failed };
        let error = outcome.err().or_else(|| (tests.failed > 0).then(|| format!("{} tests failed", tests.failed)));
        match &error {
            None => println!("==> {}: ok, {:.1} s", step.name, took.as_secs_f64()),
            Some(error) => println!("==> {}: FAILED, {:.1} s\n{error}", step.name, took.as_secs_f64()),
        }
        self.finished.push(Finished { name: step.name, took, tests, error });
    }

    /// Counts the tests of a line that a test program printed.
    pub(crate) fn count_line(&mut self, line: &str) {
        if let Some(tests) = tests_of_line(line) {
            self.count(tests);
        }
    }

    /// Counts tests.
    pub(crate) fn count(&mut self, tests: Tests) {
        self.tests.passed += tests.passed;
        self.tests.failed += tests.failed;
    }

    /// Prints the summary; fails if any step has.
    pub(crate) fn finish(self) -> Outcome<()> {
        println!("\n{}", self.summary());
        let failed: Vec<&str> = self.finished.iter().filter(|step| step.error.is_some()).map(|step| step.name).collect();
        if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
    }

    /// A table of steps, the total time, and the total of tests as the last line.
    fn summary(&self) -> String {
        let mut text = format!("{:<30}{:>8}{:>9}{:>9}\n", "step", "seconds", "passed", "failed");
        for step in &self.finished {
            let mark = if step.error.is_some() { "  FAILED" } else { "" };
            let number = |number: u64| if step.tests == Tests::default() { String::new() } else { number.to_string() };
            let (passed, failed) = (number(step.tests.passed), number(step.tests.failed));
            let line = format!("{:<30}{:>8.1}{passed:>9}{failed:>9}{mark}", step.name, step.took.as_secs_f64());
            text += line.trim_end();
            text.push('\n');
        }
        let total: Duration = self.finished.iter().map(|step| step.took).sum();
        text += &format!("{:<30}{:>8.1}\n\n{} passed, {} failed", "total", total.as_secs_f64(), self.tests.passed, self.tests.failed);
        text
    }
}

#[expect(clippy::disallowed_methods, reason = "a developer's tool says how long its steps take")]
fn now() -> Instant {
    Instant::now()
}

/// `test result: ok. 12 passed; 0 failed; …`, or a line that is `12 passed, 0 failed` and nothing else.
fn tests_of_line(line: &str) -> Option<Tests> {
    let counts = match line.trim().strip_prefix("test result: ") {
        Some(rest) => rest.split_once(". ")?.1,
        None => line.trim(),
    };
    let mut words = counts.split([' ', ';', ',']).filter(|word| !word.is_empty());
    let passed = words.next()?.parse().ok()?;
    (words.next()? == "passed").then_some(())?;
    let failed = words.next()?.parse().ok()?;
    (words.next()? == "failed").then_some(())?;
    let nothing_follows = words.next().is_none();
    (nothing_follows || counts.len() < line.trim().len()).then_some(Tests { passed, failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_test_programs_are_counted_and_others_are_not() {
        let counted = |line| tests_of_line(line).map(|tests| (tests.passed, tests.failed));
        assert_eq!(counted("test result: ok. 12 passed; 3 failed; 0 ignored; 0 measured; 1 filtered out"), Some((12, 3)));
        assert_eq!(counted("test result: FAILED. 1 passed; 2 failed; 0 ignored"), Some((1, 2)));
        assert_eq!(counted("118 passed, 1 failed"), Some((118, 1)));
        assert_eq!(counted("118 passed, 1 failed, or so"), None);
        assert_eq!(counted("running 4 tests"), None);
        assert_eq!(counted(""), None);
    }

    #[test]
    fn the_summary_ends_with_the_sum_and_marks_what_failed() {
        let tests = Tests { passed: 7, failed: 0 };
        let step = |name, error: Option<&str>| Finished { name, took: Duration::from_millis(1500), tests, error: error.map(str::to_owned) };
        let mut report = Report { finished: vec![step("one", None), step("two", Some("bad"))], tests: Tests::default() };
        report.count_line("test result: ok. 14 passed; 0 failed; 0 ignored");
        let summary = report.summary();
        assert!(summary.contains("two                                1.5        7        0  FAILED\n"), "{summary}");
        assert_eq!(summary.lines().last(), Some("14 passed, 0 failed"));
        assert_eq!(report.finish(), Err("failed: two".to_owned()));
    }
}
