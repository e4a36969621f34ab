//! The HTML pages: templates in this folder, built once per generation, escaped by their engine.
//!
//! Each is one file without script, picture or font. Its style stands in the page and is allowed by
//! its hash. What a page says about a fault comes from [`super::respond`], as do its headers.

mod contents;
mod fill;
#[cfg(test)]
mod tests;
mod trial;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::OnceLock;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use url::form_urlencoded::byte_serialize;

pub use self::contents::{
    AtProvider, ConfirmSignOut, OtherSession, Page, SignIn, SignedOut, WhoAmI, known_as,
};
pub use self::trial::PagesError;
use super::iso_time::Iso;
use super::language::Language;
use super::language::words::Words;
use super::reference::Reference;
use super::respond::fault::Fault;
use super::respond::wording::{DeniedScope, FaultPage, FirstStep, loop_operator_advice};
use super::shown::shown;
use crate::base::clock::UnixTime;
use crate::base::origin::{Origin, PublicUrl};
use crate::base::return_to::ReturnTo;
use crate::config::{PAGE_TEMPLATES, PageSettings};

/// The pages of one generation.
#[derive(Debug)]
pub struct Pages {
    environment: Environment<'static>,
    /// Each language's texts, as templates see them, in the order of [`Language::ALL`].
    /// Made when the first page in a language is asked for: most sites speak one or two.
    texts: [OnceLock<Value>; Language::ALL.len()],
    site: Site,
    /// The style's source expression for `style-src` (Content Security Policy section 6.7.2).
    style_hash: String,
    /// The same of the one script, for `script-src`.
    script_hash: String,
    /// Whether pages may show pictures, which stand in them.
    pictures: bool,
}

/// What every page knows.
#[derive(Debug)]
struct Site {
    /// The app's first page.
    home: String,
    /// The absolute URL: a page may be shown under another host, but the cookies of a login live
    /// under the public one.
    start: String,
    support: Option<String>,
    /// Whose pages may show a frame of ours, as sources; nobody's, where it is absent.
    embed_origins: Option<String>,
    /// All that templates see of it.
    view: Value,
}

/// A rendered page.
#[derive(Debug)]
pub struct Html {
    /// The document.
    pub body: String,
    /// Where its forms may lead, as sources for `form-action`.
    pub form_action: String,
    /// The script that it may run, as a source for `script-src`.
    pub script: Option<String>,
    /// Whose pages may show it in a frame, as sources for `frame-ancestors`.
    pub frame_ancestors: Option<String>,
}

/// What one answer is about besides its contents.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The reference to show.
    pub reference: Reference,
    /// The present moment.
    pub now: UnixTime,
    /// The page that was wanted; none where it cannot be opened again by a link, as after a form was
    /// sent.
    pub return_to: Option<&'a ReturnTo>,
}

/// Whether a page is asked for by a frame of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// It is the whole of a window.
    Alone,
    /// It is in a frame.
    Framed,
}

/// Whether signing in may go on with the account that the provider knows already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// Whichever the provider takes.
    Any,
    /// The provider is to ask which.
    Choose,
}

/// Every template, by the name that turns escaping on. The order does not matter.
const TEMPLATES: [(&str, &str); PAGE_TEMPLATES.len()] = [
    ("base.html", include_str!("base.html")),
    ("denied.html", include_str!("denied.html")),
    ("error.html", include_str!("error.html")),
    ("framed.html", include_str!("framed.html")),
    ("keep_fragment.html", include_str!("keep_fragment.html")),
    ("login_loop.html", include_str!("login_loop.html")),
    (
        "provider_unreachable.html",
        include_str!("provider_unreachable.html"),
    ),
    ("sign_in.html", include_str!("sign_in.html")),
    (
        "sign_out_confirm.html",
        include_str!("sign_out_confirm.html"),
    ),
    ("signed_out.html", include_str!("signed_out.html")),
    ("unknown_host.html", include_str!("unknown_host.html")),
    (
        "upstream_unreachable.html",
        include_str!("upstream_unreachable.html"),
    ),
    ("who_am_i.html", include_str!("who_am_i.html")),
];

const STYLE: &str = include_str!("style.css");
/// The one script that there is, on the one page that has one.
const KEEP_FRAGMENT: &str = include_str!("keep_fragment.js");

