//! Every text that our pages have, as fields: a language that lacks one does not compile.
//!
//! A name in braces, such as `{host}`, is a place that a page fills in. Each language has the same
//! places in a text; a test holds them to it.

use serde::Serialize;

/// All texts of one language.
#[derive(Debug, Serialize)]
pub struct Words {
    /// What the pages are called.
    pub titles: Titles,
    /// What a page about an error says to whoever meets it.
    pub advice: Advice,
    /// What the buttons say.
    pub steps: Steps,
    /// What follows each page's own texts.
    pub footer: Footer,
    /// The page about somebody who may not pass.
    pub denied: Denied,
    /// The pages about something that does not answer.
    pub outage: Outage,
    /// The page about a cookie that does not come back.
    pub circles: Circles,
    /// The page where one chooses how to sign in.
    pub sign_in: SignIn,
    /// The two pages about signing out.
    pub sign_out: SignOut,
    /// The page about oneself.
    pub who_am_i: WhoAmI,
}

/// What the pages are called: short, without a full stop.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "each is named after what has happened")]
pub struct Titles {
    pub login_required: &'static str,
    pub body_lost: &'static str,
    pub denied: &'static str,
    pub no_route: &'static str,
    pub unknown_host: &'static str,
    pub client_certificate: &'static str,
    pub foreign_websocket: &'static str,
    pub foreign_write: &'static str,
    pub not_understood: &'static str,
    pub not_done_here: &'static str,
    pub body_broken: &'static str,
    pub address_too_long: &'static str,
    pub head_too_large: &'static str,
    pub unknown_provider: &'static str,
    pub login_unfinished: &'static str,
    pub login_expired: &'static str,
    pub login_loop: &'static str,
    pub refused: &'static str,
    pub provider_silent: &'static str,
    pub login_failed: &'static str,
    pub app_unreachable: &'static str,
    pub app_slow: &'static str,
    pub app_unreadable: &'static str,
    pub store_down: &'static str,
    pub too_much_to_keep: &'static str,
    pub overloaded: &'static str,
    pub internal: &'static str,
    pub sign_in: &'static str,
    pub sign_out: &'static str,
    pub signed_out: &'static str,
    pub who_am_i: &'static str,
}

/// What it means for the person and what helps: a sentence or two.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "each is named after what has happened")]
pub struct Advice {
    pub login_required: &'static str,
    pub body_lost: &'static str,
    pub no_group: &'static str,
    pub groups_incomplete: &'static str,
    pub no_email: &'static str,
    pub email_unverified: &'static str,
    pub other_email: &'static str,
    pub other_subject: &'static str,
    pub no_alternative: &'static str,
    pub other_claim: &'static str,
    pub other_address: &'static str,
    pub excluded: &'static str,
    pub fresher_sign_in: &'static str,
    pub stronger_sign_in: &'static str,
    pub no_route: &'static str,
    pub unknown_host: &'static str,
    pub client_certificate: &'static str,
    pub foreign_websocket: &'static str,
    pub foreign_write: &'static str,
    pub ambiguous_address: &'static str,
    pub changed_on_the_way: &'static str,
    pub not_done_here: &'static str,
    pub body_broken: &'static str,
    pub address_too_long: &'static str,
    pub head_too_large: &'static str,
    pub unknown_provider: &'static str,
    pub state_missing: &'static str,
    pub state_expired: &'static str,
    pub other_login: &'static str,
    pub callback: &'static str,
    pub loop_same_site: &'static str,
    pub loop_domain: &'static str,
    pub loop_blocked: &'static str,
    pub not_assigned: &'static str,
    pub consent_needed: &'static str,
    pub declined: &'static str,
    pub provider_trouble: &'static str,
    pub refused_otherwise: &'static str,
    pub provider_silent: &'static str,
    pub redirect_mismatch: &'static str,
    pub disagreement: &'static str,
    pub identity_unusable: &'static str,
    pub app_trouble: &'static str,
    pub too_much_for_browser: &'static str,
    pub store_down: &'static str,
    pub too_much_for_app: &'static str,
    pub overloaded: &'static str,
    pub internal: &'static str,
}

