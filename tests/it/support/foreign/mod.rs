//! Providers that others wrote, each a process of its own, behind one set of words: start, sign in,
//! sign out, change groups, revoke, count.
//!
//! A process says `ready <issuer>` first and ends when its standard input does, so that nothing
//! outlives a test, however that ends.

mod process;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use sidegate::base::clock::Clock;
use sidegate::demo::provider::{Endpoint, Lifetimes, User};
use url::Url;

use process::Process;

use super::browser::{Browser, Page};
use super::instance::{Instance, PUBLIC, register, yaml};
use super::provider::TestProvider;
use super::upstream::Upstream;

/// Who is signed in at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Make {
    /// The embedded provider.
    Embedded,
    /// npm's `oidc-provider`, on Node.
    OidcProvider,
    /// Authlib on Flask.
    Authlib,
    /// Debian's `glewlwyd`.
    Glewlwyd,
}

/// A provider that runs. It ends when it is dropped.
pub(crate) struct SomeProvider {
    pub(crate) make: Make,
    pub(crate) issuer: String,
    runs: Runs,
}

enum Runs {
    Here(Box<TestProvider>),
    Apart(#[expect(dead_code, reason = "it ends when this is dropped")] Process),
}

/// Provider, app and gate.
pub(crate) struct Abroad {
    pub(crate) provider: SomeProvider,
    pub(crate) app: Upstream,
    pub(crate) gate: Instance,
}

// -------------------------------------------------------------------------------- SomeProvider

impl SomeProvider {
    /// Starts one, with the gate registered as `dashboards`. `more` are settings of that make's own;
    /// its program says which there are.
    pub(crate) fn start(make: Make, more: &Value) -> Self {
        let (issuer, runs) = match make {
            Make::Embedded => embedded(),
            Make::OidcProvider => {
                let process = Process::start(&mut process::oidc_provider(more));
                (process.said.clone(), Runs::Apart(process))
            }
            Make::Authlib => {
                let process = Process::start(&mut process::python("authlib", more));
                (process.said.clone(), Runs::Apart(process))
            }
            Make::Glewlwyd => {
                let process = Process::start(&mut process::python("glewlwyd", more));
                (process.said.clone(), Runs::Apart(process))
            }
        };
        let provider = Self { make, issuer, runs };
        provider.set_groups("alice", &["admins", "dev"]);
        provider
    }

    /// Starts one that issues a refresh token with every code, a new one for each use of it, and
    /// access tokens that live for so many seconds.
    pub(crate) fn renewing(make: Make, seconds: u64) -> Self {
        let provider = match make {
            Make::OidcProvider => {
                Self::start(make, &json!({ "REFRESH": "always", "LIFETIME": seconds }))
            }
            _ => Self::start(make, &json!({ "access_token_lifetime": seconds })),
        };
        if let Runs::Here(provider) = &provider.runs {
            provider.provider().set_lifetimes(Lifetimes {
                access_token: Duration::from_secs(seconds),
                ..Lifetimes::default()
            });
        }
        provider
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        let url = Url::parse(&self.issuer).unwrap();
        url.origin().ascii_serialization()
    }

    /// Where it listens, whatever its name is.
    pub(crate) fn address(&self) -> SocketAddr {
        let url = Url::parse(&self.issuer).unwrap();
        ([127, 0, 0, 1], url.port().unwrap()).into()
    }

    /// The clock that a gate in front of it should have. A test may move it.
    pub(crate) fn clock(&self) -> Clock {
        match &self.runs {
            Runs::Here(provider) => provider.clock().clone(),
            Runs::Apart(_) => Clock::settable(Clock::system().now()),
        }
    }

    /// What the provider calls `username` for ever; nothing where it draws lots.
    pub(crate) fn subject(&self, username: &str) -> Option<String> {
        match self.make {
            Make::Embedded => Some(format!("u-{username}")),
            Make::OidcProvider => Some(username.to_owned()),
            Make::Authlib => Some(format!("subject of {username}")),
            Make::Glewlwyd => None,
        }
    }

    /// The e-mail address that is on record there.
    pub(crate) fn address_of(&self, username: &str) -> String {
        let domain = match self.make {
            Make::OidcProvider => "example.test",
            Make::Embedded | Make::Authlib | Make::Glewlwyd => "example.com",
        };
        format!("{username}@{domain}")
    }

