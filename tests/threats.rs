//! `docs/THREATS.md` is true: each requirement that is ours today has a row, and each test that a row
//! names is there to be run.
//!
//! A row reads `| id | what is protected | where it is stopped | tests, each in backticks |`. A test is
//! a Rust test function (a path before it is allowed), or the title of a browser story.
#![cfg(test)]

mod tree;

use std::collections::{BTreeMap, BTreeSet};

use tree::File;

/// The requirements that hold today, as ids and ranges of ids.
const OWNED: &str = "A1-A18 A20-A26 B1-B14 C1-C28 D1-D8 E1-E11 E17 E18 F1-F15 F17 F19 G1-G5 H1-H5 I1-I14 \
                     J1-J8 J10 J11 K1 K2 K7 K8 L1-L14 M1-M9 N1-N4 P1-P5 Q1-Q10 R1-R7 T1-T3 T5-T9";
/// Those of them whose row may say `later` instead of a test: they need several providers, another
/// client authentication, or a change of metadata while running.
const MAY_BE_LATER: &str = "B6 B8 B9 B10 B12 B13";

#[test]
fn every_requirement_has_a_row_and_every_row_a_test_that_exists() {
    let threats = tree::read("docs/THREATS.md").expect("docs/THREATS.md: the table is missing");
    let mut rust = tree::files("src", "rs");
    rust.extend(tree::files("tests", "rs"));
    let tests = Tests::of(&rust, &tree::files("tests/browser", "mjs"));
    assert!(
        !tests.functions.is_empty() && !tests.titles.is_empty(),
        "no tests were found"
    );
    let complaints = complaints(&threats, &tests);
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn complaints(threats: &str, tests: &Tests) -> Vec<String> {
    let later = ids(MAY_BE_LATER);
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut complaints = Vec::new();
    for Row { ids, proof } in threats.lines().filter_map(Row::parse) {
        let named = in_backticks(&proof);
        for name in named.iter().filter(|name| !tests.have(name)) {
            let ids = ids.join(", ");
            complaints.push(format!(
                "{ids}: there is no test `{name}`. Name the one that is, or write it"
            ));
        }
        for id in ids {
            let is_later = later.contains(&id) && proof.trim() == "later";
            if named.is_empty() && !is_later {
                complaints.push(format!("{id}: its row names no test"));
            }
            rows.entry(id).or_default().extend(named.clone());
        }
    }
    let missing = ids(OWNED).into_iter().filter(|id| !rows.contains_key(id));
    complaints.extend(missing.map(|id| format!("{id}: docs/THREATS.md has no row for it")));
    complaints
}

/// `A1-A3 B2` as the ids it stands for.
fn ids(list: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for item in list.split_whitespace() {
        let (from, to) = item.split_once('-').unwrap_or((item, item));
        let number = |id: &str| id[1..].parse::<u32>().unwrap();
        ids.extend((number(from)..=number(to)).map(|n| format!("{}{n}", &item[..1])));
    }
    ids
}

/// A line of the table.
struct Row {
    ids: Vec<String>,
    proof: String,
}

impl Row {
    /// `None` for anything but a row that begins with ids.
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        let line = line.replace("\\|", "\u{1}");
        let cells: Vec<_> = line
            .split('|')
            .map(|cell| cell.trim().replace('\u{1}', "|"))
            .collect();
        let [first, .., proof] = cells.as_slice() else {
            return None;
        };
        let ids: Vec<_> = first
            .split(',')
            .map(|id| id.trim().trim_end_matches('!').to_owned())
            .collect();
        let is_id = |id: &String| {
            let number = id.strip_prefix(|c: char| c.is_ascii_uppercase());
            number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        };
        ids.iter().all(is_id).then(|| Self {
            ids,
            proof: proof.clone(),
        })
    }
}

fn in_backticks(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// What there is to run.
struct Tests {
    functions: BTreeSet<String>,
    /// Titles of stories, split where a value stands in them.
    titles: Vec<Vec<String>>,
}

impl Tests {
    fn of(rust: &[File], stories: &[File]) -> Self {
        Self {
            functions: rust
                .iter()
                .flat_map(|file| test_functions(&file.text))
                .collect(),
            titles: stories.iter().flat_map(|file| titles(&file.text)).collect(),
        }
    }

    fn have(&self, name: &str) -> bool {
        let function = name.rsplit("::").next().unwrap_or(name);
        self.functions.contains(function) || self.titles.iter().any(|title| reads(title, name))
    }
}

/// The names of functions that stand under a test attribute.
fn test_functions(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line == "#[test]" || line.contains("::test]") || line.contains("::test(");
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|(before, _)| {
            before
                .split_whitespace()
                .all(|word| word == "async" || word.starts_with("pub"))
        }) {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            if is_test {
                names.push(name.trim().to_owned());
            }
            is_test = false;
        } else if !line.starts_with("//") && !line.is_empty() {
            // The rest of an attribute of several lines, or something else altogether.
            is_test &= line.ends_with(")]") || line.ends_with(',') || line.ends_with('"');
        }
    }
    names
}

