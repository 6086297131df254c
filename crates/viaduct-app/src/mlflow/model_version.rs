//! Versions of registered models: create, get, describe, move between stages, delete, search.

use serde_json::json;
use viaduct_base::{Error, Timestamp};
use viaduct_blob::BlobPath;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::mlflow::registry::{self, Tagged, VersionParts, VersionRow};
use viaduct_store::mlflow::search::{self, Search};
use viaduct_store::mlflow::{Pair, logged_model as models};
use viaduct_store::{Scope, StoreError, Tx};

use super::change::{self, Note};
use super::filter::{self, Subject};
use super::location::{self, Source};
use super::page::{Page, Query};
use super::webhook::{self, Happened};
use super::{invalid, limits, logged_model, missing, registered_model, run};
use crate::App;
use crate::audit::Deed;

/// MLflow's page of versions; its largest is 200,000, more than anybody lists.
const PAGE: usize = 10_000;
const PAGE_MAX: usize = 200_000;
const STAGES: [&str; 4] = ["None", "Staging", "Production", "Archived"];

/// A version with what hangs on it.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionView {
    /// The version.
    pub row: VersionRow,
    /// Its tags by key.
    pub tags: Vec<Pair>,
    /// Aliases that point at it.
    pub aliases: Vec<String>,
}

/// A version to make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewVersion {
    /// The registered model.
    pub name: String,
    /// Where its files are: a `runs:/`, `models:/` or `mlflow-artifacts:/` URI.
    pub source: String,
    /// The run that made it.
    pub run_id: Option<String>,
    /// A link to that run elsewhere.
    pub run_link: Option<String>,
    /// The logged model that it is.
    pub model_id: Option<String>,
    /// What it is, for people.
    pub description: Option<String>,
    /// Its tags.
    pub tags: Vec<Pair>,
}

/// A change of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionChange {
    /// Another description.
    Description(Option<String>),
    /// A tag set.
    SetTag(Pair),
    /// A tag deleted; one that is not there is no error, as in MLflow.
    DeleteTag(String),
    /// Another stage; with `archive_others`, whoever was there goes to the archive.
    Stage {
        /// The stage's name.
        stage: String,
        /// Whether other versions leave that stage.
        archive_others: bool,
    },
}

/// Where a version's files are and who made them.
struct Resolved {
    storage: BlobPath,
    run_id: Option<String>,
    model_id: Option<String>,
}

impl App {
    /// Registers a version of a model; its files are found now, once and for all.
    ///
    /// # Errors
    /// `not-found` for the model or what the source names; `invalid-input` for a source that is
    /// not of this server.
    pub async fn create_model_version(
        &self,
        caller: &Caller,
        new: NewVersion,
        own_host: Option<&str>,
    ) -> Result<VersionView, Error> {
        let scope = self.authorise(caller, Operation::WriteRegistry)?;
        limits::model_name(&new.name)?;
        new.description.as_deref().map_or(Ok(()), limits::description)?;
        new.tags.iter().try_for_each(limits::registry_tag)?;
        let source = location::source(&new.source, own_host)?;
        let (app, caller, now) = (self.told(), caller.clone(), self.now());
        let made = self
            .store()
            .write("create_model_version", move |tx| {
                registered_model::find(tx, &scope, &new.name)?;
                let resolved = resolve(tx, &scope, &source, &new)?;
                let version =
                    registry::take_version(tx, &scope, &new.name, now)?.ok_or_else(|| {
                        missing(format!("Registered Model with name={} not found", new.name))
                    })?;
                let row = version_row(&new, resolved, version, (caller.user_name(), now));
                registry::insert_version(tx, &scope, &row)?;
                for tag in &new.tags {
                    let tagged = Tagged::Version(&new.name, version);
                    registry::set_tag(tx, &scope, tagged, tag)?;
                }
                let detail = json!({
                    "source": row.source, "run_id": row.run_id, "model_id": row.model_id,
                });
                let seen = view(tx, &scope, row)?;
                // Why: a project may name this very version, or one that did not exist before.
                app.enqueue_bind_models(tx)?;
                webhook::announce(&app, tx, &scope, &Happened::version_created(&seen))?;
                app.enqueue_parity(tx, &new.name, version)?;
                app.record_version(tx, &caller, now, ("model_version.created", &seen.row), detail)?;
                Ok::<_, Error>(seen)
            })
            .await?;
        self.ring();
        Ok(made)
    }

