//! The proleptic Gregorian calendar: days since 1970-01-01 to year, month, day and back.
//!
//! Years are astronomical: 0 is 1 BC, -43 is 44 BC. A year is taken to start in March, which puts the leap day last and makes the
//! lengths of months a linear pattern, 153 days to five months; 400 years are always 146,097 days. Exact for years within ±10^13.

/// Days in 400 years.
const DAYS_OF_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Astronomical year.
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
}

/// Days since 1970-01-01 of a day that exists.
pub fn days_of(year: i64, month: u32, day: u32) -> i64 {
    let shifted = year - i64::from(month <= 2);
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    era * DAYS_OF_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - EPOCH
}

/// The day of the calendar, from days since 1970-01-01.
pub fn civil_of(days: i64) -> Civil {
    let shifted = days + EPOCH;
    let (era, day_of_era) = (shifted.div_euclid(DAYS_OF_ERA), shifted.rem_euclid(DAYS_OF_ERA));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u32;
    Civil { year: era * 400 + year_of_era + i64::from(month <= 2), month, day }
}

/// Whether February has 29 days.
pub fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

/// Days of a month, 1 to 12.
pub fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        assert_eq!(days_of(1970, 1, 1), 0);
        assert_eq!(days_of(2000, 3, 1), 11_017);
        assert_eq!(days_of(0, 1, 1), -719_528);
        assert_eq!(civil_of(-1), Civil { year: 1969, month: 12, day: 31 });
    }

    #[test]
    fn every_day_of_two_eras_follows_the_one_before() {
        let mut previous = civil_of(-DAYS_OF_ERA - 1);
        for days in -DAYS_OF_ERA..DAYS_OF_ERA {
            let civil = civil_of(days);
            assert_eq!(days_of(civil.year, civil.month, civil.day), days);
            let last = previous.day == days_in_month(previous.year, previous.month);
            let expected = match (last, previous.month) {
                (false, month) => Civil { day: previous.day + 1, month, ..previous },
                (true, 12) => Civil { year: previous.year + 1, month: 1, day: 1 },
                (true, month) => Civil { month: month + 1, day: 1, ..previous },
            };
            assert_eq!(civil, expected);
            previous = civil;
        }
    }
}
