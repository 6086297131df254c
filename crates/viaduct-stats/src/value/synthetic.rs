//! Synthetic control: a weighted mix of units without the model that follows the treated unit
//! before, and placebo runs that say how unusual the gap afterwards is.

use nalgebra::{DMatrix, DVector};

use crate::insufficient::{
    Insufficient, Reason, finite, require, require_finite, require_rows, require_same_length,
};

/// Most donors, and most cells of the donor matrix, that are computed.
const DONORS_MAX: usize = 300;
const CELLS_MAX: usize = 300_000;

/// A synthetic control and its placebo test.
#[derive(Debug, Clone, PartialEq)]
pub struct SyntheticControl {
    /// Weight per donor, 0 or more, sum 1.
    pub weights: Vec<f64>,
    /// Sum of squared gaps before.
    pub pre_sse: f64,
    /// Root mean square gap before.
    pub pre_rmspe: f64,
    /// Mean gap after.
    pub average_effect: f64,
    /// Sum of gaps after.
    pub cumulative_effect: f64,
    /// Root mean square gap after over before.
    pub rmspe_ratio: f64,
    /// The same ratio of each donor against the other donors.
    pub placebo_ratios: Vec<f64>,
    /// `(1 + placebos with a ratio at least as large) / (donors + 1)`.
    pub placebo_p: f64,
}

/// Fits weights on the periods before `intervention_index` (`value.md` §1.5.14).
///
/// `donors` holds one series a donor, all as long as `treated`. With J donors the smallest possible p
/// is 1 / (J + 1).
///
/// # Errors
/// Fewer than two donors or periods before, no period after, or a fit without any gap before.
pub fn synthetic_control(
    treated: &[f64],
    donors: &[Vec<f64>],
    intervention_index: usize,
) -> Result<SyntheticControl, Insufficient> {
    require_rows("donors", donors.len() as u64, 2)?;
    if donors.len() > DONORS_MAX || donors.len().saturating_mul(treated.len()) > CELLS_MAX {
        return Err(Reason::TooLarge { what: "donors", limit: DONORS_MAX as u64 }.into());
    }
    require_finite("treated", treated)?;
    for donor in donors {
        require_same_length("donors and treated", donor.len(), treated.len())?;
        require_finite("donors", donor)?;
    }
    require(intervention_index >= 2, "periods before", "at least 2")?;
    require(treated.len() > intervention_index, "periods after", "at least 1")?;
    let all: Vec<&[f64]> = donors.iter().map(Vec::as_slice).collect();
    let own = run(treated, &all, intervention_index)?;
    let mut placebo_ratios = Vec::with_capacity(donors.len());
    for (index, donor) in donors.iter().enumerate() {
        let others: Vec<&[f64]> =
            all.iter().enumerate().filter(|(j, _)| *j != index).map(|(_, d)| *d).collect();
        placebo_ratios.push(run(donor, &others, intervention_index)?.ratio);
    }
    let larger = placebo_ratios.iter().filter(|ratio| **ratio >= own.ratio).count();
    Ok(SyntheticControl {
        placebo_p: (1 + larger) as f64 / (donors.len() + 1) as f64,
        weights: own.weights,
        pre_sse: own.pre_sse,
        pre_rmspe: (own.pre_sse / intervention_index as f64).sqrt(),
        average_effect: own.cumulative / (treated.len() - intervention_index) as f64,
        cumulative_effect: own.cumulative,
        rmspe_ratio: own.ratio,
        placebo_ratios,
    })
}

struct Run {
    weights: Vec<f64>,
    pre_sse: f64,
    cumulative: f64,
    ratio: f64,
}

