//! Starts a rollout.

use serde::Deserialize;
use serde_json::Value;
use viaduct_base::{Error, Fault, Kind, Refusal, RolloutId, Timestamp};
use viaduct_domain::manifest::{EndpointSpec, ModelRef, Pick};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_domain::rollout::{self as law, Event, Plan};
use viaduct_domain::stage::State as ProjectState;
use viaduct_gateway::Mode;
use viaduct_store::binding::{self, BindingRow};
use viaduct_store::endpoint::{self, EndpointRow};
use viaduct_store::rollout::{self, RolloutRow};
use viaduct_store::{Scope, Tx, serving};

use super::view::RolloutView;
use crate::App;
use crate::endpoint::no_endpoint;
use crate::mlflow::resolve::{ResolvedVersion, resolve_version};
use crate::project::load;

/// What a person asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRollout {
    /// The candidate: a version's number, an alias, or `name@alias`, `name/3`.
    pub to: Value,
    /// The steps; the endpoint's, or the usual ones, without them.
    #[serde(default)]
    pub steps: Option<Value>,
    /// The conditions; the endpoint's, or the usual ones, without them.
    #[serde(default)]
    pub conditions: Option<Value>,
}

/// Everything that a beginning rests on.
pub(crate) struct Begin<'a> {
    /// The endpoint.
    pub(crate) row: &'a EndpointRow,
    /// What its file says.
    pub(crate) spec: &'a EndpointSpec,
    /// What stands behind it.
    pub(crate) bound: &'a BindingRow,
    /// The candidate.
    pub(crate) version: &'a ResolvedVersion,
    /// The plan.
    pub(crate) plan: Plan,
    /// `person`, `alias` or `drill`.
    pub(crate) trigger: &'static str,
}

impl App {
    /// Starts a rollout; when this answers, the candidate is in service beside the champion.
    ///
    /// # Errors
    /// `not-found` for the endpoint or the version; `conflict` while another rollout is open or
    /// nothing would change; `stage-forbids` where the stage does not let a second model answer;
    /// `model-not-servable`; `invalid-input` with every bad place of the plan.
    pub async fn start_rollout(
        &self,
        caller: &Caller,
        name: &str,
        new: NewRollout,
    ) -> Result<RolloutView, Error> {
        let scope = self.authorise(caller, Operation::ControlRollout)?;
        let (app, by, name, now) = (self.clone(), caller.clone(), name.to_owned(), self.now());
        let id = self
            .store()
            .write("start_rollout", move |tx| -> Result<RolloutId, Error> {
                let row = endpoint::find_by_name(tx, &scope, &name)?;
                let row = row.ok_or_else(|| no_endpoint(&name))?;
                let spec: EndpointSpec = serde_json::from_str(&row.spec_json)
                    .map_err(|e| Fault::caused(format!("endpoint `{}`", row.name), e))?;
                let plan = plan(&spec, &new)?;
                let bound = binding::find(tx, &scope, row.id)?.ok_or_else(|| {
                    let detail = format!(
                        "no version stands behind `{name}` yet: set the alias of `{}` first",
                        spec.model
                    );
                    Refusal::new(Kind::Conflict, detail)
                })?;
                let version = candidate(tx, &scope, &new.to, &bound)?;
                let begin = Begin {
                    row: &row,
                    spec: &spec,
                    bound: &bound,
                    version: &version,
                    plan,
                    trigger: "person",
                };
                app.begin_rollout(tx, &scope, begin, &by, "a person asked for it", now)
            })
            .await?;
        self.publish_snapshot().await?;
        self.get_rollout(caller, id).await
    }

    /// Writes the row of a new rollout, with its first event.
    pub(crate) fn begin_rollout(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        begin: Begin<'_>,
        caller: &Caller,
        reason: &str,
        now: Timestamp,
    ) -> Result<RolloutId, Error> {
        self.refuse_beginning(tx, scope, &begin, now)?;
        let Begin { row, spec, bound, version, plan, trigger } = begin;
        let plan = plan.guarded_by(&spec.guards);
        let id = RolloutId::new(now);
        let state = law::State::begin(now, reason);
        let new = RolloutRow {
            id,
            workspace_id: scope.workspace,
            endpoint_id: row.id,
            project_id: row.project_id,
            model_name: version.name.clone(),
            from_version: bound.version,
            to_version: version.version,
            trigger_kind: trigger.to_owned(),
            plan_json: serde_json::to_string(&plan)
                .map_err(|e| Fault::caused("write a plan", e))?,
            phase: state.phase.to_string(),
            is_open: true,
            step: 0,
            step_since: now,
            baseline_json: "{}".to_owned(),
            judged_json: "[]".to_owned(),
            reason: state.reason.clone(),
            salt: id.to_string(),
            clock: self.clock_word().to_owned(),
            started_at: now,
            started_by: caller.actor().to_owned(),
            ended_at: None,
            revision: 1,
        };
        rollout::insert(tx, &new).map_err(|error| {
            if error.is_unique("rollout", "endpoint_id") {
                return Error::from(already_open(&row.name));
            }
            error.into()
        })?;
        self.tell_rollout(tx, scope, &new, (Event::Started, reason), caller, &Value::Null)?;
        Ok(id)
    }

