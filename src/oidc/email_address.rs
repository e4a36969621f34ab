//! Which e-mail addresses may be used in a rule.

use url::Host;

/// The longest address (RFC 5321 section 4.5.3.1).
const LONGEST: usize = 254;

/// Whether everybody who reads `address` finds the same local part and the same domain in it. That
/// is narrower than RFC 5321: no quoted local part, no comment, no second `@` of any shape, and a
/// domain in ASCII (A-labels) without a trailing dot. An address that fails is no error; it only
/// meets no rule.
pub(super) fn has_one_reading(address: &str) -> bool {
    let Some((local, domain)) = address.split_once('@') else {
        return false;
    };
    address.len() <= LONGEST && is_plain_local(local) && is_plain_domain(domain)
}

fn is_plain_local(local: &str) -> bool {
    // The characters that RFC 5322 gives a meaning, and what Unicode normalisation makes an `@`.
    let special = |c: char| {
        matches!(
            c,
            '"' | '(' | ')' | ',' | ':' | ';' | '<' | '>' | '[' | ']' | '\\'
        )
    };
    let at_sign = |c: char| matches!(c, '@' | '\u{ff20}' | '\u{fe6b}');
    let invisible = |c: char| c.is_control() || c.is_whitespace() || is_format(c);
    !local.is_empty() && !local.contains(|c| special(c) || at_sign(c) || invisible(c))
}

/// Marks that are not seen, or that turn the direction of what follows.
fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

fn is_plain_domain(domain: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let labels = domain
        .split('.')
        .all(|label| !label.is_empty() && label.bytes().all(plain));
    // An address literal is not a domain, and a name that only looks like one is neither.
    labels && matches!(Host::parse(domain), Ok(Host::Domain(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    // C25: one case a line, the verdict first.
    #[test]
    fn only_an_address_with_one_reading_meets_a_rule() {
        let cases = include_str!("../../tests/data/tokens_emails.txt");
        let mut seen = 0;
        for line in cases.lines().filter(|line| !line.starts_with('#')) {
            let (verdict, quoted) = line.split_once(' ').unwrap();
            let address: String = serde_json::from_str(quoted).unwrap();
            assert_eq!(has_one_reading(&address), verdict == "plain", "{quoted}");
            seen += 1;
        }
        assert!(seen > 30, "{seen} cases");
    }
}
