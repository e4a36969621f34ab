use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::app::respond::samples::{faults, other_session, session};
use crate::base::origin::Origin;
use crate::oidc::claims::Groups;
use crate::session::Session;

/// A way back with everything in it that would like to be markup.
const HOSTILE_WAY: &str = "/b\"><script>x</script>'?a=<b>&c={{7}}&amp;";

fn way(text: &str) -> ReturnTo {
    ReturnTo::parse(text).expect("a place to return to")
}

fn boards() -> ReturnTo {
    way("/boards/7?from=now-6h&to=now")
}

fn site(public_url: &str, support: Option<&str>) -> Pages {
    let settings = PageSettings {
        support: support.map(str::to_owned),
        ..PageSettings::default()
    };
    Pages::new(&settings, &PublicUrl::parse(public_url).unwrap(), "/oauth2").unwrap()
}

fn pages() -> Pages {
    site("https://dash.test", Some("help@dash.test"))
}

fn circumstances(return_to: &ReturnTo) -> Circumstances<'_> {
    Circumstances {
        reference: Reference::from_bytes([1, 2, 3, 4, 5]),
        now: UnixTime::from_seconds(1_000_000_000),
        return_to: Some(return_to),
    }
}

/// Every page that tells of no fault; whatever text somebody else may choose in it is `text`.
fn plain_pages(text: &str) -> Vec<Page> {
    let signed_in = Some(session(text));
    let end_session = Some(Origin::parse("https://id.test").unwrap());
    let who = |session: Arc<Session>| WhoAmI {
        session,
        idle_expires_in: Duration::from_mins(1),
        absolute_expires_in: Duration::from_mins(10),
        token_expires_in: None,
        headers: vec![text.to_owned(), text.to_owned()],
        others: Some(vec![other_session()]),
        end_session: end_session.clone(),
    };
    let mut overage = (*session(text)).clone();
    overage.identity.groups = Groups::Overage;
    let sign_in = |signed_in: Option<Arc<Session>>| SignIn {
        providers: vec![text.to_owned(), text.to_owned()],
        return_to: boards(),
        signed_in,
    };
    let signed_out = |at_provider, provider: Option<String>| SignedOut {
        at_provider,
        provider,
        return_to: boards(),
    };
    vec![
        Page::SignIn(sign_in(None)),
        Page::SignIn(sign_in(signed_in.clone())),
        Page::ConfirmSignOut(ConfirmSignOut {
            session: signed_in,
            end_session: end_session.clone(),
        }),
        Page::ConfirmSignOut(ConfirmSignOut {
            session: None,
            end_session: None,
        }),
        Page::SignedOut(signed_out(AtProvider::Ended, None)),
        Page::SignedOut(signed_out(AtProvider::MayLive, None)),
        Page::SignedOut(signed_out(AtProvider::MayLive, Some(text.to_owned()))),
        Page::WhoAmI(who(session(text))),
        Page::WhoAmI(who(Arc::new(overage))),
    ]
}

/// Every document there is.
fn documents(pages: &Pages, text: &str, return_to: &ReturnTo) -> Vec<String> {
    let all = Language::ALL.into_iter();
    all.flat_map(|language| documents_in(language, pages, text, return_to))
        .collect()
}

/// Every document in one language.
fn documents_in(
    language: Language,
    pages: &Pages,
    text: &str,
    return_to: &ReturnTo,
) -> Vec<String> {
    let circumstances = circumstances(return_to);
    let fault = |fault| {
        pages
            .fault(&fault, language, Framing::Alone, &circumstances)
            .unwrap()
            .body
    };
    let page = |page| pages.page(&page, language, &circumstances).unwrap().body;
    let of_faults = faults(text).into_iter().map(fault);
    of_faults
        .chain(plain_pages(text).into_iter().map(page))
        .collect()
}

