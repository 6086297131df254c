//! An evaluation as a gate with its criteria.

use viaduct_app::App;
use viaduct_domain::evaluate::{CheckResult, CriterionResult, Evaluation};
use viaduct_domain::fact::{FactName, FactValue, Unit};
use viaduct_domain::policy::{self, Severity, Threshold};

use super::{Units, length, stage, words};
use crate::view::{Blocker, Bound, Check, Criterion, Gate, Measure, Provenance, Status};

/// The gate of an evaluation.
pub(in crate::routes) fn gate(app: &App, evaluation: &Evaluation, units: &Units) -> Gate {
    // An evaluation by another policy is shown without drawn thresholds: they stand there no more.
    let policy = app.policy().gate(evaluation.gate);
    let policy = policy.filter(|gate| gate.policy.hash == evaluation.policy_hash);
    let signatures = policy.map(|gate| {
        let asked = gate.signatures.iter();
        let asked = asked.filter(|row| row.when.holds(evaluation.tier, &evaluation.purposes));
        asked.map(|row| words(row.role.as_str())).collect()
    });
    Gate {
        name: evaluation.gate.to_string(),
        from: stage(evaluation.gate.from()),
        to: stage(evaluation.gate.to()),
        opens: evaluation.opens,
        policy_version: evaluation.policy_version.to_string(),
        evaluated_at: Some(evaluation.at),
        evaluation_id: None,
        criteria: evaluation
            .results
            .iter()
            .map(|result| {
                let row = policy.and_then(|gate| gate.criterion(&result.id));
                criterion(evaluation, result, row, units)
            })
            .collect(),
        signatures: signatures.unwrap_or_default(),
    }
}

/// The first criterion that keeps the gate shut.
pub(in crate::routes) fn blocker(evaluation: &Evaluation) -> Option<Blocker> {
    let result = evaluation.results.iter().find(|result| result.blocking)?;
    Some(Blocker {
        criterion: result.id.clone(),
        title: result.title.clone(),
        status: status(result.status),
        distance: Some(result.sentence.clone()),
        fix: result.fix.clone(),
    })
}

/// A status.
pub(in crate::routes) fn status(status: viaduct_domain::evaluate::Status) -> Status {
    use viaduct_domain::evaluate::Status as Found;
    match status {
        Found::NotApplicable => Status::NotApplicable,
        Found::Pass => Status::Pass,
        Found::Waived => Status::Waived,
        Found::NotEnoughData => Status::NotEnoughData,
        Found::Stale => Status::Stale,
        Found::Fail => Status::Fail,
    }
}

fn criterion(
    evaluation: &Evaluation,
    result: &CriterionResult,
    row: Option<&policy::Criterion>,
    units: &Units,
) -> Criterion {
    let stands = status(result.status);
    // A check for another tier or purpose says nothing here, where the criterion itself applies.
    let applies = |found: &CheckResult| {
        status(found.status) != Status::NotApplicable || stands == Status::NotApplicable
    };
    let checks = result.checks.iter().enumerate().filter(|(_, found)| applies(found));
    let checks = checks.map(|(place, found)| {
        let asked = row.and_then(|row| row.checks.get(place)).filter(|c| c.fact == found.fact);
        check(evaluation, (result, found), asked, units)
    });
    let mut producers: Vec<String> = result
        .checks
        .iter()
        .filter_map(|check| check.producer)
        .map(|producer| format!("the {}", words(producer.as_str()).replace("kpi", "KPI")))
        .collect();
    producers.dedup();
    Criterion {
        id: result.id.clone(),
        title: result.title.clone(),
        trigger: result.trigger.and_then(trigger).map(str::to_owned),
        status: stands,
        blocking: result.severity == Severity::Block,
        checks: checks.collect(),
        producer: if producers.is_empty() {
            "nothing in this release".to_owned()
        } else {
            producers.join(" and ")
        },
        distance: (stands != Status::Pass).then(|| result.sentence.clone()),
        fix: result.fix.clone(),
    }
}

/// What kind of failure a criterion guards against.
fn trigger(number: u8) -> Option<&'static str> {
    match number {
        1 => Some("alignment"),
        2 => Some("data"),
        3 => Some("integration"),
        4 => Some("ownership"),
        5 => Some("people"),
        _ => None,
    }
}

fn check(
    evaluation: &Evaluation,
    (result, found): (&CriterionResult, &CheckResult),
    asked: Option<&policy::Check>,
    units: &Units,
) -> Check {
    let is_worst = result.worst().is_some_and(|worst| worst.fact == found.fact);
    // The worst check's sentence is the criterion's; the other red ones tell theirs here.
    let own = found.status > viaduct_domain::evaluate::Status::Waived && !is_worst;
    let sentence = own.then(|| found.sentence.clone());
    Check {
        fact: found.fact.to_string(),
        fact_id: found.fact_id.map(|id| id.to_string()),
        status: status(found.status),
        measure: measure(found.value.as_ref()),
        unit: unit(found.fact, units),
        bound: asked.map_or(Bound::Other, |asked| bound(asked, units)),
        threshold: found.threshold.clone(),
        n: found.n.map(whole),
        min_n: found.min_n.map(whole),
        window: found.window.map(|window| length(window.length())),
        subject: found.observed_at.and_then(|_| subject(evaluation, found.fact)),
        observed_at: found.observed_at,
        provenance: found
            .provenance
            .and_then(|provenance| Provenance::parse(provenance.as_str()))
            .unwrap_or(Provenance::Live),
        note: match (sentence, found.note.clone()) {
            (Some(sentence), Some(note)) => Some(format!("{sentence}. {note}")),
            (sentence, note) => sentence.or(note),
        },
    }
}

fn whole(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn measure(value: Option<&FactValue>) -> Measure {
    match value.copied() {
        Some(FactValue::Scalar { value }) => Measure::Scalar(value),
        Some(FactValue::Interval { estimate, lower, upper, level }) => {
            Measure::Interval { estimate, lower, upper, level }
        }
        Some(FactValue::Flag { value }) => Measure::Flag(value),
        None => Measure::Missing,
    }
}

fn unit(fact: FactName, units: &Units) -> String {
    match (fact, fact.unit()) {
        (FactName::ShadowPairedDifference | FactName::TrialEffect, _) => units.kpi.clone(),
        (_, Unit::Money) => units.money.clone(),
        (_, Unit::Number | Unit::Flag) => String::new(),
        (_, unit) => unit.as_str().to_owned(),
    }
}

fn bound(asked: &policy::Check, units: &Units) -> Bound {
    let numbers = match &asked.threshold {
        Threshold::Number(number) => vec![*number],
        Threshold::Band(low, high) => vec![*low, *high],
        Threshold::MinusShadowMargin => vec![-units.shadow_margin],
        Threshold::Nothing | Threshold::OneOf(_) => Vec::new(),
    };
    Bound::of(asked.op.as_str(), &numbers)
}

/// What was measured, where its id tells people something: a version, or a section's hash.
fn subject(evaluation: &Evaluation, fact: FactName) -> Option<String> {
    let id = &evaluation.subjects.get(&fact.subject_kind())?.id;
    match (id.rsplit_once('/'), id.contains('@')) {
        (Some((model, version)), _) => Some(format!("{model} version {version}")),
        (None, true) => Some(id.clone()),
        (None, false) => None,
    }
}
