//! The datasets of experiments, for whoever searches runs by them.

use viaduct_base::Error;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::mlflow::dataset::{self, DatasetSummary};

use super::invalid;
use crate::App;

/// MLflow's limits.
const EXPERIMENTS_MAX: usize = 20;
const SUMMARIES_MAX: i64 = 1000;

impl App {
    /// The datasets that runs of those experiments read, each once.
    ///
    /// # Errors
    /// `invalid-input` for no experiments or too many.
    pub async fn search_datasets(
        &self,
        caller: &Caller,
        experiment_ids: Vec<String>,
    ) -> Result<Vec<DatasetSummary>, Error> {
        let scope = self.authorise(caller, Operation::ReadTracking)?;
        if experiment_ids.is_empty() {
            return Err(invalid("SearchDatasets request must specify at least one experiment_id."));
        }
        if experiment_ids.len() > EXPERIMENTS_MAX {
            return Err(invalid(format!(
                "SearchDatasets request cannot specify more than {EXPERIMENTS_MAX} \
                 experiment_ids. Received {} experiment_ids.",
                experiment_ids.len()
            )));
        }
        self.store()
            .read("search_datasets", move |tx| {
                dataset::summaries(tx, &scope, &experiment_ids, SUMMARIES_MAX).map_err(Error::from)
            })
            .await
    }
}
