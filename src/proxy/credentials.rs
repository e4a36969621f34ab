//! Our cookies end here: the app never sees them, and never sets them.

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue, SET_COOKIE};

use crate::session::names::CookieNames;
use crate::session::presented::cookie_pairs;

/// Tells our cookies from the app's.
#[derive(Debug, Clone)]
pub(super) struct OwnCookies(CookieNames);

impl OwnCookies {
    pub(super) fn new(names: CookieNames) -> Self {
        Self(names)
    }

    /// Takes our cookies out of the request. Their neighbours stay byte for byte, in their order,
    /// malformed ones included; a line that held nothing else goes.
    pub(super) fn leave_request(&self, headers: &mut HeaderMap) {
        let ours =
            |line: &HeaderValue| cookie_pairs(line.as_bytes()).any(|pair| self.0.is_own(pair.name));
        if !headers.get_all(COOKIE).iter().any(ours) {
            return;
        }
        let lines: Vec<HeaderValue> = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|line| self.without_ours(line))
            .collect();
        headers.remove(COOKIE);
        for line in lines {
            headers.append(COOKIE, line);
        }
    }

    fn without_ours(&self, line: &HeaderValue) -> Option<HeaderValue> {
        let mut kept: Vec<u8> = Vec::with_capacity(line.len());
        let (mut any, mut all) = (false, true);
        for pair in cookie_pairs(line.as_bytes()) {
            if self.0.is_own(pair.name) {
                all = false;
                continue;
            }
            if any {
                kept.push(b';');
            }
            // The first that stays has no space before it, unless it was the first to begin with.
            let raw = if any || all {
                pair.raw
            } else {
                pair.raw.trim_ascii_start()
            };
            kept.extend_from_slice(raw);
            any = true;
        }
        if all {
            return Some(line.clone());
        }
        if kept.trim_ascii().is_empty() {
            None
        } else {
            HeaderValue::from_bytes(&kept).ok()
        }
    }

    /// Drops what the app sets under a name of ours: it could plant a session, or end one.
    pub(super) fn stay_ours(&self, headers: &mut HeaderMap) {
        let ours = |line: &HeaderValue| {
            let pair = line
                .as_bytes()
                .split(|&byte| byte == b';')
                .next()
                .unwrap_or_default();
            let name = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
            self.0.is_own(name.trim_ascii())
        };
        if !headers.get_all(SET_COOKIE).iter().any(ours) {
            return;
        }
        tracing::warn!(
            event = "upstream_cookie",
            "the app set a cookie under a name of ours; it was dropped"
        );
        let kept: Vec<HeaderValue> = headers
            .get_all(SET_COOKIE)
            .iter()
            .filter(|line| !ours(line))
            .cloned()
            .collect();
        headers.remove(SET_COOKIE);
        for line in kept {
            headers.append(SET_COOKIE, line);
        }
    }
}
