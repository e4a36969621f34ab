//! The command line.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use http::Method;
use http::header::{HeaderName, HeaderValue};

use super::{Demo, DevProvider, Exit, Invocation, Local, Start, explain, sessions, version};
use crate::config::environment::Environment;
use crate::config::flags::Flags;
use crate::server::admin::Which;

/// Where a configuration is looked for when none is named.
const DEFAULT_FILES: [&str; 2] = ["sidegate.yaml", "/etc/sidegate/sidegate.yaml"];

/// A login in front of a web app that has none.
#[derive(Debug, Parser)]
#[command(name = "sidegate", version, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    start: StartArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Where the configuration comes from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Configuration")]
#[expect(
    clippy::doc_markdown,
    reason = "these comments are the help, where backticks would be seen"
)]
struct StartArgs {
    /// The configuration [default: sidegate.yaml, then /etc/sidegate/sidegate.yaml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Without a file: the app to guard [env: SIDEGATE_UPSTREAM]
    #[arg(long, global = true, value_name = "URL")]
    upstream: Option<String>,
    /// Without a file: the provider [env: SIDEGATE_ISSUER]
    #[arg(long, global = true, value_name = "URL")]
    issuer: Option<String>,
    /// Without a file: our name at the provider [env: SIDEGATE_CLIENT_ID]
    #[arg(long, global = true, value_name = "ID")]
    client_id: Option<String>,
    /// Without a file: what browsers see [env: SIDEGATE_PUBLIC_URL]
    #[arg(long, global = true, value_name = "URL")]
    public_url: Option<String>,
    /// Without a file: where requests are taken [env: SIDEGATE_LISTEN]
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Only there to be refused: everybody on the machine can read a command line.
    #[arg(long, global = true, hide = true, num_args = 0.., allow_hyphen_values = true)]
    client_secret: Option<Vec<OsString>>,
    /// As above.
    #[arg(long, global = true, hide = true, num_args = 0.., allow_hyphen_values = true)]
    session_key: Option<Vec<OsString>>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Guard the app (the default)
    Run,
    /// Try it: an embedded provider, a sample app and the gate, on loopback; not for production
    Demo {
        /// The port of the gate
        #[arg(long, default_value_t = 4180)]
        port: u16,
    },
    /// The embedded development provider alone, on loopback; not for production
    DevProvider {
        /// The port of the provider
        #[arg(long, default_value_t = 4190)]
        port: u16,
        /// The file with the secret of the client; without one the client is public
        #[arg(long, value_name = "FILE")]
        client_secret_file: Option<PathBuf>,
        /// The client's callback
        #[arg(
            long,
            value_name = "URL",
            default_value = "http://127.0.0.1:4180/oauth2/callback"
        )]
        redirect_uri: String,
    },
    /// Say every fault of the configuration, with its place and remedy; touches no network
    Check {
        /// The form of the answer
        #[arg(long, value_enum, default_value_t = CheckFormat::Human)]
        format: CheckFormat,
        /// Also try the tests in this file: who asks what, and what should become of it
        #[arg(long, value_name = "FILE")]
        policy_tests: Option<PathBuf>,
    },
    /// Say what would become of a request, and why; ends with 0 where it would be admitted, 1 where not
    Explain(ExplainArgs),
    /// Make a session key
    Keygen {
        /// Write it into this new file, readable by its owner alone
        #[arg(long, value_name = "FILE", conflicts_with = "rotate")]
        out: Option<PathBuf>,
        /// Put it first in this key file: it seals from then on, the others still open
        #[arg(long, value_name = "FILE")]
        rotate: Option<PathBuf>,
    },
    /// Show the configuration, or its schema
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Ask a running gate whether it is ready
    Healthcheck,
    /// See who is signed in at a running gate, and end sessions
    Sessions {
        #[command(subcommand)]
        command: SessionsCommand,
    },
    /// Say the version
    Version {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// A request that is judged and not sent.
#[derive(Debug, Args)]
struct ExplainArgs {
    /// `[METHOD] URL`: a path such as `/admin/x`, or a whole URL; GET where no method is named
    #[arg(value_name = "[METHOD] URL", num_args = 1..=2, required = true)]
    request: Vec<String>,
    /// What the provider says of whoever is signed in, as JSON: an ID token's claims; nobody is, without
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// The provider that says it [default: the first]
    #[arg(long, value_name = "ID", requires = "claims")]
    provider: Option<String>,
    /// A field that the client sends; without any, it is a browser that opens a page
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The address that the connection comes from
    #[arg(long, value_name = "IP", default_value = "203.0.113.9")]
    client: IpAddr,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl ExplainArgs {
    fn question(self) -> Result<explain::Question, Refused> {
        let (method, url) = match self.request.as_slice() {
            [url] => ("GET", url),
            [method, url] => (method.as_str(), url),
            _ => return Err(Refused::usage("write `explain [METHOD] URL`")),
        };
        let method = Method::from_bytes(method.as_bytes());
        let method = method.map_err(|_| Refused::usage("the first word is no method"))?;
        let field = |line: &String| {
            let (name, value) = line.split_once(':')?;
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value.trim()).ok()?))
        };
        let fields: Option<Vec<_>> = self.headers.iter().map(field).collect();
        let no_field = || Refused::usage("a --header is written `NAME: VALUE`");
        Ok(explain::Question {
            method,
            url: url.clone(),
            claims: self.claims,
            provider: self.provider,
            fields: fields.ok_or_else(no_field)?,
            client: self.client,
            form: if self.json {
                explain::Form::Json
            } else {
                explain::Form::Text
            },
        })
    }
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// The settings in force, defaults and all, secrets masked
    Show,
    /// The JSON Schema of the configuration, for editors
    Schema,
}

