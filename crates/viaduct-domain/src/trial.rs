//! A trial: a plan that is written down and hashed before the first case, then a comparison.
//!
//! Invariant: a plan carries everything its analysis reads (KPI, split, rule, contract), so a later
//! edit of the project file changes nothing that is running. Knows nothing of estimates.

use serde::{Deserialize, Serialize};
use viaduct_base::{Digest, Kind, Name, Refusal, Span, Timestamp};

use crate::assign::{HASH_NAME, Split};
use crate::kpi::KpiSpec;
use crate::manifest::{Mde, ProjectSpec, Section, digest_of};

/// What will be compared, on whom, for how long and by which test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialPlan {
    /// The trial's name.
    pub name: Name,
    /// The project.
    pub project: Name,
    /// The endpoint whose decisions are compared.
    pub endpoint: Name,
    /// The row field that names the entity; the unit of assignment.
    pub entity: String,
    /// The KPI, whole, as it was at registration.
    pub kpi: KpiSpec,
    /// The arms' shares.
    pub split: Split,
    /// How entities become buckets.
    pub assignment: String,
    /// How long cases are taken.
    pub duration: Span,
    /// How old a case must be before it counts.
    pub maturity: Span,
    /// The smallest effect worth finding.
    pub mde: Mde,
    /// Two-sided error of the first kind.
    pub alpha: f64,
    /// Planned power at the smallest effect.
    pub power: f64,
    /// How often the result is looked at: once, at the end, on matured cases.
    pub looks: u32,
    /// What must not get worse.
    pub guardrails: Vec<Guardrail>,
    /// The rule's hash at registration.
    pub rule_hash: Digest,
    /// The contract's hash at registration.
    pub contract_hash: Digest,
}

/// A KPI that must not get worse by more than a margin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guardrail {
    /// The KPI, whole.
    pub kpi: KpiSpec,
    /// The margin, relative to the holdout's level.
    pub margin: f64,
}

impl TrialPlan {
    /// The plan of a project file; what it needs and the file lacks is refused by name.
    ///
    /// # Errors
    /// The file has no `trial`, `endpoint`, `rule` or contract.
    pub fn from_spec(spec: &ProjectSpec) -> Result<Self, Refusal> {
        let lacks = |what: &str| {
            Refusal::new(
                Kind::InvalidInput,
                format!(
                    "the project `{}` has no `{what}`: add `spec.{what}` to its file and apply it, \
                         then register the trial",
                    spec.name
                ),
            )
        };
        let trial = spec.trial.as_ref().ok_or_else(|| lacks("trial"))?;
        let endpoint = spec.endpoint.as_ref().ok_or_else(|| lacks("endpoint"))?;
        let entity = endpoint.entity.clone().ok_or_else(|| lacks("endpoint.entity"))?;
        spec.rule.as_ref().ok_or_else(|| lacks("rule"))?;
        spec.contract.as_ref().ok_or_else(|| lacks("contract"))?;
        let kpi = spec.kpi(&trial.kpi).ok_or_else(|| lacks("kpis"))?.clone();
        let guardrails = trial.guardrails.iter().filter_map(|guardrail| {
            let kpi = spec.kpi(&guardrail.kpi)?.clone();
            Some(Guardrail { kpi, margin: guardrail.margin })
        });
        let guardrails: Vec<_> = guardrails.collect();
        let maturity = guardrails.iter().map(|g| g.kpi.maturity).fold(kpi.maturity, Span::max);
        Ok(Self {
            name: trial.name.clone(),
            project: spec.name.clone(),
            endpoint: endpoint.name.clone(),
            entity,
            kpi,
            split: Split::holdout(trial.holdout),
            assignment: HASH_NAME.to_owned(),
            duration: trial.duration,
            maturity,
            mde: trial.mde,
            alpha: trial.alpha,
            power: trial.power,
            looks: 1,
            guardrails,
            rule_hash: spec.section_hash(Section::Rule),
            contract_hash: spec.section_hash(Section::Contract),
        })
    }

    /// The plan's hash: what was registered, and what an estimate names.
    pub fn hash(&self) -> Digest {
        digest_of(self)
    }
}

/// A plan with its moments. Times are inclusive at the start and exclusive at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegisteredTrial {
    /// The plan.
    pub plan: TrialPlan,
    /// Its hash when it was registered.
    pub hash: Digest,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// The first moment at which a case may enter.
    pub starts_at: Timestamp,
    /// From this moment on no case enters.
    pub ends_at: Timestamp,
    /// When the last case is old enough: the one look is taken from here on.
    pub matured_at: Timestamp,
}

/// Where a trial stands in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Registered, not begun.
    Planned,
    /// Taking cases.
    Running,
    /// Taking none, waiting for outcomes.
    Maturing,
    /// The look may be taken.
    Matured,
}

/// Why a trial's exposures make it invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExposureProblem {
    /// The stored plan is not the one that was hashed.
    #[error(
        "the plan has changed since it was registered: its hash was `{registered}` and is `{found}`"
    )]
    PlanChanged {
        /// The hash at registration.
        registered: String,
        /// The hash of what is stored.
        found: String,
    },
    /// A case entered before the plan was registered.
    #[error("the first case entered at {first}, before the plan was registered at {registered_at}")]
    BeforeRegistration {
        /// The first exposure.
        first: Timestamp,
        /// The registration.
        registered_at: Timestamp,
    },
    /// A case entered outside the planned time.
    #[error("a case entered at {at}, outside the planned time from {starts_at} to {ends_at}")]
    OutsideWindow {
        /// The exposure.
        at: Timestamp,
        /// The planned start.
        starts_at: Timestamp,
        /// The planned end.
        ends_at: Timestamp,
    },
}

