//! What is kept of a request's head once the head is on its way: for the log, and for an answer of
//! ours. All of it shares the head's own bytes.

use std::time::Instant;

use http::header::{HOST, REFERER};
use http::request::Parts;
use http::{HeaderValue, Method, Uri, Version};

use super::generation::Generation;
use super::respond::{Form, Hints};
use crate::base::return_to::ReturnTo;
use crate::gate::facts::Asker;

/// One request, as it was seen on arrival.
#[derive(Debug)]
pub(super) struct Seen {
    /// When its head was there.
    pub(super) since: Instant,
    pub(super) version: Version,
    pub(super) method: Method,
    pub(super) target: Uri,
    pub(super) host: Option<HeaderValue>,
    pub(super) hints: Hints,
    /// The page that a script runs on, by the browser's word.
    referer: Option<HeaderValue>,
    /// Who asks; nothing is made out of a malformed request.
    pub(super) asker: Option<Asker>,
}

impl Seen {
    /// Keeps what is needed of a head.
    pub(super) fn of(head: &Parts) -> Self {
        Self {
            since: Instant::now(),
            version: head.version,
            method: head.method.clone(),
            target: head.uri.clone(),
            host: head.headers.get(HOST).cloned(),
            hints: Hints::of(&head.headers),
            referer: head.headers.get(REFERER).cloned(),
            asker: None,
        }
    }

    /// The form of an answer of ours.
    pub(super) fn form(&self) -> Form {
        self.hints.form(self.asker)
    }

    /// What was asked for, as far as a page can lead back to it.
    pub(super) fn page(&self, generation: &Generation) -> Option<ReturnTo> {
        let own = |page: &ReturnTo| generation.gate.is_own_place(page.as_str());
        // What a script fetched is no page: a login leads back to the one that it runs on.
        if self.asker == Some(Asker::Program) {
            let referer = self.referer.as_ref().and_then(|line| line.to_str().ok());
            let origin = generation.config.public_url.origin();
            let from = referer.and_then(|from| ReturnTo::parse_for(from, origin));
            if let Some(page) = from.filter(|page| !own(page)) {
                return Some(page);
            }
        }
        if !matches!(self.method, Method::GET | Method::HEAD) {
            return None;
        }
        let page = ReturnTo::parse(self.target.path_and_query()?.as_str())?;
        (!own(&page)).then_some(page)
    }
}
