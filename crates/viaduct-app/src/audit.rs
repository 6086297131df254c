//! Audit entries, events and jobs, written in the transaction of what they tell of.

use serde_json::Value;
use viaduct_base::{AuditId, EventId, JobId, ProjectId, Timestamp};
use viaduct_domain::permission::{Caller, Who};
use viaduct_store::{StoreError, Tx, audit, event, job};

use crate::App;

/// A job is tried this often before it is parked.
const ATTEMPTS_MAX: i64 = 8;

/// What happened, to what.
pub(crate) struct Deed<'a> {
    /// Past tense with its noun: `review.signed`.
    pub(crate) action: &'static str,
    /// The kind of thing.
    pub(crate) object_kind: &'static str,
    /// Which one.
    pub(crate) object_id: &'a str,
    /// The project that it belongs to.
    pub(crate) project: Option<ProjectId>,
    /// What a reader of the trail needs; never a secret.
    pub(crate) detail: Value,
}

impl App {
    /// Writes the audit entry and the event of a deed.
    pub(crate) fn record(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        now: Timestamp,
        deed: &Deed<'_>,
    ) -> Result<(), StoreError> {
        let (actor_kind, actor_id) = match &caller.who {
            Who::Anonymous => ("anonymous", None),
            Who::User { id, .. } => ("user", Some(id.to_string())),
            Who::System => ("system", None),
        };
        let entry = audit::AuditRow {
            id: AuditId::new(now),
            workspace_id: caller.workspace,
            project_id: deed.project,
            at: now,
            clock: self.clock_word().to_owned(),
            actor_kind: actor_kind.to_owned(),
            actor_id,
            actor_name: caller.actor().to_owned(),
            action: deed.action.to_owned(),
            object_kind: deed.object_kind.to_owned(),
            object_id: deed.object_id.to_owned(),
            detail_json: deed.detail.to_string(),
        };
        audit::append(tx, &entry)?;
        let told = event::EventRow {
            id: EventId::new(now),
            workspace_id: caller.workspace,
            project_id: deed.project,
            kind: deed.action.to_owned(),
            object_id: deed.object_id.to_owned(),
            body_json: deed.detail.to_string(),
            made_at: now,
        };
        event::insert(tx, &told)
    }

    /// Writes a job that is due at once. Two of one `key` waiting at the same time are one.
    pub(crate) fn enqueue(
        &self,
        tx: &mut Tx,
        kind: &str,
        payload: &Value,
        key: &str,
    ) -> Result<JobId, StoreError> {
        // Why the machine's clock: leases and backoff never follow the simulated one.
        let now = Timestamp::from_system();
        let row = job::NewJob {
            id: JobId::new(now),
            workspace_id: self.workspace(),
            kind: kind.to_owned(),
            payload_json: payload.to_string(),
            dedupe_key: Some(key.to_owned()),
            created_at: now,
            run_at: now,
            attempts_max: ATTEMPTS_MAX,
        };
        job::enqueue(tx, &row)
    }
}
