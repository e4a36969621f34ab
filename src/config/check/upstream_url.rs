//! `upstreams.NAME.url`: where an app listens, and what is spoken there.

use std::path::PathBuf;

use super::Findings;
use crate::base::origin::Authority;
use crate::config::tree::Path;
use crate::config::written::upstream::{UpstreamFull, UrlsWritten};
use crate::proxy::{Protocol, UpstreamAddress};

/// Where an app listens, and what is spoken there.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) addresses: Vec<UpstreamAddress>,
    pub(super) protocol: Protocol,
    pub(super) transport: Transport,
}

/// What is spoken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Plain,
    Tls,
}

/// What the scheme of a URL says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    /// `http`, `unix`
    Http,
    /// `https`
    Https,
    /// `h2c`
    H2c,
}

const SCHEMES: [(&str, Spoken, u16); 3] = [
    ("http://", Spoken::Http, 80),
    ("https://", Spoken::Https, 443),
    ("h2c://", Spoken::H2c, 80),
];
const REMEDY: &str = "write it like `http://127.0.0.1:3000`";

/// All URLs, which must speak alike.
pub(super) fn check(
    written: &UpstreamFull,
    here: &Path,
    findings: &mut Findings<'_>,
) -> Option<Reached> {
    let path = here.key("url");
    let urls = written.url.as_ref().map_or(&[][..], UrlsWritten::all);
    if urls.is_empty() {
        if !findings.knows(&path) {
            findings.fault(&path, "`url` is missing", REMEDY);
        }
        return None;
    }
    let place = |index| match &written.url {
        Some(UrlsWritten::Several(_)) => path.index(index),
        Some(UrlsWritten::One(_)) | None => path.clone(),
    };
    let mut found: Vec<(Spoken, UpstreamAddress)> = Vec::new();
    for (index, text) in urls.iter().enumerate() {
        let fault = match parse(text) {
            Ok(url) if found.contains(&url) => {
                ("this address stands here twice", "keep one of them")
            }
            Ok((spoken, _)) if found.first().is_some_and(|(first, _)| *first != spoken) => (
                "the addresses of one app are spoken to alike",
                "write the same scheme everywhere, or make them two upstreams",
            ),
            Ok(url) => {
                found.push(url);
                continue;
            }
            Err(fault) => fault,
        };
        findings.fault(&place(index), fault.0, fault.1);
    }
    let (spoken, _) = *found.first().as_ref()?;
    let protocol = match (spoken, written.http2) {
        (Spoken::H2c, Some(false)) => {
            findings.fault(
                &here.key("http2"),
                "`h2c` is HTTP/2",
                "take this away, or write `http://`",
            );
            return None;
        }
        (Spoken::H2c, _) | (_, Some(true)) => Protocol::Http2,
        (_, Some(false) | None) => Protocol::Http1,
    };
    let addresses: Vec<_> = found.iter().map(|(_, address)| address.clone()).collect();
    (addresses.len() == urls.len()).then_some(Reached {
        addresses,
        protocol,
        transport: match spoken {
            Spoken::Https => Transport::Tls,
            Spoken::Http | Spoken::H2c => Transport::Plain,
        },
    })
}

/// `SCHEME://HOST[:PORT]` or `unix:/PATH`: no path, since the target goes to the app as it came.
fn parse(text: &str) -> Result<(Spoken, UpstreamAddress), (&'static str, &'static str)> {
    if let Some(socket) = text.strip_prefix("unix:") {
        let socket = PathBuf::from(socket.strip_prefix("//").unwrap_or(socket));
        return if socket.is_absolute() {
            Ok((Spoken::Http, UpstreamAddress::Unix(socket)))
        } else {
            Err((
                "a Unix socket needs its whole path",
                "write it like `unix:/run/app.sock`",
            ))
        };
    }
    let (rest, spoken, usual) = SCHEMES
        .iter()
        .find_map(|(scheme, spoken, port)| Some((text.strip_prefix(scheme)?, *spoken, *port)))
        .ok_or(("not the URL of an app", REMEDY))?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains('/') {
        return Err((
            "a path here would change what the app is asked",
            "write only scheme, host and port",
        ));
    }
    let Authority { host, port } =
        Authority::parse(authority).map_err(|_| ("not a host with an optional port", REMEDY))?;
    let host = host.as_str().trim_start_matches('[').trim_end_matches(']');
    let address = UpstreamAddress::Tcp {
        host: host.to_owned(),
        port: port.unwrap_or(usual),
    };
    Ok((spoken, address))
}
