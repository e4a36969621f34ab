//! What our cookies are called, where they are valid, and what their sealed values are bound to.
//!
//! The name carries a hash of the clients and of the public URL, so two gates on one host (other
//! port, other path, other client) never touch each other's cookies: cookies know no ports, and a
//! browser sends those of `/` to every path (RFC 6265bis section 8.5).

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};

use super::{CookieKept, CookieSettings, SameSite};
use crate::base::origin::{Host, PublicUrl, Scheme};

/// The most a `Path` or `Domain` attribute may hold; browsers ignore longer ones
/// (RFC 6265bis section 5.6).
const MAX_ATTRIBUTE_BYTES: usize = 1024;
/// The operator's part of a name: enough for a word, and small beside the value.
const MAX_NAME_BYTES: usize = 64;
/// Characters of base32 that tell gates apart: 60 bits.
const GATE_HASH_CHARS: usize = 12;
/// Characters of base32 that tell logins in flight apart: 40 bits.
const LOGIN_HASH_CHARS: usize = 8;
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The names and attributes of this gate's cookies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieNames {
    base: String,
    /// Client ids and public URL, which every sealed value is bound to beside its name.
    gate: Vec<u8>,
    session_context: Vec<u8>,
    attributes: Attributes,
}

/// Where the cookies are valid. A removal must repeat these, or the browser keeps the cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) transport: Scheme,
    pub(super) same_site: SameSite,
    pub(super) path: String,
    pub(super) domain: Option<String>,
    pub(super) kept: CookieKept,
}

/// The settings give no cookie that a browser would keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CookieNamesError {
    /// The operator's name is not one to 64 letters, digits, `-` and `_`, beginning with a letter
    /// or digit.
    #[error("a cookie name is 1 to 64 letters, digits, `-` or `_`, and begins with no sign")]
    Name,
    /// The domain is no name with a dot in it that the public host equals or lies below.
    #[error("the cookie domain must be the public host or a parent of it, and no address")]
    Domain,
    /// The public URL's path is longer than a `Path` attribute may be.
    #[error("the path of the public URL is longer than a cookie's Path may be")]
    Path,
}

/// A login's part of its cookie's name: eight characters derived from its `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LoginTag([u8; LOGIN_HASH_CHARS]);

/// Which of our cookies a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// The session, or its first part.
    Session,
    /// Part 1 to 9 of a session that was split.
    Part(usize),
    /// A login in flight.
    Login(LoginTag),
}

