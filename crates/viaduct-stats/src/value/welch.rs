//! Welch's comparison of two means with unequal variances.

use std::collections::BTreeMap;

use crate::{
    dist::student,
    estimate::{Estimate, Method},
    insufficient::{Insufficient, Reason, finite, require_level, require_rows},
    moments::Moments,
};

/// Difference, standard error and Welch-Satterthwaite degrees of freedom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Treated minus control.
    pub effect: f64,
    /// Standard error `sqrt(vc / nc + vt / nt)`.
    pub se: f64,
    /// Degrees of freedom.
    pub dof: f64,
}

/// Compares two means given their unbiased variances per unit.
///
/// # Errors
/// Fewer than two rows in an arm, no variation in both arms, or figures that are not finite.
pub fn difference(
    control: (u64, f64, f64),
    treated: (u64, f64, f64),
) -> Result<Difference, Insufficient> {
    let ((nc, mc, vc), (nt, mt, vt)) = (control, treated);
    require_rows("control", nc, 2)?;
    require_rows("treated", nt, 2)?;
    let (qc, qt) = (vc / nc as f64, vt / nt as f64);
    let square = finite("variance", qc + qt)?;
    let effect = finite("effect", mt - mc)?;
    // Why: below the rounding of the means themselves a variance is noise, not evidence.
    let noise = f64::EPSILON * mc.abs().max(mt.abs());
    if square <= 0.0 || square.sqrt() <= noise * 0.5 {
        return Err(Reason::NoVariation("the outcome").into());
    }
    // Why by shares: squares of variances under 1e-160 would vanish.
    let (sc, st) = (qc / square, qt / square);
    let dof = 1.0 / (sc * sc / (nc - 1) as f64 + st * st / (nt - 1) as f64);
    Ok(Difference { effect, se: square.sqrt(), dof: finite("degrees of freedom", dof)? })
}

impl Difference {
    /// Two-sided interval at `level` by t.
    pub fn interval(&self, level: f64) -> (f64, f64) {
        let half = student::upper_quantile(0.5 * (1.0 - level), self.dof) * self.se;
        (self.effect - half, self.effect + half)
    }

    /// Test statistic against no effect.
    pub fn t(&self) -> f64 {
        self.effect / self.se
    }

    /// Two-sided p against no effect.
    pub fn p_two_sided(&self) -> f64 {
        student::two_sided(self.t(), self.dof)
    }

    pub(crate) fn into_estimate(
        self,
        method: Method,
        formula: &'static str,
        level: f64,
        arms: ((u64, f64), (u64, f64)),
    ) -> Estimate {
        let (lower, upper) = self.interval(level);
        Estimate {
            method,
            effect: self.effect,
            se: self.se,
            dof: Some(self.dof),
            lower,
            upper,
            level,
            p_value: Some(self.p_two_sided()),
            n_control: arms.0.0,
            n_treated: arms.1.0,
            mean_control: arms.0.1,
            mean_treated: arms.1.1,
            formula: formula.into(),
            parameters: BTreeMap::new(),
        }
    }
}

/// Welch's t on two samples (`value.md` §1.5.2): unbiased variances, Satterthwaite's degrees of
/// freedom, interval at `level` (for example 0.95).
///
/// # Errors
/// Fewer than two rows in an arm, or no variation in both arms.
pub fn welch(control: &Moments, treated: &Moments, level: f64) -> Result<Estimate, Insufficient> {
    require_level(level)?;
    require_rows("control", control.n, 2)?;
    require_rows("treated", treated.n, 2)?;
    let found = difference(
        (control.n, control.mean, control.variance()?),
        (treated.n, treated.mean, treated.variance()?),
    )?;
    Ok(found.into_estimate(
        Method::Welch,
        "welch-satterthwaite/1",
        level,
        ((control.n, control.mean), (treated.n, treated.mean)),
    ))
}

/// Relative uplift `(mt - mc) / |mc|` by the delta method, for display only.
///
/// Variance `vt / (nt mc^2) + mt^2 vc / (nc mc^4)`; degrees of freedom by Satterthwaite on those two
/// terms. Equals gbstats' relative result except for the sign where the baseline is negative.
///
/// # Errors
/// As [`difference`], or a control mean of zero.
pub fn relative(
    control: (u64, f64, f64),
    treated: (u64, f64, f64),
) -> Result<Difference, Insufficient> {
    let ((nc, mc, vc), (nt, mt, vt)) = (control, treated);
    difference(control, treated)?;
    if mc == 0.0 {
        return Err(Reason::ZeroDenominator("the mean of control").into());
    }
    let (qc, qt) = (vc / nc as f64, vt / nt as f64);
    let (tc, tt) = (qc * (mt / mc / mc).powi(2), qt / mc / mc);
    let square = finite("variance", tc + tt)?;
    if square <= 0.0 {
        return Err(Reason::NoVariation("the outcome").into());
    }
    // Why not by the delta terms: gbstats keeps the degrees of freedom of the absolute scale.
    let dof = (qc + qt).powi(2) / (qc * qc / (nc - 1) as f64 + qt * qt / (nt - 1) as f64);
    Ok(Difference {
        effect: (mt - mc) / mc.abs(),
        se: square.sqrt(),
        dof: finite("degrees of freedom", dof)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_outcome_is_no_evidence() {
        let same = Moments::of(&[2.0, 2.0, 2.0]);
        assert!(matches!(
            welch(&same, &same, 0.95),
            Err(Insufficient { reason: Reason::NoVariation(_) })
        ));
    }
}
