//! The queue: jobs claimed with a lease, repeated with growing pauses, parked when hopeless.
//!
//! All times here are the machine's: leases and pauses do not follow a simulated clock.

use viaduct_base::{JobId, Span, Timestamp, WorkspaceId};

use crate::columns::{columns, read_all};
use crate::{StoreError, Tx, Value, statement};

/// The first pause; each further one is twice as long.
const PAUSE_MIN: Span = Span::seconds(1);
const PAUSE_MAX: Span = Span::minutes(10);

columns! {
    /// A job to be added.
    pub struct NewJob {
        /// Its id.
        id: JobId,
        /// Its workspace.
        workspace_id: WorkspaceId,
        /// What to do, as an imperative: `evaluate_gate`.
        kind: String,
        /// To what, as JSON: small, ids only.
        payload_json: String,
        /// Jobs with the same key are one job as long as it is neither completed nor parked.
        dedupe_key: Option<String>,
        /// When it was added.
        created_at: Timestamp,
        /// When it may run.
        run_at: Timestamp,
        /// After how many tries it is parked.
        attempts_max: i64,
    }
}

columns! {
    /// A job.
    pub struct JobRow {
        /// Its id.
        id: JobId,
        /// Its workspace.
        workspace_id: WorkspaceId,
        /// What to do.
        kind: String,
        /// To what, as JSON.
        payload_json: String,
        /// The key that makes it one of a kind.
        dedupe_key: Option<String>,
        /// When it was added.
        created_at: Timestamp,
        /// When it may run, or run again.
        run_at: Timestamp,
        /// Tries so far, the running one included.
        attempts: i64,
        /// After how many tries it is parked.
        attempts_max: i64,
        /// Until when a worker has it.
        lease_until: Option<Timestamp>,
        /// What the last try failed with.
        last_error: Option<String>,
        /// When it was completed.
        completed_at: Option<Timestamp>,
        /// When it was parked.
        parked_at: Option<Timestamp>,
    }
}

