//! The frame around every page: navigation, clock, user, messages.

use askama::Template;
use viaduct_base::Timestamp;

/// A page: its frame, its name and where it stands.
pub trait Page: Template {
    /// The frame's values.
    fn shell(&self) -> &Shell;

    /// The page's name in the browser's tab.
    fn title(&self) -> String;

    /// Which entry of the navigation is current.
    fn section(&self) -> Section {
        Section::None
    }

    /// The way here, from the portfolio's child down to this page.
    fn crumbs(&self) -> Vec<Crumb> {
        Vec::new()
    }

    /// Seconds after which the script asks for the main part again; zero: never.
    fn refresh_seconds(&self) -> u32 {
        0
    }

    /// What stands inside `<main>`.
    ///
    /// # Errors
    /// As [`Template::render`].
    fn main_block(&self) -> askama::Result<String>;
}

/// The entries of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The portfolio and everything under a project.
    Portfolio,
    /// Experiments and their runs.
    Experiments,
    /// Registered models.
    Models,
    /// People.
    Users,
    /// The API browser.
    Api,
    /// Outside the navigation.
    None,
}

/// One step of the way to a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crumb {
    /// What it is called.
    pub label: String,
    /// Its address; the page itself has none.
    pub href: Option<String>,
}

impl Crumb {
    /// A step that leads to a page.
    pub fn link(label: impl Into<String>, href: impl Into<String>) -> Self {
        Self { label: label.into(), href: Some(href.into()) }
    }

    /// The page itself.
    pub fn here(label: impl Into<String>) -> Self {
        Self { label: label.into(), href: None }
    }
}

/// A signed-in person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The user name.
    pub name: String,
    /// The role in the workspace: viewer, member or admin.
    pub role: String,
}

/// How a message reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlashLevel {
    /// It was done.
    Done,
    /// It was declined or failed.
    Problem,
    /// Worth knowing.
    Note,
}

impl FlashLevel {
    pub(crate) fn slug(self) -> &'static str {
        match self {
            FlashLevel::Done => "done",
            FlashLevel::Problem => "problem",
            FlashLevel::Note => "note",
        }
    }

    pub(crate) fn icon(self) -> &'static str {
        match self {
            FlashLevel::Done => "pass",
            FlashLevel::Problem => "fail",
            FlashLevel::Note => "stale",
        }
    }
}

/// A message about what has just happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flash {
    /// How it reads.
    pub level: FlashLevel,
    /// The sentence.
    pub text: String,
}

/// The server's clock, when it is not the machine's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockBanner {
    /// Where the simulated clock stands.
    pub now: Timestamp,
}

/// The frame's values: the same on every page of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shell {
    /// The workspace's name.
    pub workspace: String,
    /// Who is signed in.
    pub user: Option<Person>,
    /// Whether the server is open: loopback and no user yet.
    pub open: bool,
    /// The secret that every form sends back.
    pub csrf: String,
    /// Present under the simulated clock.
    pub clock: Option<ClockBanner>,
    /// Messages about what has just happened.
    pub flashes: Vec<Flash>,
    /// What the search box says.
    pub query: String,
    /// The server's version.
    pub version: String,
}

/// Implements [`Page::main_block`] and [`Page::shell`] from askama's `main` block and the field.
macro_rules! page_parts {
    () => {
        fn shell(&self) -> &$crate::view::Shell {
            &self.shell
        }

        fn main_block(&self) -> askama::Result<String> {
            self.as_main().render()
        }
    };
}
pub(crate) use page_parts;
