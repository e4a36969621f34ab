//! The signature algorithms that we take (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864
//! section 2.2).
//!
//! All of them are asymmetric: with a shared secret, whoever can check a token could make one.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A signature algorithm. `none` and the HMAC family have no place here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// `EdDSA`, on Ed25519 alone.
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// The algorithm of this exact name (RFC 7515 section 4.1.1: case-sensitive), if we take it.
    ///
    /// `Ed25519` is the full name of what we take as `EdDSA` (RFC 9864 section 2.2): the curve was
    /// always the key's alone to say, and is this one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// The registered name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The left halves of the algorithm's hashes of `text`, in base64url, each of which may stand as
    /// `at_hash` (OpenID Connect Core section 3.1.3.6): one, that of the name.
    ///
    /// `EdDSA` names no hash. Most take that of Ed25519 itself, SHA-512, and some SHA-256 as nearly
    /// everywhere else; 128 bits of either bind the access token.
    pub(super) fn half_hashes(self, text: &str) -> impl Iterator<Item = String> {
        let hashes: &[&digest::Algorithm] = match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 => &[&digest::SHA256],
            Self::Rs384 | Self::Ps384 | Self::Es384 => &[&digest::SHA384],
            Self::Rs512 | Self::Ps512 => &[&digest::SHA512],
            Self::EdDsa => &[&digest::SHA512, &digest::SHA256],
        };
        hashes.iter().map(|algorithm| {
            let hash = digest::digest(algorithm, text.as_bytes());
            let half = hash.as_ref().len() / 2;
            URL_SAFE_NO_PAD.encode(hash.as_ref().get(..half).unwrap_or_default())
        })
    }

    pub(super) fn in_jsonwebtoken(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Rs384 => jsonwebtoken::Algorithm::RS384,
            Self::Rs512 => jsonwebtoken::Algorithm::RS512,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
            Self::Ps384 => jsonwebtoken::Algorithm::PS384,
            Self::Ps512 => jsonwebtoken::Algorithm::PS512,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Es384 => jsonwebtoken::Algorithm::ES384,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // C1, C3: the name is exact, and neither `none` nor a shared secret is an algorithm of ours.
    #[test]
    fn only_the_exact_names_of_asymmetric_algorithms_are_known() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
        }
        assert_eq!(Algorithm::parse("Ed25519"), Some(Algorithm::EdDsa));
        for name in [
            "none", "None", "nOnE", "", "HS256", "HS384", "HS512", "rs256", "RS256 ", " RS256",
            "RS1", "ES256K", "ES512", "EdDSA\0", "eddsa", "ed25519", "Ed448", "ESP256",
        ] {
            assert_eq!(Algorithm::parse(name), None, "{name:?}");
        }
    }

    // C22: the example of OpenID Connect Core appendix A.3 (`at_hash` of its access token).
    #[test]
    fn the_half_hash_is_that_of_the_standard() {
        let hashes = Algorithm::Rs256.half_hashes("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y");
        assert!(hashes.eq(["77QmUPtjPfzWtF2AnpK9RQ"]));
    }

    // C22: SHA-512 and SHA-256 of `abc` (FIPS 180-4), the left halves.
    #[test]
    fn ed25519_is_taken_with_either_hash_that_providers_use() {
        let hashes = Algorithm::EdDsa.half_hashes("abc");
        assert!(hashes.eq([
            "3a81oZNherrMQXNJriBBMRLm-k6JqX6iCp7u5ktV05o",
            "ungWv48Bz-pBQUDeXa4iIw"
        ]));
    }
}
