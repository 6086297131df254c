//! The immutable snapshot of all endpoints that the gateway serves from.

use viaduct_base::{Digest, Error, Fault, Timestamp};
use viaduct_domain::manifest::{EndpointSpec, ModelRef, Pick};
use viaduct_domain::stage::{Stage, State};
use viaduct_domain::trial::RegisteredTrial;
use viaduct_gateway::{ConsumerSnapshot, EndpointSnapshot, Engine, Mode, ServedModel, Snapshot};
use viaduct_store::binding;
use viaduct_store::endpoint::{self, EndpointRow};
use viaduct_store::{Scope, Tx, consumer, trial, workspace};

use crate::App;
use crate::mlflow::resolve::{read_model, resolve_version};
use crate::project::{Project, load};

impl App {
    /// Builds the snapshot from rows and hands it to the gateway.
    ///
    /// # Errors
    /// When the database or the gateway's folder does not answer.
    pub async fn publish_snapshot(&self) -> Result<(), Error> {
        let (app, now) = (self.clone(), self.now());
        let scope = Scope::of(self.workspace());
        let snapshot =
            self.store().read("build_snapshot", move |tx| app.snapshot(tx, &scope, now)).await?;
        let gateway = self.gateway().clone();
        let published = tokio::task::spawn_blocking(move || gateway.publish(snapshot));
        let problems = published.await.map_err(|e| Fault::caused("publish the snapshot", e))??;
        for problem in problems {
            tracing::warn!(endpoint = %problem.endpoint, "{}", problem.detail);
        }
        Ok(())
    }

    fn snapshot(&self, tx: &mut Tx, scope: &Scope, now: Timestamp) -> Result<Snapshot, Error> {
        let salt = workspace::find_by_name(tx, workspace::DEFAULT)?
            .ok_or_else(|| Fault::new("the default workspace is missing"))?
            .salt;
        let mut endpoints = Vec::new();
        for row in endpoint::list(tx, scope)? {
            endpoints.push(self.endpoint_snapshot(tx, scope, &row, now)?);
        }
        Ok(Snapshot { workspace_salt: salt, endpoints })
    }

    fn endpoint_snapshot(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        row: &EndpointRow,
        now: Timestamp,
    ) -> Result<EndpointSnapshot, Error> {
        let spec: EndpointSpec = serde_json::from_str(&row.spec_json)
            .map_err(|e| Fault::caused(format!("endpoint `{}`", row.name), e))?;
        let project = match row.project_id {
            Some(id) => Some(load(tx, scope, &id.to_string())?),
            None => None,
        };
        let mode = match &project {
            Some(project) => self.mode(tx, scope, project, now)?,
            None => Mode::Unowned,
        };
        let mut consumers = Vec::new();
        for known in consumer::list(tx, scope, row.id)? {
            let Some(key_hash) = Digest::from_hex(&known.key_hash) else { continue };
            if known.revoked_at.is_none() {
                let name = known.name;
                consumers.push(ConsumerSnapshot {
                    id: known.id,
                    name,
                    key_hash,
                    department: None,
                    rate_per_second: None,
                    burst: None,
                    quota_per_day: None,
                });
            }
        }
        let standing = project.as_ref().map(|p| p.standing);
        let ended = standing.is_some_and(|s| !s.stage.is_live() || s.state == State::Frozen);
        Ok(EndpointSnapshot {
            id: row.id,
            name: spec.name.clone(),
            workspace: scope.workspace,
            project: row.project_id,
            department: project.as_ref().and_then(|p| match p.spec.departments.as_slice() {
                [one] => Some(one.name.to_string()),
                _ => None,
            }),
            stage: standing.map_or("unowned", |s| s.stage.as_str()).to_owned(),
            mode,
            model: self.served(tx, scope, row)?,
            contract: project.as_ref().and_then(|p| p.spec.contract.clone()),
            rule: project.as_ref().and_then(|p| p.spec.rule.clone()),
            entity_field: spec.entity.clone(),
            key_fields: spec.keys.clone(),
            business_as_usual: spec.business_as_usual.clone(),
            consumers,
            open: self.settings().is_loopback && !self.has_users(),
            frozen: ended,
            ..EndpointSnapshot::bare(row.id, spec.name, scope.workspace)
        })
    }

    /// Who gets what follows from the stage alone: nothing else can send traffic to a model.
    fn mode(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        project: &Project,
        now: Timestamp,
    ) -> Result<Mode, Error> {
        let latest = trial::list(tx, scope, project.id)?
            .into_iter()
            .filter(|row| row.stopped_at.is_none())
            .max_by_key(|row| (row.registered_at, row.id));
        let Some(row) = latest else { return Ok(Mode::Shadow) };
        let registered = registered(&row)?;
        let split = registered.plan.split;
        Ok(match project.standing.stage {
            Stage::Pilot if registered.takes(now) => Mode::Trial {
                trial: row.id,
                salt: row.salt,
                holdout_bp: split.holdout_bp,
                score_holdout: false,
            },
            Stage::Pilot if now < registered.starts_at => Mode::Shadow,
            // After the trial's end, until the next gate, its arms stay as they were.
            Stage::Pilot | Stage::Department | Stage::Enterprise => {
                Mode::Champion { salt: row.salt, holdout_bp: split.holdout_bp }
            }
            Stage::Concept | Stage::Shelved { .. } | Stage::Retired => Mode::Shadow,
        })
    }

    fn served(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        row: &EndpointRow,
    ) -> Result<Option<ServedModel>, Error> {
        let Some(bound) = binding::find(tx, scope, row.id)? else { return Ok(None) };
        let reference = ModelRef {
            name: bound.model_name,
            pick: Pick::Version(u64::try_from(bound.version).unwrap_or_default()),
        };
        let found = resolve_version(tx, scope, &reference)?;
        let Some(version) = found else { return Ok(None) };
        match read_model(self.blobs(), &version) {
            Ok(files) => Ok(Some(ServedModel {
                name: version.name,
                version: version.version,
                onnx: files.onnx,
                features: Some(files.inputs).filter(|inputs| !inputs.is_empty()),
                classes: None,
                engine: Engine::Onnx,
            })),
            Err(reason) => {
                tracing::warn!(endpoint = %row.name, "{reason}");
                Ok(None)
            }
        }
    }
}

/// The registered trial of a row.
///
/// # Errors
/// When the row does not read.
pub fn registered(row: &trial::TrialRow) -> Result<RegisteredTrial, Error> {
    let damaged = |what: &str| Fault::new(format!("trial `{}` does not read: {what}", row.id));
    Ok(RegisteredTrial {
        plan: serde_json::from_str(&row.plan_json).map_err(|e| damaged(&e.to_string()))?,
        hash: Digest::from_hex(&row.plan_hash).ok_or_else(|| damaged("its hash"))?,
        registered_at: row.registered_at,
        starts_at: row.starts_at,
        ends_at: row.ends_at,
        matured_at: row.looks_at,
    })
}
