//! Rollouts as people and programs see them.

use serde::Serialize;
use serde_json::{Map, Value, json};
use viaduct_base::{EndpointId, Error, ProjectId, RolloutId, Span, Timestamp};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_domain::rollout::{Judged, Phase, Plan, Step, Verdict, forecast, next};
use viaduct_gateway::VariantCounts;
use viaduct_store::rollout::{self, RolloutRow};
use viaduct_store::{Scope, endpoint};

use super::{plan_of, state_of};
use crate::App;
use crate::endpoint::no_endpoint;

/// Rollouts in a list.
const LIST_MAX: i64 = 200;
/// Days over which the usual traffic is taken.
const TRAFFIC_DAYS: i32 = 7;

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepView {
    /// `shadow`, `5 %`.
    pub label: String,
    /// `done`, `now`, `ahead` or `left`, when the rollout ended before it.
    pub state: &'static str,
    /// The challenger's share, 0 to 1.
    pub share: f64,
    /// It lasts at least so long.
    pub min_time: Span,
    /// The challenger sees at least so many rows.
    pub min_n: u64,
    /// How long it needs at the endpoint's usual traffic; nothing without any.
    pub needs: Option<Span>,
}

/// One event of the history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventView {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub event: String,
    /// The step, from 1.
    pub step: i64,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// What the conditions said.
    pub conditions: Value,
}

/// A rollout.
#[derive(Debug, Clone, Serialize)]
pub struct RolloutView {
    /// Its id.
    pub id: RolloutId,
    /// The endpoint's name.
    pub endpoint: String,
    /// The endpoint's id.
    pub endpoint_id: EndpointId,
    /// The project.
    pub project: Option<ProjectId>,
    /// The registered model.
    pub model: String,
    /// The version that answered when it began.
    pub from: i64,
    /// The candidate.
    pub to: i64,
    /// `person`, `alias` or `drill`.
    pub trigger: String,
    /// What is going on.
    pub phase: Phase,
    /// Why it is where it is.
    pub reason: String,
    /// The step, from 1.
    pub step: usize,
    /// Since when.
    pub since: Timestamp,
    /// Rows that the challenger answered or saw in this step.
    pub n: u64,
    /// What the step waits for.
    pub waits: Vec<String>,
    /// How much longer the step needs at the pace so far.
    pub forecast: Option<Span>,
    /// The steps.
    pub steps: Vec<StepView>,
    /// What each condition says now.
    pub conditions: Vec<Judged>,
    /// What each variant did.
    pub counts: Vec<VariantCounts>,
    /// When it was started.
    pub started_at: Timestamp,
    /// Who started it.
    pub started_by: String,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Everything that happened, oldest first.
    pub history: Vec<EventView>,
}

/// The verdict of a rollout for a program that waits for it, such as Argo Rollouts' web metric.
#[derive(Debug, Clone, Serialize)]
pub struct Analysis {
    /// `Running`, `Successful`, `Failed` or `Inconclusive`.
    pub phase: &'static str,
    /// Whether no condition is breached and none is unknown.
    pub healthy: bool,
    /// The same as a sentence.
    pub message: String,
    /// The value of each condition that has one.
    pub metrics: Map<String, Value>,
    /// The rollout.
    pub rollout: RolloutId,
    /// The step, from 1.
    pub step: usize,
}

