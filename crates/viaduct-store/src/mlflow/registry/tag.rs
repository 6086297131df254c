//! Tags of models and of versions.

use super::named;
use crate::mlflow::Pair;
use crate::{Row, Scope, Statement, StoreError, Tx, Value, statement};

statement!(
    SET_MODEL_TAG,
    scoped,
    "INSERT INTO registered_model_tag (workspace_id, name, key, value) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (workspace_id, name, key) DO UPDATE SET value = excluded.value"
);
statement!(
    DELETE_MODEL_TAG,
    scoped,
    "DELETE FROM registered_model_tag WHERE workspace_id = $1 AND name = $2 AND key = $3"
);
statement!(
    LIST_MODEL_TAGS,
    scoped,
    "SELECT key, value FROM registered_model_tag WHERE workspace_id = $1 AND name = $2 ORDER BY key"
);
statement!(
    SET_VERSION_TAG,
    scoped,
    "INSERT INTO model_version_tag (workspace_id, name, version, key, value) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (workspace_id, name, version, key) \
     DO UPDATE SET value = excluded.value"
);
statement!(
    DELETE_VERSION_TAG,
    scoped,
    "DELETE FROM model_version_tag \
     WHERE workspace_id = $1 AND name = $2 AND version = $3 AND key = $4"
);
statement!(
    LIST_VERSION_TAGS,
    scoped,
    "SELECT key, value FROM model_version_tag \
     WHERE workspace_id = $1 AND name = $2 AND version = $3 ORDER BY key"
);

/// What has tags in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tagged<'a> {
    /// A registered model.
    Model(&'a str),
    /// A version of one.
    Version(&'a str, i64),
}

impl Tagged<'_> {
    /// The statement of the two that is meant, and whose rows it touches.
    fn pick(
        self,
        scope: &Scope,
        (of_model, of_version): (&'static Statement, &'static Statement),
    ) -> (&'static Statement, Vec<Value>) {
        match self {
            Tagged::Model(name) => (of_model, named(scope, name).to_vec()),
            Tagged::Version(name, version) => {
                let [workspace, name] = named(scope, name);
                (of_version, vec![workspace, name, version.into()])
            }
        }
    }
}

/// Sets a tag.
pub fn set_tag(
    tx: &mut Tx,
    scope: &Scope,
    tagged: Tagged<'_>,
    pair: &Pair,
) -> Result<(), StoreError> {
    let (statement, mut values) = tagged.pick(scope, (&SET_MODEL_TAG, &SET_VERSION_TAG));
    values.extend([(&pair.key).into(), (&pair.value).into()]);
    tx.execute(statement, &values).map(|_| ())
}

/// Deletes a tag.
pub fn delete_tag(
    tx: &mut Tx,
    scope: &Scope,
    tagged: Tagged<'_>,
    key: &str,
) -> Result<(), StoreError> {
    let (statement, mut values) = tagged.pick(scope, (&DELETE_MODEL_TAG, &DELETE_VERSION_TAG));
    values.push(key.into());
    tx.execute(statement, &values).map(|_| ())
}

/// All tags by key.
pub fn list_tags(tx: &mut Tx, scope: &Scope, tagged: Tagged<'_>) -> Result<Vec<Pair>, StoreError> {
    let (statement, values) = tagged.pick(scope, (&LIST_MODEL_TAGS, &LIST_VERSION_TAGS));
    let read = |row: &Row| Ok(Pair { key: row.text("key")?, value: row.text("value")? });
    tx.query(statement, &values)?.iter().map(read).collect()
}
