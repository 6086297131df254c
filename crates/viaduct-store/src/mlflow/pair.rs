//! Params and tags: keys with a text, of runs and experiments.

use super::Pair;
use crate::{Row, Scope, StoreError, Tx, Value, statement};

statement!(
    INSERT_PARAM,
    scoped,
    "INSERT INTO param (run_id, workspace_id, key, value) VALUES ($1, $2, $3, $4)"
);
statement!(
    FIND_PARAM,
    scoped,
    "SELECT key, value FROM param WHERE workspace_id = $1 AND run_id = $2 AND key = $3"
);
statement!(
    LIST_PARAMS,
    scoped,
    "SELECT key, value FROM param WHERE workspace_id = $1 AND run_id = $2 ORDER BY key"
);
statement!(
    SET_RUN_TAG,
    scoped,
    "INSERT INTO run_tag (run_id, workspace_id, key, value) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value"
);
statement!(
    DELETE_RUN_TAG,
    scoped,
    "DELETE FROM run_tag WHERE workspace_id = $1 AND run_id = $2 AND key = $3"
);
statement!(
    LIST_RUN_TAGS,
    scoped,
    "SELECT key, value FROM run_tag WHERE workspace_id = $1 AND run_id = $2 ORDER BY key"
);
statement!(
    SET_EXPERIMENT_TAG,
    scoped,
    "INSERT INTO experiment_tag (experiment_id, workspace_id, key, value) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (experiment_id, key) DO UPDATE SET value = excluded.value"
);
statement!(
    DELETE_EXPERIMENT_TAG,
    scoped,
    "DELETE FROM experiment_tag WHERE workspace_id = $1 AND experiment_id = $2 AND key = $3"
);
statement!(
    LIST_EXPERIMENT_TAGS,
    scoped,
    "SELECT key, value FROM experiment_tag \
     WHERE workspace_id = $1 AND experiment_id = $2 ORDER BY key"
);

fn owned(scope: &Scope, owner: &str, pair: &Pair) -> [Value; 4] {
    [owner.into(), Value::text(scope.workspace), (&pair.key).into(), (&pair.value).into()]
}

/// Adds a param. A second one of the same key is a `Unique` error: look first.
pub fn insert_param(
    tx: &mut Tx,
    scope: &Scope,
    run_id: &str,
    pair: &Pair,
) -> Result<(), StoreError> {
    tx.execute(&INSERT_PARAM, &owned(scope, run_id, pair)).map(|_| ())
}

/// The param of that key.
pub fn find_param(
    tx: &mut Tx,
    scope: &Scope,
    run_id: &str,
    key: &str,
) -> Result<Option<Pair>, StoreError> {
    let values = [Value::text(scope.workspace), run_id.into(), key.into()];
    tx.query_one(&FIND_PARAM, &values)?.as_ref().map(read).transpose()
}

/// All params of a run by key.
pub fn list_params(tx: &mut Tx, scope: &Scope, run_id: &str) -> Result<Vec<Pair>, StoreError> {
    let values = [Value::text(scope.workspace), run_id.into()];
    tx.query(&LIST_PARAMS, &values)?.iter().map(read).collect()
}

/// Sets a run's tag.
pub fn set_run_tag(
    tx: &mut Tx,
    scope: &Scope,
    run_id: &str,
    pair: &Pair,
) -> Result<(), StoreError> {
    tx.execute(&SET_RUN_TAG, &owned(scope, run_id, pair)).map(|_| ())
}

/// Deletes a run's tag; true when there was one.
pub fn delete_run_tag(
    tx: &mut Tx,
    scope: &Scope,
    run_id: &str,
    key: &str,
) -> Result<bool, StoreError> {
    let values = [Value::text(scope.workspace), run_id.into(), key.into()];
    Ok(tx.execute(&DELETE_RUN_TAG, &values)? > 0)
}

/// All tags of a run by key.
pub fn list_run_tags(tx: &mut Tx, scope: &Scope, run_id: &str) -> Result<Vec<Pair>, StoreError> {
    let values = [Value::text(scope.workspace), run_id.into()];
    tx.query(&LIST_RUN_TAGS, &values)?.iter().map(read).collect()
}

/// Sets an experiment's tag.
pub fn set_experiment_tag(
    tx: &mut Tx,
    scope: &Scope,
    experiment_id: &str,
    pair: &Pair,
) -> Result<(), StoreError> {
    tx.execute(&SET_EXPERIMENT_TAG, &owned(scope, experiment_id, pair)).map(|_| ())
}

/// Deletes an experiment's tag; true when there was one.
pub fn delete_experiment_tag(
    tx: &mut Tx,
    scope: &Scope,
    experiment_id: &str,
    key: &str,
) -> Result<bool, StoreError> {
    let values = [Value::text(scope.workspace), experiment_id.into(), key.into()];
    Ok(tx.execute(&DELETE_EXPERIMENT_TAG, &values)? > 0)
}

/// All tags of an experiment by key.
pub fn list_experiment_tags(
    tx: &mut Tx,
    scope: &Scope,
    experiment_id: &str,
) -> Result<Vec<Pair>, StoreError> {
    let values = [Value::text(scope.workspace), experiment_id.into()];
    tx.query(&LIST_EXPERIMENT_TAGS, &values)?.iter().map(read).collect()
}

pub(super) fn read(row: &Row) -> Result<Pair, StoreError> {
    Ok(Pair { key: row.text("key")?, value: row.text("value")? })
}
