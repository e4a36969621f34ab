use std::sync::Arc;

use super::*;
use crate::base::origin::PublicUrl;
use crate::gate::access::{Condition, Named};
use crate::gate::decision::Decision;
use crate::gate::tests::gather;
use crate::gate::{Asker, Gate};
use crate::oidc::claims::Groups;
use crate::session::evidence::Evidence;
use crate::session::lifetime::Freshness;
use crate::session::tests::{START as NOW, session_of};

const ROUTES: usize = 1_000;
const DEFINITIONS: u64 = 200;
const REQUESTS: usize = 100_000;

/// Numbers that are the same in every run (Marsaglia's xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        let len = u64::try_from(of.len()).unwrap();
        of[usize::try_from(self.below(len)).unwrap()]
    }
}

/// The groups of the definitions `g0` to `g199`; each definition is met by one group.
fn definition(number: u64) -> Access {
    let group = Named {
        provider: None,
        name: format!("g{number}"),
    };
    Access::When(Condition {
        groups: Some(vec![group]),
        ..Condition::default()
    })
}

const SEGMENTS: [&str; 9] = ["a", "b", "c", "admin", "Api", "api", "x1", "*", "users"];
const HOSTS: [&str; 3] = ["app.test", "dash.test", "other.test"];
const METHODS: [&str; 4] = ["GET", "POST", "DELETE", "HEAD"];

fn pattern(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..=dice.below(5) {
        text.push('/');
        text.push_str(dice.one(&SEGMENTS));
    }
    match dice.below(3) {
        0 => text + "/**",
        1 if dice.below(8) == 0 => text + "/",
        _ => text,
    }
}

fn route(number: usize, dice: &mut Dice, definitions: &[Access]) -> Route {
    let hosts = match dice.below(4) {
        0 => HostRule::Any,
        1 => HostRule::One(Host::parse("dash.test").unwrap()),
        _ => HostRule::Public,
    };
    let path = (number + 1 < ROUTES).then(|| PathPattern::parse(&pattern(dice)).unwrap());
    let methods = (dice.below(3) == 0).then(|| {
        (0..=dice.below(2))
            .map(|_| Method::from_bytes(dice.one(&METHODS).as_bytes()).unwrap())
            .collect()
    });
    let access = match dice.below(4) {
        0 => Access::Public,
        1 => Access::SignedIn,
        _ => definitions[usize::try_from(dice.below(DEFINITIONS)).unwrap()].clone(),
    };
    Route {
        name: number.to_string(),
        hosts,
        path,
        methods,
        access,
        tried_access: None,
        write_shield: WriteShield::default(),
        client_certificate: None,
        leads: Leads::Upstream(usize::try_from(dice.below(12) / 11).unwrap()),
        websocket_origins: Vec::new(),
        cors: None,
    }
}

/// Whether a pattern matches a path: by their segments, one after the other.
fn obviously_matches<T: AsRef<str>>(pattern: &[T], path: &[&str]) -> bool {
    let first = pattern.first().map(AsRef::as_ref);
    match (first, path) {
        (Some("**"), _) | (None, []) => true,
        (Some("*"), ["", ..]) | (None, _) | (Some(_), []) => false,
        (Some(one), [segment, rest @ ..]) => {
            (one == "*" || one == *segment) && obviously_matches(&pattern[1..], rest)
        }
    }
}

/// A pattern as it is written, in segments; and with its letters small.
struct Written {
    told: Vec<String>,
    ignored: Vec<String>,
}

impl Written {
    fn of(pattern: &PathPattern) -> Self {
        let text = pattern.to_string();
        let split = |text: &str| text.split('/').map(str::to_owned).collect();
        Self {
            told: split(&text),
            ignored: split(&text.to_lowercase()),
        }
    }
}

/// The rules, asked one after the other.
struct Obvious<'a> {
    routes: &'a [Route],
    written: Vec<Option<Written>>,
}

impl<'a> Obvious<'a> {
    fn new(routes: &'a [Route]) -> Self {
        let written = routes
            .iter()
            .map(|route| route.path.as_ref().map(Written::of));
        Self {
            routes,
            written: written.collect(),
        }
    }

    fn first(&self, host: &str, path: &str, method: &Method, ignore_case: bool) -> Option<usize> {
        let path: Vec<&str> = path.split('/').collect();
        let serves = |rule: &HostRule| match rule {
            HostRule::Any => true,
            HostRule::Public => host == "app.test",
            HostRule::One(one) => one.as_str() == host,
        };
        (0..self.routes.len()).find(|&index| {
            let route = &self.routes[index];
            let path_fits = || match &self.written[index] {
                None => true,
                Some(written) if ignore_case => obviously_matches(&written.ignored, &path),
                Some(written) => obviously_matches(&written.told, &path),
            };
            let method_fits = route.methods.as_ref().is_none_or(|list| {
                list.contains(method) || (method == Method::HEAD && list.contains(&Method::GET))
            });
            serves(&route.hosts) && method_fits && path_fits()
        })
    }

