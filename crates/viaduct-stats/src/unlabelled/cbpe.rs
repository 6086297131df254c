//! CBPE for binary classifiers.

use super::{
    ChunkMetric, Limits, Thresholds,
    calibration::{Isotonic, needs_calibration},
    chunks,
    numpy::RandomState,
};
use crate::{
    insufficient::{Insufficient, require, require_rows, require_same_length},
    metrics::auc,
    moments::Moments,
};

/// Names of the metrics, in the order of [`Chunk::metrics`].
pub const METRICS: [&str; 11] = [
    "roc_auc",
    "f1",
    "precision",
    "recall",
    "specificity",
    "accuracy",
    "average_precision",
    "true_positive",
    "true_negative",
    "false_positive",
    "false_negative",
];

/// Scores with labels where they have matured.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Probability of the positive class.
    pub p: Vec<f64>,
    /// Label; absent while it has not matured.
    pub y: Vec<Option<bool>>,
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
pub struct Cbpe {
    threshold: f64,
    chunk_size: usize,
    calibrator: Option<Isotonic>,
    errors: Vec<SamplingError>,
    thresholds: Vec<Thresholds>,
}

/// How the sampling error of a metric depends on the rows of a chunk.
#[derive(Debug, Clone, Copy, PartialEq)]
enum SamplingError {
    /// `sd / sqrt(rows * share)`.
    OfShare { sd: f64, share: f64 },
    /// `sd * sqrt(rows)`, for counts.
    OfCount { sd: f64 },
    /// `sd * sqrt(sample / rows)`, for resampled metrics.
    Resampled { sd: f64, sample: f64 },
}

impl SamplingError {
    fn at(&self, rows: f64) -> Option<f64> {
        let error = match self {
            Self::OfShare { sd, share } => sd / (rows * share).sqrt(),
            Self::OfCount { sd } => sd / rows.sqrt() * rows,
            Self::Resampled { sd, sample } => sd * (sample / rows).sqrt(),
        };
        error.is_finite().then_some(error)
    }
}

impl Cbpe {
    /// Fits on a reference with all labels; a row is predicted positive from `threshold` on.
    ///
    /// # Errors
    /// Missing labels, probabilities outside of [0, 1], or too few rows of a class.
    pub fn fit(
        reference: &Scores,
        threshold: f64,
        chunk_size: usize,
    ) -> Result<Self, Insufficient> {
        require(chunk_size >= 1, "chunk size", "at least 1")?;
        check(reference)?;
        let y: Vec<bool> = reference.y.iter().flatten().copied().collect();
        require(y.len() == reference.y.len(), "labels of the reference", "complete")?;
        let p = &reference.p;
        let thresholds = realized_thresholds(reference, threshold, chunk_size);
        let calibrator = if needs_calibration(p, &y)? { Some(Isotonic::fit(p, &y)?) } else { None };
        let errors = sampling_errors(p, &y, threshold);
        Ok(Self { threshold, chunk_size, calibrator, errors, thresholds })
    }

    /// Whether the scores were found to need calibration.
    pub fn needs_calibration(&self) -> bool {
        self.calibrator.is_some()
    }

    /// The probability that the estimate uses for a score.
    pub fn calibrated(&self, score: f64) -> f64 {
        self.calibrator.as_ref().map_or(score, |calibrator| calibrator.predict(score))
    }

    /// Estimates each chunk of scores whose labels may be missing.
    ///
    /// # Errors
    /// No rows or probabilities outside of [0, 1].
    pub fn estimate(&self, scores: &Scores) -> Result<Vec<Chunk>, Insufficient> {
        check(scores)?;
        let calibrated: Vec<f64> = scores.p.iter().map(|p| self.calibrated(*p)).collect();
        let mut answer = Vec::new();
        for rows in chunks(scores.p.len(), self.chunk_size) {
            let (p, y) = (&scores.p[rows.clone()], &scores.y[rows.clone()]);
            let values = estimated(p, &calibrated[rows.clone()], self.threshold);
            let realized = realized(p, y, self.threshold);
            let count = rows.len() as f64;
            let metrics = (0..METRICS.len())
                .map(|i| {
                    let error = self.errors[i].at(count);
                    limits(i).metric(values[i], error, realized[i], &self.thresholds[i])
                })
                .collect();
            answer.push(Chunk { start: rows.start, rows: rows.len(), metrics });
        }
        Ok(answer)
    }
}

fn limits(metric: usize) -> Limits {
    if metric < 7 { Limits::SHARE } else { Limits::ABOVE_ZERO }
}

fn check(scores: &Scores) -> Result<(), Insufficient> {
    require_same_length("scores and labels", scores.p.len(), scores.y.len())?;
    require_rows("scores", scores.p.len() as u64, 1)?;
    require(scores.p.iter().all(|p| (0.0..=1.0).contains(p)), "probabilities", "in [0, 1]")
}