impl RegisteredTrial {
    /// Registers a plan at `now`; without a start it starts at once.
    ///
    /// # Errors
    /// A start in the past.
    pub fn register(
        plan: TrialPlan,
        now: Timestamp,
        starts_at: Option<Timestamp>,
    ) -> Result<Self, Refusal> {
        let starts_at = starts_at.unwrap_or(now);
        if starts_at < now {
            return Err(Refusal::new(
                Kind::InvalidInput,
                format!(
                    "`starts_at` {starts_at} lies before now ({now}): a plan is registered before \
                         its first case; leave `starts_at` out to start now"
                ),
            ));
        }
        let ends_at = starts_at + plan.duration;
        let matured_at = ends_at + plan.maturity;
        let hash = plan.hash();
        Ok(Self { plan, hash, registered_at: now, starts_at, ends_at, matured_at })
    }

    /// Where the trial stands at `now`.
    pub fn phase(&self, now: Timestamp) -> Phase {
        if now < self.starts_at {
            Phase::Planned
        } else if now < self.ends_at {
            Phase::Running
        } else if now < self.matured_at {
            Phase::Maturing
        } else {
            Phase::Matured
        }
    }

    /// Whether a case of `at` belongs to the trial.
    pub fn takes(&self, at: Timestamp) -> bool {
        self.starts_at <= at && at < self.ends_at
    }

    /// What is wrong with the trial's exposures, given the first and the last of them.
    pub fn exposure_problem(
        &self,
        span: Option<(Timestamp, Timestamp)>,
    ) -> Option<ExposureProblem> {
        let found = self.plan.hash();
        if found != self.hash {
            let registered = self.hash.to_string();
            return Some(ExposureProblem::PlanChanged { registered, found: found.to_string() });
        }
        let (first, last) = span?;
        if first < self.registered_at {
            let registered_at = self.registered_at;
            return Some(ExposureProblem::BeforeRegistration { first, registered_at });
        }
        let stray = [first, last].into_iter().find(|at| !self.takes(*at))?;
        Some(ExposureProblem::OutsideWindow {
            at: stray,
            starts_at: self.starts_at,
            ends_at: self.ends_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::term_deposit;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn trial() -> RegisteredTrial {
        let plan = TrialPlan::from_spec(&term_deposit()).unwrap();
        RegisteredTrial::register(plan, at("2026-01-01"), Some(at("2026-01-05"))).unwrap()
    }

    #[test]
    fn times_follow_the_plan() {
        let trial = trial();
        assert_eq!(trial.plan.split.holdout_bp, 5_000);
        assert_eq!(trial.ends_at, at("2026-02-16"));
        assert_eq!(trial.matured_at, at("2026-03-09"));
        for (now, phase) in [
            ("2026-01-04", Phase::Planned),
            ("2026-01-05", Phase::Running),
            ("2026-02-16", Phase::Maturing),
            ("2026-03-09", Phase::Matured),
        ] {
            assert_eq!(trial.phase(at(now)), phase, "{now}");
        }
        let back: RegisteredTrial =
            serde_json::from_str(&serde_json::to_string(&trial).unwrap()).unwrap();
        assert_eq!(back, trial);
        assert_eq!(back.plan.hash(), trial.hash);
    }

    #[test]
    fn a_start_in_the_past_is_refused() {
        let plan = trial().plan;
        let refusal =
            RegisteredTrial::register(plan, at("2026-01-02"), Some(at("2026-01-01"))).unwrap_err();
        assert!(refusal.detail.contains("lies before now"), "{}", refusal.detail);
    }

    #[test]
    fn exposures_must_follow_the_registration() {
        let trial = trial();
        assert_eq!(trial.exposure_problem(None), None);
        let fine = Some((at("2026-01-05"), at("2026-02-15")));
        assert_eq!(trial.exposure_problem(fine), None);
        let early = trial.exposure_problem(Some((at("2025-12-31"), at("2026-02-15"))));
        assert!(matches!(early, Some(ExposureProblem::BeforeRegistration { .. })));
        let before_start = trial.exposure_problem(Some((at("2026-01-02"), at("2026-02-15"))));
        assert!(matches!(before_start, Some(ExposureProblem::OutsideWindow { .. })));
        let late = trial.exposure_problem(Some((at("2026-01-05"), at("2026-02-16"))));
        assert!(matches!(late, Some(ExposureProblem::OutsideWindow { .. })));
        let mut changed = trial.clone();
        changed.plan.alpha = 0.2;
        assert!(matches!(
            changed.exposure_problem(fine),
            Some(ExposureProblem::PlanChanged { .. })
        ));
    }

    #[test]
    fn a_file_without_a_rule_has_no_plan() {
        let mut spec = term_deposit();
        spec.rule = None;
        let refusal = TrialPlan::from_spec(&spec).unwrap_err();
        assert!(refusal.detail.contains("has no `rule`"), "{}", refusal.detail);
    }
}