impl Pages {
    /// The pages for a site at `public_url` whose own endpoints live under `prefix` (starting with
    /// `/`) below it.
    ///
    /// # Errors
    /// [`PagesError`]: a template of the operator's own is none, or makes a page that cannot be shown.
    pub fn new(
        settings: &PageSettings,
        public_url: &PublicUrl,
        prefix: &str,
    ) -> Result<Self, PagesError> {
        let mut environment = Environment::new();
        fill::add_to(&mut environment);
        // What is not there may be asked for, but not shown.
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        for (name, source) in TEMPLATES {
            environment.add_template(name, source)?;
        }
        for (name, source) in &settings.templates {
            environment.add_template_owned(name.clone(), source.clone())?;
        }
        let mut style = STYLE.trim().to_owned();
        if let Some(own) = &settings.style {
            // The end of the element would end the style, too.
            style.push_str(&own.replace("</", "<\\/"));
        }
        let style_hash = source_of(&style);
        environment.add_global("style", Value::from_safe_string(style));
        let script = KEEP_FRAGMENT.trim().to_owned();
        environment.add_global("keep_fragment", Value::from_safe_string(script));
        let home = public_url.join("/");
        let support = settings.support.as_deref().map(|text| shown(text, 200));
        let view = context! {
            host => public_url.origin().authority(),
            public_url => public_url.to_string(),
            home => &home,
            // A path, so that the form stays on the page's own origin.
            sign_out => format!("{}{prefix}/sign_out", public_url.path()),
            userinfo => format!("{}{prefix}/userinfo", public_url.path()),
            support => &support,
            logo => &settings.logo,
        };
        let pages = Self {
            environment,
            texts: Default::default(),
            site: Site {
                home,
                start: public_url.join(&format!("{prefix}/start")),
                support,
                embed_origins: None,
                view,
            },
            style_hash,
            script_hash: source_of(KEEP_FRAGMENT.trim()),
            pictures: settings.logo.is_some() || !settings.templates.is_empty(),
        };
        if !settings.templates.is_empty() {
            trial::every_page(&pages, public_url)?; // ours are tried by tests
        }
        Ok(pages)
    }

    /// The same, where the pages of these origins may show in a frame where to sign in.
    #[must_use]
    pub fn embedded_in(mut self, origins: &[Origin]) -> Self {
        let sources: Vec<String> = origins.iter().map(ToString::to_string).collect();
        self.site.embed_origins = (!sources.is_empty()).then(|| sources.join(" "));
        self
    }

    /// Whether the pages may show pictures that stand in them.
    #[must_use]
    pub fn have_pictures(&self) -> bool {
        self.pictures
    }

    /// The source expression that allows the pages' style.
    #[must_use]
    pub fn style_hash(&self) -> &str {
        &self.style_hash
    }

    /// The address that begins a login and comes back to `return_to`.
    #[must_use]
    pub fn login_url(&self, return_to: Option<&ReturnTo>) -> String {
        self.start_url(return_to, None, Account::Any)
    }

    fn start_url(
        &self,
        return_to: Option<&ReturnTo>,
        provider: Option<&str>,
        account: Account,
    ) -> String {
        let mut url = self.site.start.clone();
        let mut add = |name: &str, value: &str| {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(name);
            url.push('=');
            url.extend(byte_serialize(value.as_bytes()));
        };
        if let Some(provider) = provider {
            add("provider", provider);
        }
        if account == Account::Choose {
            add("switch", "1");
        }
        if let Some(return_to) = return_to {
            add("return_to", return_to.as_str());
        }
        url
    }

    // ------------------------------------------------------------------------ pages

    /// A page that tells of no fault; nothing if its template stumbles.
    #[must_use]
    pub fn page(
        &self,
        page: &Page,
        language: Language,
        circumstances: &Circumstances<'_>,
    ) -> Option<Html> {
        self.try_page(page, language, circumstances).ok()
    }

    fn try_page(
        &self,
        page: &Page,
        language: Language,
        circumstances: &Circumstances<'_>,
    ) -> Result<Html, minijinja::Error> {
        let titles = &language.words().titles;
        let (template, title, contents) = match page {
            Page::SignIn(sign_in) => (
                "sign_in.html",
                titles.sign_in,
                self.sign_in_contents(sign_in),
            ),
            Page::ConfirmSignOut(confirm) => (
                "sign_out_confirm.html",
                titles.sign_out,
                context! {
                    who => confirm.session.as_ref().map(|session| known_as(&session.identity)),
                },
            ),
            Page::SignedOut(signed_out) => (
                "signed_out.html",
                titles.signed_out,
                context! {
                    at_provider => signed_out.at_provider.as_str(),
                    provider => signed_out.provider.as_deref().map(|name| shown(name, 100)),
                    sign_in_href => self.login_url(Some(&signed_out.return_to)),
                },
            ),
            Page::KeepFragment(page) => (
                "keep_fragment.html",
                titles.sign_in,
                context! { href => self.login_url(Some(page)) },
            ),
            Page::WhoAmI(who) => (
                "who_am_i.html",
                titles.who_am_i,
                who.view(circumstances.now),
            ),
        };
        Ok(Html {
            body: self.render((template, language), title, contents, circumstances)?,
            form_action: page.form_action(),
            script: match page {
                Page::KeepFragment(_) => Some(self.script_hash.clone()),
                _ => None,
            },
            frame_ancestors: None,
        })
    }

    /// The page about a fault; nothing if its template stumbles.
    #[must_use]
    pub fn fault(
        &self,
        fault: &Fault,
        language: Language,
        framing: Framing,
        circumstances: &Circumstances<'_>,
    ) -> Option<Html> {
        self.try_fault(fault, language, framing, circumstances).ok()
    }

