//! Decisions joined with what became of them: the rows that shadow, plan and trial read.

use std::collections::BTreeMap;

use viaduct_base::{Day, DecisionId, Span, Timestamp, TrialId};
use viaduct_domain::assign::Variant;
use viaduct_domain::kpi::{KpiSpec, Outcome, ShadowCase, outcome_at};
use viaduct_domain::output::ModelOutput;
use viaduct_domain::rule::{Deed, DryRun, Rule, Verdict};
use viaduct_stats::{Insufficient, Moments, quantile};

/// One decision and the reports about it.
#[derive(Debug, Clone)]
pub struct Case {
    /// The decision.
    pub id: DecisionId,
    /// When it was decided.
    pub at: Timestamp,
    /// The entity, hashed; empty when the caller named none.
    pub entity: String,
    /// What stood behind the endpoint for it.
    pub variant: Variant,
    /// The trial it belongs to.
    pub trial: Option<TrialId>,
    /// What was done.
    pub action: String,
    /// What the model answered; the rule of today is run over it.
    pub output: Option<ModelOutput>,
    /// Which version answered.
    pub model_version: i64,
    /// True when assignment was not sticky or was overridden by hand: no evidence in a trial.
    pub unassigned: bool,
    /// True for rows of a replay.
    pub replayed: bool,
    /// Reports, by arrival.
    pub outcomes: Vec<Outcome>,
}

impl Case {
    /// What it was worth by what is known at `now`.
    pub fn value(&self, kpi: &KpiSpec, rule: &Rule, now: Timestamp) -> Option<f64> {
        let done = rule.deed(&self.action).unwrap_or(Deed::Acted);
        kpi.value_of(outcome_at(&self.outcomes, now), done)
    }

    /// What a digest over cases takes of this one.
    pub fn digest_line(&self) -> String {
        let last = self.outcomes.last().map(|o| (o.observed_at.as_micros(), o.value));
        format!("{} {} {last:?}\n", self.id, self.outcomes.len())
    }

    /// When its first settled report became known.
    fn settled_at(&self) -> Option<Timestamp> {
        use viaduct_domain::kpi::OutcomeStatus::Partial;
        self.outcomes.iter().filter(|o| o.status != Partial).map(|o| o.observed_at).min()
    }
}

/// How outcomes find their decisions (D4). All over decisions older than the maturity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Joined {
    /// Decisions old enough.
    pub matured: u64,
    /// Of those, with a settled outcome.
    pub joined: u64,
    /// Days within which nine of ten outcomes had come.
    pub delay_p90_days: f64,
}

/// Measures the join over matured cases.
///
/// # Errors
/// `Insufficient` when nothing has matured or nothing was joined.
pub fn joined(cases: &[Case], kpi: &KpiSpec, now: Timestamp) -> Result<Joined, Insufficient> {
    let matured: Vec<&Case> = cases.iter().filter(|case| kpi.is_mature(case.at, now)).collect();
    let delays: Vec<f64> = matured
        .iter()
        .filter_map(|case| {
            Some(case.settled_at().filter(|at| *at <= now)?.since(case.at).as_days())
        })
        .collect();
    let delay_p90_days = quantile(&delays, 0.9)?;
    Ok(Joined { matured: matured.len() as u64, joined: delays.len() as u64, delay_p90_days })
}

/// The paired comparison of model and incumbent on the same cases (S1).
#[derive(Debug, Clone)]
pub struct Shadow {
    /// Value under the model's action less value as handled, signed so that more is better.
    pub differences: Moments,
    /// Values as handled.
    pub handled: Moments,
    /// Values under the model's action.
    pub model: Moments,
    /// Matured cases whose counterfactual nobody can know.
    pub unknown: u64,
    /// First and last decision that counted.
    pub window: Option<(Timestamp, Timestamp)>,
    /// Entities seen in the window, counted once each.
    pub entities: u64,
    /// True when any row came from a replay.
    pub replayed: bool,
}

/// Compares over matured shadow cases of one model version decided in `[from, to)`.
pub fn shadow(
    cases: &[Case],
    (kpi, rule): (&KpiSpec, &Rule),
    version: i64,
    (from, to): (Timestamp, Timestamp),
    now: Timestamp,
) -> Shadow {
    let mut out = Shadow {
        differences: Moments::default(),
        handled: Moments::default(),
        model: Moments::default(),
        unknown: 0,
        window: None,
        entities: 0,
        replayed: false,
    };
    let mut entities = std::collections::HashSet::new();
    let counted = cases.iter().filter(|case| {
        case.variant == Variant::Shadow
            && case.model_version == version
            && from <= case.at
            && case.at < to
            && kpi.is_mature(case.at, now)
    });
    for case in counted {
        let pair = case.output.as_ref().and_then(|output| {
            let action = rule.decide(output);
            // Why: a score that the rule cannot read is no decision to skip, and earns nothing.
            if action.verdict == Verdict::Unknown {
                return None;
            }
            let observed = case.value(kpi, rule, now);
            let seen =
                ShadowCase { model_action: &action.name, action_done: &case.action, observed };
            kpi.shadow_pair(rule, seen)
        });
        let Some((model, handled)) = pair else {
            out.unknown += 1;
            continue;
        };
        out.differences.push(kpi.direction.sign() * (model - handled));
        out.handled.push(handled);
        out.model.push(model);
        out.replayed |= case.replayed;
        if !case.entity.is_empty() {
            entities.insert(case.entity.as_str());
        }
        let (first, last) = out.window.unwrap_or((case.at, case.at));
        out.window = Some((first.min(case.at), last.max(case.at)));
    }
    out.entities = entities.len() as u64;
    out
}

/// Distinct entities a week, over the window that the cases span; `None` below one day, or when
/// callers name no entities.
pub fn entities_per_week(cases: &[Case]) -> Option<f64> {
    let first = cases.iter().map(|case| case.at).min()?;
    let last = cases.iter().map(|case| case.at).max()?;
    let days = last.since(first).as_days();
    if days < 1.0 {
        return None;
    }
    let named = cases.iter().map(|case| case.entity.as_str()).filter(|name| !name.is_empty());
    let entities: std::collections::HashSet<&str> = named.collect();
    if entities.is_empty() {
        return None;
    }
    // Why + 1: a window of whole days counts its first and its last day.
    Some(entities.len() as f64 * 7.0 / (days.ceil() + 1.0).min(days + 1.0))
}

/// Runs the rule over the outputs of the last `window` before `now` (I1).
pub fn dry_run(cases: &[Case], rule: &Rule, window: Span, now: Timestamp) -> DryRun {
    let recent = cases.iter().filter(|case| now - window <= case.at && case.at <= now);
    rule.dry_run(recent.filter_map(|case| Some((case.at.day(), case.output.as_ref()?))))
}

/// Values as handled, by the day on which they became known: whether the KPI is alive (A1).
pub fn known_by_day(
    cases: &[Case],
    kpi: &KpiSpec,
    rule: &Rule,
    now: Timestamp,
) -> BTreeMap<Day, Moments> {
    let mut days: BTreeMap<Day, Moments> = BTreeMap::new();
    for case in cases {
        let known = case.settled_at().filter(|at| *at <= now);
        if let (Some(at), Some(value)) = (known, case.value(kpi, rule, now)) {
            days.entry(at.day()).or_default().push(value);
        }
    }
    days
}