statement!(
    ENQUEUE,
    platform,
    "INSERT INTO job (id, workspace_id, kind, payload_json, dedupe_key, created_at, run_at, \
     attempts_max) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
     ON CONFLICT (dedupe_key) WHERE completed_at IS NULL AND parked_at IS NULL \
     DO UPDATE SET again = CASE WHEN job.lease_token IS NULL THEN job.again ELSE 1 END, \
     run_at = CASE WHEN excluded.run_at < job.run_at THEN excluded.run_at ELSE job.run_at END \
     RETURNING id"
);
// As in the outbox: the condition stands outside too, for a row changed by another claimer.
statement!(
    CLAIM,
    platform,
    "UPDATE job SET lease_token = $1, lease_until = $3, attempts = attempts + 1 WHERE id IN \
     (SELECT id FROM job WHERE completed_at IS NULL AND parked_at IS NULL AND run_at <= $2 \
     AND (lease_until IS NULL OR lease_until < $2) AND attempts < attempts_max \
     ORDER BY run_at, id LIMIT $4) \
     AND completed_at IS NULL AND parked_at IS NULL \
     AND (lease_until IS NULL OR lease_until < $2) RETURNING *"
);
// A job whose last try ended with its worker's death.
statement!(
    PARK_LAPSED,
    platform,
    "UPDATE job SET parked_at = $1, lease_token = NULL, lease_until = NULL, \
     last_error = 'its worker died or ran out of time' \
     WHERE completed_at IS NULL AND parked_at IS NULL AND lease_until < $1 \
     AND attempts >= attempts_max"
);
statement!(EXTEND, platform, "UPDATE job SET lease_until = $3 WHERE id = $1 AND lease_token = $2");
// Asked for again while it ran: it goes back into the queue as if new.
statement!(
    COMPLETE,
    platform,
    "UPDATE job SET completed_at = CASE WHEN again = 1 THEN NULL ELSE CAST($3 AS BIGINT) END, \
     attempts = CASE WHEN again = 1 THEN 0 ELSE attempts END, run_at = $3, again = 0, \
     lease_token = NULL, lease_until = NULL, last_error = NULL \
     WHERE id = $1 AND lease_token = $2"
);
statement!(FIND_LEASED, platform, "SELECT * FROM job WHERE id = $1 AND lease_token = $2");
statement!(
    RETRY,
    platform,
    "UPDATE job SET run_at = $3, last_error = $4, lease_token = NULL, lease_until = NULL \
     WHERE id = $1 AND lease_token = $2"
);
statement!(
    PARK,
    platform,
    "UPDATE job SET parked_at = $3, last_error = $4, lease_token = NULL, lease_until = NULL \
     WHERE id = $1 AND lease_token = $2"
);
statement!(
    LIST_PARKED,
    platform,
    "SELECT * FROM job WHERE parked_at IS NOT NULL ORDER BY parked_at, id"
);
statement!(LIST, platform, "SELECT * FROM job ORDER BY created_at DESC, id DESC LIMIT $1");
// A parked job whose key is in the queue again has been overtaken and stays parked.
statement!(
    UNPARK,
    platform,
    "UPDATE job SET parked_at = NULL, attempts = 0, run_at = $2 \
     WHERE id = $1 AND parked_at IS NOT NULL AND NOT EXISTS \
     (SELECT 1 FROM job o WHERE o.dedupe_key = job.dedupe_key \
     AND o.completed_at IS NULL AND o.parked_at IS NULL)"
);
statement!(
    COUNTS,
    platform,
    "SELECT count(CASE WHEN parked_at IS NULL AND lease_token IS NULL THEN 1 END) AS waiting, \
     count(CASE WHEN parked_at IS NULL AND lease_token IS NOT NULL THEN 1 END) AS running, \
     count(CASE WHEN parked_at IS NOT NULL THEN 1 END) AS parked \
     FROM job WHERE completed_at IS NULL"
);
// A job that waits for its next try is not due; leases and tries follow the machine's clock.
statement!(
    PENDING,
    platform,
    "SELECT count(*) AS pending FROM job WHERE completed_at IS NULL AND parked_at IS NULL \
     AND (lease_token IS NOT NULL OR run_at <= $1)"
);
statement!(DELETE_COMPLETED, platform, "DELETE FROM job WHERE completed_at < $1");

/// Adds a job, or joins the one with its key; answers the id of the one that will run.
///
/// A job that is running when it is asked for again runs once more afterwards.
pub fn enqueue(tx: &mut Tx, row: &NewJob) -> Result<JobId, StoreError> {
    let answer = tx.query_one(&ENQUEUE, &row.values())?;
    answer.map_or(Ok(row.id), |answer| answer.parse("id"))
}

statement!(FIND, platform, "SELECT * FROM job WHERE id = $1");

/// The job with that id, in whatever state.
pub fn find(tx: &mut Tx, id: JobId) -> Result<Option<JobRow>, StoreError> {
    tx.query_one(&FIND, &[Value::text(id)])?.as_ref().map(JobRow::read).transpose()
}

/// Takes up to `limit` due jobs for `token` until `until`; parks those that died too often.
pub fn claim(
    tx: &mut Tx,
    token: &str,
    now: Timestamp,
    until: Timestamp,
    limit: i64,
) -> Result<Vec<JobRow>, StoreError> {
    tx.execute(&PARK_LAPSED, &[now.into()])?;
    let values = [token.into(), now.into(), until.into(), limit.into()];
    let mut rows = read_all(tx.query(&CLAIM, &values)?, JobRow::read)?;
    rows.sort_by_key(|row| (row.run_at, row.id));
    Ok(rows)
}

/// Keeps a job longer; `false` when somebody else has it by now.
pub fn extend(tx: &mut Tx, id: JobId, token: &str, until: Timestamp) -> Result<bool, StoreError> {
    tx.execute(&EXTEND, &[Value::text(id), token.into(), until.into()]).map(|n| n == 1)
}

