//! Options of a connector: taken one by one, typed, and at the end none may be left over.

use super::error::{Mistake, SourceError, SourceErrorKind};
use raympp_operators::plan::StreamPlan;
use raympp_types::text;
use std::collections::BTreeMap;

/// The options that have not been asked for yet.
pub(super) struct OptionReader<'a> {
    connector: &'static str,
    left: BTreeMap<&'a str, &'a str>,
    known: Vec<&'static str>,
}

impl<'a> OptionReader<'a> {
    pub(super) fn new(connector: &'static str, stream: &'a StreamPlan) -> OptionReader<'a> {
        let left = stream.options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        OptionReader { connector, left, known: Vec::new() }
    }

    /// The text of an option.
    pub(super) fn text(&mut self, name: &'static str) -> Option<&'a str> {
        self.known.push(name);
        self.left.remove(name)
    }

    /// An option that must be there.
    pub(super) fn required(&mut self, name: &'static str) -> Result<&'a str, SourceError> {
        let connector = self.connector;
        self.text(name).ok_or_else(|| {
            SourceError::new(SourceErrorKind::Option, format!("connector '{connector}' needs the option {name}"))
                .mistake(Mistake::Option(name.to_owned()))
        })
    }

    /// true or false.
    pub(super) fn boolean(&mut self, name: &'static str, default: bool) -> Result<bool, SourceError> {
        match self.text(name) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(bad_value(name, other, "true or false")),
        }
    }

    /// A whole number in a range.
    pub(super) fn whole(&mut self, name: &'static str, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, SourceError> {
        let Some(value) = self.text(name) else { return Ok(None) };
        match value.parse::<u64>() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(bad_value(name, value, &format!("a whole number from {} to {}", range.start(), range.end()))),
        }
    }

    /// A finite number in a range.
    pub(super) fn number(&mut self, name: &'static str, range: std::ops::RangeInclusive<f64>) -> Result<Option<f64>, SourceError> {
        let Some(value) = self.text(name) else { return Ok(None) };
        match value.parse::<f64>() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(bad_value(name, value, &format!("a number from {} to {}", range.start(), range.end()))),
        }
    }

    /// A length of time in microseconds, at least `least_us`.
    pub(super) fn span_us(&mut self, name: &'static str, default_us: i64, least_us: i64) -> Result<i64, SourceError> {
        let Some(value) = self.text(name) else { return Ok(default_us) };
        let parsed = text::parse_interval(value.as_bytes()).ok().and_then(|interval| interval.fixed_us());
        match parsed {
            Some(us) if (least_us..=raympp_operators::window::WINDOW_SIZE_MAX_US).contains(&us) => Ok(us),
            _ => Err(bad_value(name, value, "a length of time such as '5s' or '2 minutes'")),
        }
    }

    /// Complains about options nobody asked for.
    pub(super) fn finish(self) -> Result<(), SourceError> {
        let Some(name) = self.left.keys().next() else { return Ok(()) };
        let mut known = self.known;
        known.sort_unstable();
        known.dedup();
        Err(SourceError::new(SourceErrorKind::Option, format!("connector '{}' has no option {name}", self.connector))
            .hint(format!("its options are {}", known.join(", ")))
            .mistake(Mistake::Option((*name).to_owned())))
    }
}

/// The error for a value that makes no sense.
pub(super) fn bad_value(name: &str, value: &str, expected: &str) -> SourceError {
    SourceError::new(SourceErrorKind::Option, format!("option {name} = '{value}': expected {expected}"))
        .mistake(Mistake::Option(name.to_owned()))
}
