//! The rules of `tests/architecture.rs`, held to examples: what each complains about, and what not.

use std::collections::BTreeSet;

use super::tree::File;
use super::{LONGEST_FILE, climbs, impurities, strangers, test_files, too_long, unmapped};

fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn a_climb_is_seen_in_every_spelling() {
    for text in [
        "use crate::app::App;",
        "use crate::{base::clock, app};",
        "use crate::{\n    base,\n    app::{self, App},\n};",
        "fn f() { crate::app::run() }",
        "use super::super::app::App;",
        "pub(in crate::app) fn f() {}",
        "#[cfg(test)] mod tests { use crate::app::App; }",
    ] {
        assert_eq!(climbs(&file("src/gate/routes.rs", text)).len(), 1, "{text}");
    }
    assert_eq!(
        climbs(&file("src/gate/mod.rs", "use super::app::App;")).len(),
        1
    );
    for text in [
        "use crate::base::clock::Clock; use crate::gate::facts; use super::app::App;",
        "// use crate::app::App;\n/* crate::app /* */ crate::app */ const A: &str = \"crate::app\";",
        "const A: &str = r#\"use \"crate::app\"; \"#; const B: char = '\"'; // crate::app",
    ] {
        assert!(
            climbs(&file("src/gate/routes.rs", text)).is_empty(),
            "{text}"
        );
    }
}

#[test]
fn the_three_of_floor_five_and_the_two_of_floor_seven_are_held_apart() {
    assert_eq!(
        climbs(&file("src/proxy/head.rs", "use crate::provider::Provider;")).len(),
        1
    );
    assert_eq!(
        climbs(&file("src/config/mod.rs", "use crate::app::App;")).len(),
        1
    );
    assert!(climbs(&file("src/app/mod.rs", "use crate::config::Config;")).is_empty());
}

#[test]
fn a_stranger_is_seen_in_every_spelling() {
    for text in [
        "use cookie::Cookie;",
        "use ::cookie::Cookie;",
        "fn f() -> cookie::Cookie<'static> { todo() }",
        "extern crate cookie;",
        "use cookie as biscuit;",
    ] {
        assert_eq!(
            strangers(&file("src/app/respond.rs", text)).len(),
            1,
            "{text}"
        );
        assert!(
            strangers(&file("src/session/cookie.rs", text)).is_empty(),
            "{text}"
        );
    }
    for text in [
        "use crate::session::cookie::SessionCookie;",
        "use crate::session::{cookie, lifetime}; fn f() { cookie::names() }",
        "mod cookie; use cookie::A;",
        "fn f(cookie: &str) -> A { A { cookie } }",
    ] {
        assert!(
            strangers(&file("src/app/respond.rs", text)).is_empty(),
            "{text}"
        );
    }
}

#[test]
fn impurity_is_seen_and_its_exceptions_are_few() {
    let none = BTreeSet::new();
    let seen = |path: &str, text: &str| impurities(&file(path, text), &none).len();
    assert_eq!(
        seen(
            "src/gate/mod.rs",
            "async fn f() { tokio::spawn(g()).await; }"
        ),
        3
    );
    assert_eq!(seen("src/base/clock.rs", "use std::time::SystemTime;"), 0);
    assert_eq!(seen("src/oidc/mod.rs", "use std::time::SystemTime;"), 1);
    assert_eq!(seen("src/app/mod.rs", "async fn f() {}"), 0);
    let in_test = "#[cfg(test)]\nmod tests { use aws_lc_rs::rand::SystemRandom; async fn f() {} }\nuse x::rand;";
    assert_eq!(seen("src/oidc/mod.rs", in_test), 2);
}

#[test]
fn a_file_that_only_tests_build_is_known_by_its_declaration() {
    let files = [
        file(
            "src/oidc/mod.rs",
            "#[cfg(test)]\npub(crate) mod forge;\nmod token;",
        ),
        file("src/oidc/forge.rs", ""),
        file("src/oidc/forge/deep.rs", ""),
        file("src/oidc/token.rs", ""),
    ];
    let expected: BTreeSet<_> = files[1..3].iter().map(|file| file.path.clone()).collect();
    assert_eq!(test_files(&files), expected);
}

#[test]
fn a_long_file_and_an_unmapped_folder_are_complained_about() {
    assert!(too_long(&file("src/a.rs", &"\n".repeat(LONGEST_FILE))).is_empty());
    assert_eq!(
        too_long(&file("src/a.rs", &"\n".repeat(LONGEST_FILE + 1))).len(),
        1
    );
    let files = [
        file("src/app/endpoint/login.rs", ""),
        file("src/app/endpoint/tests/mod.rs", ""),
    ];
    assert_eq!(unmapped(&files, "`app/` is").len(), 1);
    assert!(unmapped(&files, "`app/endpoint/` holds").is_empty());
}
