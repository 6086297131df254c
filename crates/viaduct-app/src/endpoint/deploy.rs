//! Endpoints that no project owns: deployed by a name and a model, or by a file; deleted.

use serde::Serialize;
use serde_json::{Map, Value, json};
use viaduct_base::{Error, Fault, FieldError, Kind, Refusal, Timestamp};
use viaduct_domain::manifest::{self, Change, EndpointFile, EndpointSpec};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::{Scope, Tx, endpoint, rollout};

use super::list::{EndpointView, no_endpoint};
use super::row::{fresh_row, write_spec};
use crate::App;
use crate::audit::Deed;
use crate::mlflow::resolve::resolve_version;

/// What a deployment did.
#[derive(Debug, Clone, Serialize)]
pub struct Deployed {
    /// Whether the endpoint is new.
    pub created: bool,
    /// Whether anything was written.
    pub changed: bool,
    /// What the person should know.
    pub warnings: Vec<String>,
    /// The endpoint, in service.
    pub endpoint: EndpointView,
}

/// What applying an endpoint's file did, or would do.
#[derive(Debug, Clone, Serialize)]
pub struct AppliedEndpoint {
    /// The endpoint's name.
    pub endpoint: String,
    /// Whether it is new.
    pub created: bool,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// What differs from what was there.
    pub changes: Vec<Change>,
    /// What the file names that does not exist yet.
    pub warnings: Vec<String>,
}

/// Whether the model must be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// A command of now: nothing could be served otherwise.
    Model,
    /// A file may name what comes later.
    Nothing,
}

/// A request's JSON as the file of `kind: Endpoint` that says the same.
///
/// # Errors
/// `invalid-input` with every bad place.
pub fn file_of(body: &Value) -> Result<EndpointFile, Refusal> {
    let invalid = |detail: &str| Refusal::new(Kind::InvalidInput, detail);
    let Some(fields) = body.as_object() else {
        return Err(invalid("an endpoint is an object with `model`, such as `churn@champion`"));
    };
    let mut spec: Map<String, Value> = fields.clone();
    let named = spec.remove("name").filter(|name| !name.is_null());
    let model = spec.get("model").and_then(Value::as_str).unwrap_or_default();
    let name = named.unwrap_or_else(|| {
        let end = model.find(['@', '/']).unwrap_or(model.len());
        Value::from(&model[..end])
    });
    let whole = json!({ "apiVersion": "viaduct/v1", "kind": "Endpoint",
        "metadata": { "name": name }, "spec": spec });
    manifest::parse_endpoint(&whole.to_string()).map_err(|refusal| {
        let errors: Vec<FieldError> = refusal.errors.into_iter().map(in_body).collect();
        let detail = errors.first().map_or(refusal.detail, |error| error.detail.clone());
        Refusal::new(Kind::InvalidInput, detail).with_errors(errors)
    })
}

/// The place in the body, which is not the place in the file.
fn in_body(error: FieldError) -> FieldError {
    let pointer = match error.pointer.as_str() {
        "/metadata/name" => "/name",
        other => other.strip_prefix("/spec").unwrap_or(other),
    };
    FieldError { pointer: pointer.to_owned(), line: None, column: None, ..error }
}

impl App {
    /// Makes or changes an endpoint that no project owns. When this answers it is in service.
    ///
    /// # Errors
    /// `already-exists` for an endpoint of a project; with [`Demand::Model`], `not-found` for a model
    /// that is not registered and `model-not-servable` for one that cannot be served.
    pub async fn deploy_endpoint(
        &self,
        caller: &Caller,
        file: EndpointFile,
        demand: Demand,
    ) -> Result<Deployed, Error> {
        let scope = self.authorise(caller, Operation::DeployEndpoint)?;
        let name = file.spec.name.to_string();
        let work = Work { app: self.clone(), caller: caller.clone(), scope, file, now: self.now() };
        let (created, changed, warnings) =
            self.store().write("deploy_endpoint", move |tx| work.run(tx, demand)).await?;
        if changed {
            self.ring();
        }
        self.bind_models().await?;
        let endpoint = self.get_endpoint(caller, &name).await?;
        Ok(Deployed { created, changed, warnings, endpoint })
    }

