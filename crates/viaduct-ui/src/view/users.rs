//! People: who may do what.

use askama::Template;
use viaduct_base::Timestamp;

use super::shell::page_parts;
use super::{Crumb, Page, Section, Shell};

/// One person.
#[derive(Debug, Clone, PartialEq)]
pub struct UserRow {
    /// The user name.
    pub name: String,
    /// viewer, member or admin.
    pub role: String,
    /// When added.
    pub created_at: Timestamp,
    /// When signed in last.
    pub signed_in_at: Option<Timestamp>,
    /// When disabled.
    pub disabled_at: Option<Timestamp>,
    /// Roles in charters, such as `business owner of term-deposit`.
    pub charters: Vec<String>,
}

/// The page of all people.
#[derive(Debug, Clone, Template)]
#[template(path = "users.html", blocks = ["main"])]
pub struct UsersPage {
    /// The frame.
    pub shell: Shell,
    /// Everybody, active ones first.
    pub users: Vec<UserRow>,
    /// Names in charters that no user has.
    pub missing: Vec<String>,
    /// The roles to choose from.
    pub roles: Vec<String>,
    /// Whether the caller may add and disable.
    pub may_manage: bool,
}

impl UsersPage {
    fn is_me(&self, user: &UserRow) -> bool {
        self.shell.user.as_ref().is_some_and(|me| me.name == user.name)
    }
}

impl Page for UsersPage {
    page_parts!();

    fn title(&self) -> String {
        "People".to_owned()
    }

    fn section(&self) -> Section {
        Section::Users
    }

    fn crumbs(&self) -> Vec<Crumb> {
        vec![Crumb::here("people")]
    }
}
