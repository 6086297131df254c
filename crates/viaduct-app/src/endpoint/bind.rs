//! Binds to each endpoint the version that its reference names, and publishes the snapshot.
//!
//! Asked for after everything that can change what an endpoint serves: a project applied, an alias
//! moved, a gate opened, a trial registered, a consumer added.

use serde_json::json;
use viaduct_base::{Error, Fault, Timestamp};
use viaduct_domain::manifest::{EndpointSpec, ModelRef};
use viaduct_store::binding::{self, BindingRow};
use viaduct_store::endpoint::{self, EndpointRow};
use viaduct_store::trial;
use viaduct_store::{Scope, Tx};

use crate::App;
use crate::audit::Deed;
use crate::mlflow::resolve::resolve_version;

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

    fn bind(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        row: &EndpointRow,
        now: Timestamp,
    ) -> Result<(), Error> {
        let spec: EndpointSpec = serde_json::from_str(&row.spec_json)
            .map_err(|e| Fault::caused(format!("endpoint `{}`", row.name), e))?;
        let bound = binding::find(tx, scope, row.id)?;
        if let Some(trial) = bound.as_ref().and_then(|b| b.pinned_by)
            && trial::find(tx, scope, trial)?
                .is_some_and(|t| t.stopped_at.is_none() && now < t.looks_at)
        {
            return Ok(());
        }
        let model: &ModelRef = &spec.model;
        let Some(version) = resolve_version(tx, scope, model)? else { return Ok(()) };
        let same = bound
            .as_ref()
            .is_some_and(|b| b.model_name == version.name && b.version == version.version);
        if same {
            return Ok(());
        }
        let binding = BindingRow {
            endpoint: row.id,
            model_name: version.name.clone(),
            version: version.version,
            bound_at: now,
            shadow_until: now + spec.shadow_duration,
            pinned_by: None,
        };
        binding::put(tx, scope, &binding)?;
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
