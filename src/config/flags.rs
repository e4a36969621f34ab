//! The start without a file: flags, each also an environment variable.

use super::environment::Environment;
use super::secret_source::SecretSource;
use super::written::provider::ProviderWritten;
use super::written::session::{KeysWritten, SessionWritten};
use super::written::upstream::UpstreamWritten;
use super::written::values::Ordered;
use super::written::{ConfigFile, ListenWritten};

/// The flags of a start without a file.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--public-url`
    pub public_url: Option<String>,
    /// `--upstream`
    pub upstream: Option<String>,
    /// `--issuer`
    pub issuer: Option<String>,
    /// `--client-id`
    pub client_id: Option<String>,
    /// `--listen`
    pub listen: Option<String>,
    /// `SIDEGATE_CLIENT_SECRET_FILE` or `SIDEGATE_CLIENT_SECRET`; there is no flag, since everybody
    /// on the machine can read a command line.
    pub client_secret: Option<SecretSource>,
    /// `SIDEGATE_SESSION_KEY_FILE` or `SIDEGATE_SESSION_KEY`.
    pub session_key: Option<SecretSource>,
}

/// A secret was given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{name} and {name}_FILE are both set: keep one of them")]
pub struct SecretGivenTwice {
    name: &'static str,
}

/// Flag and environment variable, and the key that each stands for.
const NAMES: [(&str, &str, &str); 5] = [
    ("public_url", "--public-url", "SIDEGATE_PUBLIC_URL"),
    ("upstreams", "--upstream", "SIDEGATE_UPSTREAM"),
    ("providers[0].issuer", "--issuer", "SIDEGATE_ISSUER"),
    (
        "providers[0].client_id",
        "--client-id",
        "SIDEGATE_CLIENT_ID",
    ),
    ("listen", "--listen", "SIDEGATE_LISTEN"),
];
const CLIENT_SECRET: &str = "SIDEGATE_CLIENT_SECRET";
const SESSION_KEY: &str = "SIDEGATE_SESSION_KEY";

impl Flags {
    /// These flags, completed from `environment`: a flag counts before its variable.
    ///
    /// # Errors
    /// [`SecretGivenTwice`] when a secret's variable and that of its file are both set.
    pub fn over(self, environment: &Environment) -> Result<Self, SecretGivenTwice> {
        let or = |flag: Option<String>, variable: &str| {
            flag.or_else(|| environment.value(variable).map(str::to_owned))
        };
        let [public_url, upstream, issuer, client_id, listen] =
            NAMES.map(|(_, _, variable)| variable);
        Ok(Self {
            public_url: or(self.public_url, public_url),
            upstream: or(self.upstream, upstream),
            issuer: or(self.issuer, issuer),
            client_id: or(self.client_id, client_id),
            listen: or(self.listen, listen),
            client_secret: secret(CLIENT_SECRET, environment)?.or(self.client_secret),
            session_key: secret(SESSION_KEY, environment)?.or(self.session_key),
        })
    }

    /// The names of those that are given, for the complaint that a file is the whole truth.
    #[must_use]
    pub fn given(&self) -> Vec<&'static str> {
        let plain = [
            &self.public_url,
            &self.upstream,
            &self.issuer,
            &self.client_id,
            &self.listen,
        ];
        let flags = NAMES.iter().zip(plain).filter(|(_, flag)| flag.is_some());
        let secrets = [
            (CLIENT_SECRET, &self.client_secret),
            (SESSION_KEY, &self.session_key),
        ];
        flags
            .map(|((_, flag, _), _)| *flag)
            .chain(
                secrets
                    .into_iter()
                    .filter(|(_, secret)| secret.is_some())
                    .map(|(name, _)| name),
            )
            .collect()
    }

    /// The file that says the same.
    pub(crate) fn as_file(&self) -> ConfigFile {
        let provider = ProviderWritten {
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            ..ProviderWritten::default()
        };
        let upstream = self.upstream.clone().map(UpstreamWritten::Url);
        ConfigFile {
            public_url: self.public_url.clone(),
            listen: self
                .listen
                .clone()
                .map(|one| vec![ListenWritten::Address(one)]),
            providers: Some(vec![provider]),
            upstreams: Some(Ordered(
                upstream
                    .map(|one| ("app".to_owned(), one))
                    .into_iter()
                    .collect(),
            )),
            session: self.session_key.clone().map(|key| SessionWritten {
                keys: Some(KeysWritten::Sources(vec![key])),
                ..SessionWritten::default()
            }),
            ..ConfigFile::default()
        }
    }
}

fn secret(
    name: &'static str,
    environment: &Environment,
) -> Result<Option<SecretSource>, SecretGivenTwice> {
    let file = environment.value(&format!("{name}_FILE"));
    match (file, environment.value(name)) {
        (Some(_), Some(_)) => Err(SecretGivenTwice { name }),
        (Some(file), None) => Ok(Some(SecretSource::File(file.into()))),
        (None, Some(_)) => Ok(Some(SecretSource::Env(name.to_owned()))),
        (None, None) => Ok(None),
    }
}

/// The flag or variable that stands for the key `path`.
pub(crate) fn name_of(path: &str) -> String {
    let secrets = [
        ("providers[0].client_secret", CLIENT_SECRET),
        ("session.keys", SESSION_KEY),
    ];
    let flags = NAMES.iter().map(|(key, flag, _)| (*key, *flag));
    flags
        .chain(secrets)
        .find(|(key, _)| path.starts_with(key))
        .map_or_else(|| path.to_owned(), |(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_flag_counts_before_its_environment_variable() {
        let flags = Flags {
            issuer: Some("https://flag.test".to_owned()),
            ..Flags::default()
        };
        let variables = [
            ("SIDEGATE_ISSUER", "https://variable.test"),
            ("SIDEGATE_CLIENT_ID", "dash"),
            ("SIDEGATE_SESSION_KEY_FILE", "/run/key"),
        ];
        let flags = flags.over(&environment(&variables)).unwrap();
        assert_eq!(flags.issuer.as_deref(), Some("https://flag.test"));
        assert_eq!(flags.client_id.as_deref(), Some("dash"));
        assert_eq!(
            flags.given(),
            ["--issuer", "--client-id", "SIDEGATE_SESSION_KEY"]
        );
    }

    #[test]
    fn a_secret_that_is_given_twice_is_refused() {
        let both = [
            ("SIDEGATE_CLIENT_SECRET", "hunter2"),
            ("SIDEGATE_CLIENT_SECRET_FILE", "/run/oidc"),
        ];
        let error = Flags::default().over(&environment(&both)).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        assert!(
            error.to_string().contains("SIDEGATE_CLIENT_SECRET_FILE")
                || error.to_string().contains("_FILE")
        );
    }

    #[test]
    fn a_fault_of_a_flag_names_the_flag() {
        for (path, wanted) in [
            ("public_url", "--public-url"),
            ("upstreams.app.url", "--upstream"),
            ("listen[0].address", "--listen"),
            ("providers[0].client_secret.file", "SIDEGATE_CLIENT_SECRET"),
            ("session.keys[0]", "SIDEGATE_SESSION_KEY"),
            ("providers[0].admit", "providers[0].admit"),
        ] {
            assert_eq!(name_of(path), wanted);
        }
    }
}
