use super::*;

/// One page of each template.
fn pages() -> Vec<Response<Bytes>> {
    let rig = Rig::with(|options| options.note = Some("<b>& \"note\"".to_owned()));
    let mut browser = Browser::default();
    let sign_in = browser.authorize(&rig, &[]);
    let hint = [("login_hint", "\"><script>alert(1)</script>")];
    let hinted = browser.authorize(&rig, &hint);
    let (action, interaction) = form_of(&sign_in);
    let wrong = [("interaction", interaction.as_str()), ("username", "<i>")];
    let fault = browser.post(&rig, &action, &wrong);
    browser.sign_in(&rig, &sign_in, "alice");
    let form_post = [("response_mode", "form_post"), ("state", "\"'><script>x")];
    vec![
        browser.get(&rig, "/op/"),
        browser.authorize(&rig, &[("prompt", "consent")]),
        browser.authorize(&rig, &form_post),
        browser.get(&rig, "/op/end_session"),
        browser.authorize(&rig, &[("client_id", "<script>")]),
        sign_in,
        hinted,
        fault,
    ]
}

#[test]
fn no_page_has_a_script_or_anything_from_elsewhere() {
    for page in pages() {
        let html = text(&page);
        assert!(html.len() < 10 * 1024, "{} bytes", html.len());
        for word in ["<script", "javascript:", "src=", "<link", "@import", "url("] {
            assert!(!html.contains(word), "{word}: {html}");
        }
        // No handler: no attribute whose name starts with `on`.
        for rest in html.split(" on").skip(1) {
            let name = rest.trim_start_matches(|c: char| c.is_ascii_alphabetic());
            assert!(!name.starts_with('='), "{html}");
        }
        assert!(!html.contains("<b>&") && !html.contains("<i>"), "{html}");
    }
}

#[test]
fn every_page_is_a_whole_document_for_everybody() {
    for page in pages() {
        let html = text(&page);
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"));
        assert_eq!(html.matches("<h1>").count(), 1);
        assert_eq!(html.matches("<main>").count(), 1);
        assert!(html.contains("name=\"viewport\" content=\"width=device-width, initial-scale=1\""));
        assert!(html.contains("not for production"));
        assert!(html.contains("prefers-color-scheme:dark"));
        let inputs = html.matches("<input id=").count();
        assert_eq!(html.matches("<label for=").count(), inputs);
    }
}

#[test]
fn every_page_is_sent_with_its_policy() {
    for page in pages() {
        let headers = page.headers();
        let style = text(&page).split_once("<style>").unwrap().1;
        let style = style.split_once("</style>").unwrap().0;
        let hash = STANDARD.encode(digest(&SHA256, style.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; frame-ancestors 'none'"
        );
        for (name, value) in [
            ("content-security-policy", policy.as_str()),
            ("content-type", "text/html; charset=utf-8"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
    }
}
