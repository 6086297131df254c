//! Segmented regression of one interrupted series: level and slope before and after.
//!
//! Evidence grade C at best: one series cannot tell the model from anything else that changed.

use nalgebra::{DMatrix, DVector};

use crate::{
    dist::student,
    insufficient::{Insufficient, Reason, require, require_finite},
    linear::{Fit, ols},
};

/// Most rows that are fitted.
const ROWS_MAX: usize = 200_000;

/// Segmented regression with three kinds of standard errors.
///
/// Coefficients: level, slope per period, change of level, change of slope.
#[derive(Debug, Clone, PartialEq)]
pub struct Segmented {
    /// Coefficients by OLS.
    pub beta: [f64; 4],
    /// Newey-West standard errors (Bartlett weights, n / (n - k)).
    pub se_hac: [f64; 4],
    /// Classic standard errors.
    pub se_ols: [f64; 4],
    /// Two-sided p by t with n - 4 degrees of freedom on the Newey-West errors.
    pub p_hac: [f64; 4],
    /// n - 4.
    pub dof: f64,
    /// Average effect over the periods after: `b2 + b3 (h - 1) / 2`.
    pub average_effect: f64,
    /// Its Newey-West standard error.
    pub se_average: f64,
    /// Periods after.
    pub periods_after: u64,
    /// Durbin-Watson statistic of the residuals.
    pub durbin_watson: f64,
    /// The same series with AR(1) errors; absent where the residuals vanish.
    pub ar1: Option<Ar1>,
    /// What the trend before predicts for the last period.
    pub counterfactual_last: f64,
}

/// Regression with AR(1) errors by Cochrane and Orcutt, rho by adjusted Yule-Walker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ar1 {
    /// Autocorrelation of the errors.
    pub rho: f64,
    /// Coefficients.
    pub beta: [f64; 4],
    /// Standard errors.
    pub se: [f64; 4],
    /// Average effect over the periods after.
    pub average_effect: f64,
    /// Its standard error.
    pub se_average: f64,
}

impl Segmented {
    /// Interval of the average effect by t on the Newey-West error.
    pub fn interval_average(&self, level: f64) -> (f64, f64) {
        let half = student::upper_quantile(0.5 * (1.0 - level), self.dof) * self.se_average;
        (self.average_effect - half, self.average_effect + half)
    }
}

/// Lags of the Newey-West estimator by default: `floor(4 (n / 100)^(2/9))`.
pub fn lags_default(n: usize) -> usize {
    (4.0 * (n as f64 / 100.0).powf(2.0 / 9.0)).floor() as usize
}

/// Fits `y = b0 + b1 t + b2 post + b3 post (t - t0)` (`value.md` §1.5.12).
///
/// `intervention_index` is the first period with the model, counted from 0.
///
/// # Errors
/// Fewer than three periods before or two after, lags beyond the series, a perfect fit.
pub fn segmented(
    y: &[f64],
    intervention_index: usize,
    lags: usize,
) -> Result<Segmented, Insufficient> {
    let n = y.len();
    if n > ROWS_MAX {
        return Err(Reason::TooLarge { what: "series", limit: ROWS_MAX as u64 }.into());
    }
    require_finite("series", y)?;
    require(intervention_index >= 3, "periods before", "at least 3")?;
    require(n >= intervention_index.saturating_add(2), "periods after", "at least 2")?;
    require(lags < n, "lags", "fewer than periods")?;
    let after = n - intervention_index;
    let mut design = DMatrix::zeros(n, 4);
    for t in 0..n {
        design[(t, 0)] = 1.0;
        design[(t, 1)] = t as f64;
        if t >= intervention_index {
            design[(t, 2)] = 1.0;
            design[(t, 3)] = (t - intervention_index) as f64;
        }
    }
    let series = DVector::from_column_slice(y);
    let fit = ols(&design, &series)?;
    let scale = series.amax();
    if fit.residuals.amax() <= 64.0 * f64::EPSILON * scale {
        return Err(Reason::NoVariation("the series around its trend").into());
    }
    let contrast = DVector::from_vec(vec![0.0, 0.0, 1.0, 0.5 * (after as f64 - 1.0)]);
    let hac = newey_west(&design, &fit, lags);
    let se_hac = errors(&hac);
    let se_ols = errors(&(&fit.inverse * fit.variance()));
    let dof = (n - 4) as f64;
    let beta = four(&fit.beta);
    let mut p_hac = [0.0; 4];
    for i in 0..4 {
        p_hac[i] = student::two_sided(beta[i] / se_hac[i], dof);
    }
    let squares: f64 = fit.residuals.norm_squared();
    let steps: f64 = (1..n).map(|t| (fit.residuals[t] - fit.residuals[t - 1]).powi(2)).sum();
    let se_average = (contrast.dot(&(&hac * &contrast))).max(0.0).sqrt();
    require_finite("standard errors", &se_hac)?;
    Ok(Segmented {
        beta,
        se_hac,
        se_ols,
        p_hac,
        dof,
        average_effect: contrast.dot(&fit.beta),
        se_average,
        periods_after: after as u64,
        durbin_watson: steps / squares,
        ar1: ar1(&design, &series, &fit, &contrast),
        counterfactual_last: beta[0] + beta[1] * (n as f64 - 1.0),
    })
}

