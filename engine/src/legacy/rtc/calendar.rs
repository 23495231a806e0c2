//! Seconds since 1970 and the date and time that they are, in the proleptic Gregorian calendar.

const SECONDS_PER_DAY: i64 = 86_400;
/// The days from 1 March of year 0 to 1 January 1970.
const DAYS_TO_1970: i64 = 719_468;
const DAYS_PER_400_YEARS: i64 = 146_097;

/// A date and a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DateTime {
    pub(super) year: i64,
    /// 1 to 12.
    pub(super) month: i64,
    /// 1 to 31.
    pub(super) day: i64,
    /// 1 (Sunday) to 7.
    pub(super) weekday: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

impl DateTime {
    /// The date and time that is `seconds` after the start of 1970.
    pub(super) fn from_seconds(seconds: i64) -> Self {
        let (days, time) = (
            seconds.div_euclid(SECONDS_PER_DAY),
            seconds.rem_euclid(SECONDS_PER_DAY),
        );
        // Years are counted from March, so that the day a leap year adds is the last of its year.
        let since_march = days + DAYS_TO_1970;
        let era = since_march.div_euclid(DAYS_PER_400_YEARS);
        let day_of_era = since_march.rem_euclid(DAYS_PER_400_YEARS);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = (month_from_march + 2) % 12 + 1;
        Self {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            weekday: (days + 4).rem_euclid(7) + 1,
            hour: time / 3600,
            minute: time / 60 % 60,
            second: time % 60,
        }
    }

    /// The seconds from the start of 1970 to this date and time. The weekday is not looked at; a day beyond the end of its month
    /// runs on into the next.
    pub(super) fn to_seconds(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_from_march = (self.month + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * DAYS_PER_400_YEARS + day_of_era - DAYS_TO_1970;
        days * SECONDS_PER_DAY + self.hour * 3600 + self.minute * 60 + self.second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants() {
        for (seconds, year, month, day, weekday, time) in [
            (0, 1970, 1, 1, 5, (0, 0, 0)),
            (951_782_399, 2000, 2, 28, 2, (23, 59, 59)),
            (951_782_400, 2000, 2, 29, 3, (0, 0, 0)),
            (1_709_251_200, 2024, 3, 1, 6, (0, 0, 0)),
            (4_107_542_400, 2100, 3, 1, 2, (0, 0, 0)),
            (-1, 1969, 12, 31, 4, (23, 59, 59)),
        ] {
            let date = DateTime::from_seconds(seconds);
            assert_eq!((date.year, date.month, date.day), (year, month, day));
            assert_eq!(date.weekday, weekday, "{date:?}");
            assert_eq!((date.hour, date.minute, date.second), time);
            assert_eq!(date.to_seconds(), seconds);
        }
    }

    #[test]
    fn every_day_of_a_millennium_comes_back() {
        for day in 0..365_250 {
            let seconds = day * SECONDS_PER_DAY + 12_345;
            assert_eq!(DateTime::from_seconds(seconds).to_seconds(), seconds);
        }
    }

    #[test]
    fn the_ends_of_time_are_survived() {
        for seconds in [i64::MIN, i64::MAX] {
            let date = DateTime::from_seconds(seconds);
            assert!((1..=12).contains(&date.month) && (1..=31).contains(&date.day));
        }
    }
}
