//! What a run read and made: datasets, models, and the model record of older clients.

use serde_json::Value;
use viaduct_base::Error;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::mlflow::run::{self as rows, RunInputRow, RunModelRow};
use viaduct_store::mlflow::{Pair, pair};

use super::{invalid, run};
use crate::App;

/// The tag in which MLflow 2 keeps the models that a run logged.
const MODELS_TAG: &str = "mlflow.log-model.history";
/// MLflow's limits of a dataset.
const DATASETS_MAX: usize = 1000;
const DATASET_NAME_MAX: usize = 500;
const DATASET_DIGEST_MAX: usize = 36;

/// A dataset that a run read, as the client described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetUse {
    /// The dataset's name.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// The whole description.
    pub dataset: Value,
    /// Tags of this use: an object of texts.
    pub tags: Value,
}

/// A logged model that a run made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelOutput {
    /// Its id.
    pub model_id: String,
    /// At which step.
    pub step: i64,
}

impl App {
    /// Notes the datasets and models that an active run read.
    ///
    /// # Errors
    /// `not-found`; `invalid-input`.
    pub async fn log_inputs(
        &self,
        caller: &Caller,
        run_id: &str,
        datasets: Vec<DatasetUse>,
        model_ids: Vec<String>,
    ) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::WriteTracking)?;
        if datasets.len() > DATASETS_MAX {
            return Err(invalid(format!("At most {DATASETS_MAX} datasets can be logged at once.")));
        }
        for used in &datasets {
            let is_long = used.name.chars().count() > DATASET_NAME_MAX
                || used.digest.chars().count() > DATASET_DIGEST_MAX;
            if used.name.is_empty() || used.digest.is_empty() || is_long {
                return Err(invalid(format!(
                    "Dataset `{}` needs a name of at most {DATASET_NAME_MAX} characters and a \
                     digest of at most {DATASET_DIGEST_MAX}.",
                    used.name.chars().take(80).collect::<String>()
                )));
            }
        }
        let run_id = run_id.to_owned();
        self.store()
            .write("log_inputs", move |tx| {
                run::find_active(tx, &scope, &run_id)?;
                for used in &datasets {
                    let row = RunInputRow {
                        name: used.name.clone(),
                        digest: used.digest.clone(),
                        dataset_json: used.dataset.to_string(),
                        tags_json: used.tags.to_string(),
                    };
                    rows::insert_input(tx, &scope, &run_id, &row)?;
                }
                for model_id in &model_ids {
                    let row = model_row(model_id, "input", 0);
                    rows::insert_model(tx, &scope, &run_id, &row)?;
                }
                Ok(())
            })
            .await
    }

    /// Notes the models that an active run made.
    ///
    /// # Errors
    /// `not-found`; `invalid-input` for a deleted run.
    pub async fn log_outputs(
        &self,
        caller: &Caller,
        run_id: &str,
        models: Vec<ModelOutput>,
    ) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::WriteTracking)?;
        let run_id = run_id.to_owned();
        self.store()
            .write("log_outputs", move |tx| {
                run::find_active(tx, &scope, &run_id)?;
                for made in &models {
                    let row = model_row(&made.model_id, "output", made.step);
                    rows::insert_model(tx, &scope, &run_id, &row)?;
                }
                Ok(())
            })
            .await
    }

    /// Adds a model's record to the run's history, as clients of MLflow 2 do.
    ///
    /// # Errors
    /// `not-found`; `invalid-input` for a deleted run or a record without its mandatory fields.
    pub async fn log_model(
        &self,
        caller: &Caller,
        run_id: &str,
        model: Value,
    ) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::WriteTracking)?;
        let missing: Vec<&str> = ["artifact_path", "flavors", "utc_time_created", "run_id"]
            .into_iter()
            .filter(|name| model.get(name).is_none())
            .collect();
        if !missing.is_empty() {
            return Err(invalid(format!(
                "Model json is missing mandatory fields: {}",
                missing.join(", ")
            )));
        }
        let run_id = run_id.to_owned();
        self.store()
            .write("log_model", move |tx| {
                run::find_active(tx, &scope, &run_id)?;
                let tags = pair::list_run_tags(tx, &scope, &run_id)?;
                let before = tags.iter().find(|tag| tag.key == MODELS_TAG);
                let mut history: Vec<Value> = before
                    .and_then(|tag| serde_json::from_str(&tag.value).ok())
                    .unwrap_or_default();
                history.push(model.clone());
                let value = Value::from(history).to_string();
                let tag = Pair { key: MODELS_TAG.to_owned(), value };
                pair::set_run_tag(tx, &scope, &run_id, &tag)?;
                Ok(())
            })
            .await
    }
}

fn model_row(model_id: &str, direction: &str, step: i64) -> RunModelRow {
    RunModelRow { model_id: model_id.to_owned(), direction: direction.to_owned(), step }
}
