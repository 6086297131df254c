//! A KPI: what one decision was worth, what another action would have been worth, and daily points.
//!
//! Pure computation over cases handed in; where they come from is not known here. Invariants: a
//! case younger than the KPI's maturity gives no number, and what was not observed and not
//! declared stays `None`: it is never guessed.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use viaduct_base::{Currency, Day, Digest, FieldError, Name, Span, Timestamp};

use crate::assign::Variant;
use crate::manifest::digest_of;
use crate::rule::{Deed, Rule};

/// A KPI as a project file declares it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KpiSpec {
    /// Its name within the project.
    pub name: Name,
    /// Whether it is the project's primary KPI; exactly one is.
    pub primary: bool,
    /// What a point is measured in, for people: `EUR`, `%`, `minutes`.
    pub unit: String,
    /// How cases become a point.
    #[serde(rename = "type")]
    pub kind: KpiType,
    /// Which way is better.
    pub direction: Direction,
    /// Where the cases come from.
    pub source: Source,
    /// What a case is worth when the action is not done; a KPI over decisions declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_if_not_acted: Option<NotActed>,
    /// How old a decision must be before its outcome counts.
    pub maturity: Span,
    /// What one unit of the KPI is worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_value: Option<UnitValue>,
    /// The history to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
}

/// How cases become a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KpiType {
    /// The mean of the outcomes' values.
    Mean,
    /// The share of outcomes that are true.
    Proportion,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is better.
    Increase,
    /// Less is better.
    Decrease,
}

impl Direction {
    /// +1 when more is better, else -1.
    pub fn sign(self) -> f64 {
        match self {
            Direction::Increase => 1.0,
            Direction::Decrease => -1.0,
        }
    }
}

/// Where a KPI's cases come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The decision log and its outcomes.
    Decisions,
    /// A CSV of dated points.
    Csv,
}

/// What a case is worth when the action is not done: an amount, or `observed`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NotActed {
    /// Only an observed outcome tells.
    Observed,
    /// This amount, whatever the case.
    Amount(f64),
}

impl Serialize for NotActed {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            NotActed::Observed => s.serialize_str("observed"),
            NotActed::Amount(amount) => s.serialize_f64(*amount),
        }
    }
}

impl<'de> Deserialize<'de> for NotActed {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match Value::deserialize(d)? {
            Value::String(word) if word == "observed" => Ok(NotActed::Observed),
            other => other
                .as_f64()
                .map(NotActed::Amount)
                .ok_or_else(|| serde::de::Error::custom("expected a number or `observed`")),
        }
    }
}

/// What one unit of a KPI is worth: three corners from finance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitValue {
    /// The cautious figure.
    pub low: f64,
    /// The expected figure.
    pub base: f64,
    /// The hopeful figure.
    pub high: f64,
    /// The currency of all three.
    pub currency: Currency,
    /// What kind of benefit it is.
    pub kind: BenefitKind,
}

/// Kinds of benefit; only cash and revenue ever add up to a headline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BenefitKind {
    /// Money that is not spent or that comes in.
    Cash,
    /// Hours or machines freed.
    Capacity,
    /// More turnover.
    Revenue,
    /// Loss avoided in expectation.
    Risk,
}

/// History before the trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// A CSV `date,value,n` beside the project file; loaded by its own command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How many weeks it should cover.
    pub weeks: u32,
}

/// How settled an outcome is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeStatus {
    /// More will follow.
    Partial,
    /// Settled.
    Final,
    /// Settled before, and put right.
    Corrected,
}

/// One report about a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What happened, as a label.
    pub label: Option<Value>,
    /// What it was worth.
    pub value: Option<f64>,
    /// When it became known; a late report is known late.
    pub observed_at: Timestamp,
    /// How settled it is.
    pub status: OutcomeStatus,
}

/// The report that counts at `now`: the latest known settled one, else the latest partial one.
/// Reports are handed in by arrival; of two known at one moment the later arrival counts.
pub fn outcome_at(history: &[Outcome], now: Timestamp) -> Option<&Outcome> {
    let known = history.iter().filter(|outcome| outcome.observed_at <= now);
    known.max_by_key(|outcome| (outcome.status != OutcomeStatus::Partial, outcome.observed_at))
}

