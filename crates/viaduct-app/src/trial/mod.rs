//! Trials: a plan is registered before its first case; estimates are read.

use serde::Serialize;
use serde_json::json;
use viaduct_base::{Error, Fault, Kind, Refusal, Timestamp, TrialId};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_domain::stage::Stage;
use viaduct_domain::trial::{Phase, RegisteredTrial, TrialPlan};
use viaduct_store::binding;
use viaduct_store::estimate::{self, EstimateRow};
use viaduct_store::trial::{self, TrialRow};

use crate::App;
use crate::audit::Deed;
use crate::endpoint::registered;
use crate::gate::Ground;
use crate::project::load;

/// A trial as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct TrialView {
    /// Its id.
    pub id: TrialId,
    /// Its name.
    pub name: String,
    /// Where it stands in time.
    pub phase: Phase,
    /// The plan.
    #[serde(flatten)]
    pub registered: RegisteredTrial,
    /// The plan's hash.
    pub plan_hash: String,
    /// Who registered it.
    pub registered_by: Option<String>,
}

fn view(row: &TrialRow, now: Timestamp) -> Result<TrialView, Error> {
    let registered = registered(row)?;
    Ok(TrialView {
        id: row.id,
        name: row.name.clone(),
        phase: registered.phase(now),
        plan_hash: row.plan_hash.clone(),
        registered,
        registered_by: row.registered_by.clone(),
    })
}

impl App {
    /// Registers the plan of the project's file: from here on it is hashed and cannot change, and
    /// the endpoint's model version is held until the plan has matured.
    ///
    /// # Errors
    /// `stage-forbids` outside the pilot, or while another trial runs; a file without a plan; an
    /// unfrozen baseline; no model behind the endpoint.
    pub async fn register_trial(
        &self,
        caller: &Caller,
        name: &str,
        starts_at: Option<Timestamp>,
    ) -> Result<TrialView, Error> {
        let scope = self.authorise(caller, Operation::RegisterTrial)?;
        let (app, caller, name, now) = (self.clone(), caller.clone(), name.to_owned(), self.now());
        let view = self
            .store()
            .write("register_trial", move |tx| -> Result<TrialView, Error> {
                let project = load(tx, &scope, &name)?;
                let forbids = |detail: String| Refusal::new(Kind::StageForbids, detail);
                if project.standing.stage != Stage::Pilot {
                    let detail = format!(
                        "`{name}` is in stage `{}`: a trial runs in the pilot, which gate G1 opens",
                        project.standing.stage
                    );
                    return Err(forbids(detail).into());
                }
                let ground = Ground::read(tx, &scope, &project)?;
                let running = ground.trials.iter().find(|t| t.stopped_at.is_none() && now < t.looks_at);
                if let Some(other) = running {
                    let detail = format!("the trial `{}` runs until {}", other.name, other.looks_at);
                    return Err(forbids(detail).into());
                }
                let plan = TrialPlan::from_spec(&project.spec)?;
                let kpi = crate::kpi::find(tx, &scope, &project, plan.kpi.name.as_str())?;
                if kpi.frozen_at.is_none() {
                    let detail = format!(
                        "the history of `{}` is not frozen: units are chosen after it (`viaduct kpi freeze {name} {}`)",
                        plan.kpi.name, plan.kpi.name
                    );
                    return Err(forbids(detail).into());
                }
                let (Some(endpoint), Some(mut bound)) = (ground.endpoint, ground.binding) else {
                    return Err(forbids(format!("no model stands behind the endpoint of `{name}`")).into());
                };
                let registered = RegisteredTrial::register(plan, now, starts_at)?;
                let id = TrialId::new(now);
                let row = TrialRow {
                    id,
                    workspace_id: scope.workspace,
                    project_id: project.id,
                    endpoint_id: endpoint.id,
                    kpi_id: kpi.id,
                    name: registered.plan.name.to_string(),
                    plan_json: serde_json::to_string(&registered.plan)
                        .map_err(|e| Fault::caused("write a plan", e))?,
                    plan_hash: registered.hash.to_string(),
                    salt: id.to_string(),
                    clock: app.clock_word().to_owned(),
                    registered_at: now,
                    registered_by: caller.user_name().map(str::to_owned),
                    starts_at: registered.starts_at,
                    ends_at: registered.ends_at,
                    looks_at: registered.matured_at,
                    stopped_at: None,
                    stopped_why: None,
                    revision: 1,
                };
                trial::insert(tx, &row).map_err(|error| {
                    if error.is_unique("trial", "project_id, name") {
                        let detail = format!(
                            "a trial `{}` was registered before: give the plan another name",
                            row.name
                        );
                        return Error::from(Refusal::new(Kind::AlreadyExists, detail));
                    }
                    error.into()
                })?;
                bound.pinned_by = Some(id);
                binding::put(tx, &scope, &bound)?;
                app.write_trial_schedule(tx, &row)?;
                let deed = Deed {
                    action: "trial.registered",
                    object_kind: "trial",
                    object_id: &id.to_string(),
                    project: Some(project.id),
                    detail: json!({ "name": row.name, "plan_hash": row.plan_hash,
                        "starts_at": row.starts_at, "ends_at": row.ends_at, "looks_at": row.looks_at }),
                };
                app.record(tx, &caller, now, &deed)?;
                view(&row, now)
            })
            .await?;
        self.publish_snapshot().await?;
        Ok(view)
    }

    /// A project's trials, latest first.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn list_trials(&self, caller: &Caller, name: &str) -> Result<Vec<TrialView>, Error> {
        let scope = self.authorise(caller, Operation::ReadProject)?;
        let (name, now) = (name.to_owned(), self.now());
        self.store()
            .read("list_trials", move |tx| {
                let project = load(tx, &scope, &name)?;
                let mut rows = trial::list(tx, &scope, project.id)?;
                rows.sort_by_key(|row| std::cmp::Reverse((row.registered_at, row.id)));
                rows.iter().map(|row| view(row, now)).collect()
            })
            .await
    }

    /// One trial.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_trial(&self, caller: &Caller, id: TrialId) -> Result<TrialView, Error> {
        let scope = self.authorise(caller, Operation::ReadProject)?;
        let now = self.now();
        self.store()
            .read("get_trial", move |tx| {
                let row = trial::find(tx, &scope, id)?.ok_or_else(|| {
                    Refusal::new(Kind::NotFound, format!("there is no trial `{id}`"))
                })?;
                view(&row, now)
            })
            .await
    }

    /// A project's estimates, newest first.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn list_estimates(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Vec<EstimateRow>, Error> {
        let scope = self.authorise(caller, Operation::ReadProject)?;
        let name = name.to_owned();
        self.store()
            .read("list_estimates", move |tx| {
                let project = load(tx, &scope, &name)?;
                Ok(estimate::list(tx, &scope, project.id, 100)?)
            })
            .await
    }
}
