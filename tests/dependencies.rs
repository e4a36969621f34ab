//! What the lock file may hold: the versions below which a known flaw lies, the packages that are never
//! built, where packages come from, and under which licences.
//!
//! `deny.toml` says the same to `cargo deny`; this test needs nothing but cargo.
#![cfg(test)]

use std::process::Command;

/// The first version that is good, and what is wrong with the ones before.
const FLOORS: [(&str, [u64; 3], &str); 4] = [
    (
        "hyper",
        [1, 11, 0],
        "keeps a Content-Length that precedes Transfer-Encoding",
    ),
    (
        "h2",
        [0, 4, 18],
        "queues empty DATA frames without a budget (RUSTSEC-2026-0258)",
    ),
    (
        "jsonwebtoken",
        [10, 3, 0],
        "passes an `exp` or `nbf` of the wrong type (CVE-2026-25537)",
    ),
    (
        "tracing-subscriber",
        [0, 3, 20],
        "writes raw escapes into logs (RUSTSEC-2025-0055)",
    ),
];
/// Packages that are never part of a build: all cryptography is aws-lc-rs, and one client is enough.
const NEVER_BUILT: [&str; 7] = [
    "ring",
    "openssl",
    "openssl-sys",
    "native-tls",
    "reqwest",
    "rsa",
    "rustls-openssl",
];
const LICENCES: [&str; 10] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "ISC",
    "BSD-3-Clause",
    "Unicode-3.0",
    "Zlib",
    "BSL-1.0",
    "Unlicense",
    "CDLA-Permissive-2.0",
];

/// A package that some build of ours, for any system and with any feature, has in it.
#[derive(Debug, PartialEq)]
struct Package {
    name: String,
    version: String,
    licence: String,
}

fn built() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "tree",
            "--locked",
            "--all-features",
            "--target",
            "all",
            "--prefix",
            "none",
        ])
        .args(["--no-dedupe", "--format", "{p}\t{l}"])
        .output()
        .expect("cargo runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree: {told}");
    let tree = String::from_utf8(output.stdout).unwrap();
    let packages: Vec<_> = tree.lines().filter_map(package).collect();
    assert!(
        packages.len() > 50,
        "cargo tree gave {} packages: {told}",
        packages.len()
    );
    packages
}

fn lock() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock");
    std::fs::read_to_string(path).expect("Cargo.lock is committed")
}

/// A line such as `hyper v1.12.0<TAB>MIT`.
fn package(line: &str) -> Option<Package> {
    let (package, licence) = line.split_once('\t')?;
    let mut words = package.split(' ');
    Some(Package {
        name: words.next()?.to_owned(),
        version: words.next()?.strip_prefix('v')?.to_owned(),
        licence: licence.to_owned(),
    })
}

#[test]
fn no_second_cryptography_and_no_second_client_is_ever_built() {
    let built = built();
    let strangers: Vec<_> = built
        .iter()
        .filter(|p| NEVER_BUILT.contains(&p.name.as_str()))
        .collect();
    assert!(
        strangers.is_empty(),
        "{strangers:?}: `cargo tree --all-features -i NAME` tells who brings it"
    );
}

#[test]
fn no_locked_version_is_below_a_known_flaw() {
    let lock = lock();
    let complaints = below_floor(&lock);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(
        lock.contains("name = \"hyper\""),
        "the lock file was not understood"
    );
}

#[test]
fn every_package_comes_from_the_registry() {
    let lock = lock();
    let sources = lock
        .lines()
        .filter_map(|line| line.strip_prefix("source = "));
    let strange: Vec<_> = sources
        .filter(|source| {
            !source.starts_with("\"registry+https://github.com/rust-lang/crates.io-index\"")
        })
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn every_package_is_under_a_licence_on_the_list() {
    let built = built();
    let refused: Vec<_> = built
        .iter()
        .filter(|package| !is_allowed(&package.licence))
        .collect();
    assert!(
        refused.is_empty(),
        "{refused:?}: add the licence here and in deny.toml, or do without"
    );
}

fn below_floor(lock: &str) -> Vec<String> {
    let quoted = |line: &str, key: &str| {
        let value = line.strip_prefix(key)?.strip_prefix(" = \"")?;
        value.strip_suffix('"').map(str::to_owned)
    };
    let mut name = String::new();
    let mut complaints = Vec::new();
    for line in lock.lines() {
        if let Some(is) = quoted(line, "name") {
            name = is;
        } else if let Some(version) = quoted(line, "version") {
            let floor = FLOORS.iter().find(|(floor, ..)| *floor == name);
            if let Some((_, least, flaw)) = floor.filter(|(_, least, _)| numbers(&version) < *least)
            {
                complaints.push(format!("{name} {version} {flaw}: at least {least:?}"));
            }
        }
    }
    complaints
}

/// `1.2.3-rc.1+build` as its three numbers.
fn numbers(version: &str) -> [u64; 3] {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    let mut parts = release.split('.').map(|part| part.parse().unwrap());
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

/// Whether an SPDX expression (or the old `MIT/Apache-2.0`) can be met by the list: `OR` by either
/// side, `AND` by both.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    any(&mut words) == Some(true) && words.next().is_none()
}

/// What is left of an expression; the readers below give `None` where it is no expression.
type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>) -> Option<bool> {
    let mut allowed = all(words)?;
    while words.next_if_eq(&"OR").is_some() {
        allowed |= all(words)?;
    }
    Some(allowed)
}

fn all(words: &mut Words<'_>) -> Option<bool> {
    let mut allowed = one(words)?;
    while words.next_if_eq(&"AND").is_some() {
        allowed &= one(words)?;
    }
    Some(allowed)
}

fn one(words: &mut Words<'_>) -> Option<bool> {
    if words.next_if_eq(&"(").is_some() {
        let allowed = any(words)?;
        return words.next_if_eq(&")").map(|_| allowed);
    }
    let mut licence = words.next()?.to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        licence = format!("{licence} WITH {}", words.next()?);
    }
    Some(LICENCES.contains(&licence.as_str()))
}

#[test]
fn a_version_below_its_floor_is_seen() {
    let locked =
        |name, version| format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n");
    for (name, version, complaints) in [
        ("hyper", "1.10.9", 1),
        ("hyper", "0.14.32", 1),
        ("hyper", "1.11.0", 0),
        ("hyper", "1.11.0+build", 0),
        ("h2", "0.4.9", 1),
        ("h2", "0.4.18", 0),
        ("hyper-util", "0.1.0", 0),
    ] {
        assert_eq!(
            below_floor(&locked(name, version)).len(),
            complaints,
            "{name} {version}"
        );
    }
}

#[test]
fn licences_are_read_as_expressions() {
    for expression in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0-only OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "ISC AND (GPL-3.0-only OR ISC) AND Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(is_allowed(expression), "{expression}");
    }
    for expression in [
        "",
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "(MIT OR Apache-2.0) AND GPL-3.0-only",
        "MIT WITH something",
        "MIT OR (MIT",
        "MIT)",
    ] {
        assert!(!is_allowed(expression), "{expression}");
    }
}
