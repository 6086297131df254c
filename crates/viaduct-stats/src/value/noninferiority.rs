//! Guardrails: is the model at most a margin worse than control?

use serde::{Deserialize, Serialize};

use crate::{
    dist::normal,
    insufficient::{Insufficient, Reason, finite, require},
    moments::Moments,
    value::proportion,
};

/// Which way a metric should move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Larger is better.
    Increase,
    /// Smaller is better.
    Decrease,
}

impl Direction {
    /// +1 where larger is better, -1 otherwise.
    pub fn sign(self) -> f64 {
        match self {
            Self::Increase => 1.0,
            Self::Decrease => -1.0,
        }
    }
}

/// Result of a non-inferiority test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NonInferiority {
    /// Treated minus control.
    pub effect: f64,
    /// Margin in the metric's unit: relative margin times |mean of control|.
    pub margin: f64,
    /// `(sign * effect + margin) / se`.
    pub z: f64,
    /// Upper normal tail of z.
    pub p_value: f64,
    /// Whether the p-value is below alpha. Inconclusive is not a pass.
    pub is_non_inferior: bool,
    /// The one-sided bound of the effect on the harmful side at `1 - alpha`.
    pub bound: f64,
}

/// Tests that an effect is not worse than `-margin` in the preferred direction (`value.md` §1.5.7).
///
/// `relative_margin` is a share of |mean of control|, for example 0.1; `alpha` is one-sided.
///
/// # Errors
/// A standard error that is not above zero, a negative margin, or alpha outside of (0, 1).
pub fn non_inferiority(
    effect: f64,
    se: f64,
    mean_control: f64,
    relative_margin: f64,
    direction: Direction,
    alpha: f64,
) -> Result<NonInferiority, Insufficient> {
    require(alpha > 0.0 && alpha < 1.0, "alpha", "between 0 and 1")?;
    require(relative_margin >= 0.0 && relative_margin.is_finite(), "margin", "0 or more")?;
    if se == 0.0 {
        return Err(Reason::NoVariation("the guardrail").into());
    }
    require(se > 0.0 && se.is_finite(), "standard error", "above 0")?;
    let sign = direction.sign();
    let margin = finite("margin", relative_margin * mean_control.abs())?;
    let z = finite("effect", (sign * effect + margin) / se)?;
    let p_value = normal::sf(z);
    let bound = effect - sign * -normal::quantile(alpha) * se;
    Ok(NonInferiority { effect, margin, z, p_value, is_non_inferior: p_value < alpha, bound })
}

/// [`non_inferiority`] of two proportions with the unpooled standard error.
///
/// # Errors
/// As there, or an empty arm.
pub fn non_inferiority_proportion(
    control: (u64, u64),
    treated: (u64, u64),
    relative_margin: f64,
    direction: Direction,
    alpha: f64,
) -> Result<NonInferiority, Insufficient> {
    let ((x_c, n_c), (x_t, n_t)) = (control, treated);
    let test =
        proportion::unpooled(x_c, n_c, x_t, n_t)?.ok_or(Reason::NoVariation("the guardrail"))?;
    let (p_c, p_t) = (x_c as f64 / n_c as f64, x_t as f64 / n_t as f64);
    non_inferiority(p_t - p_c, test.se, p_c, relative_margin, direction, alpha)
}

/// [`non_inferiority`] of two means with Welch's standard error.
///
/// # Errors
/// As there, or fewer than two rows in an arm.
pub fn non_inferiority_mean(
    control: &Moments,
    treated: &Moments,
    relative_margin: f64,
    direction: Direction,
    alpha: f64,
) -> Result<NonInferiority, Insufficient> {
    let found = crate::value::welch::difference(
        (control.n, control.mean, control.variance()?),
        (treated.n, treated.mean, treated.variance()?),
    )?;
    non_inferiority(found.effect, found.se, control.mean, relative_margin, direction, alpha)
}
