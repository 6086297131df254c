//! Is an effect repeatable across departments? Random effects with a prediction interval.

use serde::{Deserialize, Serialize};

use crate::{
    dist::student,
    insufficient::{
        Insufficient, finite, require, require_finite, require_rows, require_same_length,
    },
    value::intervals::Interval,
};

/// Pooled effect of several departments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandomEffects {
    /// Departments.
    pub k: u64,
    /// Fixed-effect mean and its standard error.
    pub fixed: (f64, f64),
    /// Cochran's Q.
    pub q: f64,
    /// Share of the variation between departments, `max(0, (Q - df) / Q)`.
    pub i2: f64,
    /// Variance between departments (DerSimonian and Laird, not below zero).
    pub tau2: f64,
    /// Random-effects mean.
    pub effect: f64,
    /// Its classic standard error.
    pub se: f64,
    /// Its standard error by Hartung and Knapp.
    pub se_hartung_knapp: f64,
    /// The larger of the two, which is what is used.
    pub se_used: f64,
    /// 95 % interval of the mean by t with k - 1 degrees of freedom.
    pub mean_interval: Interval,
    /// 80 % prediction interval of the next department by t with k - 2 degrees of freedom; absent
    /// below three departments.
    pub prediction: Option<Interval>,
}

impl RandomEffects {
    /// Whether the next department will gain (or lose) with 90 % probability: the prediction
    /// interval excludes zero.
    pub fn is_repeatable(&self) -> bool {
        self.prediction.is_some_and(|interval| interval.lower > 0.0 || interval.upper < 0.0)
    }
}

/// Pools one effect and standard error per department (`value.md` §1.5.15).
///
/// # Errors
/// Fewer than two departments, or a standard error that is not above zero.
pub fn random_effects(effects: &[f64], se: &[f64]) -> Result<RandomEffects, Insufficient> {
    require_same_length("effects and standard errors", effects.len(), se.len())?;
    require_rows("departments", effects.len() as u64, 2)?;
    require_finite("effects", effects)?;
    require(se.iter().all(|se| *se > 0.0 && se.is_finite()), "standard errors", "above 0")?;
    let k = effects.len() as f64;
    // Why scaled: weights are inverse squares and leave the range of doubles for extreme units.
    let unit = se.iter().copied().fold(f64::INFINITY, f64::min);
    let y: Vec<f64> = effects.iter().map(|effect| effect / unit).collect();
    let v: Vec<f64> = se.iter().map(|se| (se / unit).powi(2)).collect();
    let pooled = |tau2: f64| {
        let w: Vec<f64> = v.iter().map(|v| 1.0 / (v + tau2)).collect();
        let total: f64 = w.iter().sum();
        let mean = w.iter().zip(&y).map(|(w, y)| w * y).sum::<f64>() / total;
        let q: f64 = w.iter().zip(&y).map(|(w, y)| w * (y - mean) * (y - mean)).sum();
        (mean, total, q, w)
    };
    let (fixed, total, q, w) = pooled(0.0);
    let q = finite("effects", q)?;
    let df = k - 1.0;
    let c = total - w.iter().map(|w| w * w).sum::<f64>() / total;
    let tau2 = if c > 0.0 { ((q - df) / c).max(0.0) } else { 0.0 };
    let i2 = if q > 0.0 { ((q - df) / q).max(0.0) } else { 0.0 };
    let (mean, total_random, q_random, _) = pooled(tau2);
    let effect = finite("effect", mean * unit)?;
    let se_classic = (1.0 / total_random).sqrt() * unit;
    let se_hartung_knapp = (q_random / (df * total_random)).sqrt() * unit;
    let se_used = se_classic.max(se_hartung_knapp);
    let around = |half: f64| Interval { lower: effect - half, upper: effect + half };
    let tau2 = finite("variance between departments", tau2 * unit * unit)?;
    let prediction = (effects.len() >= 3).then(|| {
        let spread = (tau2 + se_used * se_used).sqrt();
        around(student::upper_quantile(0.1, k - 2.0) * spread)
    });
    Ok(RandomEffects {
        k: effects.len() as u64,
        fixed: (fixed * unit, (1.0 / total).sqrt() * unit),
        q,
        i2,
        tau2,
        effect,
        se: se_classic,
        se_hartung_knapp,
        se_used,
        mean_interval: around(student::upper_quantile(0.025, df) * se_used),
        prediction,
    })
}
