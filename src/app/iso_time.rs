//! Moments as people and logs read them: ISO 8601 in the form of RFC 3339, always UTC.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::base::clock::UnixTime;

/// A moment to be written, in whole milliseconds since 1970-01-01T00:00:00Z. For reading only:
/// what expires is told by [`UnixTime`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `millis` milliseconds after the epoch.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The system's present moment, for log lines: no rule depends on it, so no test sets it.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "log lines carry the system's milliseconds, which the clock of seconds does not tell"
    )]
    pub fn now() -> Self {
        let millis = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        Self(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Timestamp {
    /// `2026-05-04T12:30:09.042Z` (RFC 3339 section 5.6).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(f, self.0.div_euclid(1000))?;
        let millis = self.0.rem_euclid(1000);
        let [tens, ones] = two_digits(millis % 100);
        let [_, hundreds] = two_digits(millis / 100);
        let text = [b'.', hundreds, tens, ones, b'Z'];
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// A moment of whole seconds: `2026-05-04T12:30:09Z`.
#[derive(Debug, Clone, Copy)]
pub struct Iso(pub UnixTime);

impl fmt::Display for Iso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(f, self.0.as_seconds())?;
        f.write_str("Z")
    }
}

/// `YYYY-MM-DDTHH:MM:SS`. The years before 0 and after 9999 have no written form in RFC 3339; they
/// are written as the nearest moment that has one.
fn write_seconds(f: &mut fmt::Formatter<'_>, seconds: i64) -> fmt::Result {
    const FIRST: i64 = -62_167_219_200; // 0000-01-01T00:00:00Z
    const LAST: i64 = 253_402_300_799; // 9999-12-31T23:59:59Z
    let seconds = seconds.clamp(FIRST, LAST);
    let (days, in_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
    // Digit by digit: this is part of every line.
    let mut text = *b"0000-00-00T00:00:00";
    let places = [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, hour),
        (14, minute),
        (17, second),
    ];
    for (at, number) in places {
        if let Some(slot) = text.get_mut(at..at + 2) {
            slot.copy_from_slice(&two_digits(number));
        }
    }
    f.write_str(std::str::from_utf8(&text).unwrap_or_default())
}

/// A number below 100 in two digits.
fn two_digits(number: i64) -> [u8; 2] {
    let digit = |number: i64| b'0' + u8::try_from(number % 10).unwrap_or_default();
    [digit(number / 10), digit(number)]
}

/// Year, month and day of the proleptic Gregorian calendar, `days` after 1970-01-01.
///
/// Counted in years that begin in March, so that the leap day is a year's last: the days before a
/// month then follow from one line.
fn civil(days: i64) -> (i64, i64, i64) {
    let since_0000_03_01 = days + 719_468;
    let era = since_0000_03_01.div_euclid(146_097);
    let day_of_era = since_0000_03_01.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_written_as_rfc_3339_wants_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_000_000_000, "2001-09-09T01:46:40Z"),
            (2_147_483_648, "2038-01-19T03:14:08Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
            (i64::MIN, "0000-01-01T00:00:00Z"),
        ] {
            assert_eq!(Iso(UnixTime::from_seconds(seconds)).to_string(), text);
        }
    }

    #[test]
    fn milliseconds_have_three_digits_on_both_sides_of_the_epoch() {
        assert_eq!(
            Timestamp::from_millis(1_000_000_000_007).to_string(),
            "2001-09-09T01:46:40.007Z"
        );
        assert_eq!(
            Timestamp::from_millis(-1).to_string(),
            "1969-12-31T23:59:59.999Z"
        );
        assert!(Timestamp::now() > Timestamp::from_millis(1_700_000_000_000));
    }
}
