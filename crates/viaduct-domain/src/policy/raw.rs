//! The policy as it is written, and the one way from there to checked rows.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::{Location, Spanned};
use viaduct_base::{FieldError, Kind, Refusal, Span, nearest};

use super::{
    Check, Criterion, Gate, OnTimeout, Operator, Policy, PolicyRef, Severity, SignatureRow,
    SignerRole, Threshold, TierOverride, When,
};
use crate::fact::{FactName, Shape};
use crate::stage::GateName;
use crate::tier::Tier;

/// What a `fix` may name.
pub(crate) const PLACEHOLDERS: [&str; 4] = ["project", "endpoint", "model", "kpi"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    version: u32,
    gates: Vec<RawGate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGate {
    gate: Spanned<String>,
    human_fields_max: u32,
    working_days: Spanned<u32>,
    criteria: Vec<RawCriterion>,
    signatures: Vec<RawSignature>,
    on_timeout: BTreeMap<String, Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCriterion {
    id: Spanned<String>,
    trigger: Option<u8>,
    title: String,
    severity: Spanned<String>,
    #[serde(default)]
    tiers: BTreeMap<String, Spanned<RawOverride>>,
    when: Option<Spanned<String>>,
    #[serde(default = "yes")]
    waivable: bool,
    fix: Spanned<String>,
    checks: Vec<RawCheck>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOverride {
    severity: Option<String>,
    max_age: Option<Span>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCheck {
    fact: Spanned<String>,
    op: Spanned<String>,
    threshold: Option<Spanned<Value>>,
    min_n: Option<u64>,
    level: Option<Spanned<f64>>,
    window: Option<Span>,
    max_age: Spanned<Span>,
    when: Option<Spanned<String>>,
    #[serde(default = "yes")]
    waivable: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSignature {
    role: Spanned<String>,
    statement: String,
    when: Option<Spanned<String>>,
    #[serde(default)]
    everyone: bool,
}

fn yes() -> bool {
    true
}

pub(super) fn parse(text: &str) -> Result<Policy, Refusal> {
    let options = serde_saphyr::options! { with_snippet: false };
    let raw: RawPolicy = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| refuse(vec![not_read(&error)]))?;
    let mut check = Checker::default();
    let gates = check.gates(raw.gates);
    if !check.errors.is_empty() {
        return Err(refuse(check.errors));
    }
    Policy::assemble(raw.version, gates)
        .map_err(|fault| Refusal::new(Kind::InvalidInput, fault.chain()))
}

fn refuse(errors: Vec<FieldError>) -> Refusal {
    let first = errors.first().map(|e| e.detail.clone()).unwrap_or_default();
    let place = errors.first().and_then(|e| e.line).map(|line| format!(" (line {line})"));
    let detail = format!("the policy is not valid: {first}{}", place.unwrap_or_default());
    Refusal::new(Kind::InvalidInput, detail).with_errors(errors)
}

/// A mistake of form: not YAML, an unknown key, a missing key, a wrong type.
fn not_read(error: &serde_saphyr::Error) -> FieldError {
    let place = error.location().filter(|at| *at != Location::UNKNOWN);
    let detail = match error.without_snippet() {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
            match nearest(field, expected.iter().copied()) {
                Some(near) => format!("`{field}` is not a key here; did you mean `{near}`?"),
                None => format!("`{field}` is not a key here: use `{}`", expected.join("`, `")),
            }
        }
        serde_saphyr::Error::SerdeMissingField { field, .. } => format!("`{field}` is missing"),
        other => {
            let said = other.render_with_formatter(&serde_saphyr::UserMessageFormatter);
            said.split(" at line ").next().unwrap_or_default().trim().to_owned()
        }
    };
    field_error(place, detail)
}

fn field_error(place: Option<Location>, detail: String) -> FieldError {
    FieldError {
        pointer: String::new(),
        detail,
        line: place.map(|at| at.line()),
        column: place.map(|at| at.column()),
    }
}

/// Turns raw rows into checked ones and collects every mistake of meaning.
#[derive(Default)]
struct Checker {
    errors: Vec<FieldError>,
    criterion_ids: BTreeSet<String>,
}

impl Checker {
    fn say(&mut self, at: Location, detail: impl Into<String>) {
        self.errors.push(field_error(Some(at), detail.into()));
    }

    /// A word of a closed list.
    fn word<T: FromStr>(&mut self, raw: &Spanned<String>) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        raw.value.parse().map_err(|error: T::Err| self.say(raw.referenced, error.to_string())).ok()
    }

    fn when(&mut self, raw: Option<&Spanned<String>>) -> When {
        raw.and_then(|raw| self.word(raw)).unwrap_or_default()
    }

    fn gates(&mut self, raw: Vec<RawGate>) -> Vec<Gate> {
        let mut names = BTreeSet::new();
        let mut gates = Vec::new();
        for raw in raw {
            let at = raw.gate.referenced;
            let Some(gate) = self.gate(raw) else { continue };
            if !names.insert(gate.name) {
                self.say(at, format!("gate `{}` comes twice", gate.name));
            }
            gates.push(gate);
        }
        gates
    }

    fn gate(&mut self, raw: RawGate) -> Option<Gate> {
        let name: Option<GateName> = self.word(&raw.gate);
        let at = raw.gate.referenced;
        let criteria: Vec<_> = raw.criteria.into_iter().filter_map(|c| self.criterion(c)).collect();
        let signatures: Vec<_> =
            raw.signatures.into_iter().filter_map(|s| self.signature(s)).collect();
        let always = |c: &Criterion| {
            c.when.is_always() && Tier::ALL.iter().all(|t| c.severity_at(*t) == Severity::Block)
        };
        if self.errors.is_empty() && !criteria.iter().any(always) {
            self.say(
                at,
                "the gate has no criterion that blocks at every tier: it would open on nothing",
            );
        }
        if raw.working_days.value == 0 {
            self.say(raw.working_days.referenced, "`working_days` must be at least 1");
        }
        let roles: BTreeSet<_> = signatures.iter().map(|s| s.role).collect();
        if roles.len() < signatures.len() {
            self.say(at, "a role signs twice: give each role one row");
        }
        let on_timeout = self.on_timeout(at, &raw.on_timeout);
        Some(Gate {
            name: name?,
            policy: PolicyRef { version: 0, hash: viaduct_base::Digest::of(b"") },
            human_fields_max: raw.human_fields_max,
            criteria,
            signatures,
            working_days: raw.working_days.value,
            on_timeout,
        })
    }

    fn on_timeout(
        &mut self,
        at: Location,
        raw: &BTreeMap<String, Spanned<String>>,
    ) -> BTreeMap<Tier, OnTimeout> {
        let mut rows = BTreeMap::new();
        for (tier, what) in raw {
            let Some(tier) = self.tier(what.referenced, tier) else { continue };
            let Some(what) = self.word::<OnTimeout>(what) else { continue };
            if what == OnTimeout::Accept && tier != Tier::T3 {
                self.say(at, format!("silence may open a gate at `T3` only, not at `{tier}`"));
            }
            rows.insert(tier, what);
        }
        if let Some(missing) = Tier::ALL.iter().find(|tier| !rows.contains_key(tier)) {
            self.say(at, format!("`on_timeout` does not say what happens at `{missing}`"));
        }
        rows
    }

    fn tier(&mut self, at: Location, text: &str) -> Option<Tier> {
        text.parse().map_err(|error: String| self.say(at, error)).ok()
    }

    fn criterion(&mut self, raw: RawCriterion) -> Option<Criterion> {
        let at = raw.id.referenced;
        let id = raw.id.value;
        if !self.criterion_ids.insert(id.clone()) {
            self.say(at, format!("criterion `{id}` comes twice"));
        }
        if raw.checks.is_empty() {
            self.say(at, format!("criterion `{id}` has no check: it would pass on nothing"));
        }
        if raw.trigger.is_some_and(|trigger| !(1..=5).contains(&trigger)) {
            self.say(at, format!("criterion `{id}`: `trigger` is 1 to 5"));
        }
        self.fix(&raw.fix);
        let severity = self.word(&raw.severity);
        let when = self.when(raw.when.as_ref());
        let tiers = self.overrides(raw.tiers);
        let checks = raw.checks.into_iter().filter_map(|check| self.check(check)).collect();
        Some(Criterion {
            id,
            trigger: raw.trigger,
            title: raw.title,
            checks,
            severity: severity?,
            tiers,
            when,
            waivable: raw.waivable,
            fix: raw.fix.value,
        })
    }

    fn overrides(
        &mut self,
        raw: BTreeMap<String, Spanned<RawOverride>>,
    ) -> BTreeMap<Tier, TierOverride> {
        let mut rows = BTreeMap::new();
        for (tier, over) in raw {
            let at = over.referenced;
            let Some(tier) = self.tier(at, &tier) else { continue };
            let severity = over
                .value
                .severity
                .and_then(|text| text.parse().map_err(|error: String| self.say(at, error)).ok());
            rows.insert(tier, TierOverride { severity, max_age: over.value.max_age });
        }
        rows
    }

    fn fix(&mut self, raw: &Spanned<String>) {
        if raw.value.trim().is_empty() {
            self.say(raw.referenced, "`fix` is empty: say what to do when the criterion is red");
        }
        for part in raw.value.split('{').skip(1) {
            let Some((name, _)) = part.split_once('}') else {
                self.say(raw.referenced, "`fix` has a `{` without its `}`");
                continue;
            };
            if !PLACEHOLDERS.contains(&name) {
                let detail = match nearest(name, PLACEHOLDERS) {
                    Some(near) => format!("`fix` names `{{{name}}}`; did you mean `{{{near}}}`?"),
                    None => format!("`fix` names `{{{name}}}`: use {}", placeholder_list()),
                };
                self.say(raw.referenced, detail);
            }
        }
    }

    fn check(&mut self, raw: RawCheck) -> Option<Check> {
        let fact: Option<FactName> = self.word(&raw.fact);
        let op = self.operator(&raw.op);
        let when = self.when(raw.when.as_ref());
        let (fact, op) = (fact?, op?);
        let at = raw.op.referenced;
        if !op.reads(fact.shape()) {
            let fitting = Operator::ALL.iter().filter(|op| op.reads(fact.shape()));
            let fitting: Vec<_> = fitting.map(|op| format!("`{}`", op.as_str())).collect();
            let (op, shape) = (op.as_str(), fact.shape());
            self.say(
                at,
                format!(
                    "`{fact}` is {shape}, and `{op}` does not read one: use {}",
                    fitting.join(", ")
                ),
            );
            return None;
        }
        let threshold = match &raw.threshold {
            None => Some(Threshold::Nothing),
            Some(raw) => threshold(op, &raw.value),
        };
        let Some(threshold) = threshold.filter(|threshold| op.takes(threshold)) else {
            let at = raw.threshold.as_ref().map_or(at, |raw| raw.referenced);
            self.say(at, format!("`{}` of `{fact}` takes {}", op.as_str(), op.wants()));
            return None;
        };
        if raw.max_age.value <= Span::ZERO || raw.window.is_some_and(|window| window <= Span::ZERO)
        {
            self.say(raw.max_age.referenced, "`max_age` and `window` must be longer than nothing");
        }
        if let Some(level) = &raw.level
            && (fact.shape() != Shape::Interval || !(level.value > 0.0 && level.value < 1.0))
        {
            self.say(level.referenced, "`level` is between 0 and 1, and for an interval only");
        }
        Some(Check {
            fact,
            op,
            threshold,
            min_n: raw.min_n,
            level: raw.level.map(|level| level.value),
            window: raw.window,
            max_age: raw.max_age.value,
            when,
            waivable: raw.waivable,
        })
    }

    fn operator(&mut self, raw: &Spanned<String>) -> Option<Operator> {
        let known = || Operator::ALL.iter().map(|op| op.as_str());
        let found = Operator::ALL.iter().copied().find(|op| op.as_str() == raw.value);
        if found.is_none() {
            let detail = match nearest(&raw.value, known()) {
                Some(near) => format!("`{}` is not an operator; did you mean `{near}`?", raw.value),
                None => format!(
                    "`{}` is not an operator: use `{}`",
                    raw.value,
                    known().collect::<Vec<_>>().join("`, `")
                ),
            };
            self.say(raw.referenced, detail);
        }
        found
    }

    fn signature(&mut self, raw: RawSignature) -> Option<SignatureRow> {
        let role: Option<SignerRole> = self.word(&raw.role);
        let when = self.when(raw.when.as_ref());
        Some(SignatureRow { role: role?, statement: raw.statement, when, everyone: raw.everyone })
    }
}

fn placeholder_list() -> String {
    PLACEHOLDERS.iter().map(|name| format!("`{{{name}}}`")).collect::<Vec<_>>().join(", ")
}

/// A threshold as it is written; `None` when it is none of the forms.
fn threshold(op: Operator, raw: &Value) -> Option<Threshold> {
    match raw {
        Value::Number(number) => number.as_f64().filter(|n| n.is_finite()).map(Threshold::Number),
        Value::String(text) if text == "-shadow_margin" => Some(Threshold::MinusShadowMargin),
        Value::Array(items) => {
            let numbers: Option<Vec<f64>> = items.iter().map(Value::as_f64).collect();
            let numbers = numbers?;
            match (op, numbers.as_slice()) {
                (Operator::Inside, [low, high]) if low <= high => {
                    Some(Threshold::Band(*low, *high))
                }
                (Operator::In, [_, ..]) => Some(Threshold::OneOf(numbers)),
                _ => None,
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Object(_) => None,
    }
}