    /// A version.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_model_version(
        &self,
        caller: &Caller,
        name: &str,
        version: &str,
    ) -> Result<VersionView, Error> {
        let scope = self.authorise(caller, Operation::ReadRegistry)?;
        limits::model_name(name)?;
        let (name, version) = (name.to_owned(), limits::version(version)?);
        self.store()
            .read("get_model_version", move |tx| {
                let row = find(tx, &scope, &name, version)?;
                view(tx, &scope, row).map_err(Error::from)
            })
            .await
    }

    /// Where a version's files can be downloaded from.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_model_version_download_uri(
        &self,
        caller: &Caller,
        name: &str,
        version: &str,
    ) -> Result<String, Error> {
        let seen = self.get_model_version(caller, name, version).await?;
        let path = location::stored_path(&seen.row.storage_path)?;
        Ok(location::uri(&path))
    }

    /// Changes a version.
    ///
    /// # Errors
    /// `not-found`; `invalid-input`.
    pub async fn change_model_version(
        &self,
        caller: &Caller,
        name: &str,
        version: &str,
        change: VersionChange,
    ) -> Result<VersionView, Error> {
        let scope = self.authorise(caller, Operation::WriteRegistry)?;
        limits::model_name(name)?;
        check_change(&change)?;
        let (name, version, now) = (name.to_owned(), limits::version(version)?, self.now());
        let (app, caller) = (self.told(), caller.clone());
        self.store()
            .write("change_model_version", move |tx| {
                let mut row = find(tx, &scope, &name, version)?;
                let before = view(tx, &scope, row.clone())?;
                let tagged = Tagged::Version(&name, version);
                row.updated_at = now;
                match &change {
                    VersionChange::Description(text) => row.description.clone_from(text),
                    VersionChange::SetTag(tag) => registry::set_tag(tx, &scope, tagged, tag)?,
                    VersionChange::DeleteTag(key) => {
                        registry::delete_tag(tx, &scope, tagged, key)?;
                    }
                    VersionChange::Stage { stage: wanted, archive_others } => {
                        let wanted = stage(wanted)?;
                        if *archive_others {
                            archive(tx, &scope, &row, (wanted, now))?;
                        }
                        wanted.clone_into(&mut row.current_stage);
                    }
                }
                registry::update_version(tx, &scope, &row)?;
                webhook::announce_tag(&app, tx, &scope, (&name, version), &change)?;
                let after = view(tx, &scope, row)?;
                let (verb, said) = said(&change, &before, &after);
                let said = json!({ "version": version, "change": said });
                let note = Note { kind: "model", id: &name, verb, change: said };
                change::note(tx, &scope, (&caller, now), &note)?;
                Ok(after)
            })
            .await
    }

    /// Deletes a version with the aliases that point at it; its number is never given again.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_model_version(
        &self,
        caller: &Caller,
        name: &str,
        version: &str,
    ) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::WriteRegistry)?;
        limits::model_name(name)?;
        let (name, version) = (name.to_owned(), limits::version(version)?);
        let (app, caller, now) = (self.clone(), caller.clone(), self.now());
        self.store()
            .write("delete_model_version", move |tx| {
                let row = find(tx, &scope, &name, version)?;
                let seen = view(tx, &scope, row)?;
                registry::delete_version(tx, &scope, (&name, version))?;
                app.enqueue_bind_models(tx)?;
                let detail = json!({ "aliases": seen.aliases, "source": seen.row.source });
                app.record_version(tx, &caller, now, ("model_version.deleted", &seen.row), detail)?;
                Ok::<_, Error>(())
            })
            .await?;
        self.ring();
        Ok(())
    }

    /// Versions that a filter finds, latest change first unless ordered otherwise.
    ///
    /// # Errors
    /// `invalid-input` for a filter or order that does not read.
    pub async fn search_model_versions(
        &self,
        caller: &Caller,
        query: Query,
    ) -> Result<Page<VersionView>, Error> {
        let scope = self.authorise(caller, Operation::ReadRegistry)?;
        let (filter, prompts) =
            filter::take_prompts(filter::parse(&query.filter, Subject::ModelVersions)?);
        let window = query.page.check_registry(PAGE, PAGE_MAX)?;
        let search = Search {
            filter,
            prompts,
            order: filter::parse_orders(&query.order_by, Subject::ModelVersions)?,
            ..window.search()
        };
        self.store()
            .read("search_model_versions", move |tx| {
                let page = window.of_found(search::versions(tx, &scope, &search)?);
                let items = views(tx, &scope, page.items)?;
                Ok(Page { items, next: page.next })
            })
            .await
    }

    fn record_version(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        now: Timestamp,
        (action, row): (&'static str, &VersionRow),
        detail: serde_json::Value,
    ) -> Result<(), StoreError> {
        let change = json!({ "version": row.version, "change": detail });
        let note = Note { kind: "model", id: &row.name, verb: action, change };
        change::note(tx, &Scope::of(caller.workspace), (caller, now), &note)?;
        let object_id = format!("{}/{}", row.name, row.version);
        let object_kind = "model_version";
        let deed = Deed { action, object_kind, object_id: &object_id, project: None, detail };
        self.record(tx, caller, now, &deed)
    }
}

