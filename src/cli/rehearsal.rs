//! A request that is judged and not sent: by the same decision and the same rewriting as a real one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request};
use serde_json::{Map, Value};

use crate::app::respond::Fault;
use crate::app::respond::unmet::word;
use crate::base::clock::{Clock, UnixTime};
use crate::base::fields::{SEC_FETCH_DEST, SEC_FETCH_MODE};
use crate::base::peer::{Peer, PeerAddress};
use crate::config::Config;
use crate::gate::access::{Access, Applicant, Missing, Part, Verdict};
use crate::gate::decision::{Decision, Denial, Permit};
use crate::gate::facts::Facts;
use crate::gate::routes::{Matched, Route};
use crate::gate::{Callback, Gate, applicant};
use crate::oidc::user_info::Profile;
use crate::provider::{Admit, ProviderSettings, identity_rules};
use crate::proxy::head::Rewriter;
use crate::session::Session;
use crate::session::evidence::Evidence;
use crate::session::lifetime::{Freshness, SignedIn};
use crate::session::names::CookieNames;

/// The configuration's decision, without anything that serves.
#[derive(Debug)]
pub(super) struct Stage {
    config: Config,
    gate: Gate,
    names: CookieNames,
    now: UnixTime,
}

/// What is asked, and by whom.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// An absolute URL, or a path and query at the host of `public_url`.
    pub(super) url: String,
    /// Fields as a client sends them. Without any, it is what a browser sends that opens a page.
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
    /// Where the connection comes from.
    pub(super) client: IpAddr,
    /// Who is signed in; nobody, where there is nothing.
    pub(super) person: Option<Person>,
}

/// Who is signed in.
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// The provider's id; the first, where none is named.
    pub(super) provider: Option<String>,
    /// What it says: the claims of an ID token or of the `UserInfo`.
    pub(super) claims: Map<String, Value>,
}

/// What becomes of it.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Every reading of the path, as received first.
    pub(super) readings: Vec<String>,
    /// The routes that the readings fall under, the first reading's first.
    pub(super) routes: Vec<Judged>,
    /// In one word: `admitted`, `sign_in`, `step_up`, `own_endpoint`, or the code of a refusal.
    pub(super) word: String,
    /// The same for people.
    pub(super) said: String,
    /// What the app would be told besides what the client says; nothing, where nothing reaches it.
    pub(super) told: Option<Told>,
}

/// A route, and what becomes of its condition.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) name: String,
    pub(super) access: String,
    pub(super) parts: Vec<Part>,
}

/// What the app would get.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) upstream: String,
    pub(super) fields: HeaderMap,
}

/// Why there is nothing to judge.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("the URL is none: write a path such as `/admin/x`, or an `http` or `https` URL")]
    Url,
    #[error("there is no provider `{0}` in the configuration")]
    Provider(String),
    #[error("the claims make no person: {0}")]
    Claims(String),
    #[error("{0}")]
    Config(String),
}

impl Stage {
    /// Sets `config` up.
    pub(super) fn new(config: Config, clock: &Clock) -> Result<Self, Unfit> {
        let callbacks = config.providers.iter().map(|provider| Callback {
            path: provider.redirect_path.clone(),
            provider: provider.id.clone(),
        });
        let gate = Gate::new(
            config.public_url.clone(),
            &config.prefix,
            callbacks.collect(),
            config.routes.clone(),
        );
        let names = CookieNames::new(&config.session.cookie, &config.public_url, "")
            .map_err(|error| Unfit::Config(error.to_string()))?;
        Ok(Self {
            config,
            gate,
            names,
            now: clock.now(),
        })
    }