fn run(treated: &[f64], donors: &[&[f64]], start: usize) -> Result<Run, Insufficient> {
    let weights = simplex_weights(&treated[..start], donors, start);
    let gap = |t: usize| {
        treated[t] - donors.iter().zip(&weights).map(|(donor, w)| donor[t] * w).sum::<f64>()
    };
    let pre_sse: f64 = (0..start).map(|t| gap(t).powi(2)).sum();
    let scale = treated.iter().fold(0.0_f64, |largest, y| largest.max(y.abs()));
    if pre_sse.sqrt() <= 64.0 * f64::EPSILON * scale {
        return Err(Reason::NoVariation("the gap before").into());
    }
    let after = treated.len() - start;
    let post_sse: f64 = (start..treated.len()).map(|t| gap(t).powi(2)).sum();
    let ratio = (post_sse / after as f64).sqrt() / (pre_sse / start as f64).sqrt();
    Ok(Run {
        pre_sse: finite("gap", pre_sse)?,
        cumulative: finite("gap", (start..treated.len()).map(gap).sum())?,
        ratio: finite("gap", ratio)?,
        weights,
    })
}

/// Minimises `|y - D w|^2` over the simplex: accelerated projected gradient with restarts, then the
/// exact solution on the donors that it leaves.
fn simplex_weights(y: &[f64], donors: &[&[f64]], start: usize) -> Vec<f64> {
    const ROUNDS_MAX: usize = 20_000;
    let j = donors.len();
    if j == 1 {
        return vec![1.0];
    }
    // With weights that sum to one, gaps are combinations of donor less treated: well scaled.
    let mut gaps = DMatrix::from_fn(start, j, |t, d| donors[d][t] - y[t]);
    // Why: squares of extreme units overflow, and the eigenvalues of infinities never end.
    gaps /= gaps.amax().max(f64::MIN_POSITIVE);
    if gaps.iter().any(|gap| !gap.is_finite()) {
        return vec![1.0 / j as f64; j];
    }
    let gram = gaps.tr_mul(&gaps);
    let largest = gram.clone().symmetric_eigenvalues().max();
    if !(largest > 0.0 && largest.is_finite()) {
        return vec![1.0 / j as f64; j];
    }
    let mut w = DVector::from_element(j, 1.0 / j as f64);
    let mut ahead = w.clone();
    let mut momentum = 1.0_f64;
    for _ in 0..ROUNDS_MAX {
        let gradient = &gram * &ahead;
        let next = project(&(&ahead - &gradient / largest));
        let step = &next - &w;
        if gradient.dot(&step) > 0.0 {
            momentum = 1.0;
        }
        let following = 0.5 * (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt());
        ahead = &next + &step * ((momentum - 1.0) / following);
        momentum = following;
        w = next;
        if step.amax() < 1e-12 {
            break;
        }
    }
    polish(&gram, &w).unwrap_or(w).iter().copied().collect()
}

/// Solves the equality-constrained problem on the support; `None` where that is not better.
fn polish(gram: &DMatrix<f64>, w: &DVector<f64>) -> Option<DVector<f64>> {
    let support: Vec<usize> = (0..w.len()).filter(|i| w[*i] > 1e-7).collect();
    let k = support.len();
    let mut system = DMatrix::zeros(k + 1, k + 1);
    let mut right = DVector::zeros(k + 1);
    right[k] = 1.0;
    let scale = gram.amax();
    for (a, i) in support.iter().enumerate() {
        for (b, j) in support.iter().enumerate() {
            system[(a, b)] = gram[(*i, *j)] / scale;
        }
        system[(a, k)] = 1.0;
        system[(k, a)] = 1.0;
    }
    let solved = system.lu().solve(&right)?;
    let mut better = DVector::zeros(w.len());
    for (a, i) in support.iter().enumerate() {
        if solved[a].is_nan() || solved[a] < 0.0 {
            return None;
        }
        better[*i] = solved[a];
    }
    let value = |w: &DVector<f64>| w.dot(&(gram * w));
    (value(&better) <= value(w)).then_some(better)
}

/// Nearest point of the simplex (Held, Wolfe and Crowder; sorting).
fn project(v: &DVector<f64>) -> DVector<f64> {
    let mut sorted: Vec<f64> = v.iter().copied().collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let mut sum = 0.0;
    let mut shift = 0.0;
    for (i, value) in sorted.iter().enumerate() {
        sum += value;
        let candidate = (sum - 1.0) / (i + 1) as f64;
        if value - candidate > 0.0 {
            shift = candidate;
        }
    }
    v.map(|value| (value - shift).max(0.0))
}
