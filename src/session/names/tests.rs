use super::*;

fn names(url: &str, domain: Option<&str>) -> CookieNames {
    try_names("sidegate", url, domain).unwrap()
}

fn try_names(name: &str, url: &str, domain: Option<&str>) -> Result<CookieNames, CookieNamesError> {
    let settings = CookieSettings {
        name: name.to_owned(),
        same_site: SameSite::Lax,
        domain: domain.map(str::to_owned),
        kept: CookieKept::default(),
    };
    CookieNames::new(&settings, &PublicUrl::parse(url).unwrap(), "dashboards")
}

// F1, F17: the prefix follows from scheme, path and domain alone.
#[test]
fn the_strongest_prefix_that_the_public_url_allows_is_taken() {
    for (url, domain, prefix, path) in [
        ("https://a.test", None, "__Host-sidegate-", "/"),
        ("https://a.test:8443", None, "__Host-sidegate-", "/"),
        ("https://localhost", None, "__Host-sidegate-", "/"),
        ("https://a.test/x/y", None, "__Secure-sidegate-", "/x/y"),
        (
            "https://a.b.test",
            Some("b.test"),
            "__Secure-sidegate-",
            "/",
        ),
        (
            "https://a.b.test/x",
            Some("b.test"),
            "__Secure-sidegate-",
            "/x",
        ),
        ("http://localhost:4180", None, "sidegate-", "/"),
        ("http://127.0.0.1:4180/x", None, "sidegate-", "/x"),
    ] {
        let names = names(url, domain);
        let hash = names.session().strip_prefix(prefix).unwrap();
        assert_eq!(hash.len(), GATE_HASH_CHARS, "{url}");
        assert!(hash.bytes().all(|b| BASE32.contains(&b)), "{url}");
        assert_eq!(names.attributes().path, path);
        assert_eq!(names.attributes().domain.as_deref(), domain);
    }
}

// F1: two gates on one host never share a name.
#[test]
fn gates_that_differ_in_client_port_path_or_domain_have_other_names() {
    let settings = |domain: Option<&str>| CookieSettings {
        name: "sidegate".to_owned(),
        same_site: SameSite::Lax,
        domain: domain.map(str::to_owned),
        kept: CookieKept::default(),
    };
    let mut seen = std::collections::HashSet::new();
    for (clients, url, domain) in [
        ("one", "https://a.b.test", None),
        ("two", "https://a.b.test", None),
        ("one", "https://a.b.test:8443", None),
        ("one", "https://a.b.test/x", None),
        ("one", "https://a.b.test/y", None),
        ("one", "https://a.b.test/x", Some("a.b.test")),
        ("one", "https://a.b.test/x", Some("b.test")),
        ("one", "https://c.b.test", None),
    ] {
        let public = PublicUrl::parse(url).unwrap();
        let names = CookieNames::new(&settings(domain), &public, clients).unwrap();
        let hash = names.session().rsplit('-').next().unwrap().to_owned();
        assert!(seen.insert(hash), "{clients} {url} {domain:?}");
    }
    let again = names("https://A.test:443/", None);
    assert_eq!(again, names("https://a.test", None));
}

