//! Schedules: what comes due again and again. They follow the server's clock, simulated or not.

use viaduct_base::{ProjectId, Span, Timestamp, WorkspaceId};

use crate::columns::{columns, read_all};
use crate::{StoreError, Tx, Value, statement};

columns! {
    /// A schedule.
    pub struct ScheduleRow {
        /// Its name: `collect_facts:prj_…`.
        name: String,
        /// Its workspace.
        workspace_id: WorkspaceId,
        /// The project it serves.
        project_id: Option<ProjectId>,
        /// The kind of job it makes.
        kind: String,
        /// The payload of that job as JSON.
        payload_json: String,
        /// How often.
        every: Span,
        /// When it is due next.
        next_due: Timestamp,
        /// When it was due last.
        last_due: Option<Timestamp>,
    }
}

// Declared again, a schedule keeps its next moment.
statement!(
    PUT,
    platform,
    "INSERT INTO schedule (name, workspace_id, project_id, kind, payload_json, every, next_due, \
     last_due) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
     ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, payload_json = excluded.payload_json, \
     every = excluded.every"
);
statement!(
    LIST_DUE,
    platform,
    "SELECT * FROM schedule WHERE next_due <= $1 ORDER BY next_due, name"
);
statement!(LIST, platform, "SELECT * FROM schedule ORDER BY next_due, name");
statement!(NEXT, platform, "SELECT min(next_due) AS next_due FROM schedule");
statement!(
    ADVANCE,
    platform,
    "UPDATE schedule SET last_due = next_due, next_due = $3 WHERE name = $1 AND next_due = $2"
);
statement!(DELETE, platform, "DELETE FROM schedule WHERE name = $1");
statement!(DELETE_BY_PROJECT, platform, "DELETE FROM schedule WHERE project_id = $1");

/// Declares a schedule; one of that name keeps its next moment.
pub fn put(tx: &mut Tx, row: &ScheduleRow) -> Result<(), StoreError> {
    tx.execute(&PUT, &row.values()).map(|_| ())
}

/// The schedules that are due, in order.
pub fn list_due(tx: &mut Tx, now: Timestamp) -> Result<Vec<ScheduleRow>, StoreError> {
    read_all(tx.query(&LIST_DUE, &[now.into()])?, ScheduleRow::read)
}

/// All schedules in the order of their next moments.
pub fn list(tx: &mut Tx) -> Result<Vec<ScheduleRow>, StoreError> {
    read_all(tx.query(&LIST, &[])?, ScheduleRow::read)
}

/// The nearest moment at which something is due.
pub fn next_due(tx: &mut Tx) -> Result<Option<Timestamp>, StoreError> {
    tx.query_one(&NEXT, &[])?.map_or(Ok(None), |row| row.opt_time("next_due"))
}

/// Moves a schedule on from `due`, in the transaction that enqueues its job; `false` when somebody
/// else did.
pub fn advance(
    tx: &mut Tx,
    name: &str,
    due: Timestamp,
    next: Timestamp,
) -> Result<bool, StoreError> {
    tx.execute(&ADVANCE, &[name.into(), due.into(), next.into()]).map(|n| n == 1)
}

/// Forgets a schedule.
pub fn delete(tx: &mut Tx, name: &str) -> Result<bool, StoreError> {
    tx.execute(&DELETE, &[name.into()]).map(|n| n == 1)
}

/// Forgets the schedules of a project.
pub fn delete_by_project(tx: &mut Tx, project: ProjectId) -> Result<u64, StoreError> {
    tx.execute(&DELETE_BY_PROJECT, &[Value::text(project)])
}
