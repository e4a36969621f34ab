//! Words that somebody else chose, made fit for a log line or a page of ours.

/// What takes the place of a word that might be a credential.
const REDACTED: &str = "[redacted]";

/// A word with a digit and more characters than this might be a code or a token: providers do
/// quote them in their error descriptions.
const LONGEST_WORD: usize = 20;

/// At most `limit` characters of `text`, without control characters, bidirectional and invisible
/// marks, and without words that might be a credential. The result is still to be escaped where it
/// is shown: this is about what a reader sees, not about markup.
#[must_use]
pub fn legible(text: &str, limit: usize) -> String {
    // Ten characters are read for one that is kept, so that a huge text costs little.
    let cleaned: String = text
        .chars()
        .take(limit.saturating_mul(10))
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|&c| !is_invisible(c))
        .collect();
    let mut shown = String::new();
    for (at, word) in cleaned.split(' ').filter(|w| !w.is_empty()).enumerate() {
        if at > 0 {
            shown.push(' ');
        }
        shown.push_str(if might_be_a_credential(word) {
            REDACTED
        } else {
            word
        });
    }
    shown.chars().take(limit).collect()
}

/// At most `limit` characters of an identifier that is no secret (an issuer, an audience, an
/// algorithm), without control characters and invisible marks.
#[must_use]
pub fn identifier(text: &str, limit: usize) -> String {
    text.chars()
        .filter(|&c| !is_invisible(c))
        .take(limit)
        .collect()
}

fn might_be_a_credential(word: &str) -> bool {
    word.chars().count() > LONGEST_WORD && word.contains(|c: char| c.is_ascii_digit())
}

/// Control characters, and those that change how their neighbours are shown or are not seen at all.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{00ad}'
                | '\u{061c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    // A9: what the provider's redirect says is shown, so it may not play tricks on the reader.
    #[test]
    fn control_and_bidirectional_characters_are_dropped() {
        for (text, shown) in [
            ("denied\r\nSet-Cookie: a=b", "denied Set-Cookie: a=b"),
            ("a\u{202e}b\u{2066}c\u{200f}d\u{feff}e", "abcde"),
            ("nul\u{0}byte\u{7f}\u{9b}31m", "nulbyte31m"),
            ("  two   words ", "two words"),
            ("M\u{fc}ller <b>", "M\u{fc}ller <b>"),
        ] {
            assert_eq!(legible(text, 200), shown, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(legible(&"ab ".repeat(50_000), 200).chars().count(), 200);
        assert_eq!(identifier(&"x".repeat(50_000), 10), "xxxxxxxxxx");
    }

    #[test]
    fn a_word_that_might_be_a_credential_is_not_repeated() {
        assert_eq!(
            legible("the code SplxlOBeZQQYbYS6WxSbIA1 is spent", 200),
            "the code [redacted] is spent"
        );
        assert_eq!(
            legible("AADSTS7000215: Invalid client secret provided.", 200),
            "AADSTS7000215: Invalid client secret provided."
        );
    }
}
