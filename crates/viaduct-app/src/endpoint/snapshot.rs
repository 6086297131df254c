//! The immutable snapshot of all endpoints that the gateway serves from.

use viaduct_base::{Digest, Error, Fault, Timestamp};
use viaduct_domain::manifest::{self, EndpointSpec, ModelRef, Pick};
use viaduct_domain::stage::{Stage, State};
use viaduct_domain::trial::RegisteredTrial;
use viaduct_gateway::{
    Challenger, ConsumerSnapshot, EndpointSnapshot, Fallback, Guard, InputRetention, Killed,
    Limits, Mode, ServedModel, Snapshot,
};
use viaduct_store::binding;
use viaduct_store::endpoint::{self, EndpointRow};
use viaduct_store::{Scope, Tx, consumer, rollout, serving, trial, workspace};

use crate::App;
use crate::mlflow::resolve::resolve_version;
use crate::project::{Project, load};

/// Versions looked back at for the one before.
const HISTORY: i64 = 50;
/// Held while a snapshot is built and handed over: one that was read earlier must not replace one
/// that was read later.
static PUBLISHING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

impl App {
    /// Builds the snapshot from rows and hands it to the gateway.
    ///
    /// # Errors
    /// When the database or the gateway's folder does not answer.
    pub async fn publish_snapshot(&self) -> Result<(), Error> {
        let _turn = PUBLISHING.lock().await;
        let (app, now) = (self.clone(), self.now());
        let scope = Scope::of(self.workspace());
        let snapshot =
            self.store().read("build_snapshot", move |tx| app.snapshot(tx, &scope, now)).await?;
        let (app, gateway) = (self.clone(), self.gateway().clone());
        let published = tokio::task::spawn_blocking(move || {
            let wanted = snapshot.clone();
            let problems = gateway.publish(snapshot)?;
            app.retain_sidecars(&wanted);
            Ok::<_, Error>(problems)
        });
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
        let standing = project.as_ref().map(|p| p.standing);
        let ended = standing.is_some_and(|s| !s.stage.is_live() || s.state == State::Frozen);
        let contract = match &project {
            Some(project) => project.spec.contract.clone(),
            None => super::contract::in_force(tx, scope, row)?,
        };
        let (challenger, guards) = self.challenger(tx, scope, row, &mode)?;
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
            contract,
            rule: project.as_ref().and_then(|p| p.spec.rule.clone()),
            entity_field: spec.entity.clone(),
            key_fields: spec.keys.clone(),
            business_as_usual: spec.business_as_usual.clone(),
            consumers: consumers(tx, scope, row)?,
            open: self.settings().is_loopback && !self.has_users(),
            frozen: ended,
            challenger,
            fallback: fallback(&spec.fallback)?,
            previous: match spec.fallback {
                manifest::Fallback::Previous => self.previous(tx, scope, row)?,
                _ => None,
            },
            killed: serving::find_kill(tx, scope, row.id)?.map(|kill| Killed {
                at: kill.killed_at,
                by: kill.killed_by,
                reason: kill.reason,
            }),
            limits: limits(&spec.limits),
            guards,
            retention: match spec.retention {
                manifest::Retention::Full => InputRetention::Full,
                manifest::Retention::Hashed => InputRetention::Hashed,
                manifest::Retention::None => InputRetention::None,
            },
            trusted_override: spec.trusted_override,
            fallback_on_violation: spec.fallback_on_violation,
        })
    }

    /// Who gets what follows from the stage alone: nothing else can send traffic to a model.
    pub(crate) fn mode(
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
        self.version_served(tx, scope, &row.name, (&bound.model_name, bound.version))
    }

    /// The version that stood behind the endpoint before the one that does.
    fn previous(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        row: &EndpointRow,
    ) -> Result<Option<ServedModel>, Error> {
        let Some(bound) = binding::find(tx, scope, row.id)? else { return Ok(None) };
        let before = serving::versions(tx, scope, row.id, HISTORY)?
            .into_iter()
            .find(|known| known.model_name != bound.model_name || known.version != bound.version);
        match before {
            Some(b) => self.version_served(tx, scope, &row.name, (&b.model_name, b.version)),
            None => Ok(None),
        }
    }

    /// The candidate of the rollout under way, and what the gateway watches of it.
    fn challenger(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        row: &EndpointRow,
        mode: &Mode,
    ) -> Result<(Option<Challenger>, Vec<Guard>), Error> {
        let Some(open) = rollout::find_open(tx, scope, row.id)? else {
            return Ok((None, Vec::new()));
        };
        let plan = crate::rollout::plan_of(&open)?;
        let candidate = (open.model_name.as_str(), open.to_version);
        let Some(model) = self.version_served(tx, scope, &row.name, candidate)? else {
            return Ok((None, Vec::new()));
        };
        let step = usize::try_from(open.step).ok().and_then(|n| plan.steps.get(n));
        let takes = !matches!(mode, Mode::Trial { .. } | Mode::Shadow);
        let challenger = Challenger {
            rollout: open.id,
            salt: open.salt.clone(),
            model,
            share_bp: step.filter(|_| takes).map_or(0, |step| step.share_bp),
            // Why: a comparison on the same cases needs both answers, whoever is answered.
            shadow: plan.compares() || step.is_none_or(|step| step.shadow) || !takes,
        };
        Ok((Some(challenger), crate::rollout::guards(&plan)))
    }

    /// A version as the gateway loads it; `None`, and a line in the log, when it cannot be served.
    pub(crate) fn version_served(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        endpoint: &str,
        (name, number): (&str, i64),
    ) -> Result<Option<ServedModel>, Error> {
        let reference = ModelRef {
            name: name.to_owned(),
            pick: Pick::Version(u64::try_from(number).unwrap_or_default()),
        };
        let Some(version) = resolve_version(tx, scope, &reference)? else { return Ok(None) };
        match self.servable(version) {
            Ok(served) => Ok(Some(served)),
            Err(reason) => {
                tracing::warn!(%endpoint, "{reason}");
                Ok(None)
            }
        }
    }
}