    /// Judges what is asked.
    pub(super) fn judge(&self, asked: &Asked) -> Result<Outcome, Unfit> {
        let request = self.request(asked)?;
        let session = match &asked.person {
            Some(person) => Some(self.session(person)?),
            None => None,
        };
        let (head, ()) = request.into_parts();
        let peer = Peer::new(PeerAddress::Tcp(SocketAddr::new(asked.client, 1)), 0);
        let facts = match Facts::gather(head, &peer, &self.config.trusted_proxies) {
            Ok(facts) => facts,
            Err(malformed) => return Ok(Outcome::refused(&Fault::Malformed(malformed))),
        };
        let readings = facts.target().readings();
        let readings = readings.map(|one| String::from_utf8_lossy(one).into_owned());
        let readings: Vec<String> = readings.collect();
        let matched = self.gate.route(&facts);
        let applicant = session
            .as_deref()
            .map(|session| applicant(session, &facts, self.now));
        let routes = self.judged(&matched, applicant.as_ref());
        let evidence = match session.as_ref().map(|one| (one, self.not_admitted(one))) {
            None => Evidence::None,
            Some((session, None)) => Evidence::Session(Arc::clone(session), Freshness::Fresh),
            Some((_, Some(missing))) => {
                return Ok(Outcome {
                    readings,
                    routes,
                    word: Fault::missing_code(&missing).to_owned(),
                    said: format!("may not sign in at all: {}", word(&missing)),
                    told: None,
                });
            }
        };
        let (word, said, permit) = match self.gate.decide(matched, facts, &evidence, self.now) {
            Decision::Forward(permit, _) => told("admitted", "the app gets it", Some(permit)),
            Decision::Answer(..) => told("admitted", "the route answers it", None),
            Decision::Preflight(_) => told("preflight", "a preflight, answered by the gate", None),
            Decision::Login(_) | Decision::Reask(_) => {
                told("sign_in", "the browser is sent to sign in", None)
            }
            Decision::StepUp(..) => told("step_up", "the browser is sent to sign in anew", None),
            Decision::Serve(endpoint, _) => {
                let said = format!("one of our own endpoints: {}", endpoint.name());
                told("own_endpoint", &said, None)
            }
            Decision::Deny(denial) => refused(denial),
        };
        let told = permit.map(|permit| self.told(permit)).transpose()?;
        Ok(Outcome {
            readings,
            routes,
            word,
            said,
            told,
        })
    }

    fn request(&self, asked: &Asked) -> Result<Request<()>, Unfit> {
        let (host, target) = match asked.url.strip_prefix('/') {
            Some(_) => (
                self.config.public_url.origin().authority(),
                asked.url.clone(),
            ),
            None => {
                let (_, rest) = asked.url.split_once("://").ok_or(Unfit::Url)?;
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                let (host, target) = rest.split_at_checked(end).ok_or(Unfit::Url)?;
                let slash = if target.starts_with('/') { "" } else { "/" };
                (host.to_owned(), format!("{slash}{target}"))
            }
        };
        let mut request = Request::new(());
        *request.method_mut() = asked.method.clone();
        *request.uri_mut() = target.parse().map_err(|_| Unfit::Url)?;
        let fields = request.headers_mut();
        if asked.fields.is_empty() {
            fields.insert(ACCEPT, HeaderValue::from_static("text/html"));
            fields.insert(SEC_FETCH_MODE.clone(), HeaderValue::from_static("navigate"));
            fields.insert(SEC_FETCH_DEST.clone(), HeaderValue::from_static("document"));
        }
        for (name, value) in &asked.fields {
            fields.append(name, value.clone());
        }
        if !fields.contains_key(HOST) {
            let host = HeaderValue::from_str(&host).map_err(|_| Unfit::Url)?;
            fields.insert(HOST, host);
        }
        Ok(request)
    }

    /// The session of whoever the provider says this of. Where it does not say when they signed in, that
    /// is not known, as with a real one.
    fn session(&self, person: &Person) -> Result<Arc<Session>, Unfit> {
        let settings = self.provider(person.provider.as_deref())?;
        let unfit = |error: &dyn std::fmt::Display| Unfit::Claims(error.to_string());
        let rules = identity_rules(&settings.claims).map_err(|error| unfit(&error))?;
        let body = Value::Object(person.claims.clone()).to_string();
        let profile = Profile::parse(body.as_bytes(), None).map_err(|error| unfit(&error))?;
        let identity = rules.identity_of_oauth2(issuer(settings), &profile);
        let identity = identity.map_err(|error| unfit(&error))?;
        let text = |name: &str| person.claims.get(name).and_then(Value::as_str);
        let number = |name: &str| person.claims.get(name).and_then(Value::as_i64);
        let who = SignedIn {
            identity,
            provider: settings.id.clone(),
            provider_sid: None,
            auth_time: number("auth_time").map(UnixTime::from_seconds),
            acr: text("acr").map(str::to_owned),
            grant: None,
            raw_id_token: None,
        };
        let limits = self.config.session.limits;
        Ok(Arc::new(Session::start(who, [0; 16], limits, self.now)))
    }

