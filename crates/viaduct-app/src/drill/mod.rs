//! Drills: done on the live endpoint in a way that no caller notices, with a truthful report.
//!
//! Their requests are replays of what was asked lately, marked as such: no evidence of live traffic
//! counts them. A drill that cannot be done is a drill that did not pass.

mod facts;
mod run;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use viaduct_base::{DrillId, Error, Fault, Timestamp};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::endpoint::{self, EndpointRow};
use viaduct_store::serving::{self, DrillRow};

use crate::App;
use crate::audit::Deed;
use crate::endpoint::no_endpoint;

/// Reports in a list.
const LIST_MAX: i64 = 100;

/// Which drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrillKind {
    /// A request with one column renamed is stopped at the contract, and an alert is raised.
    SchemaChange,
    /// A shadow rollout is started and rolled back, and the time is taken.
    Rollback,
    /// The model is taken away from the drill's requests, and the fallback answers.
    Fallback,
}

impl DrillKind {
    /// The word in addresses and commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            DrillKind::SchemaChange => "schema-change",
            DrillKind::Rollback => "rollback",
            DrillKind::Fallback => "fallback",
        }
    }
}

/// One thing that had to happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What had to happen.
    pub what: String,
    /// Whether it did.
    pub passed: bool,
    /// What was seen.
    pub seen: String,
}

impl Check {
    fn new(what: &str, passed: bool, seen: impl Into<String>) -> Self {
        Self { what: what.to_owned(), passed, seen: seen.into() }
    }
}

/// What a drill found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found {
    checks: Vec<Check>,
    requests: u64,
    answered: u64,
    seconds: f64,
    note: Option<String>,
}

/// A drill's report.
#[derive(Debug, Clone, Serialize)]
pub struct DrillView {
    /// Its id.
    pub id: DrillId,
    /// The endpoint.
    pub endpoint: String,
    /// Which drill.
    pub kind: String,
    /// Whether everything happened as it must.
    pub passed: bool,
    /// Who ran it.
    pub run_by: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Seconds that what was drilled took.
    pub seconds: f64,
    /// Requests sent.
    pub requests: u64,
    /// Requests that got an answer.
    pub answered: u64,
    /// What had to happen, and whether it did.
    pub checks: Vec<Check>,
    /// Names of the facts that were written.
    pub facts: Vec<String>,
    /// What a reader should know.
    pub note: Option<String>,
}

impl App {
    /// Runs a drill, stores its report, and writes its facts where a project owns the endpoint.
    ///
    /// # Errors
    /// `not-found`; `conflict` where the drill cannot be done now.
    pub async fn run_drill(
        &self,
        caller: &Caller,
        name: &str,
        kind: DrillKind,
    ) -> Result<DrillView, Error> {
        self.authorise(caller, Operation::RunDrill)?;
        let row = self.endpoint_row(caller, name).await?;
        let started_at = self.now();
        let found = match kind {
            DrillKind::SchemaChange => self.drill_schema_change(&row).await?,
            DrillKind::Rollback => self.drill_rollback(&row).await?,
            DrillKind::Fallback => self.drill_fallback(&row).await?,
        };
        let facts = self.write_drill_facts(caller, &row, kind, &found).await?;
        let passed = found.checks.iter().all(|check| check.passed);
        let stored = DrillRow {
            id: DrillId::new(started_at),
            workspace_id: self.workspace(),
            endpoint_id: row.id,
            project_id: row.project_id,
            kind: kind.as_str().to_owned(),
            run_by: caller.actor().to_owned(),
            started_at,
            ended_at: self.now(),
            passed,
            report_json: serde_json::to_string(&(&found, &facts))
                .map_err(|e| Fault::caused("write a report", e))?,
        };
        let (app, by, put, endpoint_name) =
            (self.clone(), caller.clone(), stored.clone(), row.name.clone());
        self.store()
            .write("put_drill", move |tx| -> Result<(), Error> {
                serving::put_drill(tx, &put)?;
                let deed = Deed {
                    action: "drill.run",
                    object_kind: "drill",
                    object_id: &put.id.to_string(),
                    project: put.project_id,
                    detail: serde_json::json!({ "endpoint": endpoint_name, "kind": put.kind,
                        "passed": put.passed }),
                };
                Ok(app.record(tx, &by, put.started_at, &deed)?)
            })
            .await?;
        view(stored, &row.name)
    }

    /// The drills of an endpoint, latest first.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn list_drills(&self, caller: &Caller, name: &str) -> Result<Vec<DrillView>, Error> {
        let scope = self.authorise(caller, Operation::ReadEndpoint)?;
        let row = self.endpoint_row(caller, name).await?;
        let id = row.id;
        let rows =
            self.store().read("list_drills", move |tx| serving::drills(tx, &scope, id, LIST_MAX));
        rows.await.map_err(Error::from)?.into_iter().map(|drill| view(drill, &row.name)).collect()
    }

    async fn endpoint_row(&self, caller: &Caller, name: &str) -> Result<EndpointRow, Error> {
        let scope = self.authorise(caller, Operation::ReadEndpoint)?;
        let find = name.to_owned();
        let found =
            self.store().read("find_endpoint", move |tx| endpoint::find_by_name(tx, &scope, &find));
        Ok(found.await.map_err(Error::from)?.ok_or_else(|| no_endpoint(name))?)
    }
}

fn view(row: DrillRow, endpoint: &str) -> Result<DrillView, Error> {
    let damaged = |e| Fault::caused(format!("drill `{}`: its report", row.id), e);
    let (found, facts): (Found, Vec<String>) =
        serde_json::from_str::<(Found, Value)>(&row.report_json)
            .map(|(found, facts)| (found, serde_json::from_value(facts).unwrap_or_default()))
            .map_err(damaged)?;
    Ok(DrillView {
        id: row.id,
        endpoint: endpoint.to_owned(),
        kind: row.kind,
        passed: row.passed,
        run_by: row.run_by,
        started_at: row.started_at,
        ended_at: row.ended_at,
        seconds: found.seconds,
        requests: found.requests,
        answered: found.answered,
        checks: found.checks,
        facts,
        note: found.note,
    })
}