fn realized_thresholds(reference: &Scores, threshold: f64, size: usize) -> Vec<Thresholds> {
    let by_chunk: Vec<[Option<f64>; 11]> = chunks(reference.p.len(), size)
        .into_iter()
        .map(|rows| realized(&reference.p[rows.clone()], &reference.y[rows], threshold))
        .collect();
    (0..METRICS.len())
        .map(|i| {
            let values: Vec<Option<f64>> = by_chunk.iter().map(|chunk| chunk[i]).collect();
            limits(i).thresholds(&values)
        })
        .collect()
}

/// Expected or observed confusion matrix.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Confusion {
    pub(crate) tp: f64,
    pub(crate) tn: f64,
    pub(crate) fp: f64,
    pub(crate) fn_: f64,
}

impl Confusion {
    pub(crate) fn add(&mut self, is_predicted: bool, p: f64) {
        if is_predicted {
            self.tp += p;
            self.fp += 1.0 - p;
        } else {
            self.fn_ += p;
            self.tn += 1.0 - p;
        }
    }

    fn total(&self) -> f64 {
        self.tp + self.tn + self.fp + self.fn_
    }

    pub(crate) fn f1(&self) -> f64 {
        ratio(self.tp, self.tp + 0.5 * (self.fp + self.fn_))
    }

    pub(crate) fn precision(&self) -> f64 {
        ratio(self.tp, self.tp + self.fp)
    }

    pub(crate) fn recall(&self) -> f64 {
        ratio(self.tp, self.tp + self.fn_)
    }

    pub(crate) fn specificity(&self) -> f64 {
        ratio(self.tn, self.tn + self.fp)
    }
}

/// A ratio that is 0 where it does not exist, as scikit-learn and NannyML say.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

fn estimated(p: &[f64], calibrated: &[f64], threshold: f64) -> [Option<f64>; 11] {
    let mut matrix = Confusion::default();
    for (p, calibrated) in p.iter().zip(calibrated) {
        matrix.add(*p >= threshold, *calibrated);
    }
    let order = descending(p);
    [
        estimated_auc(&order, calibrated),
        Some(matrix.f1()),
        Some(matrix.precision()),
        Some(matrix.recall()),
        Some(matrix.specificity()),
        Some((matrix.tp + matrix.tn) / p.len() as f64),
        estimated_ap(&order, calibrated),
        Some(matrix.tp),
        Some(matrix.tn),
        Some(matrix.fp),
        Some(matrix.fn_),
    ]
}

/// Rows by score, largest first; ties in reverse order of rows.
pub(crate) fn descending(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    order.reverse();
    order
}

/// NannyML rounds running sums to five decimals.
fn rounded(value: f64) -> f64 {
    (value * 1e5).round_ties_even() / 1e5
}

/// Expected area under the ROC curve when each row is positive with its calibrated probability.
pub(crate) fn estimated_auc(order: &[usize], calibrated: &[f64]) -> Option<f64> {
    let (mut tps, mut total) = (vec![0.0], 0.0);
    let mut fps = vec![0.0];
    for (i, row) in order.iter().enumerate() {
        total += calibrated[*row];
        tps.push(rounded(total));
        fps.push(rounded((i + 1) as f64 - total));
    }
    let (positives, negatives) = (tps[order.len()], fps[order.len()]);
    let area: f64 = (1..tps.len())
        .map(|i| 0.5 * (tps[i] + tps[i - 1]) / positives * ((fps[i] - fps[i - 1]) / negatives))
        .sum();
    area.is_finite().then_some(area)
}

/// Expected average precision when each row is positive with its calibrated probability.
fn estimated_ap(order: &[usize], calibrated: &[f64]) -> Option<f64> {
    let (mut running, mut total) = (Vec::with_capacity(order.len()), 0.0);
    for row in order {
        total += calibrated[*row];
        running.push(rounded(total));
    }
    let all = running.last().copied()?;
    let mut before = 0.0;
    let mut sum = 0.0;
    for (i, tps) in running.iter().enumerate() {
        sum += (tps - before) / all * (tps / (i + 1) as f64);
        before = *tps;
    }
    sum.is_finite().then_some(sum)
}

fn realized(p: &[f64], y: &[Option<bool>], threshold: f64) -> [Option<f64>; 11] {
    let (mut scores, mut labels) = (Vec::new(), Vec::new());
    for (p, y) in p.iter().zip(y) {
        if let Some(y) = y {
            scores.push(*p);
            labels.push(*y);
        }
    }
    if labels.is_empty() {
        return [None; 11];
    }
    let mut matrix = Confusion::default();
    for (p, y) in scores.iter().zip(&labels) {
        matrix.add(*p >= threshold, if *y { 1.0 } else { 0.0 });
    }
    let has_classes = matrix.tp + matrix.fn_ > 0.0 && matrix.tn + matrix.fp > 0.0;
    let has_predictions = matrix.tp + matrix.fp > 0.0 && matrix.tn + matrix.fn_ > 0.0;
    let is_defined = has_classes && has_predictions;
    let when = |holds: bool, value: f64| holds.then_some(value);
    [
        auc(&scores, &labels).ok(),
        when(is_defined, matrix.f1()),
        when(is_defined, matrix.precision()),
        when(is_defined, matrix.recall()),
        when(matrix.tn + matrix.fp > 0.0, matrix.specificity()),
        Some((matrix.tp + matrix.tn) / matrix.total()),
        average_precision(&scores, &labels),
        Some(matrix.tp),
        Some(matrix.tn),
        Some(matrix.fp),
        Some(matrix.fn_),
    ]
}

