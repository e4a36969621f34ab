//! The readings of a path once more, slowly and obviously: the model that the real ones are held
//! to. It shares no code with them, looks at everything and keeps no marks.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;

/// A piece of a path: a character, or a byte that belongs to none.
#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Char(char),
    Byte(u8),
}

/// Why there is no closure.
#[derive(Debug, PartialEq)]
pub(super) enum Without {
    Nul,
    End,
}

type Paths = BTreeSet<Vec<u8>>;

/// The closure of `path`, unless it has more than `most` members or holds a NUL. The second set is
/// the part of it that arises without folding the case.
pub(super) fn closure(path: &[u8], most: usize) -> Result<(Paths, Paths), Without> {
    let mut unfolded = Paths::new();
    visit(path, &|path| plain(path), most, &mut unfolded)?;
    let mut all = Paths::new();
    let every = |path: &[u8]| {
        let mut next = plain(path);
        next.extend(folded(path));
        next
    };
    visit(path, &every, most, &mut all)?;
    Ok((all, unfolded))
}

fn visit(
    path: &[u8],
    next: &dyn Fn(&[u8]) -> Vec<Vec<u8>>,
    most: usize,
    seen: &mut Paths,
) -> Result<(), Without> {
    if path.contains(&0) {
        return Err(Without::Nul);
    }
    if !seen.insert(path.to_vec()) {
        return Ok(());
    }
    if seen.len() > most {
        return Err(Without::End);
    }
    for one in next(path) {
        visit(&one, next, most, seen)?;
    }
    Ok(())
}

fn plain(path: &[u8]) -> Vec<Vec<u8>> {
    vec![
        percent(path, false),
        percent(path, true),
        percent_u(path),
        over_long(path),
        nfkc(path),
        path.iter()
            .map(|b| if *b == b'\\' { b'/' } else { *b })
            .collect(),
        parameters(path),
        up_to(path, b'?'),
        up_to(path, b'#'),
        merge(path),
        remove_dot_segments(path),
        trim(path, true),
        trim(path, false),
        blanks(path),
    ]
}

fn folded(path: &[u8]) -> [Vec<u8>; 2] {
    let map = |f: &dyn Fn(char) -> String| -> Vec<u8> {
        units(path)
            .into_iter()
            .flat_map(|unit| match unit {
                Unit::Char(c) => f(c).into_bytes(),
                Unit::Byte(b) => vec![b],
            })
            .collect()
    };
    [
        map(&|c| c.to_lowercase().to_string()),
        map(&|c| c.to_uppercase().flat_map(char::to_lowercase).collect()),
    ]
}

fn digits(bytes: &[u8]) -> Option<u32> {
    if bytes.iter().all(u8::is_ascii_hexdigit) {
        u32::from_str_radix(str::from_utf8(bytes).unwrap(), 16).ok()
    } else {
        None
    }
}

fn percent(path: &[u8], keep_slash: bool) -> Vec<u8> {
    let mut out = vec![];
    let mut i = 0;
    while i < path.len() {
        let value = (path[i] == b'%' && i + 2 < path.len())
            .then(|| digits(&path[i + 1..i + 3]))
            .flatten();
        match value {
            Some(value) if !(keep_slash && value == 0x2F) => {
                out.push(u8::try_from(value).unwrap());
                i += 3;
            }
            _ => {
                out.push(path[i]);
                i += 1;
            }
        }
    }
    out
}

fn percent_u(path: &[u8]) -> Vec<u8> {
    let at = |i: usize| -> Option<u16> {
        let six = path.get(i..i + 6)?;
        let marked = six[0] == b'%' && six[1].eq_ignore_ascii_case(&b'u');
        marked
            .then(|| digits(&six[2..]))?
            .map(|value| u16::try_from(value).unwrap())
    };
    let mut out = vec![];
    let mut i = 0;
    while i < path.len() {
        if let Some(one) = at(i).and_then(|unit| String::from_utf16(&[unit]).ok()) {
            out.extend(one.bytes());
            i += 6;
        } else if let Some(pair) = at(i)
            .zip(at(i + 6))
            .and_then(|(high, low)| String::from_utf16(&[high, low]).ok())
        {
            out.extend(pair.bytes());
            i += 12;
        } else {
            out.push(path[i]);
            i += 1;
        }
    }
    out
}

