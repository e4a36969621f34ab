//! Text that somebody else chose, made fit for a reader's eyes: nothing invisible, nothing endless.
//!
//! This is about what is *seen*. Markup is escaped where it is written: by the templates in
//! [`super::pages`].

/// At most `limit` characters of `text`; the rest becomes `…`. White space becomes a space, and
/// characters that are not seen, or that change how their neighbours are seen, are left out.
///
/// No more of `text` is looked at than eight characters for one that is kept.
#[must_use]
pub fn shown(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(limit.min(text.len()));
    let mut kept = 0_usize;
    for (looked_at, c) in text.chars().enumerate() {
        if kept >= limit || looked_at >= limit.saturating_mul(8) {
            out.push('…');
            break;
        }
        if c.is_whitespace() {
            out.push(' ');
        } else if is_invisible(c) {
            continue;
        } else {
            out.push(c);
        }
        kept = kept.saturating_add(1);
    }
    out
}

/// Control characters, marks of direction, joiners, separators and tags: whatever takes no place of
/// its own on the screen, or moves what does.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{00ad}'
                | '\u{034f}'
                | '\u{061c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    // A9: what the provider's redirect says is shown, so it may not play tricks on the reader.
    #[test]
    fn what_is_not_seen_is_left_out() {
        for (text, wanted) in [
            ("denied\r\nSet-Cookie: a=b", "denied  Set-Cookie: a=b"),
            ("a\u{202e}b\u{2066}c\u{200f}d\u{feff}e", "abcde"),
            ("nul\0byte\u{7f}\u{9b}31m", "nulbyte31m"),
            ("Müller", "Müller"),
        ] {
            assert_eq!(shown(text, 200), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        assert_eq!(shown(&"x".repeat(100_000), 5), "xxxxx…");
        assert_eq!(shown("xxxxx", 5), "xxxxx");
        assert_eq!(shown(&"\0".repeat(100_000), 5), "…");
    }
}