impl CookieNames {
    /// Names for the gate at `public`, whose providers know it by `client_ids` (their canonical
    /// text: any fixed order and separator).
    ///
    /// The name is `__Host-NAME-HASH` on https; `__Secure-NAME-HASH` where a path or a domain rule
    /// out the stronger prefix (RFC 6265bis section 4.1.3); `NAME-HASH` on plain http, where
    /// browsers refuse both prefixes. Which plain http URLs are acceptable is not judged here.
    ///
    /// # Errors
    /// [`CookieNamesError`]: settings that no browser would keep a cookie for.
    pub fn new(
        settings: &CookieSettings,
        public: &PublicUrl,
        client_ids: &str,
    ) -> Result<Self, CookieNamesError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let sound = settings.name.len() <= MAX_NAME_BYTES
            && settings
                .name
                .starts_with(|c: char| c.is_ascii_alphanumeric())
            && settings.name.bytes().all(plain);
        if !sound {
            return Err(CookieNamesError::Name);
        }
        if public.path().len() > MAX_ATTRIBUTE_BYTES {
            return Err(CookieNamesError::Path);
        }
        let domain = settings
            .domain
            .as_deref()
            .map(|domain| parse_domain(domain, public.origin().host()))
            .transpose()?;
        let transport = public.origin().scheme();
        let prefix = match transport {
            Scheme::Http => "",
            Scheme::Https if public.path().is_empty() && domain.is_none() => "__Host-",
            Scheme::Https => "__Secure-",
        };
        // The domain is part of the hash because a cookie with another Domain is another cookie
        // to the browser: under one name, a logout would remove one and leave the other.
        let port = public.origin().port().to_string();
        let hash = base32(
            &framed(&[
                client_ids,
                public.origin().host().as_str(),
                &port,
                public.path(),
                domain.as_deref().unwrap_or_default(),
            ]),
            GATE_HASH_CHARS,
        );
        let base = format!("{prefix}{}-{hash}", settings.name);
        let gate = framed(&[client_ids, &public.to_string()]);
        Ok(Self {
            session_context: bound(&base, &gate),
            gate,
            base,
            attributes: Attributes {
                transport,
                same_site: settings.same_site,
                path: if public.path().is_empty() {
                    "/".to_owned()
                } else {
                    public.path().to_owned()
                },
                domain,
                kept: settings.kept,
            },
        })
    }

    /// The session cookie's name, from which all others are made.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.base
    }

    /// The name of part `index` of a session that was split.
    #[must_use]
    pub fn part(&self, index: usize) -> String {
        format!("{}.{index}", self.base)
    }

    /// The name of the cookie of the login with this `state`.
    #[must_use]
    pub fn login(&self, state: &str) -> String {
        self.login_with(LoginTag::of(state))
    }

    /// Whether a cookie of this name is this gate's own: it must not reach the upstream, and the
    /// upstream must not set it. True for the session's name itself and for whatever begins with
    /// it and `.` or `-l-`, in this case only; a longer word such as `NAMEx` is a neighbour.
    #[must_use]
    pub fn is_own(&self, name: impl AsRef<[u8]>) -> bool {
        name.as_ref()
            .strip_prefix(self.base.as_bytes())
            .is_some_and(|rest| {
                rest.is_empty() || rest.starts_with(b".") || rest.starts_with(b"-l-")
            })
    }

    /// The associated data that seals a value to the cookie `name`, these clients and this public
    /// URL. `""` stands for a value that travels in no cookie.
    #[must_use]
    pub fn context(&self, name: &str) -> Vec<u8> {
        bound(name, &self.gate)
    }

    /// [`CookieNames::context`] of the session cookie, made once.
    pub(super) fn session_context(&self) -> &[u8] {
        &self.session_context
    }

    pub(super) fn login_with(&self, tag: LoginTag) -> String {
        let tag: String = tag.0.iter().map(|&b| char::from(b)).collect();
        format!("{}-l-{tag}", self.base)
    }

    pub(super) fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Which of our cookies `name` is, to the byte.
    pub(super) fn slot(&self, name: &[u8]) -> Option<Slot> {
        match name.strip_prefix(self.base.as_bytes())? {
            [] => Some(Slot::Session),
            [b'.', digit @ b'1'..=b'9'] => Some(Slot::Part(usize::from(digit - b'0'))),
            [b'-', b'l', b'-', tag @ ..] => {
                let tag: [u8; LOGIN_HASH_CHARS] = tag.try_into().ok()?;
                tag.iter()
                    .all(|b| BASE32.contains(b))
                    .then_some(Slot::Login(LoginTag(tag)))
            }
            _ => None,
        }
    }
}

impl LoginTag {
    pub(super) fn of(state: &str) -> Self {
        let mut tag = [0; LOGIN_HASH_CHARS];
        let hash = base32(state.as_bytes(), LOGIN_HASH_CHARS);
        for (slot, byte) in tag.iter_mut().zip(hash.bytes()) {
            *slot = byte;
        }
        Self(tag)
    }
}

/// A domain as the attribute wants it: canonical, without the leading dot of old.
fn parse_domain(text: &str, host: &Host) -> Result<String, CookieNamesError> {
    let domain = Host::parse(text.strip_prefix('.').unwrap_or(text))
        .map_err(|_| CookieNamesError::Domain)?;
    let name = domain.as_str();
    let covers = host
        .as_str()
        .strip_suffix(name)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let address = name.starts_with('[') || name.parse::<IpAddr>().is_ok();
    if covers && !address && name.contains('.') {
        Ok(name.to_owned())
    } else {
        Err(CookieNamesError::Domain)
    }
}

fn bound(name: &str, gate: &[u8]) -> Vec<u8> {
    let mut bytes = framed(&[name]);
    bytes.extend_from_slice(gate);
    bytes
}

/// The parts, each after its length: no two lists of parts give the same bytes.
fn framed(parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

/// The first `count` (at most 12) characters of the SHA-256 of `bytes` in lower-case base32
/// (RFC 4648 section 6).
fn base32(bytes: &[u8], count: usize) -> String {
    let hash = digest(&SHA256, bytes);
    let word = hash
        .as_ref()
        .first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first));
    (0..12_u32)
        .map(|index| (word >> (59 - 5 * index)) & 31)
        .filter_map(|five| BASE32.get(usize::try_from(five).ok()?))
        .map(|&b| char::from(b))
        .take(count)
        .collect()
}

#[cfg(test)]
mod tests;