// F10, F12, F13: ours are exactly ours, and a neighbour is nobody's business.
#[test]
fn only_exact_names_are_own() {
    let names = names("https://a.test", None);
    let base = names.session();
    for own in [
        base.to_owned(),
        names.part(1),
        names.part(9),
        format!("{base}.99999999"),
        format!("{base}."),
        names.login("some state"),
        format!("{base}-l-"),
    ] {
        assert!(names.is_own(&own), "{own}");
    }
    for neighbour in [
        String::new(),
        format!("{base}x"),
        format!("{base}-"),
        format!("{base}-x"),
        format!("{base}1"),
        format!(" {base}"),
        format!("\u{2000}{base}"),
        format!("\u{a0}{base}"),
        format!("${base}"),
        format!("\"{base}\""),
        format!("x{base}"),
        base.to_ascii_lowercase(),
        base.to_ascii_uppercase(),
        base.replace("__Host-", ""),
        base.replace("__Host-", "__host-"),
        base.replace("__Host-", "__Secure-"),
        base[..base.len() - 1].to_owned(),
        "__Host-sidegate-aaaaaaaaaaaa".to_owned(),
    ] {
        assert!(!names.is_own(&neighbour), "{neighbour}");
        assert_eq!(names.slot(neighbour.as_bytes()), None, "{neighbour}");
    }
    for reserved in [
        ".0",
        ".10",
        ".01",
        ".-1",
        "-l-short",
        "-l-AAAAAAAA",
        "-l-aaaaaaaaa",
    ] {
        assert_eq!(names.slot(format!("{base}{reserved}").as_bytes()), None);
    }
    assert_eq!(names.slot(base.as_bytes()), Some(Slot::Session));
    assert_eq!(names.slot(names.part(2).as_bytes()), Some(Slot::Part(2)));
    assert_eq!(
        names.slot(names.login("s").as_bytes()),
        Some(Slot::Login(LoginTag::of("s")))
    );
}

// F5: name, clients and host are all in what a value is sealed to.
#[test]
fn the_context_differs_by_name_client_and_host() {
    let here = names("https://a.test", None);
    let settings = CookieSettings {
        name: "sidegate".to_owned(),
        same_site: SameSite::Lax,
        domain: None,
        kept: CookieKept::default(),
    };
    let public = PublicUrl::parse("https://a.test").unwrap();
    let other_client = CookieNames::new(&settings, &public, "wikis").unwrap();
    assert_ne!(here.context("x"), here.context("y"));
    assert_ne!(here.context("x"), other_client.context("x"));
    assert_ne!(
        here.context("x"),
        names("https://b.test", None).context("x")
    );
    assert_eq!(here.context(here.session()), here.session_context());
    // Nothing can move between the name and what follows it.
    assert_ne!(framed(&["ab", "c"]), framed(&["a", "bc"]));
}

// F2: attributes stay within what browsers accept.
#[test]
fn settings_that_no_browser_keeps_a_cookie_for_are_refused() {
    let long = "n".repeat(65);
    for name in [
        "",
        "a b",
        "a;b",
        "a=b",
        "__Host-x",
        "-x",
        "n\u{e4}me",
        "a.b",
        &long,
    ] {
        assert_eq!(
            try_names(name, "https://a.test", None),
            Err(CookieNamesError::Name),
            "{name}"
        );
    }
    for domain in [
        "",
        "c.test",
        "test",
        "ab.test",
        "x.a.b.test",
        "a b.test",
        "*.b.test",
    ] {
        assert_eq!(
            try_names("x", "https://a.b.test", Some(domain)),
            Err(CookieNamesError::Domain),
            "{domain}"
        );
    }
    // A parent begins at a dot.
    assert_eq!(
        try_names("x", "https://ab.test.example", Some("b.test.example")),
        Err(CookieNamesError::Domain)
    );
    assert_eq!(
        try_names("x", "https://127.0.0.1", Some("127.0.0.1")),
        Err(CookieNamesError::Domain)
    );
    assert_eq!(
        try_names("x", "https://a.b.test", Some(".B.test"))
            .unwrap()
            .attributes()
            .domain
            .as_deref(),
        Some("b.test")
    );
    let deep = format!("https://a.test/{}", "p".repeat(1024));
    assert_eq!(try_names("x", &deep, None), Err(CookieNamesError::Path));
}

#[test]
fn logins_have_names_of_their_own() {
    let names = names("https://a.test", None);
    assert_ne!(names.login("one"), names.login("two"));
    assert_eq!(names.login("one"), names.login("one"));
    assert_eq!(names.login("one").len(), names.session().len() + 3 + 8);
}
