//! The documents of the configuration, held to its schema: `config.example.yaml` and `docs/CONFIG.md`
//! know every key, and no other.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use sidegate::cli::Local;
use sidegate::cli::{Paint, Streams};
use sidegate::config::Verdict;
use sidegate::config::environment::Environment;

/// What the example asks for.
fn environment() -> Environment {
    [
        ("OIDC_CLIENT_SECRET", "not a secret"),
        ("SESSION_KEY", "Jm8y0m1sSsdUDnRDQj3Yw1H7rN5vKpXc2tB9aLzE4go"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every key as `providers[].client_id`, with what the schema says about it.
fn keys() -> BTreeMap<String, String> {
    let schema = schema();
    let mut keys = BTreeMap::new();
    gather(&schema, &schema, "", &mut keys);
    assert!(keys.len() > 90, "{} keys", keys.len());
    keys
}

fn schema() -> Value {
    let mut schema = Vec::new();
    let mut streams = Streams {
        out: &mut schema,
        err: &mut Vec::new(),
        paint_out: Paint::Plain,
        paint_err: Paint::Plain,
    };
    let _exit = Local::ConfigSchema.run(&mut streams);
    serde_json::from_slice(&schema).expect("the schema is JSON")
}

/// Whatever `node` may hold, below `path`.
fn gather(root: &Value, node: &Value, path: &str, keys: &mut BTreeMap<String, String>) {
    if let Some(reference) = node["$ref"].as_str() {
        let name = reference.rsplit('/').next().expect("a name");
        // Conditions hold conditions: their keys are named once.
        let holds_conditions = path.ends_with("any[]") || path.rsplit('.').next() == Some("deny");
        let is_named_elsewhere = path == "access.NAME" || path == "routes[].shadow_access";
        if holds_conditions || is_named_elsewhere {
            return;
        }
        gather(root, &root["$defs"][name], path, keys);
    }
    for one in ["anyOf", "oneOf"]
        .into_iter()
        .filter_map(|key| node[key].as_array())
        .flatten()
    {
        gather(root, one, path, keys);
    }
    if node["items"].is_object() {
        gather(root, &node["items"], &format!("{path}[]"), keys);
    }
    if node["additionalProperties"].is_object() {
        gather(
            root,
            &node["additionalProperties"],
            &format!("{path}.NAME"),
            keys,
        );
    }
    for (key, property) in node["properties"].as_object().into_iter().flatten() {
        let key = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        let said = property["description"].as_str().unwrap_or_default();
        keys.entry(key.clone()).or_insert_with(|| said.to_owned());
        gather(root, property, &key, keys);
    }
}

/// The example, with the keys that are off switched on.
fn switched_on(example: &str) -> String {
    example
        .lines()
        .map(|line| match line.trim_start().strip_prefix('#') {
            Some(key) if !key.is_empty() && !key.starts_with(' ') => line.replacen('#', "", 1),
            _ => line.to_owned(),
        })
        .map(|line| line + "\n")
        .collect()
}

#[test]
fn the_example_is_a_good_configuration() {
    let verdict = Verdict::of_text(&read("config.example.yaml"), &environment());
    assert!(verdict.faults.is_empty(), "{:#?}", verdict.faults);
    assert!(verdict.warnings.is_empty(), "{:#?}", verdict.warnings);
    assert!(verdict.config.expect("good").insecure.is_empty());
}

#[test]
fn the_example_says_the_defaults() {
    let example = Verdict::of_text(&read("config.example.yaml"), &environment());
    let example = example.config.expect("good");
    let smallest = "public_url: https://dash.example.com\n\
        providers:\n  - issuer: https://id.example.com\n    client_id: dashboards\n    client_secret: { env: OIDC_CLIENT_SECRET }\n\
        session: { keys: [{ env: SESSION_KEY }] }\n\
        upstreams: { app: \"http://127.0.0.1:3000\" }\n";
    let smallest = Verdict::of_text(smallest, &environment())
        .config
        .expect("good");
    let mut without_paths = smallest.providers.clone();
    for provider in &mut without_paths {
        // The example writes the standard claims out.
        provider.claims = example.providers[0].claims.clone();
    }
    assert_eq!(
        format!("{:?}", example.providers),
        format!("{without_paths:?}")
    );
    assert_eq!(
        format!("{:?}", example.session),
        format!("{:?}", smallest.session)
    );
    assert_eq!(
        format!("{:?}", example.limits),
        format!("{:?}", smallest.limits)
    );
    assert_eq!(
        format!("{:?}", example.upstreams),
        format!("{:?}", smallest.upstreams)
    );
    assert_eq!(
        format!("{:?}", example.trusted_proxies),
        format!("{:?}", smallest.trusted_proxies)
    );
    assert_eq!(
        (example.listen, example.probes),
        (smallest.listen, smallest.probes)
    );
    assert_eq!(
        (example.prefix, example.log),
        (smallest.prefix, smallest.log)
    );
}

#[test]
fn the_example_shows_every_key_and_says_which_are_not_yet() {
    let example = read("config.example.yaml");
    let environment = environment();
    let text = switched_on(&example);
    let verdict = Verdict::of_text(&text, &environment);
    // What is switched on is known: whatever is wrong with it, its shape is right.
    for fault in &verdict.faults {
        let of_shape = [
            "is not a key that is known",
            "something else is expected",
            "not YAML",
            "second time",
        ];
        assert!(
            !of_shape.iter().any(|what| fault.what.contains(what)),
            "{fault}"
        );
    }
    // And each that the schema calls "not yet" is refused as that.
    let refused: BTreeSet<&str> = verdict
        .faults
        .iter()
        .filter(|fault| fault.what.starts_with("not yet"))
        .map(|fault| fault.path.rsplit('.').next().unwrap_or_default())
        .collect();
    for (key, said) in keys() {
        let last = key.rsplit('.').next().expect("a key");
        let last = last.trim_end_matches("[]");
        let bare = format!("{last}:");
        assert!(
            text.contains(&bare),
            "config.example.yaml does not show `{key}`"
        );
        let off = ["keep_fragment", "embed_origins"];
        if said.starts_with("Not yet") && !off.contains(&last) {
            assert!(
                refused.contains(last),
                "`{key}` is not refused: {refused:?}"
            );
        }
    }
}

#[test]
fn the_reference_describes_every_key_and_no_other() {
    let reference = read("docs/CONFIG.md");
    let mut sections: BTreeMap<String, String> = BTreeMap::new();
    for section in reference.split("\n### `").skip(1) {
        let (name, text) = section.split_once("`\n").expect("a heading of one key");
        assert!(
            sections.insert(name.to_owned(), text.to_owned()).is_none(),
            "`{name}` stands twice"
        );
    }
    let keys = keys();
    for (key, said) in &keys {
        let Some(text) = sections.get(key) else {
            panic!("docs/CONFIG.md has no section `{key}`: {said}");
        };
        // The schema's words stand there, a sentence a line.
        let text = text.replace('\n', " ");
        assert!(
            text.contains(said.as_str()),
            "`{key}` is described otherwise than in the schema: {said}"
        );
    }
    let surplus: Vec<_> = sections
        .keys()
        .filter(|name| !keys.contains_key(*name))
        .collect();
    assert!(
        surplus.is_empty(),
        "docs/CONFIG.md describes keys that there are not: {surplus:?}"
    );
}

#[test]
fn the_reference_names_every_word_that_a_key_takes() {
    let reference = read("docs/CONFIG.md");
    let schema = schema();
    let definitions = schema["$defs"].as_object().expect("definitions");
    let mut words = 0;
    for choice in definitions
        .values()
        .filter_map(|one| one["oneOf"].as_array())
        .flatten()
    {
        let Some(word) = choice["const"].as_str() else {
            continue;
        };
        words += 1;
        assert!(
            reference.contains(&format!("`{word}`")),
            "docs/CONFIG.md does not name `{word}`"
        );
    }
    assert!(words > 30, "{words} words");
}

#[test]
fn every_key_says_its_default_or_that_it_is_needed() {
    let silent: Vec<_> = keys()
        .into_iter()
        .filter(|(key, said)| {
            let is_group = keys().keys().any(|other| {
                other
                    .strip_prefix(key.as_str())
                    .is_some_and(|rest| rest.starts_with(['.', '[']))
            });
            let says = [
                "Default:", "Needed", "needed", "Not yet", "absent", "; for `o",
            ];
            !is_group && !says.iter().any(|word| said.contains(word))
        })
        .map(|(key, _)| key)
        .collect();
    let by_nature = [
        "providers[].ca.file",
        "providers[].authorization_parameters",
        "providers[].client_secret.env",
        "providers[].client_secret.file",
        "session.keys[].env",
        "session.keys[].file",
        "session.redis.password.env",
        "session.redis.password.file",
        "upstreams.NAME.headers",
    ];
    let conditions = |key: &String| key.contains(".admit.") || key.contains(".access.");
    let odd: Vec<_> = silent
        .iter()
        .filter(|key| !by_nature.contains(&key.as_str()) && !conditions(key))
        .collect();
    assert!(odd.is_empty(), "{odd:?}");
}
