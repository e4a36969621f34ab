//! The steps by which servers, frameworks and file systems turn one path into another.
//!
//! Each is total, takes any bytes that start with `/` and gives bytes that start with `/`. What it
//! does not understand (a stray `%`, bytes that are no UTF-8) it leaves as it is.

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfkc_quick};

use super::readings::MAX_READING_BYTES;
use super::scan::Marks;

/// One step, and the marks without which it changes nothing.
pub(super) struct Step {
    pub(super) concerns: Marks,
    pub(super) apply: fn(&[u8]) -> Vec<u8>,
}

const TRIMMABLE: Marks = Marks::DOT_END.with(Marks::BLANK).with(Marks::WIDE);

/// The steps that leave the case of letters alone.
pub(super) const PLAIN: [Step; 14] = [
    Step::new(Marks::PERCENT, percent_decoded),
    Step::new(Marks::PERCENT, percent_decoded_but_slashes),
    Step::new(Marks::PERCENT, u_decoded),
    Step::new(Marks::WIDE, over_long_decoded),
    Step::new(Marks::WIDE, compatibility_composed),
    Step::new(Marks::BACKSLASH, backslashes_turned),
    Step::new(Marks::SEMICOLON, parameters_cut),
    Step::new(Marks::DELIMITER, query_cut),
    Step::new(Marks::DELIMITER, fragment_cut),
    Step::new(Marks::EMPTY_SEGMENT, slashes_merged),
    Step::new(Marks::DOT_END, dot_segments_removed),
    Step::new(TRIMMABLE, segment_ends_trimmed),
    Step::new(TRIMMABLE, path_end_trimmed),
    Step::new(TRIMMABLE, blanks_trimmed),
];

/// The steps that fold the case of letters.
pub(super) const FOLDING: [Step; 2] = [
    Step::new(Marks::CAPITAL.with(Marks::WIDE), lower_cased),
    Step::new(Marks::WIDE, case_folded),
];

impl Step {
    const fn new(concerns: Marks, apply: fn(&[u8]) -> Vec<u8>) -> Self {
        Self { concerns, apply }
    }
}

/// Every `%XX` decoded once (RFC 3986 section 2.1).
pub(super) fn percent_decoded(path: &[u8]) -> Vec<u8> {
    decoded(path, |_| true)
}

/// Every `%XX` decoded once but `%2F`. Servers that split a path into segments first, and those
/// that follow the WHATWG URL standard in taking `%2e%2e` for `..`, see
/// `/public/a%2fb/%2e%2e/%2e%2e/admin` so: it leads to `/admin`, while decoding the slash as well
/// leads to `/public/admin`.
pub(super) fn percent_decoded_but_slashes(path: &[u8]) -> Vec<u8> {
    decoded(path, |byte| byte != b'/')
}

fn decoded(path: &[u8], which: impl Fn(u8) -> bool) -> Vec<u8> {
    rewritten(path, is_percent, |rest| {
        let [b'%', high, low, after @ ..] = rest else {
            return None;
        };
        let byte = hex(&[*high, *low]).and_then(|value| u8::try_from(value).ok())?;
        which(byte).then_some((Piece::Byte(byte), after))
    })
}

/// Every `%uXXXX` decoded once, as IIS and old frameworks do; pairs of surrogates together.
pub(super) fn u_decoded(path: &[u8]) -> Vec<u8> {
    fn unit(rest: &[u8]) -> Option<(u32, &[u8])> {
        let [b'%', b'u' | b'U', digits @ ..] = rest else {
            return None;
        };
        let (digits, after) = digits.split_at_checked(4)?;
        Some((hex(digits)?, after))
    }
    rewritten(path, is_percent, |rest| {
        let (first, after) = unit(rest)?;
        if let Some(character) = char::from_u32(first) {
            return Some((Piece::Character(character), after));
        }
        let (second, after) = unit(after)?;
        let high = first.checked_sub(0xD800).filter(|high| *high < 0x400)?;
        let low = second.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
        let character = char::from_u32(0x1_0000 + (high << 10) + low)?;
        Some((Piece::Character(character), after))
    })
}

