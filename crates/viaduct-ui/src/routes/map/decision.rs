//! Decisions in lists, and their values as text.

use serde_json::Value;
use viaduct_decisions::{DecisionRow as Row, Flag};
use viaduct_store::outcome::OutcomeRow;

use crate::fmt;
use crate::view::{DecisionRow, Field};

/// A decision in a list.
pub(in crate::routes) fn row(
    decision: &Row,
    outcome: Option<&OutcomeRow>,
    unit: &str,
) -> DecisionRow {
    DecisionRow {
        id: decision.id.to_string(),
        at: decision.at,
        subject: subject(decision),
        variant: decision.variant.clone(),
        action: decision.action.clone(),
        output: decision.output.as_ref().and_then(headline),
        model: if decision.model.is_empty() {
            fmt::NONE.to_owned()
        } else {
            format!("{} {}", decision.model, decision.model_version)
        },
        outcome: outcome.map(|outcome| outcome_text(outcome, unit)),
        latency_us: i64::try_from(decision.latency_us).unwrap_or(i64::MAX),
    }
}

/// The business keys, else the entity's hash, else the end of the id.
fn subject(decision: &Row) -> String {
    if !decision.keys.is_empty() {
        let values: Vec<&str> = decision.keys.values().map(String::as_str).collect();
        return values.join(" · ");
    }
    if !decision.entity_hash.is_empty() {
        return fmt::short_hash(&decision.entity_hash).to_owned();
    }
    let id = decision.id.to_string();
    format!("…{}", &id[id.len().saturating_sub(8)..])
}

/// The number that people look at first.
fn headline(output: &Value) -> Option<String> {
    let number = |key: &str| output.get(key).and_then(Value::as_f64);
    if let Some(probability) = number("probability") {
        return Some(format!("{probability:.3}"));
    }
    number("value").map(fmt::plain).or_else(|| output.get("label").map(text))
}

fn outcome_text(outcome: &OutcomeRow, unit: &str) -> String {
    let value = outcome.value.map(|value| fmt::value(value, unit));
    let parts: Vec<String> = label(outcome).into_iter().chain(value).collect();
    let said = if parts.is_empty() { "reported".to_owned() } else { parts.join(", ") };
    if outcome.status == "final" { said } else { format!("{said} ({})", outcome.status) }
}

/// An outcome's label as text.
pub(in crate::routes) fn label(outcome: &OutcomeRow) -> Option<String> {
    let value: Value = serde_json::from_str(outcome.label_json.as_deref()?).ok()?;
    (!value.is_null()).then(|| text(&value))
}

/// A value as people read it.
pub(in crate::routes) fn text(value: &Value) -> String {
    match value {
        Value::Null => fmt::NONE.to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(real) if number.is_f64() => short(real),
            _ => number.to_string(),
        },
        Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Enough digits to tell values apart, not more.
fn short(real: f64) -> String {
    let text = format!("{real:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The members of an object, one level deep; nested ones are joined by a dot.
pub(in crate::routes) fn members(value: &Value) -> Vec<Field> {
    let Value::Object(members) = value else { return vec![Field::new("output", text(value))] };
    let mut fields = Vec::new();
    for (name, value) in members {
        match value {
            Value::Object(inner) => fields.extend(
                inner.iter().map(|(key, value)| Field::new(format!("{name}.{key}"), text(value))),
            ),
            Value::Null => {}
            value => fields.push(Field::new(name, text(value))),
        }
    }
    // The number first, the rest behind it.
    fields.sort_by_key(|field| !matches!(field.name.as_str(), "probability" | "value"));
    fields
}

/// A flag's word.
pub(in crate::routes) fn flag(flag: Flag) -> &'static str {
    match flag {
        Flag::Unsticky => "unsticky",
        Flag::Override => "override",
        Flag::Withheld => "withheld",
        Flag::Fallback => "fallback",
        Flag::Killed => "killed",
        Flag::NotFinite => "not finite",
        Flag::Defaulted => "defaulted",
        Flag::Erased => "erased",
    }
}
