//! A page that could not be shown, and what to do about it.

use askama::Template;

use super::shell::page_parts;
use super::{Page, Shell};

/// An error as a page.
#[derive(Debug, Clone, Template)]
#[template(path = "error.html", blocks = ["main"])]
pub struct ErrorPage {
    /// The frame.
    pub shell: Shell,
    /// The HTTP status.
    pub status: u16,
    /// One line for people.
    pub heading: String,
    /// The sentence that names the thing and the mend.
    pub detail: String,
    /// The problem's slug in `docs/problems/`.
    pub problem: Option<String>,
    /// The id to quote.
    pub request_id: String,
}

impl ErrorPage {
    /// Whether signing in may help.
    fn login_helps(&self) -> bool {
        self.shell.user.is_none() && matches!(self.status, 401 | 403)
    }
}

impl Page for ErrorPage {
    page_parts!();

    fn title(&self) -> String {
        format!("{} {}", self.status, self.heading)
    }
}
