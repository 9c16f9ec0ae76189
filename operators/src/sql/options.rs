//! Which WITH options exist, in one table per statement and connector, and what values they take.
//!
//! A value is checked as soon as its script is read, so that a mistake has a line and a column; connectors read the same text again.

use super::error::{SqlError, SqlErrorKind, SqlResult};
use super::nearest::did_you_mean;
use super::syntax::OptionEntry;
use crate::plan::{BadRows, Options};
use crate::window::WINDOW_SIZE_MAX_US;
use raympp_types::text;
use sqlparser::tokenizer::Span;
use std::collections::BTreeMap;

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptionValue {
    /// Any text but the empty one.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// A number from the first to the second.
    Number(f64, f64),
    /// A fixed length of time of at least that many microseconds, such as `'100ms'`.
    Duration(i64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `skip`, `fail` or `dead_letter:path`.
    BadRows,
    /// A timestamp, or `now`.
    Start,
}

/// One option.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptionSpec {
    /// Name in lower case.
    pub name: &'static str,
    /// What it takes.
    pub value: OptionValue,
    /// It must be given.
    pub required: bool,
}

/// A connector and its own options.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConnectorSpec {
    /// Name as written in `connector = '…'`.
    pub name: &'static str,
    /// Its options.
    pub options: &'static [OptionSpec],
}

const fn optional(name: &'static str, value: OptionValue) -> OptionSpec {
    OptionSpec { name, value, required: false }
}

const fn required(name: &'static str, value: OptionValue) -> OptionSpec {
    OptionSpec { name, value, required: true }
}

const FORMATS: OptionValue = OptionValue::OneOf(&["csv", "jsonl", "parquet"]);
const ANY_WHOLE: OptionValue = OptionValue::Whole(0, u64::MAX);
const RATE: OptionValue = OptionValue::Whole(1, 1_000_000_000);
const EVENT_RATE: OptionValue = OptionValue::Whole(1, 1_000_000_000_000);
const SPLITS: OptionValue = OptionValue::Whole(1, 65_536);
const CONNECTOR: OptionSpec = optional("connector", OptionValue::Text);

/// Options of every stream.
pub const STREAM_OPTIONS: &[OptionSpec] = &[
    CONNECTOR,
    optional("idle_timeout", OptionValue::Duration(1)),
    optional("disconnect_timeout", OptionValue::Duration(0)),
    optional("max_jump", OptionValue::Duration(0)),
    optional("bad_rows", OptionValue::BadRows),
];

/// Where a stream's rows can come from.
pub const SOURCE_CONNECTORS: &[ConnectorSpec] = &[
    ConnectorSpec {
        name: "file",
        options: &[required("path", OptionValue::Text), optional("format", FORMATS), optional("follow", OptionValue::Boolean)],
    },
    ConnectorSpec {
        name: "payments",
        options: &[
            optional("rows", ANY_WHOLE),
            optional("rate", RATE),
            optional("event_rate", EVENT_RATE),
            optional("start", OptionValue::Start),
            optional("seed", ANY_WHOLE),
            optional("splits", SPLITS),
            optional("keys", OptionValue::Whole(1, 10_000_000)),
            optional("skew", OptionValue::Number(0.0, 10.0)),
            optional("out_of_orderness", OptionValue::Duration(0)),
            optional("degrade", OptionValue::Boolean),
            optional("degrade_every", OptionValue::Duration(3)),
        ],
    },
    ConnectorSpec {
        name: "nexmark",
        options: &[
            required("table", OptionValue::OneOf(&["person", "auction", "bid"])),
            optional("rows", ANY_WHOLE),
            optional("rate", RATE),
            optional("event_rate", EVENT_RATE),
            optional("start", OptionValue::Start),
            optional("seed", ANY_WHOLE),
            optional("splits", SPLITS),
            optional("keys", OptionValue::Whole(1, 1_000_000)),
            optional("out_of_orderness", OptionValue::Duration(0)),
        ],
    },
];

/// Options of a metric over windows.
pub const WINDOWED_METRIC_OPTIONS: &[OptionSpec] =
    &[optional("retention", OptionValue::Duration(0)), optional("backfill", OptionValue::Boolean)];

