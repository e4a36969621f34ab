//! What a certificate says of itself (RFC 5280): its names, its time, its fingerprint. Nothing here
//! says whether it is to be believed; that was asked before, or is nobody's question.

mod der;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use self::der::{Element, elements, first};
use super::clock::UnixTime;

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The alternative names of its subject, as far as they are of a kind that is known here.
    pub names: Vec<SubjectName>,
    /// The common name of its subject, where there is exactly one.
    pub common_name: Option<String>,
    /// From when on it is good.
    pub begins: UnixTime,
    /// Until when it is good.
    pub ends: UnixTime,
    /// SHA-256 over the whole of it.
    pub fingerprint: Fingerprint,
}

/// An alternative name of a subject (RFC 5280 section 4.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectName {
    /// A host name, or one with `*` for its first label.
    Dns(String),
    /// A URI, such as a SPIFFE ID.
    Uri(String),
    /// A mail address.
    Email(String),
    /// An IP address.
    Ip(IpAddr),
}

/// SHA-256 over a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// Bytes that are no certificate of version 3 in DER.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a certificate")]
pub struct NoCertificate;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT: u8 = 0x06;
const OCTETS: u8 = 0x04;
const BOOLEAN: u8 = 0x01;
/// The explicit `[0]` around the version and the `[3]` around the extensions.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// `id-at-commonName` and `id-ce-subjectAltName`.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

impl CertificateFacts {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`NoCertificate`].
    pub fn read(der: &[u8]) -> Result<Self, NoCertificate> {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, der).as_ref());
        body(der, Fingerprint(fingerprint)).ok_or(NoCertificate)
    }

    /// How long it is still good at `now`; nothing, where it has ended.
    #[must_use]
    pub fn left(&self, now: UnixTime) -> Option<Duration> {
        (self.ends > now).then(|| self.ends.since(now))
    }

    /// Its names and its common name as text, for people.
    pub fn shown(&self) -> impl Iterator<Item = String> {
        let names = self.names.iter().map(ToString::to_string);
        let none = self.names.is_empty();
        names.chain(self.common_name.clone().filter(|_| none))
    }
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(text) | Self::Uri(text) | Self::Email(text) => f.write_str(text),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// Lower-case hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Fingerprint {
    /// The fingerprint that `text` writes: 64 hexadecimal digits, perhaps with a colon between each
    /// two.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = match text.len() {
            64 => text.to_owned(),
            95 => {
                let pairs: Vec<&str> = text.split(':').collect();
                pairs
                    .iter()
                    .all(|pair| pair.len() == 2)
                    .then(|| pairs.concat())?
            }
            _ => return None,
        };
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            let pair = digits.get(index.saturating_mul(2)..)?.get(..2)?;
            let plain = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = u8::from_str_radix(pair, 16).ok().filter(|_| plain)?;
        }
        Some(Self(bytes))
    }
}

fn body(der: &[u8], fingerprint: Fingerprint) -> Option<CertificateFacts> {
    let (whole, after) = first(der)?;
    let (to_be_signed, _) = first(whole.content_of(SEQUENCE)?)?;
    if !after.is_empty() {
        return None;
    }
    let mut fields = elements(to_be_signed.content_of(SEQUENCE)?)?.into_iter();
    // Version, serial number, algorithm, issuer, validity, subject, key, and what is optional.
    fields.next()?.content_of(VERSION)?;
    let validity = fields.nth(3)?.content_of(SEQUENCE)?;
    let subject = fields.next()?.content_of(SEQUENCE)?;
    fields.next()?;
    let [begins, ends] = elements(validity)?.try_into().ok()?;
    let extensions = fields.find(|field| field.tag == EXTENSIONS);
    let names = match extensions {
        Some(extensions) => alternative_names(extensions.content)?,
        None => Vec::new(),
    };
    Some(CertificateFacts {
        names,
        common_name: common_name(subject)?,
        begins: begins.time()?,
        ends: ends.time()?,
        fingerprint,
    })
}

/// The one common name of a subject; none, where there are several: which is meant is not said.
fn common_name(subject: &[u8]) -> Option<Option<String>> {
    let mut found = Vec::new();
    for set in elements(subject)? {
        for pair in elements(set.content_of(SET)?)? {
            let [kind, value] = elements(pair.content_of(SEQUENCE)?)?.try_into().ok()?;
            if kind.content_of(OBJECT)? == COMMON_NAME {
                found.push(value.text());
            }
        }
    }
    Some(match found.as_mut_slice() {
        [one] => one.take(),
        _ => None,
    })
}

fn alternative_names(extensions: &[u8]) -> Option<Vec<SubjectName>> {
    let (list, _) = first(extensions)?;
    let mut found = None;
    for extension in elements(list.content_of(SEQUENCE)?)? {
        let mut parts = elements(extension.content_of(SEQUENCE)?)?.into_iter();
        if parts.next()?.content_of(OBJECT)? != SUBJECT_ALT_NAME {
            continue;
        }
        let value = parts.find(|part| part.tag != BOOLEAN)?;
        let (names, _) = first(value.content_of(OCTETS)?)?;
        let names = elements(names.content_of(SEQUENCE)?)?;
        // An extension stands once (RFC 5280 section 4.2).
        if found
            .replace(names.iter().filter_map(alternative_name).collect())
            .is_some()
        {
            return None;
        }
    }
    Some(found.unwrap_or_default())
}

fn alternative_name(name: &Element<'_>) -> Option<SubjectName> {
    let text = || {
        let visible = name.content.iter().all(u8::is_ascii_graphic) && !name.content.is_empty();
        let text = std::str::from_utf8(name.content).ok().filter(|_| visible);
        text.map(str::to_owned)
    };
    match name.tag {
        0x81 => text().map(SubjectName::Email),
        0x82 => text().map(|name| SubjectName::Dns(name.to_ascii_lowercase())),
        0x86 => text().map(SubjectName::Uri),
        0x87 => {
            let v4 = <[u8; 4]>::try_from(name.content).map(IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(name.content).map(IpAddr::from);
            v4.or_else(|_| v6()).ok().map(SubjectName::Ip)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
