//! A project, a rule and people whose two outcomes are both known.

use serde_json::json;
use viaduct_base::{DecisionId, Span, Timestamp, TrialId};
use viaduct_domain::assign::Variant;
use viaduct_domain::kpi::{KpiSpec, Outcome, OutcomeStatus};
use viaduct_domain::manifest::{self, ProjectSpec};
use viaduct_domain::output::ModelOutput;
use viaduct_domain::rule::Rule;
use viaduct_domain::trial::{RegisteredTrial, TrialPlan};
use viaduct_work::evidence::cases::Case;

const FILE: &str = include_str!("../../../viaduct-domain/src/manifest/term_deposit.yaml");

/// The example's file: 21 days of maturity, act from a probability of 0.12 on.
pub(crate) fn spec() -> ProjectSpec {
    manifest::parse(FILE).unwrap()
}

/// The same without its guardrail, which reads another KPI.
pub(crate) fn spec_without_guardrail() -> ProjectSpec {
    let text = FILE.replace("[{kpi: complaints, margin: 0.1}]", "[]");
    assert_ne!(text, FILE);
    manifest::parse(&text).unwrap()
}

pub(crate) fn kpi(spec: &ProjectSpec) -> &KpiSpec {
    spec.primary_kpi().unwrap()
}

pub(crate) fn rule(spec: &ProjectSpec) -> &Rule {
    spec.rule.as_ref().unwrap()
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Numbers that are the same in every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between 0 and 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Mean 0, standard deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        let (u, v) = (self.share().max(1e-300), self.share());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

/// A case without reports.
pub(crate) fn case(at: Timestamp, entity: &str, variant: Variant) -> Case {
    Case {
        id: DecisionId::new(at),
        at,
        entity: entity.to_owned(),
        variant,
        trial: None,
        action: "call".to_owned(),
        output: Some(score(0.5)),
        model_version: 1,
        unassigned: false,
        replayed: false,
        outcomes: Vec::new(),
    }
}

pub(crate) fn score(probability: f64) -> ModelOutput {
    ModelOutput { probability: Some(probability), ..ModelOutput::default() }
}

pub(crate) fn report(value: f64, observed_at: Timestamp, status: OutcomeStatus) -> Outcome {
    Outcome { label: Some(json!(value > 0.0)), value: Some(value), observed_at, status }
}

/// Settled `days` after the decision.
pub(crate) fn settled(mut case: Case, value: f64, days: i64) -> Case {
    let known = case.at + Span::days(days);
    case.outcomes.push(report(value, known, OutcomeStatus::Final));
    case
}

/// The example's trial: from 2026-03-02, 42 days, mature 21 days later.
pub(crate) fn trial(spec: &ProjectSpec) -> (TrialId, RegisteredTrial) {
    let plan = TrialPlan::from_spec(spec).unwrap();
    let start = at("2026-03-02");
    let made = RegisteredTrial::register(plan, at("2026-03-01"), Some(start)).unwrap();
    (TrialId::new(start), made)
}

/// `units` people, each decided once within the trial and settled after 7 days: N(`mean`, 10)
/// in the holdout, `effect` more under the champion.
pub(crate) fn population(id: TrialId, units: usize, mean: f64, effect: f64) -> Vec<Case> {
    drawn(&mut Dice::new(5), id, units, mean, effect)
}

/// The same, drawn from these dice.
pub(crate) fn drawn(
    dice: &mut Dice,
    id: TrialId,
    units: usize,
    mean: f64,
    effect: f64,
) -> Vec<Case> {
    let start = at("2026-03-02");
    (0..units)
        .map(|unit| {
            let moment = start + Span::seconds(60 * (unit as i64 * 997 % 60_000));
            let variant = if unit % 2 == 0 { Variant::Holdout } else { Variant::Champion };
            let mut case = case(moment, &format!("unit-{unit}"), variant);
            case.trial = Some(id);
            let gain = if variant == Variant::Champion { effect } else { 0.0 };
            settled(case, mean + 10.0 * dice.normal() + gain, 7)
        })
        .collect()
}
