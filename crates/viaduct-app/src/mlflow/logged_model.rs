//! Logged models (MLflow 3): create, get, finish, search, delete, params, tags.

use serde_json::{Value, json};
use viaduct_base::{Error, Timestamp};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::mlflow::Pair;
use viaduct_store::mlflow::logged_model::{self as models, LoggedModelRow, PairKind};
use viaduct_store::mlflow::model_metric::{self, ModelMetricRow};
use viaduct_store::mlflow::search::{self, Order, Search};
use viaduct_store::{Scope, StoreError, Tx};

use super::change::{self, Note};
use super::filter::{self, Subject};
use super::page::{Page, PageRequest};
use super::{experiment, invalid, limits, location, missing, run};
use crate::App;

/// MLflow's page of logged models, and its largest.
const PAGE: usize = 50;
const PAGE_MAX: usize = 100;
const STATUSES: [&str; 3] =
    ["LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"];

/// A logged model with its params and tags.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedModelView {
    /// The model.
    pub row: LoggedModelRow,
    /// Params by key.
    pub params: Vec<Pair>,
    /// Tags by key.
    pub tags: Vec<Pair>,
    /// What runs measured of it.
    pub metrics: Vec<ModelMetricRow>,
}

/// A logged model to make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewLoggedModel {
    /// Its experiment.
    pub experiment_id: String,
    /// Its name; made up when absent.
    pub name: Option<String>,
    /// What kind of model.
    pub model_type: Option<String>,
    /// The run that makes it.
    pub source_run_id: Option<String>,
    /// Its params.
    pub params: Vec<Pair>,
    /// Its tags.
    pub tags: Vec<Pair>,
}

/// One step of an order as this search says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderBy {
    /// The field.
    pub field: String,
    /// From the least up.
    pub ascending: bool,
    /// For a metric: measured on this dataset, by name and digest.
    pub dataset: Option<(String, Option<String>)>,
}

/// A search of logged models.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoggedModelQuery {
    /// In these experiments.
    pub experiment_ids: Vec<String>,
    /// What has to hold; empty for all.
    pub filter: String,
    /// With metrics on one of these datasets, by name and digest.
    pub datasets: Vec<(String, Option<String>)>,
    /// First by these.
    pub order_by: Vec<OrderBy>,
    /// Which page.
    pub page: PageRequest,
}

impl App {
    /// Makes a logged model whose files are still to come.
    ///
    /// # Errors
    /// `not-found` for the experiment; `invalid-input`.
    pub async fn create_logged_model(
        &self,
        caller: &Caller,
        new: NewLoggedModel,
    ) -> Result<LoggedModelView, Error> {
        let scope = self.authorise(caller, Operation::WriteTracking)?;
        let model_id = format!("m-{}", uuid::Uuid::now_v7().simple());
        let name = match &new.name {
            Some(name) => {
                limits::logged_model_name(name)?;
                name.clone()
            }
            None => run::random_name(&model_id),
        };
        let params: Vec<Pair> = new.params.iter().map(limits::param).collect::<Result<_, _>>()?;
        new.tags.iter().try_for_each(limits::registry_tag)?;
        let (caller, now) = (caller.clone(), self.now());
        let base = self.blobs().base().to_owned();
        self.store()
            .write("create_logged_model", move |tx| {
                let experiment =
                    experiment::find_active(tx, &scope, (&new.experiment_id, &base), now)?;
                let row = LoggedModelRow {
                    model_id: model_id.clone(),
                    name: name.clone(),
                    artifact_uri: location::model_root(&experiment.artifact_location, &model_id),
                    experiment_id: experiment.experiment_id,
                    status: "LOGGED_MODEL_PENDING".to_owned(),
                    status_message: None,
                    model_type: new.model_type.clone(),
                    source_run_id: new.source_run_id.clone(),
                    created_at: now,
                    updated_at: now,
                    deleted_at: None,
                };
                models::insert(tx, &scope, &row)?;
                for param in &params {
                    models::set_pair(tx, &scope, (&model_id, PairKind::Param), param)?;
                }
                for tag in &new.tags {
                    models::set_pair(tx, &scope, (&model_id, PairKind::Tag), tag)?;
                }
                let change = json!({ "name": row.name, "source_run_id": row.source_run_id });
                let note = Note { kind: "logged_model", id: &model_id, verb: "created", change };
                change::note(tx, &scope, (&caller, now), &note)?;
                view(tx, &scope, row)
            })
            .await
    }

