//! Runs: create, get, change, delete, restore, search.

use std::collections::BTreeSet;

use serde_json::json;
use viaduct_base::{Error, Timestamp};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::mlflow::experiment as experiments;
use viaduct_store::mlflow::run::{self, RunRow};
use viaduct_store::mlflow::run_parts::{self, RunParts};
use viaduct_store::mlflow::search::{self, Search};
use viaduct_store::mlflow::{Lifecycle, Pair, pair};
use viaduct_store::{Foresight, Scope, Tx};

use super::change::{self, Note};
use super::filter::{self, Subject};
use super::page::{Page, Query, View};
use super::{experiment, invalid, limits, location, missing};
use crate::App;

/// The tag that holds a run's name beside the run itself, for older clients.
pub(super) const NAME_TAG: &str = "mlflow.runName";
const STATUSES: [&str; 5] = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"];
/// MLflow's page, and its largest.
const PAGE: usize = 1000;
const PAGE_MAX: usize = 50_000;
/// More experiments than that are no selection.
const EXPERIMENTS_MAX: usize = 5_000;

/// A run with what hangs on it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunView {
    /// The run.
    pub row: RunRow,
    /// Metrics, params, tags, inputs and models.
    pub parts: RunParts,
}

/// A run to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// Its experiment.
    pub experiment_id: String,
    /// Its name; made up when absent.
    pub name: Option<String>,
    /// Who starts it, as the client says.
    pub user_name: String,
    /// When it began, in milliseconds; now when absent.
    pub start_ms: Option<i64>,
    /// Its tags.
    pub tags: Vec<Pair>,
}

/// What changes of a run; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunChange {
    /// Its status.
    pub status: Option<String>,
    /// When it ended, in milliseconds.
    pub end_ms: Option<i64>,
    /// Its name.
    pub name: Option<String>,
}

/// A search of runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunQuery {
    /// In these experiments.
    pub experiment_ids: Vec<String>,
    /// Filter, order and page.
    pub query: Query,
    /// Active, deleted, or both.
    pub view: View,
}

impl App {
    /// Makes a run in an active experiment.
    ///
    /// # Errors
    /// `not-found` for the experiment; `invalid-input`.
    pub async fn create_run(&self, caller: &Caller, new: NewRun) -> Result<RunView, Error> {
        let scope = self.authorise(caller, Operation::WriteTracking)?;
        let mut tags: Vec<Pair> = new.tags.iter().map(limits::run_tag).collect::<Result<_, _>>()?;
        let run_id = uuid::Uuid::now_v7().simple().to_string();
        let name = name_of(&new, &mut tags, &run_id)?;
        let mut seen = BTreeSet::new();
        if let Some(twice) = tags.iter().find(|tag| !seen.insert(tag.key.clone())) {
            return Err(invalid(format!("The tag '{}' is given twice.", twice.key)));
        }
        let (caller, now) = (caller.clone(), self.now());
        let started_at = match new.start_ms.filter(|ms| *ms != 0) {
            Some(ms) => limits::moment("start_time", ms)?,
            None => now,
        };
        let base = self.blobs().base().to_owned();
        let foresight =
            Foresight::new(run_id.clone(), [experiments::finding(&scope, &new.experiment_id)]);
        self.store()
            .write_with("create_run", foresight, move |tx| {
                let experiment =
                    experiment::find_active(tx, &scope, (&new.experiment_id, &base), now)?;
                let row = RunRow {
                    run_id: run_id.clone(),
                    name: name.clone(),
                    user_name: new.user_name.clone(),
                    status: "RUNNING".to_owned(),
                    started_at,
                    ended_at: None,
                    lifecycle: Lifecycle::Active,
                    artifact_uri: location::run_root(&experiment.artifact_location, &run_id),
                    experiment_id: experiment.experiment_id,
                    deleted_at: None,
                };
                run::insert(tx, &scope, &row)?;
                pair::set_run_tags(tx, &scope, (&run_id, &row.experiment_id), &tags)?;
                let change = json!({ "experiment_id": row.experiment_id, "name": row.name });
                let note = Note { kind: "run", id: &run_id, verb: "created", change };
                change::note(tx, &scope, (&caller, now), &note)?;
                let mut shown = tags.clone();
                shown.sort_by(|a, b| a.key.cmp(&b.key));
                Ok(RunView { row, parts: RunParts { tags: shown, ..RunParts::default() } })
            })
            .await
    }