/// A document's tags in order, each with the names of its attributes. Panics where the document is
/// not what a strict reader would take: tags that do not nest, attributes without quotes, a stray
/// `<`, or an `&` that begins no character reference.
fn tags(document: &str) -> Vec<String> {
    const VOID: [&str; 3] = ["meta", "br", "path"];
    let mut rest = document
        .strip_prefix("<!doctype html>\n")
        .expect("a doctype");
    let (mut found, mut open) = (Vec::new(), Vec::new());
    while let Some(at) = rest.find('<') {
        check_text(&rest[..at], &open);
        rest = &rest[at + 1..];
        let end = end_of_tag(rest);
        let inside = rest[..end].trim_end_matches('/');
        rest = &rest[end + 1..];
        if let Some(name) = inside.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "{document}");
            found.push(format!("/{name}"));
            continue;
        }
        let (name, attributes) = inside.split_once(' ').unwrap_or((inside, ""));
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric()), "<{name}>");
        found.push(format!("{name} {}", attribute_names(attributes).join(" ")));
        if !VOID.contains(&name) {
            open.push(name.to_owned());
        }
    }
    assert!(
        open.is_empty() && rest.trim().is_empty(),
        "{open:?} {rest:?}"
    );
    found
}

fn end_of_tag(rest: &str) -> usize {
    let mut quoted = false;
    rest.find(|c| {
        quoted ^= c == '"';
        c == '>' && !quoted
    })
    .expect("a tag that ends")
}

fn attribute_names(mut text: &str) -> Vec<String> {
    let mut names = Vec::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").expect("a quoted attribute");
        let (value, rest) = rest.split_once('"').expect("a quote that ends");
        assert!(
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
            "{name}"
        );
        check_references(value);
        names.push(name.to_owned());
        text = rest.trim_start();
    }
    names
}

fn check_text(text: &str, open: &[String]) {
    if open.last().is_none_or(|name| name != "style") {
        assert!(!text.contains('>'), "{text}");
        check_references(text);
    }
}

fn check_references(text: &str) {
    for part in text.split('&').skip(1) {
        let (name, _) = part.split_once(';').expect("a character reference");
        assert!(
            ["amp", "lt", "gt", "quot"].contains(&name) || name.starts_with('#'),
            "&{name};"
        );
    }
}

// T5: small, whole, one heading, one main part, and nothing fetched from anywhere.
#[test]
fn every_page_is_small_whole_and_loads_nothing() {
    for document in documents(&pages(), "alice@dash.test", &boards()) {
        assert!(document.len() < 10 * 1024, "{} bytes", document.len());
        let tags = tags(&document);
        let is = |tag: &str, name: &str| tag.split(' ').next() == Some(name);
        let count = |name: &str| tags.iter().filter(|tag| is(tag, name)).count();
        for one in ["html", "head", "title", "body", "main", "h1", "style"] {
            assert_eq!(count(one), 1, "{one}: {document}");
        }
        for never in [
            "script", "link", "img", "iframe", "object", "embed", "base", "input",
        ] {
            assert_eq!(count(never), 0, "{never}: {document}");
        }
        assert!(
            tags.iter()
                .all(|tag| !tag.contains("style ") || tag == "style ")
        );
        for never in ["src=", "@import", "url(", "<script", "http-equiv"] {
            assert!(!document.contains(never), "{never}: {document}");
        }
        let handler = |name: &str| name.starts_with("on");
        assert!(!tags.iter().any(|tag| tag.split(' ').skip(1).any(handler)));
        assert!(document.contains("width=device-width, initial-scale=1\""));
        assert!(!document.contains("user-scalable") && !document.contains("maximum-scale"));
    }
}

// Every document, for the browser stories, which show each one to a browser without scripts.
#[test]
fn every_page_is_laid_out_for_browsers_to_show() {
    let folder = std::path::PathBuf::from("test-output/pages"); // tests run in the package's folder
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).unwrap();
    for language in Language::ALL {
        let all = documents_in(language, &pages(), "alice@dash.test", &boards());
        for (at, text) in all.iter().enumerate() {
            let file = folder.join(format!("{}-{at:03}.html", language.tag()));
            std::fs::write(file, text).unwrap();
        }
    }
}

#[test]
fn every_page_says_its_language_and_has_its_texts() {
    for language in Language::ALL {
        let lang = format!("<html lang=\"{}\">", language.tag());
        let reference = language.words().footer.reference;
        for document in documents_in(language, &pages(), "x", &boards()) {
            assert!(document.contains(&lang), "{document}");
            assert!(document.contains(reference), "{document}");
            let (_, body) = document.split_once("</style>").unwrap();
            assert!(!body.contains(['{', '}']), "{body}");
        }
    }
}

// A22: the policy allows exactly the style that is sent.
#[test]
fn the_policy_names_the_hash_of_the_style_that_is_sent() {
    let pages = pages();
    for document in documents(&pages, "x", &boards()) {
        let (_, rest) = document.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let hash = STANDARD.encode(digest(&SHA256, style.as_bytes()));
        assert_eq!(pages.style_hash(), format!("'sha256-{hash}'"));
    }
}

