//! Takes away for good what was deleted long ago, with a report before and an audit entry after.

use serde::Serialize;
use serde_json::{Value, json};
use viaduct_base::{Error, Kind, Refusal, Span, Timestamp};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::mlflow::collect;
use viaduct_store::{Scope, Tx, audit};

use super::artifact::blocking;
use super::change::{self, Note};
use super::location;
use crate::App;
use crate::audit::Deed;

/// Entries of one version's trail: it is registered once.
const TRAIL: i64 = 1000;

/// What to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GcRequest {
    /// Deleted at least so long ago; the retention when absent.
    pub older_than: Option<Span>,
    /// Only tell what would go.
    pub dry_run: bool,
}

/// A run, logged model or experiment that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// `run`, `logged_model` or `experiment`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    #[serde(skip)]
    root: String,
}

/// One that stays, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// `run`, `logged_model` or `experiment`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Why it stays.
    pub why: String,
}

/// What went, or would go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GcReport {
    /// Whether nothing was touched.
    pub dry_run: bool,
    /// Deleted by this moment.
    pub deleted_by: Timestamp,
    /// What went, or would go.
    pub collected: Vec<Collected>,
    /// What was deleted long enough ago and stays.
    pub kept: Vec<Kept>,
    /// Artifacts that could not be deleted, and why.
    pub left: Vec<String>,
    /// Stored objects that no artifact led to any more, and their bytes.
    pub objects: u64,
    /// See `objects`.
    pub bytes: u64,
}

impl App {
    /// Collects what was deleted longer ago than the retention, or tells what would go. What a
    /// version, an endpoint or a fact refers to stays.
    ///
    /// # Errors
    /// `invalid-input` for a time below the retention.
    pub async fn collect_tracking(
        &self,
        caller: &Caller,
        request: GcRequest,
    ) -> Result<GcReport, Error> {
        let scope = self.authorise(caller, Operation::CollectGarbage)?;
        let retention = self.tracking_retention();
        let age = request.older_than.unwrap_or(retention);
        if age < retention {
            let said = format!(
                "`{age}` is less than the retention `{retention}`, within which everything can be \
                 restored: ask for more, or lower `mlflow.retention`"
            );
            return Err(Refusal::new(Kind::InvalidInput, said).into());
        }
        let by = Timestamp::from_micros(self.now().as_micros().saturating_sub(age.as_micros()));
        let (goes, kept) = self.store().read("plan_gc", move |tx| plan(tx, &scope, by)).await?;
        let mut report = GcReport {
            dry_run: request.dry_run,
            deleted_by: by,
            collected: goes,
            kept,
            left: Vec::new(),
            objects: 0,
            bytes: 0,
        };
        if !request.dry_run {
            self.collect(caller, scope, &mut report).await?;
        }
        Ok(report)
    }

    async fn collect(
        &self,
        caller: &Caller,
        scope: Scope,
        report: &mut GcReport,
    ) -> Result<(), Error> {
        let by = report.deleted_by;
        for doomed in std::mem::take(&mut report.collected) {
            // Why one at a time: whoever restores a run waits for it alone.
            let (app, caller, one) = (self.clone(), caller.clone(), doomed.clone());
            let gone = self
                .store()
                .write("collect_one", move |tx| app.remove(tx, &scope, (&caller, &one), by))
                .await?;
            if let Some(why) = gone {
                let (kind, id, name) = (doomed.kind, doomed.id, doomed.name);
                report.kept.push(Kept { kind, id, name, why });
                continue;
            }
            if let Err(why) = self.remove_artifacts(&doomed.root).await {
                tracing::warn!(root = doomed.root, why, "artifacts of what was collected stay");
                report.left.push(format!("{}: {why}", doomed.root));
            }
            report.collected.push(doomed);
        }
        (report.objects, report.bytes) = self.collect_artifacts().await?;
        Ok(())
    }

    /// Removes one with its audit entry; answers why it stays, when something changed meanwhile.
    fn remove(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        (caller, doomed): (&Caller, &Collected),
        by: Timestamp,
    ) -> Result<Option<String>, Error> {
        let restored = || Ok(Some("it was restored in the meantime".to_owned()));
        match doomed.kind {
            "run" => {
                if !collect::hold_run(tx, scope, &doomed.id, by)? {
                    return restored();
                }
                if let Some(why) = held_run(tx, scope, (&doomed.id, &doomed.root))? {
                    return Ok(Some(why));
                }
                collect::remove_run(tx, scope, &doomed.id)?;
            }
            "logged_model" => {
                let listed = collect::list_models(tx, scope, by)?;
                if !listed.iter().any(|model| model.model_id == doomed.id) {
                    return restored();
                }
                if let Some(why) = held_model(tx, scope, (&doomed.id, &doomed.root))? {
                    return Ok(Some(why));
                }
                collect::remove_model(tx, scope, &doomed.id)?;
            }
            _ => {
                if !collect::remove_experiment(tx, scope, &doomed.id, by)? {
                    return Ok(Some("something in it stays".to_owned()));
                }
            }
        }
        let (action, verb) = match doomed.kind {
            "run" => ("run.collected", "collected"),
            "logged_model" => ("logged_model.collected", "collected"),
            _ => ("experiment.collected", "collected"),
        };
        let now = self.now();
        let note = Note { kind: doomed.kind, id: &doomed.id, verb, change: json!({}) };
        change::note(tx, scope, (caller, now), &note)?;
        let detail = json!({
            "name": doomed.name,
            "artifacts": doomed.root,
            "deleted_at": doomed.deleted_at.map(|at| at.to_string()),
        });
        let (object_kind, object_id) = (doomed.kind, doomed.id.as_str());
        self.record(
            tx,
            caller,
            now,
            &Deed { action, object_kind, object_id, project: None, detail },
        )?;
        Ok(None)
    }

