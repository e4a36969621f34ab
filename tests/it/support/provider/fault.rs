//! The ways in which a provider can misbehave, and what each does to an answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Map, Value, json};
use sidegate::demo::provider::signing::SigningAlgorithm;
use sidegate::demo::provider::{Endpoint, OldKeys, Provider};
use sidegate::demo::serve::Body;
use url::form_urlencoded;

use super::gate::Gate;
use super::{FOREIGN_KEYS, Hit, forge};

/// One way to misbehave. Those with an [`Endpoint`] concern its requests alone.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    // --- any endpoint ---
    /// Answers with this status and no body.
    Status(Endpoint, StatusCode),
    /// Does so once, and is fine then.
    StatusOnce(Endpoint, StatusCode),
    /// Answers as ever, with this status over it.
    StatusOver(Endpoint, StatusCode),
    /// Does not look at the request until the gate opens.
    Held(Endpoint, Gate),
    /// Does what is asked, and keeps the answer until the gate opens.
    AnswerHeld(Endpoint, Gate),
    /// Closes the connection without an answer.
    HungUp(Endpoint),
    /// Closes the connection in the middle of the answer.
    CutShort(Endpoint),
    /// Answers 200 with an HTML page.
    Html(Endpoint),
    /// Redirects to this URL.
    Redirect(Endpoint, String),
    /// Sets a member of the JSON answer, or takes it out.
    Member(Endpoint, &'static str, Option<Value>),
    /// Adds so many bytes to the JSON answer.
    Padded(Endpoint, usize),

    // --- keys ---
    /// Publishes another key set.
    Jwks(JwksFault),
    /// Rotates the keys at each token request, just before it signs.
    RotatedBeforeSigning(OldKeys),

    // --- token endpoint ---
    /// Reports this error code with status 200.
    ErrorWithStatus200(&'static str),
    /// Refuses the code with this status, error code and description.
    TokenRefusal(StatusCode, &'static str, &'static str),
    /// Answers form-encoded, as old OAuth 2.0 providers do.
    FormEncodedTokens,
    /// Sets or takes out a member of the token answer, of renewals only.
    RenewalMember(&'static str, Option<Value>),
    /// Issues another ID token with the code.
    IdToken(IdTokenFault),
    /// Issues another ID token with a renewal.
    RenewedIdToken(IdTokenFault),

    // --- what is said of a person ---
    /// Sets a claim, or takes it out, in ID tokens and userinfo alike.
    Claim(&'static str, Option<Value>),
    /// Says that the groups are elsewhere, in place of the groups (OpenID Connect Core section
    /// 5.6.2).
    GroupOverage,
    /// Answers userinfo as a JWT that is signed for this audience (OpenID Connect Core section
    /// 5.3.2).
    SignedUserinfo(&'static str),

    // --- logout ---
    /// Tells no client of a logout; the notices stay with the engine.
    NoticesKept,
}

/// Another key set than the honest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JwksFault {
    /// No key at all.
    Empty,
    /// Only the RSA key.
    OnlyRsa,
    /// Keys that have no `kid`.
    WithoutKids,
    /// A foreign RSA key first, under the `kid` of the right one.
    DuplicateKid,
    /// A key of an unknown `kty` first.
    UnknownKty,
    /// A key with an unknown `alg` first.
    UnknownAlg,
    /// A foreign RSA key with `use: enc` first.
    EncryptionKeyFirst,
    /// The right keys after so many others.
    Many(usize),
}

/// Another ID token than the honest one.
#[derive(Debug, Clone)]
pub(crate) enum IdTokenFault {
    /// Sets a claim, or takes it out.
    Claim(&'static str, Option<Value>),
    /// Moves `iat`, `exp` and `auth_time` by so many seconds.
    Shifted(i64),
    /// Sets a header member, or takes it out. The signature is right.
    Header(&'static str, Option<Value>),
    /// Signs with the other key of the provider, and says so.
    SignedBy(SigningAlgorithm),
    /// Breaks the signature.
    BrokenSignature,
    /// Signs with a foreign key under the right `kid`.
    ForeignKey,
    /// Does not sign, and says `none` in this spelling.
    Unsigned(&'static str),
    /// Signs with HS256 and the public RSA key, in PEM, as the secret.
    Hs256WithPublicKey,
    /// Signs with HS256 and this secret.
    Hs256(&'static str),
    /// Adds the `c_hash` of the code.
    RightCHash,
    /// Adds another one.
    WrongCHash,
    /// Adds a claim of so many bytes.
    Padded(usize),
}

impl Fault {
    /// Whether it has something to do with this request.
    pub(super) fn concerns(&self, hit: &Hit) -> bool {
        let is = |endpoint| hit.endpoint == Some(endpoint);
        let renews = hit.form.value("grant_type") == Some("refresh_token");
        match self {
            Self::Status(endpoint, _)
            | Self::StatusOnce(endpoint, _)
            | Self::StatusOver(endpoint, _)
            | Self::Held(endpoint, _)
            | Self::AnswerHeld(endpoint, _)
            | Self::HungUp(endpoint)
            | Self::CutShort(endpoint)
            | Self::Html(endpoint)
            | Self::Redirect(endpoint, _)
            | Self::Member(endpoint, ..)
            | Self::Padded(endpoint, _) => is(*endpoint),
            Self::Jwks(_) => is(Endpoint::Jwks),
            Self::RotatedBeforeSigning(_)
            | Self::ErrorWithStatus200(_)
            | Self::TokenRefusal(..)
            | Self::FormEncodedTokens => is(Endpoint::Token),
            Self::IdToken(_) => is(Endpoint::Token) && !renews,
            Self::RenewedIdToken(_) | Self::RenewalMember(..) => is(Endpoint::Token) && renews,
            Self::Claim(..) | Self::GroupOverage => is(Endpoint::Token) || is(Endpoint::Userinfo),
            Self::SignedUserinfo(_) => is(Endpoint::Userinfo),
            Self::NoticesKept => true,
        }
    }

    /// Whether it is over when it has happened.
    pub(super) fn is_for_once(&self) -> bool {
        matches!(self, Self::StatusOnce(..))
    }

    /// The answer that is given without asking the honest engine.
    pub(super) fn answer_instead(&self) -> Option<Response<Bytes>> {
        let mut response = Response::new(Bytes::new());
        match self {
            Self::Status(_, status) | Self::StatusOnce(_, status) => {
                *response.status_mut() = *status;
            }
            Self::Html(_) => {
                *response.body_mut() = Bytes::from_static(b"<!doctype html><title>Hello</title>");
                set(&mut response, CONTENT_TYPE, "text/html");
            }
            Self::Redirect(_, target) => {
                *response.status_mut() = StatusCode::FOUND;
                set(&mut response, LOCATION, target);
            }
            Self::ErrorWithStatus200(code) => {
                *response.body_mut() = json!({ "error": code }).to_string().into();
                set(&mut response, CONTENT_TYPE, "application/json");
            }
            Self::TokenRefusal(status, code, description) => {
                let body = json!({ "error": code, "error_description": description });
                *response.body_mut() = body.to_string().into();
                *response.status_mut() = *status;
                set(&mut response, CONTENT_TYPE, "application/json");
            }
            _ => return None,
        }
        Some(response)
    }

    /// What it makes of the honest answer.
    pub(super) fn alter(
        &self,
        provider: &Provider,
        hit: &Hit,
        mut response: Response<Bytes>,
    ) -> Response<Bytes> {
        let Ok(mut body) = serde_json::from_slice::<Value>(response.body()) else {
            return response;
        };
        let Some(members) = body.as_object_mut() else {
            return response;
        };
        match self {
            Self::StatusOver(_, status) => *response.status_mut() = *status,
            Self::Member(_, name, value) | Self::RenewalMember(name, value) => {
                put(members, name, value.clone());
            }
            Self::Padded(_, bytes) => {
                members.insert("padding".to_owned(), "x".repeat(*bytes).into());
            }
            Self::Jwks(fault) => fault.alter(members),
            Self::FormEncodedTokens => {
                set(
                    &mut response,
                    CONTENT_TYPE,
                    "application/x-www-form-urlencoded",
                );
                *response.body_mut() = form_encoded(members);
                return response;
            }
            Self::IdToken(fault) | Self::RenewedIdToken(fault) => {
                let code = hit.form.value("code").unwrap_or_default();
                forge::id_token(provider, members, |draft| fault.alter(draft, code));
            }
            Self::Claim(name, value) => {
                change_claims(provider, hit, members, |claims| {
                    put(claims, name, value.clone());
                });
            }
            Self::GroupOverage => change_claims(provider, hit, members, group_overage),
            Self::SignedUserinfo(audience) => {
                set(&mut response, CONTENT_TYPE, "application/jwt");
                put(members, "aud", Some((*audience).into()));
                *response.body_mut() = forge::signed_userinfo(provider, members).into();
                return response;
            }
            _ => return response,
        }
        *response.body_mut() = body.to_string().into();
        response
    }
}

impl JwksFault {
    fn alter(self, set: &mut Map<String, Value>) {
        let Some(keys) = set.get_mut("keys").and_then(Value::as_array_mut) else {
            return;
        };
        let foreign = |change: &dyn Fn(&mut Map<String, Value>)| {
            let mut key = FOREIGN_KEYS.jwk(SigningAlgorithm::Rs256).clone();
            change(key.as_object_mut().unwrap());
            key
        };
        match self {
            Self::Empty => keys.clear(),
            Self::OnlyRsa => keys.retain(|key| key["kty"] == "RSA"),
            Self::WithoutKids => {
                for key in keys {
                    put(key.as_object_mut().unwrap(), "kid", None);
                }
            }
            Self::DuplicateKid => {
                let kid = keys[0]["kid"].clone();
                keys.insert(0, foreign(&|key| put(key, "kid", Some(kid.clone()))));
            }
            Self::UnknownKty => keys.insert(0, json!({ "kty": "QQ", "kid": "q", "q": "AQAB" })),
            Self::UnknownAlg => {
                keys.insert(0, foreign(&|key| put(key, "alg", Some("XX512".into()))));
            }
            Self::EncryptionKeyFirst => {
                let encrypts = |key: &mut Map<String, Value>| {
                    put(key, "use", Some("enc".into()));
                    put(key, "alg", Some("RSA-OAEP-256".into()));
                };
                keys.insert(0, foreign(&encrypts));
            }
            Self::Many(count) => {
                let others = (0..count).map(|number| {
                    foreign(&|key| put(key, "kid", Some(format!("other-{number}").into())))
                });
                keys.splice(0..0, others);
            }
        }
    }
}

impl IdTokenFault {
    fn alter(&self, draft: &mut forge::Draft, code: &str) {
        match self {
            Self::Claim(name, value) => put(&mut draft.claims, name, value.clone()),
            Self::Shifted(seconds) => {
                for name in ["iat", "exp", "auth_time"] {
                    let honest = draft.claims[name].as_i64().unwrap();
                    put(&mut draft.claims, name, Some((honest + seconds).into()));
                }
            }
            Self::Header(name, value) => put(&mut draft.header, name, value.clone()),
            Self::SignedBy(algorithm) => draft.sign_by(*algorithm),
            Self::BrokenSignature => draft.signature = forge::Signature::Broken,
            Self::ForeignKey => draft.signature = forge::Signature::Foreign,
            Self::Unsigned(none) => {
                put(&mut draft.header, "alg", Some((*none).into()));
                draft.signature = forge::Signature::Missing;
            }
            Self::Hs256WithPublicKey => {
                put(&mut draft.header, "alg", Some("HS256".into()));
                draft.signature = forge::Signature::HmacWithPublicKey;
            }
            Self::Hs256(secret) => {
                put(&mut draft.header, "alg", Some("HS256".into()));
                draft.signature = forge::Signature::Hmac(secret.as_bytes().to_vec());
            }
            Self::RightCHash => put(&mut draft.claims, "c_hash", Some(forge::half_hash(code))),
            Self::WrongCHash => put(&mut draft.claims, "c_hash", Some(forge::half_hash("other"))),
            Self::Padded(bytes) => {
                put(
                    &mut draft.claims,
                    "padding",
                    Some("x".repeat(*bytes).into()),
                );
            }
        }
    }
}

/// Changes what is said of a person: in an ID token, or in a userinfo answer.
fn change_claims(
    provider: &Provider,
    hit: &Hit,
    members: &mut Map<String, Value>,
    change: impl Fn(&mut Map<String, Value>),
) {
    if hit.endpoint == Some(Endpoint::Userinfo) {
        change(members);
    } else {
        forge::id_token(provider, members, |draft| change(&mut draft.claims));
    }
}

fn group_overage(claims: &mut Map<String, Value>) {
    put(claims, "groups", None);
    put(claims, "_claim_names", Some(json!({ "groups": "src1" })));
    let source = json!({ "src1": { "endpoint": "http://127.0.0.1:9/groups" } });
    put(claims, "_claim_sources", Some(source));
}

fn put(members: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(members.insert(name.to_owned(), value)),
        None => drop(members.remove(name)),
    }
}

fn set(response: &mut Response<Bytes>, name: http::HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).unwrap();
    response.headers_mut().insert(name, value);
}

fn form_encoded(members: &Map<String, Value>) -> Bytes {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in members {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        form.append_pair(name, &text);
    }
    form.finish().into()
}

/// The answer with a length beyond its end: the connection breaks before it is whole.
pub(super) fn cut_short(response: Response<Bytes>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let promised = HeaderValue::from(body.len() + 1);
    head.headers.insert(CONTENT_LENGTH, promised);
    Response::from_parts(head, OfUnknownLength(Full::new(body)).boxed_unsync())
}

/// A body that does not say how long it is, so that nobody notices what was promised.
struct OfUnknownLength(Full<Bytes>);

impl http_body::Body for OfUnknownLength {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }
}
