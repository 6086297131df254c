//! V1 and V3: what the registered trial's one look says, with the grade that the platform gives.

use serde_json::json;
use viaduct_base::TrialId;
use viaduct_domain::fact::{FactName, FactValue, Measurement, Window};
use viaduct_domain::manifest::Section;
use viaduct_stats::SrmLevel;
use viaduct_stats::decision::{CONTAMINATION_MAX, IMBALANCE_P, Verdict};

use super::Ground;
use crate::evidence::trial::{Analysis, NoLook, analyse};

/// A look that was taken: the analysis, its grade, and the facts in it.
#[derive(Debug, Clone)]
pub struct Looked {
    /// The trial.
    pub trial: TrialId,
    /// What was seen.
    pub analysis: Analysis,
    /// `A` for a randomised trial whose conditions hold, `S` for a replay, else `D`.
    pub grade: char,
    /// The measurements.
    pub measurements: Vec<Measurement>,
}

pub(super) fn look(ground: &Ground<'_>) -> Option<Looked> {
    let (id, trial) = ground.trial?;
    // Why: values are read through the rule, and the plan was registered with this one.
    let rule = ground
        .spec
        .rule
        .as_ref()
        .filter(|_| ground.spec.section_hash(Section::Rule) == trial.plan.rule_hash)?;
    let analysis = match analyse(id, trial, rule, ground.cases, ground.now) {
        Ok(analysis) => analysis,
        Err(NoLook::TooEarly { .. } | NoLook::Insufficient(_)) => return None,
    };
    Some(stated(ground, id, analysis))
}

/// A look that was taken earlier, stated again: the plan has one look, and a report that comes
/// after it changes no figure, whatever date it bears.
pub(super) fn stated(ground: &Ground<'_>, trial: TrialId, analysis: Analysis) -> Looked {
    let grade = grade(&analysis);
    let measurements = measurements(ground, &analysis, grade);
    Looked { trial, analysis, grade, measurements }
}

/// value.md §1.2: a unit-level randomised comparison is A while the platform's own checks hold.
fn grade(analysis: &Analysis) -> char {
    if analysis.replayed {
        'S'
    } else if analysis.decision.verdict == Verdict::Invalid {
        'D'
    } else {
        'A'
    }
}

/// The number of a grade in the fact `trial.grade`.
fn grade_number(grade: char) -> f64 {
    match grade {
        'A' => 4.0,
        'B' => 3.0,
        'C' => 2.0,
        'S' => 1.0,
        _ => 0.0,
    }
}

fn measurements(ground: &Ground<'_>, analysis: &Analysis, grade: char) -> Vec<Measurement> {
    let effect = &analysis.effect;
    let n = effect.n_control + effect.n_treated;
    let (from, to) = analysis.exposures;
    let inputs = json!({ "effect": [effect.effect, effect.se], "n": n, "from": from, "to": to });
    let reasons = analysis.decision.reasons.join("; ");
    let (missing_holdout, missing_champion) = analysis.missing;
    let rows = [
        (
            FactName::TrialVerdictPass,
            FactValue::flag(analysis.decision.verdict == Verdict::Pass),
            reasons.clone(),
        ),
        (
            FactName::TrialGrade,
            FactValue::scalar(grade_number(grade)),
            format!(
                "grade {grade}: units randomised by the platform, one look at the registered end"
            ),
        ),
        (
            FactName::TrialEffect,
            FactValue::interval(effect.effect, (effect.lower, effect.upper), effect.level),
            format!(
                "{}; {} holdout and {} champion units",
                effect.formula, effect.n_control, effect.n_treated
            ),
        ),
        (
            FactName::TrialSrmOk,
            FactValue::flag(analysis.srm.level != SrmLevel::Alert),
            format!("chi-square p = {:.4}", analysis.srm.p_value),
        ),
        (
            FactName::TrialContaminationOk,
            FactValue::flag(analysis.contamination <= CONTAMINATION_MAX),
            format!("{:.3} % of units were in two arms", analysis.contamination * 100.0),
        ),
        (
            FactName::TrialMissingOutcomesBalanced,
            FactValue::flag(analysis.missing_outcomes_p.is_none_or(|p| p >= IMBALANCE_P)),
            format!(
                "missing outcomes: {missing_holdout} in the holdout, {missing_champion} in the champion arm"
            ),
        ),
        (
            FactName::TrialRegisteredBeforeExposure,
            FactValue::flag(analysis.exposure_problem.is_none()),
            analysis.exposure_problem.clone().unwrap_or_else(|| format!("first exposure {from}")),
        ),
    ];
    rows.into_iter()
        .filter_map(|(name, value, note)| {
            let made = ground.measured(name, value, &inputs)?;
            let mut made = made.n(n).window(Window { from, to }).note(note);
            made.provenance = ground.provenance(analysis.replayed);
            Some(made)
        })
        .collect()
}