/// The titles given to `test(..)`, in pieces where the title is put together.
fn titles(source: &str) -> Vec<Vec<String>> {
    let mut titles = Vec::new();
    for start in source.split("test(").skip(1) {
        let Some(quote) = start.chars().next().filter(|c| "'\"`".contains(*c)) else {
            continue;
        };
        let mut pieces = vec![String::new()];
        let mut chars = start[1..].chars();
        let mut last = '\0';
        while let Some(char) = chars.next() {
            match char {
                _ if char == quote => break,
                '\\' => pieces.last_mut().unwrap().extend(chars.next()),
                '{' if quote == '`' && last == '$' => {
                    pieces.last_mut().unwrap().pop();
                    pieces.push(String::new());
                    chars.find(|&c| c == '}');
                }
                _ => pieces.last_mut().unwrap().push(char),
            }
            last = char;
        }
        titles.push(pieces);
    }
    titles
}

/// Whether the pieces read as `name`, with something between each two of them.
fn reads(pieces: &[String], name: &str) -> bool {
    let [first, middle @ ..] = pieces else {
        return false;
    };
    let Some(mut rest) = name.strip_prefix(first.as_str()) else {
        return false;
    };
    let [middle @ .., last] = middle else {
        return rest.is_empty();
    };
    for piece in middle {
        let Some(at) = rest.find(piece.as_str()).filter(|&at| at > 0) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.len() > last.len() && rest.ends_with(last.as_str())
}

// ---- the check itself ----

fn some_tests() -> Tests {
    let file = |text: &str| File {
        path: String::new(),
        text: text.to_owned(),
    };
    Tests::of(
        &[file(
            "#[test]\nfn plain() {}\n\n#[tokio::test]\n// A1: why\nasync fn awaited() {}\n\nfn not_a_test() {}\n\
             proptest! {\n    #[test]\n    fn drawn(x in 0..1) {}\n}\n",
        )],
        &[file(
            "test('a story\\'s title', f);\ntest(`when ${loss} is lost by ${way} it ends`, f);",
        )],
    )
}

#[test]
fn tests_are_known_by_their_attribute_and_stories_by_their_title() {
    let tests = some_tests();
    for name in [
        "plain",
        "awaited",
        "drawn",
        "login::plain",
        "a story's title",
        "when all is lost by me it ends",
    ] {
        assert!(tests.have(name), "{name}");
    }
    for name in [
        "not_a_test",
        "a story",
        "when is lost by it ends",
        "absent",
        "",
    ] {
        assert!(!tests.have(name), "{name}");
    }
}

#[test]
fn a_missing_row_a_row_without_test_and_a_test_that_is_not_there_are_seen() {
    let tests = some_tests();
    let full = |skip: &str| {
        let rows = ids(OWNED).into_iter().filter(|id| id != skip);
        let rows = rows.map(|id| format!("| {id} | what | where | `plain` |"));
        rows.collect::<Vec<_>>().join("\n") + "\n"
    };
    assert!(complaints(&full(""), &tests).is_empty());
    assert_eq!(complaints(&full("C28"), &tests).len(), 1);
    for (row, expected) in [
        ("| C28 | what | where | `plain`, `awaited` |", 0),
        ("| C28! | what | where \\| there | `plain` |", 0),
        ("| C28, B13 | what | where | `plain` |", 0),
        ("| C28 | what | `where` |  |", 1),
        ("| C28 | what | where | later |", 1),
        ("| C28 | what | where | `absent`, `plain` |", 1),
        ("C28 | what | where | `plain`", 1),
    ] {
        assert_eq!(
            complaints(&format!("{}{row}", full("C28")), &tests).len(),
            expected,
            "{row}"
        );
    }
    let later = format!("{}| B13 | what | where | later |", full("B13"));
    assert!(complaints(&later, &tests).is_empty());
}
