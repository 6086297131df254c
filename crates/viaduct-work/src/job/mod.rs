//! The jobs, by kind.

mod ground;
mod measure_project;
mod model_evidence;
mod parity;
mod reproduce_model;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::Value;
use viaduct_app::App;
use viaduct_app::mlflow::Undelivered;
use viaduct_base::{Error, ProjectId};

use crate::measure::ModelEvidence;

/// The job that waits for somebody else's server.
pub(crate) const DELIVER_WEBHOOK: &str = "deliver_webhook";

/// How a job ended that did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    /// Another try may succeed.
    #[error("{0}")]
    Retry(String),
    /// No try will: it is parked and shown.
    #[error("{0}")]
    Fail(String),
}

impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) if refusal.kind.status() < 500 => {
                JobError::Fail(refusal.to_string())
            }
            other => JobError::Retry(other.to_string()),
        }
    }
}

/// What versions proved, kept by name, version and contract: scoring a test twice says nothing new.
pub(crate) type Cache = Arc<Mutex<HashMap<String, Arc<ModelEvidence>>>>;

#[derive(Deserialize)]
struct OfProject {
    project: ProjectId,
}

#[derive(Deserialize)]
struct Reproduce {
    project: ProjectId,
    asked_by: String,
}

#[derive(Deserialize)]
struct OfVersion {
    model: String,
    version: i64,
}

fn payload<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, JobError> {
    serde_json::from_value(value).map_err(|e| JobError::Fail(format!("bad payload: {e}")))
}

/// Runs a job of this kind.
pub(crate) async fn run(
    app: App,
    kind: String,
    value: Value,
    cache: Cache,
) -> Result<(), JobError> {
    match kind.as_str() {
        "bind_models" => Ok(app.bind_models().await?),
        "check_parity" => {
            let of: OfVersion = payload(value)?;
            Ok(parity::run(&app, &of.model, of.version).await?)
        }
        "expire_decisions" => Ok(app.expire_kept_decisions().await?),
        "measure_project" => {
            let of: OfProject = payload(value)?;
            measure_project::run(&app, of.project, &cache).await?;
            Ok(app.conclude_due_reviews().await?)
        }
        "reproduce_model" => {
            let of: Reproduce = payload(value)?;
            Ok(reproduce_model::run(&app, of.project, of.asked_by).await?)
        }
        DELIVER_WEBHOOK => {
            let done = app.deliver_webhook(payload(value)?).await;
            done.map_err(|undelivered| match undelivered {
                Undelivered::Later(why) => JobError::Retry(why),
                Undelivered::Never(why) => JobError::Fail(why),
            })
        }
        other => Err(JobError::Fail(format!("no job is called `{other}`"))),
    }
}