    /// Opens `url` and follows, to the app or to a page that waits for a person.
    pub(crate) fn visit(&self, browser: &mut Browser, url: &str) -> Page {
        let page = browser.visit(url);
        if self.make != Make::Glewlwyd || !self.asks(&page) {
            return page;
        }
        // What the script of glewlwyd's login page does first: whoever is known need not sign in.
        let known = browser.fetch("GET", &format!("{}/api/profile_list", self.origin()), "");
        match known.status {
            401 => page,
            _ => browser.visit(&format!(
                "{}&g_continue",
                parameter(&page.url, "callback_url")
            )),
        }
    }

    /// Whether `page` asks who somebody is.
    pub(crate) fn asks(&self, page: &Page) -> bool {
        let asks = match self.make {
            Make::Glewlwyd => page.url.path() == "/login.html",
            _ => page.answer.text().contains("type=\"password\""),
        };
        self.is_here(page) && page.answer.status == 200 && asks
    }

    fn is_here(&self, page: &Page) -> bool {
        page.url.origin().ascii_serialization() == self.origin()
    }

    /// Fills the login that `page` is and follows to the end.
    pub(crate) fn sign_in(&self, browser: &mut Browser, page: &Page, username: &str) -> Page {
        assert!(self.asks(page), "no login: {} {:?}", page.url, page.answer);
        let fields: &[(&str, &str)] = match self.make {
            Make::Embedded | Make::Authlib => &[("username", username), ("password", "sidegate")],
            Make::OidcProvider => &[("login", username), ("password", "sidegate")],
            Make::Glewlwyd => return self.sign_in_by_script(browser, page, username),
        };
        let answer = browser.submit_form(page, fields);
        browser.follow(page.url.as_str(), answer)
    }

    /// What the script of glewlwyd's login page does.
    fn sign_in_by_script(&self, browser: &mut Browser, page: &Page, username: &str) -> Page {
        let person = json!({ "username": username, "password": "sidegate-password" });
        self.script(browser, "POST", "/api/auth/", &person);
        let scope = parameter(&page.url, "scope");
        let grant = format!("/api/auth/grant/{}", parameter(&page.url, "client_id"));
        self.script(browser, "PUT", &grant, &json!({ "scope": scope }));
        browser.visit(&format!(
            "{}&g_continue",
            parameter(&page.url, "callback_url")
        ))
    }

    /// Says yes where the provider asks before it ends its session, and follows to the end.
    pub(crate) fn sign_out(&self, browser: &mut Browser, page: Page) -> Page {
        if !self.is_here(&page) {
            return page; // it asked nothing
        }
        let yes = match self.make {
            Make::Embedded | Make::Authlib => ("decision", "sign_out"),
            Make::OidcProvider => ("logout", "yes"),
            Make::Glewlwyd => return self.sign_out_by_script(browser, &page),
        };
        let answer = browser.submit_form(&page, &[yes]);
        browser.follow(page.url.as_str(), answer)
    }

    fn sign_out_by_script(&self, browser: &mut Browser, page: &Page) -> Page {
        assert_eq!(parameter(&page.url, "prompt"), "end_session");
        let sid = parameter(&page.url, "sid");
        let session = format!("/api/{}/session/{sid}", parameter(&page.url, "plugin"));
        self.script(browser, "DELETE", &session, &Value::Null);
        self.script(browser, "DELETE", "/api/auth/", &Value::Null);
        browser.visit(&parameter(&page.url, "callback_url"))
    }

    fn script(&self, browser: &mut Browser, method: &str, path: &str, body: &Value) {
        let url = format!("{}{path}", self.origin());
        let fields = "Content-Type: application/json\r\nSec-Fetch-Site: same-origin\r\n";
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = browser.request(method, &url, fields, body.as_bytes());
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
    }

    /// From the next token on, `username` is in these groups.
    pub(crate) fn set_groups(&self, username: &str, groups: &[&str]) {
        match &self.runs {
            Runs::Here(provider) => {
                let groups = groups.iter().map(|&group| group.to_owned()).collect();
                provider.provider().set_groups(username, groups).unwrap();
            }
            Runs::Apart(_) => {
                self.control("groups", &json!({ "user": username, "groups": groups }));
            }
        }
    }

