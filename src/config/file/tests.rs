use super::*;
use crate::config::written::ConfigFile;

fn environment() -> Environment {
    [("NAME", "a: [b, c]"), ("PORT", "8080"), ("EMPTY", "")]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn faults(text: &str) -> Vec<String> {
    let faults = match read::<ConfigFile>(text.to_owned(), &environment()) {
        Ok(read) => read.faults.into_iter().map(ConfigFault::from).collect(),
        Err(not_read) => not_read.faults,
    };
    faults.iter().map(ToString::to_string).collect()
}

fn read_good(text: &str) -> ConfigFile {
    assert_eq!(faults(text), Vec::<String>::new(), "{text}");
    read::<ConfigFile>(text.to_owned(), &environment())
        .ok()
        .unwrap()
        .file
}

// T7: what comes from the environment is text, never YAML.
#[test]
fn the_environment_brings_text_and_never_structure() {
    let file = read_good("prefix: ${NAME}\npages:\n  support: x ${PORT}${EMPTY} y\n");
    assert_eq!(file.prefix.as_deref(), Some("a: [b, c]"));
    assert_eq!(file.pages.unwrap().support.as_deref(), Some("x 8080 y"));
    let file = read_good("limits:\n  connections: ${PORT}\nprefix: \"${PORT}\"\nbearer: null\n");
    assert_eq!(file.limits.unwrap().connections, Some(8080));
    assert_eq!(file.prefix.as_deref(), Some("${PORT}"));
    // An empty variable is an empty text, not an absent key.
    assert_eq!(read_good("prefix: ${EMPTY}\n").prefix.as_deref(), Some(""));
}

#[test]
fn every_fault_of_shape_is_found_and_not_just_the_first() {
    let found = faults(
        "colour: red\nprefix: [a]\nlimits: { connections: many, shape: 1 }\nroutes:\n  - acces: public\n  - 5\n",
    );
    assert_eq!(found.len(), 6, "{found:#?}");
}

#[test]
fn a_null_is_an_absent_key() {
    let file = read_good("public_url:\nprefix: ~\nroutes: null\n");
    assert!(file.public_url.is_none() && file.prefix.is_none() && file.routes.is_none());
}

#[test]
fn numbers_stay_the_text_that_they_were() {
    let file =
        read_good("providers: [{ client_id: 0123 }, { client_id: 1e3 }, { client_id: true }]\n");
    let ids: Vec<_> = file
        .providers
        .unwrap()
        .into_iter()
        .filter_map(|one| one.client_id)
        .collect();
    assert_eq!(ids, ["0123", "1e3", "true"]);
}

// A bomb, a tower of brackets and a forest are refused long before they cost anything.
#[test]
fn a_file_that_is_no_configuration_is_refused_at_once() {
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
    let tower = "[".repeat(100_000);
    let blocks = "- ".repeat(5_000);
    let forest = format!("[{}]", "1,".repeat(60_000));
    let large = "#".repeat(2 << 20);
    for text in [
        bomb,
        &tower,
        &blocks,
        &forest,
        &large,
        "a: 1\n---\nb: 2\n",
        "a: !!binary x\n",
        "? [a]\n: b\n",
        "a:\n\tb: 1\n",
    ] {
        assert_eq!(faults(text).len(), 1, "{text:.40}");
    }
}

#[test]
fn a_key_that_stands_twice_is_a_fault() {
    let found = faults("prefix: /a\nprefix: /b\n");
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("line 2, column 1"), "{found:?}");
}

// What a later version brings may be said to be off, and is never ignored.
#[test]
fn a_key_of_a_later_version_may_only_be_off() {
    read_good("bearer: null\n");
    read_good("bearer: []\n");
    for text in ["bearer: {issuer: x}\n", "bearer: [{issuer: x}]\n"] {
        let found = faults(text);
        assert!(
            found.len() == 1 && found[0].contains("not yet"),
            "{found:?}"
        );
    }
}

/// All lines that the faults of `text` quote, and what they say.
fn shown(text: &str) -> String {
    let faults = match read::<ConfigFile>(text.to_owned(), &environment()) {
        Ok(read) => read.faults.into_iter().map(ConfigFault::from).collect(),
        Err(not_read) => not_read.faults,
    };
    assert!(!faults.is_empty(), "{text}");
    format!("{faults:?}")
}

// T7: a secret next to a fault is not quoted with it.
#[test]
fn no_fault_shows_a_secret() {
    for text in [
        "providers: [{ client_secret: hunter2, isuer: x }]\n",
        "providers: [{ isuer: x, client_secret: hunter2 }]\n",
        "providers:\n  - client_secrt: hunter2\n",
        "providers:\n  - client_secret: {hunter2}\n",
        "providers:\n  - client_secret: {hunter2: x, hunter2: y}\n",
        "providers:\n  - client_secret: { env: hunter2, fil: x }\n",
        "providers:\n  - client_secret: { file: hunter2, fil: x }\n",
        "providers:\n  - client_secret: [hunter2]\n",
        "providers:\n  - client_secret: a\n    client_secret: hunter2\n",
        "providers:\n  - client_secret: a\n    client_secret: { x: hunter2 }\n",
        "providers:\n  - client_secret: |\n      hunter2\n     x: y\n",
        "providers:\n  - client_secret: \"hunter2\n",
        "providers:\n  - client_secret: hunter2: x\n",
        "providers:\n  - client_secret: hunter2\n      x: y\n",
        "session: { keys: hunter2 }\n",
        "session: { keys: [hunter2], idel: 1h }\n",
        "session: { redis: { url: \"rediss://:hunter2@x\", urk: 1 } }\n",
        "redis: hunter2\n",
        "isuer: x # it was hunter2\n",
        "isuer: https://user:hunter2@id.test\n",
        "prefix: [ https://user:hunter2@id.test ]\n",
        "client_secret: *hunter2\n",
    ] {
        assert!(!shown(text).contains("hunter2"), "{text}\n{}", shown(text));
    }
}

#[test]
fn a_place_is_the_line_and_the_column_of_characters() {
    let text = "pages: { support: \"\u{fc}\u{fc}\u{fc}\", logoo: x }\n";
    let Ok(read) = read::<ConfigFile>(text.to_owned(), &environment()) else {
        panic!("not read");
    };
    let place = read.faults[0].said.place.clone().unwrap();
    assert_eq!((place.line, place.column), (1, 26));
    assert_eq!(&place.quote[place.marked], "logoo");
}
