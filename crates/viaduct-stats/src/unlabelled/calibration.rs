//! Isotonic calibration and the check whether scores need it.

use super::numpy::RandomState;
use crate::{
    insufficient::{Insufficient, require, require_finite, require_rows, require_same_length},
    metrics::auc,
};

/// Bins of the calibration error.
const BINS: usize = 10;
/// Splits of the check.
const SPLITS: usize = 10;
/// Area under the curve above which scores are left alone.
const AUC_MAX: f64 = 0.999;

/// A non-decreasing step-and-line function fitted to outcomes (pool adjacent violators), linear
/// between its points and constant outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Isotonic {
    points: Vec<(f64, f64)>,
}

impl Isotonic {
    /// Fits outcomes (0 and 1) to scores, as scikit-learn's `IsotonicRegression`.
    ///
    /// # Errors
    /// No rows, different lengths, or scores that are not finite.
    pub fn fit(scores: &[f64], outcomes: &[bool]) -> Result<Self, Insufficient> {
        require_same_length("scores and outcomes", scores.len(), outcomes.len())?;
        require_rows("scores", scores.len() as u64, 1)?;
        require_finite("scores", scores)?;
        // Scores nearer than this are one (the resolution of a double in numpy's terms).
        const RESOLUTION: f64 = 1e-15;
        let mut rows: Vec<(f64, f64)> = scores
            .iter()
            .zip(outcomes)
            .map(|(score, outcome)| (*score, if *outcome { 1.0 } else { 0.0 }))
            .collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        // Points of distinct scores with the sum of outcomes and their number.
        let mut points: Vec<(f64, f64, f64)> = Vec::new();
        for (score, outcome) in rows {
            match points.last_mut() {
                Some(last) if score - last.0 < RESOLUTION => {
                    last.1 += outcome;
                    last.2 += 1.0;
                }
                _ => points.push((score, outcome, 1.0)),
            }
        }
        // Blocks of pooled points: sum, number, points in the block.
        let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
        for (_, sum, count) in &points {
            let mut block = (*sum, *count, 1);
            while let Some(last) = blocks.last() {
                if last.0 / last.1 < block.0 / block.1 {
                    break;
                }
                block = (last.0 + block.0, last.1 + block.1, last.2 + block.2);
                blocks.pop();
            }
            blocks.push(block);
        }
        let mut values = Vec::with_capacity(points.len());
        for (sum, count, size) in blocks {
            values.extend(std::iter::repeat_n(sum / count, size));
        }
        let last = values.len() - 1;
        let is_kept = |i: usize| {
            i == 0 || i == last || values[i] != values[i - 1] || values[i] != values[i + 1]
        };
        let points =
            (0..values.len()).filter(|i| is_kept(*i)).map(|i| (points[i].0, values[i])).collect();
        Ok(Self { points })
    }

    /// The calibrated probability of a score.
    pub fn predict(&self, score: f64) -> f64 {
        let points = &self.points;
        let (first, last) = (points[0], points[points.len() - 1]);
        if points.len() == 1 || score <= first.0 {
            return first.1;
        }
        if score >= last.0 {
            return last.1;
        }
        let above = points.partition_point(|point| point.0 < score).clamp(1, points.len() - 1);
        let (low, high) = (points[above - 1], points[above]);
        let slope = (high.1 - low.1) / (high.0 - low.0);
        slope * (score - low.0) + low.1
    }
}

/// Whether isotonic calibration lowers the expected calibration error of scores in
/// cross-validation (NannyML's rule: ten stratified splits of 10 % with seed 42, ten bins of equal
/// counts).
///
/// # Errors
/// Fewer than two rows of a class, or too few rows for a stratified split.
pub fn needs_calibration(scores: &[f64], outcomes: &[bool]) -> Result<bool, Insufficient> {
    require_same_length("scores and outcomes", scores.len(), outcomes.len())?;
    require_rows("scores", scores.len() as u64, 1)?;
    let positives = outcomes.iter().filter(|outcome| **outcome).count();
    if positives == 0 || positives == outcomes.len() {
        return Ok(false);
    }
    if auc(scores, outcomes)? > AUC_MAX {
        return Ok(false);
    }
    require_rows("positive class", positives as u64, 2)?;
    require_rows("negative class", (outcomes.len() - positives) as u64, 2)?;
    let test_rows = (0.1 * outcomes.len() as f64).ceil() as usize;
    require(test_rows >= 2, "rows", "enough for a stratified test of both classes")?;
    let mut rng = RandomState::new(42);
    let (mut truth, mut raw, mut calibrated) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..SPLITS {
        let (train, test) = stratified_split(outcomes, test_rows, &mut rng);
        let pick = |rows: &[usize]| -> (Vec<f64>, Vec<bool>) {
            rows.iter().map(|row| (scores[*row], outcomes[*row])).unzip()
        };
        let (train_scores, train_outcomes) = pick(&train);
        let fitted = Isotonic::fit(&train_scores, &train_outcomes)?;
        let (test_scores, test_outcomes) = pick(&test);
        calibrated.extend(test_scores.iter().map(|score| fitted.predict(*score)));
        raw.extend(test_scores);
        truth.extend(test_outcomes);
    }
    let edges = bin_edges(truth.len())?;
    Ok(calibration_error(&truth, &raw, &edges) > calibration_error(&truth, &calibrated, &edges))
}

