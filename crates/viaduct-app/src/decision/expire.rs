//! Takes rows and inputs out of the decision log that are older than they may be: told first.

use std::sync::OnceLock;

use serde::Serialize;
use serde_json::json;
use viaduct_base::{EndpointId, Error, Fault, Kind, Refusal, Span, Timestamp};
use viaduct_decisions::Expiry;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::schedule::{self, ScheduleRow};
use viaduct_store::{Scope, StoreError, Tx, endpoint, trial};

use crate::App;
use crate::audit::Deed;
use crate::clock::DAILY_AT;

/// Rows of a project's endpoint that its facts are measured on: no younger ones go.
const EVIDENCE: Span = Span::days(90);

/// The schedule, and the kind of its job.
const DAILY: &str = "expire_decisions";

/// How long the decision log keeps what; without a span, for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DecisionRetention {
    /// Rows: decisions, refused requests, what challengers said.
    pub rows: Option<Span>,
    /// Inputs of decisions.
    pub inputs: Option<Span>,
}

/// The installation's retention: for ever until told otherwise.
#[derive(Debug, Default)]
pub(crate) struct DecisionRetentionCell(OnceLock<DecisionRetention>);

/// What may go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpiryRequest {
    /// Of this endpoint alone.
    pub endpoint: Option<String>,
    /// Rows that are older: decisions, refused requests, what challengers said.
    pub rows_older_than: Option<Span>,
    /// Inputs of decisions that are older.
    pub inputs_older_than: Option<Span>,
    /// Only tell what would go.
    pub dry_run: bool,
}

/// What went, or would go, of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expired {
    /// Its name; its id when it was deleted.
    pub endpoint: String,
    #[serde(skip)]
    id: EndpointId,
    /// Decisions that go.
    pub decisions: u64,
    /// Refused requests that go.
    pub refused: u64,
    /// Rows of challengers that go.
    pub beside: u64,
    /// Decisions that stay and lose their inputs.
    pub inputs: u64,
    /// Places that could not be read; they go with the segment that they stand in.
    pub damaged: u64,
    /// The first moment of what goes.
    pub first: Option<Timestamp>,
    /// The last one.
    pub last: Option<Timestamp>,
    /// Why younger rows stay than was asked for.
    pub kept: Option<String>,
}

/// What went, or would go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpiryReport {
    /// Whether nothing was touched.
    pub dry_run: bool,
    /// By endpoint; those of which nothing goes and nothing is kept are left out.
    pub endpoints: Vec<Expired>,
    /// Segments of the log that were written again.
    pub segments: u64,
}

/// An endpoint with what may go of it.
struct Plan {
    name: String,
    expiry: Expiry,
    kept: Option<String>,
}

impl App {
    /// Says how long the decision log keeps what; once, before the worker starts.
    pub fn set_decision_retention(&self, retention: DecisionRetention) {
        // Why ignored: the first word counts.
        let _ = self.decision_retention.0.set(retention);
    }

    fn decision_retention(&self) -> DecisionRetention {
        *self.decision_retention.0.get_or_init(DecisionRetention::default)
    }

