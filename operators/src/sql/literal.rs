//! Literals, typed as PostgreSQL types them: an integer is INTEGER, BIGINT or DECIMAL, whichever is the first to hold it, a number
//! with a point or an exponent is DECIMAL, a string waits for its context.

use super::error::{SqlError, SqlErrorKind, SqlResult};
use crate::expr::Expr;
use raympp_types::Value;
use raympp_types::data_type::DECIMAL_PRECISION_MAX;
use sqlparser::ast;
use sqlparser::tokenizer::Span;

pub(crate) fn literal(value: &ast::Value, span: Span) -> SqlResult<Expr> {
    use ast::Value as Written;
    let value = match value {
        Written::Number(digits, false) => number(digits, false, span)?,
        Written::SingleQuotedString(text) | Written::EscapedStringLiteral(text) | Written::UnicodeStringLiteral(text) => {
            Value::from(text.as_str())
        }
        Written::DollarQuotedString(text) => Value::from(text.value.as_str()),
        Written::Boolean(value) => Value::Boolean(*value),
        Written::Null => Value::Null,
        Written::HexStringLiteral(_) | Written::SingleQuotedByteStringLiteral(_) => {
            return Err(SqlError::unsupported(span, "bit strings are not supported").hint("bytes are written '\\x01ff'::BYTEA"));
        }
        Written::Placeholder(name) => return Err(SqlError::unsupported(span, format!("parameter {name} is not supported"))),
        other => return Err(SqlError::unsupported(span, format!("literal {other} is not supported"))),
    };
    Ok(Expr::literal(value))
}

/// A number as written, with the sign before it if there is one, so that the least value of each type can be written.
pub(crate) fn number(written: &str, negative: bool, span: Span) -> SqlResult<Value> {
    let text = written.replace('_', "");
    let magnitude = if text.bytes().all(|b| b.is_ascii_digit()) { text.parse::<i128>().ok().map(|n| (n, 0)) } else { decimal(&text) };
    let Some((magnitude, scale)) = magnitude else { return Err(too_long(written, span)) };
    let unscaled = if negative { -magnitude } else { magnitude };
    let is_integer = text.bytes().all(|b| b.is_ascii_digit());
    if let (true, Ok(value)) = (is_integer, i32::try_from(unscaled)) {
        return Ok(Value::Integer(value));
    }
    if let (true, Ok(value)) = (is_integer, i64::try_from(unscaled)) {
        return Ok(Value::BigInt(value));
    }
    let digits = magnitude.checked_ilog10().map_or(1, |log| log + 1);
    let precision = u8::try_from(digits).unwrap_or(u8::MAX).max(scale).max(1);
    if precision > DECIMAL_PRECISION_MAX {
        return Err(too_long(written, span));
    }
    Ok(Value::Decimal { unscaled, precision, scale })
}

/// Digits and scale of `12.5`, `.5`, `1.`, `1.5e-3`; `None` if they need more than fits.
fn decimal(text: &str) -> Option<(i128, u8)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    if scale >= 0 {
        return Some((digits, u8::try_from(scale).ok()?));
    }
    let factor = 10_i128.checked_pow(scale.unsigned_abs())?;
    Some((digits.checked_mul(factor)?, 0))
}

fn too_long(written: &str, span: Span) -> SqlError {
    let message = format!("number {written} does not fit DECIMAL({DECIMAL_PRECISION_MAX})");
    SqlError::new(SqlErrorKind::Value, span, message).hint(format!("for a float write '{written}'::DOUBLE PRECISION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, negative: bool) -> Option<Value> {
        number(text, negative, Span::empty()).ok()
    }

    #[test]
    fn numbers_take_the_first_type_that_holds_them() {
        let decimal = |unscaled, precision, scale| Some(Value::Decimal { unscaled, precision, scale });
        assert_eq!(parsed("2147483647", false), Some(Value::Integer(i32::MAX)));
        assert_eq!(parsed("2147483648", true), Some(Value::Integer(i32::MIN)));
        assert_eq!(parsed("2147483648", false), Some(Value::BigInt(1 << 31)));
        assert_eq!(parsed("9223372036854775808", true), Some(Value::BigInt(i64::MIN)));
        assert_eq!(parsed("9223372036854775808", false), decimal(1 << 63, 19, 0));
        assert_eq!(parsed("1_000.50", false), decimal(100_050, 6, 2));
        assert_eq!(parsed(".05", true), decimal(-5, 2, 2));
        assert_eq!(parsed("1.5e3", false), decimal(1500, 4, 0));
        assert_eq!(parsed("15e-3", false), decimal(15, 3, 3));
        assert_eq!(parsed("1e38", false), None);
        assert_eq!(parsed("1e-39", false), None);
        assert_eq!(parsed("1e999999999999", false), None);
        assert_eq!(parsed(&"9".repeat(38), false), decimal(10_i128.pow(38) - 1, 38, 0));
        assert_eq!(parsed(&"9".repeat(39), false), None);
    }
}