/// Over-long UTF-8 (RFC 3629 section 10) decoded as careless decoders do: `C0 AE` is a dot. After
/// `C0` and `C1` also a second byte below 0x40, which some take without its high bits: `C1 1C` is a
/// backslash.
pub(super) fn over_long_decoded(path: &[u8]) -> Vec<u8> {
    rewritten(
        path,
        |byte| byte >= 0xC0,
        |rest| {
            let (&lead, tail) = rest.split_first()?;
            let (bits, followers, shortest_from) = match lead {
                0xC0..=0xDF => (lead & 0x1F, 1, 0x80),
                0xE0..=0xEF => (lead & 0x0F, 2, 0x800),
                0xF0..=0xF7 => (lead & 0x07, 3, 0x1_0000),
                0xF8..=0xFB => (lead & 0x03, 4, 0x20_0000),
                0xFC..=0xFD => (lead & 0x01, 5, 0x400_0000),
                _ => return None,
            };
            let (following, after) = tail.split_at_checked(followers)?;
            let mut value = u32::from(bits);
            for &byte in following {
                let six = match byte {
                    0x80..=0xBF => byte & 0x3F,
                    0..=0x3F if followers == 1 => byte,
                    _ => return None,
                };
                value = (value << 6) | u32::from(six);
            }
            let character = char::from_u32(value).filter(|_| value < shortest_from)?;
            Some((Piece::Character(character), after))
        },
    )
}

/// NFKC (Unicode Standard Annex 15): `U+FF0E` is a dot, `U+2025` are two.
pub(super) fn compatibility_composed(path: &[u8]) -> Vec<u8> {
    mapped(path, |text, out| {
        if is_nfkc_quick(text.chars()) == IsNormalized::Yes {
            return out.extend_from_slice(text.as_bytes());
        }
        // One character may become eighteen, so stop as soon as the result is certain to be refused.
        for character in text.nfkc() {
            push(out, character);
            if out.len() > MAX_READING_BYTES {
                break;
            }
        }
    })
}

/// `\` is `/`.
pub(super) fn backslashes_turned(path: &[u8]) -> Vec<u8> {
    path.iter()
        .map(|&byte| if byte == b'\\' { b'/' } else { byte })
        .collect()
}

/// Each segment without its first `;` and what follows (RFC 3986 section 3.3).
pub(super) fn parameters_cut(path: &[u8]) -> Vec<u8> {
    each_segment(path, |segment| before(segment, b';'))
}

/// What comes before the first `?`: a decoded path that was parsed again.
pub(super) fn query_cut(path: &[u8]) -> Vec<u8> {
    before(path, b'?').to_vec()
}

/// What comes before the first `#`: a decoded path that was parsed again.
pub(super) fn fragment_cut(path: &[u8]) -> Vec<u8> {
    before(path, b'#').to_vec()
}

/// Several slashes are one.
pub(super) fn slashes_merged(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|next, previous| *next == b'/' && *previous == b'/');
    merged
}

/// Without the segments `.` and `..` (RFC 3986 section 5.2.4).
pub(super) fn dot_segments_removed(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut segments = path.split(|&byte| byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            b"." => {}
            b".." => drop(kept.pop()),
            name => kept.push(name),
        }
        if matches!(segment, b"." | b"..") && segments.peek().is_none() {
            kept.push(b"");
        }
    }
    let mut path = Vec::with_capacity(path.len());
    for segment in kept {
        path.push(b'/');
        path.extend_from_slice(segment);
    }
    path
}

/// Each segment without the dots and blanks at its end, as Windows opens files. The segments `.`
/// and `..` are names of another kind.
pub(super) fn segment_ends_trimmed(path: &[u8]) -> Vec<u8> {
    each_segment(path, end_trimmed)
}

/// The last segment alone without the dots and blanks at its end.
pub(super) fn path_end_trimmed(path: &[u8]) -> Vec<u8> {
    let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    let cut = last.len() - end_trimmed(last).len();
    path.get(..path.len() - cut).unwrap_or(path).to_vec()
}