    /// The logged model with that id.
    ///
    /// # Errors
    /// `not-found`, a deleted one included.
    pub async fn get_logged_model(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<LoggedModelView, Error> {
        let scope = self.authorise(caller, Operation::ReadTracking)?;
        let id = id.to_owned();
        self.store()
            .read("get_logged_model", move |tx| {
                let row = find(tx, &scope, &id)?;
                view(tx, &scope, row)
            })
            .await
    }

    /// Says how the upload of a logged model's files ended.
    ///
    /// # Errors
    /// `not-found`; `invalid-input` for an unknown status.
    pub async fn finalize_logged_model(
        &self,
        caller: &Caller,
        id: &str,
        status: &str,
    ) -> Result<LoggedModelView, Error> {
        if !STATUSES.contains(&status) {
            let known = STATUSES.join(", ");
            return Err(invalid(format!("Invalid model status: '{status}'. Expected {known}.")));
        }
        let status = status.to_owned();
        self.change_logged_model(caller, id, "finalize_logged_model", move |_, _, row, _| {
            let before = std::mem::replace(&mut row.status, status.clone());
            Ok(json!({ "status": { "before": before, "after": status } }))
        })
        .await
    }

    /// Deletes a logged model; its files stay until they are collected.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_logged_model(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        let deleted = |_: &mut Tx, _: &Scope, row: &mut LoggedModelRow, now: Timestamp| {
            row.deleted_at = Some(now);
            Ok(json!({}))
        };
        self.change_logged_model(caller, id, "delete_logged_model", deleted).await.map(|_| ())
    }

    /// Sets tags of a logged model.
    ///
    /// # Errors
    /// `not-found`; `invalid-input`.
    pub async fn set_logged_model_tags(
        &self,
        caller: &Caller,
        id: &str,
        tags: Vec<Pair>,
    ) -> Result<LoggedModelView, Error> {
        tags.iter().try_for_each(limits::registry_tag)?;
        self.change_logged_model(caller, id, "set_logged_model_tags", move |tx, scope, row, _| {
            let owner = (row.model_id.as_str(), PairKind::Tag);
            let before = models::list_pairs(tx, scope, owner)?;
            for tag in &tags {
                models::set_pair(tx, scope, owner, tag)?;
            }
            Ok(json!({ "tags": change::of_pairs(&before, &tags) }))
        })
        .await
    }

    /// Deletes a tag of a logged model.
    ///
    /// # Errors
    /// `not-found` for the model or the tag.
    pub async fn delete_logged_model_tag(
        &self,
        caller: &Caller,
        id: &str,
        key: &str,
    ) -> Result<(), Error> {
        let key = key.to_owned();
        let name = "delete_logged_model_tag";
        let changed = self.change_logged_model(caller, id, name, move |tx, scope, row, _| {
            let owner = (row.model_id.as_str(), PairKind::Tag);
            let before = models::list_pairs(tx, scope, owner)?;
            if models::delete_pair(tx, scope, owner, &key)? {
                let old = before.iter().find(|tag| tag.key == key).map(|tag| &tag.value);
                return Ok(json!({ &key: { "before": old.map(|text| change::shown(text)) } }));
            }
            let id = &row.model_id;
            Err(missing(format!("No tag with key '{key}' found for model with ID '{id}'.")))
        });
        changed.await.map(|_| ())
    }

    /// Adds params to a logged model; one that has another value already is refused.
    ///
    /// # Errors
    /// `not-found`; `invalid-input`.
    pub async fn log_logged_model_params(
        &self,
        caller: &Caller,
        id: &str,
        params: Vec<Pair>,
    ) -> Result<(), Error> {
        let params: Vec<Pair> = params.iter().map(limits::param).collect::<Result<_, _>>()?;
        let name = "log_logged_model_params";
        let changed = self.change_logged_model(caller, id, name, move |tx, scope, row, _| {
            let owner = (row.model_id.as_str(), PairKind::Param);
            let logged = models::list_pairs(tx, scope, owner)?;
            for param in &params {
                match logged.iter().find(|old| old.key == param.key) {
                    Some(old) if old.value != param.value => {
                        return Err(invalid(format!(
                            "Changing param values is not allowed. Param with key='{}' was \
                             already logged with value='{}' for model ID='{}'.",
                            old.key, old.value, row.model_id
                        )));
                    }
                    Some(_) => {}
                    None => models::set_pair(tx, scope, owner, param)?,
                }
            }
            Ok(json!({ "params": change::of_pairs(&logged, &params) }))
        });
        changed.await.map(|_| ())
    }

    /// Logged models of some experiments that a filter finds, newest first unless ordered.
    ///
    /// # Errors
    /// `invalid-input` for a filter or order that does not read.
    pub async fn search_logged_models(
        &self,
        caller: &Caller,
        wanted: LoggedModelQuery,
    ) -> Result<Page<LoggedModelView>, Error> {
        let scope = self.authorise(caller, Operation::ReadTracking)?;
        if wanted.datasets.iter().any(|(name, _)| name.is_empty()) {
            return Err(invalid("`dataset_name` in the `datasets` clause must be specified."));
        }
        let order = wanted.order_by.iter().map(order_of).collect::<Result<_, Error>>()?;
        let window = wanted.page.check(PAGE, PAGE_MAX)?;
        let search = Search {
            experiment_ids: wanted.experiment_ids,
            filter: filter::parse(&wanted.filter, Subject::LoggedModels)?,
            datasets: wanted.datasets,
            order,
            ..window.search()
        };
        self.store()
            .read("search_logged_models", move |tx| {
                let page = window.of_found(search::logged_models(tx, &scope, &search)?);
                let items = views(tx, &scope, page.items)?;
                Ok(Page { items, next: page.next })
            })
            .await
    }

    async fn change_logged_model(
        &self,
        caller: &Caller,
        id: &str,
        name: &'static str,
        change: impl Fn(&mut Tx, &Scope, &mut LoggedModelRow, Timestamp) -> Result<Value, Error>
        + Send
        + 'static,
    ) -> Result<LoggedModelView, Error> {
        let scope = self.authorise(caller, Operation::WriteTracking)?;
        let (id, caller, now) = (id.to_owned(), caller.clone(), self.now());
        self.store()
            .write(name, move |tx| {
                let mut row = find(tx, &scope, &id)?;
                let change = change(tx, &scope, &mut row, now)?;
                row.updated_at = now;
                models::update(tx, &scope, &row)?;
                let note = Note { kind: "logged_model", id: &id, verb: name, change };
                change::note(tx, &scope, (&caller, now), &note)?;
                view(tx, &scope, row)
            })
            .await
    }
}

