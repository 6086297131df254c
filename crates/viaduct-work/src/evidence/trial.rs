//! V1 and V3: the one look at a registered trial, on matured units, by the plan's own definitions.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use viaduct_base::{Timestamp, TrialId};
use viaduct_domain::assign::{BUCKETS, Variant};
use viaduct_domain::kpi::{KpiSpec, KpiType};
use viaduct_domain::rule::Rule;
use viaduct_domain::trial::{Phase, RegisteredTrial};
use viaduct_stats::decision::{
    self, Decision, Deterioration, Guardrail, Registration, Success, TrialEvidence,
};
use viaduct_stats::{Estimate, Insufficient, Moments, Srm, proportion, srm, welch};

use super::cases::Case;

/// Level of the shown interval.
const LEVEL: f64 = 0.95;

/// Everything that the look saw.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Analysis {
    /// Champion less holdout, on the KPI's own scale.
    pub effect: Estimate,
    /// The sample-ratio check over units.
    pub srm: Srm,
    /// Share of units seen in both arms.
    pub contamination: f64,
    /// p that outcomes are missing at different rates; absent when none is missing in either arm.
    pub missing_outcomes_p: Option<f64>,
    /// Units whose outcome never came: holdout, champion.
    pub missing: (u64, u64),
    /// First and last exposure.
    pub exposures: (Timestamp, Timestamp),
    /// What is wrong with the exposures, if anything.
    pub exposure_problem: Option<String>,
    /// The verdict and its reasons.
    pub decision: Decision,
    /// Units taken out because they were not assigned by the platform.
    pub unassigned: u64,
    /// True when any row came from a replay.
    pub replayed: bool,
}

/// Why there is nothing to see yet.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoLook {
    /// The registered end has not come, or outcomes are still young.
    #[error(
        "the plan has one look, when the last case has matured on {matured_at}; no figure is shown before"
    )]
    TooEarly {
        /// When it may be taken.
        matured_at: Timestamp,
    },
    /// The cases do not carry an estimate.
    #[error("no estimate: {0}")]
    Insufficient(#[from] Insufficient),
}

/// Units of one arm: the KPI's values, averaged within a unit.
#[derive(Default)]
struct Arm {
    units: BTreeMap<String, Moments>,
    without_outcome: BTreeSet<String>,
}

impl Arm {
    fn moments(&self) -> Moments {
        let mut all = Moments::default();
        for unit in self.units.values() {
            all.push(unit.mean);
        }
        all
    }

    fn missing(&self) -> u64 {
        self.without_outcome.iter().filter(|unit| !self.units.contains_key(*unit)).count() as u64
    }

    /// Whether the unit was ever in this arm, with or without an outcome.
    fn saw(&self, unit: &str) -> bool {
        self.units.contains_key(unit) || self.without_outcome.contains(unit)
    }

    fn exposed(&self) -> u64 {
        self.units.len() as u64 + self.missing()
    }
}

/// Takes the look.
///
/// # Errors
/// Before the plan's end has matured, and when the cases do not carry an estimate.
pub fn analyse(
    id: TrialId,
    trial: &RegisteredTrial,
    rule: &Rule,
    cases: &[Case],
    now: Timestamp,
) -> Result<Analysis, NoLook> {
    if trial.phase(now) != Phase::Matured {
        return Err(NoLook::TooEarly { matured_at: trial.matured_at });
    }
    // Why not the present: one look sees what was known at the registered end. A report that comes
    // later would make a second look of it.
    let now = trial.matured_at;
    let exposed: Vec<&Case> = cases.iter().filter(|case| case.trial == Some(id)).collect();
    let (assigned, strays): (Vec<&Case>, Vec<&Case>) =
        exposed.into_iter().partition(|case| !case.unassigned && !case.entity.is_empty());
    let span = assigned.iter().map(|c| c.at).min().zip(assigned.iter().map(|c| c.at).max());
    let problem = trial.exposure_problem(span);
    let (holdout, champion) = arms(&assigned, &trial.plan.kpi, rule, now);
    let effect = effect(&trial.plan.kpi, &holdout, &champion)?;
    let holdout_share = f64::from(trial.plan.split.holdout_bp) / f64::from(BUCKETS);
    let weights = [holdout_share, 1.0 - holdout_share];
    let srm = srm(&[holdout.exposed(), champion.exposed()], &weights)?;
    let contamination = contamination(&holdout, &champion);
    let missing_outcomes_p = missing_p(&holdout, &champion)?;
    let mut evidence = TrialEvidence {
        alpha: trial.plan.alpha,
        srm: srm.level,
        contamination,
        pre_period_p: None,
        missing_outcomes_p,
        registration: match problem {
            None => Registration::BeforeExposure,
            Some(_) => Registration::AfterExposure,
        },
        ..TrialEvidence::default()
    };
    judge(&mut evidence, trial, &effect, &assigned, rule, now)?;
    Ok(Analysis {
        decision: decision::decide(&evidence)?,
        srm,
        contamination,
        missing_outcomes_p,
        missing: (holdout.missing(), champion.missing()),
        exposures: span.unwrap_or((trial.starts_at, trial.starts_at)),
        exposure_problem: problem.map(|p| p.to_string()),
        unassigned: strays.len() as u64,
        replayed: assigned.iter().any(|case| case.replayed),
        effect,
    })
}

