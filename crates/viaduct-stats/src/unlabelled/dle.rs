//! DLE for regression: a second model that predicts the first one's error from its features and
//! its prediction.

use super::{ChunkMetric, Limits, Thresholds, boosting::Boosted, chunks};
use crate::{
    insufficient::{Insufficient, require, require_finite, require_rows, require_same_length},
    moments::Moments,
};

/// Names of the metrics, in the order of [`Chunk::metrics`].
pub const METRICS: [&str; 4] = ["mae", "mape", "mse", "rmse"];

/// Predictions with their features, and targets where they have matured.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// One column a feature.
    pub features: Vec<Vec<f64>>,
    /// Predicted value.
    pub predicted: Vec<f64>,
    /// Actual value; absent while it has not matured.
    pub actual: Vec<Option<f64>>,
}

/// One chunk: first row, rows, and a metric per name in [`METRICS`].
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// First row.
    pub start: usize,
    /// Rows.
    pub rows: usize,
    /// One per name in [`METRICS`].
    pub metrics: Vec<ChunkMetric>,
}

/// A fitted estimator.
#[derive(Debug, Clone)]
pub struct Dle {
    chunk_size: usize,
    features: usize,
    /// Models of the absolute, relative and squared error.
    models: [Boosted; 3],
    /// Standard deviations of those errors, and the mean squared error.
    spreads: [f64; 3],
    mean_square: f64,
    thresholds: Vec<Thresholds>,
}

/// Absolute, relative and squared error of a row.
fn errors(predicted: f64, actual: f64) -> [f64; 3] {
    let gap = (actual - predicted).abs();
    [gap, gap / actual.abs().max(f64::EPSILON), gap * gap]
}

impl Dle {
    /// Fits on a reference; rows without target are left out.
    ///
    /// # Errors
    /// No rows with target, columns of different length, or values that are not finite.
    pub fn fit(reference: &Predictions, chunk_size: usize) -> Result<Self, Insufficient> {
        require(chunk_size >= 1, "chunk size", "at least 1")?;
        check(reference)?;
        let known: Vec<(usize, f64)> = reference
            .actual
            .iter()
            .enumerate()
            .filter_map(|(row, actual)| actual.map(|actual| (row, actual)))
            .collect();
        require_rows("reference with target", known.len() as u64, 2)?;
        let columns: Vec<Vec<f64>> = reference
            .features
            .iter()
            .chain(std::iter::once(&reference.predicted))
            .map(|column| known.iter().map(|(row, _)| column[*row]).collect())
            .collect();
        let by_row: Vec<[f64; 3]> =
            known.iter().map(|(row, actual)| errors(reference.predicted[*row], *actual)).collect();
        let of = |i: usize| by_row.iter().map(|errors| errors[i]).collect::<Vec<f64>>();
        let fitted = |i: usize| Boosted::fit(&columns, &of(i));
        let models = [fitted(0)?, fitted(1)?, fitted(2)?];
        // Why signed: NannyML divides by the target and not by its absolute value here.
        let signed: Vec<f64> =
            known.iter().zip(&by_row).map(|((_, actual), errors)| errors[0] / actual).collect();
        let spread = |values: &[f64]| Moments::of(values).variance_population().map(f64::sqrt);
        let square = of(2);
        let spreads = [spread(&of(0))?, spread(&signed).unwrap_or(f64::NAN), spread(&square)?];
        let by_chunk: Vec<[Option<f64>; 4]> = chunks(reference.predicted.len(), chunk_size)
            .into_iter()
            .map(|rows| realized(reference, rows))
            .collect();
        let thresholds = (0..METRICS.len())
            .map(|i| {
                let values: Vec<Option<f64>> = by_chunk.iter().map(|chunk| chunk[i]).collect();
                Limits::ABOVE_ZERO.thresholds(&values)
            })
            .collect();
        Ok(Self {
            chunk_size,
            features: reference.features.len(),
            models,
            spreads,
            mean_square: Moments::of(&square).mean,
            thresholds,
        })
    }

    /// Estimates each chunk of predictions whose targets may be missing.
    ///
    /// # Errors
    /// Other features than the reference's, or values that are not finite.
    pub fn estimate(&self, predictions: &Predictions) -> Result<Vec<Chunk>, Insufficient> {
        check(predictions)?;
        require(predictions.features.len() == self.features, "features", "the reference's")?;
        let mut answer = Vec::new();
        for rows in chunks(predictions.predicted.len(), self.chunk_size) {
            let mut sums = [0.0; 3];
            for row in rows.clone() {
                let mut cells: Vec<f64> =
                    predictions.features.iter().map(|column| column[row]).collect();
                cells.push(predictions.predicted[row]);
                for (sum, model) in sums.iter_mut().zip(&self.models) {
                    *sum += model.predict(&cells).max(0.0);
                }
            }
            let n = rows.len() as f64;
            let [mae, mape, mse] = sums.map(|sum| sum / n);
            let values = [mae, mape, mse, mse.sqrt()];
            let root = n.sqrt();
            let error_rmse =
                (self.spreads[2] * self.spreads[2] / (4.0 * n * self.mean_square)).sqrt();
            let errors = [
                self.spreads[0] / root,
                self.spreads[1] / root,
                self.spreads[2] / root,
                error_rmse,
            ];
            let realized = realized(predictions, rows.clone());
            let metrics = (0..METRICS.len())
                .map(|i| {
                    Limits::ABOVE_ZERO.metric(
                        Some(values[i]),
                        Some(errors[i]),
                        realized[i],
                        &self.thresholds[i],
                    )
                })
                .collect();
            answer.push(Chunk { start: rows.start, rows: rows.len(), metrics });
        }
        Ok(answer)
    }
}

fn check(predictions: &Predictions) -> Result<(), Insufficient> {
    let rows = predictions.predicted.len();
    require_rows("predictions", rows as u64, 1)?;
    require_finite("predictions", &predictions.predicted)?;
    require_same_length("predictions and targets", rows, predictions.actual.len())?;
    for column in &predictions.features {
        require_same_length("features and predictions", column.len(), rows)?;
        require_finite("features", column)?;
    }
    let targets: Vec<f64> = predictions.actual.iter().flatten().copied().collect();
    require_finite("targets", &targets)
}

fn realized(predictions: &Predictions, rows: std::ops::Range<usize>) -> [Option<f64>; 4] {
    let mut sums = [0.0; 3];
    let mut n = 0.0;
    for row in rows {
        if let Some(actual) = predictions.actual[row] {
            n += 1.0;
            let errors = errors(predictions.predicted[row], actual);
            sums.iter_mut().zip(errors).for_each(|(sum, error)| *sum += error);
        }
    }
    if n == 0.0 {
        return [None; 4];
    }
    let [mae, mape, mse] = sums.map(|sum| sum / n);
    [Some(mae), Some(mape), Some(mse), Some(mse.sqrt())]
}
