//! The decision rule: one comparison of a model's output turns it into business work.
//!
//! Invariant: a missing or non-finite number never acts. Knows nothing of arms: whether the rule's
//! action is really done is decided by assignment and stage.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use viaduct_base::{Day, Digest, Name};

use crate::manifest::digest_of;
use crate::output::ModelOutput;

/// When to act, what to do, and the queue that must bear it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The rule's name.
    pub name: Name,
    /// The comparison.
    pub when: Condition,
    /// What is done when the comparison holds.
    pub action: String,
    /// What is done when it does not.
    pub otherwise: String,
    /// The receiving team's queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// How far the action goes.
    pub mode: Mode,
}

/// One comparison of an output's field with a threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// `probability`, `value`, `label`, `probabilities.<label>` or `output.<name>`.
    pub field: String,
    /// The operator.
    pub op: Comparison,
    /// What the field is compared with.
    pub threshold: Threshold,
}

/// An operator of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// At least.
    #[serde(rename = ">=")]
    AtLeast,
    /// More than.
    #[serde(rename = ">")]
    Above,
    /// At most.
    #[serde(rename = "<=")]
    AtMost,
    /// Less than.
    #[serde(rename = "<")]
    Below,
    /// Equal.
    #[serde(rename = "==")]
    Equal,
    /// Different.
    #[serde(rename = "!=")]
    NotEqual,
}

impl Comparison {
    /// The signs that a file may hold.
    pub const SIGNS: [(&'static str, Comparison); 6] = [
        (">=", Comparison::AtLeast),
        (">", Comparison::Above),
        ("<=", Comparison::AtMost),
        ("<", Comparison::Below),
        ("==", Comparison::Equal),
        ("!=", Comparison::NotEqual),
    ];

    /// Whether `left op right`; never true when either is NaN, not even for `!=`.
    pub fn holds(self, left: f64, right: f64) -> bool {
        if left.is_nan() || right.is_nan() {
            return false;
        }
        match self {
            Comparison::AtLeast => left >= right,
            Comparison::Above => left > right,
            Comparison::AtMost => left <= right,
            Comparison::Below => left < right,
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = Comparison::SIGNS.iter().find(|(_, op)| op == self).map_or("", |(sign, _)| sign);
        f.write_str(sign)
    }
}

/// What a field is compared with: a number, or a text for labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Threshold {
    /// A number.
    Number(f64),
    /// A text; only `==` and `!=` go with it.
    Text(String),
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Threshold::Number(number) => write!(f, "{number}"),
            Threshold::Text(text) => f.write_str(text),
        }
    }
}

/// The queue of a receiving team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// The queue's name.
    pub name: Name,
    /// How many actions a day the team can do.
    pub daily_capacity: u64,
}

/// How far a rule's action goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Logged only.
    Shadow,
    /// Shown to a person who decides.
    Advise,
    /// Done.
    Auto,
}

/// Why an action came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The comparison holds.
    Met,
    /// It does not.
    NotMet,
    /// The output has no such field, or it is not a finite number.
    Unknown,
}

/// What a rule says about one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The action's text: the rule's `action`, or `otherwise`.
    pub name: String,
    /// Why. Callers may prefer business as usual when it is [`Verdict::Unknown`].
    pub verdict: Verdict,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Whether an action is the rule's action or its `otherwise`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// The rule's action.
    Acted,
    /// The rule's `otherwise`.
    NotActed,
}

impl Rule {
    /// What to do with `output`.
    pub fn decide(&self, output: &ModelOutput) -> Action {
        let verdict = self.when.verdict(output);
        let name = if verdict == Verdict::Met { &self.action } else { &self.otherwise };
        Action { name: name.clone(), verdict }
    }

    /// What kind of deed an action's text is; `None` for a text that the rule does not know.
    pub fn deed(&self, action: &str) -> Option<Deed> {
        if action == self.action {
            Some(Deed::Acted)
        } else if action == self.otherwise {
            Some(Deed::NotActed)
        } else {
            None
        }
    }

    /// Runs the rule over past outputs, to compare its daily volume with the queue's capacity.
    pub fn dry_run<'a>(&self, past: impl IntoIterator<Item = (Day, &'a ModelOutput)>) -> DryRun {
        let mut run =
            DryRun { capacity: self.queue.as_ref().map(|q| q.daily_capacity), ..DryRun::default() };
        for (day, output) in past {
            let load = run.days.entry(day).or_default();
            load.rows += 1;
            match self.when.verdict(output) {
                Verdict::Met => load.acted += 1,
                Verdict::NotMet => {}
                Verdict::Unknown => load.unknown += 1,
            }
        }
        run
    }

    /// The rule's hash, as decisions carry it.
    pub fn hash(&self) -> Digest {
        digest_of(self)
    }
}

