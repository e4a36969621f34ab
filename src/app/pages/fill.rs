//! Fills the places of a text: `{{ words.steps.go_to|fill(host=site.host) }}`.

use std::fmt::Write as _;

use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, HtmlEscape, Value};

/// Teaches the templates `fill`, which makes HTML of a text and the values of its places, and
/// `strong`, which sets a value off.
pub(super) fn add_to(environment: &mut Environment<'_>) {
    environment.add_filter("fill", fill);
    environment.add_filter("strong", |text: &str| {
        Value::from_safe_string(format!("<strong>{}</strong>", HtmlEscape(text)))
    });
}

/// Both the text and the values are escaped, but for values that are HTML already. A place without
/// a value is an error, and so is a value without a place.
#[expect(clippy::needless_pass_by_value, reason = "the engine hands it over so")]
fn fill(text: &str, values: Kwargs) -> Result<Value, Error> {
    let wrong = |_| Error::new(ErrorKind::WriteFailure, "a text that cannot be written");
    let mut filled = String::with_capacity(text.len() + 64);
    let mut parts = text.split('{');
    write!(filled, "{}", HtmlEscape(parts.next().unwrap_or(""))).map_err(wrong)?;
    for part in parts {
        let (name, rest) = part
            .split_once('}')
            .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "a brace without its end"))?;
        let value: Value = values.get(name)?;
        if value.is_undefined() {
            return Err(Error::new(ErrorKind::UndefinedError, name.to_owned()));
        }
        let shown = value.to_string();
        if value.is_safe() {
            filled.push_str(&shown);
        } else {
            write!(filled, "{}", HtmlEscape(&shown)).map_err(wrong)?;
        }
        write!(filled, "{}", HtmlEscape(rest)).map_err(wrong)?;
    }
    values.assert_all_used()?;
    Ok(Value::from_safe_string(filled))
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    fn filled(template: &str) -> Result<String, Error> {
        let mut environment = Environment::new();
        add_to(&mut environment);
        let values = context! { text => "a {x} & {y}", x => "<b>", plain => "z" };
        environment.render_named_str("t.html", template, values)
    }

    // A9: neither a text nor what fills its places can bring a tag.
    #[test]
    fn a_value_is_text_unless_we_made_html_of_it() {
        assert_eq!(
            filled("{{ text|fill(x=x, y=x|strong) }}").unwrap(),
            "a &lt;b&gt; &amp; <strong>&lt;b&gt;</strong>"
        );
        let set = "{% set y %}<i>{{ x }}</i>{% endset %}{{ text|fill(x=1, y=y) }}";
        assert_eq!(filled(set).unwrap(), "a 1 &amp; <i>&lt;b&gt;</i>");
    }

    #[test]
    fn a_place_without_a_value_and_a_value_without_a_place_are_errors() {
        assert!(filled("{{ text|fill(x=x) }}").is_err());
        assert!(filled("{{ text|fill(x=x, y=nothing) }}").is_err());
        assert!(filled("{{ text|fill(x=x, y=x, z=x) }}").is_err());
        assert!(filled("{{ plain|fill() }}").is_ok());
    }
}
