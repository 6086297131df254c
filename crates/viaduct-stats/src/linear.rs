//! Ordinary least squares on small designs, by QR (nalgebra).

use nalgebra::{DMatrix, DVector};

use crate::insufficient::{Insufficient, Reason, require_finite, require_rows};

/// A fitted regression.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    /// Coefficients, one a column.
    pub(crate) beta: DVector<f64>,
    /// Inverse of X'X.
    pub(crate) inverse: DMatrix<f64>,
    /// Residuals, one a row.
    pub(crate) residuals: DVector<f64>,
}

impl Fit {
    /// Sum of squared residuals over n - k.
    pub(crate) fn variance(&self) -> f64 {
        let dof = self.residuals.len() - self.beta.len();
        self.residuals.norm_squared() / dof as f64
    }
}

/// Regresses y on the columns of x; needs more rows than columns.
pub(crate) fn ols(x: &DMatrix<f64>, y: &DVector<f64>) -> Result<Fit, Insufficient> {
    let (n, k) = x.shape();
    require_rows("regression", n as u64, k as u64 + 1)?;
    require_finite("regression", y.as_slice())?;
    require_finite("regression", x.as_slice())?;
    // Why scaled columns: the rank test below must not depend on units.
    let scales: Vec<f64> = x.column_iter().map(|column| column.amax()).collect();
    if scales.contains(&0.0) {
        return Err(Reason::Singular("regressors").into());
    }
    let mut scaled = x.clone();
    for (mut column, scale) in scaled.column_iter_mut().zip(&scales) {
        column /= *scale;
    }
    let qr = scaled.qr();
    let (q, r) = (qr.q(), qr.r());
    let diagonal = r.diagonal().abs();
    if diagonal.min() <= 1e-11 * diagonal.max() {
        return Err(Reason::Singular("regressors").into());
    }
    let mut inverse_r = DMatrix::identity(k, k);
    let mut beta = q.tr_mul(y);
    if !r.solve_upper_triangular_mut(&mut inverse_r) || !r.solve_upper_triangular_mut(&mut beta) {
        return Err(Reason::Singular("regressors").into());
    }
    for (i, scale) in scales.iter().enumerate() {
        beta[i] /= scale;
        inverse_r.row_mut(i).unscale_mut(*scale);
    }
    let inverse = &inverse_r * inverse_r.transpose();
    let residuals = y - x * &beta;
    require_finite("regression", beta.as_slice())?;
    Ok(Fit { beta, inverse, residuals })
}
