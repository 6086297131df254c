//! CBPE for classifiers of several classes: one against the rest, macro averages.

use std::collections::BTreeMap;

use super::{
    ChunkMetric, Limits, Thresholds,
    calibration::{Isotonic, needs_calibration},
    cbpe::{Confusion, auc_components, descending, estimated_auc},
    chunks,
};
use crate::{
    insufficient::{Insufficient, Reason, require, require_rows, require_same_length},
    metrics::auc,
};

/// Names of the metrics, in the order of [`Chunk::metrics`].
pub const METRICS: [&str; 6] = ["roc_auc", "f1", "precision", "recall", "specificity", "accuracy"];

/// Scores of several classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Probability per class, by name; each as long as the rows.
    pub p: BTreeMap<String, Vec<f64>>,
    /// Predicted class.
    pub predicted: Vec<String>,
    /// Actual class; absent while it has not matured.
    pub actual: Vec<Option<String>>,
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

/// Scores with classes as indices in order of their names.
struct Indexed {
    p: Vec<Vec<f64>>,
    predicted: Vec<usize>,
    actual: Vec<Option<usize>>,
}

/// A fitted estimator.
#[derive(Debug, Clone)]
pub struct Cbpe {
    classes: Vec<String>,
    chunk_size: usize,
    calibrators: Vec<Option<Isotonic>>,
    /// Per metric: variance and share of each class.
    errors: Vec<Vec<(f64, f64)>>,
    thresholds: Vec<Thresholds>,
}

impl Cbpe {
    /// Fits on a reference with all labels.
    ///
    /// # Errors
    /// Fewer than two classes, classes of the labels other than those of the probabilities, missing
    /// labels, or too few rows of a class.
    pub fn fit(reference: &Scores, chunk_size: usize) -> Result<Self, Insufficient> {
        require(chunk_size >= 1, "chunk size", "at least 1")?;
        let classes: Vec<String> = reference.p.keys().cloned().collect();
        require(classes.len() >= 2, "classes", "at least 2")?;
        let indexed = indexed(reference, &classes)?;
        let actual: Vec<usize> = indexed.actual.iter().flatten().copied().collect();
        require(actual.len() == indexed.actual.len(), "labels of the reference", "complete")?;
        let is_of = |class: usize| -> Vec<bool> { actual.iter().map(|y| *y == class).collect() };
        let mut calibrators = Vec::with_capacity(classes.len());
        for (class, p) in indexed.p.iter().enumerate() {
            let y = is_of(class);
            require(y.iter().any(|y| *y), "classes of the labels", "those of the probabilities")?;
            calibrators.push(if needs_calibration(p, &y)? {
                Some(Isotonic::fit(p, &y)?)
            } else {
                None
            });
        }
        let errors = sampling_errors(&indexed, &actual);
        let by_chunk: Vec<[Option<f64>; 6]> = chunks(actual.len(), chunk_size)
            .into_iter()
            .map(|rows| realized(&indexed, rows))
            .collect();
        let thresholds = (0..METRICS.len())
            .map(|i| {
                let values: Vec<Option<f64>> = by_chunk.iter().map(|chunk| chunk[i]).collect();
                Limits::SHARE.thresholds(&values)
            })
            .collect();
        Ok(Self { classes, chunk_size, calibrators, errors, thresholds })
    }

    /// Estimates each chunk of scores whose labels may be missing.
    ///
    /// # Errors
    /// No rows, other classes than the reference's, or probabilities outside of [0, 1].
    pub fn estimate(&self, scores: &Scores) -> Result<Vec<Chunk>, Insufficient> {
        let indexed = indexed(scores, &self.classes)?;
        let calibrated = self.calibrated(&indexed.p);
        let mut answer = Vec::new();
        for rows in chunks(indexed.predicted.len(), self.chunk_size) {
            let values = estimated(&indexed, &calibrated, rows.clone());
            let realized = realized(&indexed, rows.clone());
            let metrics = (0..METRICS.len())
                .map(|i| {
                    let error = self.sampling_error(i, rows.len() as f64);
                    let thresholds = &self.thresholds[i];
                    Limits::SHARE.metric(values[i], Some(error), realized[i], thresholds)
                })
                .collect();
            answer.push(Chunk { start: rows.start, rows: rows.len(), metrics });
        }
        Ok(answer)
    }

    /// Calibrates each class and scales the row to a sum of one.
    fn calibrated(&self, p: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let mut calibrated: Vec<Vec<f64>> = p
            .iter()
            .zip(&self.calibrators)
            .map(|(p, calibrator)| match calibrator {
                Some(calibrator) => p.iter().map(|p| calibrator.predict(*p)).collect(),
                None => p.clone(),
            })
            .collect();
        let classes = calibrated.len();
        for row in 0..calibrated[0].len() {
            let total: f64 = calibrated.iter().map(|p| p[row]).sum();
            for p in &mut calibrated {
                p[row] = if total == 0.0 { 1.0 / classes as f64 } else { p[row] / total };
            }
        }
        calibrated
    }

    fn sampling_error(&self, metric: usize, rows: f64) -> f64 {
        let parts = &self.errors[metric];
        let total: f64 = parts.iter().map(|(variance, share)| variance / (rows * share)).sum();
        // Why 1.2: NannyML's allowance for the dependence of one-against-rest curves.
        let factor = if metric == 0 { 1.2 } else { 1.0 };
        total.sqrt() / parts.len() as f64 * factor
    }
}