#[derive(Debug, Subcommand)]
enum SessionsCommand {
    /// The sessions that the store has
    List {
        /// Only those of this person: subject, e-mail address, user name, or the name in logs
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// End sessions, at every gate that shares them
    Revoke {
        #[command(flatten)]
        which: Revoked,
    },
}

/// Which sessions are ended.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Revoked {
    /// Those of this person: subject, e-mail address, user name, or the name in logs
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The one that lists and logs call so
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Everybody's
    #[arg(long)]
    all: bool,
}

/// The form of what `check` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// The line and a remedy, for people
    Human,
    /// One JSON object
    Json,
}

/// Where a new key goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeygenTo {
    /// To standard output.
    Stdout,
    /// Into this new file.
    New(PathBuf),
    /// Before the keys of this file.
    First(PathBuf),
}

/// Why a command line is not obeyed, or that it only asked for help.
#[derive(Debug)]
pub struct Refused(clap::Error);

impl Refused {
    fn usage(text: impl std::fmt::Display) -> Self {
        Self(Cli::command().error(ErrorKind::ArgumentConflict, text))
    }

    /// How the process should end.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.0.use_stderr() {
            Exit::Usage
        } else {
            Exit::Done
        }
    }

    /// Says it on the stream it belongs to.
    pub fn say(&self) {
        // Where even this cannot be written there is nobody left to tell.
        drop(self.0.print());
    }

    /// What is said, without colours.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.render().to_string()
    }
}

/// The first configuration that is there, when none was named.
#[must_use]
pub fn default_file() -> Option<PathBuf> {
    DEFAULT_FILES
        .iter()
        .map(Path::new)
        .find(|path| path.exists())
        .map(Path::to_owned)
}

/// Reads `arguments`, the program's name first; `default_file` says which file there is when none is
/// named.
///
/// # Errors
/// [`Refused`]: what to say instead.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    default_file: &dyn Fn() -> Option<PathBuf>,
) -> Result<Invocation, Refused> {
    let cli = Cli::command()
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| Refused(without_values(error)))?;
    let start = cli.start;
    if start.client_secret.is_some() || start.session_key.is_some() {
        return Err(Refused::usage(
            "secrets are not taken from the command line, which everybody on the machine can read: \
             set SIDEGATE_CLIENT_SECRET_FILE or SIDEGATE_SESSION_KEY_FILE",
        ));
    }
    let whence = || start.whence(environment, default_file);
    match cli.command {
        None | Some(Command::Run) => Ok(Invocation::Run(whence()?)),
        Some(Command::Demo { port }) => {
            start.only("--upstream", "demo")?;
            Ok(Invocation::Demo(Demo {
                upstream: start.upstream,
                port,
            }))
        }
        Some(Command::DevProvider {
            port,
            client_secret_file,
            redirect_uri,
        }) => {
            start.only("--client-id", "dev-provider")?;
            Ok(Invocation::DevProvider(DevProvider {
                port,
                client_id: start.client_id.unwrap_or_else(|| "sidegate".to_owned()),
                client_secret_file,
                redirect_uri,
            }))
        }
        Some(Command::Check {
            format,
            policy_tests,
        }) => Ok(local(Local::Check(whence()?, format, policy_tests))),
        Some(Command::Explain(asked)) => Ok(local(Local::Explain(
            Box::new(asked.question()?),
            whence()?,
        ))),
        Some(Command::Keygen { out, rotate }) => {
            start.nothing("keygen")?;
            Ok(local(Local::Keygen(match (out, rotate) {
                (Some(out), _) => KeygenTo::New(out),
                (None, Some(rotate)) => KeygenTo::First(rotate),
                (None, None) => KeygenTo::Stdout,
            })))
        }
        Some(Command::Config {
            command: ConfigCommand::Show,
        }) => Ok(local(Local::ConfigShow(whence()?))),
        Some(Command::Config {
            command: ConfigCommand::Schema,
        }) => {
            start.nothing("config schema")?;
            Ok(local(Local::ConfigSchema))
        }
        Some(Command::Healthcheck) => Ok(local(Local::Healthcheck(whence()?))),
        Some(Command::Sessions { command }) => Ok(local(Local::Sessions(command.act(), whence()?))),
        Some(Command::Version { json }) => {
            start.nothing("version")?;
            let form = if json {
                version::Form::Json
            } else {
                version::Form::Plain
            };
            Ok(local(Local::Version(form)))
        }
    }
}

