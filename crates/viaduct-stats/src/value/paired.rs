//! Paired comparison: two answers on the same cases, as in shadow mode.

use crate::{
    dist::{normal, student},
    estimate::{Estimate, Method},
    insufficient::{Insufficient, Reason, require_finite, require_level, require_rows},
    moments::{Moments, PairMoments},
};

/// Student's t on the mean of paired differences, n - 1 degrees of freedom, interval at `level`.
///
/// `mean_control` of the answer is 0 and `mean_treated` the mean difference, because only the
/// differences are known; [`paired_samples`] fills both. The one-sided lower bound is
/// [`crate::one_sided_lower`].
///
/// # Errors
/// Fewer than two pairs, or differences that do not vary.
pub fn paired(differences: &Moments, level: f64) -> Result<Estimate, Insufficient> {
    require_level(level)?;
    require_rows("pairs", differences.n, 2)?;
    let variance = differences.variance()?;
    let se = (variance / differences.n as f64).sqrt();
    if se <= f64::EPSILON * differences.mean.abs() {
        return Err(Reason::NoVariation("the difference").into());
    }
    let dof = (differences.n - 1) as f64;
    let half = student::upper_quantile(0.5 * (1.0 - level), dof) * se;
    Ok(Estimate {
        method: Method::PairedT,
        effect: differences.mean,
        se,
        dof: Some(dof),
        lower: differences.mean - half,
        upper: differences.mean + half,
        level,
        p_value: Some(student::two_sided(differences.mean / se, dof)),
        n_control: differences.n,
        n_treated: differences.n,
        mean_control: 0.0,
        mean_treated: differences.mean,
        formula: "paired-t/1".into(),
        parameters: Default::default(),
    })
}

/// As [`paired`], from the moments of both answers: `y` is with the model, `x` without.
///
/// # Errors
/// As [`paired`].
pub fn paired_samples(pairs: &PairMoments, level: f64) -> Result<Estimate, Insufficient> {
    let mut estimate = paired(&pairs.differences(), level)?;
    estimate.mean_control = pairs.x.mean;
    estimate.mean_treated = pairs.y.mean;
    Ok(estimate)
}

/// Largest number of pairs for which Wilcoxon's distribution is counted exactly.
const EXACT_MAX: usize = 50;
/// The same where ranks are tied or differences are zero.
const EXACT_TIED_MAX: usize = 13;

/// Wilcoxon's signed-rank test, two-sided (scipy's `wilcoxon`, method `auto`, zeros dropped).
///
/// Exact over all sign patterns up to 50 pairs (13 with zeros or ties); otherwise the normal
/// approximation with the tie correction and without continuity correction.
///
/// # Errors
/// No pair with a difference, or values that are not finite.
pub fn wilcoxon(differences: &[f64]) -> Result<f64, Insufficient> {
    require_finite("differences", differences)?;
    let mut kept: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    require_rows("pairs with a difference", kept.len() as u64, 1)?;
    kept.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let n = kept.len();
    // Twice the midranks, so that they are whole.
    let mut ranks = vec![0_usize; n];
    let mut ties = 0.0;
    let mut start = 0;
    while start < n {
        let mut end = start + 1;
        while end < n && kept[end].abs() == kept[start].abs() {
            end += 1;
        }
        ranks[start..end].fill(start + 1 + end);
        let size = (end - start) as f64;
        ties += size * size * size - size;
        start = end;
    }
    let positive: usize =
        kept.iter().zip(&ranks).filter(|(d, _)| **d > 0.0).map(|(_, rank)| rank).sum();
    let is_plain = ties == 0.0 && n == differences.len();
    let limit = if is_plain { EXACT_MAX } else { EXACT_TIED_MAX };
    if differences.len() <= limit {
        return Ok(sign_flips(&ranks, positive));
    }
    let count = n as f64;
    let mean = count * (count + 1.0) / 4.0;
    let variance = count * (count + 1.0) * (2.0 * count + 1.0) / 24.0 - ties / 48.0;
    if variance <= 0.0 {
        return Err(Reason::NoVariation("the ranks").into());
    }
    Ok(normal::two_sided((0.5 * positive as f64 - mean) / variance.sqrt()))
}

/// Two-sided p of a sum of ranks when each of them has either sign with equal chance.
fn sign_flips(ranks: &[usize], sum: usize) -> f64 {
    let top: usize = ranks.iter().sum();
    let mut ways = vec![0.0_f64; top + 1];
    ways[0] = 1.0;
    for rank in ranks {
        for at in (*rank..=top).rev() {
            ways[at] += ways[at - rank];
        }
    }
    let tail: f64 = ways[..=sum.min(top - sum)].iter().sum();
    (2.0 * tail / 2.0_f64.powi(ranks.len() as i32)).min(1.0)
}
