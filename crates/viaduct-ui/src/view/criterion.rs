//! A gate, its criteria and what each was measured to be.

use viaduct_base::Timestamp;

use super::stage::{Stage, chip};
use super::{Provenance, State};
use crate::chart::gauge;
use crate::fmt;
use crate::svg::Markup;

/// How a criterion stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Measured and good enough.
    Pass,
    /// Measured and not good enough.
    Fail,
    /// Not measured, or on too few cases.
    NotEnoughData,
    /// Measured too long ago, or about something that has changed since.
    Stale,
    /// Does not apply here.
    NotApplicable,
    /// Excused until a date.
    Waived,
}

impl Status {
    /// All of them, worst first.
    pub const ALL: &'static [Status] = &[
        Status::Fail,
        Status::NotEnoughData,
        Status::Stale,
        Status::Waived,
        Status::Pass,
        Status::NotApplicable,
    ];

    /// The words for people.
    pub fn label(self) -> &'static str {
        match self {
            Status::Pass => "Pass",
            Status::Fail => "Fail",
            Status::NotEnoughData => "Not enough data",
            Status::Stale => "Stale",
            Status::NotApplicable => "Not applicable",
            Status::Waived => "Waived",
        }
    }

    /// The class in the style sheet.
    pub fn slug(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::Fail => "fail",
            Status::NotEnoughData => "not-enough-data",
            Status::Stale => "stale",
            Status::NotApplicable => "not-applicable",
            Status::Waived => "waived",
        }
    }

    /// The status with this word (`not_enough_data`): how a route fills the field.
    pub fn parse(text: &str) -> Option<Status> {
        let slug = text.replace('_', "-");
        Status::ALL.iter().copied().find(|status| status.slug() == slug)
    }

    pub(crate) fn icon(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::Fail => "fail",
            Status::NotEnoughData => "wait",
            Status::Stale => "stale",
            Status::NotApplicable => "none",
            Status::Waived => "waived",
        }
    }

    /// Whether nothing has to be done about it.
    pub fn is_settled(self) -> bool {
        matches!(self, Status::Pass | Status::NotApplicable | Status::Waived)
    }

    /// A chip with icon and words.
    pub fn chip(self) -> Markup {
        chip(self.slug(), self.icon(), self.label())
    }
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    /// One number.
    Scalar(f64),
    /// An estimate with its interval.
    Interval {
        /// The estimate.
        estimate: f64,
        /// Lower end.
        lower: f64,
        /// Upper end.
        upper: f64,
        /// How sure, such as 0.95.
        level: f64,
    },
    /// Yes or no.
    Flag(bool),
    /// Nothing yet.
    Missing,
}

impl Measure {
    pub(crate) fn values(&self) -> Vec<f64> {
        match self {
            Measure::Scalar(value) => vec![*value],
            Measure::Interval { estimate, lower, upper, .. } => vec![*estimate, *lower, *upper],
            Measure::Flag(_) | Measure::Missing => Vec::new(),
        }
    }

    /// How it reads in its unit.
    pub fn text(&self, unit: &str) -> String {
        match self {
            Measure::Scalar(value) => fmt::value(*value, unit),
            Measure::Interval { estimate, .. } => fmt::value(*estimate, unit),
            Measure::Flag(true) => "yes".to_owned(),
            Measure::Flag(false) => "no".to_owned(),
            Measure::Missing => fmt::NONE.to_owned(),
        }
    }

    /// Its interval, where it has one.
    pub fn interval_text(&self, unit: &str) -> Option<String> {
        match self {
            Measure::Interval { lower, upper, .. } => {
                Some(format!("{} to {}", fmt::value(*lower, unit), fmt::value(*upper, unit)))
            }
            _ => None,
        }
    }
}

/// What the measurement must satisfy, as far as it can be drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// Not below this (also for the lower end of an interval).
    AtLeast(f64),
    /// Not above this (also for the upper end of an interval).
    AtMost(f64),
    /// Between these.
    Inside(f64, f64),
    /// A flag that must be true, or something that must exist.
    Holds,
    /// Anything else; only its text is shown.
    Other,
}