fn over_long(path: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    let mut i = 0;
    while i < path.len() {
        // How many bytes the lead byte announces: its leading one bits.
        let len = path[i].leading_ones() as usize;
        let rest = path.get(i + 1..i + len.max(1)).unwrap_or_default();
        let complete = (2..=6).contains(&len) && rest.len() == len - 1;
        let sound =
            rest.iter().all(|b| b & 0xC0 == 0x80) || (len == 2 && rest.iter().all(|b| *b < 0x40));
        let decoded = (complete && sound)
            .then(|| {
                let lead = u64::from(path[i]) & (0x7F >> len);
                let value = rest
                    .iter()
                    .fold(lead, |value, b| value * 64 + u64::from(b & 0x3F));
                char::from_u32(u32::try_from(value).unwrap())
            })
            .flatten()
            .filter(|c| c.len_utf8() < len);
        if let Some(c) = decoded {
            out.extend(c.to_string().bytes());
            i += len;
        } else {
            out.push(path[i]);
            i += 1;
        }
    }
    out
}

fn nfkc(path: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    let mut run = String::new();
    for unit in units(path) {
        match unit {
            Unit::Char(c) => run.push(c),
            Unit::Byte(b) => {
                out.extend(run.nfkc().collect::<String>().bytes());
                run.clear();
                out.push(b);
            }
        }
    }
    out.extend(run.nfkc().collect::<String>().bytes());
    out
}

fn units(bytes: &[u8]) -> Vec<Unit> {
    let mut units = vec![];
    let mut i = 0;
    while i < bytes.len() {
        let found = (1..=4)
            .filter_map(|n| bytes.get(i..i + n))
            .find_map(|some| str::from_utf8(some).ok());
        if let Some(text) = found {
            units.push(Unit::Char(text.chars().next().unwrap()));
            i += text.len();
        } else {
            units.push(Unit::Byte(bytes[i]));
            i += 1;
        }
    }
    units
}

fn bytes(units: &[Unit]) -> Vec<u8> {
    units
        .iter()
        .flat_map(|unit| match unit {
            Unit::Char(c) => c.to_string().into_bytes(),
            Unit::Byte(b) => vec![*b],
        })
        .collect()
}

fn segments(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect()
}

fn parameters(path: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    let mut skipping = false;
    for b in path {
        match b {
            b';' => skipping = true,
            b'/' => skipping = false,
            _ => {}
        }
        if !skipping {
            out.push(*b);
        }
    }
    out
}

fn up_to(path: &[u8], end: u8) -> Vec<u8> {
    path.iter().copied().take_while(|b| *b != end).collect()
}

fn merge(path: &[u8]) -> Vec<u8> {
    let mut path = path.to_vec();
    while let Some(at) = path.windows(2).position(|two| two == b"//") {
        path.remove(at);
    }
    path
}

/// RFC 3986 section 5.2.4 to the letter, with its two buffers and its steps A to E.
fn remove_dot_segments(path: &[u8]) -> Vec<u8> {
    let mut input = path.to_vec();
    let mut output: Vec<u8> = vec![];
    while !input.is_empty() {
        if input.starts_with(b"../") {
            input.drain(..3);
        } else if input.starts_with(b"./") || input.starts_with(b"/./") {
            input.drain(..2);
        } else if input == b"/." {
            input = b"/".to_vec();
        } else if input.starts_with(b"/../") || input == b"/.." {
            input.splice(..input.len().min(4), *b"/");
            let cut = output.iter().rposition(|b| *b == b'/').unwrap_or(0);
            output.truncate(cut);
        } else if input == b"." || input == b".." {
            input.clear();
        } else {
            let end = input[1..]
                .iter()
                .position(|b| *b == b'/')
                .map_or(input.len(), |at| at + 1);
            output.extend(input.drain(..end));
        }
    }
    output
}

fn is_blank(unit: Unit) -> bool {
    matches!(unit, Unit::Char(c) if c.is_whitespace() || c.is_control() || c == '\u{FEFF}')
}

fn trim(path: &[u8], every: bool) -> Vec<u8> {
    let mut segments = segments(path);
    let last = segments.len() - 1;
    for (i, segment) in segments.iter_mut().enumerate() {
        if (every || i == last) && segment != b"." && segment != b".." {
            let mut kept = units(segment);
            while kept
                .last()
                .is_some_and(|unit| is_blank(*unit) || *unit == Unit::Char('.'))
            {
                kept.pop();
            }
            *segment = bytes(&kept);
        }
    }
    segments.join(&b'/')
}

fn blanks(path: &[u8]) -> Vec<u8> {
    let mut segments = segments(path);
    for segment in &mut segments {
        let mut kept = units(segment);
        while kept.last().is_some_and(|unit| is_blank(*unit)) {
            kept.pop();
        }
        while kept.first().is_some_and(|unit| is_blank(*unit)) {
            kept.remove(0);
        }
        *segment = bytes(&kept);
    }
    segments.join(&b'/')
}
