//! Binds to each endpoint the version that its reference names, and publishes the snapshot.
//!
//! Asked for after everything that can change what an endpoint serves: a project applied, an alias
//! moved, a gate opened, a trial registered, a consumer added. Where a change of version goes through
//! a rollout, it is started here and the binding waits for its end.

use serde_json::json;
use viaduct_base::{Error, Fault, Timestamp};
use viaduct_domain::manifest::{EndpointSpec, Pick};
use viaduct_gateway::Mode;
use viaduct_store::binding::{self, BindingRow};
use viaduct_store::endpoint::{self, EndpointRow};
use viaduct_store::mlflow::registry;
use viaduct_store::serving::{self, EndpointVersionRow};
use viaduct_store::{Scope, Tx, rollout, trial};

use crate::App;
use crate::audit::Deed;
use crate::mlflow::resolve::{ResolvedVersion, resolve_version};
use crate::project::{Project, load};
use crate::rollout::Begin;

/// Rollouts looked back at; drills stand between.
const LOOKED_BACK: i64 = 50;

impl App {
    /// Binds and publishes. Repeatable: without a change it publishes the same again.
    ///
    /// # Errors
    /// When the database or the gateway's folder does not answer.
    pub async fn bind_models(&self) -> Result<(), Error> {
        let (app, now) = (self.clone(), self.now());
        let scope = Scope::of(self.workspace());
        self.store()
            .write("bind_models", move |tx| -> Result<(), Error> {
                for row in endpoint::list(tx, &scope)? {
                    app.bind(tx, &scope, &row, now)?;
                }
                Ok(())
            })
            .await?;
        self.publish_snapshot().await
    }

    /// [`App::bind_models`] for a caller who waits: what was just written is in service when this
    /// returns. What fails is logged, and the job that was written with it tries again.
    pub(crate) async fn settle_endpoints(&self) {
        if let Err(error) = self.bind_models().await {
            tracing::warn!(%error, "the snapshot is not published yet: the queue tries again");
        }
    }

    /// [`App::settle_endpoints`] when some endpoint follows this registered model.
    pub(crate) async fn settle_followers(&self, model: &str) {
        let scope = Scope::of(self.workspace());
        let rows = self.store().read("list_followers", move |tx| endpoint::list(tx, &scope)).await;
        if rows.is_ok_and(|rows| rows.iter().any(|row| row.model_name == model)) {
            self.settle_endpoints().await;
        }
    }