    /// Ends all sessions and tokens of `username` there.
    pub(crate) fn revoke(&self, username: &str) {
        match &self.runs {
            Runs::Here(provider) => {
                provider.provider().sign_out_everywhere(username).unwrap();
                drop(provider.provider().take_logout_notices());
            }
            Runs::Apart(_) => {
                self.control("revoke", &json!({ "user": username }));
            }
        }
    }

    /// Tells oidc-provider which gate hears of its logouts.
    pub(crate) fn tells(&self, gate: &Instance) {
        self.control("gate", &json!({ "port": gate.address.port() }));
    }

    /// The logout tokens that oidc-provider sent, and the status of what came back.
    pub(crate) fn logouts(&self) -> Vec<(String, u64)> {
        let sent = self.control("logouts", &Value::Null);
        let one =
            |sent: &Value| Some((sent["token"].as_str()?.to_owned(), sent["status"].as_u64()?));
        sent.as_array()
            .unwrap()
            .iter()
            .map(|sent| one(sent).unwrap())
            .collect()
    }

    /// Other keys of the same names, and nobody is known any more; at Authlib only.
    pub(crate) fn forget_everything(&self) {
        self.control("restart", &json!({}));
    }

    /// How often the token endpoint was asked for this `grant_type`.
    pub(crate) fn token_calls(&self, grant_type: &str) -> usize {
        match &self.runs {
            Runs::Here(provider) => provider
                .hits_of(Endpoint::Token)
                .iter()
                .filter(|hit| hit.form.value("grant_type") == Some(grant_type))
                .count(),
            Runs::Apart(_) => {
                let calls = self.control("calls", &Value::Null);
                let told =
                    |call: &&Value| call["call"] == "token" && call["grant_type"] == grant_type;
                calls.as_array().unwrap().iter().filter(told).count()
            }
        }
    }

    fn control(&self, what: &str, told: &Value) -> Value {
        let mut browser = Browser::new().resolve(&self.origin(), self.address());
        let (method, body) = match told {
            Value::Null => ("GET", String::new()),
            told => ("POST", told.to_string()),
        };
        let url = format!("{}/-/{what}", self.origin());
        let fields = "Content-Type: application/json\r\n";
        let answer = browser.request(method, &url, fields, body.as_bytes());
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        serde_json::from_str(&answer.text()).unwrap()
    }
}

fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs()
        .find_map(|(own, value)| (own == name).then(|| value.into_owned()))
        .unwrap_or_else(|| panic!("{url} has no `{name}`"))
}

fn embedded() -> (String, Runs) {
    let provider = TestProvider::start();
    register(&provider, "dashboards", "/oauth2/callback");
    let alice = sidegate::demo::provider::demo_users().swap_remove(0);
    provider.provider().add_user(User {
        subject: "u-carol".to_owned(),
        username: "carol".to_owned(),
        groups: Vec::new(),
        claims: serde_json::Map::new(),
        ..alice
    });
    let issuer = provider.issuer().to_owned();
    (issuer, Runs::Here(Box::new(provider)))
}

/// The configuration of a gate before `app` at this provider; `lines` go to the provider's settings,
/// `more` to the rest.
pub(crate) fn at(provider: &SomeProvider, app: &str, lines: &str, more: &str) -> String {
    let client = "    client_id: dashboards\n";
    yaml(&provider.issuer, app, more).replace(client, &format!("{client}{lines}"))
}

// ------------------------------------------------------------------------------ Abroad

impl Abroad {
    /// A gate before an app of its own, at this provider; `lines` go to the provider's settings,
    /// `more` to the rest.
    pub(crate) fn start(provider: SomeProvider, lines: &str, more: &str) -> Self {
        let world = Self::start_unasked(provider, lines, more);
        world.gate.await_providers();
        world
    }

    /// The same, without waiting until the provider has answered: it may never do so.
    pub(crate) fn start_unasked(provider: SomeProvider, lines: &str, more: &str) -> Self {
        let app = Upstream::start();
        let text = at(&provider, &app.url(), lines, more);
        let gate = Instance::start(&text, &provider.clock());
        Self {
            provider,
            app,
            gate,
        }
    }

    /// A browser that reaches the gate and the provider under their names.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new()
            .resolve(PUBLIC, self.gate.address)
            .resolve(&self.provider.origin(), self.provider.address())
    }
}