impl Bound {
    /// The bound of a policy's operator (`>=`, `ci_lower_gt`, `inside`, …) with its numbers: how a
    /// route fills the field. What cannot be drawn is [`Bound::Other`].
    pub fn of(operator: &str, numbers: &[f64]) -> Self {
        match (operator, numbers) {
            (">=" | ">" | "ci_lower_gt" | "ci_lower_gte" | "count_gte", [limit]) => {
                Bound::AtLeast(*limit)
            }
            ("<=" | "<" | "ci_upper_lt", [limit]) => Bound::AtMost(*limit),
            ("==", [value]) => Bound::Inside(*value, *value),
            ("inside", [low, high]) => Bound::Inside(*low, *high),
            ("exists" | "is_true", _) => Bound::Holds,
            _ => Bound::Other,
        }
    }

    pub(crate) fn limits(&self) -> Vec<f64> {
        match self {
            Bound::AtLeast(limit) | Bound::AtMost(limit) => vec![*limit],
            Bound::Inside(low, high) => vec![*low, *high],
            Bound::Holds | Bound::Other => Vec::new(),
        }
    }
}

/// One comparison of a criterion: a fact against its threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The fact's name.
    pub fact: String,
    /// The stored fact's id, when one was used.
    pub fact_id: Option<String>,
    /// How it stands.
    pub status: Status,
    /// What was measured.
    pub measure: Measure,
    /// The unit of measure and threshold.
    pub unit: String,
    /// The threshold as something to draw.
    pub bound: Bound,
    /// The threshold as words, such as `≥ 90 %`.
    pub threshold: String,
    /// How many cases the fact rests on.
    pub n: Option<i64>,
    /// How many it needs.
    pub min_n: Option<i64>,
    /// The window, such as `last 28 days`.
    pub window: Option<String>,
    /// What was measured, such as `term-deposit version 2`.
    pub subject: Option<String>,
    /// When.
    pub observed_at: Option<Timestamp>,
    /// Live, simulated or replayed.
    pub provenance: Provenance,
    /// The producer's remark.
    pub note: Option<String>,
}

impl Check {
    /// The value beside its threshold, drawn.
    pub fn gauge(&self) -> Markup {
        let value = match self.measure {
            Measure::Missing => "no data yet".to_owned(),
            _ => self.measure.text(&self.unit),
        };
        let title = format!("{}: {value}; wanted {}", self.fact, self.threshold);
        gauge::gauge(&self.measure, &self.bound, &self.unit, self.status, &title)
    }

    /// `n` beside what is needed, such as `412 of 300`.
    pub fn n_text(&self) -> Option<String> {
        match (self.n, self.min_n) {
            (Some(n), Some(min)) if n < min => {
                Some(format!("n {} of {}", fmt::count(n), fmt::count(min)))
            }
            (Some(n), _) => Some(format!("n {}", fmt::count(n))),
            (None, Some(min)) => Some(format!("needs n {}", fmt::count(min))),
            (None, None) => None,
        }
    }
}

/// One row of a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Criterion {
    /// Its id in the policy, such as `D2`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What kind of failure it guards against, such as `integration`.
    pub trigger: Option<String>,
    /// How it stands: the worst of its checks.
    pub status: Status,
    /// Whether it can keep the gate shut.
    pub blocking: bool,
    /// Its comparisons.
    pub checks: Vec<Check>,
    /// Who measures it.
    pub producer: String,
    /// How far away it is, as a sentence.
    pub distance: Option<String>,
    /// What to do about it; text between backticks is shown as code with a copy button.
    pub fix: Option<String>,
}

impl Criterion {
    /// Whether any of its checks has a value.
    pub(crate) fn is_measured(&self) -> bool {
        self.checks.iter().any(|check| check.measure != Measure::Missing)
    }

    /// Whether its details stand open by themselves: measured, and not good enough.
    pub(crate) fn demands_attention(&self) -> bool {
        self.is_measured() && !self.status.is_settled()
    }