fn consumers(
    tx: &mut Tx,
    scope: &Scope,
    row: &EndpointRow,
) -> Result<Vec<ConsumerSnapshot>, Error> {
    let known = consumer::list(tx, scope, row.id)?.into_iter();
    let live = known.filter(|known| known.revoked_at.is_none());
    Ok(live
        .filter_map(|known| {
            let key_hash = Digest::from_hex(&known.key_hash)?;
            let limits = super::consumer::limits_of(&known);
            Some(ConsumerSnapshot {
                id: known.id,
                name: known.name,
                key_hash,
                department: None,
                rate_per_second: limits.rate_per_second,
                burst: limits.burst,
                quota_per_day: limits.quota_per_day,
            })
        })
        .collect())
}

fn fallback(spec: &manifest::Fallback) -> Result<Fallback, Error> {
    Ok(match spec {
        manifest::Fallback::Error => Fallback::Error,
        manifest::Fallback::BusinessAsUsual => Fallback::BusinessAsUsual,
        manifest::Fallback::Previous => Fallback::Previous,
        manifest::Fallback::Constant { output, action } => Fallback::Constant {
            output: output
                .as_ref()
                .map(serde_json::to_value)
                .transpose()
                .map_err(|e| Fault::caused("write a fallback's output", e))?,
            action: action.clone(),
        },
    })
}

fn limits(spec: &manifest::Limits) -> Limits {
    let usual = Limits::default();
    Limits {
        queue: spec.queue.unwrap_or(usual.queue),
        deadline_ms: spec.deadline_ms.unwrap_or(usual.deadline_ms),
        rows_max: spec.rows_max.unwrap_or(usual.rows_max),
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
