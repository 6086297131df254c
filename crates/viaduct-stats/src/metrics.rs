//! Metrics of predictions against labels.

use crate::insufficient::{
    Insufficient, Reason, require, require_finite, require_rows, require_same_length,
};

/// Area under the ROC curve by ranks (Mann and Whitney), ties averaged.
///
/// `labels` are true for the positive class; higher scores mean more positive.
///
/// # Errors
/// Different lengths, one class only, or scores that are not finite.
pub fn auc(scores: &[f64], labels: &[bool]) -> Result<f64, Insufficient> {
    require_same_length("scores and labels", scores.len(), labels.len())?;
    require_finite("scores", scores)?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let positives = labels.iter().filter(|label| **label).count();
    let negatives = labels.len() - positives;
    if positives == 0 || negatives == 0 {
        return Err(Reason::NoVariation("the label").into());
    }
    // Twice the wins of positives over negatives, so that ties stay whole numbers.
    let mut wins_twice = 0_u128;
    let mut negatives_below = 0_u128;
    let mut start = 0;
    while start < order.len() {
        let score = scores[order[start]];
        let (mut plus, mut minus) = (0_u128, 0_u128);
        let mut end = start;
        while end < order.len() && scores[order[end]] == score {
            if labels[order[end]] {
                plus += 1;
            } else {
                minus += 1;
            }
            end += 1;
        }
        wins_twice += plus * (2 * negatives_below + minus);
        negatives_below += minus;
        start = end;
    }
    Ok(wins_twice as f64 / 2.0 / (positives as f64 * negatives as f64))
}

/// Brier score: mean squared difference of probability and label.
///
/// # Errors
/// No rows, different lengths, or a probability outside of [0, 1].
pub fn brier(probabilities: &[f64], labels: &[bool]) -> Result<f64, Insufficient> {
    require_same_length("probabilities and labels", probabilities.len(), labels.len())?;
    require_rows("predictions", labels.len() as u64, 1)?;
    require(probabilities.iter().all(|p| (0.0..=1.0).contains(p)), "probabilities", "in [0, 1]")?;
    let sum: f64 = probabilities
        .iter()
        .zip(labels)
        .map(|(p, label)| (p - f64::from(u8::from(*label))).powi(2))
        .sum();
    Ok(sum / labels.len() as f64)
}

/// Quantile with linear interpolation between order statistics (R's type 7, numpy's `linear`).
///
/// # Errors
/// No values, values that are not finite, or `q` outside of [0, 1].
pub fn quantile(values: &[f64], q: f64) -> Result<f64, Insufficient> {
    require_finite("values", values)?;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile_sorted(&sorted, q)
}

/// As [`quantile`], of values that are sorted already.
///
/// # Errors
/// As [`quantile`].
pub fn quantile_sorted(sorted: &[f64], q: f64) -> Result<f64, Insufficient> {
    require((0.0..=1.0).contains(&q), "quantile", "between 0 and 1")?;
    require_rows("values", sorted.len() as u64, 1)?;
    let at = q * (sorted.len() - 1) as f64;
    let below = (at.floor() as usize).min(sorted.len() - 1);
    let above = (below + 1).min(sorted.len() - 1);
    let share = at - below as f64;
    let gap = sorted[above] - sorted[below];
    // numpy's `_lerp`: from the nearer end, so that both ends are exact.
    Ok(if share >= 0.5 { sorted[above] - gap * (1.0 - share) } else { sorted[below] + gap * share })
}
