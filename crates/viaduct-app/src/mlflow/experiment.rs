//! Experiments: create, find, search, rename, delete, restore, tags.

use serde_json::{Value, json};
use viaduct_base::{Error, Timestamp};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::mlflow::experiment::{self, ExperimentRow};
use viaduct_store::mlflow::search::{self, Search};
use viaduct_store::mlflow::{Lifecycle, Pair, pair, run};
use viaduct_store::{Scope, StoreError, Tx};

use super::change::{self, Note};
use super::filter::{self, Subject};
use super::page::{Page, Query, View};
use super::{invalid, limits, location, missing, taken};
use crate::App;

/// The experiment that every client takes for granted.
const DEFAULT_ID: &str = "0";
const DEFAULT_NAME: &str = "Default";
/// MLflow's page, and its largest.
const PAGE: usize = 1000;
const PAGE_MAX: usize = 50_000;
/// Two makers at once take the same number; the loser takes the next one.
const ID_TRIES: usize = 10;

/// An experiment with its tags.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentView {
    /// The experiment.
    pub row: ExperimentRow,
    /// Its tags by key.
    pub tags: Vec<Pair>,
}

/// An experiment to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewExperiment {
    /// Its name, unique in the workspace.
    pub name: String,
    /// Where artifacts go, if not where the server puts them.
    pub artifact_location: Option<String>,
    /// Its tags.
    pub tags: Vec<Pair>,
}

impl App {
    /// Makes an experiment and answers its id.
    ///
    /// # Errors
    /// `already-exists` for a name in use, a deleted experiment's included; `invalid-input`.
    pub async fn create_experiment(
        &self,
        caller: &Caller,
        new: NewExperiment,
        own_host: Option<&str>,
    ) -> Result<String, Error> {
        let scope = self.authorise(caller, Operation::WriteTracking)?;
        limits::experiment_name(&new.name)?;
        new.tags.iter().try_for_each(limits::experiment_tag)?;
        limits::experiment_tags(&new.tags)?;
        let location = new.artifact_location.as_deref().filter(|text| !text.is_empty());
        let root = location.map(|uri| location::artifacts(uri, own_host)).transpose()?;
        let root = root.map(|path| location::uri(&path));
        let now = self.now();
        for _ in 0..ID_TRIES {
            let (new, root) = (new.clone(), root.clone());
            let (base, caller) = (self.blobs().base().to_owned(), caller.clone());
            let made = self.store().write("create_experiment", move |tx| {
                let id = insert_new(tx, &scope, &new, (root.as_deref(), &base), now)?;
                let change = json!({ "name": { "after": new.name } });
                let note = Note { kind: "experiment", id: &id, verb: "created", change };
                change::note(tx, &scope, (&caller, now), &note)?;
                Ok(id)
            });
            match made.await {
                Err(Create::Store(e)) if e.is_unique("experiment", "experiment_id") => {}
                made => return made.map_err(Error::from),
            }
        }
        Err(StoreError::Contended { name: "create_experiment" }.into())
    }

