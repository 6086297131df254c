//! What must hold for a step to pass, and what was found.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use viaduct_base::Span;

use crate::fact::FactName;
use crate::words::words;

words! {
    /// What the platform measures of a challenger by itself.
    Word, "a measure of a rollout" {
        /// Share of rows that its model failed on.
        ErrorRate = "error_rate",
        /// The 99th percentile of a request's time inside its model, in milliseconds.
        LatencyP99Ms = "latency_p99_ms",
        /// The same over the champion's.
        LatencyP99Ratio = "latency_p99_ratio",
        /// Share of rows outside the contract's ranges and lists, or refused.
        ViolationRate = "violation_rate",
        /// Share of rows whose output had a number that is not finite.
        NanRate = "nan_rate",
        /// Share of compared rows where it says something else than the champion.
        DisagreementRate = "disagreement_rate",
        /// PSI of its scores against the champion's.
        ScorePsi = "score_psi",
    }
}

impl Word {
    /// Whether the gateway watches it by itself, without the control plane.
    pub const fn is_hot(self) -> bool {
        !matches!(self, Word::LatencyP99Ratio | Word::ScorePsi)
    }
}

/// What a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watched {
    /// Something the platform measures of the challenger.
    Measure(Word),
    /// The project's latest fact of this name.
    Fact(FactName),
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Watched::Measure(word) => f.write_str(word.as_str()),
            Watched::Fact(name) => write!(f, "fact:{}", name.as_str()),
        }
    }
}

impl std::str::FromStr for Watched {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("fact:") {
            Some(name) => name
                .parse::<FactName>()
                .map(Watched::Fact)
                .map_err(|e: crate::fact::UnknownFact| e.to_string()),
            None => text.parse().map(Watched::Measure),
        }
    }
}

impl Serialize for Watched {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Watched {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A bound on one measured value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// What is looked at.
    pub what: Watched,
    /// The largest value that is no breach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The smallest value that is no breach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// With fewer cases nothing is said, and the step is held.
    pub min_n: u64,
    /// How far back the gateway looks by itself.
    pub window: Span,
    /// A fact that is older says nothing.
    pub max_age: Span,
}

impl Condition {
    /// A bound from above with the usual window.
    pub const fn at_most(what: Watched, max: f64, min_n: u64) -> Self {
        Self {
            what,
            max: Some(max),
            min: None,
            min_n,
            window: Span::minutes(1),
            max_age: Span::days(7),
        }
    }

    /// Holds a reading against the bounds.
    pub fn judge(&self, reading: &Reading) -> Judged {
        let (verdict, reason, value, n) = match reading {
            Reading::Missing { why } => {
                (Verdict::Unknown, format!("{} cannot be evaluated: {why}", self.what), None, 0)
            }
            Reading::Measured { value, n } if !value.is_finite() => {
                let reason = format!("{} cannot be evaluated: its value is no number", self.what);
                (Verdict::Unknown, reason, None, *n)
            }
            Reading::Measured { value, n } if *n < self.min_n => {
                let reason = format!(
                    "{} cannot be evaluated: {n} of {} cases are in",
                    self.what, self.min_n
                );
                (Verdict::Unknown, reason, Some(*value), *n)
            }
            Reading::Measured { value, n } => {
                let (verdict, reason) = self.compare(*value, *n);
                (verdict, reason, Some(*value), *n)
            }
        };
        Judged { condition: *self, verdict, reason, value, n }
    }

    fn compare(&self, value: f64, n: u64) -> (Verdict, String) {
        let shown = shown(value);
        if let Some(max) = self.max.filter(|max| value > *max) {
            let reason = format!("{} is {shown} over {n} cases: more than {max}", self.what);
            return (Verdict::Breached, reason);
        }
        if let Some(min) = self.min.filter(|min| value < *min) {
            let reason = format!("{} is {shown} over {n} cases: less than {min}", self.what);
            return (Verdict::Breached, reason);
        }
        (Verdict::Met, format!("{} is {shown} over {n} cases", self.what))
    }
}

/// At most five digits after the point.
fn shown(value: f64) -> String {
    let text = format!("{value:.5}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// What was measured for one condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reading {
    /// A value over `n` cases.
    Measured {
        /// The value.
        value: f64,
        /// Over how many cases.
        n: u64,
    },
    /// There is none.
    Missing {
        /// Why.
        why: String,
    },
}

impl Reading {
    /// There is no value, because of `why`.
    pub fn missing(why: impl Into<String>) -> Self {
        Reading::Missing { why: why.into() }
    }

    /// A share of `n` cases; nothing when there are none.
    pub fn share(count: u64, n: u64) -> Self {
        if n == 0 {
            return Reading::missing("no case yet");
        }
        Reading::Measured { value: count as f64 / n as f64, n }
    }
}

words! {
    /// What a condition says.
    Verdict, "a verdict" {
        /// The value lies within the bounds.
        Met = "met",
        /// It does not.
        Breached = "breached",
        /// There is no value, or too few cases: the step is held.
        Unknown = "unknown",
    }
}

/// A condition with what was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The condition.
    pub condition: Condition,
    /// What it says.
    pub verdict: Verdict,
    /// The same as a sentence.
    pub reason: String,
    /// The value, where there is one.
    pub value: Option<f64>,
    /// Over how many cases.
    pub n: u64,
}
