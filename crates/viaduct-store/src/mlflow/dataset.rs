//! Datasets that the runs of some experiments read, each once.

use super::many;
use crate::{Scope, StoreError, Tx, Value};

/// A dataset in an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetSummary {
    /// The experiment.
    pub experiment_id: String,
    /// The dataset's name.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// What it was used for, such as `training`.
    pub context: Option<String>,
}

/// The datasets that runs of those experiments read.
pub fn summaries(
    tx: &mut Tx,
    scope: &Scope,
    experiment_ids: &[String],
    limit: i64,
) -> Result<Vec<DatasetSummary>, StoreError> {
    if experiment_ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = vec![scope.bind(), limit.into()];
    values.extend(experiment_ids.iter().map(Value::from));
    let names: Vec<String> = (3..=values.len()).map(|n| format!("${n}")).collect();
    let sql = format!(
        "SELECT DISTINCT run.experiment_id, i.name, i.digest, i.context \
         FROM run_input i JOIN run ON run.run_id = i.run_id \
         WHERE i.workspace_id = $1 AND run.experiment_id IN ({}) ORDER BY 1, 2, 3, 4 LIMIT $2",
        names.join(", ")
    );
    let mut found = Vec::new();
    tx.visit_compiled(&sql, &values, |cells| {
        found.push(DatasetSummary {
            experiment_id: many::text(cells, 0)?,
            name: many::text(cells, 1)?,
            digest: many::text(cells, 2)?,
            context: many::opt_text(cells, 3)?,
        });
        Ok(())
    })?;
    Ok(found)
}