    fn provider(&self, id: Option<&str>) -> Result<&ProviderSettings, Unfit> {
        let mut providers = self.config.providers.iter();
        let found = providers.find(|one| id.is_none_or(|id| one.id == id));
        found.ok_or_else(|| Unfit::Provider(id.unwrap_or_default().to_owned()))
    }

    /// What is missing for a sign-in at all.
    fn not_admitted(&self, session: &Session) -> Option<Missing> {
        let settings = self.provider(Some(&session.provider)).ok()?;
        let Admit::When(condition) = &settings.admit else {
            return None;
        };
        let applicant = Applicant::by_identity(&session.provider, &session.identity);
        match condition.judge(&applicant) {
            Verdict::Met => None,
            Verdict::NotMet(missing) => Some(missing),
        }
    }

    fn judged(&self, matched: &Matched, applicant: Option<&Applicant<'_>>) -> Vec<Judged> {
        let Matched::Routes(set) = matched else {
            return Vec::new();
        };
        let routes = set.iter().filter_map(|index| self.gate.named_route(index));
        routes.map(|route| Judged::of(route, applicant)).collect()
    }

    fn told(&self, permit: Permit) -> Result<Told, Unfit> {
        let upstream = self.config.upstreams.get(permit.upstream());
        let upstream = upstream.ok_or_else(|| Unfit::Config("there is no upstream".to_owned()))?;
        let names = self.names.clone();
        let rewriter = Rewriter::new(&self.config.public_url, names, upstream);
        let head = rewriter.outbound(permit, upstream);
        let head = head.map_err(|error| Unfit::Config(error.to_string()))?;
        Ok(Told {
            upstream: upstream.name.clone(),
            fields: head.headers,
        })
    }
}

/// The name under which a provider's people are known.
fn issuer(settings: &ProviderSettings) -> &str {
    &settings.id
}

fn told(word: &str, said: &str, permit: Option<Permit>) -> (String, String, Option<Permit>) {
    (word.to_owned(), said.to_owned(), permit)
}

fn refused(denial: Denial) -> (String, String, Option<Permit>) {
    let fault = Fault::of_denial(denial, |_, _, _| String::new());
    let outcome = Outcome::refused(&fault);
    (outcome.word, outcome.said, None)
}

impl Outcome {
    fn refused(fault: &Fault) -> Self {
        let why = match fault {
            Fault::NotAdmitted(_, unmet) | Fault::StepUpRequired(_, unmet) => {
                word(&unmet.missing).to_owned()
            }
            fault => fault.to_string(),
        };
        Self {
            readings: Vec::new(),
            routes: Vec::new(),
            word: fault.code().to_owned(),
            said: format!("refused with {}: {why}", fault.status().as_u16()),
            told: None,
        }
    }

    /// Whether the app, or what a route answers by itself, is reached.
    pub(super) fn is_admitted(&self) -> bool {
        self.word == "admitted"
    }
}

impl Judged {
    fn of(route: &Route, applicant: Option<&Applicant<'_>>) -> Self {
        let (access, parts) = match &route.access {
            Access::Public => ("public".to_owned(), Vec::new()),
            Access::Optional => ("optional".to_owned(), Vec::new()),
            Access::SignedIn => ("signed_in".to_owned(), Vec::new()),
            Access::When(condition) => {
                let parts = applicant.map(|applicant| condition.parts(applicant));
                (condition.to_string(), parts.unwrap_or_default())
            }
        };
        Self {
            name: route.name.clone(),
            access,
            parts,
        }
    }
}

/// The claim `auth_time` of somebody who signed in `span` ago.
pub(super) fn ago(now: UnixTime, span: Duration) -> Value {
    now.minus(span).as_seconds().into()
}