#[test]
fn every_template_may_be_replaced() {
    let ours: Vec<&str> = TEMPLATES.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, PAGE_TEMPLATES);
}

fn with_templates(templates: &[(&str, &str)], style: Option<&str>) -> Result<Pages, PagesError> {
    let settings = PageSettings {
        templates: templates
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect(),
        style: style.map(str::to_owned),
        ..PageSettings::default()
    };
    let public_url = PublicUrl::parse("https://dash.test").unwrap();
    Pages::new(&settings, &public_url, "/oauth2")
}

// A9, A22: a template of the operator's own is tried before anybody sees it; what it shows is escaped.
#[test]
fn a_template_that_cannot_be_shown_is_found_before_it_is() {
    let refused = |text: &str| {
        with_templates(&[("error.html", text)], None)
            .unwrap_err()
            .to_string()
    };
    assert!(refused("{% if %}").starts_with("error.html, line 1: "));
    assert!(refused("{{ words.steps.nothing }} {{ reference }}").contains("error.html, line 1"));
    assert!(refused("{{ words.no.such.text }} {{ reference }}").contains("error.html, line 1"));
    assert!(refused("{{ words.steps.go_to|fill(hots=1) }}").contains("error.html, line 1"));
    assert!(refused("<h1>Oh</h1>").contains("does not show the reference"));
    for forbidden in [
        "<SCRIPT>x</script>",
        "<link rel=x>",
        "<p style=\"color:red\">",
        "<style>x</style><style>y</style>",
    ] {
        let text = format!("{forbidden}{{{{ reference }}}}");
        assert!(refused(&text).contains("forbids"), "{forbidden}");
    }
    let huge = "{% for i in range(9000) %}0123456789012345678901234567890123456789{% endfor %}{{ reference }}";
    assert!(refused(huge).contains("bytes, more than"));
    let own = "{% extends \"base.html\" %}{% block content %}<p>Ours: {{ advice }} {{ code }} {{ step.label }}</p>{% endblock %}";
    let pages = with_templates(&[("error.html", own)], Some("p{color:teal}</style>")).unwrap();
    let html = pages
        .fault(
            &Fault::NoRoute,
            Language::German,
            Framing::Alone,
            &circumstances(&way("/x")),
        )
        .unwrap();
    assert!(html.body.contains("<p>Ours: "), "{}", html.body);
    assert_eq!(html.body.matches("</style>").count(), 1);
    let (_, rest) = html.body.split_once("<style>").unwrap();
    let (style, _) = rest.split_once("</style>").unwrap();
    assert!(style.contains("p{color:teal}"), "{style}");
    assert_eq!(pages.style_hash(), source_of(style));
}

/// What an attacker would like to see on a page of ours.
fn hostile() -> Vec<String> {
    vec![
        "<script>alert(1)</script>".to_owned(),
        "\"><script>alert(1)</script>".to_owned(),
        "' onmouseover='alert(1)".to_owned(),
        "\" autofocus onfocus=\"alert(1)".to_owned(),
        "</style><script>alert(1)</script>".to_owned(),
        "</title><svg onload=alert(1)>".to_owned(),
        "<!--".to_owned(),
        "javascript:alert(1)".to_owned(),
        "{{ 7*7 }}{% raw %}".to_owned(),
        "&lt;script&gt;&amp;".to_owned(),
        "a\r\nSet-Cookie: a=b\r\n\r\n<script>".to_owned(),
        "\u{202e}\u{2066}gpj.exe\u{200b}\u{feff}".to_owned(),
        "nul\0byte\u{1b}[31m\u{85}\u{2028}\u{2029}".to_owned(),
        "<script>\u{202e}\r\n\0".repeat(6000),
    ]
}

// A9, T5: whoever chose a text, it cannot add a tag, an attribute or a character that is not seen.
#[test]
fn a_hostile_text_changes_nothing_but_the_text() {
    let calm: Vec<Vec<String>> = documents(&pages(), "calm", &way("/calm"))
        .iter()
        .map(|document| tags(document))
        .collect();
    for text in hostile() {
        let documents = documents(&pages(), &text, &way(HOSTILE_WAY));
        for (document, calm) in documents.iter().zip(&calm) {
            // Twice the same text is twice the same provider's link, calm or not.
            assert_eq!(&tags(document), calm, "{text:.60}");
            assert!(!document.contains("<script"), "{text:.60}");
            let unseen = |c: char| c != '\n' && crate::app::shown::is_invisible(c);
            assert!(!document.contains(unseen), "{text:.60}");
        }
    }
}

