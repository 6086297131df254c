//! Stored estimates as effects.

use serde_json::Value;
use viaduct_store::estimate::EstimateRow;

use crate::view::{Effect, Provenance};

/// An estimate that may be shown; one without an effect is before its look.
pub(in crate::routes) fn effect(row: &EstimateRow) -> Option<Effect> {
    let is_trial = row.design == "trial";
    let body: Value = serde_json::from_str(&row.body_json).unwrap_or_default();
    let formula = body.pointer("/estimate/formula").and_then(Value::as_str);
    Some(Effect {
        label: if is_trial { "champion − holdout" } else { "model − current process" }.to_owned(),
        estimate: row.effect?,
        lower: row.lower.unwrap_or(f64::NEG_INFINITY),
        upper: row.upper.unwrap_or(f64::INFINITY),
        level: row.level,
        unit: row.unit.clone(),
        per: Some("case".to_owned()),
        // Why not the sum of a shadow's: both sides are the same cases.
        n: Some(if is_trial { row.n_model + row.n_control } else { row.n_model }),
        grade: row.grade.clone(),
        method: method(is_trial, formula),
        provenance: Provenance::parse(&row.provenance).unwrap_or(Provenance::Live),
    })
}

fn method(is_trial: bool, formula: Option<&str>) -> String {
    let formula = formula.unwrap_or_default();
    let words = if formula.starts_with("welch") {
        "difference of means, Welch"
    } else if formula.contains("proportion") || formula.contains("newcombe") {
        "difference of shares"
    } else if is_trial {
        "difference of arms"
    } else {
        "paired difference on the same cases"
    };
    if formula.is_empty() { words.to_owned() } else { format!("{words} ({formula})") }
}

/// The estimate that counts today: of the latest trial, else of the latest shadow.
pub(in crate::routes) fn current(rows: &[EstimateRow]) -> Option<Effect> {
    let of = |design: &str| rows.iter().filter(|row| row.design == design).find_map(effect);
    of("trial").or_else(|| of("shadow"))
}