    /// The experiment with that id.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_experiment(&self, caller: &Caller, id: &str) -> Result<ExperimentView, Error> {
        let scope = self.authorise(caller, Operation::ReadTracking)?;
        if id == DEFAULT_ID {
            self.ensure_default_experiment(&scope).await?;
        }
        let id = id.to_owned();
        self.store()
            .read("get_experiment", move |tx| {
                let row = find(tx, &scope, &id)?;
                view(tx, &scope, row).map_err(Error::from)
            })
            .await
    }

    /// The experiment of that name, a deleted one too.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_experiment_by_name(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<ExperimentView, Error> {
        let scope = self.authorise(caller, Operation::ReadTracking)?;
        if name == DEFAULT_NAME {
            self.ensure_default_experiment(&scope).await?;
        }
        let name = name.to_owned();
        self.store()
            .read("get_experiment_by_name", move |tx| {
                let row = experiment::find_by_name(tx, &scope, &name)?.ok_or_else(|| {
                    missing(format!("Could not find experiment with name '{name}'"))
                })?;
                view(tx, &scope, row).map_err(Error::from)
            })
            .await
    }

    /// Experiments that a filter finds, newest first unless ordered otherwise.
    ///
    /// # Errors
    /// `invalid-input` for a filter or order that does not read.
    pub async fn search_experiments(
        &self,
        caller: &Caller,
        query: Query,
        wanted: View,
    ) -> Result<Page<ExperimentView>, Error> {
        let scope = self.authorise(caller, Operation::ReadTracking)?;
        let window = query.page.check(PAGE, PAGE_MAX)?;
        let search = Search {
            lifecycles: wanted.lifecycles(),
            filter: filter::parse(&query.filter, Subject::Experiments)?,
            order: filter::parse_orders(&query.order_by, Subject::Experiments)?,
            ..window.search()
        };
        self.ensure_default_experiment(&scope).await?;
        self.store()
            .read("search_experiments", move |tx| {
                let page = window.of_found(search::experiments(tx, &scope, &search)?);
                let ids: Vec<String> =
                    page.items.iter().map(|row| row.experiment_id.clone()).collect();
                let tags = pair::tags_of_experiments(tx, &scope, &ids)?;
                let items = page.items.into_iter().zip(tags);
                let items = items.map(|(row, tags)| ExperimentView { row, tags }).collect();
                Ok(Page { items, next: page.next })
            })
            .await
    }

    /// Gives an experiment another name.
    ///
    /// # Errors
    /// `not-found`; `already-exists`; `invalid-input` for a deleted experiment.
    pub async fn rename_experiment(
        &self,
        caller: &Caller,
        id: &str,
        name: &str,
    ) -> Result<(), Error> {
        limits::experiment_name(name)?;
        let name = name.to_owned();
        self.change_experiment(caller, id, "rename_experiment", move |tx, scope, row, _| {
            if row.lifecycle != Lifecycle::Active {
                return Err(invalid("Cannot rename a non-active experiment."));
            }
            let other = experiment::find_by_name(tx, scope, &name)?;
            if other.is_some_and(|other| other.experiment_id != row.experiment_id) {
                return Err(taken(format!("Experiment(name={name}) already exists.")));
            }
            let before = std::mem::replace(&mut row.name, name.clone());
            Ok(json!({ "name": { "before": before, "after": name } }))
        })
        .await
    }

    /// Deletes an experiment with its runs; they can be restored.
    ///
    /// # Errors
    /// `not-found`, also when it is deleted already.
    pub async fn delete_experiment(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        self.change_experiment(caller, id, "delete_experiment", |tx, scope, row, now| {
            if row.lifecycle == Lifecycle::Deleted {
                return Err(no_experiment(&row.experiment_id));
            }
            row.lifecycle = Lifecycle::Deleted;
            row.deleted_at = Some(now);
            run::update_lifecycle_of_experiment(tx, scope, &row.experiment_id, Some(now))?;
            Ok(json!({}))
        })
        .await
    }

    /// Restores a deleted experiment with its runs.
    ///
    /// # Errors
    /// `not-found`, also when it is not deleted.
    pub async fn restore_experiment(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        self.change_experiment(caller, id, "restore_experiment", |tx, scope, row, _| {
            if row.lifecycle == Lifecycle::Active {
                return Err(no_experiment(&row.experiment_id));
            }
            row.lifecycle = Lifecycle::Active;
            row.deleted_at = None;
            run::update_lifecycle_of_experiment(tx, scope, &row.experiment_id, None)?;
            Ok(json!({}))
        })
        .await
    }

    /// Sets a tag of an experiment.
    ///
    /// # Errors
    /// `not-found`; `invalid-input`, also for a deleted experiment.
    pub async fn set_experiment_tag(
        &self,
        caller: &Caller,
        id: &str,
        tag: Pair,
    ) -> Result<(), Error> {
        limits::experiment_tag(&tag)?;
        self.change_experiment(caller, id, "set_experiment_tag", move |tx, scope, row, _| {
            must_be_active(row)?;
            let before = pair::list_experiment_tags(tx, scope, &row.experiment_id)?;
            let others = before.iter().filter(|other| other.key != tag.key);
            limits::experiment_tags(others.chain([&tag]))?;
            pair::set_experiment_tag(tx, scope, &row.experiment_id, &tag)?;
            Ok(change::of_pairs(&before, std::slice::from_ref(&tag)).unwrap_or_default())
        })
        .await
    }

    /// Deletes a tag of an experiment.
    ///
    /// # Errors
    /// `not-found` for the experiment or the tag.
    pub async fn delete_experiment_tag(
        &self,
        caller: &Caller,
        id: &str,
        key: &str,
    ) -> Result<(), Error> {
        let key = key.to_owned();
        self.change_experiment(caller, id, "delete_experiment_tag", move |tx, scope, row, _| {
            must_be_active(row)?;
            let before = pair::list_experiment_tags(tx, scope, &row.experiment_id)?;
            if pair::delete_experiment_tag(tx, scope, &row.experiment_id, &key)? {
                let old = before.iter().find(|tag| tag.key == key).map(|tag| &tag.value);
                return Ok(json!({ &key: { "before": old.map(|text| change::shown(text)) } }));
            }
            let id = &row.experiment_id;
            Err(missing(format!("No tag with name: {key} in experiment with id {id}")))
        })
        .await
    }

    async fn change_experiment(
        &self,
        caller: &Caller,
        id: &str,
        name: &'static str,
        change: impl Fn(&mut Tx, &Scope, &mut ExperimentRow, Timestamp) -> Result<Value, Error>
        + Send
        + 'static,
    ) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::WriteTracking)?;
        if id == DEFAULT_ID {
            self.ensure_default_experiment(&scope).await?;
        }
        let (id, caller, now) = (id.to_owned(), caller.clone(), self.now());
        self.store()
            .write(name, move |tx| {
                let mut row = find(tx, &scope, &id)?;
                let change = change(tx, &scope, &mut row, now)?;
                row.updated_at = now;
                experiment::update(tx, &scope, &row)?;
                let note = Note { kind: "experiment", id: &id, verb: name, change };
                change::note(tx, &scope, (&caller, now), &note)?;
                Ok(())
            })
            .await
    }

    /// The `Default` experiment comes into being when somebody first looks for it.
    async fn ensure_default_experiment(&self, scope: &Scope) -> Result<(), Error> {
        let scope = *scope;
        let is_there = self
            .store()
            .read("find_default_experiment", move |tx| experiment::find(tx, &scope, DEFAULT_ID))
            .await?
            .is_some();
        if is_there {
            return Ok(());
        }
        let now = self.now();
        let base = self.blobs().base().to_owned();
        let made = self
            .store()
            .write("create_default_experiment", move |tx| ensure_default(tx, &scope, &base, now))
            .await;
        match made {
            // Why: somebody else made it in the meantime.
            Err(StoreError::Unique { .. }) => Ok(()),
            made => made.map_err(Error::from),
        }
    }
}

