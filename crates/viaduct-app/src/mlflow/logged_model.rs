//! Logged models (MLflow 3): create, get, finish, search, delete, params, tags.

use viaduct_base::{Error, Timestamp};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::mlflow::Pair;
use viaduct_store::mlflow::logged_model::{self as models, LoggedModelRow, PairKind};
use viaduct_store::mlflow::search::Field;
use viaduct_store::{Scope, StoreError, Tx};

use super::filter::{self, Found, Subject};
use super::page::{Page, PageRequest};
use super::{experiment, invalid, limits, location, missing, run};
use crate::App;

/// MLflow's page of logged models, and its largest.
const PAGE: usize = 50;
const PAGE_MAX: usize = 100;
const STATUS: &str = "LOGGED_MODEL_";
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
        let now = self.now();
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
                view(tx, &scope, row).map_err(Error::from)
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
                view(tx, &scope, row).map_err(Error::from)
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
            row.status.clone_from(&status);
            Ok(())
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
            Ok(())
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
            for tag in &tags {
                models::set_pair(tx, scope, (&row.model_id, PairKind::Tag), tag)?;
            }
            Ok(())
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
            if models::delete_pair(tx, scope, (&row.model_id, PairKind::Tag), &key)? {
                return Ok(());
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
            Ok(())
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
        experiment_ids: Vec<String>,
        (filter, orders): (&str, &[OrderBy]),
        page: &PageRequest,
    ) -> Result<Page<LoggedModelView>, Error> {
        let scope = self.authorise(caller, Operation::ReadTracking)?;
        let comparisons = filter::parse(filter, Subject::LoggedModels)?;
        let orders = orders
            .iter()
            .map(|step| {
                let mut order = filter::parse_order(&step.field, Subject::LoggedModels)?;
                order.descending = !step.ascending;
                Ok(order)
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let window = page.check(PAGE, PAGE_MAX)?;
        self.store()
            .read("search_logged_models", move |tx| {
                let mut found = Vec::new();
                for experiment_id in &experiment_ids {
                    for row in models::list(tx, &scope, experiment_id)? {
                        let seen = view(tx, &scope, row)?;
                        if filter::holds(&comparisons, |field| field_of(&seen, field)) {
                            found.push(seen);
                        }
                    }
                }
                found.sort_by_key(|seen| std::cmp::Reverse(seen.row.created_at));
                filter::sort_by_orders(&mut found, &orders, field_of);
                Ok(window.of(found))
            })
            .await
    }

    async fn change_logged_model(
        &self,
        caller: &Caller,
        id: &str,
        name: &'static str,
        change: impl Fn(&mut Tx, &Scope, &mut LoggedModelRow, Timestamp) -> Result<(), Error>
        + Send
        + 'static,
    ) -> Result<LoggedModelView, Error> {
        let scope = self.authorise(caller, Operation::WriteTracking)?;
        let (id, now) = (id.to_owned(), self.now());
        self.store()
            .write(name, move |tx| {
                let mut row = find(tx, &scope, &id)?;
                change(tx, &scope, &mut row, now)?;
                row.updated_at = now;
                models::update(tx, &scope, &row)?;
                view(tx, &scope, row).map_err(Error::from)
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

fn view(tx: &mut Tx, scope: &Scope, row: LoggedModelRow) -> Result<LoggedModelView, StoreError> {
    let params = models::list_pairs(tx, scope, (&row.model_id, PairKind::Param))?;
    let tags = models::list_pairs(tx, scope, (&row.model_id, PairKind::Tag))?;
    Ok(LoggedModelView { row, params, tags })
}

fn field_of(seen: &LoggedModelView, field: &Field) -> Option<Found> {
    let millis = |at: Timestamp| Some(Found::Number((at.as_micros() / 1000) as f64));
    let among = |pairs: &[Pair], key: &str| {
        pairs.iter().find(|pair| pair.key == key).map(|pair| pair.value.as_str().into())
    };
    let row = &seen.row;
    match field {
        Field::Text("name") => Some(row.name.as_str().into()),
        Field::Text("model_id") => Some(row.model_id.as_str().into()),
        Field::Text("model_type") => row.model_type.as_deref().map(Found::from),
        Field::Text("source_run_id") => row.source_run_id.as_deref().map(Found::from),
        // Why: filters say `READY`, as the client's enumeration does.
        Field::Text("status") => Some(row.status.trim_start_matches(STATUS).into()),
        Field::Number("created_at") => millis(row.created_at),
        Field::Number("updated_at") => millis(row.updated_at),
        Field::Param(key) => among(&seen.params, key),
        Field::Tag(key) => among(&seen.tags, key),
        _ => None,
    }
}
