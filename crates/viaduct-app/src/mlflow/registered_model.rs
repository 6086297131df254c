//! Registered models: create, get, search, describe, rename, delete, tags.

use serde_json::json;
use viaduct_base::Error;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::mlflow::Pair;
use viaduct_store::mlflow::change as rows;
use viaduct_store::mlflow::registry::{self, AliasRow, ModelParts, ModelRow, Tagged, VersionRow};
use viaduct_store::mlflow::search::{self, Search};
use viaduct_store::{Scope, StoreError, Tx};

use super::change::{self, Note};
use super::filter::{self, Subject};
use super::model_version::{self, VersionView};
use super::page::{Page, Query};
use super::webhook::{self, Happened};
use super::{invalid, limits, missing, taken};
use crate::App;
use crate::audit::Deed;

/// MLflow's page of registered models, and its largest.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;
/// The job that finds out anew which versions the endpoints serve.
pub(super) const BIND_MODELS: &str = "bind_models";

/// A registered model with what hangs on it.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisteredModelView {
    /// The model.
    pub row: ModelRow,
    /// Its tags by key.
    pub tags: Vec<Pair>,
    /// Its aliases by name.
    pub aliases: Vec<AliasRow>,
    /// The latest version of each stage.
    pub latest_versions: Vec<VersionView>,
}

impl App {
    /// Makes a registered model.
    ///
    /// # Errors
    /// `already-exists`; `invalid-input`.
    pub async fn create_registered_model(
        &self,
        caller: &Caller,
        name: &str,
        description: Option<String>,
        tags: Vec<Pair>,
    ) -> Result<RegisteredModelView, Error> {
        let scope = self.authorise(caller, Operation::WriteRegistry)?;
        limits::model_name(name)?;
        description.as_deref().map_or(Ok(()), limits::description)?;
        tags.iter().try_for_each(limits::registry_tag)?;
        let (app, caller, name, now) = (self.told(), caller.clone(), name.to_owned(), self.now());
        self.store()
            .write("create_registered_model", move |tx| {
                if registry::find_model(tx, &scope, &name)?.is_some() {
                    return Err(taken(format!("Registered Model (name={name}) already exists.")));
                }
                let row = ModelRow {
                    name: name.clone(),
                    description: description.clone(),
                    created_at: now,
                    updated_at: now,
                    next_version: 1,
                };
                registry::insert_model(tx, &scope, &row)?;
                for tag in &tags {
                    registry::set_tag(tx, &scope, Tagged::Model(&name), tag)?;
                }
                let seen = view(tx, &scope, row)?;
                let change = json!({ "description": description.as_deref().map(change::shown) });
                let note = Note { kind: "model", id: &name, verb: "created", change };
                change::note(tx, &scope, (&caller, now), &note)?;
                let told = Happened::model_created(&name, description.as_deref());
                webhook::announce(&app, tx, &scope, &told)?;
                app.record(tx, &caller, now, &deed("registered_model.created", &name, json!({})))?;
                Ok(seen)
            })
            .await
    }

