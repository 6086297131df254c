//! The form that signs somebody in.

use askama::Template;

use super::shell::page_parts;
use super::{Page, Shell};

/// The login page.
#[derive(Debug, Clone, Template)]
#[template(path = "login.html", blocks = ["main"])]
pub struct LoginPage {
    /// The frame.
    pub shell: Shell,
    /// Where to go afterwards: an address on this server.
    pub next: String,
    /// The name that was typed.
    pub name: String,
    /// Why it was declined.
    pub problem: Option<String>,
}

impl Page for LoginPage {
    page_parts!();

    fn title(&self) -> String {
        "Sign in".to_owned()
    }
}