fn arms(cases: &[&Case], kpi: &KpiSpec, rule: &Rule, now: Timestamp) -> (Arm, Arm) {
    let (mut holdout, mut champion) = (Arm::default(), Arm::default());
    for case in cases {
        let arm = match case.variant {
            Variant::Holdout => &mut holdout,
            Variant::Champion => &mut champion,
            Variant::Challenger | Variant::Shadow => continue,
        };
        match case.value(kpi, rule, now) {
            Some(value) => arm.units.entry(case.entity.clone()).or_default().push(value),
            None => {
                arm.without_outcome.insert(case.entity.clone());
            }
        }
    }
    (holdout, champion)
}

/// Share of units that were in both arms. Being there is enough: no outcome is needed.
fn contamination(holdout: &Arm, champion: &Arm) -> f64 {
    let units: BTreeSet<&String> = holdout.units.keys().chain(&holdout.without_outcome).collect();
    let both = units.into_iter().filter(|unit| champion.saw(unit)).count();
    let all = holdout.exposed() + champion.exposed() - both as u64;
    both as f64 / all.max(1) as f64
}

fn effect(kpi: &KpiSpec, holdout: &Arm, champion: &Arm) -> Result<Estimate, Insufficient> {
    let (control, treated) = (holdout.moments(), champion.moments());
    let whole = |arm: &Arm| arm.units.values().all(|unit| unit.n == 1);
    match kpi.kind {
        // A unit seen more than once has a share of its own: then its mean is compared.
        KpiType::Proportion if whole(holdout) && whole(champion) => proportion(
            control.sum().round() as u64,
            control.n,
            treated.sum().round() as u64,
            treated.n,
            LEVEL,
        ),
        KpiType::Proportion | KpiType::Mean => welch(&control, &treated, LEVEL),
    }
}

/// Two-proportion p of missing outcomes; `None` when nothing is missing in either arm.
fn missing_p(holdout: &Arm, champion: &Arm) -> Result<Option<f64>, Insufficient> {
    if holdout.missing() + champion.missing() == 0 {
        return Ok(None);
    }
    let test = proportion(
        holdout.missing(),
        holdout.exposed(),
        champion.missing(),
        champion.exposed(),
        LEVEL,
    )?;
    Ok(test.p_value)
}

/// Puts success, deterioration and guardrails before the rule.
fn judge(
    evidence: &mut TrialEvidence,
    trial: &RegisteredTrial,
    effect: &Estimate,
    cases: &[&Case],
    rule: &Rule,
    now: Timestamp,
) -> Result<(), Insufficient> {
    let plan = &trial.plan;
    let sign = plan.kpi.direction.sign();
    let better = sign * effect.effect > 0.0;
    if let Some(p_value) = effect.p_value {
        let moved = if better { decision::Moved::Better } else { decision::Moved::Worse };
        evidence.success.push(Success { name: plan.kpi.name.to_string(), p_value, moved });
        let harm = if better { 1.0 - p_value / 2.0 } else { p_value / 2.0 };
        let name = plan.kpi.name.to_string();
        evidence.deterioration.push(Deterioration { name, p_value: harm });
    }
    for guardrail in &plan.guardrails {
        let (holdout, champion) = arms(cases, &guardrail.kpi, rule, now);
        let direction = match guardrail.kpi.direction {
            viaduct_domain::kpi::Direction::Increase => viaduct_stats::Direction::Increase,
            viaduct_domain::kpi::Direction::Decrease => viaduct_stats::Direction::Decrease,
        };
        let (control, treated) = (holdout.moments(), champion.moments());
        // Why `is_ok_and`: a guardrail without evidence is inconclusive, and that is no pass.
        let is_non_inferior = viaduct_stats::non_inferiority_mean(
            &control,
            &treated,
            guardrail.margin,
            direction,
            plan.alpha,
        )
        .is_ok_and(|test| test.is_non_inferior);
        let name = guardrail.kpi.name.to_string();
        evidence.guardrails.push(Guardrail { name, is_non_inferior });
    }
    Ok(())
}
