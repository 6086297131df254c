//! The first-run page: what to do while there is nothing yet.

use askama::Template;

use super::shell::page_parts;
use super::{Page, Section, Shell};

/// The page before the first project.
#[derive(Debug, Clone, Template)]
#[template(path = "welcome.html", blocks = ["main"])]
pub struct WelcomePage {
    /// The frame.
    pub shell: Shell,
    /// The server's address as the browser knows it, such as `http://127.0.0.1:7878`.
    pub server: String,
    /// Whether a user exists.
    pub has_user: bool,
    /// Whether a run was logged.
    pub has_run: bool,
    /// Whether a model was registered.
    pub has_model: bool,
}

impl WelcomePage {
    fn done(&self) -> usize {
        [self.has_user, self.has_run, self.has_model].iter().filter(|done| **done).count()
    }
}

impl Page for WelcomePage {
    page_parts!();

    fn title(&self) -> String {
        "Welcome".to_owned()
    }

    fn section(&self) -> Section {
        Section::Portfolio
    }

    fn refresh_seconds(&self) -> u32 {
        15
    }
}