/// Marks a job as done; `false` when somebody else has it by now, whose result counts.
pub fn complete(tx: &mut Tx, id: JobId, token: &str, now: Timestamp) -> Result<bool, StoreError> {
    tx.execute(&COMPLETE, &[Value::text(id), token.into(), now.into()]).map(|n| n == 1)
}

/// What became of a failed try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// It runs again at that moment.
    Again(Timestamp),
    /// It tried often enough and waits for a person.
    Parked,
    /// Somebody else has it by now.
    NotYours,
}

/// Notes a failed try that may succeed later: again after a pause, or parked after the last one.
pub fn retry(
    tx: &mut Tx,
    id: JobId,
    token: &str,
    error: &str,
    now: Timestamp,
) -> Result<Failed, StoreError> {
    let row = tx.query_one(&FIND_LEASED, &[Value::text(id), token.into()])?;
    let Some(row) = row.as_ref().map(JobRow::read).transpose()? else {
        return Ok(Failed::NotYours);
    };
    if row.attempts >= row.attempts_max {
        return park(tx, id, token, error, now);
    }
    let at = now + pause(row.attempts);
    let values = [Value::text(id), token.into(), at.into(), error.into()];
    let touched = tx.execute(&RETRY, &values)?;
    Ok(if touched == 1 { Failed::Again(at) } else { Failed::NotYours })
}

/// Notes a failure that no repetition mends.
pub fn park(
    tx: &mut Tx,
    id: JobId,
    token: &str,
    error: &str,
    now: Timestamp,
) -> Result<Failed, StoreError> {
    let values = [Value::text(id), token.into(), now.into(), error.into()];
    let touched = tx.execute(&PARK, &values)?;
    Ok(if touched == 1 { Failed::Parked } else { Failed::NotYours })
}

/// Doubles with every try, with a fifth of chance so that failed ones do not march in step.
fn pause(attempts: i64) -> Span {
    let doublings = (attempts - 1).clamp(0, 20) as u32;
    let plain = PAUSE_MIN.as_micros().saturating_mul(1 << doublings).min(PAUSE_MAX.as_micros());
    Span::micros((plain as f64 * rand::random_range(0.8..1.2)) as i64)
}

/// Parked jobs of all workspaces, oldest first.
pub fn list_parked(tx: &mut Tx) -> Result<Vec<JobRow>, StoreError> {
    read_all(tx.query(&LIST_PARKED, &[])?, JobRow::read)
}

/// The newest jobs of all workspaces, whatever became of them.
pub fn list(tx: &mut Tx, limit: i64) -> Result<Vec<JobRow>, StoreError> {
    read_all(tx.query(&LIST, &[limit.into()])?, JobRow::read)
}

/// Puts a parked job back; `false` when it is not parked or was overtaken by a newer one.
pub fn unpark(tx: &mut Tx, id: JobId, now: Timestamp) -> Result<bool, StoreError> {
    tx.execute(&UNPARK, &[Value::text(id), now.into()]).map(|n| n == 1)
}

/// How many jobs are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the queue, due or not yet.
    pub waiting: i64,
    /// In a worker's hands.
    pub running: i64,
    /// Waiting for a person.
    pub parked: i64,
}

impl Counts {
    /// Whether nothing is left to do without a person.
    pub fn is_quiet(&self) -> bool {
        self.waiting == 0 && self.running == 0
    }
}

/// How many jobs are where, completed ones left out.
pub fn counts(tx: &mut Tx) -> Result<Counts, StoreError> {
    let Some(row) = tx.query_one(&COUNTS, &[])? else { return Ok(Counts::default()) };
    Ok(Counts {
        waiting: row.int("waiting")?,
        running: row.int("running")?,
        parked: row.int("parked")?,
    })
}

/// How many jobs run or are due at `now`; those that wait for their next try are left out.
pub fn pending(tx: &mut Tx, now: Timestamp) -> Result<i64, StoreError> {
    let row = tx.query_one(&PENDING, &[now.into()])?;
    row.map_or(Ok(0), |row| row.int("pending"))
}

/// Forgets jobs completed before `before`.
pub fn delete_completed(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    tx.execute(&DELETE_COMPLETED, &[before.into()])
}
