//! The `UserInfo` answer (OpenID Connect Core section 5.3.2), and the profile of a plain OAuth 2.0
//! provider. Two types, because the one is about a person whom an ID token already named, and the
//! other is all there is.

use serde_json::{Map, Value};

use super::json::{self, JsonError};

/// What the `UserInfo` endpoint says about the person of an ID token.
#[derive(Debug, Clone, PartialEq)]
pub struct UserInfo {
    subject: String,
    members: Map<String, Value>,
}

/// What a plain OAuth 2.0 provider says about the person whose access token was used.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    members: Map<String, Value>,
}

/// Why a `UserInfo` answer is refused. It quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserInfoError {
    /// It is signed or encrypted, which is not configured.
    #[error("the UserInfo answer is signed, which is not configured")]
    Signed,
    /// Not a JSON object within the bounds.
    #[error("the UserInfo answer is unreadable: {0}")]
    Json(#[from] JsonError),
    /// `sub` is missing, or no text.
    #[error("the UserInfo answer has no sub")]
    SubjectMissing,
    /// `sub` is another person's (Core section 5.3.2).
    #[error("the UserInfo answer is about another sub than the ID token")]
    SubjectMismatch,
}

impl UserInfo {
    /// Parses the answer about `expected_sub`, the subject of the verified ID token.
    ///
    /// # Errors
    /// [`UserInfoError`]; see its variants.
    pub fn parse(
        body: &[u8],
        content_type: Option<&str>,
        expected_sub: &str,
    ) -> Result<Self, UserInfoError> {
        let members = read(body, content_type)?;
        let subject = members
            .get("sub")
            .and_then(Value::as_str)
            .ok_or(UserInfoError::SubjectMissing)?;
        if subject != expected_sub {
            return Err(UserInfoError::SubjectMismatch);
        }
        Ok(Self {
            subject: subject.to_owned(),
            members,
        })
    }

    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// All that was said.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }
}

impl Profile {
    /// Parses the answer of a plain OAuth 2.0 provider.
    ///
    /// # Errors
    /// [`UserInfoError::Signed`] and [`UserInfoError::Json`].
    pub fn parse(body: &[u8], content_type: Option<&str>) -> Result<Self, UserInfoError> {
        let members = read(body, content_type)?;
        Ok(Self { members })
    }

    /// All that was said.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }
}

/// Core section 5.3.2: `application/jwt` is the signed form.
fn read(body: &[u8], content_type: Option<&str>) -> Result<Map<String, Value>, UserInfoError> {
    let signed = content_type.is_some_and(|content_type| {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/jwt")
    });
    if signed {
        return Err(UserInfoError::Signed);
    }
    Ok(json::parse_object(body, json::DOCUMENT_LIMIT)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: Option<&str> = Some("application/json; charset=utf-8");

    // E5: UserInfo is about the ID token's subject or about nobody.
    #[test]
    fn user_info_about_somebody_else_is_refused() {
        use UserInfoError::{Json, SubjectMismatch, SubjectMissing};
        for (body, verdict) in [
            (r#"{"sub":"alice","email":"a@ok.test"}"#, Ok(())),
            (r#"{"email":"a@ok.test"}"#, Err(SubjectMissing)),
            (r#"{"sub":"bob"}"#, Err(SubjectMismatch)),
            (r#"{"sub":"Alice"}"#, Err(SubjectMismatch)),
            (r#"{"sub":"alice "}"#, Err(SubjectMismatch)),
            (r#"{"sub":["alice"]}"#, Err(SubjectMissing)),
            (r#"{"sub":["alice","bob"]}"#, Err(SubjectMissing)),
            (r#"{"sub":null}"#, Err(SubjectMissing)),
            (
                r#"{"sub":"bob","sub":"alice"}"#,
                Err(Json(JsonError::DuplicateMember)),
            ),
            (r#"[{"sub":"alice"}]"#, Err(Json(JsonError::NotAnObject))),
            ("", Err(Json(JsonError::Malformed))),
            ("<html>", Err(Json(JsonError::Malformed))),
        ] {
            let parsed = UserInfo::parse(body.as_bytes(), JSON, "alice").map(|_| ());
            assert_eq!(parsed, verdict, "{body}");
        }
    }

    // E6: a signed answer is not read as if it were plain, as long as signing is not configured.
    #[test]
    fn a_signed_answer_is_refused_where_none_was_agreed() {
        for content_type in ["application/jwt", "Application/JWT; charset=utf-8"] {
            let parsed = UserInfo::parse(br#"{"sub":"alice"}"#, Some(content_type), "alice");
            assert_eq!(parsed, Err(UserInfoError::Signed));
            let parsed = Profile::parse(br#"{"id":1}"#, Some(content_type));
            assert_eq!(parsed, Err(UserInfoError::Signed));
        }
    }
}