    /// The routes that a path falls under: the first, and one that names it exactly save for a slash.
    fn all(
        &self,
        host: &str,
        path: &str,
        method: &Method,
        ignore_case: bool,
    ) -> Option<Vec<usize>> {
        let mut all = vec![self.first(host, path, method, ignore_case)?];
        let twin = match path.strip_suffix('/') {
            Some(without) => without.to_owned(),
            None => format!("{path}/"),
        };
        if !twin.is_empty()
            && let Some(twin) = self.first(host, &twin, method, ignore_case)
            && self.routes[twin]
                .path
                .as_ref()
                .is_some_and(PathPattern::is_exact)
        {
            all.push(twin);
        }
        Some(all)
    }

    /// What becomes of a request, whose readings are `told`, and in small letters `ignored`.
    fn outcome(
        &self,
        (host, method): (&str, &Method),
        (told, ignored): (&[String], &[String]),
        groups: Option<&[String]>,
    ) -> String {
        let mut all = Vec::new();
        let readings = told.iter().map(|path| (path, false));
        for (path, ignore_case) in readings.chain(ignored.iter().map(|path| (path, true))) {
            match self.all(host, path, method, ignore_case) {
                None => return "no route".to_owned(),
                Some(more) => all.extend(more),
            }
        }
        let led = |index: &usize| self.routes[*index].upstream();
        if all.iter().any(|index| led(index) != led(&all[0])) {
            return "many upstreams".to_owned();
        }
        for index in &all {
            match (&self.routes[*index].access, groups) {
                (Access::Public, _) | (Access::SignedIn, Some(_)) => {}
                (Access::When(condition), Some(groups)) => {
                    let wanted = &condition.groups.as_ref().unwrap()[0].name;
                    if !groups.contains(wanted) {
                        return "denied".to_owned();
                    }
                }
                (_, None) => return "sign in".to_owned(),
                (Access::Optional, Some(_)) => unreachable!("no such route is made"),
            }
        }
        format!("route {}", all[0])
    }
}

fn path(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..=dice.below(6) {
        text.push_str(dice.one(&["/", "/", "/", "/", "/", "/", "/", "//", "/./", "/%2f/"]));
        text.push_str(dice.one(&[
            "a", "b", "c", "admin", "ADMIN", "Api", "API", "x1", "y", "us%65rs",
        ]));
    }
    if dice.below(6) == 0 {
        text.push('/');
    }
    text
}

// I13: the compiled rules are the rules, one after the other: 1,000 routes, 200 definitions, 100,000
// requests, some of which can be read in several ways.
#[test]
fn the_index_decides_as_the_rules_asked_one_after_the_other() {
    let mut dice = Dice(0x5eed_0006);
    let definitions: Vec<Access> = (0..DEFINITIONS).map(definition).collect();
    let routes: Vec<Route> = (0..ROUTES)
        .map(|number| route(number, &mut dice, &definitions))
        .collect();
    let obvious = Obvious::new(&routes);
    let public = PublicUrl::parse("https://app.test").unwrap();
    let gate = Gate::new(public, "/oauth2", Vec::new(), routes.clone());
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for number in 0..REQUESTS {
        let (host, method) = (dice.one(&HOSTS), dice.one(&METHODS));
        let (path, method) = (path(&mut dice), method.to_owned());
        let fields = [("host", host), ("accept", "text/html")];
        let facts = gather(&method, &path, &fields).unwrap();
        let navigates = facts.asker() == Asker::Navigation;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let told: Vec<String> = facts.target().unfolded_readings().map(text).collect();
        let small = |reading: &&[u8]| !reading.iter().any(u8::is_ascii_uppercase);
        let ignored: Vec<String> = facts.target().readings().filter(small).map(text).collect();
        let groups: Option<Vec<String>> = (dice.below(4) != 0).then(|| {
            (0..50)
                .map(|_| format!("g{}", dice.below(DEFINITIONS)))
                .collect()
        });
        let asked = facts.method().clone();
        let expected = obvious.outcome((host, &asked), (&told, &ignored), groups.as_deref());
        let evidence = groups.map_or(Evidence::None, |groups| {
            let mut session = session_of("alice");
            session.identity.groups = Groups::Complete(groups);
            Evidence::Session(Arc::new(session), Freshness::Fresh)
        });
        let matched = gate.route(&facts);
        let outcome = match gate.decide(matched, facts, &evidence, NOW) {
            Decision::Forward(permit, _) => format!("route {}", permit.route()),
            Decision::Login(_) => "sign in".to_owned(),
            Decision::Deny(Denial::LoginRequired) if !navigates => "sign in".to_owned(),
            Decision::Deny(Denial::NotAdmitted(..)) => "denied".to_owned(),
            Decision::Deny(Denial::NoRoute) => "no route".to_owned(),
            Decision::Deny(Denial::ManyUpstreams) => "many upstreams".to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(outcome, expected, "{number}: {method} {host} {path}");
        let kind = outcome.split(' ').next().unwrap_or_default().to_owned();
        *seen.entry(kind).or_default() += 1;
    }
    // It would prove little if nearly all of them went the same way.
    for kind in ["route", "sign", "denied", "no", "many"] {
        assert!(
            seen.get(kind).is_some_and(|count| *count > 1_000),
            "{seen:?}"
        );
    }
}
