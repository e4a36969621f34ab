//! `NumericDate` (RFC 7519 section 2): seconds since the epoch, as a JSON number, maybe with a
//! fraction.

use std::time::Duration;

use serde_json::Value;

use crate::base::clock::UnixTime;

/// The end of the year 9999. A date beyond it is no date but milliseconds or mischief.
const LAST: u64 = 253_402_300_799;

/// A date in a token, between two whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumericDate {
    floor: i64,
    ceiling: i64,
}

/// Not a number, or not one that is a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a date")]
pub struct NumericDateError;

impl NumericDate {
    /// Reads a number of seconds between the years 1970 and 9999.
    ///
    /// # Errors
    /// [`NumericDateError`]: anything but a number, or one out of these bounds.
    pub fn parse(value: &Value) -> Result<Self, NumericDateError> {
        let number = value.as_number().ok_or(NumericDateError)?;
        let span = match number.as_u64() {
            Some(seconds) => Duration::from_secs(seconds),
            None => number
                .as_f64()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .ok_or(NumericDateError)?,
        };
        if span.as_secs() > LAST {
            return Err(NumericDateError);
        }
        let whole = i64::try_from(span.as_secs()).map_err(|_| NumericDateError)?;
        Ok(Self {
            floor: whole,
            ceiling: whole + i64::from(span.subsec_nanos() > 0),
        })
    }

    /// The last whole second that is not after the date: what an end is rounded to.
    #[must_use]
    pub fn floor(self) -> UnixTime {
        UnixTime::from_seconds(self.floor)
    }

    /// The first whole second that is not before the date: what a beginning is rounded to.
    #[must_use]
    pub fn ceiling(self) -> UnixTime {
        UnixTime::from_seconds(self.ceiling)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // C18, C19, C20: only a JSON number is a date; fractions and dates after 2038 are ordinary.
    #[test]
    fn a_date_is_a_number_of_a_sane_size() {
        for (value, bounds) in [
            (json!(0), (0, 0)),
            (json!(1_700_000_000), (1_700_000_000, 1_700_000_000)),
            (json!(4_102_444_800_u64), (4_102_444_800, 4_102_444_800)),
            (json!(1_700_000_000.25), (1_700_000_000, 1_700_000_001)),
            (json!(1.7e9), (1_700_000_000, 1_700_000_000)),
        ] {
            let date = NumericDate::parse(&value).unwrap();
            let expected = (
                UnixTime::from_seconds(bounds.0),
                UnixTime::from_seconds(bounds.1),
            );
            assert_eq!((date.floor(), date.ceiling()), expected, "{value}");
        }
        for value in [
            json!(1e300),
            json!(-1e300),
            json!(-5),
            json!(-0.5),
            json!(1_700_000_000_000_u64),
            json!(u64::MAX),
            json!(i64::MIN),
            json!("1700000000"),
            json!(null),
            json!([1_700_000_000]),
            json!(true),
            json!({}),
        ] {
            assert_eq!(NumericDate::parse(&value), Err(NumericDateError), "{value}");
        }
    }
}
