//! Sample-ratio mismatch: did the arms receive the shares that were planned?

use serde::{Deserialize, Serialize};

use crate::{
    dist::chi_squared,
    insufficient::{Insufficient, Reason, require, require_rows, require_same_length},
};

/// How alarming a mismatch is (Statsig's published thresholds).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SrmLevel {
    /// p of at least 0.01, or below it without reaching an alert's deviation.
    Ok,
    /// p below 0.01.
    Warn,
    /// p below 0.001 and a share off by at least 0.1 percentage points.
    Alert,
}

/// Result of the fixed-sample test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Srm {
    /// Pearson's statistic over arms with a weight above zero.
    pub chi2: f64,
    /// Number of those arms less one.
    pub dof: u64,
    /// Upper tail of chi-squared.
    pub p_value: f64,
    /// Largest absolute difference between an observed and a planned share.
    pub max_share_deviation: f64,
    /// The level that the two figures above amount to.
    pub level: SrmLevel,
}

/// Compares counts per arm with planned weights (any positive scale).
///
/// Arms of weight zero are dropped before the degrees of freedom are counted.
///
/// # Errors
/// Fewer than two arms with weight, no units, negative weights, or units in an arm of weight zero.
pub fn srm(counts: &[u64], weights: &[f64]) -> Result<Srm, Insufficient> {
    let arms = arms(counts, weights)?;
    let n: f64 = arms.iter().map(|arm| arm.count).sum();
    require_rows("units", n as u64, 1)?;
    let mut chi2 = 0.0;
    let mut deviation: f64 = 0.0;
    for arm in &arms {
        let expected = n * arm.share;
        chi2 += (arm.count - expected).powi(2) / expected;
        deviation = deviation.max((arm.count / n - arm.share).abs());
    }
    let dof = (arms.len() - 1) as u64;
    let p_value = chi_squared::sf(chi2, dof as f64);
    let level = match p_value {
        p if p < 0.001 && deviation >= 0.001 => SrmLevel::Alert,
        p if p < 0.01 => SrmLevel::Warn,
        _ => SrmLevel::Ok,
    };
    Ok(Srm { chi2, dof, p_value, max_share_deviation: deviation, level })
}

/// Always-valid mismatch test, which may be read after every batch (Lindon and Malek 2022).
///
/// A Dirichlet prior of weight `concentration` (1000 by default in `value.md`) around the planned
/// shares gives a Bayes factor on the cumulative counts; the running minimum of its inverse is a
/// p-value at any stopping time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SequentialSrm {
    shares: Vec<f64>,
    concentration: f64,
    counts: Vec<u64>,
    p_value: f64,
}

impl SequentialSrm {
    /// Starts without observations.
    ///
    /// # Errors
    /// Fewer than two arms, weights that are not all above zero, or a concentration not above zero.
    pub fn new(weights: &[f64], concentration: f64) -> Result<Self, Insufficient> {
        require(weights.len() >= 2, "arms", "at least 2")?;
        require(
            weights.iter().all(|weight| *weight > 0.0 && weight.is_finite()),
            "weights",
            "above 0",
        )?;
        require(
            concentration > 0.0 && concentration.is_finite(),
            "concentration",
            "above 0 and finite",
        )?;
        let total: f64 = weights.iter().sum();
        require(total.is_finite(), "weights", "of finite sum")?;
        Ok(Self {
            shares: weights.iter().map(|weight| weight / total).collect(),
            concentration,
            counts: vec![0; weights.len()],
            p_value: 1.0,
        })
    }

    /// Adds the units of one batch and returns the p-value so far.
    ///
    /// # Errors
    /// A batch with another number of arms.
    pub fn observe(&mut self, batch: &[u64]) -> Result<f64, Insufficient> {
        require_same_length("batch and weights", batch.len(), self.counts.len())?;
        for (count, added) in self.counts.iter_mut().zip(batch) {
            *count = count.saturating_add(*added);
        }
        self.p_value = self.p_value.min((-self.log_bayes_factor()).exp());
        Ok(self.p_value)
    }

    /// The running minimum so far; 1 before the first batch.
    pub fn p_value(&self) -> f64 {
        self.p_value
    }

    fn log_bayes_factor(&self) -> f64 {
        let n: f64 = self.counts.iter().map(|count| *count as f64).sum();
        let alpha = self.concentration;
        let mut log = -rising(alpha, n);
        for (count, share) in self.counts.iter().zip(&self.shares) {
            let count = *count as f64;
            log += rising(alpha * share, count) - count * share.ln();
        }
        log
    }
}

/// `ln Gamma(a + n) - ln Gamma(a)`, without cancellation for large arguments.
pub(crate) fn rising(a: f64, n: f64) -> f64 {
    use crate::dist::gamma::stirling_error;
    if n == 0.0 {
        return 0.0;
    }
    if a < 1.0 {
        return libm::lgamma(a + n) - libm::lgamma(a);
    }
    // Gamma(z) = sqrt(2 pi / z) (z / e)^z exp(stirling_error(z)).
    (a + n - 0.5) * (n / a).ln_1p() + n * a.ln() - n + stirling_error(a + n) - stirling_error(a)
}

struct Arm {
    count: f64,
    share: f64,
}

fn arms(counts: &[u64], weights: &[f64]) -> Result<Vec<Arm>, Insufficient> {
    require_same_length("counts and weights", counts.len(), weights.len())?;
    require(
        weights.iter().all(|weight| *weight >= 0.0 && weight.is_finite()),
        "weights",
        "0 or more",
    )?;
    let total: f64 = weights.iter().sum();
    require(total.is_finite(), "weights", "of finite sum")?;
    let mut arms = Vec::with_capacity(counts.len());
    for (count, weight) in counts.iter().zip(weights) {
        if *weight > 0.0 {
            let share = weight / total;
            if share <= 0.0 {
                return Err(Reason::OutOfRange { what: "weights", rule: "comparable" }.into());
            }
            arms.push(Arm { count: *count as f64, share });
        } else {
            require(*count == 0, "units of an arm of weight zero", "0")?;
        }
    }
    require(arms.len() >= 2, "arms with weight", "at least 2")?;
    Ok(arms)
}
