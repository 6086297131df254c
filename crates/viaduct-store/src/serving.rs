//! What surrounds an endpoint: versions that stood behind it, its own contracts, the kill switch,
//! drills, alerts.

use viaduct_base::{AlertId, DrillId, EndpointId, ProjectId, Timestamp, WorkspaceId};

use crate::columns::{columns, read_all};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// A version that came to stand behind an endpoint.
    pub struct EndpointVersionRow {
        /// The endpoint.
        endpoint_id: EndpointId,
        /// Its place in the history, from 1.
        seq: i64,
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The registered model.
        model_name: String,
        /// Its version.
        version: i64,
        /// When.
        bound_at: Timestamp,
        /// Why.
        reason: String,
    }
}

columns! {
    /// One version of the contract of an endpoint that no project owns.
    pub struct EndpointContractRow {
        /// The endpoint.
        endpoint_id: EndpointId,
        /// Its version, from 1.
        version: i64,
        /// The workspace.
        workspace_id: WorkspaceId,
        /// `inferred` from the model's signature, or `owned`.
        origin: String,
        /// The whole document as JSON.
        document_json: String,
        /// The document's hash.
        hash: String,
        /// When it was added.
        created_at: Timestamp,
        /// Who added it.
        created_by: String,
    }
}

columns! {
    /// A thrown kill switch.
    pub struct KillRow {
        /// The endpoint.
        endpoint_id: EndpointId,
        /// The workspace.
        workspace_id: WorkspaceId,
        /// When.
        killed_at: Timestamp,
        /// Who.
        killed_by: String,
        /// Why.
        reason: String,
    }
}

columns! {
    /// A drill.
    pub struct DrillRow {
        /// Its id.
        id: DrillId,
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The endpoint.
        endpoint_id: EndpointId,
        /// The endpoint's project.
        project_id: Option<ProjectId>,
        /// `schema-change`, `rollback` or `fallback`.
        kind: String,
        /// Who ran it.
        run_by: String,
        /// When it began.
        started_at: Timestamp,
        /// When it ended.
        ended_at: Timestamp,
        /// Whether everything happened as it must.
        passed: bool,
        /// The report as JSON.
        report_json: String,
    }
}

columns! {
    /// An alert: what happened, who acts, what to do.
    pub struct AlertRow {
        /// Its id.
        id: AlertId,
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The project, if any.
        project_id: Option<ProjectId>,
        /// The endpoint, if any.
        endpoint_id: Option<EndpointId>,
        /// What kind: `schema_change`, `rolled_back`.
        kind: String,
        /// What it is about, within its kind: a field, a rollout.
        subject: String,
        /// What happened.
        detail: String,
        /// What to do.
        advice: String,
        /// Who acts.
        for_whom: String,
        /// Whether a drill raised it.
        is_drill: bool,
        /// When it was raised.
        raised_at: Timestamp,
        /// When it was last seen.
        seen_at: Timestamp,
        /// How often.
        seen_count: i64,
        /// When it was closed.
        closed_at: Option<Timestamp>,
    }
}

statement!(
    PUT_VERSION,
    scoped,
    "INSERT INTO endpoint_version (endpoint_id, seq, workspace_id, model_name, version, bound_at, \
     reason) VALUES ($1, $2, $3, $4, $5, $6, $7)"
);
statement!(
    VERSIONS,
    scoped,
    "SELECT * FROM endpoint_version WHERE workspace_id = $1 AND endpoint_id = $2 \
     ORDER BY seq DESC LIMIT $3"
);
statement!(
    PUT_CONTRACT,
    scoped,
    "INSERT INTO endpoint_contract (endpoint_id, version, workspace_id, origin, document_json, \
     hash, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
);
statement!(
    CONTRACTS,
    scoped,
    "SELECT * FROM endpoint_contract WHERE workspace_id = $1 AND endpoint_id = $2 \
     ORDER BY version DESC"
);
statement!(
    LATEST_CONTRACT,
    scoped,
    "SELECT * FROM endpoint_contract WHERE workspace_id = $1 AND endpoint_id = $2 \
     ORDER BY version DESC LIMIT 1"
);
statement!(
    PUT_KILL,
    scoped,
    "INSERT INTO kill_switch (endpoint_id, workspace_id, killed_at, killed_by, reason) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (endpoint_id) DO UPDATE SET \
     killed_at = excluded.killed_at, killed_by = excluded.killed_by, reason = excluded.reason"
);
statement!(
    FIND_KILL,
    scoped,
    "SELECT * FROM kill_switch WHERE workspace_id = $1 AND endpoint_id = $2"
);
statement!(
    DELETE_KILL,
    scoped,
    "DELETE FROM kill_switch WHERE workspace_id = $1 AND endpoint_id = $2"
);
statement!(
    PUT_DRILL,
    scoped,
    "INSERT INTO drill (id, workspace_id, endpoint_id, project_id, kind, run_by, started_at, \
     ended_at, passed, report_json) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
);
statement!(
    DRILLS,
    scoped,
    "SELECT * FROM drill WHERE workspace_id = $1 AND endpoint_id = $2 \
     ORDER BY started_at DESC, id DESC LIMIT $3"
);
// Seen again, an open alert is the same one.
statement!(
    RAISE,
    scoped,
    "INSERT INTO alert (id, workspace_id, project_id, endpoint_id, kind, subject, detail, advice, \
     for_whom, is_drill, raised_at, seen_at, seen_count, closed_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
     ON CONFLICT (workspace_id, endpoint_id, kind, subject, is_drill) WHERE closed_at IS NULL \
     DO UPDATE SET seen_at = excluded.seen_at, detail = excluded.detail, \
     seen_count = alert.seen_count + excluded.seen_count"
);
statement!(
    ALERTS,
    scoped,
    "SELECT * FROM alert WHERE workspace_id = $1 ORDER BY raised_at DESC, id DESC LIMIT $2"
);
statement!(
    OPEN_ALERTS,
    scoped,
    "SELECT * FROM alert WHERE workspace_id = $1 AND endpoint_id = $2 AND closed_at IS NULL \
     ORDER BY raised_at DESC, id DESC"
);
statement!(
    CLOSE_ALERT,
    scoped,
    "UPDATE alert SET closed_at = $3 WHERE workspace_id = $1 AND id = $2 AND closed_at IS NULL"
);

