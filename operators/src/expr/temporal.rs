//! Fields of times.

use raympp_types::DataType;

/// A field that EXTRACT and DATE_TRUNC know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum TimeField {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Epoch,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    Julian,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

impl TimeField {
    /// Names in messages.
    pub(super) const NAMES: [&'static str; 22] = [
        "microseconds",
        "milliseconds",
        "second",
        "minute",
        "hour",
        "day",
        "week",
        "month",
        "quarter",
        "year",
        "decade",
        "century",
        "millennium",
        "epoch",
        "dow",
        "isodow",
        "doy",
        "isoyear",
        "julian",
        "timezone",
        "timezone_hour",
        "timezone_minute",
    ];

    const ALL: [TimeField; 22] = [
        TimeField::Microseconds,
        TimeField::Milliseconds,
        TimeField::Second,
        TimeField::Minute,
        TimeField::Hour,
        TimeField::Day,
        TimeField::Week,
        TimeField::Month,
        TimeField::Quarter,
        TimeField::Year,
        TimeField::Decade,
        TimeField::Century,
        TimeField::Millennium,
        TimeField::Epoch,
        TimeField::DayOfWeek,
        TimeField::IsoDayOfWeek,
        TimeField::DayOfYear,
        TimeField::IsoYear,
        TimeField::Julian,
        TimeField::Timezone,
        TimeField::TimezoneHour,
        TimeField::TimezoneMinute,
    ];

    /// A field by its name, singular or plural, or an abbreviation PostgreSQL knows; in any case.
    pub(super) fn parse(text: &str) -> Option<TimeField> {
        let lower = text.trim().to_ascii_lowercase();
        let name = match lower.as_str() {
            "us" | "usec" | "usecs" | "microsecond" | "microsecon" => "microseconds",
            "ms" | "msec" | "msecs" | "millisecond" | "millisecon" => "milliseconds",
            "s" | "sec" | "secs" | "seconds" => "second",
            "m" | "min" | "mins" | "minutes" => "minute",
            "h" | "hr" | "hrs" | "hours" => "hour",
            "d" | "days" => "day",
            "w" | "weeks" => "week",
            "mon" | "mons" | "months" => "month",
            "qtr" | "quarters" => "quarter",
            "y" | "yr" | "yrs" | "years" => "year",
            "dec" | "decs" | "decades" => "decade",
            "c" | "cent" | "centuries" => "century",
            "mil" | "mils" | "millennia" => "millennium",
            "jd" | "j" => "julian",
            other => other,
        };
        Self::NAMES.iter().position(|known| *known == name).map(|i| Self::ALL[i])
    }

    pub(super) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Whether EXTRACT gives this field of the type.
    pub(super) fn extracts_from(self, data_type: DataType) -> bool {
        use TimeField::*;
        match self {
            Timezone | TimezoneHour | TimezoneMinute => data_type == DataType::TimestampTz,
            Week | DayOfWeek | IsoDayOfWeek | DayOfYear | IsoYear | Julian => data_type != DataType::Interval,
            _ => true,
        }
    }

    /// Whether DATE_TRUNC knows this field for the type.
    pub(super) fn truncates(self, data_type: DataType) -> bool {
        (self as usize) <= (TimeField::Millennium as usize) && (self != TimeField::Week || data_type != DataType::Interval)
    }
}