// A22, A9: the one page with a script: the script is ours to the byte and has nothing of anybody's in
// it; the page that was wanted stands in a link.
#[test]
fn the_one_script_is_allowed_by_its_hash_and_is_the_same_for_everybody() {
    let wanted = boards();
    let mut scripts = std::collections::BTreeSet::new();
    for language in Language::ALL {
        for place in ["/", "/calm?a=b", HOSTILE_WAY] {
            let page = Page::KeepFragment(way(place));
            let circumstances = circumstances(&wanted);
            let html = pages().page(&page, language, &circumstances).unwrap();
            let (before, rest) = html.body.split_once("<script>").unwrap();
            let (script, after) = rest.split_once("</script>").unwrap();
            assert!(!after.contains("<script") && !before.contains("<script"));
            let hash = STANDARD.encode(digest(&SHA256, script.as_bytes()));
            assert_eq!(html.script, Some(format!("'sha256-{hash}'")));
            scripts.insert(script.to_owned());
            let names = tags(&html.body.replace(script, "")).join(" ");
            assert!(
                !names.contains("onclick") && names.contains("a class id href"),
                "{names}"
            );
            // The way back is the link's last parameter: the script adds the fragment to its end.
            let href = before.split("id=\"go\" href=\"").nth(1).unwrap();
            let href = href.split('"').next().unwrap().replace("&#x2f;", "/");
            let (_, wanted) = href.rsplit_once("return_to=").unwrap();
            assert!(!wanted.contains('&'), "{href}");
        }
    }
    assert_eq!(scripts.len(), 1);
    for document in documents(&pages(), "x", &boards()) {
        assert!(!document.contains("<script"));
    }
}

#[test]
fn only_the_page_for_frames_may_be_framed_and_only_by_whom_the_operator_named() {
    let origins = [
        Origin::parse("https://portal.test").unwrap(),
        Origin::parse("https://b.test:8443").unwrap(),
    ];
    let embedded = pages().embedded_in(&origins);
    let boards = boards();
    let circumstances = circumstances(&boards);
    for fault in faults("x") {
        for (pages, framing) in [
            (&pages(), Framing::Framed),
            (&embedded, Framing::Alone),
            (&embedded, Framing::Framed),
        ] {
            let html = pages.fault(&fault, Language::English, framing, &circumstances);
            let html = html.unwrap();
            let may = matches!(fault, Fault::LoginRequired)
                && framing == Framing::Framed
                && std::ptr::eq(pages, &raw const embedded);
            let wanted = may.then_some("https://portal.test https://b.test:8443");
            assert_eq!(html.frame_ancestors.as_deref(), wanted, "{fault:?}");
            assert_eq!(html.body.contains("target=\"_blank\""), may);
        }
    }
}

// A9: 100 KB in every slot leave a page that a person can read.
#[test]
fn a_huge_text_is_cut_in_every_slot() {
    for document in documents(&pages(), &"W".repeat(100_000), &way("/x")) {
        if document.contains("provider=") {
            continue; // A provider's id must be whole to mean it, and the operator chose it.
        }
        assert!(document.len() < 24 * 1024, "{} bytes", document.len());
        assert!(!document.contains(&"W".repeat(202)));
    }
}

// A9: a link of ours leads to us, whatever the way back says.
#[test]
fn every_link_leads_to_ourselves_or_to_the_operators_contact() {
    for text in hostile() {
        for document in documents(&pages(), &text, &way("/x")) {
            for link in document.split("href=\"").skip(1) {
                let href = link.split('"').next().unwrap();
                let href = href.replace("&#x2f;", "/");
                assert!(
                    href.starts_with("https://dash.test/")
                        || href == "/x"
                        || href.starts_with("mailto:help@dash.test?")
                        || href.starts_with("/boards/7"),
                    "{href:.100}"
                );
            }
        }
    }
}