/// Options of a metric without a window.
pub const RUNNING_METRIC_OPTIONS: &[OptionSpec] = &[optional("ttl", OptionValue::Duration(1)), optional("backfill", OptionValue::Boolean)];

/// Options of every sink.
pub const SINK_OPTIONS: &[OptionSpec] = &[CONNECTOR];

/// Where results can go.
pub const SINK_CONNECTORS: &[ConnectorSpec] = &[
    ConnectorSpec {
        name: "file",
        options: &[
            required("path", OptionValue::Text),
            optional("format", FORMATS),
            optional("sorted", OptionValue::Boolean),
            optional("overwrite", OptionValue::Boolean),
            optional("roll", OptionValue::Duration(1)),
        ],
    },
    ConnectorSpec { name: "stdout", options: &[optional("format", OptionValue::OneOf(&["csv", "jsonl", "table"]))] },
];

/// Checked options of one statement.
#[derive(Debug)]
pub(crate) struct CheckedOptions {
    entries: BTreeMap<String, OptionEntry>,
}

impl CheckedOptions {
    /// Checks names, duplicates, values and what is required. `of_what` ends the sentence `unknown option "x" of …`.
    pub(crate) fn check(written: Vec<OptionEntry>, known: &[OptionSpec], of_what: &str, statement: Span) -> SqlResult<CheckedOptions> {
        let mut entries: BTreeMap<String, OptionEntry> = BTreeMap::new();
        for entry in written {
            let Some(spec) = known.iter().find(|spec| spec.name == entry.name.value) else {
                return Err(unknown_option(&entry, known, of_what));
            };
            check_value(spec, &entry)?;
            if entries.contains_key(&entry.name.value) {
                return Err(SqlError::new(SqlErrorKind::Option, entry.name.span, format!("option \"{}\" is given twice", spec.name)));
            }
            entries.insert(entry.name.value.clone(), entry);
        }
        match known.iter().find(|spec| spec.required && !entries.contains_key(spec.name)) {
            Some(missing) => {
                Err(SqlError::new(SqlErrorKind::Option, statement, format!("{of_what} needs the option \"{}\"", missing.name))
                    .hint(format!("write WITH ({} = {})", missing.name, example(missing.value))))
            }
            None => Ok(CheckedOptions { entries }),
        }
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.entries.remove(name).map(|entry| entry.value)
    }

    pub(crate) fn boolean(&mut self, name: &str) -> Option<bool> {
        self.text(name).map(|value| value == "true")
    }

    pub(crate) fn duration_us(&mut self, name: &str) -> Option<i64> {
        self.text(name).and_then(|value| duration_us(&value))
    }

    pub(crate) fn bad_rows(&mut self) -> BadRows {
        self.text("bad_rows").and_then(|value| bad_rows(&value)).unwrap_or_default()
    }

    pub(crate) fn span(&self, name: &str) -> Option<Span> {
        self.entries.get(name).map(|entry| entry.name.span)
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.value == "true")
    }

    /// What has not been taken, for the connector.
    pub(crate) fn rest(self) -> Options {
        self.entries.into_iter().map(|(name, entry)| (name, entry.value)).collect()
    }
}

/// The connector that the options name, if they name one, and the options it adds to the common ones.
pub(crate) fn connector_options(
    written: &[OptionEntry],
    connectors: &'static [ConnectorSpec],
    common: &'static [OptionSpec],
) -> SqlResult<(Option<&'static str>, Vec<OptionSpec>)> {
    let Some(entry) = written.iter().find(|entry| entry.name.value == "connector") else {
        return Ok((None, common.to_vec()));
    };
    match connectors.iter().find(|connector| connector.name == entry.value) {
        Some(connector) => Ok((Some(connector.name), [common, connector.options].concat())),
        None => {
            let names: Vec<&str> = connectors.iter().map(|connector| connector.name).collect();
            let hint = did_you_mean(&entry.value, names.iter().copied()).unwrap_or(format!("there are {}", names.join(", ")));
            Err(SqlError::new(SqlErrorKind::Option, entry.value_span, format!("unknown connector '{}'", entry.value)).hint(hint))
        }
    }
}

