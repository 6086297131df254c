//! Asks for work now and waits for it: measuring a project, training a model again.

use std::time::Duration;

use serde_json::{Value, json};
use viaduct_base::{Error, JobId, Kind, Refusal};
use viaduct_domain::fact::Fact;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::job::{self, JobRow};

use crate::App;
use crate::audit::Deed;
use crate::project::load;

/// Between two looks at a job.
const POLL: Duration = Duration::from_millis(5);
/// How long a request waits for its job; the job goes on by itself.
const PATIENCE: Duration = Duration::from_secs(900);

impl App {
    /// Measures every fact of a project now; answers with the project's latest facts.
    ///
    /// # Errors
    /// `not-found`; what the collectors failed with.
    pub async fn collect_facts(&self, caller: &Caller, name: &str) -> Result<Vec<Fact>, Error> {
        let scope = self.authorise(caller, Operation::CollectFacts)?;
        let (app, asked) = (self.clone(), name.to_owned());
        let id = self
            .store()
            .write("enqueue_measure", move |tx| -> Result<JobId, Error> {
                let id = load(tx, &scope, &asked)?.id;
                let payload = json!({ "project": id });
                Ok(app.enqueue(tx, "measure_project", &payload, &format!("measure:{id}"))?)
            })
            .await?;
        self.wait_for_job(id).await?;
        self.latest_facts(caller, name).await
    }

    /// Trains the project's bound model again in a clean place (M2), asked for by a member of the
    /// project; answers when it is done.
    ///
    /// # Errors
    /// A caller whom the charter does not name; no interpreter configured; `not-found`.
    pub async fn reproduce_model(&self, caller: &Caller, name: &str) -> Result<Vec<Fact>, Error> {
        let scope = self.authorise(caller, Operation::ReproduceModel)?;
        if self.settings().reproduce.is_none() {
            return Err(Refusal::new(
                Kind::InvalidInput,
                "no interpreter may rerun trainings here: set `[reproduce] python = \"/path/to/python\"` in the configuration",
            )
            .into());
        }
        let (app, caller_, asked, now) =
            (self.clone(), caller.clone(), name.to_owned(), self.now());
        let id = self
            .store()
            .write("enqueue_reproduce", move |tx| -> Result<JobId, Error> {
                let project = load(tx, &scope, &asked)?;
                let by = caller_.user_name().unwrap_or_default();
                if !project.spec.charter.people().any(|(_, person)| person.as_str() == by) {
                    let detail = format!(
                        "`{by}` is not a member of `{asked}`: code that a run carries is run for its own people only"
                    );
                    return Err(Refusal::new(Kind::Forbidden, detail).into());
                }
                let deed = Deed {
                    action: "model.reproduction_asked",
                    object_kind: "project",
                    object_id: &project.id.to_string(),
                    project: Some(project.id),
                    detail: json!({}),
                };
                app.record(tx, &caller_, now, &deed)?;
                let payload: Value = json!({ "project": project.id, "asked_by": by });
                let key = format!("reproduce:{}", project.id);
                Ok(app.enqueue(tx, "reproduce_model", &payload, &key)?)
            })
            .await?;
        self.wait_for_job(id).await?;
        self.latest_facts(caller, name).await
    }

    async fn latest_facts(&self, caller: &Caller, name: &str) -> Result<Vec<Fact>, Error> {
        let scope = self.authorise(caller, Operation::ReadProject)?;
        let name = name.to_owned();
        self.store()
            .read("latest_facts", move |tx| {
                let project = load(tx, &scope, &name)?;
                let rows = viaduct_store::fact::latest(tx, &scope, project.id)?;
                rows.into_iter().map(crate::gate::read_fact).collect()
            })
            .await
    }

    /// Rings and waits until the job has ended.
    async fn wait_for_job(&self, id: JobId) -> Result<(), Error> {
        self.ring();
        let started = tokio::time::Instant::now();
        while started.elapsed() < PATIENCE {
            let row = self.store().read("find_job", move |tx| job::find(tx, id)).await;
            let row: Option<JobRow> = row.map_err(Error::from)?;
            let Some(row) = row else { return Ok(()) };
            if row.completed_at.is_some() {
                return Ok(());
            }
            if row.parked_at.is_some() || (row.attempts > 0 && row.last_error.is_some()) {
                let why = row.last_error.unwrap_or_else(|| "it was parked".to_owned());
                return Err(Refusal::new(Kind::InvalidInput, why).into());
            }
            tokio::time::sleep(POLL).await;
        }
        let detail = format!("job `{id}` still runs: look at it later");
        Err(Refusal::new(Kind::DeadlinePassed, detail).into())
    }

    /// Jobs, latest first, and how many wait, run, and are parked.
    ///
    /// # Errors
    /// The table's refusal; a database that does not answer.
    pub async fn list_jobs(&self, caller: &Caller) -> Result<(Vec<JobRow>, job::Counts), Error> {
        self.authorise(caller, Operation::ReadJobs)?;
        self.store()
            .read("list_jobs", |tx| -> Result<_, Error> {
                Ok((job::list(tx, 200)?, job::counts(tx)?))
            })
            .await
    }

    /// The audit trail, newest first.
    ///
    /// # Errors
    /// The table's refusal; a database that does not answer.
    pub async fn list_audit(
        &self,
        caller: &Caller,
        project: Option<String>,
        limit: i64,
    ) -> Result<Vec<viaduct_store::chain::Chained<viaduct_store::audit::AuditRow>>, Error> {
        let scope = self.authorise(caller, Operation::ReadAudit)?;
        self.store()
            .read("list_audit", move |tx| -> Result<_, Error> {
                Ok(match &project {
                    Some(name) => {
                        let id = load(tx, &scope, name)?.id;
                        viaduct_store::audit::list_by_project(tx, &scope, id, None, limit)?
                    }
                    None => viaduct_store::audit::list(tx, &scope, None, limit)?,
                })
            })
            .await
    }
}