#[test]
fn a_form_may_lead_to_ourselves_and_to_where_the_provider_signs_out() {
    let wanted = |page: &Page| match page {
        Page::SignIn(_) | Page::SignedOut(_) | Page::KeepFragment(_) => "'none'",
        Page::ConfirmSignOut(confirm) if confirm.end_session.is_none() => "'self'",
        Page::ConfirmSignOut(_) | Page::WhoAmI(_) => "'self' https://id.test",
    };
    for page in plain_pages("x") {
        let html = pages()
            .page(&page, Language::English, &circumstances(&way("/")))
            .unwrap();
        assert_eq!(html.form_action, wanted(&page));
        let form = "<form method=\"post\" action=\"/oauth2/sign_out\">".to_owned();
        let shown = html.body.replace("&#x2f;", "/");
        assert_eq!(
            shown.contains(&form),
            html.form_action != "'none'",
            "{shown}"
        );
    }
    for fault in faults("x") {
        let html = pages()
            .fault(
                &fault,
                Language::English,
                Framing::Alone,
                &circumstances(&way("/")),
            )
            .unwrap();
        assert_eq!(html.form_action, "'none'");
        assert!(!html.body.contains("<form"));
    }
}

#[test]
fn a_public_url_with_a_path_keeps_it_in_every_link() {
    let pages = site("https://dash.test/ops", None);
    assert_eq!(
        pages.login_url(Some(&way("/ops/x?a=b&c=d"))),
        "https://dash.test/ops/oauth2/start?return_to=%2Fops%2Fx%3Fa%3Db%26c%3Dd"
    );
    let page = pages
        .page(
            &plain_pages("x")[2],
            Language::English,
            &circumstances(&way("/")),
        )
        .unwrap();
    let shown = page.body.replace("&#x2f;", "/");
    assert!(shown.contains("action=\"/ops/oauth2/sign_out\""), "{shown}");
}

#[test]
fn who_is_denied_can_choose_another_account_and_keeps_the_way_back() {
    let fault = faults("x").remove(0);
    let page = pages()
        .fault(
            &fault,
            Language::English,
            Framing::Alone,
            &circumstances(&boards()),
        )
        .unwrap()
        .body;
    let shown = page.replace("&#x2f;", "/").replace("&amp;", "&");
    let link = "https://dash.test/oauth2/start?switch=1&return_to=%2Fboards%2F7%3Ffrom%3Dnow-6h%26to%3Dnow";
    assert!(shown.contains(link), "{shown}");
    assert!(shown.contains("You are signed in as <strong>x</strong>"));
    let contact = "write to <a href=\"mailto:help@dash.test?subject=Reference%20";
    assert!(shown.contains(contact), "{shown}");
}

#[test]
fn a_contact_is_a_link_only_where_it_is_one() {
    for (support, wanted) in [
        (
            "help@dash.test",
            Some("mailto:help@dash.test?subject=Reference%20R"),
        ),
        ("https://help.test/x", Some("https://help.test/x")),
        ("http://help.test/x", None),
        ("javascript:alert(1)", None),
        ("data:text/html,x@y", None),
        ("a@b?bcc=c@d", None),
        ("a@b@c", None),
        ("@b", None),
        ("extension 4711", None),
    ] {
        assert_eq!(support_href(support, "R").as_deref(), wanted, "{support}");
    }
}

/// The values of the style's variables in one of its two schemes.
fn colours(scheme: &str) -> impl Fn(&str) -> [f64; 3] + '_ {
    move |name| {
        let mark = format!("--{name}:#");
        let (_, rest) = scheme.split_once(&mark).unwrap();
        let hex: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
        let hex = if hex.len() == 3 {
            hex.chars().flat_map(|c| [c, c]).collect()
        } else {
            hex
        };
        [0, 2, 4].map(|at| {
            let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        })
    }
}

/// WCAG 2.2, "contrast ratio".
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let luminance = |[r, g, b]: [f64; 3]| 0.2126 * r + 0.7152 * g + 0.0722 * b;
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn text_can_be_read_in_both_schemes() {
    let (light, dark) = STYLE.split_once("prefers-color-scheme:dark").unwrap();
    for scheme in [light, dark] {
        let colour = colours(scheme);
        for (text, ground) in [
            ("ink", "card"),
            ("ink", "ground"),
            ("soft", "card"),
            ("accent", "card"),
            ("on-accent", "accent"),
            ("good", "card"),
            ("bad", "card"),
        ] {
            let ratio = contrast(colour(text), colour(ground));
            assert!(ratio >= 4.5, "{text} on {ground}: {ratio:.2}");
        }
    }
    for kept in [
        ":focus-visible",
        "prefers-reduced-motion",
        "color-scheme:light dark",
    ] {
        assert!(STYLE.contains(kept), "{kept}");
    }
}