    fn refuse_beginning(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        begin: &Begin<'_>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Begin { row, bound, version, plan, trigger, .. } = begin;
        let name = &row.name;
        let conflict = |detail: String| Err(Refusal::new(Kind::Conflict, detail).into());
        let forbids = |detail: String| Err(Refusal::new(Kind::StageForbids, detail).into());
        if rollout::find_open(tx, scope, row.id)?.is_some() {
            return Err(already_open(name).into());
        }
        let same = bound.model_name == version.name && bound.version == version.version;
        if same && *trigger != "drill" {
            return conflict(format!(
                "`{name}` serves version {} already: name another one in `to`",
                version.version
            ));
        }
        if serving::find_kill(tx, scope, row.id)?.is_some() {
            return conflict(format!("`{name}` is killed: `viaduct revive {name}` first"));
        }
        if let Err(reason) = self.check_servable(version) {
            return Err(Refusal::new(Kind::ModelNotServable, reason.to_string()).into());
        }
        let Some(id) = row.project_id else { return Ok(()) };
        let project = load(tx, scope, &id.to_string())?;
        if !project.standing.stage.is_live() || project.standing.state == ProjectState::Frozen {
            return forbids(format!("the project of `{name}` is frozen or has ended"));
        }
        match self.mode(tx, scope, &project, now)? {
            Mode::Trial { .. } if !plan.is_shadow_only() => forbids(format!(
                "a trial runs on `{name}`: until its one look a rollout may only shadow; use steps with `shadow: true`"
            )),
            Mode::Shadow if *trigger != "drill" => forbids(format!(
                "`{name}` only shadows in stage `{}`: move the alias, the new version shadows from then on",
                project.standing.stage
            )),
            _ => Ok(()),
        }
    }
}

fn already_open(name: &str) -> Refusal {
    let detail = format!(
        "a rollout of `{name}` is open: wait for its end, or `viaduct rollout rollback {name}`"
    );
    Refusal::new(Kind::Conflict, detail)
}

/// The request's plan over the endpoint's over the usual one.
fn plan(spec: &EndpointSpec, new: &NewRollout) -> Result<Plan, Refusal> {
    let invalid = |errors: Vec<viaduct_base::FieldError>| {
        let detail = errors.first().map_or_else(String::new, |error| error.detail.clone());
        Refusal::new(Kind::InvalidInput, detail).with_errors(errors)
    };
    let mut asked = serde_json::Map::new();
    for (key, value) in [("steps", &new.steps), ("conditions", &new.conditions)] {
        if let Some(value) = value {
            asked.insert(key.to_owned(), value.clone());
        }
    }
    let asked = law::plan(&Value::Object(asked)).map_err(invalid)?;
    let usual = spec.rollout.clone().unwrap_or_default();
    Ok(Plan {
        steps: if new.steps.is_some() { asked.steps } else { usual.steps },
        conditions: if new.conditions.is_some() { asked.conditions } else { usual.conditions },
    })
}

/// The version that `to` names: `3`, `"3"`, `challenger`, `churn@challenger`, `churn/3`.
fn candidate(
    tx: &mut Tx,
    scope: &Scope,
    to: &Value,
    bound: &BindingRow,
) -> Result<ResolvedVersion, Error> {
    let text = match to {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => String::new(),
    };
    let invalid = |detail: String| Refusal::new(Kind::InvalidInput, detail);
    if text.is_empty() {
        return Err(
            invalid("`to` names the candidate: a version such as `3`, or an alias".into()).into()
        );
    }
    let reference: ModelRef = if text.contains(['@', '/']) {
        text.parse().map_err(invalid)?
    } else {
        let pick = match text.parse::<u64>() {
            Ok(version) => Pick::Version(version),
            Err(_) => Pick::Alias(text.clone()),
        };
        ModelRef { name: bound.model_name.clone(), pick }
    };
    resolve_version(tx, scope, &reference)?.ok_or_else(|| {
        let detail = format!("there is no `{reference}`: register the version, or set the alias");
        Refusal::new(Kind::NotFound, detail).into()
    })
}