impl Condition {
    /// Whether the comparison holds for `output`.
    pub fn verdict(&self, output: &ModelOutput) -> Verdict {
        let met = match &self.threshold {
            Threshold::Number(threshold) => output
                .number(&self.field)
                .filter(|number| number.is_finite())
                .map(|number| self.op.holds(number, *threshold)),
            Threshold::Text(threshold) => output.text(&self.field).map(|text| match self.op {
                Comparison::NotEqual => text != *threshold,
                _ => text == *threshold,
            }),
        };
        match met {
            Some(true) => Verdict::Met,
            Some(false) => Verdict::NotMet,
            None => Verdict::Unknown,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.field, self.op, self.threshold)
    }
}

/// A rule's volume over past days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DryRun {
    /// What each day would have brought.
    pub days: BTreeMap<Day, DayLoad>,
    /// The queue's daily capacity, when the rule has a queue.
    pub capacity: Option<u64>,
}

/// One day of a dry run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayLoad {
    /// Rows seen.
    pub rows: u64,
    /// Rows on which the rule acts.
    pub acted: u64,
    /// Rows whose output the rule cannot read.
    pub unknown: u64,
}

impl DryRun {
    /// Rows over all days.
    pub fn rows(&self) -> u64 {
        self.days.values().map(|day| day.rows).sum()
    }

    /// Rows that the rule cannot read, over all days.
    pub fn unknown(&self) -> u64 {
        self.days.values().map(|day| day.unknown).sum()
    }

    /// The busiest day's actions as a share of capacity; `None` without a queue or a day.
    pub fn peak_share(&self) -> Option<f64> {
        let capacity = self.capacity.filter(|capacity| *capacity > 0)?;
        let peak = self.days.values().map(|day| day.acted).max()?;
        Some(peak as f64 / capacity as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(when: serde_json::Value) -> Rule {
        serde_json::from_value(json!({
            "name": "call-list", "when": when, "action": "call", "otherwise": "skip",
            "queue": {"name": "call-centre", "daily_capacity": 4}, "mode": "auto"
        }))
        .unwrap()
    }

    fn probability(p: f64) -> ModelOutput {
        ModelOutput { probability: Some(p), ..ModelOutput::default() }
    }

    #[test]
    fn acts_at_the_threshold_and_never_on_what_it_cannot_read() {
        let rule = rule(json!({"field": "probability", "op": ">=", "threshold": 0.12}));
        for (output, name, verdict) in [
            (probability(0.12), "call", Verdict::Met),
            (probability(0.119), "skip", Verdict::NotMet),
            (probability(f64::NAN), "skip", Verdict::Unknown),
            (probability(f64::INFINITY), "skip", Verdict::Unknown),
            (ModelOutput::regressor(1.0), "skip", Verdict::Unknown),
        ] {
            let action = rule.decide(&output);
            assert_eq!((action.name.as_str(), action.verdict), (name, verdict));
        }
        assert_eq!(rule.deed("call"), Some(Deed::Acted));
        assert_eq!(rule.deed("skip"), Some(Deed::NotActed));
        assert_eq!(rule.deed("letter"), None);
        assert_eq!(rule.when.to_string(), "probability >= 0.12");
    }

    #[test]
    fn nan_never_differs() {
        let rule = rule(json!({"field": "probability", "op": "!=", "threshold": 0.5}));
        assert_eq!(rule.decide(&probability(f64::NAN)).verdict, Verdict::Unknown);
        assert!(!Comparison::NotEqual.holds(f64::NAN, 1.0));
    }

    #[test]
    fn labels_compare_as_text() {
        let rule = rule(json!({"field": "label", "op": "==", "threshold": "yes"}));
        let mut output = ModelOutput { label: Some(json!("yes")), ..ModelOutput::default() };
        assert_eq!(rule.decide(&output).name, "call");
        output.label = Some(json!("no"));
        assert_eq!(rule.decide(&output).name, "skip");
    }

    #[test]
    fn dry_run_against_capacity() {
        let rule = rule(json!({"field": "probability", "op": ">=", "threshold": 0.5}));
        let outputs: Vec<_> =
            [0.9, 0.8, 0.1, f64::NAN, 0.7, 0.6, 0.5, 0.9, 0.9].map(probability).into();
        let days = outputs.iter().enumerate().map(|(n, o)| (Day::from_number(n as i32 / 4), o));
        let run = rule.dry_run(days);
        assert_eq!((run.rows(), run.unknown()), (9, 1));
        assert_eq!(run.days[&Day::from_number(0)].acted, 2);
        assert_eq!(run.peak_share(), Some(1.0));
        assert_eq!(rule.dry_run([]).peak_share(), None);
    }

    #[test]
    fn hash_follows_content() {
        let a = rule(json!({"field": "probability", "op": ">=", "threshold": 0.12}));
        let b = rule(json!({"field": "probability", "op": ">=", "threshold": 0.13}));
        assert_eq!(a.hash(), a.clone().hash());
        assert_ne!(a.hash(), b.hash());
    }
}
