//! What hangs on a page of models or of versions, read by few statements.

use std::collections::{BTreeSet, HashMap};

use viaduct_base::Timestamp;

use super::{AliasRow, ModelRow, VersionRow, read_version};
use crate::mlflow::Pair;
use crate::mlflow::many::{self, text};
use crate::{Row, Scope, StoreError, Tx, Value};

/// What hangs on a registered model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelParts {
    /// Tags by key.
    pub tags: Vec<Pair>,
    /// Aliases by name.
    pub aliases: Vec<AliasRow>,
    /// The latest version of each stage.
    pub latest: Vec<VersionRow>,
}

/// What hangs on a version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VersionParts {
    /// Tags by key.
    pub tags: Vec<Pair>,
    /// Aliases that point at it.
    pub aliases: Vec<String>,
}

/// What hangs on those models, in their order.
pub fn of_models(
    tx: &mut Tx,
    scope: &Scope,
    models: &[ModelRow],
) -> Result<Vec<ModelParts>, StoreError> {
    let names: Vec<String> = models.iter().map(|model| model.name.clone()).collect();
    let mut all: Vec<ModelParts> =
        many::pairs(tx, scope, ("registered_model_tag", "name", ""), &names)?
            .into_iter()
            .map(|tags| ModelParts { tags, ..ModelParts::default() })
            .collect();
    let aliases = ("name, alias, version, set_at FROM registered_model_alias", "name", "", "alias");
    many::rows(tx, scope, aliases, &names, |at, cells| {
        let row = AliasRow {
            alias: text(cells, 1)?,
            version: cells.int(2)?.unwrap_or_default(),
            set_at: Timestamp::from_micros(cells.int(3)?.unwrap_or_default()),
        };
        if let Some(parts) = all.get_mut(at) {
            parts.aliases.push(row);
        }
        Ok(())
    })?;
    let places: HashMap<&str, usize> =
        names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    for chunk in names.chunks(many::OWNERS) {
        for row in latest(tx, scope, chunk)? {
            let row = read_version(&row)?;
            let at = places.get(row.name.as_str()).copied().unwrap_or(usize::MAX);
            if let Some(parts) = all.get_mut(at) {
                parts.latest.push(row);
            }
        }
    }
    Ok(all)
}

/// The latest version of each stage of those models, newest first.
fn latest(tx: &mut Tx, scope: &Scope, names: &[String]) -> Result<Vec<Row>, StoreError> {
    let mut values: Vec<Value> = vec![scope.bind()];
    values.extend(names.iter().map(Value::from));
    let places: Vec<String> = (2..=values.len()).map(|n| format!("${n}")).collect();
    let sql = format!(
        "SELECT v.* FROM model_version v JOIN (SELECT name, MAX(version) AS newest \
         FROM model_version WHERE workspace_id = $1 AND name IN ({places}) \
         GROUP BY name, current_stage) l ON v.name = l.name AND v.version = l.newest \
         WHERE v.workspace_id = $1 ORDER BY v.name, v.version DESC",
        places = places.join(", ")
    );
    tx.query_compiled(&sql, &values)
}

/// What hangs on those versions, in their order.
pub fn of_versions(
    tx: &mut Tx,
    scope: &Scope,
    versions: &[VersionRow],
) -> Result<Vec<VersionParts>, StoreError> {
    let mut all = vec![VersionParts::default(); versions.len()];
    for (rows, parts) in versions.chunks(many::OWNERS).zip(all.chunks_mut(many::OWNERS)) {
        let places: HashMap<(&str, i64), usize> = rows
            .iter()
            .enumerate()
            .map(|(at, row)| ((row.name.as_str(), row.version), at))
            .collect();
        let (sql, values) = among(scope, rows, "key, value FROM model_version_tag", "key");
        tx.visit_compiled(&sql, &values, |cells| {
            let owner = (cells.text(0)?.unwrap_or_default(), cells.int(1)?.unwrap_or_default());
            let at = places.get(&owner).copied().unwrap_or(usize::MAX);
            if let Some(parts) = parts.get_mut(at) {
                parts.tags.push(Pair { key: text(cells, 2)?, value: text(cells, 3)? });
            }
            Ok(())
        })?;
        let (sql, values) = among(scope, rows, "alias FROM registered_model_alias", "alias");
        tx.visit_compiled(&sql, &values, |cells| {
            let owner = (cells.text(0)?.unwrap_or_default(), cells.int(1)?.unwrap_or_default());
            let at = places.get(&owner).copied().unwrap_or(usize::MAX);
            if let Some(parts) = parts.get_mut(at) {
                parts.aliases.push(text(cells, 2)?);
            }
            Ok(())
        })?;
    }
    Ok(all)
}

/// Rows of those names and numbers; some of them may be of other pairs of both.
fn among(scope: &Scope, rows: &[VersionRow], what: &str, order: &str) -> (String, Vec<Value>) {
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let numbers: BTreeSet<i64> = rows.iter().map(|row| row.version).collect();
    let mut values: Vec<Value> = vec![scope.bind()];
    values.extend(names.into_iter().map(Value::from));
    let divide = values.len();
    values.extend(numbers.into_iter().map(Value::from));
    let places: Vec<String> = (1..=values.len()).map(|n| format!("${n}")).collect();
    let list = |from: usize, to: usize| places.get(from..to).unwrap_or_default().join(", ");
    let sql = format!(
        "SELECT name, version, {what} WHERE workspace_id = $1 AND name IN ({}) \
         AND version IN ({}) ORDER BY name, version, {order}",
        list(1, divide),
        list(divide, values.len())
    );
    (sql, values)
}
