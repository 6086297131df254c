//! Rollouts of endpoints, and the history of their steps.

use viaduct_base::{EndpointId, ProjectId, RolloutId, Timestamp, WorkspaceId};

use crate::columns::{columns, read_all, won};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// A rollout.
    pub struct RolloutRow {
        /// Its id.
        id: RolloutId,
        /// Its workspace.
        workspace_id: WorkspaceId,
        /// The endpoint.
        endpoint_id: EndpointId,
        /// The endpoint's project.
        project_id: Option<ProjectId>,
        /// The registered model.
        model_name: String,
        /// The version that answers when it begins.
        from_version: i64,
        /// The candidate.
        to_version: i64,
        /// What started it: `person`, `alias` or `drill`.
        trigger_kind: String,
        /// The plan as JSON; it never changes.
        plan_json: String,
        /// The phase as a word.
        phase: String,
        /// Whether the challenger is in service beside the champion.
        is_open: bool,
        /// The step, from 0.
        step: i64,
        /// Since when it is in this step.
        step_since: Timestamp,
        /// The challenger's counters at the step's beginning as JSON.
        baseline_json: String,
        /// What the conditions said when they were last looked at, as JSON.
        judged_json: String,
        /// Why it is where it is.
        reason: String,
        /// What entities are hashed with.
        salt: String,
        /// The clock it runs under.
        clock: String,
        /// When it was started.
        started_at: Timestamp,
        /// Who started it.
        started_by: String,
        /// When it ended.
        ended_at: Option<Timestamp>,
        /// For compare-and-set; 1 when new.
        revision: i64,
    }
}

columns! {
    /// One event of a rollout's history.
    pub struct RolloutEventRow {
        /// The rollout.
        rollout_id: RolloutId,
        /// Its place in the history, from 1.
        seq: i64,
        /// The workspace.
        workspace_id: WorkspaceId,
        /// When.
        at: Timestamp,
        /// What happened.
        event: String,
        /// The step afterwards.
        step: i64,
        /// The phase afterwards.
        phase: String,
        /// Why.
        reason: String,
        /// Who, or `system`.
        actor: String,
        /// What was measured, as JSON.
        evidence_json: String,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO rollout (id, workspace_id, endpoint_id, project_id, model_name, from_version, \
     to_version, trigger_kind, plan_json, phase, is_open, step, step_since, baseline_json, \
     judged_json, reason, salt, clock, started_at, started_by, ended_at, revision) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, \
     $19, $20, $21, $22)"
);
statement!(FIND, scoped, "SELECT * FROM rollout WHERE workspace_id = $1 AND id = $2");
statement!(
    FIND_OPEN,
    scoped,
    "SELECT * FROM rollout WHERE workspace_id = $1 AND endpoint_id = $2 AND is_open = 1"
);
statement!(
    LATEST,
    scoped,
    "SELECT * FROM rollout WHERE workspace_id = $1 AND endpoint_id = $2 \
     ORDER BY started_at DESC, id DESC LIMIT 1"
);
statement!(
    LIST,
    scoped,
    "SELECT * FROM rollout WHERE workspace_id = $1 ORDER BY started_at DESC, id DESC LIMIT $2"
);
statement!(
    LIST_BY_ENDPOINT,
    scoped,
    "SELECT * FROM rollout WHERE workspace_id = $1 AND endpoint_id = $2 \
     ORDER BY started_at DESC, id DESC LIMIT $3"
);
statement!(
    LIST_OPEN,
    scoped,
    "SELECT * FROM rollout WHERE workspace_id = $1 AND is_open = 1 ORDER BY started_at, id"
);
statement!(
    UPDATE,
    scoped,
    "UPDATE rollout SET phase = $4, is_open = $5, step = $6, step_since = $7, baseline_json = $8, \
     judged_json = $9, reason = $10, ended_at = $11, revision = revision + 1 \
     WHERE workspace_id = $1 AND id = $2 AND revision = $3"
);
statement!(
    TELL,
    scoped,
    "INSERT INTO rollout_event (rollout_id, seq, workspace_id, at, event, step, phase, reason, \
     actor, evidence_json) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
);
statement!(
    HISTORY,
    scoped,
    "SELECT * FROM rollout_event WHERE workspace_id = $1 AND rollout_id = $2 ORDER BY seq"
);
statement!(
    NEXT_SEQ,
    scoped,
    "SELECT CAST(COALESCE(max(seq), 0) + 1 AS BIGINT) AS seq FROM rollout_event \
     WHERE workspace_id = $1 AND rollout_id = $2"
);