fn version_row(
    new: &NewVersion,
    resolved: Resolved,
    version: i64,
    (user, now): (Option<&str>, Timestamp),
) -> VersionRow {
    VersionRow {
        name: new.name.clone(),
        version,
        description: new.description.clone(),
        user_name: user.unwrap_or_default().to_owned(),
        current_stage: "None".to_owned(),
        source: new.source.clone(),
        storage_path: resolved.storage.to_string(),
        run_id: resolved.run_id,
        run_link: new.run_link.clone(),
        model_id: resolved.model_id,
        status: "READY".to_owned(),
        status_message: None,
        created_at: now,
        updated_at: now,
    }
}

fn check_change(change: &VersionChange) -> Result<(), Error> {
    match change {
        VersionChange::Description(text) => text.as_deref().map_or(Ok(()), limits::description),
        VersionChange::SetTag(tag) => limits::registry_tag(tag),
        VersionChange::DeleteTag(_) => Ok(()),
        VersionChange::Stage { stage: name, archive_others } => {
            let is_active = matches!(stage(name)?, "Staging" | "Production");
            if *archive_others && !is_active {
                return Err(invalid(format!(
                    "Model version transition cannot archive existing model versions because \
                     '{name}' is not an Active stage. Valid stages are ['Staging', 'Production']"
                )));
            }
            Ok(())
        }
    }
}

/// What a change did, for whoever reads the history.
fn said(
    change: &VersionChange,
    before: &VersionView,
    after: &VersionView,
) -> (&'static str, serde_json::Value) {
    let both = |old: Option<&str>, new: Option<&str>| json!({ "before": old.map(change::shown), "after": new.map(change::shown) });
    let tag = |view: &VersionView, key: &str| {
        view.tags.iter().find(|tag| tag.key == key).map(|tag| change::shown(&tag.value))
    };
    match change {
        VersionChange::Description(_) => (
            "model_version.described",
            both(before.row.description.as_deref(), after.row.description.as_deref()),
        ),
        VersionChange::Stage { .. } => (
            "model_version.moved",
            both(Some(&before.row.current_stage), Some(&after.row.current_stage)),
        ),
        VersionChange::SetTag(Pair { key, .. }) | VersionChange::DeleteTag(key) => (
            "model_version.tagged",
            json!({ key: { "before": tag(before, key), "after": tag(after, key) } }),
        ),
    }
}

/// Everybody else in that stage goes to the archive.
fn archive(
    tx: &mut Tx,
    scope: &Scope,
    newcomer: &VersionRow,
    (stage, now): (&str, Timestamp),
) -> Result<(), StoreError> {
    for mut other in registry::list_versions(tx, scope, &newcomer.name)? {
        if other.version != newcomer.version && other.current_stage == stage {
            other.current_stage = "Archived".to_owned();
            other.updated_at = now;
            registry::update_version(tx, scope, &other)?;
        }
    }
    Ok(())
}

/// A stage as MLflow spells it.
pub(super) fn stage(text: &str) -> Result<&'static str, Error> {
    STAGES.into_iter().find(|stage| stage.eq_ignore_ascii_case(text)).ok_or_else(|| {
        invalid(format!(
            "Invalid Model Version stage: {text}. Value must be one of {}.",
            STAGES.join(", ")
        ))
    })
}