    fn try_fault(
        &self,
        fault: &Fault,
        language: Language,
        framing: Framing,
        circumstances: &Circumstances<'_>,
    ) -> Result<Html, minijinja::Error> {
        let words = language.words();
        let frame_ancestors = match (framing, fault) {
            (Framing::Framed, Fault::LoginRequired) => self.site.embed_origins.clone(),
            _ => None,
        };
        let (template, special) = match fault.page() {
            FaultPage::Error if frame_ancestors.is_some() => ("framed.html", context! {}),
            FaultPage::Error => ("error.html", context! {}),
            FaultPage::Refused(words) => ("error.html", context! { quoted => words.quoted() }),
            FaultPage::Denied(identity, scope) => (
                "denied.html",
                context! {
                    who => known_as(identity),
                    sentence => match scope {
                        DeniedScope::Page => words.denied.page,
                        DeniedScope::Site => words.denied.site,
                    },
                    support_told => true,
                },
            ),
            FaultPage::ProviderUnreachable => ("provider_unreachable.html", context! {}),
            FaultPage::UpstreamUnreachable(trouble) => {
                let (trouble, operator_advice) = trouble.told(words);
                (
                    "upstream_unreachable.html",
                    context! { trouble, operator_advice },
                )
            }
            FaultPage::LoginLoop(cookie) => (
                "login_loop.html",
                context! {
                    cookie => shown(&cookie.name, 100),
                    operator_advice => loop_operator_advice(cookie.why, words),
                },
            ),
            FaultPage::UnknownHost => ("unknown_host.html", context! {}),
        };
        let contents = context! {
            code => fault.code(),
            advice => fault.advice(words),
            step => self.step(fault.first_step(), words, circumstances.return_to),
            ..special
        };
        Ok(Html {
            body: self.render(
                (template, language),
                fault.title(words),
                contents,
                circumstances,
            )?,
            form_action: "'none'".to_owned(),
            script: None,
            frame_ancestors,
        })
    }

    fn sign_in_contents(&self, sign_in: &SignIn) -> Value {
        let return_to = Some(&sign_in.return_to);
        let account = match sign_in.signed_in {
            Some(_) => Account::Choose,
            None => Account::Any,
        };
        let providers: Vec<Value> = sign_in
            .providers
            .iter()
            .map(|id| {
                context! {
                    name => shown(id, 100),
                    href => self.start_url(return_to, Some(id), account),
                }
            })
            .collect();
        context! {
            providers,
            go_on => sign_in.return_to.as_str(),
            signed_in_as => sign_in.signed_in.as_ref().map(|session| known_as(&session.identity)),
        }
    }

    fn step(&self, step: FirstStep, words: &Words, return_to: Option<&ReturnTo>) -> Value {
        let steps = &words.steps;
        let (label, href) = match (step, return_to) {
            (FirstStep::SignIn, _) => (steps.sign_in, self.login_url(return_to)),
            (FirstStep::SignInAgain, _) => (steps.try_again, self.login_url(return_to)),
            (FirstStep::SwitchAccount, _) => (
                steps.switch_account,
                self.start_url(return_to, None, Account::Choose),
            ),
            (FirstStep::Retry, Some(page)) => (steps.try_again, page.as_str().to_owned()),
            (FirstStep::Retry | FirstStep::Home, _) => (steps.first_page, self.site.home.clone()),
        };
        context! { label, href }
    }

    fn render(
        &self,
        (template, language): (&str, Language),
        title: &str,
        contents: Value,
        circumstances: &Circumstances<'_>,
    ) -> Result<String, minijinja::Error> {
        let reference = circumstances.reference.as_str();
        let support = self.site.support.as_deref();
        let whole = context! {
            title,
            lang => language.tag(),
            words => self.texts.get(language.index()).map(|texts| {
                texts.get_or_init(|| Value::from(Serde(language.words())))
            }),
            site => &self.site.view,
            reference,
            time => Iso(circumstances.now).to_string(),
            support_href => support.and_then(|text| support_href(text, reference)),
            ..contents
        };
        self.environment
            .get_template(template)
            .and_then(|template| template.render(whole))
    }
}

/// What allows exactly this text, as a source.
fn source_of(text: &str) -> String {
    let hash = STANDARD.encode(digest(&SHA256, text.as_bytes()));
    format!("'sha256-{hash}'")
}

/// Where a click on the operator's contact leads: a message that names the reference, or a page.
fn support_href(support: &str, reference: &str) -> Option<String> {
    if support.starts_with("https://") && !support.contains(char::is_whitespace) {
        return Some(support.to_owned());
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"@.-_+".contains(&b);
    let address = support.matches('@').count() == 1
        && !support.starts_with('@')
        && !support.ends_with('@')
        && support.bytes().all(plain);
    address.then(|| format!("mailto:{support}?subject=Reference%20{reference}"))
}