    /// Puts the daily expiry on the schedule, or takes it off where everything is kept.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn schedule_expiry(&self) -> Result<(), Error> {
        let row = ScheduleRow {
            name: DAILY.to_owned(),
            workspace_id: self.workspace(),
            project_id: None,
            kind: DAILY.to_owned(),
            payload_json: "{}".to_owned(),
            every: Span::days(1),
            next_due: self.now().day().plus(1).start() + DAILY_AT,
            last_due: None,
        };
        let is_wanted = self.decision_retention() != DecisionRetention::default();
        self.store()
            .write("schedule_expiry", move |tx| -> Result<(), StoreError> {
                match is_wanted {
                    true => schedule::put(tx, &row),
                    false => schedule::delete(tx, DAILY).map(drop),
                }
            })
            .await
            .map_err(Error::from)
    }

    /// Takes away what is older than the installation keeps it.
    ///
    /// # Errors
    /// As [`App::expire_decisions`].
    pub async fn expire_kept_decisions(&self) -> Result<(), Error> {
        // Why no word: the configuration changed after the job was made.
        if self.decision_retention() == DecisionRetention::default() {
            return Ok(());
        }
        let request = ExpiryRequest::default();
        let report = self.expire_decisions(&self.system(), request).await?;
        let went = |one: &&Expired| one.decisions + one.refused + one.beside + one.inputs > 0;
        for gone in report.endpoints.iter().filter(went) {
            tracing::info!(
                endpoint = %gone.endpoint, decisions = gone.decisions, refused = gone.refused,
                beside = gone.beside, inputs = gone.inputs, kept = gone.kept.as_deref(),
                "old decisions are gone"
            );
        }
        Ok(())
    }

    /// Takes away rows and inputs that are older than asked, else older than the installation keeps
    /// them, or tells what would go. Rows that a project's evidence stands on stay. Asking again
    /// ends what was cut off.
    ///
    /// # Errors
    /// `not-found` for the endpoint; `invalid-input` without an age, or with one that is none; a
    /// disk without the room of one segment.
    pub async fn expire_decisions(
        &self,
        caller: &Caller,
        mut request: ExpiryRequest,
    ) -> Result<ExpiryReport, Error> {
        let scope = self.authorise(caller, Operation::CollectGarbage)?;
        if request.rows_older_than.is_none() && request.inputs_older_than.is_none() {
            let kept = self.decision_retention();
            (request.rows_older_than, request.inputs_older_than) = (kept.rows, kept.inputs);
        }
        let ages = [
            ("rows_older_than", request.rows_older_than),
            ("inputs_older_than", request.inputs_older_than),
        ];
        for (name, age) in ages {
            if let Some(age) = age.filter(|age| age.as_micros() < 0) {
                let detail = format!("`{name}` is `{age}`: an age is not negative, as in `P400D`");
                return Err(Refusal::new(Kind::InvalidInput, detail).into());
            }
        }
        if ages.iter().all(|(_, age)| age.is_none()) {
            let detail = "nothing says how old is too old: give `rows_older_than`, \
                          `inputs_older_than` or both, as in `P400D`, or configure \
                          `decisions.keep_rows` and `decisions.keep_inputs`";
            return Err(Refusal::new(Kind::InvalidInput, detail).into());
        }
        let only = match &request.endpoint {
            Some(name) => Some(self.get_endpoint(caller, name).await?.id),
            None => None,
        };
        let dry_run = request.dry_run;
        let (log, now) = (self.decisions().clone(), self.now());
        let ids = tokio::task::spawn_blocking(move || log.endpoints());
        let ids = ids.await.map_err(|e| Fault::caused("read the decision log", e))?;
        let ids: Vec<_> = ids.into_iter().filter(|id| only.is_none_or(|one| one == *id)).collect();
        let plans = self
            .store()
            .read("plan_expiry", move |tx| plan(tx, &scope, &ids, &request, now))
            .await?;
        let mut report = ExpiryReport { dry_run, endpoints: Vec::new(), segments: 0 };
        for plan in plans {
            let log = self.decisions().clone();
            let work = move || {
                let found = log.expiring(&plan.expiry)?;
                let goes = !dry_run && !found.is_empty();
                let done = if goes { log.expire(&plan.expiry)? } else { Default::default() };
                Ok::<_, Error>((plan, found, done.segments))
            };
            let done = tokio::task::spawn_blocking(work).await;
            let (plan, found, segments) = done.map_err(|e| Fault::caused("expire rows", e))??;
            if found.is_empty() && plan.kept.is_none() {
                continue;
            }
            let expired = Expired {
                endpoint: plan.name,
                id: plan.expiry.endpoint,
                decisions: found.decisions,
                refused: found.refused,
                beside: found.beside,
                inputs: found.inputs,
                damaged: found.damaged,
                first: found.first,
                last: found.last,
                kept: plan.kept,
            };
            if !dry_run && !found.is_empty() {
                self.note_expired(caller, &expired, now).await?;
            }
            report.segments += segments;
            report.endpoints.push(expired);
        }
        Ok(report)
    }

    async fn note_expired(
        &self,
        caller: &Caller,
        expired: &Expired,
        at: Timestamp,
    ) -> Result<(), Error> {
        let (app, caller, id) = (self.clone(), caller.clone(), expired.id);
        let detail = json!({
            "endpoint": expired.endpoint, "decisions": expired.decisions,
            "refused": expired.refused, "beside": expired.beside, "inputs": expired.inputs,
            "damaged": expired.damaged, "first": expired.first, "last": expired.last,
        });
        self.store()
            .write("decisions_expired", move |tx| -> Result<(), Error> {
                let deed = Deed {
                    action: "decisions.expired",
                    object_kind: "endpoint",
                    object_id: &id.to_string(),
                    project: None,
                    detail: detail.clone(),
                };
                Ok(app.record(tx, &caller, at, &deed)?)
            })
            .await
    }
}

fn plan(
    tx: &mut Tx,
    scope: &Scope,
    ids: &[EndpointId],
    request: &ExpiryRequest,
    now: Timestamp,
) -> Result<Vec<Plan>, Error> {
    let known = endpoint::list(tx, scope)?;
    let trials = trial::list_all(tx)?;
    let ago = |span: Span| Timestamp::from_micros(now.as_micros().saturating_sub(span.as_micros()));
    let plans = ids.iter().map(|id| {
        let row = known.iter().find(|row| row.id == *id);
        let mut rows_before = request.rows_older_than.map(ago);
        let mut kept = None;
        if let (Some(before), true) = (rows_before, row.is_some_and(|r| r.project_id.is_some())) {
            let running = trials.iter().filter(|t| t.endpoint_id == *id && now < t.looks_at);
            let trial = running.map(|trial| trial.starts_at).min();
            let since = trial.map_or(ago(EVIDENCE), |at| at.min(ago(EVIDENCE)));
            if since < before {
                rows_before = Some(since);
                let of = if trial == Some(since) { "its trial" } else { "its project's facts" };
                kept = Some(format!("rows since {since} stay: {of} stand on them"));
            }
        }
        let start = Timestamp::from_micros(i64::MIN);
        let inputs = request.inputs_older_than.map(|span| (start, ago(span)));
        let name = row.map_or_else(|| id.to_string(), |row| row.name.clone());
        Plan { name, expiry: Expiry { endpoint: *id, rows_before, inputs }, kept }
    });
    Ok(plans.collect())
}