/// Finds the files that a source names, and the run and model behind them.
fn resolve(
    tx: &mut Tx,
    scope: &Scope,
    source: &Source,
    new: &NewVersion,
) -> Result<Resolved, Error> {
    let mut resolved = match source {
        Source::Artifacts(path) => Resolved { storage: path.clone(), run_id: None, model_id: None },
        Source::Run { run_id, path } => of_run(tx, scope, run_id, path)?,
        Source::LoggedModel(id) => {
            let model = logged_model::find(tx, scope, id)?;
            let storage = location::stored(&model.artifact_uri)?;
            Resolved { storage, run_id: model.source_run_id, model_id: Some(model.model_id) }
        }
        Source::Version(text) => of_version(tx, scope, text)?,
    };
    if let Some(id) = new.model_id.as_ref().filter(|id| !id.is_empty()) {
        let model = logged_model::find(tx, scope, id)?;
        resolved.model_id = Some(model.model_id);
        resolved.run_id = resolved.run_id.or(model.source_run_id);
    }
    if let Some(id) = new.run_id.as_ref().filter(|id| !id.is_empty()) {
        let other = resolved.run_id.as_ref().filter(|other| *other != id);
        if let (Source::Run { .. }, Some(other)) = (source, other) {
            return Err(invalid(format!(
                "Invalid model version source: '{}'. It is of run `{other}`, and `run_id` says \
                 `{id}`.",
                new.source
            )));
        }
        // Why no refusal of an unknown id: MLflow takes a run of another server.
        resolved.run_id = Some(id.clone());
    }
    Ok(resolved)
}

/// `runs:/<run>/<name>`: a logged model of that name (MLflow 3), else the run's own folder.
fn of_run(tx: &mut Tx, scope: &Scope, run_id: &str, path: &str) -> Result<Resolved, Error> {
    let row = run::find(tx, scope, run_id)?;
    let logged = models::list_by_run(tx, scope, run_id)?;
    let made = logged.into_iter().find(|model| model.name == path);
    if let Some(model) = made {
        let storage = location::stored(&model.artifact_uri)?;
        return Ok(Resolved { storage, run_id: Some(row.run_id), model_id: Some(model.model_id) });
    }
    let root = location::stored(&row.artifact_uri)?;
    let storage = match path.trim_end_matches('/') {
        "" => root,
        path => root.join(path).map_err(|e| invalid(e.to_string()))?,
    };
    Ok(Resolved { storage, run_id: Some(row.run_id), model_id: None })
}

/// `models:/<name>/<version>` or `models:/<name>@<alias>`: the same files again.
fn of_version(tx: &mut Tx, scope: &Scope, text: &str) -> Result<Resolved, Error> {
    let refuse = || {
        invalid(format!(
            "Invalid model version source: 'models:/{text}'. Use `models:/<name>/<version>` or \
             `models:/<name>@<alias>`."
        ))
    };
    let (name, version) = match (text.rsplit_once('@'), text.rsplit_once('/')) {
        (Some((name, alias)), _) => {
            let aliases = registry::list_aliases(tx, scope, name)?;
            let row = aliases.into_iter().find(|a| a.alias == alias);
            (name, row.map(|a| a.version).ok_or_else(refuse)?)
        }
        (None, Some((name, version))) => (name, version.parse().map_err(|_| refuse())?),
        (None, None) => return Err(refuse()),
    };
    let row = find(tx, scope, name, version)?;
    let storage = location::stored_path(&row.storage_path)?;
    Ok(Resolved { storage, run_id: row.run_id, model_id: row.model_id })
}

pub(super) fn find(
    tx: &mut Tx,
    scope: &Scope,
    name: &str,
    version: i64,
) -> Result<VersionRow, Error> {
    registry::find_version(tx, scope, (name, version))?
        .ok_or_else(|| missing(format!("Model Version (name={name}, version={version}) not found")))
}

pub(super) fn view(tx: &mut Tx, scope: &Scope, row: VersionRow) -> Result<VersionView, StoreError> {
    let mut parts = registry::of_versions(tx, scope, std::slice::from_ref(&row))?;
    Ok(seen((row, parts.pop().unwrap_or_default())))
}

pub(super) fn views(
    tx: &mut Tx,
    scope: &Scope,
    rows: Vec<VersionRow>,
) -> Result<Vec<VersionView>, StoreError> {
    let parts = registry::of_versions(tx, scope, &rows)?;
    Ok(rows.into_iter().zip(parts).map(seen).collect())
}

fn seen((row, parts): (VersionRow, VersionParts)) -> VersionView {
    VersionView { row, tags: parts.tags, aliases: parts.aliases }
}