fn newey_west(x: &DMatrix<f64>, fit: &Fit, lags: usize) -> DMatrix<f64> {
    let (n, k) = x.shape();
    let mut scores = x.clone();
    for (mut row, residual) in scores.row_iter_mut().zip(fit.residuals.iter()) {
        row *= *residual;
    }
    let mut meat = scores.tr_mul(&scores);
    for lag in 1..=lags {
        let weight = 1.0 - lag as f64 / (lags as f64 + 1.0);
        let cross = scores.rows(lag, n - lag).tr_mul(&scores.rows(0, n - lag));
        meat += (&cross + cross.transpose()) * weight;
    }
    let correction = n as f64 / (n - k) as f64;
    &fit.inverse * meat * &fit.inverse * correction
}

fn ar1(x: &DMatrix<f64>, y: &DVector<f64>, start: &Fit, contrast: &DVector<f64>) -> Option<Ar1> {
    const ROUNDS_MAX: usize = 1000;
    let n = y.len();
    let mut residuals = start.residuals.clone();
    let mut before = f64::NAN;
    for _ in 0..ROUNDS_MAX {
        let rho = yule_walker(&residuals)?;
        let lagged = |m: &DMatrix<f64>| m.rows(1, n - 1) - m.rows(0, n - 1) * rho;
        let (wx, wy) = (lagged(x), y.rows(1, n - 1) - y.rows(0, n - 1) * rho);
        let fit = ols(&wx, &wy).ok()?;
        residuals = y - x * &fit.beta;
        if (rho - before).abs() < 1e-12 {
            let covariance = &fit.inverse * fit.variance();
            let variance = contrast.dot(&(&covariance * contrast));
            return Some(Ar1 {
                rho,
                beta: four(&fit.beta),
                se: errors(&covariance),
                average_effect: contrast.dot(&fit.beta),
                se_average: variance.max(0.0).sqrt(),
            });
        }
        before = rho;
    }
    None
}

/// Adjusted Yule-Walker estimate of order 1 (divisors n - 1 and n, as statsmodels).
fn yule_walker(residuals: &DVector<f64>) -> Option<f64> {
    let n = residuals.len();
    let mean = residuals.mean();
    let e: Vec<f64> = residuals.iter().map(|e| e - mean).collect();
    let lagged: f64 = e.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let square: f64 = e.iter().map(|e| e * e).sum();
    let rho = lagged / (n as f64 - 1.0) / (square / n as f64);
    rho.is_finite().then_some(rho)
}

fn four(beta: &DVector<f64>) -> [f64; 4] {
    [beta[0], beta[1], beta[2], beta[3]]
}

fn errors(covariance: &DMatrix<f64>) -> [f64; 4] {
    [0, 1, 2, 3].map(|i| covariance[(i, i)].max(0.0).sqrt())
}