/// Why an experiment was not made: the store's word is needed to tell a lost race.
enum Create {
    Refused(Error),
    Store(StoreError),
}

impl From<StoreError> for Create {
    fn from(error: StoreError) -> Self {
        Create::Store(error)
    }
}

impl From<Create> for Error {
    fn from(error: Create) -> Self {
        match error {
            Create::Refused(error) => error,
            Create::Store(error) => error.into(),
        }
    }
}

fn insert_new(
    tx: &mut Tx,
    scope: &Scope,
    new: &NewExperiment,
    (root, base): (Option<&str>, &str),
    now: Timestamp,
) -> Result<String, Create> {
    ensure_default(tx, scope, base, now)?;
    if experiment::find_by_name(tx, scope, &new.name)?.is_some() {
        let said = format!("Experiment(name={}) already exists.", new.name);
        return Err(Create::Refused(taken(said)));
    }
    let id = experiment::next_id(tx)?;
    let row = ExperimentRow {
        artifact_location: root.map_or_else(|| location::experiment_root(base, &id), str::to_owned),
        experiment_id: id.clone(),
        name: new.name.clone(),
        lifecycle: Lifecycle::Active,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    experiment::insert(tx, scope, &row)?;
    for tag in &new.tags {
        pair::set_experiment_tag(tx, scope, &id, tag)?;
    }
    Ok(id)
}

pub(super) fn ensure_default(
    tx: &mut Tx,
    scope: &Scope,
    base: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    if experiment::find(tx, scope, DEFAULT_ID)?.is_some() {
        return Ok(());
    }
    let row = ExperimentRow {
        experiment_id: DEFAULT_ID.to_owned(),
        name: DEFAULT_NAME.to_owned(),
        artifact_location: location::experiment_root(base, DEFAULT_ID),
        lifecycle: Lifecycle::Active,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    experiment::insert(tx, scope, &row)
}

/// The experiment, if runs and models can be added to it; `base` is where new artifacts go.
pub(super) fn find_active(
    tx: &mut Tx,
    scope: &Scope,
    (id, base): (&str, &str),
    now: Timestamp,
) -> Result<ExperimentRow, Error> {
    if id == DEFAULT_ID {
        ensure_default(tx, scope, base, now)?;
    }
    let row = find(tx, scope, id)?;
    must_be_active(&row)?;
    Ok(row)
}

fn must_be_active(row: &ExperimentRow) -> Result<(), Error> {
    if row.lifecycle == Lifecycle::Active {
        return Ok(());
    }
    Err(invalid(format!(
        "The experiment {} must be in the 'active' state. Current state is {}.",
        row.experiment_id,
        row.lifecycle.as_str()
    )))
}

fn find(tx: &mut Tx, scope: &Scope, id: &str) -> Result<ExperimentRow, Error> {
    experiment::find(tx, scope, id)?.ok_or_else(|| no_experiment(id))
}

fn no_experiment(id: &str) -> Error {
    missing(format!("No Experiment with id={id} exists"))
}

fn view(tx: &mut Tx, scope: &Scope, row: ExperimentRow) -> Result<ExperimentView, StoreError> {
    let tags = pair::list_experiment_tags(tx, scope, &row.experiment_id)?;
    Ok(ExperimentView { row, tags })
}
