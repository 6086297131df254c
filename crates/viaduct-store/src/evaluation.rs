//! Evaluations of gates, append-only and chained.

use viaduct_base::{EvaluationId, ProjectId, Timestamp, WorkspaceId};

use crate::chain::{self, ChainName};
use crate::columns::{columns, read_all};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// What a gate said at one moment.
    pub struct EvaluationRow {
        /// Its id.
        id: EvaluationId,
        /// Its workspace.
        workspace_id: WorkspaceId,
        /// Its project.
        project_id: ProjectId,
        /// `G1`, `G2` or `G3`.
        gate: String,
        /// The policy's version.
        policy_version: i64,
        /// The policy's hash.
        policy_hash: String,
        /// The tier it was evaluated for.
        tier: String,
        /// Whether every blocking criterion passed.
        opens: bool,
        /// The hash that people sign.
        evaluation_hash: String,
        /// Why it was made: `schedule`, `review`, `conclusion`.
        reason: String,
        /// The whole evaluation as JSON.
        body_json: String,
        /// When it was made.
        evaluated_at: Timestamp,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO evaluation (id, workspace_id, project_id, gate, policy_version, policy_hash, \
     tier, opens, evaluation_hash, reason, body_json, evaluated_at, chain_seq, prev_hash, hash) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
);
statement!(FIND, scoped, "SELECT * FROM evaluation WHERE workspace_id = $1 AND id = $2");
statement!(
    LATEST,
    scoped,
    "SELECT * FROM evaluation WHERE workspace_id = $1 AND project_id = $2 AND gate = $3 \
     ORDER BY chain_seq DESC LIMIT 1"
);
statement!(
    LIST,
    scoped,
    "SELECT * FROM evaluation WHERE workspace_id = $1 AND project_id = $2 \
     ORDER BY chain_seq DESC LIMIT $3"
);

/// Appends an evaluation to its chain.
pub fn append(tx: &mut Tx, row: &EvaluationRow) -> Result<(), StoreError> {
    chain::append(tx, ChainName::Evaluations, &INSERT, EvaluationRow::COLUMNS, row.values())
        .map(|_| ())
}

/// The evaluation of that id.
pub fn find(
    tx: &mut Tx,
    scope: &Scope,
    id: EvaluationId,
) -> Result<Option<EvaluationRow>, StoreError> {
    let row = tx.query_one(&FIND, &[scope.bind(), Value::text(id)])?;
    row.as_ref().map(EvaluationRow::read).transpose()
}

/// The project's newest evaluation of a gate.
pub fn latest(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
    gate: &str,
) -> Result<Option<EvaluationRow>, StoreError> {
    let row = tx.query_one(&LATEST, &[scope.bind(), Value::text(project), gate.into()])?;
    row.as_ref().map(EvaluationRow::read).transpose()
}

/// The project's evaluations, newest first.
pub fn list(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
    limit: i64,
) -> Result<Vec<EvaluationRow>, StoreError> {
    let values = [scope.bind(), Value::text(project), limit.into()];
    read_all(tx.query(&LIST, &values)?, EvaluationRow::read)
}