/// One split of scikit-learn's `StratifiedShuffleSplit`: train and test rows.
fn stratified_split(
    outcomes: &[bool],
    test_rows: usize,
    rng: &mut RandomState,
) -> (Vec<usize>, Vec<usize>) {
    let class = |wanted: bool| -> Vec<usize> {
        (0..outcomes.len()).filter(|row| outcomes[*row] == wanted).collect()
    };
    let classes = [class(false), class(true)];
    let counts = [classes[0].len(), classes[1].len()];
    let train_counts = approximate_mode(counts, outcomes.len() - test_rows, rng);
    let left = [counts[0] - train_counts[0], counts[1] - train_counts[1]];
    let test_counts = approximate_mode(left, test_rows, rng);
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (i, rows) in classes.iter().enumerate() {
        let order = rng.permutation(counts[i]);
        let picked: Vec<usize> = order.iter().map(|at| rows[*at]).collect();
        let end = (train_counts[i] + test_counts[i]).min(picked.len());
        train.extend_from_slice(&picked[..train_counts[i]]);
        test.extend_from_slice(&picked[train_counts[i]..end]);
    }
    rng.shuffle(&mut train);
    rng.shuffle(&mut test);
    (train, test)
}

/// How many of `draws` fall on each class: shares rounded down, the rest to the largest remainders,
/// ties at random (scikit-learn's `_approximate_mode`).
fn approximate_mode(counts: [usize; 2], draws: usize, rng: &mut RandomState) -> [usize; 2] {
    let total = (counts[0] + counts[1]) as f64;
    let exact = counts.map(|count| count as f64 / total * draws as f64);
    let mut floored = exact.map(|share| share.floor() as usize);
    let mut missing = draws.saturating_sub(floored[0] + floored[1]);
    let remainder = [exact[0] - exact[0].floor(), exact[1] - exact[1].floor()];
    if missing == 0 {
        return floored;
    }
    let mut values = vec![remainder[0].max(remainder[1])];
    if remainder[0] != remainder[1] {
        values.push(remainder[0].min(remainder[1]));
    }
    for value in values {
        let ties: Vec<usize> = (0..2).filter(|i| remainder[*i] == value).collect();
        let now = ties.len().min(missing);
        let order = rng.permutation(ties.len());
        order.into_iter().take(now).for_each(|at| floored[ties[at]] += 1);
        missing -= now;
        if missing == 0 {
            break;
        }
    }
    [floored[0].min(counts[0]), floored[1].min(counts[1])]
}

/// Edges of bins of equal counts; the last bin takes the rest (NannyML's `_get_bin_index_edges`).
fn bin_edges(rows: usize) -> Result<Vec<usize>, Insufficient> {
    let bins = if rows <= 2 * BINS { rows / 2 } else { BINS };
    require(bins >= 2, "rows", "enough for two bins")?;
    let mut edges: Vec<usize> = (0..=rows).step_by(rows / bins).collect();
    if let Some(last) = edges.last_mut() {
        *last = rows;
    }
    Ok(edges)
}

/// Expected calibration error: mean over bins of |mean score - share of positives|.
fn calibration_error(outcomes: &[bool], scores: &[f64], edges: &[usize]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let n = scores.len() as f64;
    edges
        .windows(2)
        .map(|edge| {
            let rows = &order[edge[0]..edge[1]];
            let count = rows.len() as f64;
            let score: f64 = rows.iter().map(|row| scores[*row]).sum::<f64>() / count;
            let positives = rows.iter().filter(|row| outcomes[**row]).count() as f64;
            count / n * (score - positives / count).abs()
        })
        .sum()
}
