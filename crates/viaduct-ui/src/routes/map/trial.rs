//! A registered trial with its arms and, after its look, its estimate.

use std::collections::BTreeMap;

use serde_json::Value;
use viaduct_app::trial::TrialView;
use viaduct_base::Timestamp;
use viaduct_decisions::DecisionRow;
use viaduct_domain::manifest::Mde;
use viaduct_domain::trial::Phase;
use viaduct_store::estimate::EstimateRow;
use viaduct_store::outcome::OutcomeRow;

use super::effect::effect;
use crate::fmt;
use crate::view::{Arm, Status, Trial, TrialCheck, TrialState};

/// A trial. `cases` are its decisions with their latest outcomes, as far as they are at hand.
pub(in crate::routes) fn trial(
    found: &TrialView,
    estimates: &[EstimateRow],
    cases: &[(DecisionRow, Option<OutcomeRow>)],
    now: Timestamp,
) -> Trial {
    let registered = &found.registered;
    let plan = &registered.plan;
    let estimate = estimates.iter().find(|row| row.trial_id == Some(found.id));
    let body: Value =
        estimate.and_then(|row| serde_json::from_str(&row.body_json).ok()).unwrap_or_default();
    let state = match (found.phase, estimate) {
        (Phase::Planned, _) => TrialState::Registered,
        (Phase::Running, _) => TrialState::Running,
        (Phase::Matured, Some(_)) => TrialState::Done,
        (Phase::Maturing | Phase::Matured, _) => TrialState::Maturing,
    };
    // Whatever is stored: nothing is shown before the registered look.
    let looked = state == TrialState::Done;
    let shown = estimate.filter(|_| looked);
    Trial {
        id: found.id.to_string(),
        name: found.name.clone(),
        state,
        kpi: plan.kpi.name.to_string(),
        unit: plan.kpi.unit.clone(),
        registered_at: registered.registered_at,
        plan_hash: found.plan_hash.clone(),
        starts_at: registered.starts_at,
        ends_at: registered.ends_at,
        look_at: registered.matured_at,
        now,
        break_even: match plan.mde {
            Mde::BreakEven => None,
            Mde::Amount(amount) => Some(amount),
        },
        plan: format!(
            "α {}, power {}, {}",
            fmt::value(plan.alpha, "share"),
            fmt::value(plan.power, "share"),
            if plan.looks == 1 { "one look".to_owned() } else { format!("{} looks", plan.looks) }
        ),
        arms: arms(found, cases, shown.map(|row| (row, &body)), now),
        effect: shown.and_then(effect),
        others: Vec::new(),
        checks: if looked { checks(&body) } else { Vec::new() },
        verdict: shown.and_then(|row| verdict(row, &body)),
    }
}

#[derive(Default)]
struct Seen {
    decisions: i64,
    /// Units by entity: whether each one's outcome is final.
    units: BTreeMap<String, bool>,
}

fn arms(
    found: &TrialView,
    cases: &[(DecisionRow, Option<OutcomeRow>)],
    looked: Option<(&EstimateRow, &Value)>,
    now: Timestamp,
) -> Vec<Arm> {
    let plan = &found.registered.plan;
    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    for (decision, outcome) in cases.iter().filter(|(d, _)| d.trial == Some(found.id)) {
        let arm = seen.entry(decision.variant.as_str()).or_default();
        arm.decisions += 1;
        let settled = outcome.as_ref().is_some_and(|o| o.status != "partial");
        let is_final = settled && decision.at + plan.maturity <= now;
        *arm.units.entry(decision.entity_hash.clone()).or_default() |= is_final;
    }
    plan.split
        .shares()
        .into_iter()
        .map(|(variant, share)| {
            let seen = seen.remove(variant.as_str()).unwrap_or_default();
            let is_holdout = variant.as_str() == "holdout";
            let mean = looked.and_then(|(_, body)| {
                let key = if is_holdout { "mean_control" } else { "mean_treated" };
                body.pointer(&format!("/estimate/{key}")).and_then(Value::as_f64)
            });
            let counted =
                looked.map(|(row, _)| if is_holdout { row.n_control } else { row.n_model });
            let matured = seen.units.values().filter(|is_final| **is_final).count() as i64;
            Arm {
                name: variant.to_string(),
                share,
                units: (seen.units.len() as i64).max(counted.unwrap_or(0)),
                decisions: seen.decisions,
                matured: counted.unwrap_or(matured),
                mean,
            }
        })
        .collect()
}

fn checks(body: &Value) -> Vec<TrialCheck> {
    let Some(analysis) = body.pointer("/detail/analysis") else { return Vec::new() };
    let number = |pointer: &str| analysis.pointer(pointer).and_then(Value::as_f64);
    let grade = |holds: bool| if holds { Status::Pass } else { Status::Fail };
    let mut checks = Vec::new();
    if let Some(p) = number("/srm/p_value") {
        let level = analysis.pointer("/srm/level").and_then(Value::as_str);
        checks.push(TrialCheck {
            name: "Sample ratio".to_owned(),
            status: grade(level != Some("alert")),
            finding: format!("p = {}", fmt::plain(p)),
        });
    }
    if let Some(share) = number("/contamination") {
        checks.push(TrialCheck {
            name: "Contamination".to_owned(),
            status: grade(share <= 0.01),
            finding: format!("{} of units in two arms", fmt::value(share, "share")),
        });
    }
    let missing = |arm: usize| analysis.pointer(&format!("/missing/{arm}")).and_then(Value::as_i64);
    if let (Some(holdout), Some(champion)) = (missing(0), missing(1)) {
        let p = number("/missing_outcomes_p");
        checks.push(TrialCheck {
            name: "Missing outcomes".to_owned(),
            status: grade(p.is_none_or(|p| p >= 0.001)),
            finding: format!(
                "{} in the holdout, {} in the champion arm",
                fmt::count(holdout),
                fmt::count(champion)
            ),
        });
    }
    let problem = analysis.get("exposure_problem").and_then(Value::as_str);
    checks.push(TrialCheck {
        name: "Plan before first case".to_owned(),
        status: grade(problem.is_none()),
        finding: problem.unwrap_or("registered before the first case").to_owned(),
    });
    checks
}

fn verdict(row: &EstimateRow, body: &Value) -> Option<String> {
    let verdict = row.verdict.as_deref()?;
    let reasons = body.pointer("/detail/analysis/decision/reasons").and_then(Value::as_array);
    let reasons: Vec<&str> = reasons.into_iter().flatten().filter_map(Value::as_str).collect();
    let mut text = format!("The decision rule says {verdict}");
    if !reasons.is_empty() {
        text.push_str(": ");
        text.push_str(&reasons.join("; "));
    }
    text.push('.');
    // The page shows it as it is, without code in it.
    Some(text.replace('`', ""))
}
