//! SQL types as PostgreSQL spells them.

use super::error::{SqlError, SqlErrorKind, SqlResult};
use raympp_types::DataType;
use raympp_types::data_type::DECIMAL_PRECISION_MAX;
use sqlparser::ast::{DataType as Written, ExactNumberInfo, TimezoneInfo};
use sqlparser::tokenizer::Span;

/// Digits of a binary32 significand: FLOAT(p) up to here is REAL.
const REAL_BITS_MAX: u64 = 24;
const DOUBLE_BITS_MAX: u64 = 53;
/// Timestamps have microseconds, always.
const FRACTION_DIGITS: u64 = 6;

pub(crate) fn data_type(written: &Written, span: Span) -> SqlResult<DataType> {
    Ok(match written {
        Written::Boolean | Written::Bool => DataType::Boolean,
        Written::SmallInt(None) | Written::Int2(None) => DataType::SmallInt,
        Written::Int(None) | Written::Integer(None) | Written::Int4(None) => DataType::Integer,
        Written::BigInt(None) | Written::Int8(None) => DataType::BigInt,
        Written::Real | Written::Float4 => DataType::Real,
        Written::DoublePrecision | Written::Float8 | Written::Double(ExactNumberInfo::None) => DataType::Double,
        Written::Float(bits) => float(bits, span)?,
        Written::Decimal(digits) | Written::Numeric(digits) | Written::Dec(digits) => decimal(digits, span)?,
        Written::Varchar(None) | Written::CharacterVarying(None) | Written::CharVarying(None) | Written::Text => DataType::Varchar,
        Written::Bytea => DataType::Bytea,
        Written::Date => DataType::Date,
        Written::Timestamp(digits, zone) => timestamp(*digits, zone, span)?,
        Written::Interval { fields: None, precision: None } => DataType::Interval,
        _ => return Err(unknown(written, span)),
    })
}

fn float(bits: &ExactNumberInfo, span: Span) -> SqlResult<DataType> {
    match bits {
        ExactNumberInfo::None => Ok(DataType::Double),
        ExactNumberInfo::Precision(1..=REAL_BITS_MAX) => Ok(DataType::Real),
        ExactNumberInfo::Precision(25..=DOUBLE_BITS_MAX) => Ok(DataType::Double),
        _ => Err(type_error(span, format!("FLOAT has 1 to {DOUBLE_BITS_MAX} bits"))),
    }
}

fn decimal(digits: &ExactNumberInfo, span: Span) -> SqlResult<DataType> {
    let (precision, scale) = match digits {
        ExactNumberInfo::None => {
            return Err(type_error(span, "DECIMAL needs its number of digits").hint("write for instance DECIMAL(18,2)"));
        }
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    let most = u64::from(DECIMAL_PRECISION_MAX);
    match (u8::try_from(precision), u8::try_from(scale)) {
        (Ok(p), Ok(s)) if (1..=DECIMAL_PRECISION_MAX).contains(&p) && s <= p => Ok(DataType::Decimal { precision: p, scale: s }),
        _ => Err(type_error(span, format!("DECIMAL({precision},{scale}) is not between DECIMAL(1,0) and DECIMAL({most},{most})"))),
    }
}

fn timestamp(digits: Option<u64>, zone: &TimezoneInfo, span: Span) -> SqlResult<DataType> {
    if digits.is_some_and(|digits| digits != FRACTION_DIGITS) {
        return Err(type_error(span, format!("a timestamp has {FRACTION_DIGITS} digits after the second")).hint("write TIMESTAMP"));
    }
    Ok(match zone {
        TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => DataType::Timestamp,
        TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => DataType::TimestampTz,
    })
}

fn unknown(written: &Written, span: Span) -> SqlError {
    let hint = match written {
        Written::Varchar(_) | Written::CharacterVarying(_) | Written::CharVarying(_) => Some("write VARCHAR: lengths are not checked"),
        Written::Char(_) | Written::Character(_) | Written::String(_) | Written::Uuid | Written::Nvarchar(_) => Some("write VARCHAR"),
        Written::JSON | Written::JSONB => Some("write VARCHAR"),
        Written::Datetime(_) => Some("write TIMESTAMP"),
        Written::TinyInt(_) => Some("write SMALLINT"),
        Written::Blob(_) | Written::Binary(_) | Written::Varbinary(_) | Written::Bytes(_) => Some("write BYTEA"),
        _ => None,
    };
    let error = type_error(span, format!("type {written} is not supported"));
    error.hint_if(hint.map(str::to_owned).or_else(|| {
        Some("the types are BOOLEAN, SMALLINT, INTEGER, BIGINT, REAL, DOUBLE PRECISION, DECIMAL(p,s), VARCHAR, BYTEA, DATE, TIMESTAMP, TIMESTAMPTZ and INTERVAL".to_owned())
    }))
}

fn type_error(span: Span, message: impl Into<String>) -> SqlError {
    SqlError::new(SqlErrorKind::Type, span, message)
}