    /// Applies the text of a file of `kind: Endpoint`; it may name a model that comes later.
    ///
    /// # Errors
    /// `invalid-manifest` with line and column; `already-exists` for an endpoint of a project.
    pub async fn apply_endpoint(
        &self,
        caller: &Caller,
        text: &str,
        dry_run: bool,
    ) -> Result<AppliedEndpoint, Error> {
        let scope = self.authorise(caller, Operation::DeployEndpoint)?;
        let file = manifest::parse_endpoint(text)?;
        let name = file.spec.name.to_string();
        let find = name.clone();
        let known = self
            .store()
            .read("diff_endpoint", move |tx| endpoint::find_by_name(tx, &scope, &find))
            .await
            .map_err(Error::from)?;
        let old: Option<EndpointSpec> = match &known {
            Some(row) => Some(
                serde_json::from_str(&row.spec_json)
                    .map_err(|e| Fault::caused(format!("endpoint `{name}`"), e))?,
            ),
            None => None,
        };
        let changes = manifest::diff_of(old.as_ref(), &file.spec);
        let (mut warnings, created) = (Vec::new(), known.is_none());
        if !dry_run {
            warnings = self.deploy_endpoint(caller, file, Demand::Nothing).await?.warnings;
        }
        Ok(AppliedEndpoint { endpoint: name, created, dry_run, changes, warnings })
    }

    /// Deletes an endpoint that no project owns; its decisions stay in the log.
    ///
    /// # Errors
    /// `not-found`; `stage-forbids` for an endpoint of a project.
    pub async fn delete_endpoint(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::DeployEndpoint)?;
        let (app, caller, now, name) = (self.clone(), caller.clone(), self.now(), name.to_owned());
        self.store()
            .write("delete_endpoint", move |tx| -> Result<(), Error> {
                let row = endpoint::find_by_name(tx, &scope, &name)?;
                let mut row = row.ok_or_else(|| no_endpoint(&name))?;
                if row.project_id.is_some() {
                    let detail = format!(
                        "`{name}` belongs to a project: take `endpoint` out of the project file and apply it"
                    );
                    return Err(Refusal::new(Kind::StageForbids, detail).into());
                }
                if let Some(open) = rollout::find_open(tx, &scope, row.id)? {
                    app.end_rollout(tx, &scope, open, &caller, "the endpoint is deleted", now)?;
                }
                row.removed_at = Some(now);
                row.updated_at = now;
                endpoint::update(tx, &scope, &row)?;
                let deed = Deed {
                    action: "endpoint.deleted",
                    object_kind: "endpoint",
                    object_id: &row.id.to_string(),
                    project: None,
                    detail: json!({ "endpoint": name }),
                };
                Ok(app.record(tx, &caller, now, &deed)?)
            })
            .await?;
        self.publish_snapshot().await
    }
}

struct Work {
    app: App,
    caller: Caller,
    scope: Scope,
    file: EndpointFile,
    now: Timestamp,
}

impl Work {
    fn run(&self, tx: &mut Tx, demand: Demand) -> Result<(bool, bool, Vec<String>), Error> {
        let spec = &self.file.spec;
        let warnings = self.check_model(tx, spec, demand)?;
        let found = endpoint::find_by_name(tx, &self.scope, spec.name.as_str())?;
        if found.as_ref().is_some_and(|row| row.project_id.is_some()) {
            let detail = format!(
                "the endpoint `{}` belongs to a project: change it by the project's file, or choose another name with `--endpoint`",
                spec.name
            );
            return Err(Refusal::new(Kind::AlreadyExists, detail).into());
        }
        let created = found.is_none();
        let mut row =
            found.unwrap_or_else(|| fresh_row(&self.scope, None, spec.name.as_str(), self.now));
        let changed = write_spec(&mut row, spec, self.now)?;
        match (created, changed) {
            (true, _) => endpoint::insert(tx, &row)?,
            (false, true) => endpoint::update(tx, &self.scope, &row)?,
            (false, false) => {}
        }
        if let Some(contract) = &self.file.contract {
            let by = ("owned", &self.caller);
            self.app.put_contract(tx, &self.scope, &row, contract, by)?;
        }
        if created || changed {
            let deed = Deed {
                action: if created { "endpoint.deployed" } else { "endpoint.changed" },
                object_kind: "endpoint",
                object_id: &row.id.to_string(),
                project: None,
                detail: json!({ "endpoint": row.name, "model": spec.model.to_string() }),
            };
            self.app.record(tx, &self.caller, self.now, &deed)?;
            self.app.enqueue(tx, "bind_models", &json!({}), "bind_models")?;
        }
        Ok((created, created || changed, warnings))
    }

    fn check_model(
        &self,
        tx: &mut Tx,
        spec: &EndpointSpec,
        demand: Demand,
    ) -> Result<Vec<String>, Error> {
        let problem = match resolve_version(tx, &self.scope, &spec.model)? {
            None => Refusal::new(
                Kind::NotFound,
                format!(
                    "`{}` is not registered: register a version and set its alias, as in `client.set_registered_model_alias(\"{}\", \"champion\", 1)`",
                    spec.model, spec.model.name
                ),
            ),
            Some(version) => match self.app.check_servable(&version) {
                Ok(_) => return Ok(Vec::new()),
                Err(reason) => Refusal::new(Kind::ModelNotServable, reason.to_string()),
            },
        };
        match demand {
            Demand::Model => Err(problem.into()),
            Demand::Nothing => Ok(vec![problem.detail]),
        }
    }
}