/// Starts a rollout; a second open one of an endpoint is [`StoreError::Unique`].
pub fn insert(tx: &mut Tx, row: &RolloutRow) -> Result<(), StoreError> {
    tx.execute(&INSERT, &row.values()).map(|_| ())
}

/// The rollout of that id.
pub fn find(tx: &mut Tx, scope: &Scope, id: RolloutId) -> Result<Option<RolloutRow>, StoreError> {
    let row = tx.query_one(&FIND, &[scope.bind(), Value::text(id)])?;
    row.as_ref().map(RolloutRow::read).transpose()
}

/// The endpoint's open rollout.
pub fn find_open(
    tx: &mut Tx,
    scope: &Scope,
    endpoint: EndpointId,
) -> Result<Option<RolloutRow>, StoreError> {
    let row = tx.query_one(&FIND_OPEN, &[scope.bind(), Value::text(endpoint)])?;
    row.as_ref().map(RolloutRow::read).transpose()
}

/// The endpoint's latest rollout, open or not.
pub fn latest(
    tx: &mut Tx,
    scope: &Scope,
    endpoint: EndpointId,
) -> Result<Option<RolloutRow>, StoreError> {
    let row = tx.query_one(&LATEST, &[scope.bind(), Value::text(endpoint)])?;
    row.as_ref().map(RolloutRow::read).transpose()
}

/// The workspace's rollouts, latest first.
pub fn list(tx: &mut Tx, scope: &Scope, limit: i64) -> Result<Vec<RolloutRow>, StoreError> {
    read_all(tx.query(&LIST, &[scope.bind(), limit.into()])?, RolloutRow::read)
}

/// The endpoint's rollouts, latest first.
pub fn list_by_endpoint(
    tx: &mut Tx,
    scope: &Scope,
    endpoint: EndpointId,
    limit: i64,
) -> Result<Vec<RolloutRow>, StoreError> {
    let values = [scope.bind(), Value::text(endpoint), limit.into()];
    read_all(tx.query(&LIST_BY_ENDPOINT, &values)?, RolloutRow::read)
}

/// The open rollouts, oldest first.
pub fn list_open(tx: &mut Tx, scope: &Scope) -> Result<Vec<RolloutRow>, StoreError> {
    read_all(tx.query(&LIST_OPEN, &[scope.bind()])?, RolloutRow::read)
}

/// Writes where the rollout stands; `row` was read at its `revision`.
pub fn update(tx: &mut Tx, scope: &Scope, row: &RolloutRow) -> Result<(), StoreError> {
    let values = [
        scope.bind(),
        Value::text(row.id),
        row.revision.into(),
        (&row.phase).into(),
        row.is_open.into(),
        row.step.into(),
        row.step_since.into(),
        (&row.baseline_json).into(),
        (&row.judged_json).into(),
        (&row.reason).into(),
        row.ended_at.into(),
    ];
    won(tx.execute(&UPDATE, &values)?, "rollout", row.id)
}

/// Adds an event to a rollout's history; its `seq` is given here.
pub fn tell(tx: &mut Tx, scope: &Scope, row: &RolloutEventRow) -> Result<(), StoreError> {
    let next = tx.query_one(&NEXT_SEQ, &[scope.bind(), Value::text(row.rollout_id)])?;
    let seq = next.map(|row| row.int("seq")).transpose()?.unwrap_or(1);
    let row = RolloutEventRow { seq, ..row.clone() };
    tx.execute(&TELL, &row.values()).map(|_| ())
}

/// A rollout's history, oldest first.
pub fn history(
    tx: &mut Tx,
    scope: &Scope,
    rollout: RolloutId,
) -> Result<Vec<RolloutEventRow>, StoreError> {
    let values = [scope.bind(), Value::text(rollout)];
    read_all(tx.query(&HISTORY, &values)?, RolloutEventRow::read)
}
