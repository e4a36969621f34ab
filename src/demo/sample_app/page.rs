//! What the page says: who is asking, by the headers, and every header there is.

use http::{HeaderMap, HeaderValue};
use minijinja::{Value, context};

/// The context of `page.html`.
pub(super) fn context(path: &str, headers: &HeaderMap) -> Value {
    let told = |name: &str| told(headers, name);
    let user = told("x-forwarded-user");
    let email = told("x-forwarded-email");
    let name = told("x-forwarded-preferred-username");
    let groups: Vec<Value> = headers
        .get_all("x-forwarded-groups")
        .iter()
        .flat_map(|field| {
            let groups: Vec<_> = field
                .as_bytes()
                .split(|&b| b == b',')
                .map(decoded)
                .collect();
            groups
        })
        .map(|group| group.trim().to_owned())
        .filter(|group| !group.is_empty())
        .map(Value::from)
        .collect();
    let greeted = name.clone().or(email.clone()).or(user.clone());
    let received: Vec<Value> = headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            context! { name => name.as_str(), value }
        })
        .collect();
    context! { path, greeted, user, email, groups, received }
}

/// What the header `name` says, where it says something.
pub(super) fn told(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .map(readable)
        .filter(|value| !value.is_empty())
}

fn readable(value: &HeaderValue) -> String {
    decoded(value.as_bytes())
}

/// Values that HTTP cannot carry arrive percent-encoded. What decodes to text is shown as text,
/// everything else as it came.
fn decoded(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        let hex = (first == b'%').then(|| after.split_at_checked(2)).flatten();
        let byte = hex.and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
            let byte = u8::from_str_radix(digits, 16).ok()?;
            plain.then_some((byte, after))
        });
        let (byte, after) = byte.unwrap_or((first, after));
        out.push(byte);
        rest = after;
    }
    String::from_utf8(out).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_value_is_shown_as_text() {
        assert_eq!(decoded(b"J%C3%B6rg"), "J\u{f6}rg");
        assert_eq!(decoded(b"100%"), "100%");
        assert_eq!(decoded(b"%zz%4"), "%zz%4");
        assert_eq!(decoded(b"%+f"), "%+f");
        assert_eq!(decoded(b"%ff"), "%ff");
    }
}