/// Each segment without the blanks around it, as frameworks that trim what they split.
pub(super) fn blanks_trimmed(path: &[u8]) -> Vec<u8> {
    each_segment(path, |mut segment| {
        while let Some((first, rest)) = first_character(segment)
            && is_blank(first)
        {
            segment = rest;
        }
        while let Some((rest, last)) = last_character(segment)
            && is_blank(last)
        {
            segment = rest;
        }
        segment
    })
}

/// Every letter in lower case, one by one.
pub(super) fn lower_cased(path: &[u8]) -> Vec<u8> {
    each_character(path, |character, out| {
        character.to_lowercase().for_each(|lower| push(out, lower));
    })
}

/// Every letter in upper and then in lower case, which makes more letters alike: `U+0131`, the `i`
/// without a dot, is an `i` to those who compare in upper case.
pub(super) fn case_folded(path: &[u8]) -> Vec<u8> {
    each_character(path, |character, out| {
        let folded = character.to_uppercase().flat_map(char::to_lowercase);
        folded.for_each(|lower| push(out, lower));
    })
}

/// What stands in place of a piece of a path.
enum Piece {
    Byte(u8),
    Character(char),
}

/// Goes through `path` from left to right; where `piece` recognises something that begins with a
/// byte of `starts`, its answer stands in its place.
fn rewritten(
    path: &[u8],
    starts: impl Fn(u8) -> bool,
    piece: impl Fn(&[u8]) -> Option<(Piece, &[u8])>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some(plain) = rest.iter().position(|&byte| starts(byte)) {
        let (before, found) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
        out.extend_from_slice(before);
        rest = match piece(found) {
            Some((Piece::Byte(byte), after)) => {
                out.push(byte);
                after
            }
            Some((Piece::Character(character), after)) => {
                push(&mut out, character);
                after
            }
            None => {
                out.extend(found.first());
                found.get(1..).unwrap_or_default()
            }
        };
    }
    out.extend_from_slice(rest);
    out
}

/// Maps the stretches of `path` that are UTF-8 and leaves the bytes between them.
fn mapped(path: &[u8], map: impl Fn(&str, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        map(chunk.valid(), &mut out);
        out.extend_from_slice(chunk.invalid());
    }
    out
}

/// Maps the characters of `path`; those of ASCII to their lower case, which is cheap.
fn each_character(path: &[u8], map: impl Fn(char, &mut Vec<u8>)) -> Vec<u8> {
    mapped(path, |text, out| {
        for character in text.chars() {
            match u8::try_from(character) {
                Ok(byte) if byte.is_ascii() => out.push(byte.to_ascii_lowercase()),
                _ => map(character, out),
            }
        }
    })
}

fn each_segment(path: &[u8], map: impl Fn(&[u8]) -> &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for (index, segment) in path.split(|&byte| byte == b'/').enumerate() {
        if index > 0 {
            out.push(b'/');
        }
        out.extend_from_slice(map(segment));
    }
    out
}

fn end_trimmed(mut segment: &[u8]) -> &[u8] {
    if matches!(segment, b"." | b"..") {
        return segment;
    }
    while let Some((rest, last)) = last_character(segment)
        && (last == '.' || is_blank(last))
    {
        segment = rest;
    }
    segment
}

/// White space and control characters, and the byte order mark, which JavaScript trims.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || character.is_control() || character == '\u{FEFF}'
}

fn first_character(bytes: &[u8]) -> Option<(char, &[u8])> {
    (1..=4).find_map(|len| {
        let (head, rest) = bytes.split_at_checked(len)?;
        Some((str::from_utf8(head).ok()?.chars().next()?, rest))
    })
}

fn last_character(bytes: &[u8]) -> Option<(&[u8], char)> {
    (1..=4).find_map(|len| {
        let (rest, tail) = bytes.split_at_checked(bytes.len().checked_sub(len)?)?;
        Some((rest, str::from_utf8(tail).ok()?.chars().next()?))
    })
}

fn before(bytes: &[u8], delimiter: u8) -> &[u8] {
    bytes
        .split(|&byte| byte == delimiter)
        .next()
        .unwrap_or(bytes)
}

fn is_percent(byte: u8) -> bool {
    byte == b'%'
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, &digit| {
        Some((value << 4) | char::from(digit).to_digit(16)?)
    })
}

fn push(out: &mut Vec<u8>, character: char) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}