    /// The registered model of that name.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_registered_model(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<RegisteredModelView, Error> {
        let scope = self.authorise(caller, Operation::ReadRegistry)?;
        let name = name.to_owned();
        self.store()
            .read("get_registered_model", move |tx| {
                let row = find(tx, &scope, &name)?;
                view(tx, &scope, row)
            })
            .await
    }

    /// Registered models that a filter finds, by name unless ordered otherwise.
    ///
    /// # Errors
    /// `invalid-input` for a filter or order that does not read.
    pub async fn search_registered_models(
        &self,
        caller: &Caller,
        query: Query,
    ) -> Result<Page<RegisteredModelView>, Error> {
        let scope = self.authorise(caller, Operation::ReadRegistry)?;
        let (filter, prompts) =
            filter::take_prompts(filter::parse(&query.filter, Subject::RegisteredModels)?);
        let window = query.page.check_registry(PAGE, PAGE_MAX)?;
        let search = Search {
            filter,
            prompts,
            order: filter::parse_orders(&query.order_by, Subject::RegisteredModels)?,
            ..window.search()
        };
        self.store()
            .read("search_registered_models", move |tx| {
                let page = window.of_found(search::registered_models(tx, &scope, &search)?);
                let items = views(tx, &scope, page.items)?;
                Ok(Page { items, next: page.next })
            })
            .await
    }

    /// Describes a registered model.
    ///
    /// # Errors
    /// `not-found`; `invalid-input`.
    pub async fn update_registered_model(
        &self,
        caller: &Caller,
        name: &str,
        description: Option<String>,
    ) -> Result<RegisteredModelView, Error> {
        description.as_deref().map_or(Ok(()), limits::description)?;
        self.change_model(caller, name, "update_registered_model", move |_, _, row| {
            row.description.clone_from(&description);
            Ok(())
        })
        .await
    }

    /// Sets a tag of a registered model.
    ///
    /// # Errors
    /// `not-found`; `invalid-input`.
    pub async fn set_registered_model_tag(
        &self,
        caller: &Caller,
        name: &str,
        tag: Pair,
    ) -> Result<(), Error> {
        limits::registry_tag(&tag)?;
        let app = self.told();
        let set =
            self.change_model(caller, name, "set_registered_model_tag", move |tx, scope, row| {
                registry::set_tag(tx, scope, Tagged::Model(&row.name), &tag)?;
                let told = Happened::model_tag(&row.name, &tag.key, Some(&tag.value));
                webhook::announce(&app, tx, scope, &told)
            });
        set.await.map(|_| ())
    }

    /// Deletes a tag of a registered model; one that is not there is no error, as in MLflow.
    ///
    /// # Errors
    /// `not-found` for the model.
    pub async fn delete_registered_model_tag(
        &self,
        caller: &Caller,
        name: &str,
        key: &str,
    ) -> Result<(), Error> {
        let (key, verb) = (key.to_owned(), "delete_registered_model_tag");
        let app = self.told();
        let deleted = self.change_model(caller, name, verb, move |tx, scope, row| {
            registry::delete_tag(tx, scope, Tagged::Model(&row.name), &key)?;
            webhook::announce(&app, tx, scope, &Happened::model_tag(&row.name, &key, None))
        });
        deleted.await.map(|_| ())
    }

    async fn change_model(
        &self,
        caller: &Caller,
        name: &str,
        verb: &'static str,
        change: impl Fn(&mut Tx, &Scope, &mut ModelRow) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<RegisteredModelView, Error> {
        let scope = self.authorise(caller, Operation::WriteRegistry)?;
        let (name, caller, now) = (name.to_owned(), caller.clone(), self.now());
        self.store()
            .write(verb, move |tx| {
                let mut row = find(tx, &scope, &name)?;
                let before = row.description.clone();
                let tags = registry::list_tags(tx, &scope, Tagged::Model(&name))?;
                row.updated_at = now;
                change(tx, &scope, &mut row)?;
                registry::update_model(tx, &scope, &row)?;
                let after = registry::list_tags(tx, &scope, Tagged::Model(&name))?;
                let gone = tags.iter().filter(|tag| after.iter().all(|new| new.key != tag.key));
                let change = json!({
                    "description": (before != row.description).then(|| json!({
                        "before": before.as_deref().map(change::shown),
                        "after": row.description.as_deref().map(change::shown),
                    })),
                    "tags": change::of_pairs(&tags, &after),
                    "tags_deleted": gone.map(|tag| &tag.key).collect::<Vec<_>>(),
                });
                let note = Note { kind: "model", id: &name, verb, change };
                change::note(tx, &scope, (&caller, now), &note)?;
                view(tx, &scope, row)
            })
            .await
    }

    /// Gives a registered model another name, with all its versions and aliases.
    ///
    /// # Errors
    /// `not-found`; `already-exists`; `invalid-input`.
    pub async fn rename_registered_model(
        &self,
        caller: &Caller,
        name: &str,
        new_name: &str,
    ) -> Result<RegisteredModelView, Error> {
        let scope = self.authorise(caller, Operation::WriteRegistry)?;
        if new_name.trim().is_empty() {
            return Err(invalid("Missing value for required parameter 'new_name'."));
        }
        limits::model_name(new_name)?;
        let (app, caller, now) = (self.clone(), caller.clone(), self.now());
        let (name, new_name) = (name.to_owned(), new_name.to_owned());
        let renamed = self
            .store()
            .write("rename_registered_model", move |tx| {
                let mut row = find(tx, &scope, &name)?;
                if new_name != name && registry::find_model(tx, &scope, &new_name)?.is_some() {
                    let said = format!("Registered Model (name={new_name}) already exists.");
                    return Err(taken(said));
                }
                registry::rename_model(tx, &scope, (&name, &new_name), now)?;
                let (old, new) = (format!("model:{name}"), format!("model:{new_name}"));
                rows::rename(tx, &scope, (&old, &new))?;
                let change = json!({ "before": name, "after": new_name });
                let note = Note { kind: "model", id: &new_name, verb: "renamed", change };
                change::note(tx, &scope, (&caller, now), &note)?;
                row.name.clone_from(&new_name);
                row.updated_at = now;
                let seen = view(tx, &scope, row)?;
                let detail = json!({ "from": name, "to": new_name });
                app.enqueue_bind_models(tx)?;
                app.record(tx, &caller, now, &deed("registered_model.renamed", &new_name, detail))?;
                Ok::<_, Error>(seen)
            })
            .await?;
        self.ring();
        Ok(renamed)
    }

    /// Deletes a registered model with its versions, aliases and tags.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_registered_model(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::WriteRegistry)?;
        let (app, caller, name, now) = (self.clone(), caller.clone(), name.to_owned(), self.now());
        self.store()
            .write("delete_registered_model", move |tx| {
                find(tx, &scope, &name)?;
                let versions = registry::list_versions(tx, &scope, &name)?;
                registry::delete_model(tx, &scope, &name)?;
                let numbers: Vec<i64> = versions.iter().map(|v| v.version).collect();
                app.enqueue_bind_models(tx)?;
                let detail = json!({ "versions": numbers });
                let note =
                    Note { kind: "model", id: &name, verb: "deleted", change: detail.clone() };
                change::note(tx, &scope, (&caller, now), &note)?;
                app.record(tx, &caller, now, &deed("registered_model.deleted", &name, detail))?;
                Ok::<_, Error>(())
            })
            .await?;
        self.ring();
        Ok(())
    }

    /// The latest version of each stage, or of those stages.
    ///
    /// # Errors
    /// `not-found`; `invalid-input` for an unknown stage.
    pub async fn get_latest_versions(
        &self,
        caller: &Caller,
        name: &str,
        stages: &[String],
    ) -> Result<Vec<VersionView>, Error> {
        let stages: Vec<&str> =
            stages.iter().map(|stage| model_version::stage(stage)).collect::<Result<_, _>>()?;
        let mut latest = self.get_registered_model(caller, name).await?.latest_versions;
        latest.retain(|v| stages.is_empty() || stages.contains(&v.row.current_stage.as_str()));
        Ok(latest)
    }

    /// Writes the job that finds out which versions the endpoints serve now.
    pub(super) fn enqueue_bind_models(&self, tx: &mut Tx) -> Result<(), StoreError> {
        self.enqueue(tx, BIND_MODELS, &json!({}), BIND_MODELS).map(|_| ())
    }
}

