//! Which model version stands behind an endpoint, and since when.

use viaduct_base::{EndpointId, Timestamp, TrialId};

use crate::{Row, Scope, StoreError, Tx, Value, statement};

/// The version behind an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindingRow {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The registered model.
    pub model_name: String,
    /// Its version.
    pub version: i64,
    /// Since when.
    pub bound_at: Timestamp,
    /// The registered end of this version's shadow time.
    pub shadow_until: Timestamp,
    /// The trial that holds the version.
    pub pinned_by: Option<TrialId>,
}

statement!(
    PUT,
    scoped,
    "INSERT INTO binding (endpoint_id, workspace_id, model_name, version, bound_at, shadow_until, \
     pinned_by) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (endpoint_id) \
     DO UPDATE SET model_name = excluded.model_name, version = excluded.version, \
     bound_at = excluded.bound_at, shadow_until = excluded.shadow_until, \
     pinned_by = excluded.pinned_by"
);
statement!(FIND, scoped, "SELECT * FROM binding WHERE workspace_id = $1 AND endpoint_id = $2");
statement!(LIST, scoped, "SELECT * FROM binding WHERE workspace_id = $1 ORDER BY endpoint_id");

/// Binds a version, in place of the one before.
pub fn put(tx: &mut Tx, scope: &Scope, row: &BindingRow) -> Result<(), StoreError> {
    let values = [
        Value::text(row.endpoint),
        Value::text(scope.workspace),
        (&row.model_name).into(),
        row.version.into(),
        row.bound_at.into(),
        row.shadow_until.into(),
        Value::opt_text(row.pinned_by),
    ];
    tx.execute(&PUT, &values).map(|_| ())
}

/// The version behind an endpoint.
pub fn find(
    tx: &mut Tx,
    scope: &Scope,
    endpoint: EndpointId,
) -> Result<Option<BindingRow>, StoreError> {
    let values = [Value::text(scope.workspace), Value::text(endpoint)];
    tx.query_one(&FIND, &values)?.as_ref().map(read).transpose()
}

/// Every binding.
pub fn list(tx: &mut Tx, scope: &Scope) -> Result<Vec<BindingRow>, StoreError> {
    tx.query(&LIST, &[Value::text(scope.workspace)])?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<BindingRow, StoreError> {
    Ok(BindingRow {
        endpoint: row.parse("endpoint_id")?,
        model_name: row.text("model_name")?,
        version: row.int("version")?,
        bound_at: row.time("bound_at")?,
        shadow_until: row.time("shadow_until")?,
        pinned_by: row.opt_parse("pinned_by")?,
    })
}
