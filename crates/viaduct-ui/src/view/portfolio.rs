//! All projects: stage, next blocker, measured effect.

use askama::Template;

use super::criterion::Status;
use super::shell::page_parts;
use super::{Effect, Page, Section, Shell, Stage, State};
use crate::svg::Markup;

/// The first criterion that stands in the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocker {
    /// The criterion's id.
    pub criterion: String,
    /// Its title.
    pub title: String,
    /// How it stands.
    pub status: Status,
    /// How far away it is.
    pub distance: Option<String>,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Blocker {
    /// The fix without its backticks.
    fn fix_words(&self) -> Option<String> {
        self.fix.as_ref().map(|fix| fix.replace('`', ""))
    }
}

/// One project in the list.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectRow {
    /// Its name in addresses.
    pub name: String,
    /// Its title.
    pub title: String,
    /// The business owner.
    pub owner: Option<String>,
    /// Where it stands.
    pub stage: Stage,
    /// What may happen to it now.
    pub state: State,
    /// `T1`, `T2` or `T3`.
    pub tier: String,
    /// The next gate, such as `G1`.
    pub gate: Option<String>,
    /// Criteria of the next gate that are settled.
    pub met: usize,
    /// Criteria of the next gate.
    pub total: usize,
    /// The first blocker.
    pub blocker: Option<Blocker>,
    /// How many blockers there are.
    pub blockers: usize,
    /// The measured effect.
    pub effect: Option<Effect>,
    /// Decisions of each of the last days, oldest first.
    pub per_day: Vec<f64>,
}

impl ProjectRow {
    fn matches(&self, query: &str) -> bool {
        let query = query.trim().to_lowercase();
        let owner = self.owner.as_deref().unwrap_or_default();
        [self.name.as_str(), self.title.as_str(), owner, self.stage.label(), self.tier.as_str()]
            .iter()
            .any(|text| text.to_lowercase().contains(&query))
    }

    fn ready_chip(&self) -> Markup {
        super::stage::chip("pass", "open", "Ready")
    }

    fn ladder(&self) -> Markup {
        crate::chart::ladder::mini(self.stage)
    }

    fn spark(&self) -> Markup {
        crate::chart::spark::line(&self.per_day, "Decisions by day, the last days")
    }
}

/// The page of all projects.
#[derive(Debug, Clone, Template)]
#[template(path = "portfolio.html", blocks = ["main"])]
pub struct PortfolioPage {
    /// The frame; its `query` filters the list.
    pub shell: Shell,
    /// All projects.
    pub projects: Vec<ProjectRow>,
}

impl PortfolioPage {
    fn shown(&self) -> Vec<&ProjectRow> {
        self.projects.iter().filter(|p| p.matches(&self.shell.query)).collect()
    }

    /// How many projects stand on each of the four steps.
    fn per_stage(&self) -> Vec<(Stage, usize)> {
        let count = |stage: Stage| self.projects.iter().filter(|p| p.stage == stage).count();
        let steps = Stage::ALL.iter().filter(|stage| stage.step().is_some());
        steps.map(|stage| (*stage, count(*stage))).collect()
    }
}

impl Page for PortfolioPage {
    page_parts!();

    fn title(&self) -> String {
        "Portfolio".to_owned()
    }

    fn section(&self) -> Section {
        Section::Portfolio
    }

    fn refresh_seconds(&self) -> u32 {
        60
    }
}