/// Average precision over distinct scores (scikit-learn); `None` without positives.
fn average_precision(scores: &[f64], labels: &[bool]) -> Option<f64> {
    let order = descending(scores);
    let positives = labels.iter().filter(|label| **label).count() as f64;
    let (mut tps, mut seen, mut before, mut sum) = (0.0, 0.0, 0.0, 0.0);
    for (i, row) in order.iter().enumerate() {
        seen += 1.0;
        if labels[*row] {
            tps += 1.0;
        }
        let is_last = order.get(i + 1).is_none_or(|next| scores[*next] != scores[*row]);
        if is_last {
            sum += (tps - before) / positives * (tps / seen);
            before = tps;
        }
    }
    sum.is_finite().then_some(sum)
}

fn sampling_errors(p: &[f64], y: &[bool], threshold: f64) -> Vec<SamplingError> {
    let n = y.len() as f64;
    let mut matrix = Confusion::default();
    for (p, y) in p.iter().zip(y) {
        matrix.add(*p >= threshold, if *y { 1.0 } else { 0.0 });
    }
    let Confusion { tp, tn, fp, fn_ } = matrix;
    // Population standard deviation of `ones` ones among `count` values.
    let spread = |ones: f64, count: f64| (ones / count * (1.0 - ones / count)).sqrt();
    let of_share = |sd: f64, share: f64| SamplingError::OfShare { sd, share };
    let relevant = tp + fp + fn_;
    let factor = relevant / (0.5 * (fp + fn_) + tp);
    let (auc_sd, auc_share) = auc_components(p, y);
    vec![
        of_share(auc_sd, auc_share),
        of_share(spread(tp, relevant) * factor, relevant / n),
        of_share(spread(tp, tp + fp), (tp + fp) / n),
        of_share(spread(tp, tp + fn_), (tp + fn_) / n),
        of_share(spread(tn, tn + fp), (tn + fp) / n),
        of_share(spread(tp + tn, n), 1.0),
        resampled_ap(p, y),
        SamplingError::OfCount { sd: spread(tp, n) },
        SamplingError::OfCount { sd: spread(tn, n) },
        SamplingError::OfCount { sd: spread(fp, n) },
        SamplingError::OfCount { sd: spread(fn_, n) },
    ]
}

/// Standard deviation of the placements of the rarer class and its share: the area under the curve
/// as a Mann-Whitney statistic. The row of the lowest score is left out, as in NannyML. Tied pairs
/// count as won; NannyML leaves their order to an unstable sort, so that its figure can differ in the
/// sixth digit from one processor to the next.
pub(crate) fn auc_components(p: &[f64], y: &[bool]) -> (f64, f64) {
    let n = y.len();
    let positives = y.iter().filter(|y| **y).count();
    let is_flipped = positives as f64 / n as f64 > 0.5;
    let scores: Vec<f64> = p.iter().map(|p| if is_flipped { 1.0 - p } else { *p }).collect();
    let mut order: Vec<usize> = (0..n).collect();
    let is_counted = |row: usize| y[row] != is_flipped;
    order.sort_by(|a, b| {
        scores[*a].total_cmp(&scores[*b]).then(is_counted(*a).cmp(&is_counted(*b)))
    });
    let count = if is_flipped { n - positives } else { positives };
    let others = (n - count) as f64;
    let placements: Moments = order
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, row)| is_counted(**row))
        .enumerate()
        .map(|(i, (rank, _))| (rank - i) as f64 / others)
        .collect();
    let sd = placements.variance_population().map_or(f64::NAN, f64::sqrt);
    (sd, count as f64 / n as f64)
}

/// Spread of the average precision over 50 resamples of half of the rows, with a fixed seed
/// (NannyML draws from the global generator, so that its figure changes from run to run).
fn resampled_ap(p: &[f64], y: &[bool]) -> SamplingError {
    const EXPERIMENTS: usize = 50;
    const SAMPLE_MAX: usize = 50_000;
    let sample = (y.len() / 2).min(SAMPLE_MAX);
    let mut rng = RandomState::new(0);
    let mut found = Moments::default();
    let last = u32::try_from(y.len().saturating_sub(1)).unwrap_or(u32::MAX);
    for _ in 0..EXPERIMENTS {
        let (mut scores, mut labels) = (Vec::with_capacity(sample), Vec::with_capacity(sample));
        for _ in 0..sample {
            let row = rng.up_to(last) as usize;
            scores.push(p[row]);
            labels.push(y[row]);
        }
        if let Some(ap) = average_precision(&scores, &labels) {
            found.push(ap);
        }
    }
    let sd = found.variance_population().map_or(f64::NAN, f64::sqrt);
    SamplingError::Resampled { sd, sample: sample as f64 }
}