/// A decision seen by a shadow comparison.
#[derive(Debug, Clone, Copy)]
pub struct ShadowCase<'a> {
    /// What the model would have done.
    pub model_action: &'a str,
    /// What was done.
    pub action_done: &'a str,
    /// What the case was worth as it was handled.
    pub observed: Option<f64>,
}

impl KpiSpec {
    /// What a case was worth: the outcome's number, or for an outcome without one after an action
    /// not done, the declared amount. `None` without an outcome: missing is never a value.
    pub fn value_of(&self, outcome: Option<&Outcome>, done: Deed) -> Option<f64> {
        let outcome = outcome?;
        let measured = match self.kind {
            KpiType::Mean => {
                outcome.value.or_else(|| outcome.label.as_ref().and_then(Value::as_f64))
            }
            KpiType::Proportion => {
                outcome.label.as_ref().and_then(truth).or_else(|| outcome.value.and_then(share))
            }
        };
        measured.filter(|number| number.is_finite()).or(match (done, self.value_if_not_acted) {
            (Deed::NotActed, Some(NotActed::Amount(amount)))
                if outcome.label.is_none() && outcome.value.is_none() =>
            {
                Some(amount)
            }
            _ => None,
        })
    }

    /// What a case would have been worth under the model's action. Same action: what was observed.
    /// The model would not have acted: the declared amount. Anything else was never seen: `None`.
    pub fn counterfactual(&self, rule: &Rule, case: ShadowCase<'_>) -> Option<f64> {
        if case.model_action == case.action_done {
            return case.observed;
        }
        match (rule.deed(case.model_action), self.value_if_not_acted) {
            (Some(Deed::NotActed), Some(NotActed::Amount(amount))) => Some(amount),
            _ => None,
        }
    }

    /// The paired numbers of a shadow comparison, model first: `None` unless both are known.
    pub fn shadow_pair(&self, rule: &Rule, case: ShadowCase<'_>) -> Option<(f64, f64)> {
        Some((self.counterfactual(rule, case)?, case.observed?))
    }

    /// Whether a decision of `at` is old enough to count at `now`.
    pub fn is_mature(&self, at: Timestamp, now: Timestamp) -> bool {
        at + self.maturity <= now
    }

    /// The definition's hash, as plans and facts name it.
    pub fn hash(&self) -> Digest {
        digest_of(self)
    }
}

/// A label as true (1) or false (0).
fn truth(label: &Value) -> Option<f64> {
    match label {
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Number(number) => number.as_f64().and_then(share),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "yes" | "true" | "1" => Some(1.0),
            "no" | "false" | "0" => Some(0.0),
            _ => None,
        },
        _ => None,
    }
}

/// A number that is a truth: exactly 0 or 1.
fn share(number: f64) -> Option<f64> {
    (number == 0.0 || number == 1.0).then_some(number)
}

/// One day of a KPI.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DailyPoint {
    /// The day of the decisions.
    pub day: Day,
    /// The arm; `None` for all cases together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<Variant>,
    /// The mean or share; `None` when no matured case has a value.
    pub value: Option<f64>,
    /// Matured cases with a value.
    pub n: u64,
    /// Matured cases whose outcome is missing.
    pub missing: u64,
}

/// Collects cases into daily points in one pass, a few bytes a day.
#[derive(Debug)]
pub struct DailyPoints {
    maturity: Span,
    now: Timestamp,
    days: BTreeMap<(Day, Option<Variant>), (f64, u64, u64)>,
    immature: u64,
}

impl DailyPoints {
    /// Starts a collection as of `now`.
    pub fn new(kpi: &KpiSpec, now: Timestamp) -> Self {
        Self { maturity: kpi.maturity, now, days: BTreeMap::new(), immature: 0 }
    }