/// Notes the version that now stands behind an endpoint; its `seq` is given here.
pub fn put_version(tx: &mut Tx, scope: &Scope, row: &EndpointVersionRow) -> Result<(), StoreError> {
    let last = versions(tx, scope, row.endpoint_id, 1)?;
    let seq = last.first().map_or(1, |last| last.seq + 1);
    let row = EndpointVersionRow { seq, ..row.clone() };
    tx.execute(&PUT_VERSION, &row.values()).map(|_| ())
}

/// Versions that stood behind an endpoint, latest first.
pub fn versions(
    tx: &mut Tx,
    scope: &Scope,
    endpoint: EndpointId,
    limit: i64,
) -> Result<Vec<EndpointVersionRow>, StoreError> {
    let values = [scope.bind(), Value::text(endpoint), limit.into()];
    read_all(tx.query(&VERSIONS, &values)?, EndpointVersionRow::read)
}

/// Adds a version of an endpoint's contract; one that exists is [`StoreError::Unique`].
pub fn put_contract(tx: &mut Tx, row: &EndpointContractRow) -> Result<(), StoreError> {
    tx.execute(&PUT_CONTRACT, &row.values()).map(|_| ())
}

/// The endpoint's contracts, newest first.
pub fn contracts(
    tx: &mut Tx,
    scope: &Scope,
    endpoint: EndpointId,
) -> Result<Vec<EndpointContractRow>, StoreError> {
    let values = [scope.bind(), Value::text(endpoint)];
    read_all(tx.query(&CONTRACTS, &values)?, EndpointContractRow::read)
}

/// The endpoint's newest contract.
pub fn latest_contract(
    tx: &mut Tx,
    scope: &Scope,
    endpoint: EndpointId,
) -> Result<Option<EndpointContractRow>, StoreError> {
    let row = tx.query_one(&LATEST_CONTRACT, &[scope.bind(), Value::text(endpoint)])?;
    row.as_ref().map(EndpointContractRow::read).transpose()
}

/// Throws the kill switch.
pub fn put_kill(tx: &mut Tx, row: &KillRow) -> Result<(), StoreError> {
    tx.execute(&PUT_KILL, &row.values()).map(|_| ())
}

/// The endpoint's thrown kill switch.
pub fn find_kill(
    tx: &mut Tx,
    scope: &Scope,
    endpoint: EndpointId,
) -> Result<Option<KillRow>, StoreError> {
    let row = tx.query_one(&FIND_KILL, &[scope.bind(), Value::text(endpoint)])?;
    row.as_ref().map(KillRow::read).transpose()
}

/// Takes the kill switch back; `false` when it was not thrown.
pub fn delete_kill(tx: &mut Tx, scope: &Scope, endpoint: EndpointId) -> Result<bool, StoreError> {
    tx.execute(&DELETE_KILL, &[scope.bind(), Value::text(endpoint)]).map(|n| n == 1)
}

/// Stores a drill's report.
pub fn put_drill(tx: &mut Tx, row: &DrillRow) -> Result<(), StoreError> {
    tx.execute(&PUT_DRILL, &row.values()).map(|_| ())
}

/// The endpoint's drills, latest first.
pub fn drills(
    tx: &mut Tx,
    scope: &Scope,
    endpoint: EndpointId,
    limit: i64,
) -> Result<Vec<DrillRow>, StoreError> {
    let values = [scope.bind(), Value::text(endpoint), limit.into()];
    read_all(tx.query(&DRILLS, &values)?, DrillRow::read)
}

/// Raises an alert, or notes that an open one was seen again.
pub fn raise(tx: &mut Tx, row: &AlertRow) -> Result<(), StoreError> {
    tx.execute(&RAISE, &row.values()).map(|_| ())
}

/// The workspace's alerts, latest first.
pub fn alerts(tx: &mut Tx, scope: &Scope, limit: i64) -> Result<Vec<AlertRow>, StoreError> {
    read_all(tx.query(&ALERTS, &[scope.bind(), limit.into()])?, AlertRow::read)
}

/// The endpoint's open alerts, latest first.
pub fn open_alerts(
    tx: &mut Tx,
    scope: &Scope,
    endpoint: EndpointId,
) -> Result<Vec<AlertRow>, StoreError> {
    let values = [scope.bind(), Value::text(endpoint)];
    read_all(tx.query(&OPEN_ALERTS, &values)?, AlertRow::read)
}

/// Closes an alert; `false` when there is none open.
pub fn close_alert(
    tx: &mut Tx,
    scope: &Scope,
    id: AlertId,
    at: Timestamp,
) -> Result<bool, StoreError> {
    tx.execute(&CLOSE_ALERT, &[scope.bind(), Value::text(id), at.into()]).map(|n| n == 1)
}
