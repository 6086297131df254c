//! M1: the platform scores the run's own test rows with the registered model and compares it with
//! the simple things, row by row. A metric that somebody logged is never read here.

use viaduct_base::Timestamp;
use viaduct_stats::{Estimate, Insufficient, Moments, paired};

use super::table::{BadTable, Table};

/// What is predicted, and so which loss a row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// `y` is 0 or 1, predictions are probabilities of 1: the loss is (p - y)², Brier's score.
    BinaryClassification,
    /// `y` and predictions are numbers: the loss is the squared error.
    Regression,
}

/// The baselines that must be beaten, with the columns that carry them.
pub const BASELINES: [&str; 3] = ["constant", "simple", "current_rule"];

/// Whether every test row was decided after every training row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSplit {
    /// The last training decision.
    pub train_until: Timestamp,
    /// The first test decision.
    pub test_from: Timestamp,
}

impl TimeSplit {
    /// Reads both tables' `decided_at`.
    ///
    /// # Errors
    /// Refuses tables without times.
    pub fn of(train: &Table, test: &Table) -> Result<Self, BadTable> {
        let none = |table: &Table| BadTable::Rows { file: table.file.clone(), rows: 0 };
        let train_until =
            train.times("decided_at")?.into_iter().max().ok_or_else(|| none(train))?;
        let test_from = test.times("decided_at")?.into_iter().min().ok_or_else(|| none(test))?;
        Ok(Self { train_until, test_from })
    }

    /// True when the test lies wholly after the training.
    pub fn holds(self) -> bool {
        self.test_from > self.train_until
    }
}

/// The loss of one row.
pub fn loss(predicted: f64, truth: f64) -> f64 {
    (predicted - truth).powi(2)
}

/// Paired comparison of a baseline with the model on the same rows: mean of (baseline's loss −
/// model's loss), so above zero the model is better. 95 % two-sided t interval, n = rows.
///
/// # Errors
/// `Insufficient` when the rows are too few or all differences are equal.
pub fn compare(truth: &[f64], model: &[f64], baseline: &[f64]) -> Result<Estimate, Insufficient> {
    let mut differences = Moments::default();
    for ((y, m), b) in truth.iter().zip(model).zip(baseline) {
        differences.push(loss(*b, *y) - loss(*m, *y));
    }
    paired(&differences, 0.95)
}

/// The baselines' predictions in the order of the test's rows, joined by `row_id`.
///
/// # Errors
/// Refuses a missing column, and a test row that the file does not name.
pub fn baseline_predictions(
    baselines: &Table,
    test: &Table,
    column: &str,
) -> Result<Vec<f64>, BadTable> {
    let values = baselines.numbers(column)?;
    let by_id: std::collections::HashMap<&str, f64> =
        baselines.column("row_id")?.zip(values).collect();
    test.column("row_id")?
        .enumerate()
        .map(|(row, id)| {
            by_id.get(id).copied().ok_or_else(|| BadTable::BadCell {
                file: test.file.clone(),
                row: row + 1,
                column: "row_id".into(),
                cell: id.chars().take(40).collect(),
                wanted: "a row of `viaduct/baselines.csv`",
            })
        })
        .collect()
}
