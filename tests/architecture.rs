//! The house rules that a program can hold: floors, doors, the pure half, the length of files, and
//! that every room is on the map. Each complaint says what to do instead.
//!
//! The source is read as text, so that code left out of a build is held to the rules as well.
#![cfg(test)]

#[path = "tree/code.rs"]
mod code;
#[path = "tree/rules.rs"]
mod rules;
mod tree;

use std::collections::BTreeSet;

use code::{Word, words};
use tree::File;

/// Each folder of `src`, and the folders that it may use. `docs/ARCHITECTURE.md` says why.
const FLOORS: [(&str, &[&str]); 13] = [
    ("base", &[]),
    ("oidc", &["base"]),
    ("session", &["oidc", "base"]),
    ("gate", &["session", "oidc", "base"]),
    ("transport", &["base"]),
    ("provider", FLOOR_5),
    ("proxy", FLOOR_5),
    ("store", FLOOR_5),
    ("server", &["transport", "base"]),
    ("config", FLOOR_7),
    (
        "app",
        &[
            "config",
            "server",
            "provider",
            "proxy",
            "store",
            "transport",
            "gate",
            "session",
            "oidc",
            "base",
        ],
    ),
    ("demo", FLOOR_8),
    ("cli", FLOOR_8),
];
/// The three of floor 5 never use each other; `app` joins them.
const FLOOR_5: &[&str] = &["transport", "gate", "session", "oidc", "base"];
/// `app` uses `config`, not the reverse.
const FLOOR_7: &[&str] = &[
    "server",
    "provider",
    "proxy",
    "store",
    "transport",
    "gate",
    "session",
    "oidc",
    "base",
];
/// The commands and the demo: everything below, and the demo for the command of that name.
const FLOOR_8: &[&str] = &[
    "demo",
    "app",
    "config",
    "server",
    "provider",
    "proxy",
    "store",
    "transport",
    "gate",
    "session",
    "oidc",
    "base",
];

/// The folders that do no I/O, read no clock and draw no chance.
const PURE: [&str; 4] = ["base", "oidc", "session", "gate"];

/// Each package with a door, and the places (files, or folders with a `/`) that may use it.
const DOORS: [(&str, &[&str]); 11] = [
    ("serde_yaml", &["config/file.rs", "config/file/"]),
    ("jsonwebtoken", &["oidc/", "demo/"]),
    ("oauth2", &["oidc/", "provider/"]),
    ("cookie", &["session/"]),
    ("redis", &["store/redis.rs", "store/redis/"]),
    ("rustls", TLS),
    ("tokio_rustls", TLS),
    ("hyper", RIM),
    ("hyper_util", RIM),
    ("tracing_subscriber", &["app/telemetry.rs"]),
    ("minijinja", &["app/pages.rs", "app/pages/", "demo/"]),
];
const TLS: &[&str] = &["transport/", "server/listener.rs", "server/listener/"];
const RIM: &[&str] = &[
    "transport/",
    "provider/",
    "proxy/",
    "store/",
    "server/",
    "config/",
    "app/",
    "demo/",
    "cli/",
    "main.rs",
];

/// Words that do not occur in the pure half, and the files that are excepted by name.
const IMPURE: [(&str, &[&str]); 20] = [
    ("async", &[]),
    ("await", &[]),
    ("tokio", &[]),
    ("hyper", &[]),
    ("hyper_util", &[]),
    ("tracing", &[]),
    ("SystemTime", &["base/clock.rs"]),
    ("Instant", &[]),
    ("rand", &["base/entropy.rs", "base/keyring.rs"]),
    ("getrandom", &[]),
    ("TcpStream", &[]),
    ("TcpListener", &[]),
    ("UdpSocket", &[]),
    ("UnixStream", &[]),
    ("UnixListener", &[]),
    ("ToSocketAddrs", &[]),
    ("thread", &[]),
    ("println", &[]),
    ("eprintln", &[]),
    ("dbg", &[]),
];
/// What tests of the pure half may do and the half itself may not: sign with a key of their own.
const IMPURE_IN_TESTS_TOO: [&str; 6] =
    ["async", "await", "tokio", "hyper", "hyper_util", "tracing"];

/// The most lines of a Rust file, its tests included.
const LONGEST_FILE: usize = 600;

#[test]
fn no_floor_uses_one_above_it() {
    complain(&sources(), climbs);
}

#[test]
fn a_package_is_used_behind_its_one_door() {
    complain(&sources(), strangers);
}

#[test]
fn the_pure_half_does_nothing_but_decide() {
    let sources = sources();
    let test_files = test_files(&sources);
    complain(&sources, |file| impurities(file, &test_files));
}

