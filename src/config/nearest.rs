//! "Did you mean": the known word that is nearest to what was written.

/// A question after the known word that is nearest to `written`, if one is near.
pub(crate) fn did_you_mean(written: &str, known: &[&str]) -> Option<String> {
    nearest(written, known).map(|word| format!("did you mean `{word}`?"))
}

/// The known word that is nearest to `written`, if one is near.
pub(crate) fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let near = |word: &&str| distance(written, word);
    let best = known.iter().copied().min_by_key(near)?;
    // A third of the letters may be wrong, and one always: more is another word.
    let tolerance = (best.len() / 3).max(1);
    (distance(written, best) <= tolerance || joined(written) == joined(best)).then_some(best)
}

/// `clientId`, `client-id` and `client_id` are one.
fn joined(word: &str) -> String {
    word.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

/// How many letters must be put in, taken out, changed, or swapped with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.chars().take(64).collect();
    let other: Vec<char> = other.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let changed = at(&last, j) + usize::from(a != b);
            let mut best = changed.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped =
                i > 0 && j > 0 && one.get(i - 1) == Some(b) && other.get(j - 1) == Some(a);
            if swapped {
                best = best.min(at(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["client_id", "client_secret", "issuer", "id"];
        for (written, wanted) in [
            ("isuer", Some("issuer")),
            ("isseur", Some("issuer")),
            ("clientId", Some("client_id")),
            ("client-secret", Some("client_secret")),
            ("ids", Some("id")),
            ("colour", None),
            ("", None),
        ] {
            let answer = wanted.map(|word| format!("did you mean `{word}`?"));
            assert_eq!(did_you_mean(written, &known), answer, "{written}");
        }
        assert_eq!(did_you_mean("x", &[]), None);
    }

    #[test]
    fn a_swap_of_neighbours_is_one_slip() {
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