    /// Deletes a folder of artifacts.
    async fn remove_artifacts(&self, uri: &str) -> Result<(), String> {
        if uri.is_empty() {
            return Ok(());
        }
        let path = location::stored(uri).map_err(|refusal| refusal.detail)?;
        let blobs = self.blobs().clone();
        match blocking(move || blobs.delete(&path)).await {
            Ok(_) => Ok(()),
            Err(Error::Refused(refusal)) => Err(refusal.detail),
            Err(Error::Fault(fault)) => Err(fault.chain().to_string()),
        }
    }
}

type Plan = (Vec<Collected>, Vec<Kept>);

fn plan(tx: &mut Tx, scope: &Scope, by: Timestamp) -> Result<Plan, Error> {
    let (mut goes, mut kept) = (Vec::new(), Vec::new());
    let mut staying = std::collections::BTreeSet::new();
    for run in collect::list_runs(tx, scope, by)? {
        let why = held_run(tx, scope, (&run.run_id, &run.artifact_uri))?;
        let (kind, id, name) = ("run", run.run_id, run.name);
        match why {
            Some(why) => {
                staying.insert(run.experiment_id);
                kept.push(Kept { kind, id, name, why });
            }
            None => {
                let (deleted_at, root) = (run.deleted_at, run.artifact_uri);
                goes.push(Collected { kind, id, name, deleted_at, root });
            }
        }
    }
    for model in collect::list_models(tx, scope, by)? {
        let why = held_model(tx, scope, (&model.model_id, &model.artifact_uri))?;
        let (kind, id, name) = ("logged_model", model.model_id, model.name);
        match why {
            Some(why) => {
                staying.insert(model.experiment_id);
                kept.push(Kept { kind, id, name, why });
            }
            None => {
                let (deleted_at, root) = (model.deleted_at, model.artifact_uri);
                goes.push(Collected { kind, id, name, deleted_at, root });
            }
        }
    }
    for experiment in collect::list_experiments(tx, scope, by)? {
        let (kind, id, name) = ("experiment", experiment.experiment_id, experiment.name);
        if staying.contains(&id) {
            kept.push(Kept { kind, id, name, why: "something in it stays".to_owned() });
        } else {
            // Why no folder: experiments can share one, and what lies in it belongs to its runs.
            let (deleted_at, root) = (experiment.deleted_at, String::new());
            goes.push(Collected { kind, id, name, deleted_at, root });
        }
    }
    Ok((goes, kept))
}

/// The path below the artifact folder that versions keep; empty for what is no such place.
fn folder(uri: &str) -> String {
    location::stored(uri).map(|path| path.to_string()).unwrap_or_default()
}

fn held_run(tx: &mut Tx, scope: &Scope, (id, uri): (&str, &str)) -> Result<Option<String>, Error> {
    if let Some(version) = collect::version_of_run(tx, scope, (id, &folder(uri)))? {
        return Ok(Some(format!("`{version}` of the registry comes from it")));
    }
    Ok(forgotten(tx, scope)?.into_iter().find(|(_, detail)| detail["run_id"] == id).map(
        |(version, _)| format!("a fact or an endpoint names `{version}`, which comes from it"),
    ))
}

fn held_model(
    tx: &mut Tx,
    scope: &Scope,
    (id, uri): (&str, &str),
) -> Result<Option<String>, Error> {
    if let Some(version) = collect::version_of_model(tx, scope, (id, &folder(uri)))? {
        return Ok(Some(format!("`{version}` of the registry comes from it")));
    }
    Ok(forgotten(tx, scope)?.into_iter().find(|(_, detail)| detail["model_id"] == id).map(
        |(version, _)| format!("a fact or an endpoint names `{version}`, which comes from it"),
    ))
}

/// Versions that are named although the registry has forgotten them, with what the trail tells of
/// their making.
fn forgotten(tx: &mut Tx, scope: &Scope) -> Result<Vec<(String, Value)>, Error> {
    let mut found = Vec::new();
    for version in collect::forgotten_versions(tx, scope)? {
        for entry in audit::list_by_object(tx, scope, &version, None, TRAIL)? {
            if entry.row.action == "model_version.created" {
                let detail = serde_json::from_str(&entry.row.detail_json).unwrap_or_default();
                found.push((version.clone(), detail));
            }
        }
    }
    Ok(found)
}
