//! Always-valid interval and p-value: results may be read at any time and as often as one likes.
//!
//! Asymptotic confidence sequence of Waudby-Smith and others (arXiv 2103.06476) in the form of
//! gbstats, which is the normal-mixture sequential test (`value.md` §1.5.6).

use crate::{
    estimate::{Estimate, Method},
    insufficient::{Insufficient, require, require_finite},
    moments::Moments,
    value::welch,
};

/// Planned total of units at which the interval is tightest, unless the plan says otherwise.
pub const TUNING_DEFAULT: f64 = 5000.0;
/// Units per arm before a page or a gate shows the interval (`value.md` §1.5.6).
pub const UNITS_MIN_SHOWN: u64 = 30;

/// Width and evidence of a confidence sequence at one look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Half the width of the interval.
    pub half_width: f64,
    /// p-value of this look alone; the running minimum over looks is what is always valid.
    pub p_value: f64,
}

/// Mixture parameter rho squared for `alpha` and the planned total of units.
///
/// # Errors
/// alpha outside of (0, 1) or a plan that is not above zero.
pub fn mixture(alpha: f64, planned_units: f64) -> Result<f64, Insufficient> {
    require(alpha > 0.0 && alpha < 1.0, "alpha", "between 0 and 1")?;
    require(planned_units > 0.0 && planned_units.is_finite(), "planned units", "above 0")?;
    let log = -2.0 * alpha.ln();
    Ok((log + log.ln_1p()) / planned_units)
}

/// Half width and p at `units` in total for an effect and its standard error.
///
/// # Errors
/// As [`mixture`], or figures that are not finite.
pub fn look(
    effect: f64,
    se: f64,
    units: u64,
    alpha: f64,
    planned_units: f64,
) -> Result<Look, Insufficient> {
    require_finite("effect", &[effect, se])?;
    require(se > 0.0, "standard error", "above 0")?;
    let information = units as f64 * mixture(alpha, planned_units)?;
    require(information > 0.0 && information.is_finite(), "units", "above 0")?;
    let v = 1.0 + information;
    let half_width = se * (2.0 * v / information * (0.5 * v.ln() - alpha.ln())).sqrt();
    let ratio = effect / se;
    let p_value = (0.5 * v.ln() - information * ratio * ratio / (2.0 * v)).exp().min(1.0);
    Ok(Look { half_width, p_value })
}

/// Compares two means with an always-valid interval at `level`.
///
/// `planned_units` is the total of both arms that the plan aims at (5000 by default); a pilot of 240
/// units must say 240. `p_value` is that of this look: keep the minimum over looks.
///
/// # Errors
/// As Welch's test.
pub fn confidence_sequence(
    control: &Moments,
    treated: &Moments,
    level: f64,
    planned_units: f64,
) -> Result<Estimate, Insufficient> {
    let mut estimate = welch::welch(control, treated, level)?;
    let found = look(
        estimate.effect,
        estimate.se,
        control.n.saturating_add(treated.n),
        1.0 - level,
        planned_units,
    )?;
    estimate.method = Method::ConfidenceSequence;
    estimate.formula = "asymptotic-confidence-sequence/1".into();
    estimate.dof = None;
    estimate.lower = estimate.effect - found.half_width;
    estimate.upper = estimate.effect + found.half_width;
    estimate.p_value = Some(found.p_value);
    estimate.parameters.insert("planned_units".into(), planned_units);
    Ok(estimate)
}
