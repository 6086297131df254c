//! Reviews: askings for a gate, each on one evaluation.

use viaduct_base::{EvaluationId, ProjectId, ReviewId, Timestamp, WorkspaceId};

use crate::columns::{columns, read_all, won};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// A review.
    pub struct ReviewRow {
        /// Its id.
        id: ReviewId,
        /// Its workspace.
        workspace_id: WorkspaceId,
        /// Its project.
        project_id: ProjectId,
        /// `G1`, `G2` or `G3`.
        gate: String,
        /// The evaluation it stands on.
        evaluation_id: EvaluationId,
        /// The hash that people sign.
        evaluation_hash: String,
        /// Its state, as the domain prints it.
        state: String,
        /// Whether it still waits for something. A project has one open review at most.
        is_open: bool,
        /// Required signatures, conclusion, difference: as JSON.
        body_json: String,
        /// When it was opened.
        opened_at: Timestamp,
        /// Who asked.
        opened_by: String,
        /// When the policy's time-out passes, where it has one.
        due_at: Option<Timestamp>,
        /// When it was closed.
        closed_at: Option<Timestamp>,
        /// For compare-and-set; 1 when new.
        revision: i64,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO review (id, workspace_id, project_id, gate, evaluation_id, evaluation_hash, \
     state, is_open, body_json, opened_at, opened_by, due_at, closed_at, revision) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
);
statement!(FIND, scoped, "SELECT * FROM review WHERE workspace_id = $1 AND id = $2");
statement!(
    FIND_OPEN,
    scoped,
    "SELECT * FROM review WHERE workspace_id = $1 AND project_id = $2 AND is_open = 1"
);
statement!(
    LIST,
    scoped,
    "SELECT * FROM review WHERE workspace_id = $1 AND project_id = $2 \
     ORDER BY opened_at DESC, id DESC"
);
// Time-outs of all workspaces; each row brings the scope for what follows.
statement!(
    LIST_DUE,
    platform,
    "SELECT * FROM review WHERE is_open = 1 AND due_at <= $1 ORDER BY due_at, id"
);
statement!(
    UPDATE,
    scoped,
    "UPDATE review SET state = $4, is_open = $5, body_json = $6, closed_at = $7, \
     revision = revision + 1 WHERE workspace_id = $1 AND id = $2 AND revision = $3"
);

/// Opens a review; a second open one of the project is [`StoreError::Unique`].
pub fn insert(tx: &mut Tx, row: &ReviewRow) -> Result<(), StoreError> {
    tx.execute(&INSERT, &row.values()).map(|_| ())
}

/// The review of that id.
pub fn find(tx: &mut Tx, scope: &Scope, id: ReviewId) -> Result<Option<ReviewRow>, StoreError> {
    let row = tx.query_one(&FIND, &[scope.bind(), Value::text(id)])?;
    row.as_ref().map(ReviewRow::read).transpose()
}

/// The project's open review.
pub fn find_open(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
) -> Result<Option<ReviewRow>, StoreError> {
    let row = tx.query_one(&FIND_OPEN, &[scope.bind(), Value::text(project)])?;
    row.as_ref().map(ReviewRow::read).transpose()
}

/// The project's reviews, newest first.
pub fn list(tx: &mut Tx, scope: &Scope, project: ProjectId) -> Result<Vec<ReviewRow>, StoreError> {
    read_all(tx.query(&LIST, &[scope.bind(), Value::text(project)])?, ReviewRow::read)
}

/// Open reviews of all workspaces whose time-out has passed.
pub fn list_due(tx: &mut Tx, now: Timestamp) -> Result<Vec<ReviewRow>, StoreError> {
    read_all(tx.query(&LIST_DUE, &[now.into()])?, ReviewRow::read)
}

/// Writes `state`, `is_open`, `body_json` and `closed_at` of `row`, read at its `revision`.
pub fn update(tx: &mut Tx, scope: &Scope, row: &ReviewRow) -> Result<(), StoreError> {
    let values = [
        scope.bind(),
        Value::text(row.id),
        row.revision.into(),
        (&row.state).into(),
        row.is_open.into(),
        (&row.body_json).into(),
        row.closed_at.into(),
    ];
    won(tx.execute(&UPDATE, &values)?, "review", row.id)
}