    /// Takes one case: when it was decided, its arm, and [`KpiSpec::value_of`] it.
    pub fn add(&mut self, at: Timestamp, arm: Option<Variant>, value: Option<f64>) {
        if at + self.maturity > self.now {
            self.immature += 1;
            return;
        }
        let all = std::iter::once(None).chain(arm.map(Some));
        for key in all {
            let (mean, n, missing) = self.days.entry((at.day(), key)).or_default();
            match value.filter(|number| number.is_finite()) {
                Some(number) => {
                    *n += 1;
                    *mean += (number - *mean) / *n as f64;
                }
                None => *missing += 1,
            }
        }
    }

    /// Cases too young to count.
    pub fn immature(&self) -> u64 {
        self.immature
    }

    /// The points in order of day, all cases first, then by arm.
    pub fn finish(self) -> Vec<DailyPoint> {
        let point = |((day, arm), (mean, n, missing))| DailyPoint {
            day,
            arm,
            value: (n > 0).then_some(mean),
            n,
            missing,
        };
        self.days.into_iter().map(point).collect()
    }
}

/// One row of imported history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryPoint {
    /// The day.
    pub day: Day,
    /// The KPI's value on that day.
    pub value: f64,
    /// How many cases it rests on.
    pub n: u64,
    /// The arm, when the file has that column and it is filled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<String>,
}

/// Reads history: a header `date,value,n` with an optional `arm`, then one row a day and arm.
///
/// # Errors
/// Every bad row with its line; a day (and arm) that comes twice is refused.
pub fn parse_history(text: &str) -> Result<Vec<HistoryPoint>, Vec<FieldError>> {
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let header: Vec<String> = lines.next().map(|(_, line)| cells(line)).unwrap_or_default();
    let column = |name: &str| header.iter().position(|cell| cell.eq_ignore_ascii_case(name));
    let (Some(date), Some(value), Some(n)) = (column("date"), column("value"), column("n")) else {
        let seen = header.join(",");
        let detail =
            format!("the header is `{seen}`; it must be `date,value,n` or `date,value,n,arm`");
        return Err(vec![row_error(1, "/header", detail)]);
    };
    let arm = column("arm");
    let (mut points, mut errors) = (Vec::new(), Vec::new());
    let mut seen = std::collections::HashSet::new();
    for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let row = cells(line);
        match history_point(&row, date, value, n, arm) {
            Ok(point) if !seen.insert((point.day, point.arm.clone())) => {
                let detail =
                    format!("the day `{}` comes twice; keep one row a day and arm", point.day);
                errors.push(row_error(index + 1, "/date", detail));
            }
            Ok(point) => points.push(point),
            Err((pointer, detail)) => errors.push(row_error(index + 1, pointer, detail)),
        }
        // Why a cap: a file of the wrong kind would answer with one error for each of its rows.
        if errors.len() >= 20 {
            break;
        }
    }
    if errors.is_empty() { Ok(points) } else { Err(errors) }
}

fn history_point(
    row: &[String],
    date: usize,
    value: usize,
    n: usize,
    arm: Option<usize>,
) -> Result<HistoryPoint, (&'static str, String)> {
    let cell = |index: usize| row.get(index).map_or("", String::as_str);
    let day = cell(date).parse::<Day>().map_err(|error| ("/date", error.to_string()))?;
    let number = cell(value).parse::<f64>().ok().filter(|number| number.is_finite());
    let number = number.ok_or_else(|| {
        ("/value", format!("`{}` is not a finite number such as `12.5`", cell(value)))
    })?;
    let count = cell(n).parse::<u64>().map_err(|_| {
        ("/n", format!("`{}` is not a count: use a whole number such as `120`", cell(n)))
    })?;
    let arm = arm.map(cell).filter(|arm| !arm.is_empty()).map(str::to_owned);
    Ok(HistoryPoint { day, value: number, n: count, arm })
}

/// Splits a line of plain CSV; dates, numbers and arm names never hold a comma.
fn cells(line: &str) -> Vec<String> {
    line.split(',').map(|cell| cell.trim().trim_matches('"').to_owned()).collect()
}

fn row_error(line: usize, pointer: &str, detail: String) -> FieldError {
    FieldError { pointer: pointer.to_owned(), detail, line: Some(line as u64), column: None }
}

#[cfg(test)]
#[path = "kpi_tests.rs"]
mod tests;
