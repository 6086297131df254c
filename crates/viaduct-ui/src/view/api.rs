//! The API browser: reads the server's own OpenAPI document.

use askama::Template;

use super::shell::page_parts;
use super::{Crumb, Page, Section, Shell};

/// The page that lists every operation.
#[derive(Debug, Clone, Template)]
#[template(path = "api.html", blocks = ["main"])]
pub struct ApiPage {
    /// The frame.
    pub shell: Shell,
}

impl Page for ApiPage {
    page_parts!();

    fn title(&self) -> String {
        "API".to_owned()
    }

    fn section(&self) -> Section {
        Section::Api
    }

    fn crumbs(&self) -> Vec<Crumb> {
        vec![Crumb::here("API")]
    }
}
