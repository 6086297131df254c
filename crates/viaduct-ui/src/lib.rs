//! Viaduct's web pages: structs of plain fields in, HTML out.
//!
//! A page is a struct in [`view`]; its fields are the page's contract and [`render`] turns it into
//! a whole document, [`render_main`] into the fragment that the script swaps in. Charts are SVG
//! drawn here from the same values as the tables under them. Every page works without JavaScript,
//! and nothing on it breaks [`assets::CONTENT_SECURITY_POLICY`].
//!
//! Invariant: text from outside is escaped; only [`svg::Markup`], made in this crate, is not.
//! Only [`routes`] knows HTTP and the use cases; nothing here begins a transaction.

pub mod assets;
pub mod chart;
pub mod fmt;
mod icon;
pub mod path;
pub mod routes;
#[doc(hidden)]
pub mod sample;
mod show;
pub mod svg;
pub mod view;

use viaduct_base::Fault;

pub use view::Page;

/// The whole document of a page.
///
/// # Errors
/// A fault when the template cannot write; it writes to memory, so only a bug leads there.
pub fn render(page: &impl Page) -> Result<String, Fault> {
    page.render().map_err(|error| Fault::caused("render a page", error))
}

/// Only what stands inside `<main>`: the answer to a request with [`FRAGMENT_HEADER`].
///
/// # Errors
/// As [`render`].
pub fn render_main(page: &impl Page) -> Result<String, Fault> {
    page.main_block().map_err(|error| Fault::caused("render the main part of a page", error))
}

/// The request header by which the script asks for [`render_main`].
pub const FRAGMENT_HEADER: &str = "x-viaduct-fragment";