impl SessionsCommand {
    fn act(self) -> sessions::Act {
        match self {
            Self::List { user, json } => {
                let form = if json {
                    sessions::Form::Json
                } else {
                    sessions::Form::Table
                };
                sessions::Act::List(user.map_or(Which::Everybody, Which::User), form)
            }
            Self::Revoke { which } => sessions::Act::Revoke(match which {
                Revoked {
                    user: Some(user), ..
                } => Which::User(user),
                Revoked {
                    session: Some(session),
                    ..
                } => Which::Session(session),
                Revoked { all: _, .. } => Which::Everybody,
            }),
        }
    }
}

fn local(local: Local) -> Invocation {
    Invocation::Local(local)
}

/// A value that was given by mistake might be a secret: the complaint names the argument alone.
fn without_values(mut error: clap::Error) -> clap::Error {
    let is_value = |argument: &ContextValue| matches!(argument, ContextValue::String(text) if !text.starts_with('-'));
    let unknown = error.kind() == ErrorKind::UnknownArgument;
    if unknown && error.get(ContextKind::InvalidArg).is_some_and(is_value) {
        let hidden = ContextValue::String("...".to_owned());
        error.insert(ContextKind::InvalidArg, hidden);
    }
    error
}

impl StartArgs {
    fn flags(&self) -> Flags {
        Flags {
            public_url: self.public_url.clone(),
            upstream: self.upstream.clone(),
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            listen: self.listen.clone(),
            client_secret: None,
            session_key: None,
        }
    }

    /// The file is the whole truth: beside it, flags and their variables are refused, since nobody
    /// could say which of them counts.
    fn whence(
        &self,
        environment: &Environment,
        default_file: &dyn Fn() -> Option<PathBuf>,
    ) -> Result<Start, Refused> {
        let flags = self.flags().over(environment).map_err(Refused::usage)?;
        let given = flags.given();
        match self.config.clone().or_else(default_file) {
            None if given.is_empty() => Err(Refused::usage(
                "there is no configuration: write sidegate.yaml, name one with --config FILE, or \
                 start with --upstream, --issuer, --client-id and --public-url",
            )),
            None => Ok(Start::Flags(flags)),
            Some(file) if given.is_empty() => Ok(Start::File(file)),
            Some(file) => Err(Refused::usage(format!(
                "{} says everything, so {} cannot be given beside it (not as an environment \
                 variable either); write ${{NAME}} into the file where it should ask for the \
                 environment",
                file.display(),
                given.join(", ")
            ))),
        }
    }

    fn only(&self, flag: &str, command: &str) -> Result<(), Refused> {
        let mut given = self.flags().given();
        given.retain(|name| *name != flag);
        self.refuse(&given, command)
    }

    fn nothing(&self, command: &str) -> Result<(), Refused> {
        self.refuse(&self.flags().given(), command)
    }

    fn refuse(&self, given: &[&'static str], command: &str) -> Result<(), Refused> {
        let config = self.config.as_ref().map(|_| "--config");
        match config.or(given.first().copied()) {
            None => Ok(()),
            Some(name) => Err(Refused::usage(format!("`{command}` has no use for {name}"))),
        }
    }
}

#[cfg(test)]
mod tests;
