//! A browser as far as a login needs one: it keeps cookies by the rules, says what a navigation
//! says, and follows redirects one by one when told to. Names lead to the test's own servers,
//! whatever the scheme: TLS is somebody else's in front.

use std::collections::HashMap;
use std::net::SocketAddr;

use url::Url;

use super::raw::{self, Answer};

/// One cookie in the jar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cookie {
    pub(crate) host: String,
    pub(crate) domain: Option<String>,
    pub(crate) path: String,
    pub(crate) secure: bool,
    pub(crate) name: String,
    pub(crate) value: String,
}

/// How the jar takes what a site sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookies {
    Kept,
    /// Cookies whose name has no `-l-` in it: the session never comes back, the login's do.
    OnlyLogins,
}

#[derive(Debug, Clone)]
pub(crate) struct Browser {
    pub(crate) jar: Vec<Cookie>,
    pub(crate) cookies: Cookies,
    sites: HashMap<String, SocketAddr>,
    /// Hosts whose cookies are refused.
    refused: Vec<String>,
    /// Where following ends: before a URL that begins so is opened.
    ends_before: Option<String>,
    /// Every answer that came, to be searched.
    pub(crate) seen: Vec<Answer>,
}

/// A page: the address that it ended on, and the answer.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) answer: Answer,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self {
            jar: Vec::new(),
            cookies: Cookies::Kept,
            sites: HashMap::new(),
            refused: Vec::new(),
            ends_before: None,
            seen: Vec::new(),
        }
    }

    /// `http://HOST[:PORT]` or `https://...` is served at `address`.
    pub(crate) fn resolve(mut self, origin: &str, address: SocketAddr) -> Self {
        let url = Url::parse(origin).expect("origin");
        self.sites
            .insert(url.origin().ascii_serialization(), address);
        self
    }

    /// From now on this host's cookies are refused.
    pub(crate) fn refuse_from(&mut self, host: &str) {
        self.refused.push(host.to_owned());
    }

    /// From now on following ends before a URL that begins with `start`: the page has that URL and
    /// the redirect that leads to it.
    pub(crate) fn end_before(&mut self, start: &str) {
        self.ends_before = Some(start.to_owned());
    }

    fn address(&self, url: &Url) -> SocketAddr {
        if let Some(address) = self.sites.get(&url.origin().ascii_serialization()) {
            return *address;
        }
        let host = url.host_str().unwrap_or_default();
        format!("{host}:{}", url.port_or_known_default().unwrap_or(80))
            .parse()
            .unwrap_or_else(|_| panic!("{url} is no site of this test"))
    }

    /// Opens `url` as a person does, without following anything.
    pub(crate) fn open(&mut self, url: &str) -> Answer {
        let fields = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: none\r\nSec-Fetch-User: ?1\r\nAccept: text/html,*/*;q=0.8\r\n";
        self.request("GET", url, fields, b"")
    }

    /// Asks as a page's script does.
    pub(crate) fn fetch(&mut self, method: &str, url: &str, more: &str) -> Answer {
        let fields = format!(
            "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Site: same-origin\r\nAccept: */*\r\n{more}"
        );
        self.request(method, url, &fields, b"")
    }

    /// Sends a form of a page at `from`.
    pub(crate) fn submit(&mut self, url: &str, from: &str, body: &str) -> Answer {
        let (to, page) = (
            Url::parse(url).expect("url"),
            Url::parse(from).expect("url"),
        );
        let site = if to.origin() == page.origin() {
            "same-origin"
        } else {
            "cross-site"
        };
        let fields = format!(
            "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: {site}\r\nSec-Fetch-User: ?1\r\nAccept: text/html\r\nOrigin: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n",
            page.origin().ascii_serialization()
        );
        self.request("POST", url, &fields, body.as_bytes())
    }

    /// One request with these fields besides `Host`, `Cookie` and the body's length.
    pub(crate) fn request(&mut self, method: &str, url: &str, fields: &str, body: &[u8]) -> Answer {
        let url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        let cookie = self.cookie_field(&url);
        let cookie = if cookie.is_empty() {
            String::new()
        } else {
            format!("Cookie: {cookie}\r\n")
        };
        let query = url
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        let host = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
            None => url.host_str().unwrap_or_default().to_owned(),
        };
        let length = if body.is_empty() && method != "POST" {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let mut bytes = format!("{method} {}{query} HTTP/1.1\r\nHost: {host}\r\n{fields}{cookie}{length}Connection: close\r\n\r\n", url.path()).into_bytes();
        bytes.extend_from_slice(body);
        let answer = raw::exchange(self.address(&url), bytes);
        for line in answer.all("set-cookie") {
            self.take(&url, line);
        }
        self.seen.push(answer.clone());
        answer
    }

    /// Follows redirects from `answer`, which came from `url`, to the first page that is none.
    pub(crate) fn follow(&mut self, url: &str, mut answer: Answer) -> Page {
        let mut url = Url::parse(url).expect("url");
        for _ in 0..12 {
            if !matches!(answer.status, 301..=303) {
                return Page { url, answer };
            }
            url = url.join(answer.location()).expect("Location");
            let ends = |start: &String| url.as_str().starts_with(start);
            if self.ends_before.as_ref().is_some_and(ends) {
                return Page { url, answer };
            }
            answer = self.open(url.as_str());
        }
        panic!("more than twelve redirects, now at {url}");
    }

    /// Opens `url` and follows.
    pub(crate) fn visit(&mut self, url: &str) -> Page {
        let answer = self.open(url);
        self.follow(url, answer)
    }

    /// Fills the embedded provider's login form, which `page` is, and follows to the end.
    pub(crate) fn sign_in(&mut self, page: &Page, username: &str) -> Page {
        let url = page.url.as_str();
        let answer = self.submit_form(page, &[("username", username), ("password", "sidegate")]);
        self.follow(url, answer)
    }

    /// Opens `url`, signs in where somebody asks, and stops before the callback, which is given.
    pub(crate) fn reach_callback(&mut self, url: &str, username: &str) -> Url {
        let mut url = Url::parse(url).expect("url");
        for _ in 0..6 {
            let mut answer = self.open(url.as_str());
            if answer.status == 200 {
                let form = Page {
                    url: url.clone(),
                    answer,
                };
                let fields = [("username", username), ("password", "sidegate")];
                answer = self.submit_form(&form, &fields);
            }
            url = url.join(answer.location()).expect("Location");
            if url.path().starts_with("/oauth2/callback") {
                return url;
            }
        }
        panic!("never came to a callback, now at {url}");
    }

    /// Submits the first form of `page`, its own hidden fields included, with `values` filled in.
    pub(crate) fn submit_form(&mut self, page: &Page, values: &[(&str, &str)]) -> Answer {
        let html = page.answer.text();
        let (action, fields) = form_of(&html).unwrap_or_else(|| panic!("no form in {html}"));
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &fields {
            if !values.iter().any(|(given, _)| given == name) {
                body.append_pair(name, value);
            }
        }
        for (name, value) in values {
            body.append_pair(name, value);
        }
        let to = page.url.join(&action).expect("action");
        self.submit(to.as_str(), page.url.as_str(), &body.finish())
    }

    /// What a request for `url` says in its `Cookie` field.
    pub(crate) fn cookie_field(&self, url: &Url) -> String {
        let host = url.host_str().unwrap_or_default();
        let fits = |cookie: &&Cookie| {
            let domain = match &cookie.domain {
                Some(domain) => host == domain || host.ends_with(&format!(".{domain}")),
                None => cookie.host == host,
            };
            let path = url.path() == cookie.path
                || (url.path().starts_with(&cookie.path)
                    && (cookie.path.ends_with('/')
                        || url.path()[cookie.path.len()..].starts_with('/')));
            domain && path && (!cookie.secure || url.scheme() == "https")
        };
        let pairs: Vec<_> = self
            .jar
            .iter()
            .filter(fits)
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        pairs.join("; ")
    }

    /// RFC 6265bis section 5.7, as far as a proxy can meet it.
    fn take(&mut self, url: &Url, line: &str) {
        let mut parts = line.split(';');
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let mut cookie = Cookie {
            host: url.host_str().unwrap_or_default().to_owned(),
            domain: None,
            path: "/".to_owned(),
            secure: false,
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
        };
        let (mut gone, mut path_given) = (false, false);
        for attribute in parts {
            let (key, value) = attribute
                .trim()
                .split_once('=')
                .unwrap_or((attribute.trim(), ""));
            match key.to_ascii_lowercase().as_str() {
                "path" => (cookie.path, path_given) = (value.to_owned(), true),
                "domain" => cookie.domain = Some(value.trim_start_matches('.').to_owned()),
                "secure" => cookie.secure = true,
                "max-age" => gone = value.parse::<i64>().is_ok_and(|seconds| seconds <= 0),
                _ => {}
            }
        }
        let too_long = cookie.name.len() + cookie.value.len() > 4096;
        let prefix_broken = (cookie.name.starts_with("__Host-")
            && !(cookie.secure && cookie.domain.is_none() && path_given && cookie.path == "/"))
            || (cookie.name.starts_with("__Secure-") && !cookie.secure)
            || (cookie.secure && url.scheme() != "https");
        let refused = match self.cookies {
            Cookies::Kept => false,
            Cookies::OnlyLogins => !cookie.name.contains("-l-"),
        };
        if too_long || prefix_broken || refused || self.refused.contains(&cookie.host) {
            return;
        }
        let same = |one: &Cookie| {
            (&one.host, &one.domain, &one.path, &one.name)
                == (&cookie.host, &cookie.domain, &cookie.path, &cookie.name)
        };
        self.jar.retain(|one| !same(one));
        if !gone {
            self.jar.push(cookie);
        }
    }

    /// The names of the cookies that are kept for `host`.
    pub(crate) fn names(&self, host: &str) -> Vec<&str> {
        self.jar
            .iter()
            .filter(|cookie| cookie.host == host)
            .map(|cookie| cookie.name.as_str())
            .collect()
    }
}

/// The action and the named fields of the first form.
pub(crate) fn form_of(html: &str) -> Option<(String, Vec<(String, String)>)> {
    let form = html.get(html.find("<form")?..)?;
    let form = form.get(..form.find("</form>")?)?;
    let tag = form.get(..form.find('>')?)?;
    let mut fields = Vec::new();
    for input in form.split("<input").skip(1) {
        let input = input.get(..input.find('>')?)?;
        if let Some(name) = attribute(input, "name") {
            fields.push((name, attribute(input, "value").unwrap_or_default()));
        }
    }
    Some((attribute(tag, "action").unwrap_or_default(), fields))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let rest = tag.get(start..)?;
    let value = rest.get(..rest.find('"')?)?;
    Some(
        value
            .replace("&#x2f;", "/")
            .replace("&#x3d;", "=")
            .replace("&quot;", "\"")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&#39;", "'")
            .replace("&amp;", "&"),
    )
}
