//! What was measured in the step under way.

use serde::{Deserialize, Serialize};
use viaduct_base::{Error, Timestamp};
use viaduct_domain::assign::Variant;
use viaduct_domain::fact::{Fact, FactValue, SubjectKind};
use viaduct_domain::rollout::{Condition, Evidence, Plan, Reading, Watched, Word};
use viaduct_gateway::VariantCounts;
use viaduct_store::rollout::RolloutRow;
use viaduct_store::{Scope, Tx, binding, endpoint, fact, serving};

use super::{plan_of, psi};
use crate::App;
use crate::endpoint::is_pinned;
use crate::gate::read_fact;

/// The challenger's counters at the beginning of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Baseline {
    since: Option<Timestamp>,
    rows: u64,
    errors: u64,
    nan: u64,
    violations: u64,
}

impl Baseline {
    pub(super) fn of(counts: Option<&VariantCounts>) -> Self {
        counts.map_or_else(Self::default, |c| Self {
            since: Some(c.since),
            rows: c.rows,
            errors: c.errors,
            nan: c.nan,
            violations: c.violations,
        })
    }

    /// What came since; a gateway that began to count anew has everything since.
    fn delta(&self, now: &Baseline) -> Baseline {
        if self.since != now.since {
            return *now;
        }
        Baseline {
            since: now.since,
            rows: now.rows.saturating_sub(self.rows),
            errors: now.errors.saturating_sub(self.errors),
            nan: now.nan.saturating_sub(self.nan),
            violations: now.violations.saturating_sub(self.violations),
        }
    }
}

/// What was gathered, and what it was gathered from.
pub(super) struct Gathered {
    pub(super) evidence: Evidence,
    /// The challenger's counters now.
    pub(super) baseline: Baseline,
    pub(super) counts: Vec<VariantCounts>,
}

/// What the database says.
struct Known {
    endpoint: String,
    held: Option<String>,
    facts: Vec<Fact>,
}

impl App {
    pub(super) async fn gather(&self, row: &RolloutRow) -> Result<Gathered, Error> {
        let plan = plan_of(row)?;
        let known = self.rollout_ground(row, &plan).await?;
        let counts = self.gateway().counts(&known.endpoint).unwrap_or_default();
        let challenger = counts.iter().find(|c| c.rollout == Some(row.id));
        let champion = counts
            .iter()
            .filter(|c| c.variant == Variant::Champion)
            .find(|c| c.model_version == Some(row.from_version));
        let before: Baseline = serde_json::from_str(&row.baseline_json).unwrap_or_default();
        let now = Baseline::of(challenger);
        let step = before.delta(&now);
        let psi = self.psi(row, &plan).await;
        let reading = |condition: &Condition| match condition.what {
            Watched::Fact(_) => from_fact(condition, &known.facts, row, self.now()),
            Watched::Measure(word) => measured(word, &step, challenger, champion, &psi),
        };
        let evidence = Evidence {
            n: step.rows,
            readings: plan.conditions.iter().map(reading).collect(),
            held: known.held,
        };
        Ok(Gathered { evidence, baseline: now, counts })
    }

    async fn rollout_ground(&self, row: &RolloutRow, plan: &Plan) -> Result<Known, Error> {
        let (row, now, scope) = (row.clone(), self.now(), Scope::of(self.workspace()));
        let asks = plan.conditions.iter().any(|c| matches!(c.what, Watched::Fact(_)));
        let is_last = usize::try_from(row.step).is_ok_and(|n| n + 1 >= plan.steps.len());
        self.store()
            .read("rollout_ground", move |tx| -> Result<Known, Error> {
                let facts = match row.project_id.filter(|_| asks) {
                    Some(project) => fact::latest(tx, &scope, project)?
                        .into_iter()
                        .map(read_fact)
                        .collect::<Result<_, _>>()?,
                    None => Vec::new(),
                };
                let found = endpoint::find(tx, &scope, row.endpoint_id)?;
                let held = held(tx, &scope, &row, is_last, now)?;
                Ok(Known { endpoint: found.map(|e| e.name).unwrap_or_default(), held, facts })
            })
            .await
    }