    /// The run with that id, a deleted one too.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_run(&self, caller: &Caller, id: &str) -> Result<RunView, Error> {
        let scope = self.authorise(caller, Operation::ReadTracking)?;
        let id = id.to_owned();
        self.store()
            .read("get_run", move |tx| {
                let row = find(tx, &scope, &id)?;
                view(tx, &scope, row)
            })
            .await
    }

    /// Changes status, end or name of an active run.
    ///
    /// # Errors
    /// `not-found`; `invalid-input`, also for a deleted run.
    pub async fn update_run(
        &self,
        caller: &Caller,
        id: &str,
        change: RunChange,
    ) -> Result<RunRow, Error> {
        let scope = self.authorise(caller, Operation::WriteTracking)?;
        if let Some(status) = change.status.as_deref().filter(|s| !STATUSES.contains(s)) {
            return Err(invalid(format!(
                "Invalid run status '{status}'. Use one of {}.",
                STATUSES.join(", ")
            )));
        }
        let ended_at = change.end_ms.map(|ms| limits::moment("end_time", ms)).transpose()?;
        let named = change.name.as_ref().filter(|name| !name.is_empty());
        let tag = named
            .map(|name| limits::run_tag(&Pair { key: NAME_TAG.to_owned(), value: name.clone() }))
            .transpose()?;
        let (id, caller, now) = (id.to_owned(), caller.clone(), self.now());
        let foresight = Foresight::new(id.clone(), [run::finding(&scope, &id)]);
        self.store()
            .write_with("update_run", foresight, move |tx| {
                let mut row = find_active(tx, &scope, &id)?;
                let before = row.clone();
                if let Some(status) = &change.status {
                    row.status.clone_from(status);
                }
                row.ended_at = ended_at.or(row.ended_at);
                if let Some(tag) = &tag {
                    row.name.clone_from(&tag.value);
                    pair::set_run_tag(tx, &scope, &id, tag)?;
                }
                if row == before {
                    return Ok(row);
                }
                run::update(tx, &scope, &row)?;
                let said = |row: &RunRow| json!({ "status": row.status, "name": row.name });
                let change = json!({ "before": said(&before), "after": said(&row) });
                let note = Note { kind: "run", id: &id, verb: "updated", change };
                change::note(tx, &scope, (&caller, now), &note)?;
                Ok(row)
            })
            .await
    }

    /// Deletes a run; it can be restored.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_run(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        let now = self.now();
        self.set_run_lifecycle(caller, id, Some(now)).await
    }

    /// Restores a deleted run.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn restore_run(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        self.set_run_lifecycle(caller, id, None).await
    }

    async fn set_run_lifecycle(
        &self,
        caller: &Caller,
        id: &str,
        deleted_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::WriteTracking)?;
        let (id, caller, now) = (id.to_owned(), caller.clone(), self.now());
        self.store()
            .write("set_run_lifecycle", move |tx| {
                let mut row = find(tx, &scope, &id)?;
                row.lifecycle =
                    if deleted_at.is_some() { Lifecycle::Deleted } else { Lifecycle::Active };
                row.deleted_at = deleted_at;
                run::update(tx, &scope, &row)?;
                let verb = if deleted_at.is_some() { "deleted" } else { "restored" };
                let note = Note { kind: "run", id: &id, verb, change: json!({}) };
                change::note(tx, &scope, (&caller, now), &note)?;
                Ok(())
            })
            .await
    }

    /// Runs that a filter finds, latest start first unless ordered otherwise.
    ///
    /// # Errors
    /// `invalid-input` for a filter or order that does not read.
    pub async fn search_runs(
        &self,
        caller: &Caller,
        wanted: RunQuery,
    ) -> Result<Page<RunView>, Error> {
        let scope = self.authorise(caller, Operation::ReadTracking)?;
        if wanted.experiment_ids.len() > EXPERIMENTS_MAX {
            return Err(invalid(format!("At most {EXPERIMENTS_MAX} experiments can be searched.")));
        }
        let window = wanted.query.page.check(PAGE, PAGE_MAX)?;
        let search = Search {
            experiment_ids: wanted.experiment_ids,
            lifecycles: wanted.view.lifecycles(),
            filter: filter::parse(&wanted.query.filter, Subject::Runs)?,
            order: filter::parse_orders(&wanted.query.order_by, Subject::Runs)?,
            ..window.search()
        };
        self.store()
            .read("search_runs", move |tx| {
                let page = window.of_found(search::runs(tx, &scope, &search)?);
                let ids: Vec<String> = page.items.iter().map(|row| row.run_id.clone()).collect();
                let parts = run_parts::of_runs(tx, &scope, &ids)?;
                let items = page.items.into_iter().zip(parts);
                let items = items.map(|(row, parts)| RunView { row, parts }).collect();
                Ok(Page { items, next: page.next })
            })
            .await
    }
}