/// What the buttons say.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "each is named after what it does")]
pub struct Steps {
    pub sign_in: &'static str,
    pub sign_in_with: &'static str,
    pub sign_in_again: &'static str,
    pub switch_account: &'static str,
    pub go_on_as: &'static str,
    pub try_again: &'static str,
    pub first_page: &'static str,
    pub go_to: &'static str,
    pub go_to_app: &'static str,
    pub sign_out: &'static str,
    pub stay: &'static str,
}

/// What follows each page's own texts.
#[derive(Debug, Serialize)]
pub struct Footer {
    /// Before the error's code.
    pub code: &'static str,
    /// Before the reference.
    pub reference: &'static str,
    /// Before the time.
    pub time: &'static str,
    /// Whom to ask for help.
    pub help: &'static str,
    /// The same, where the reference will be asked for.
    pub help_with_reference: &'static str,
}

/// The page about somebody who may not pass.
#[derive(Debug, Serialize)]
pub struct Denied {
    /// A page is closed to them.
    pub page: &'static str,
    /// All of the site is.
    pub site: &'static str,
    /// Whom to ask, where the operator names somebody.
    pub ask_support: &'static str,
    /// Whom to ask otherwise.
    pub ask_operator: &'static str,
}

/// The pages about something that does not answer.
#[derive(Debug, Serialize)]
pub struct Outage {
    /// What the row of three is: you, Sidegate, and what does not answer.
    pub chain: &'static str,
    /// The first of them.
    pub you: &'static str,
    /// The first is fine.
    pub fine: &'static str,
    /// The second works.
    pub works: &'static str,
    /// The provider, as the third.
    pub provider: &'static str,
    /// What is wrong with it.
    pub no_answer: &'static str,
    /// The provider's own words.
    pub provider_says: &'static str,
    /// The app, as the third.
    pub app: &'static str,
    /// It takes no connection.
    pub connect: &'static str,
    /// It does not begin its answer in time.
    pub timeout: &'static str,
    /// Its answer is not HTTP.
    pub protocol: &'static str,
    /// Above the advice for visitors.
    pub for_visitors: &'static str,
    /// Above the advice for operators.
    pub for_operators: &'static str,
    /// What an operator looks at where no connection is taken.
    pub connect_advice: &'static str,
    /// The same where no answer begins.
    pub timeout_advice: &'static str,
    /// The same where the answer is not HTTP.
    pub protocol_advice: &'static str,
    /// Where the operator finds more.
    pub see_log: &'static str,
}

/// The page about a cookie that does not come back.
#[derive(Debug, Serialize)]
pub struct Circles {
    /// Before the cookie's name.
    pub cookie: &'static str,
    /// Before the address that it is for.
    pub address: &'static str,
    /// What an operator looks at with `same_site: strict`.
    pub same_site_advice: &'static str,
    /// The same with a `domain`.
    pub domain_advice: &'static str,
    /// The same otherwise.
    pub blocked_advice: &'static str,
}

/// The page where one chooses how to sign in.
#[derive(Debug, Serialize)]
pub struct SignIn {
    /// What to do in a frame, where no sign-in page can be shown.
    pub in_new_tab: &'static str,
    /// Why one is here, and that there is a choice.
    pub choose: &'static str,
    /// Why one is here.
    pub needed: &'static str,
    /// One is signed in already.
    pub signed_in: &'static str,
}

/// The two pages about signing out.
#[derive(Debug, Serialize)]
pub struct SignOut {
    /// Who is signed in.
    pub signed_in: &'static str,
    /// What will end.
    pub will_end: &'static str,
    /// That it has ended.
    pub ended: &'static str,
    /// The provider's session has ended, too.
    pub provider_ended: &'static str,
    /// The provider's session may live on; its name is known.
    pub named_may_live: &'static str,
    /// The same without a name.
    pub may_live: &'static str,
}

/// The page about oneself.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "each is named after what it stands before")]
pub struct WhoAmI {
    pub intro: &'static str,
    pub name: &'static str,
    pub email: &'static str,
    pub not_verified: &'static str,
    pub account: &'static str,
    pub provider: &'static str,
    pub groups: &'static str,
    pub groups_incomplete: &'static str,
    pub more_groups: &'static str,
    pub no_groups: &'static str,
    pub started: &'static str,
    pub idle_end: &'static str,
    pub absolute_end: &'static str,
    pub headers: &'static str,
    pub no_headers: &'static str,
    pub others: &'static str,
    pub other: &'static str,
    pub end_others: &'static str,
}