fn deed<'a>(action: &'static str, name: &'a str, detail: serde_json::Value) -> Deed<'a> {
    Deed { action, object_kind: "registered_model", object_id: name, project: None, detail }
}

pub(super) fn find(tx: &mut Tx, scope: &Scope, name: &str) -> Result<ModelRow, Error> {
    limits::model_name(name)?;
    registry::find_model(tx, scope, name)?
        .ok_or_else(|| missing(format!("Registered Model with name={name} not found")))
}

fn view(tx: &mut Tx, scope: &Scope, row: ModelRow) -> Result<RegisteredModelView, Error> {
    let name = row.name.clone();
    views(tx, scope, vec![row])?
        .pop()
        .ok_or_else(|| missing(format!("Registered Model with name={name} not found")))
}

fn views(
    tx: &mut Tx,
    scope: &Scope,
    rows: Vec<ModelRow>,
) -> Result<Vec<RegisteredModelView>, StoreError> {
    let parts = registry::of_models(tx, scope, &rows)?;
    let latest: Vec<VersionRow> = parts.iter().flat_map(|parts| parts.latest.clone()).collect();
    let mut latest = model_version::views(tx, scope, latest)?.into_iter();
    let view = |(row, parts): (ModelRow, ModelParts)| RegisteredModelView {
        row,
        tags: parts.tags,
        aliases: parts.aliases,
        latest_versions: latest.by_ref().take(parts.latest.len()).collect(),
    };
    Ok(rows.into_iter().zip(parts).map(view).collect())
}