    fn bind(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        row: &EndpointRow,
        now: Timestamp,
    ) -> Result<(), Error> {
        let spec: EndpointSpec = serde_json::from_str(&row.spec_json)
            .map_err(|e| Fault::caused(format!("endpoint `{}`", row.name), e))?;
        let mut bound = binding::find(tx, scope, row.id)?;
        if bound.is_none() {
            // Why: the caller who deploys and the queue's job bind at once; the second then sees
            // what the first wrote.
            endpoint::hold(tx, scope, row.id)?;
            bound = binding::find(tx, scope, row.id)?;
        }
        if is_pinned(tx, scope, bound.as_ref(), now)? {
            return Ok(());
        }
        let Some(version) = resolve_version(tx, scope, &spec.model)? else { return Ok(()) };
        self.infer_contract(tx, scope, row, &version)?;
        let is_bound =
            |b: &BindingRow| b.model_name == version.name && b.version == version.version;
        let same = bound.as_ref().is_some_and(is_bound);
        if let Some(open) = rollout::find_open(tx, scope, row.id)? {
            let is_meant = open.model_name == version.name && open.to_version == version.version;
            if is_meant || (same && open.trigger_kind != "alias") {
                return Ok(());
            }
            let why = format!("`{}` points at version {} now", spec.model, version.version);
            self.end_rollout(tx, scope, open, &self.system(), &why, now)?;
        }
        let Some(bound) = bound.filter(|_| !same) else {
            return if same {
                Ok(())
            } else {
                self.put_binding(tx, scope, row, &spec, &version, now)
            };
        };
        let project = match row.project_id {
            Some(id) => Some(load(tx, scope, &id.to_string())?),
            None => None,
        };
        if !self.goes_by_rollout(tx, scope, &spec, project.as_ref(), now)? {
            return self.put_binding(tx, scope, row, &spec, &version, now);
        }
        if was_rolled_back(tx, scope, row, &spec, &version)? {
            return Ok(());
        }
        let plan = spec.rollout.clone().unwrap_or_default();
        let begin =
            Begin { row, spec: &spec, bound: &bound, version: &version, plan, trigger: "alias" };
        let reason = format!("`{}` points at version {} now", spec.model, version.version);
        match self.begin_rollout(tx, scope, begin, &self.system(), &reason, now) {
            Err(Error::Refused(refusal)) => {
                tracing::warn!(endpoint = %row.name, "no rollout is started: {refusal}");
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    /// Whether a new version comes by a rollout: always where a project's champion answers people,
    /// and where an endpoint's file says so.
    fn goes_by_rollout(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        spec: &EndpointSpec,
        project: Option<&Project>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let Some(project) = project else { return Ok(spec.rollout.is_some()) };
        Ok(matches!(self.mode(tx, scope, project, now)?, Mode::Champion { .. }))
    }

    /// Puts a version behind an endpoint, at once.
    pub(crate) fn put_binding(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        row: &EndpointRow,
        spec: &EndpointSpec,
        version: &ResolvedVersion,
        now: Timestamp,
    ) -> Result<(), Error> {
        let bound = BindingRow {
            endpoint: row.id,
            model_name: version.name.clone(),
            version: version.version,
            bound_at: now,
            shadow_until: now + spec.shadow_duration,
            pinned_by: None,
        };
        binding::put(tx, scope, &bound)?;
        let history = EndpointVersionRow {
            endpoint_id: row.id,
            seq: 0,
            workspace_id: scope.workspace,
            model_name: version.name.clone(),
            version: version.version,
            bound_at: now,
            reason: format!("`{}`", spec.model),
        };
        serving::put_version(tx, scope, &history)?;
        let deed = Deed {
            action: "endpoint.model_bound",
            object_kind: "endpoint",
            object_id: &row.id.to_string(),
            project: row.project_id,
            detail: json!({ "endpoint": row.name, "model": version.name, "version": version.version }),
        };
        self.record(tx, &self.system(), now, &deed)?;
        if let Some(project) = row.project_id {
            let payload = json!({ "project": project });
            self.enqueue(tx, "measure_project", &payload, &format!("measure:{project}"))?;
        }
        Ok(())
    }
}

/// Whether a running trial holds the version.
pub(crate) fn is_pinned(
    tx: &mut Tx,
    scope: &Scope,
    bound: Option<&BindingRow>,
    now: Timestamp,
) -> Result<bool, Error> {
    let Some(trial) = bound.and_then(|b| b.pinned_by) else { return Ok(false) };
    let found = trial::find(tx, scope, trial)?;
    Ok(found.is_some_and(|t| t.stopped_at.is_none() && now < t.looks_at))
}

/// Whether this version was rolled back here since the reference came to name it: then only a person
/// starts it again.
fn was_rolled_back(
    tx: &mut Tx,
    scope: &Scope,
    row: &EndpointRow,
    spec: &EndpointSpec,
    version: &ResolvedVersion,
) -> Result<bool, Error> {
    let all = rollout::list_by_endpoint(tx, scope, row.id, LOOKED_BACK)?;
    let latest = all.into_iter().find(|r| r.trigger_kind != "drill");
    let Some(ended) =
        latest.filter(|r| r.phase == "rolled_back" && r.to_version == version.version)
    else {
        return Ok(false);
    };
    let named_at = match &spec.model.pick {
        Pick::Version(_) => Some(row.updated_at),
        Pick::Alias(alias) => {
            let aliases = registry::list_aliases(tx, scope, &spec.model.name)?;
            aliases.into_iter().find(|a| a.alias == *alias).map(|a| a.set_at)
        }
    };
    Ok(ended.model_name == version.name && named_at <= ended.ended_at)
}
