//! Stages and states as words, steps and classes.

use crate::svg::Markup;

/// Where a project stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// An idea with a charter; nothing acts yet.
    Concept,
    /// A measured trial with one department.
    Pilot,
    /// One department runs it.
    Department,
    /// The whole company runs it.
    Enterprise,
    /// Ended before it paid.
    Shelved,
    /// Ended after its time.
    Retired,
}

impl Stage {
    /// All stages in order.
    pub const ALL: &'static [Stage] = &[
        Stage::Concept,
        Stage::Pilot,
        Stage::Department,
        Stage::Enterprise,
        Stage::Shelved,
        Stage::Retired,
    ];

    /// The word for people.
    pub fn label(self) -> &'static str {
        match self {
            Stage::Concept => "Concept",
            Stage::Pilot => "Pilot",
            Stage::Department => "Department",
            Stage::Enterprise => "Enterprise",
            Stage::Shelved => "Shelved",
            Stage::Retired => "Retired",
        }
    }

    /// The stage with this word, in any case: how a route fills the field.
    pub fn parse(text: &str) -> Option<Stage> {
        Stage::ALL.iter().copied().find(|stage| stage.label().eq_ignore_ascii_case(text))
    }

    /// Which of the four steps it is; an end has none.
    pub fn step(self) -> Option<usize> {
        match self {
            Stage::Concept => Some(0),
            Stage::Pilot => Some(1),
            Stage::Department => Some(2),
            Stage::Enterprise => Some(3),
            Stage::Shelved | Stage::Retired => None,
        }
    }

    /// What the stage means, in one line.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Stage::Concept => "Shadow only: nobody acts on it",
            Stage::Pilot => "A measured trial against business as usual",
            Stage::Department => "One department runs it",
            Stage::Enterprise => "Every department may run it",
            Stage::Shelved => "Ended before it paid",
            Stage::Retired => "Ended after its time",
        }
    }
}

/// What may happen to the project now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing special.
    Clear,
    /// A review of the next gate is open.
    UnderReview,
    /// Answers are business as usual until it is released.
    Frozen,
}

impl State {
    /// The word for people.
    pub fn label(self) -> &'static str {
        match self {
            State::Clear => "Clear",
            State::UnderReview => "Under review",
            State::Frozen => "Frozen",
        }
    }

    /// A chip with icon and word.
    pub fn chip(self) -> Markup {
        let (class, icon) = match self {
            State::Clear => ("not-applicable", "pass"),
            State::UnderReview => ("waived", "sign"),
            State::Frozen => ("fail", "lock"),
        };
        chip(class, icon, self.label())
    }
}

/// A small label with an icon; never told by colour alone.
pub(crate) fn chip(class: &str, icon: &str, label: &str) -> Markup {
    let mut m = Markup::default();
    m.raw("<span class=\"chip ").raw(class).raw("\">");
    m.raw(crate::icon::icon(icon).as_str()).text(label).raw("</span>");
    m
}
