//! One pass over a target: is it well formed, and which steps could change its path?

use super::Malformed;

/// What a path holds that some step would change. A mark may be set in vain, never left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks(u16);

impl Marks {
    /// No step changes the path: it is its own only reading.
    pub(super) const NONE: Self = Self(0);
    /// `%`.
    pub(super) const PERCENT: Self = Self(1);
    /// `\`.
    pub(super) const BACKSLASH: Self = Self(1 << 1);
    /// `;`.
    pub(super) const SEMICOLON: Self = Self(1 << 2);
    /// `?` or `#`, which only decoding brings into a path.
    pub(super) const DELIMITER: Self = Self(1 << 3);
    /// An ASCII capital.
    pub(super) const CAPITAL: Self = Self(1 << 4);
    /// A byte of 0x80 or above.
    pub(super) const WIDE: Self = Self(1 << 5);
    /// A control byte or a space, which only decoding brings into a path.
    pub(super) const BLANK: Self = Self(1 << 6);
    /// A segment that ends in a dot, which `.` and `..` do.
    pub(super) const DOT_END: Self = Self(1 << 7);
    /// An empty segment before another one.
    pub(super) const EMPTY_SEGMENT: Self = Self(1 << 8);

    /// Both sets together.
    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the two have a mark in common.
    pub(super) const fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The marks of one byte by itself.
    const fn of_byte(byte: u8) -> Self {
        match byte {
            0..=b' ' | 0x7F => Self::BLANK,
            b'%' => Self::PERCENT,
            b'\\' => Self::BACKSLASH,
            b';' => Self::SEMICOLON,
            b'#' | b'?' => Self::DELIMITER,
            b'A'..=b'Z' => Self::CAPITAL,
            0x80.. => Self::WIDE,
            _ => Self::NONE,
        }
    }

    /// The marks of a whole path.
    pub(super) fn of_path(path: &[u8]) -> Self {
        let mut marks = Self::NONE;
        let mut previous = 0;
        for &byte in path {
            marks = marks
                .with(Self::of_byte(byte))
                .with(Self::of_pair(previous, byte));
            previous = byte;
        }
        marks.with(Self::of_pair(previous, b'/').without_empty())
    }

    /// The marks of two neighbours; `/` stands for the end of the path, too.
    const fn of_pair(previous: u8, byte: u8) -> Self {
        match (previous, byte) {
            (b'.', b'/') => Self::DOT_END,
            (b'/', b'/') => Self::EMPTY_SEGMENT,
            _ => Self::NONE,
        }
    }

    /// A slash at the very end is no empty segment before another one.
    const fn without_empty(self) -> Self {
        Self(self.0 & !Self::EMPTY_SEGMENT.0)
    }
}

/// A well-formed target: where its path ends, and what is in it.
pub(super) struct Scanned {
    pub(super) path_len: usize,
    pub(super) marks: Marks,
}

/// Scans path and query. No byte of either is a control byte, a space or a `#`.
pub(super) fn scan(path_and_query: &str) -> Result<Scanned, Malformed> {
    let bytes = path_and_query.as_bytes();
    let path_len = bytes
        .iter()
        .position(|&byte| byte == b'?')
        .unwrap_or(bytes.len());
    let (path, query) = bytes.split_at_checked(path_len).unwrap_or((bytes, &[]));
    let marks = Marks::of_path(path);
    // In a path as received, these two marks are faults: nothing was decoded yet.
    let (mut blank, mut fragment) = (marks.meet(Marks::BLANK), marks.meet(Marks::DELIMITER));
    for &byte in query {
        blank |= Marks::of_byte(byte) == Marks::BLANK;
        fragment |= byte == b'#';
    }
    if blank {
        Err(Malformed::ControlByte)
    } else if fragment {
        Err(Malformed::Fragment)
    } else {
        Ok(Scanned { path_len, marks })
    }
}