    /// The score's PSI, when somebody asks for it and the step's time is over: it reads the log.
    async fn psi(&self, row: &RolloutRow, plan: &Plan) -> Reading {
        let asked = plan.conditions.iter().any(|c| c.what == Watched::Measure(Word::ScorePsi));
        let step = usize::try_from(row.step).ok().and_then(|n| plan.steps.get(n));
        let is_time = step.is_none_or(|s| self.now().since(row.step_since) >= s.min_time);
        if !asked || !is_time {
            return Reading::missing("it is looked at when the step's time is over");
        }
        let (log, row, now) = (self.decisions().clone(), row.clone(), self.now());
        let read = tokio::task::spawn_blocking(move || psi::of_scores(&log, &row, now));
        read.await.unwrap_or_else(|_| Reading::missing("the decision log cannot be read"))
    }
}

/// Why the step may not pass, whatever is measured.
fn held(
    tx: &mut Tx,
    scope: &Scope,
    row: &RolloutRow,
    is_last: bool,
    now: Timestamp,
) -> Result<Option<String>, Error> {
    if serving::find_kill(tx, scope, row.endpoint_id)?.is_some() {
        return Ok(Some("the endpoint is killed".to_owned()));
    }
    if row.trigger_kind == "drill" {
        return Ok(Some("it is a drill: it never becomes the champion".to_owned()));
    }
    let bound = binding::find(tx, scope, row.endpoint_id)?;
    if is_last && is_pinned(tx, scope, bound.as_ref(), now)? {
        let detail = "a trial runs: what it compares stands still until its one look";
        return Ok(Some(detail.to_owned()));
    }
    Ok(None)
}

fn measured(
    word: Word,
    step: &Baseline,
    challenger: Option<&VariantCounts>,
    champion: Option<&VariantCounts>,
    psi: &Reading,
) -> Reading {
    let Some(counts) = challenger else {
        return Reading::missing("the challenger is not in service yet");
    };
    let p99 = |c: &VariantCounts| c.latency_us.p99 as f64 / 1_000.0;
    match word {
        Word::ErrorRate => Reading::share(step.errors, step.rows.max(step.errors)),
        Word::NanRate => Reading::share(step.nan, step.rows),
        Word::ViolationRate => Reading::share(step.violations, step.rows.max(step.violations)),
        // Why since its beginning: after a shadow step only part of the cases are asked twice.
        Word::DisagreementRate => Reading::share(counts.disagreements, counts.compared),
        Word::LatencyP99Ms if counts.requests == 0 => Reading::missing("no request yet"),
        Word::LatencyP99Ms => Reading::Measured { value: p99(counts), n: counts.requests },
        Word::LatencyP99Ratio => match champion.filter(|c| p99(c) > 0.0) {
            Some(champion) if counts.requests > 0 => Reading::Measured {
                value: p99(counts) / p99(champion),
                n: counts.requests.min(champion.requests),
            },
            _ => Reading::missing("both versions must have answered a request"),
        },
        Word::ScorePsi => psi.clone(),
    }
}

/// The latest fact of that name; one about a version must be about the candidate.
fn from_fact(condition: &Condition, facts: &[Fact], row: &RolloutRow, now: Timestamp) -> Reading {
    let Watched::Fact(name) = condition.what else { return Reading::missing("it is no fact") };
    if row.project_id.is_none() {
        return Reading::missing("no project owns the endpoint, so it has no facts");
    }
    let candidate = format!("{}/{}", row.model_name, row.to_version);
    let fits = |fact: &&Fact| {
        fact.name == name
            && (fact.subject.kind != SubjectKind::ModelVersion || fact.subject.id == candidate)
    };
    let Some(fact) = facts.iter().filter(fits).max_by_key(|fact| fact.observed_at) else {
        return Reading::missing(format!("the project has no fact `{}` of it", name.as_str()));
    };
    if now.since(fact.observed_at) > condition.max_age {
        return Reading::missing(format!("the fact is from {}, too old", fact.observed_at));
    }
    // Why the worse end of an interval: what may be so bad has not passed.
    let value = match fact.value {
        FactValue::Scalar { value } => value,
        FactValue::Flag { value } => f64::from(u8::from(value)),
        FactValue::Interval { lower, upper, .. } => {
            if condition.max.is_some() {
                upper
            } else {
                lower
            }
        }
    };
    Reading::Measured { value, n: fact.n.unwrap_or(condition.min_n) }
}