impl App {
    /// A rollout with what its conditions say now.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_rollout(&self, caller: &Caller, id: RolloutId) -> Result<RolloutView, Error> {
        self.authorise(caller, Operation::ReadEndpoint)?;
        let row = self.rollout_row(id).await?;
        let name = self.endpoint_name(row.endpoint_id).await?;
        let gathered = self.gather(&row).await?;
        let (plan, state) = (plan_of(&row)?, state_of(&row)?);
        let now = self.now();
        let moved = next(&plan, &state, &gathered.evidence, now);
        let n = gathered.evidence.n;
        let step = plan.steps.get(state.step).filter(|_| state.phase.is_open());
        let pace = self.rows_per_second(row.endpoint_id);
        Ok(RolloutView {
            steps: steps(&plan, &state, pace),
            forecast: step.and_then(|step| forecast(step, n, state.since, now)).and_then(rounded),
            n,
            waits: moved.waits,
            conditions: if state.phase.is_open() { moved.judged } else { Vec::new() },
            counts: gathered.counts,
            history: self.history(id).await?,
            ..view(&row, name, state)
        })
    }

    /// The latest rollouts, of one endpoint or of all, without what is measured now.
    ///
    /// # Errors
    /// `not-found` for the endpoint.
    pub async fn list_rollouts(
        &self,
        caller: &Caller,
        endpoint_name: Option<String>,
    ) -> Result<Vec<RolloutView>, Error> {
        let scope = self.authorise(caller, Operation::ReadEndpoint)?;
        self.store()
            .read("list_rollouts", move |tx| -> Result<Vec<RolloutView>, Error> {
                let rows = match &endpoint_name {
                    Some(name) => {
                        let row = endpoint::find_by_name(tx, &scope, name)?;
                        let row = row.ok_or_else(|| no_endpoint(name))?;
                        rollout::list_by_endpoint(tx, &scope, row.id, LIST_MAX)?
                    }
                    None => rollout::list(tx, &scope, LIST_MAX)?,
                };
                let mut views = Vec::with_capacity(rows.len());
                for row in rows {
                    let name = endpoint::find(tx, &scope, row.endpoint_id)?.map(|e| e.name);
                    let (plan, state) = (plan_of(&row)?, state_of(&row)?);
                    let steps = steps(&plan, &state, 0.0);
                    views
                        .push(RolloutView { steps, ..view(&row, name.unwrap_or_default(), state) });
                }
                Ok(views)
            })
            .await
    }

    /// The verdict for a program.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn analyse_rollout(&self, caller: &Caller, id: RolloutId) -> Result<Analysis, Error> {
        let view = self.get_rollout(caller, id).await?;
        let unknown = view.conditions.iter().any(|c| c.verdict == Verdict::Unknown);
        let breached = view.conditions.iter().any(|c| c.verdict == Verdict::Breached);
        let time_is_over = !view.waits.iter().any(|wait| wait.starts_with("the step lasts"));
        let phase = match view.phase {
            Phase::Full => "Successful",
            Phase::RolledBack => "Failed",
            Phase::Paused => "Inconclusive",
            Phase::Running if breached => "Failed",
            Phase::Running if unknown && time_is_over => "Inconclusive",
            Phase::Running => "Running",
        };
        let message = match view.phase {
            Phase::Running | Phase::Paused if !view.waits.is_empty() => view.waits.join("; "),
            _ => view.reason,
        };
        let values = view.conditions.iter().filter_map(|c| {
            let value = c.value.filter(|value| value.is_finite())?;
            Some((c.condition.what.to_string(), json!(value)))
        });
        let ended_well = view.phase == Phase::Full;
        Ok(Analysis {
            phase,
            healthy: ended_well || (view.phase != Phase::RolledBack && !breached && !unknown),
            message,
            metrics: values.collect(),
            rollout: view.id,
            step: view.step,
        })
    }

    async fn endpoint_name(&self, id: EndpointId) -> Result<String, Error> {
        let scope = Scope::of(self.workspace());
        let found = self.store().read("find_endpoint", move |tx| endpoint::find(tx, &scope, id));
        Ok(found.await.map_err(Error::from)?.map(|row| row.name).unwrap_or_default())
    }

    async fn history(&self, id: RolloutId) -> Result<Vec<EventView>, Error> {
        let scope = Scope::of(self.workspace());
        let rows = self.store().read("rollout_history", move |tx| rollout::history(tx, &scope, id));
        let view = |row: rollout::RolloutEventRow| EventView {
            at: row.at,
            event: row.event,
            step: row.step + 1,
            reason: row.reason,
            actor: row.actor,
            conditions: serde_json::from_str(&row.evidence_json).unwrap_or_default(),
        };
        Ok(rows.await.map_err(Error::from)?.into_iter().map(view).collect())
    }

    /// The usual traffic: decisions of the last days.
    fn rows_per_second(&self, endpoint: EndpointId) -> f64 {
        let today = self.now().day();
        let days = self.decisions().counts_per_day(endpoint);
        let recent = days.iter().filter(|(day, _)| day.number() > today.number() - TRAFFIC_DAYS);
        let (mut rows, mut first) = (0, today.number());
        for (day, count) in recent {
            rows += count.decisions;
            first = first.min(day.number());
        }
        let lasted = self.now().since(viaduct_base::Day::from_number(first).start());
        rows as f64 / lasted.as_days().max(1.0 / 86_400.0) / 86_400.0
    }
}

/// A wait as people say it: whole seconds, whole minutes above an hour, whole hours above a day;
/// nothing for none.
fn rounded(span: Span) -> Option<Span> {
    let unit = match span {
        short if short <= Span::micros(0) => return None,
        short if short < Span::hours(1) => Span::seconds(1),
        middle if middle < Span::days(1) => Span::minutes(1),
        _ => Span::hours(1),
    };
    let units = (span.as_micros() + unit.as_micros() - 1) / unit.as_micros();
    Some(Span::micros(units * unit.as_micros()))
}

fn steps(plan: &Plan, state: &viaduct_domain::rollout::State, pace: f64) -> Vec<StepView> {
    let view = |(number, step): (usize, &Step)| StepView {
        label: step.label(),
        state: match state.phase {
            Phase::Full => "done",
            _ if number < state.step => "done",
            Phase::Running | Phase::Paused if number == state.step => "now",
            Phase::RolledBack => "left",
            _ => "ahead",
        },
        share: f64::from(step.share_bp) / 10_000.0,
        min_time: step.min_time,
        min_n: step.min_n,
        needs: step.needs(pace).and_then(rounded),
    };
    plan.steps.iter().enumerate().map(view).collect()
}

/// What the row alone says.
fn view(row: &RolloutRow, name: String, state: viaduct_domain::rollout::State) -> RolloutView {
    RolloutView {
        id: row.id,
        endpoint: name,
        endpoint_id: row.endpoint_id,
        project: row.project_id,
        model: row.model_name.clone(),
        from: row.from_version,
        to: row.to_version,
        trigger: row.trigger_kind.clone(),
        phase: state.phase,
        reason: state.reason,
        step: state.step + 1,
        since: state.since,
        n: 0,
        waits: Vec::new(),
        forecast: None,
        steps: Vec::new(),
        conditions: Vec::new(),
        counts: Vec::new(),
        started_at: row.started_at,
        started_by: row.started_by.clone(),
        ended_at: row.ended_at,
        history: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_round() {
        let said = |micros| rounded(Span::micros(micros)).map(|span| span.to_string());
        assert_eq!(said(0), None);
        assert_eq!(said(1_200_000), Some("PT2S".to_owned()));
        assert_eq!(said(34_596_423_319), Some("PT9H37M".to_owned()));
        assert_eq!(said(345_964_233_190), Some("P4DT1H".to_owned()));
    }
}
