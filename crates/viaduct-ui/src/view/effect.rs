//! A measured effect and where its numbers come from.

use crate::fmt;
use crate::svg::Markup;

/// Where the rows behind a number come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provenance {
    /// Real time, real callers.
    Live,
    /// Made under the simulated clock.
    Simulated,
    /// A real campaign of the past, played back.
    Replayed,
}

impl Provenance {
    /// The word for people.
    pub fn label(self) -> &'static str {
        match self {
            Provenance::Live => "live",
            Provenance::Simulated => "simulated",
            Provenance::Replayed => "replayed",
        }
    }

    /// The provenance with this word: how a route fills the field.
    pub fn parse(text: &str) -> Option<Provenance> {
        let all = [Provenance::Live, Provenance::Simulated, Provenance::Replayed];
        all.into_iter().find(|p| p.label() == text)
    }

    /// A tag; nothing for live numbers, which need no caveat.
    pub fn tag(self) -> Markup {
        let mut m = Markup::default();
        if self != Provenance::Live {
            m.raw("<span class=\"tag\">").text(self.label()).raw("</span>");
        }
        m
    }
}

/// An effect with its interval, its method and its grade.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// What was compared, such as `champion − holdout`.
    pub label: String,
    /// The estimate.
    pub estimate: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// How sure, such as 0.95.
    pub level: f64,
    /// The unit of the effect.
    pub unit: String,
    /// What one unit is, such as `lead`.
    pub per: Option<String>,
    /// How many units it rests on.
    pub n: Option<i64>,
    /// The grade that the platform decided.
    pub grade: String,
    /// How it was computed.
    pub method: String,
    /// Live, simulated or replayed.
    pub provenance: Provenance,
}

impl Effect {
    /// The estimate with its sign.
    pub fn text(&self) -> String {
        fmt::signed(self.estimate, &self.unit)
    }

    /// The interval.
    pub fn interval_text(&self) -> String {
        let end = |value| fmt::signed(value, &self.unit);
        format!("{} to {}", end(self.lower), end(self.upper))
    }

    /// The interval beside nothing, small enough for a table row.
    pub fn whisker(&self) -> Markup {
        let title = format!("{} [{}]", self.text(), self.interval_text());
        crate::chart::forest::mini(self.estimate, self.lower, self.upper, self.side(), &title)
    }

    /// The level as percent.
    pub fn level_text(&self) -> String {
        fmt::value(self.level, "share")
    }

    /// `up`, `down` or `unclear`: on which side of nothing the whole interval lies.
    pub fn side(&self) -> &'static str {
        if self.lower > 0.0 {
            "up"
        } else if self.upper < 0.0 {
            "down"
        } else {
            "unclear"
        }
    }

    /// The grade as a badge that explains itself.
    pub fn badge(&self) -> Markup {
        let mut m = Markup::default();
        m.raw("<span class=\"grade\" title=\"").text(self.grade_meaning()).raw("\">");
        m.raw("<span class=\"sr\">Grade </span>").text(&self.grade).raw("</span>");
        m
    }

    /// What the grade says about the design behind the number.
    pub fn grade_meaning(&self) -> &'static str {
        match self.grade.as_str() {
            "A" => "Grade A: randomised by the platform, plan registered before the first case",
            "B" => "Grade B: compared with units that were not randomised, checks passed",
            "C" => "Grade C: one unit over time; shown, not booked",
            "D" => "Grade D: before and after, or claimed; not evidence",
            "S" => "Grade S: shadow, model and current process on the same cases; projected only",
            _ => "Grade decided by the platform from the design",
        }
    }
}