/// The first option that no connector has, for a statement that names none: a misspelt `connector`, more likely than not.
pub(crate) fn refuse_unknown(written: &[OptionEntry], connectors: &[ConnectorSpec], common: &[OptionSpec], of_what: &str) -> SqlResult<()> {
    let known: Vec<OptionSpec> = common.iter().chain(connectors.iter().flat_map(|connector| connector.options)).copied().collect();
    match written.iter().find(|entry| known.iter().all(|spec| spec.name != entry.name.value)) {
        Some(entry) => Err(unknown_option(entry, &known, of_what)),
        None => Ok(()),
    }
}

fn unknown_option(entry: &OptionEntry, known: &[OptionSpec], of_what: &str) -> SqlError {
    let names = || known.iter().map(|spec| spec.name);
    let hint = did_you_mean(&entry.name.value, names()).unwrap_or_else(|| format!("there are {}", names().collect::<Vec<_>>().join(", ")));
    SqlError::new(SqlErrorKind::Option, entry.name.span, format!("unknown option \"{}\" of {of_what}", entry.name.value)).hint(hint)
}

fn check_value(spec: &OptionSpec, entry: &OptionEntry) -> SqlResult<()> {
    let value = entry.value.as_str();
    let (fits, expected) = match spec.value {
        OptionValue::Text => (!value.is_empty(), "a text".to_owned()),
        OptionValue::Boolean => (matches!(value, "true" | "false"), "true or false".to_owned()),
        OptionValue::Whole(least, most) => {
            let fits = value.parse::<u64>().is_ok_and(|number| (least..=most).contains(&number));
            (fits, if most == u64::MAX { format!("a whole number from {least}") } else { format!("a whole number from {least} to {most}") })
        }
        OptionValue::Number(least, most) => {
            let fits = value.parse::<f64>().is_ok_and(|number| (least..=most).contains(&number));
            (fits, format!("a number from {least} to {most}"))
        }
        OptionValue::Duration(least_us) => {
            let fits = duration_us(value).is_some_and(|us| (least_us..=WINDOW_SIZE_MAX_US).contains(&us));
            let sign = if least_us > 0 { "a positive" } else { "a" };
            (fits, format!("{sign} length of time such as '100ms', '1s' or '2 minutes'"))
        }
        OptionValue::OneOf(words) => {
            (words.contains(&value), words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" or "))
        }
        OptionValue::BadRows => (bad_rows(value).is_some(), "'skip', 'fail' or 'dead_letter:path'".to_owned()),
        OptionValue::Start => {
            let fits = value == "now" || text::parse_timestamptz(value.as_bytes()).is_ok();
            (fits, "a timestamp, or 'now'".to_owned())
        }
    };
    let message = || format!("option \"{}\" cannot be '{value}': expected {expected}", spec.name);
    if fits { Ok(()) } else { Err(SqlError::new(SqlErrorKind::Option, entry.value_span, message())) }
}

fn example(value: OptionValue) -> &'static str {
    match value {
        OptionValue::Boolean => "true",
        OptionValue::Whole(..) | OptionValue::Number(..) => "1",
        OptionValue::Duration(_) => "'1s'",
        OptionValue::Text | OptionValue::OneOf(_) | OptionValue::BadRows | OptionValue::Start => "'…'",
    }
}

/// A fixed length of time. A bare number has no unit, so it is none.
fn duration_us(value: &str) -> Option<i64> {
    if value.trim().parse::<f64>().is_ok() {
        return None;
    }
    text::parse_interval(value.as_bytes()).ok()?.fixed_us()
}

fn bad_rows(value: &str) -> Option<BadRows> {
    match (value, value.strip_prefix("dead_letter:")) {
        ("skip", _) => Some(BadRows::Skip),
        ("fail", _) => Some(BadRows::Fail),
        (_, Some(path)) if !path.is_empty() => Some(BadRows::DeadLetter(path.to_owned())),
        _ => None,
    }
}