#[test]
fn what_the_compiler_cannot_check_stands_in_one_file() {
    complain(&sources(), unsafeties);
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let mut files = sources();
    files.extend(tree::files("tests", "rs"));
    complain(&files, too_long);
}

#[test]
fn every_folder_of_the_source_is_on_the_map() {
    let map = tree::read("docs/ARCHITECTURE.md").expect("docs/ARCHITECTURE.md: the map is missing");
    let complaints = unmapped(&sources(), &map);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_folder_of_the_source_has_a_floor() {
    let folders = folders(&sources());
    let floors: BTreeSet<_> = FLOORS
        .iter()
        .map(|(floor, _)| (*floor).to_owned())
        .collect();
    let unknown: Vec<_> = folders
        .iter()
        .filter(|f| !f.contains('/') && !floors.contains(*f))
        .collect();
    assert!(
        unknown.is_empty(),
        "give {unknown:?} a floor in tests/architecture.rs"
    );
}

fn sources() -> Vec<File> {
    let files = tree::files("src", "rs");
    assert!(files.len() > 10, "the source tree was not found");
    files
}

fn complain(files: &[File], rule: impl Fn(&File) -> Vec<String>) {
    let complaints: Vec<_> = files.iter().flat_map(rule).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// The file's path below `src/`.
fn inside(file: &File) -> &str {
    file.path.strip_prefix("src/").unwrap_or(&file.path)
}

/// The floor's folder that the file is in; none for `lib.rs` and `main.rs`.
fn floor(file: &File) -> Option<&str> {
    inside(file).split_once('/').map(|(floor, _)| floor)
}

// ---- floors ----

fn climbs(file: &File) -> Vec<String> {
    let Some((own, below)) = floor(file).and_then(|own| FLOORS.iter().find(|(f, _)| *f == own))
    else {
        return Vec::new();
    };
    uses_of_ours(file)
        .into_iter()
        .filter(|(used, _)| used != own && !below.contains(&used.as_str()))
        .map(|(used, line)| {
            format!(
                "{}:{line}: `{own}` uses `{used}`. A floor uses the floors below it: move what is \
                 shared down to the lower of the two, or take it as an argument from `app`, which \
                 may use both",
                file.path
            )
        })
        .collect()
}

/// The floors that the file names, with lines: as `crate::floor`, inside `crate::{..}`, or by as many
/// `super` as lead to the crate's root.
fn uses_of_ours(file: &File) -> Vec<(String, usize)> {
    let words = words(&file.text);
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    let depth = module_depth(inside(file));
    let mut uses = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let supers =
            (0..).take_while(|n| text(at + 2 * n) == "super" && text(at + 2 * n + 1) == "::");
        let supers = if at >= 2 && text(at - 2) == "super" {
            0
        } else {
            supers.count()
        };
        let after = match word.text.as_str() {
            "crate" if text(at + 1) == "::" => at + 2,
            "super" if supers >= depth => at + 2 * supers,
            _ => continue,
        };
        let named = first_names(&words, after);
        uses.extend(
            named
                .into_iter()
                .filter(|(name, _)| FLOORS.iter().any(|(f, _)| f == name)),
        );
    }
    uses
}

/// The first names of the path, or of each path of the group, that begins at `at`.
fn first_names(words: &[Word], at: usize) -> Vec<(String, usize)> {
    let Some(first) = words.get(at) else {
        return Vec::new();
    };
    if first.text != "{" {
        return vec![(first.text.clone(), first.line)];
    }
    let mut depth = 0_usize;
    let mut expected = false;
    let mut names = Vec::new();
    for word in &words[at..] {
        match word.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if expected {
            names.push((word.text.clone(), word.line));
        }
        expected = depth == 1 && matches!(word.text.as_str(), "{" | ",");
    }
    names
}

/// How many `super` lead from the file's module to the crate's root.
fn module_depth(inside: &str) -> usize {
    let parts = inside.split('/').count();
    if inside.ends_with("/mod.rs") {
        parts - 1
    } else {
        parts
    }
}

// ---- doors ----

fn strangers(file: &File) -> Vec<String> {
    let path = inside(file);
    let words = words(&file.text);
    let mut complaints = Vec::new();
    for (package, places) in DOORS {
        let may = places
            .iter()
            .any(|place| path == *place || place.ends_with('/') && path.starts_with(place));
        if may {
            continue;
        }
        for line in uses_of_package(&words, package) {
            complaints.push(format!(
                "{}:{line}: `{package}` is used outside its door ({}). Have the door give a type of \
                 ours and use that",
                file.path,
                places.join(", ")
            ));
        }
    }
    complaints
}

/// The lines on which a path begins with the package's name. A module of ours of that name is not it.
fn uses_of_package(words: &[Word], package: &str) -> Vec<usize> {
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    let before = |at: usize| at.checked_sub(1).map_or("", text);
    let ends_a_path = |at: usize| {
        let ends_name = |c: char| c.is_alphanumeric() || c == '_' || c == '>';
        at.checked_sub(2)
            .is_some_and(|at| text(at) != "use" && text(at).ends_with(ends_name))
    };
    let named: Vec<usize> = (0..words.len()).filter(|&at| text(at) == package).collect();
    let is_module = named.iter().any(|&at| before(at) == "mod");
    let is_imported = named.iter().any(|&at| {
        matches!(text(at + 1), ";" | "," | "}")
            && (matches!(before(at), "{" | ",") || before(at) == "::" && ends_a_path(at))
    });
    let is_package = |at: usize| match before(at) {
        "crate" => true,
        "::" => text(at + 1) == "::" && !ends_a_path(at),
        "use" => !is_module,
        _ => text(at + 1) == "::" && !is_module && !is_imported,
    };
    named
        .iter()
        .filter(|&&at| is_package(at))
        .map(|&at| words[at].line)
        .collect()
}

// ---- what the compiler cannot check ----

/// The one file that may call what is not safe by type: it asks the allocator for a favour.
const UNSAFE: &str = "server/heap.rs";

fn unsafeties(file: &File) -> Vec<String> {
    if inside(file) == UNSAFE {
        return Vec::new();
    }
    let words = words(&file.text);
    let found = words
        .iter()
        .filter(|word| matches!(word.text.as_str(), "unsafe" | "unsafe_code"));
    found
        .map(|word| {
            format!(
                "{}:{}: `{}` outside {UNSAFE}. Use a package that has it behind a safe door",
                file.path, word.line, word.text
            )
        })
        .collect()
}

// ---- the pure half ----

fn impurities(file: &File, test_files: &BTreeSet<String>) -> Vec<String> {
    let path = inside(file);
    if !floor(file).is_some_and(|floor| PURE.contains(&floor)) {
        return Vec::new();
    }
    let whole_is_test = test_files.contains(&file.path);
    let mut complaints = Vec::new();
    for word in words(&file.text) {
        let Some((_, excepted)) = IMPURE.iter().find(|(impure, _)| *impure == word.text) else {
            continue;
        };
        let in_test = whole_is_test || word.in_test;
        let allowed = excepted.contains(&path)
            || in_test && !IMPURE_IN_TESTS_TOO.contains(&word.text.as_str());
        if !allowed {
            complaints.push(format!(
                "{}:{}: `{}` in the pure half. Take the time, the random bytes or the answer as an \
                 argument, and do the act in the rim",
                file.path, word.line, word.text
            ));
        }
    }
    complaints
}

/// The files that are built for tests only: declared as `#[cfg(test)] mod NAME;`, and all below them.
fn test_files(files: &[File]) -> BTreeSet<String> {
    let mut roots = Vec::new();
    for file in files {
        let folder = match file.path.strip_suffix("/mod.rs") {
            Some(folder) => folder.to_owned(),
            None => file.path.trim_end_matches(".rs").to_owned(),
        };
        let words = words(&file.text);
        for pair in words.windows(3) {
            if pair[0].in_test && pair[0].text == "mod" && pair[2].text == ";" {
                roots.push(format!("{folder}/{}", pair[1].text));
            }
        }
    }
    let is_below = |path: &str| {
        roots.iter().any(|root| {
            path.strip_prefix(root)
                .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        })
    };
    files
        .iter()
        .map(|file| file.path.clone())
        .filter(|path| is_below(path))
        .collect()
}

// ---- length, map ----

fn too_long(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    if lines <= LONGEST_FILE {
        return Vec::new();
    }
    vec![format!(
        "{}: {lines} lines. Split it by behaviour; long tests go to a sibling `tests.rs`",
        file.path
    )]
}

/// The folders below `src/`, as `app` and `app/endpoint`.
fn folders(files: &[File]) -> BTreeSet<String> {
    let with_folder = files
        .iter()
        .filter_map(|file| inside(file).rsplit_once('/'));
    let folders = with_folder.map(|(folder, _)| folder.to_owned());
    folders
        .filter(|folder| !folder.split('/').any(|part| part == "tests"))
        .collect()
}

fn unmapped(files: &[File], map: &str) -> Vec<String> {
    let is_named = |folder: &String| {
        map.contains(&format!("`{folder}/`")) || map.contains(&format!("{folder}/"))
    };
    let unmapped = folders(files)
        .into_iter()
        .filter(|folder| !is_named(folder));
    unmapped
        .map(|folder| {
            format!(
                "src/{folder}/ is not in docs/ARCHITECTURE.md: say there what it is, as `{folder}/`"
            )
        })
        .collect()
}
