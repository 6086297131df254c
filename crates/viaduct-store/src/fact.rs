//! Facts: measurements, append-only and chained.

use viaduct_base::{FactId, ProjectId, Timestamp, WorkspaceId};

use crate::chain::{self, ChainName, Chained};
use crate::columns::{columns, read_all};
use crate::{Row, Scope, StoreError, Tx, Value, statement};

columns! {
    /// A measurement.
    pub struct FactRow {
        /// Its id.
        id: FactId,
        /// Its workspace.
        workspace_id: WorkspaceId,
        /// Its project.
        project_id: ProjectId,
        /// Its name from the closed list.
        name: String,
        /// The kind of thing that was measured.
        subject_kind: String,
        /// Which thing was measured.
        subject_id: String,
        /// The value as the domain writes it: scalar, interval or flag.
        value_json: String,
        /// The value's unit.
        unit: String,
        /// How many cases stand behind it.
        n: Option<i64>,
        /// The first moment of what was measured.
        window_from: Option<Timestamp>,
        /// The last moment of what was measured.
        window_to: Option<Timestamp>,
        /// When it was measured.
        observed_at: Timestamp,
        /// The part of the platform that measured it.
        producer: String,
        /// The hash of what it was computed from.
        inputs_hash: String,
        /// `live`, `simulated` or `replayed`.
        provenance: String,
        /// What a reader must know beside the value.
        note: Option<String>,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO fact (id, workspace_id, project_id, name, subject_kind, subject_id, value_json, \
     unit, n, window_from, window_to, observed_at, producer, inputs_hash, provenance, note, \
     chain_seq, prev_hash, hash) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)"
);
statement!(FIND, scoped, "SELECT * FROM fact WHERE workspace_id = $1 AND id = $2");
// The inner query reads nothing but the index over name and subject.
statement!(
    LATEST,
    scoped,
    "SELECT * FROM fact WHERE workspace_id = $1 AND chain_seq IN \
     (SELECT max(chain_seq) FROM fact WHERE project_id = $2 \
     GROUP BY name, subject_kind, subject_id) ORDER BY name, chain_seq"
);
statement!(
    LATEST_OF,
    scoped,
    "SELECT * FROM fact WHERE workspace_id = $1 AND project_id = $2 AND name = $3 \
     AND subject_kind = $4 AND subject_id = $5 ORDER BY chain_seq DESC LIMIT 1"
);
statement!(
    LIST,
    scoped,
    "SELECT * FROM fact WHERE workspace_id = $1 AND project_id = $2 AND chain_seq < $3 \
     ORDER BY chain_seq DESC LIMIT $4"
);
statement!(
    LIST_NAMED,
    scoped,
    "SELECT * FROM fact WHERE workspace_id = $1 AND project_id = $2 AND name = $3 \
     AND chain_seq < $4 ORDER BY chain_seq DESC LIMIT $5"
);

/// Appends a fact to its chain.
pub fn append(tx: &mut Tx, row: &FactRow) -> Result<(), StoreError> {
    chain::append(tx, ChainName::Facts, &INSERT, FactRow::COLUMNS, row.values()).map(|_| ())
}

/// The fact of that id.
pub fn find(tx: &mut Tx, scope: &Scope, id: FactId) -> Result<Option<FactRow>, StoreError> {
    tx.query_one(&FIND, &[scope.bind(), Value::text(id)])?.as_ref().map(FactRow::read).transpose()
}

/// The latest fact of each name and subject: what a gate reads.
pub fn latest(tx: &mut Tx, scope: &Scope, project: ProjectId) -> Result<Vec<FactRow>, StoreError> {
    read_all(tx.query(&LATEST, &[scope.bind(), Value::text(project)])?, FactRow::read)
}

/// The latest fact of one name about one subject.
pub fn latest_of(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
    name: &str,
    subject_kind: &str,
    subject_id: &str,
) -> Result<Option<FactRow>, StoreError> {
    let values =
        [scope.bind(), Value::text(project), name.into(), subject_kind.into(), subject_id.into()];
    tx.query_one(&LATEST_OF, &values)?.as_ref().map(FactRow::read).transpose()
}

/// The project's facts, newest first, below position `before` (`None`: from the newest).
pub fn list(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Chained<FactRow>>, StoreError> {
    let before = before.unwrap_or(i64::MAX);
    let values = [scope.bind(), Value::text(project), before.into(), limit.into()];
    read_all(tx.query(&LIST, &values)?, read_chained)
}

/// As [`list`], of one name.
pub fn list_named(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
    name: &str,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Chained<FactRow>>, StoreError> {
    let before = before.unwrap_or(i64::MAX);
    let values = [scope.bind(), Value::text(project), name.into(), before.into(), limit.into()];
    read_all(tx.query(&LIST_NAMED, &values)?, read_chained)
}

fn read_chained(row: &Row) -> Result<Chained<FactRow>, StoreError> {
    Chained::read(row, FactRow::read)
}