    /// Whether it keeps the gate shut now.
    pub fn stands_in_the_way(&self) -> bool {
        self.blocking && !self.status.is_settled()
    }

    /// The element's id for links.
    pub fn anchor(&self) -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        format!("criterion-{}", self.id.chars().map(safe).collect::<String>())
    }

    /// The fix, cut at backticks: words, and code to copy.
    pub fn fix_parts(&self) -> Vec<FixPart<'_>> {
        let Some(fix) = &self.fix else { return Vec::new() };
        let parts = fix.split('`').enumerate().filter(|(_, text)| !text.is_empty());
        parts.map(|(i, text)| FixPart { text, is_code: i % 2 == 1 }).collect()
    }
}

/// A piece of a fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixPart<'a> {
    /// Its text.
    pub text: &'a str,
    /// Whether it stood between backticks.
    pub is_code: bool,
}

/// The next gate and where each criterion stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// `G1`, `G2` or `G3`.
    pub name: String,
    /// The stage below.
    pub from: Stage,
    /// The stage above.
    pub to: Stage,
    /// Whether every blocking criterion is settled.
    pub opens: bool,
    /// The policy's version.
    pub policy_version: String,
    /// When it was evaluated.
    pub evaluated_at: Option<Timestamp>,
    /// The stored evaluation, when it was stored.
    pub evaluation_id: Option<String>,
    /// The rows in the policy's order.
    pub criteria: Vec<Criterion>,
    /// The roles that sign, for people.
    pub signatures: Vec<String>,
}

impl Gate {
    /// Rows that something must be done about: blocking ones first.
    pub fn unsettled(&self) -> Vec<&Criterion> {
        let open = || self.criteria.iter().filter(|c| !c.status.is_settled());
        open().filter(|c| c.blocking).chain(open().filter(|c| !c.blocking)).collect()
    }

    /// Rows that are settled.
    pub fn settled(&self) -> Vec<&Criterion> {
        self.criteria.iter().filter(|c| c.status.is_settled()).collect()
    }

    /// How many rows are settled.
    pub fn met(&self) -> usize {
        self.criteria.iter().filter(|c| c.status.is_settled()).count()
    }

    /// How many rows keep the gate shut.
    pub fn blockers(&self) -> usize {
        self.criteria.iter().filter(|c| c.stands_in_the_way()).count()
    }

    /// Each status that occurs, with its count, worst first.
    pub fn counts(&self) -> Vec<(Status, usize)> {
        let count = |s: Status| self.criteria.iter().filter(|c| c.status == s).count();
        Status::ALL.iter().map(|s| (*s, count(*s))).filter(|(_, n)| *n > 0).collect()
    }

    /// The state of the gate in one line.
    pub fn sentence(&self, state: State) -> String {
        match (self.opens, self.blockers(), state) {
            (true, _, State::UnderReview) => {
                "Every blocking criterion is met; signatures are wanted.".into()
            }
            (true, _, _) => "Every blocking criterion is met: ask for the gate.".into(),
            (false, n, _) => format!("{} in the way.", stands(n)),
        }
    }
}

fn stands(n: usize) -> String {
    if n == 1 { "1 criterion stands".to_owned() } else { format!("{n} criteria stand") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_become_bounds() {
        assert_eq!(Bound::of("ci_lower_gt", &[0.0]), Bound::AtLeast(0.0));
        assert_eq!(Bound::of("<", &[0.05]), Bound::AtMost(0.05));
        assert_eq!(Bound::of("inside", &[0.01, 0.3]), Bound::Inside(0.01, 0.3));
        assert_eq!(Bound::of("is_true", &[]), Bound::Holds);
        assert_eq!(Bound::of(">=", &[]), Bound::Other);
    }

    #[test]
    fn words_become_statuses() {
        for status in Status::ALL {
            assert_eq!(Status::parse(&status.slug().replace('-', "_")), Some(*status));
        }
        assert_eq!(Status::parse("passed"), None);
    }
}