fn indexed(scores: &Scores, classes: &[String]) -> Result<Indexed, Insufficient> {
    let rows = scores.predicted.len();
    require_rows("scores", rows as u64, 1)?;
    require_same_length("predictions and labels", rows, scores.actual.len())?;
    require(scores.p.len() == classes.len(), "classes", "those of the reference")?;
    let unknown = || {
        Insufficient::from(Reason::OutOfRange {
            what: "classes",
            rule: "those of the probabilities",
        })
    };
    let find = |name: &String| classes.binary_search(name).map_err(|_| unknown());
    let mut p = Vec::with_capacity(classes.len());
    for class in classes {
        let column = scores.p.get(class).ok_or_else(unknown)?;
        require_same_length("probabilities and predictions", column.len(), rows)?;
        require(column.iter().all(|p| (0.0..=1.0).contains(p)), "probabilities", "in [0, 1]")?;
        p.push(column.clone());
    }
    Ok(Indexed {
        p,
        predicted: scores.predicted.iter().map(find).collect::<Result<_, _>>()?,
        actual: scores
            .actual
            .iter()
            .map(|name| name.as_ref().map(find).transpose())
            .collect::<Result<_, _>>()?,
    })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn macros(matrices: &[Confusion]) -> [f64; 4] {
    let over =
        |metric: fn(&Confusion) -> f64| mean(&matrices.iter().map(metric).collect::<Vec<f64>>());
    [
        over(Confusion::f1),
        over(Confusion::precision),
        over(Confusion::recall),
        over(Confusion::specificity),
    ]
}

fn estimated(
    scores: &Indexed,
    calibrated: &[Vec<f64>],
    rows: std::ops::Range<usize>,
) -> [Option<f64>; 6] {
    let classes = calibrated.len();
    let mut matrices = vec![Confusion::default(); classes];
    let mut hits = 0.0;
    for row in rows.clone() {
        let predicted = scores.predicted[row];
        hits += calibrated[predicted][row];
        for class in 0..classes {
            matrices[class].add(predicted == class, calibrated[class][row]);
        }
    }
    let areas: Option<Vec<f64>> = (0..classes)
        .map(|class| {
            let order = descending(&scores.p[class][rows.clone()]);
            estimated_auc(&order, &calibrated[class][rows.clone()])
        })
        .collect();
    let [f1, precision, recall, specificity] = macros(&matrices);
    [
        areas.map(|areas| mean(&areas)),
        Some(f1),
        Some(precision),
        Some(recall),
        Some(specificity),
        Some(hits / rows.len() as f64),
    ]
}

fn realized(scores: &Indexed, rows: std::ops::Range<usize>) -> [Option<f64>; 6] {
    let classes = scores.p.len();
    let known: Vec<(usize, usize)> =
        rows.filter_map(|row| scores.actual[row].map(|actual| (row, actual))).collect();
    if known.is_empty() {
        return [None; 6];
    }
    let mut matrices = vec![Confusion::default(); classes];
    for (row, actual) in &known {
        for (class, matrix) in matrices.iter_mut().enumerate() {
            let p = if *actual == class { 1.0 } else { 0.0 };
            matrix.add(scores.predicted[*row] == class, p);
        }
    }
    let areas: Option<Vec<f64>> = (0..classes)
        .map(|class| {
            let p: Vec<f64> = known.iter().map(|(row, _)| scores.p[class][*row]).collect();
            let y: Vec<bool> = known.iter().map(|(_, actual)| *actual == class).collect();
            auc(&p, &y).ok()
        })
        .collect();
    let several = |pick: &dyn Fn(&(usize, usize)) -> usize| {
        known.iter().any(|entry| pick(entry) != pick(&known[0]))
    };
    if !several(&|entry| entry.1) || !several(&|entry| scores.predicted[entry.0]) {
        return [areas.map(|areas| mean(&areas)), None, None, None, None, None];
    }
    let hits = known.iter().filter(|(row, actual)| scores.predicted[*row] == *actual).count();
    let [f1, precision, recall, specificity] = macros(&matrices);
    [
        areas.map(|areas| mean(&areas)),
        Some(f1),
        Some(precision),
        Some(recall),
        Some(specificity),
        Some(hits as f64 / known.len() as f64),
    ]
}

/// Variance and relevant share per class of each metric.
fn sampling_errors(scores: &Indexed, actual: &[usize]) -> Vec<Vec<(f64, f64)>> {
    let n = actual.len() as f64;
    let spread = |ones: f64, count: f64| ones / count * (1.0 - ones / count);
    let mut parts: Vec<Vec<(f64, f64)>> = vec![Vec::new(); METRICS.len()];
    for (class, p) in scores.p.iter().enumerate() {
        let y: Vec<bool> = actual.iter().map(|y| *y == class).collect();
        let mut matrix = Confusion::default();
        for (predicted, y) in scores.predicted.iter().zip(&y) {
            matrix.add(*predicted == class, if *y { 1.0 } else { 0.0 });
        }
        let Confusion { tp, tn, fp, fn_ } = matrix;
        let (sd, share) = auc_components(p, &y);
        parts[0].push((sd * sd, share));
        let relevant = tp + fp + fn_;
        parts[1].push((spread(tp, relevant), relevant / n));
        parts[2].push((spread(tp, tp + fp), (tp + fp) / n));
        parts[3].push((spread(tp, tp + fn_), (tp + fn_) / n));
        parts[4].push((spread(tn, tn + fp), (tn + fp) / n));
    }
    let hits = scores.predicted.iter().zip(actual).filter(|(a, b)| a == b).count() as f64;
    parts[5].push((spread(hits, n), 1.0));
    parts
}
