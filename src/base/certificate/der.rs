//! DER (X.690), as far as certificates need it: elements with a tag of one byte and a length that is
//! said.

use crate::base::clock::UnixTime;

/// One element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
}

/// The first element of `bytes`, and what comes after it.
pub(super) fn first(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    // A tag of several bytes occurs in no certificate.
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let number = digits
                .iter()
                .fold(0_usize, |number, digit| number << 8 | usize::from(*digit));
            (number, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((Element { tag, content }, rest))
}

/// All elements of `bytes`, which hold nothing else.
pub(super) fn elements(mut bytes: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (element, rest) = first(bytes)?;
        all.push(element);
        bytes = rest;
    }
    Some(all)
}

impl<'a> Element<'a> {
    /// The content, if it is that of an element with this tag.
    pub(super) fn content_of(self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }

    /// The text of a UTF-8, printable or IA5 string without control characters.
    pub(super) fn text(self) -> Option<String> {
        let text = std::str::from_utf8(self.content).ok()?;
        let known = matches!(self.tag, 0x0c | 0x13 | 0x16);
        let plain = !text.is_empty() && !text.chars().any(char::is_control);
        (known && plain).then(|| text.to_owned())
    }

    /// A moment, as `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280 section 4.1.2.5).
    pub(super) fn time(self) -> Option<UnixTime> {
        let digits = self.content.strip_suffix(b"Z")?;
        let pairs = digits.chunks(2).map(pair).collect::<Option<Vec<i64>>>()?;
        let (year, rest) = match (self.tag, pairs.as_slice()) {
            (0x17, [year, rest @ ..]) if *year < 50 => (2000 + year, rest),
            (0x17, [year, rest @ ..]) => (1900 + year, rest),
            (0x18, [century, year, rest @ ..]) => (century * 100 + year, rest),
            _ => return None,
        };
        let [month, day, hour, minute, second] = *rest else {
            return None;
        };
        let sound = (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second < 61;
        let days = days_since_epoch(year, month, day);
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
        sound.then(|| UnixTime::from_seconds(seconds))
    }
}

/// Two decimal digits.
fn pair(digits: &[u8]) -> Option<i64> {
    match *digits {
        [ten, one] if ten.is_ascii_digit() && one.is_ascii_digit() => {
            Some(i64::from(ten - b'0') * 10 + i64::from(one - b'0'))
        }
        _ => None,
    }
}

/// Days of the proleptic Gregorian calendar, counted in years that begin with March, so that the day
/// that comes and goes is the last one.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - 719_468
}