pub(super) fn not_found(id: &str) -> Error {
    missing(format!("Logged model with ID '{id}' not found."))
}

pub(super) fn find(tx: &mut Tx, scope: &Scope, id: &str) -> Result<LoggedModelRow, Error> {
    models::find(tx, scope, id)?.ok_or_else(|| not_found(id))
}

fn order_of(step: &OrderBy) -> Result<Order, Error> {
    let mut order = filter::parse_order(&step.field, Subject::LoggedModels)?;
    order.descending = !step.ascending;
    order.dataset = step.dataset.clone();
    Ok(order)
}

fn view(tx: &mut Tx, scope: &Scope, row: LoggedModelRow) -> Result<LoggedModelView, Error> {
    let id = row.model_id.clone();
    views(tx, scope, vec![row])?.pop().ok_or_else(|| not_found(&id))
}

fn views(
    tx: &mut Tx,
    scope: &Scope,
    rows: Vec<LoggedModelRow>,
) -> Result<Vec<LoggedModelView>, StoreError> {
    let ids: Vec<String> = rows.iter().map(|row| row.model_id.clone()).collect();
    let params = models::pairs_of_models(tx, scope, PairKind::Param, &ids)?;
    let tags = models::pairs_of_models(tx, scope, PairKind::Tag, &ids)?;
    let metrics = model_metric::of_models(tx, scope, &ids)?;
    let parts = params.into_iter().zip(tags).zip(metrics);
    let view = |(row, ((params, tags), metrics))| LoggedModelView { row, params, tags, metrics };
    Ok(rows.into_iter().zip(parts).map(view).collect())
}
