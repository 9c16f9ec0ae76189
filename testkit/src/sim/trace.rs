//! What has happened, line by line: the last lines for people, a digest of all of them to compare two runs by.

use std::collections::VecDeque;

/// Lines that are kept.
const LINES_KEPT: usize = 40;

/// See the module.
pub(super) struct Trace {
    lines: VecDeque<String>,
    keep: usize,
    digest: u64,
    steps: u64,
}

impl Trace {
    pub(super) fn new(all: bool) -> Trace {
        // FNV-1a.
        Trace { lines: VecDeque::new(), keep: if all { usize::MAX } else { LINES_KEPT }, digest: 0xcbf2_9ce4_8422_2325, steps: 0 }
    }

    /// A step begins.
    pub(super) fn step(&mut self) {
        self.steps += 1;
    }

    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    pub(super) fn note(&mut self, now_us: u64, line: String) {
        for byte in line.bytes().chain(now_us.to_le_bytes()) {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.lines.len() == self.keep {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{:>6} {:>9} us  {line}", self.steps, now_us));
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}
