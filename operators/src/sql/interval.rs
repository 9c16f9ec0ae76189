//! INTERVAL literals in PostgreSQL's spellings, and the fixed lengths that windows are made of.

use super::error::{SqlError, SqlErrorKind, SqlResult};
use super::scalar::bind;
use super::scope::ConstantScope;
use crate::expr;
use crate::window::WINDOW_SIZE_MAX_US;
use raympp_types::interval::SECOND_US;
use raympp_types::{DataType, Interval, Value, text};
use sqlparser::ast::{self, DateTimeField, Spanned};
use sqlparser::tokenizer::Span;

/// `INTERVAL 'text' [field [TO field]]`
pub(crate) fn interval_literal(written: &ast::Interval) -> SqlResult<Interval> {
    let span = written.value.span();
    let ast::Expr::Value(ast::ValueWithSpan { value: ast::Value::SingleQuotedString(string), .. }) = &*written.value else {
        return Err(SqlError::syntax(span, "expected a quoted length after INTERVAL").hint("write for instance INTERVAL '1 minute'"));
    };
    if written.leading_precision.is_some() || written.fractional_seconds_precision.is_some() {
        return Err(SqlError::unsupported(span, "an INTERVAL takes no precision"));
    }
    let Some(leading) = &written.leading_field else { return parse(string, string, span) };
    let last = written.last_field.as_ref().unwrap_or(leading);
    let unit = unit(last, span)?;
    let to_seconds = unit == Unit::Second && matches!(leading, DateTimeField::Minute | DateTimeField::Minutes);
    let completed = complete(string, unit, to_seconds);
    parse(&completed, string, span).map(|interval| truncate(interval, unit))
}

fn parse(text: &str, shown: &str, span: Span) -> SqlResult<Interval> {
    text::parse_interval(text.as_bytes()).map_err(|_| {
        let message = format!("'{shown}' is not a length of time");
        SqlError::new(SqlErrorKind::Value, span, message).hint("write for instance '1 minute', '90 seconds' or '01:30:00'")
    })
}

/// The least significant field that a qualifier keeps.
#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
}

fn unit(field: &DateTimeField, span: Span) -> SqlResult<Unit> {
    use DateTimeField::*;
    Ok(match field {
        Year | Years => Unit::Year,
        Month | Months => Unit::Month,
        Week(None) | Weeks => Unit::Week,
        Day | Days => Unit::Day,
        Hour | Hours => Unit::Hour,
        Minute | Minutes => Unit::Minute,
        Second | Seconds => Unit::Second,
        Millisecond | Milliseconds => Unit::Millisecond,
        Microsecond | Microseconds => Unit::Microsecond,
        other => return Err(SqlError::syntax(span, format!("{other} is not a unit of an INTERVAL"))),
    })
}

/// A bare number counts the last field; under MINUTE TO SECOND, `m:s` has no hours.
fn complete(string: &str, unit: Unit, to_seconds: bool) -> String {
    let trimmed = string.trim();
    let bare = trimmed.trim_start_matches(['+', '-']);
    if !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        let name = match unit {
            Unit::Year => "years",
            Unit::Month => "months",
            Unit::Week => "weeks",
            Unit::Day => "days",
            Unit::Hour => "hours",
            Unit::Minute => "minutes",
            Unit::Second => "seconds",
            Unit::Millisecond => "milliseconds",
            Unit::Microsecond => "microseconds",
        };
        return format!("{trimmed} {name}");
    }
    if to_seconds && bare.matches(':').count() == 1 && !bare.contains(' ') {
        let sign = &trimmed[..trimmed.len() - bare.len()];
        return format!("{sign}0:{bare}");
    }
    trimmed.to_owned()
}

/// Drops what is less significant than the last field.
fn truncate(interval: Interval, unit: Unit) -> Interval {
    let Interval { months, days, micros } = interval;
    let whole = |us: i64| micros - micros % us;
    match unit {
        Unit::Year => Interval { months: months - months % 12, days: 0, micros: 0 },
        Unit::Month => Interval { months, days: 0, micros: 0 },
        Unit::Week | Unit::Day => Interval { months, days, micros: 0 },
        Unit::Hour => Interval { months, days, micros: whole(3600 * SECOND_US) },
        Unit::Minute => Interval { months, days, micros: whole(60 * SECOND_US) },
        Unit::Second | Unit::Millisecond | Unit::Microsecond => interval,
    }
}

/// A constant length of time in microseconds, `least_us` to [`WINDOW_SIZE_MAX_US`]. `what` names it: `the size`.
pub(crate) fn fixed_length_us(written: &ast::Expr, span: Span, what: &str, least_us: i64) -> SqlResult<i64> {
    let bound = bind(written, &mut ConstantScope)?;
    let found = bound.data_type();
    let length = match expr::implicit_cast(bound, DataType::Interval) {
        Ok(length) if matches!(length.as_literal(), Some(Value::Interval(_))) => length,
        _ => {
            let message = format!("{what} must be an INTERVAL, found {found}");
            return Err(SqlError::new(SqlErrorKind::Type, span, message).hint("write for instance INTERVAL '1 minute'"));
        }
    };
    let Some(Value::Interval(interval)) = length.as_literal() else { return Err(SqlError::syntax(span, "expected an INTERVAL")) };
    if interval.months != 0 {
        let message = format!("{what} must have a fixed length, and months have not");
        return Err(SqlError::new(SqlErrorKind::Value, span, message).hint("write it in days"));
    }
    match interval.fixed_us() {
        Some(us) if (least_us..=WINDOW_SIZE_MAX_US).contains(&us) => Ok(us),
        Some(us) if us < least_us => {
            let sign = if least_us > 0 { "must be positive" } else { "cannot be negative" };
            Err(SqlError::new(SqlErrorKind::Value, span, format!("{what} {sign}")))
        }
        _ => Err(SqlError::new(SqlErrorKind::Value, span, format!("{what} must be at most 2^53 microseconds, about 285 years"))),
    }
}
