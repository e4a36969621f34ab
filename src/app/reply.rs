//! What is answered, as a value: an intent and the cookie changes that go with it. Rendering comes
//! last, in one place.

use super::pages::Page;
use super::respond::{Fault, Form};
use crate::base::return_to::ReturnTo;
use crate::session::cookie::SetCookie;

/// An intent and its cookie changes: together, so that neither is lost on the way.
#[derive(Debug)]
pub struct Reply {
    /// What to say.
    pub answer: Answer,
    /// The cookies to set and to remove.
    pub cookies: Vec<SetCookie>,
    /// The page that the person wants, so that whatever is said can lead there.
    pub return_to: Option<ReturnTo>,
    /// The form that it is told in, whatever is accepted.
    pub form: Option<Form>,
}

/// What to say.
#[derive(Debug)]
pub enum Answer {
    /// Go and sign in: to the provider, or to where one is chosen (302).
    SignIn(String),
    /// Go on elsewhere: something has been done (303).
    SeeOther(String),
    /// What was asked for is done, and there is nothing to say (200).
    Done,
    /// A page of ours.
    Page(Page),
    /// A refusal or a failure.
    Refuse(Fault),
}

impl Reply {
    /// An answer that changes no cookie.
    #[must_use]
    pub fn new(answer: Answer) -> Self {
        Self {
            answer,
            cookies: Vec::new(),
            return_to: None,
            form: None,
        }
    }

    /// A refusal that changes no cookie.
    #[must_use]
    pub fn refuse(fault: Fault) -> Self {
        Self::new(Answer::Refuse(fault))
    }

    /// The same with these cookie changes besides.
    #[must_use]
    pub fn with_cookies(mut self, cookies: impl IntoIterator<Item = SetCookie>) -> Self {
        self.cookies.extend(cookies);
        self
    }

    /// The same for a person who wants to go to `page`.
    #[must_use]
    pub fn leading_to(mut self, page: Option<ReturnTo>) -> Self {
        self.return_to = page;
        self
    }

    /// The same, told in this form.
    #[must_use]
    pub fn told_as(mut self, form: Form) -> Self {
        self.form = Some(form);
        self
    }
}
