//! Sample pages: what tests render and what `cargo run -p viaduct-ui --example gallery` writes.
//!
//! The numbers are invented and plausible; they are never shown by a server.

mod gate;
mod pages;
mod project;
mod review;
mod serving;
mod tracking;
mod traffic;

use viaduct_base::{Day, Fault, Span, Timestamp};

use crate::view::*;
use crate::{render, render_main};

/// A rendered sample page.
#[derive(Debug)]
pub struct Sample {
    /// Its file name without ending.
    pub name: &'static str,
    /// The whole document.
    pub html: String,
    /// Only what stands inside `<main>`.
    pub main: String,
}

/// Every page, rendered, in the states that look different.
///
/// # Errors
/// As [`render`].
pub fn all() -> Result<Vec<Sample>, Fault> {
    let open = |page: ErrorPage| ErrorPage { shell: Shell { user: None, ..page.shell }, ..page };
    Ok(vec![
        sample("welcome", &WelcomePage::sample())?,
        sample("portfolio", &PortfolioPage::sample())?,
        sample("portfolio-none", &PortfolioPage::sample_without_match())?,
        sample("project", &ProjectPage::sample())?,
        sample("project-review", &ProjectPage::sample_under_review())?,
        sample("project-trial", &ProjectPage::sample_sealed())?,
        sample("project-new", &ProjectPage::sample_new())?,
        sample("project-shelved", &ProjectPage::sample_shelved())?,
        sample("decisions", &DecisionsPage::sample())?,
        sample("decision", &DecisionPage::sample())?,
        sample("endpoint", &EndpointPage::sample())?,
        sample("endpoint-new", &EndpointPage::sample_new())?,
        sample("experiments", &ExperimentsPage::sample())?,
        sample("runs", &RunsPage::sample())?,
        sample("runs-refused", &RunsPage::sample_refused())?,
        sample("compare", &ComparePage::sample())?,
        sample("run", &RunPage::sample())?,
        sample("models", &ModelsPage::sample())?,
        sample("model", &ModelPage::sample())?,
        sample("users", &UsersPage::sample())?,
        sample("login", &LoginPage::sample())?,
        sample("evaluation", &EvaluationPage::sample())?,
        sample("api", &ApiPage::sample())?,
        sample("error-404", &ErrorPage::sample())?,
        sample("error-403", &open(ErrorPage::sample_forbidden()))?,
        sample("error-500", &ErrorPage::sample_fault())?,
    ])
}

fn sample(name: &'static str, page: &impl Page) -> Result<Sample, Fault> {
    Ok(Sample { name, html: render(page)?, main: render_main(page)? })
}

/// The samples' day zero is 2026-01-05; `hour` hours after it.
fn at(days: i64, hour: i64) -> Timestamp {
    day(days).start() + Span::hours(hour) + Span::minutes(12)
}

fn day(days: i64) -> Day {
    // 20,458 days lie between 1970-01-01 and 2026-01-05.
    Day::from_number(20_458 + days as i32)
}

/// A hash that looks like one.
fn hash(seed: u64) -> String {
    (1..=4u64).map(|i| format!("{:016x}", seed.wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ i))).collect()
}

/// An id that looks like one.
fn id(prefix: &str, seed: u64) -> String {
    let tail = format!("{:026}", seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    format!("{prefix}_06{}", tail.get(2..26).unwrap_or_default())
}

/// A repeatable number between 0 and 1.
fn wobble(seed: i64) -> f64 {
    let mixed = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
    (mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / (1u64 << 53) as f64
}

impl Shell {
    /// A signed-in owner under the simulated clock.
    pub fn sample() -> Self {
        Self {
            workspace: "default".into(),
            user: Some(Person { name: "bea".into(), role: "member".into() }),
            open: false,
            csrf: "7d0c1f-sample".into(),
            clock: Some(ClockBanner { now: at(131, 9) }),
            flashes: Vec::new(),
            query: String::new(),
            version: "0.1.0".into(),
        }
    }

    fn sample_open() -> Self {
        Self { user: None, open: true, clock: None, ..Self::sample() }
    }
}
