//! One request for a page: who asks, for what, and what the form said.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use viaduct_app::App;
use viaduct_auth::{form_secret, form_secret_fits, new_form_secret};
use viaduct_base::{ClockKind, Error, Kind, Name, Refusal, Secret};
use viaduct_domain::permission::{Caller, Door, Operation, Who, check};

use super::answer::Answer;
use super::cookie;
use crate::view::{ClockBanner, Flash, Page, Person, Shell};
use crate::{render, render_main};

/// The workspace that every caller acts in, until there are more.
const WORKSPACE: &str = "default";

/// One request.
pub(super) struct Visit {
    /// The use cases.
    pub(super) app: App,
    /// Who asks.
    pub(super) caller: Caller,
    /// The path's parameters.
    pub(super) params: Vec<(String, String)>,
    /// The query.
    pub(super) query: BTreeMap<String, String>,
    /// The form's fields.
    pub(super) form: BTreeMap<String, String>,
    /// The path and query as they were asked for.
    pub(super) target: String,
    /// The address by which the browser knows the server.
    pub(super) server: String,
    /// Whether only the main part is wanted.
    pub(super) is_fragment: bool,
    /// The session cookie.
    pub(super) session: Option<String>,
    /// What form secrets are derived from, without a session.
    pub(super) form_cookie: Option<String>,
    /// A form cookie made for this answer.
    pub(super) fresh_cookie: String,
    /// A message from the page before.
    pub(super) flash: Option<Flash>,
}

impl Visit {
    /// What form secrets are derived from. Why the session alone counts where there is one: the
    /// other cookie can be set by a neighbour on the same host.
    fn secret_base(&self) -> &str {
        let base = self.session.as_ref().or(self.form_cookie.as_ref());
        base.unwrap_or(&self.fresh_cookie)
    }

    /// The form cookie that the answer must set, when the page's secrets rest on a fresh one.
    pub(super) fn cookie_to_set(&self) -> Option<String> {
        let is_fresh = self.session.is_none() && self.form_cookie.is_none();
        is_fresh.then(|| cookie::form(&self.fresh_cookie, self.is_loopback()))
    }

    /// A new value for the form cookie.
    pub(super) fn fresh() -> String {
        new_form_secret()
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.app.settings().is_loopback
    }

    /// Refuses a form that did not come from a page shown under the same cookie.
    ///
    /// # Errors
    /// `forbidden`.
    pub(super) fn check_form(&self) -> Result<(), Refusal> {
        let base = self.session.as_ref().or(self.form_cookie.as_ref());
        let sent = self.form.get("csrf").map(String::as_str).unwrap_or_default();
        if base.is_some_and(|base| form_secret_fits(base, sent)) {
            return Ok(());
        }
        Err(Refusal::new(
            Kind::Forbidden,
            "this form is out of date or came from another site: go back, reload the page and send it again",
        ))
    }

    /// A parameter of the path.
    pub(super) fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// An id in the path.
    ///
    /// # Errors
    /// `not-found` for what is no such id.
    pub(super) fn id<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
    ) -> Result<T, Error> {
        self.param(name)
            .parse()
            .map_err(|error: T::Err| Refusal::new(Kind::NotFound, error.to_string()).into())
    }

    /// A field of the query; empty when it is absent.
    pub(super) fn asked(&self, name: &str) -> &str {
        self.query.get(name).map(|text| text.trim()).unwrap_or_default()
    }

    /// Every value of a field that the query may say more than once.
    pub(super) fn asked_all(&self, name: &str) -> Vec<String> {
        let uri = self.target.parse::<axum::http::Uri>().ok();
        let said = uri
            .and_then(|uri| axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
        let said = said.map(|query| query.0).unwrap_or_default();
        said.into_iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect()
    }

    /// A field of the form; empty when it is absent.
    pub(super) fn field(&self, name: &str) -> &str {
        self.form.get(name).map(|text| text.trim()).unwrap_or_default()
    }

    /// A name in the form.
    ///
    /// # Errors
    /// `invalid-input` saying which names go.
    pub(super) fn name_field(&self, name: &str) -> Result<Name, Error> {
        self.field(name)
            .parse()
            .map_err(|error| Refusal::new(Kind::InvalidInput, format!("`{name}`: {error}")).into())
    }

    /// A password in the form, as it was typed.
    pub(super) fn password(&self) -> Secret<String> {
        Secret::new(self.form.get("password").cloned().unwrap_or_default())
    }

    /// Whether the caller may do this.
    pub(super) fn may(&self, operation: Operation) -> bool {
        check(&self.caller, operation).is_ok()
    }

    /// The caller's name.
    pub(super) fn me(&self) -> Option<&str> {
        self.caller.user_name()
    }

    /// The frame of every page of this request.
    pub(super) fn shell(&self) -> Shell {
        let simulated = self.app.clock_kind() == ClockKind::Simulated;
        Shell {
            workspace: WORKSPACE.to_owned(),
            user: match &self.caller.who {
                Who::User { name, role, .. } => {
                    Some(Person { name: name.clone(), role: role.as_str().to_owned() })
                }
                Who::Anonymous | Who::System => None,
            },
            open: self.caller.door == Door::Open,
            csrf: form_secret(self.secret_base()),
            clock: simulated.then(|| ClockBanner { now: self.app.now() }),
            flashes: self.flash.iter().cloned().collect(),
            query: self.asked("q").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Answers with a page, or with its main part where only that was asked for.
    ///
    /// # Errors
    /// A fault of the template.
    pub(super) fn page(&self, page: &impl Page) -> Result<Answer, Error> {
        self.page_with(StatusCode::OK, page)
    }

    /// The same with another status.
    ///
    /// # Errors
    /// A fault of the template.
    pub(super) fn page_with(&self, status: StatusCode, page: &impl Page) -> Result<Answer, Error> {
        let html = if self.is_fragment { render_main(page)? } else { render(page)? };
        Ok(Answer::Html { status, html })
    }
}