/// The name, and the tag that says it: given once, twice alike, or not at all.
fn name_of(new: &NewRun, tags: &mut Vec<Pair>, run_id: &str) -> Result<String, Error> {
    let tagged = tags.iter().find(|tag| tag.key == NAME_TAG).map(|tag| tag.value.clone());
    let named = new.name.clone().filter(|name| !name.is_empty());
    if let (Some(name), Some(tag)) = (&named, &tagged)
        && name != tag
    {
        return Err(invalid(format!(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different \
             values (run_name='{name}', mlflow.runName='{tag}')."
        )));
    }
    let has_tag = tagged.is_some();
    let name = named.or(tagged).unwrap_or_else(|| random_name(run_id));
    let tag = limits::run_tag(&Pair { key: NAME_TAG.to_owned(), value: name })?;
    if !has_tag {
        tags.push(tag.clone());
    }
    Ok(tag.value)
}

/// A name that people can say, made from the random end of an id.
pub(super) fn random_name(id: &str) -> String {
    const HOW: [&str; 16] = [
        "able", "bold", "calm", "deft", "eager", "fair", "glad", "keen", "kind", "lively", "neat",
        "proud", "quick", "sunny", "warm", "wise",
    ];
    const WHAT: [&str; 16] = [
        "arch", "beam", "bridge", "cable", "deck", "ferry", "girder", "harbour", "lock", "pier",
        "pylon", "quay", "rail", "river", "span", "tower",
    ];
    let digits: Vec<usize> =
        id.chars().rev().filter_map(|c| c.to_digit(16)).map(|d| d as usize).take(5).collect();
    let digit = |at: usize| digits.get(at).copied().unwrap_or_default();
    let number = digit(2) * 256 + digit(3) * 16 + digit(4);
    format!("{}-{}-{}", HOW[digit(0) % 16], WHAT[digit(1) % 16], number % 1000)
}

pub(super) fn find(tx: &mut Tx, scope: &Scope, id: &str) -> Result<RunRow, Error> {
    run::find(tx, scope, id)?.ok_or_else(|| missing(format!("Run with id={id} not found")))
}

/// The run, if it may be written.
pub(super) fn find_active(tx: &mut Tx, scope: &Scope, id: &str) -> Result<RunRow, Error> {
    let row = find(tx, scope, id)?;
    if row.lifecycle == Lifecycle::Active {
        return Ok(row);
    }
    Err(invalid(format!(
        "The run {id} must be in the 'active' state. Current state is {}.",
        row.lifecycle.as_str()
    )))
}

fn view(tx: &mut Tx, scope: &Scope, row: RunRow) -> Result<RunView, Error> {
    let parts = run_parts::of_run(tx, scope, &row.run_id)?;
    Ok(RunView { row, parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = random_name("0190a1b2c3d4e5f60718293a4b5c6d7e");
        assert_eq!(name.split('-').count(), 3, "{name}");
        let new = |name: Option<&str>| NewRun {
            experiment_id: "0".into(),
            name: name.map(str::to_owned),
            user_name: String::new(),
            start_ms: None,
            tags: Vec::new(),
        };
        let tag = |value: &str| vec![Pair { key: NAME_TAG.into(), value: value.into() }];
        assert_eq!(name_of(&new(None), &mut tag("a"), "1").unwrap(), "a");
        assert_eq!(name_of(&new(Some("a")), &mut tag("a"), "1").unwrap(), "a");
        assert!(name_of(&new(Some("b")), &mut tag("a"), "1").is_err());
        let mut none = Vec::new();
        assert_eq!(name_of(&new(Some("b")), &mut none, "1").unwrap(), "b");
        assert_eq!(none, tag("b"));
    }
}
