//! Params and tags: keys with a text, of runs and experiments.

use super::{Pair, many};
use crate::{Question, Row, Scope, StoreError, Tx, Value, statement};

statement!(
    INSERT_PARAM,
    scoped,
    "INSERT INTO param (run_id, workspace_id, key, value, experiment_id) VALUES ($1, $2, $3, $4, \
     (SELECT experiment_id FROM run WHERE run_id = $1))"
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
    "INSERT INTO run_tag (run_id, workspace_id, key, value, experiment_id) VALUES ($1, $2, $3, $4, \
     (SELECT experiment_id FROM run WHERE run_id = $1)) \
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

/// Sets tags of a run of an experiment, each key once.
pub fn set_run_tags(
    tx: &mut Tx,
    scope: &Scope,
    owner: (&str, &str),
    pairs: &[Pair],
) -> Result<(), StoreError> {
    let then = "ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value";
    insert_many(tx, scope, ("run_tag", owner), (pairs, then))
}

/// Adds params to a run of an experiment, each key once. One that is there already is a `Unique`
/// error: look first.
pub fn insert_params(
    tx: &mut Tx,
    scope: &Scope,
    owner: (&str, &str),
    pairs: &[Pair],
) -> Result<(), StoreError> {
    insert_many(tx, scope, ("param", owner), (pairs, ""))
}

fn insert_many(
    tx: &mut Tx,
    scope: &Scope,
    (table, (run_id, experiment_id)): (&str, (&str, &str)),
    (pairs, then): (&[Pair], &str),
) -> Result<(), StoreError> {
    let text = |rows| {
        format!(
            "INSERT INTO {table} (run_id, workspace_id, key, value, experiment_id) VALUES {} {then}",
            many::places(rows, 5)
        )
    };
    many::put(tx, pairs, text, |tx, sql, piece| {
        let mut values: Vec<Value> = vec![run_id.into(), scope.bind()];
        for pair in piece {
            values.extend([(&pair.key).into(), (&pair.value).into(), experiment_id.into()]);
        }
        tx.defer_compiled(sql, &values)
    })
}

/// Those of a run's params, or tags, that have one of these keys.
pub fn among(
    tx: &mut Tx,
    scope: &Scope,
    (run_id, of): (&str, RunPairs),
    keys: &[&str],
) -> Result<Vec<Pair>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    tx.ask(&asking_among(scope, (run_id, of), keys))?.iter().map(read).collect()
}

/// What [`among`] asks where there are keys.
pub fn asking_among(scope: &Scope, (run_id, of): (&str, RunPairs), keys: &[&str]) -> Question {
    let table = match of {
        RunPairs::Params => "param",
        RunPairs::Tags => "run_tag",
    };
    let mut values: Vec<Value> = vec![scope.bind(), run_id.into()];
    values.extend(keys.iter().map(|key| Value::from(*key)));
    let names: Vec<String> = (3..=values.len()).map(|n| format!("${n}")).collect();
    let sql = format!(
        "SELECT key, value FROM {table} WHERE workspace_id = $1 AND run_id = $2 AND key IN ({})",
        names.join(", ")
    );
    Question::compiled(sql, values)
}

/// Which pairs of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunPairs {
    /// Its params.
    Params,
    /// Its tags.
    Tags,
}

/// The tags of many experiments, in the order of `ids`.
pub fn tags_of_experiments(
    tx: &mut Tx,
    scope: &Scope,
    ids: &[String],
) -> Result<Vec<Vec<Pair>>, StoreError> {
    many::pairs(tx, scope, ("experiment_tag", "experiment_id", ""), ids)
}

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

fn read(row: &Row) -> Result<Pair, StoreError> {
    Ok(Pair { key: row.text("key")?, value: row.text("value")? })
}
