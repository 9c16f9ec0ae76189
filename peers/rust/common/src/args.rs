//! The command line that all peers share.

use std::path::PathBuf;
use std::str::FromStr;

use crate::Error;

const USAGE: &str = "usage: PROGRAM --input DIR --query hop|tumble10|tumble1 --rows N --threads T [--passes P] [--runs R]";

/// A query's windows, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Windows begin at multiples of this.
    pub slide_us: i64,
    /// How long a window is: a multiple of the slide.
    pub size_us: i64,
}

impl Query {
    /// How many slides a window has; one for a tumbling window.
    #[must_use]
    pub fn slides(&self) -> usize {
        usize::try_from(self.size_us / self.slide_us).expect("a window has at least one slide")
    }
}

impl FromStr for Query {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let (slide, size) = match name {
            "hop" => (1, 60),
            "tumble10" => (10, 10),
            "tumble1" => (1, 1),
            _ => return Err(Error::Failed(format!("no query {name:?}; {USAGE}"))),
        };
        Ok(Self { slide_us: slide * 1_000_000, size_us: size * 1_000_000 })
    }
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Args {
    /// Directory of the columns.
    pub input: PathBuf,
    /// The query.
    pub query: Query,
    /// How many rows to read.
    pub rows: usize,
    /// How many threads may work on the query.
    pub threads: usize,
    /// How many times over a run takes the rows.
    pub passes: usize,
    /// How often to run it.
    pub runs: usize,
}

impl Args {
    pub(crate) fn from_command_line() -> Result<Self, Error> {
        Self::parse(std::env::args().skip(1))
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Error> {
        let (mut input, mut query, mut rows, mut threads, mut passes, mut runs) = (None, None, None, 1, 1, 1);
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| Error::Failed(format!("{name} has no value; {USAGE}")))?;
            match name.as_str() {
                "--input" => input = Some(PathBuf::from(value)),
                "--query" => query = Some(value.parse()?),
                "--rows" => rows = Some(value.parse()?),
                "--threads" => threads = value.parse()?,
                "--passes" => passes = value.parse()?,
                "--runs" => runs = value.parse()?,
                _ => return Err(Error::Failed(format!("no option {name}; {USAGE}"))),
            }
        }
        match (input, query, rows) {
            (Some(input), Some(query), Some(rows)) if threads > 0 => Ok(Self { input, query, rows, threads, passes, runs }),
            _ => Err(Error::Failed(USAGE.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, Error> {
        Args::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn reads_every_option() {
        let args = parse("--input d --query hop --rows 7 --threads 2 --passes 4 --runs 3").unwrap();
        assert_eq!((args.rows, args.threads, args.passes, args.runs, args.query.slides()), (7, 2, 4, 3, 60));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert!(parse("--input d --query session --rows 7").is_err());
        assert!(parse("--input d --query hop").is_err());
        assert!(parse("--input d --query hop --rows 1 --threads 0").is_err());
        assert!(parse("--input d --query hop --rows 1 --colour red").is_err());
    }
}
