//! Experiments, logged models, registered models and versions found.

use super::compile::{EXPERIMENT, LOGGED_MODEL, MODEL_VERSION, REGISTERED_MODEL, Shape, Sql};
use super::{Field, Search};
use crate::mlflow::experiment::{self, ExperimentRow};
use crate::mlflow::logged_model::{self, LoggedModelRow};
use crate::mlflow::registry::{self, ModelRow, VersionRow};
use crate::{Row, Scope, StoreError, Tx};

/// The tag by which an entry of the registry is a prompt and no model.
const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";

/// The experiments that a search finds.
pub fn experiments(
    tx: &mut Tx,
    scope: &Scope,
    search: &Search,
) -> Result<Vec<ExperimentRow>, StoreError> {
    if search.lifecycles.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(&EXPERIMENT, tx.dialect(), scope.bind());
    let stages = sql.list(search.lifecycles.iter().map(|l| l.as_str()));
    let wheres = format!("experiment.lifecycle_stage IN ({stages})");
    let by_id = search.order.iter().any(|step| step.field == Field::Digits("experiment_id"));
    let own: &[&str] = match (search.order.is_empty(), by_id) {
        (true, _) => &["experiment.created_at DESC", "CAST(experiment.experiment_id AS BIGINT)"],
        (false, false) => &["CAST(experiment.experiment_id AS BIGINT) DESC"],
        (false, true) => &[],
    };
    ask(tx, sql, search, (&wheres, own))?.iter().map(experiment::read).collect()
}

/// The logged models that a search finds, deleted ones left out.
pub fn logged_models(
    tx: &mut Tx,
    scope: &Scope,
    search: &Search,
) -> Result<Vec<LoggedModelRow>, StoreError> {
    if search.experiment_ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(&LOGGED_MODEL, tx.dialect(), scope.bind());
    let ids = sql.list(&search.experiment_ids);
    let mut wheres =
        format!("logged_model.experiment_id IN ({ids}) AND logged_model.deleted_at IS NULL");
    if !search.datasets.is_empty() {
        sql.datasets.clone_from(&search.datasets);
        let on = sql.on_datasets();
        wheres.push_str(&format!(
            " AND EXISTS (SELECT 1 FROM logged_model_metric p \
             WHERE p.model_id = logged_model.model_id AND {on})"
        ));
    }
    let own = ["logged_model.created_at DESC", "logged_model.model_id"];
    ask(tx, sql, search, (&wheres, &own))?.iter().map(logged_model::read).collect()
}

/// The registered models, or prompts, that a search finds.
pub fn registered_models(
    tx: &mut Tx,
    scope: &Scope,
    search: &Search,
) -> Result<Vec<ModelRow>, StoreError> {
    let mut sql = Sql::new(&REGISTERED_MODEL, tx.dialect(), scope.bind());
    let kind = kind(&mut sql, search, &["registered_model_tag"]);
    ask(tx, sql, search, (&kind, &["registered_model.name"]))?
        .iter()
        .map(registry::read_model)
        .collect()
}

/// The versions of models, or of prompts, that a search finds.
pub fn versions(
    tx: &mut Tx,
    scope: &Scope,
    search: &Search,
) -> Result<Vec<VersionRow>, StoreError> {
    let mut sql = Sql::new(&MODEL_VERSION, tx.dialect(), scope.bind());
    let kind = kind(&mut sql, search, &["registered_model_tag", "model_version_tag"]);
    let own: &[&str] = match search.order.is_empty() {
        true => {
            &["model_version.updated_at DESC", "model_version.name", "model_version.version DESC"]
        }
        false => &["model_version.name", "model_version.version DESC"],
    };
    ask(tx, sql, search, (&kind, own))?.iter().map(registry::read_version).collect()
}

/// Models do not have the tag that makes a prompt, neither on themselves nor on a version.
fn kind(sql: &mut Sql<'_>, search: &Search, tables: &[&str]) -> String {
    let (key, yes) = (sql.bind(PROMPT_TAG), sql.bind("true"));
    let table = sql.shape.table;
    let marked = tables.iter().map(|tags| {
        format!(
            "EXISTS (SELECT 1 FROM {tags} k WHERE k.workspace_id = {table}.workspace_id \
             AND k.name = {table}.name AND k.key = {key} AND k.value = {yes})"
        )
    });
    let marked = marked.collect::<Vec<_>>().join(" OR ");
    if search.prompts { format!("({marked})") } else { format!("NOT ({marked})") }
}

/// Asks in the wanted order and then in the thing's `own`.
fn ask(
    tx: &mut Tx,
    mut sql: Sql<'_>,
    search: &Search,
    (wheres, own): (&str, &[&str]),
) -> Result<Vec<Row>, StoreError> {
    let shape: &Shape = sql.shape;
    let table = shape.table;
    let holds = sql.filter(&search.filter);
    let mut orders: Vec<String> = search.order.iter().flat_map(|step| sql.order(step)).collect();
    orders.extend(own.iter().map(|&column| column.to_owned()));
    let (limit, offset) = (sql.bind(search.limit), sql.bind(search.offset));
    let text = format!(
        "SELECT {table}.* FROM {table}{} WHERE {table}.workspace_id = $1 AND {wheres} AND {holds} \
         ORDER BY {} LIMIT {limit} OFFSET {offset}",
        sql.joins,
        orders.join(", ")
    );
    tx.query_compiled(&text, &sql.values)
}
