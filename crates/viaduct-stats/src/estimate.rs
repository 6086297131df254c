//! What every method of value measurement answers: an effect, its uncertainty and how it came about.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};

use crate::{
    dist::{normal, student},
    insufficient::{Insufficient, require},
    value::proportion,
};

/// The method that produced an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Difference of two means with unequal variances.
    Welch,
    /// Difference of two proportions, normal with unpooled variance.
    Proportion,
    /// Difference of two proportions with small counts: Newcombe's interval and Fisher's p.
    ProportionSmall,
    /// Mean of paired differences.
    PairedT,
    /// Difference of two ratios of sums by the delta method.
    RatioDelta,
    /// Difference of two means after removing a covariate from before the trial.
    Cuped,
    /// Always-valid interval (asymptotic confidence sequence).
    ConfidenceSequence,
    /// Two-way fixed effects with clustered errors.
    DifferenceInDifferences,
    /// Imputation difference-in-differences for staggered adoption.
    ImputationDid,
    /// Segmented regression of one series.
    SegmentedRegression,
    /// Local level with regression of one series.
    LocalLevel,
    /// Synthetic control.
    SyntheticControl,
    /// Random effects over departments.
    RandomEffects,
}

/// An effect on the absolute scale with its uncertainty.
///
/// `effect` is treated minus control in the unit of the metric. `lower` and `upper` bound the
/// two-sided interval at `level`. `formula` and `parameters` say exactly what was computed, because
/// releases of one product are known to differ; together with the sufficient statistics they let an
/// auditor recompute the figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The family of the method.
    pub method: Method,
    /// Treated minus control, in the unit of the metric.
    pub effect: f64,
    /// Standard error of the effect.
    pub se: f64,
    /// Degrees of freedom of t; absent where the reference distribution is normal or exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dof: Option<f64>,
    /// Lower end of the two-sided interval.
    pub lower: f64,
    /// Upper end of the two-sided interval.
    pub upper: f64,
    /// Confidence of the interval, for example 0.95.
    pub level: f64,
    /// Two-sided p against no effect; absent where the method has none.
    pub p_value: Option<f64>,
    /// Units in control (rows, pairs or clusters, as the formula says).
    pub n_control: u64,
    /// Units with the model.
    pub n_treated: u64,
    /// Mean of control; 0 where only differences are known.
    pub mean_control: f64,
    /// Mean with the model; the mean difference where only differences are known.
    pub mean_treated: f64,
    /// Identifier and version of the formula, for example `welch-satterthwaite/1`.
    pub formula: Cow<'static, str>,
    /// Parameters of the formula by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, f64>,
}

impl Estimate {
    /// Relative uplift `effect / |mean_control|` for display; decisions use the absolute effect.
    ///
    /// The absolute value in the denominator keeps the sign of a gain where the baseline is negative.
    pub fn uplift(&self) -> Option<f64> {
        let uplift = self.effect / self.mean_control.abs();
        uplift.is_finite().then_some(uplift)
    }

    /// Whether the effect deserves a second look because it is too good: above 30 % relative, or
    /// more than three times the planned minimum detectable effect (`value.md` §1.1).
    pub fn is_too_good(&self, planned_mde: Option<f64>) -> bool {
        self.uplift().is_some_and(|uplift| uplift.abs() > 0.3)
            || planned_mde.is_some_and(|mde| self.effect.abs() > 3.0 * mde.abs())
    }
}

/// Lower end of the one-sided interval of an estimate at `confidence`, for example 0.95.
///
/// Uses t with the estimate's degrees of freedom, the normal where it has none, and Newcombe's
/// interval for small counts. A confidence sequence has no fixed-sample bound; its own lower end is
/// returned when `confidence` is no higher than its level demands.
///
/// # Errors
/// A confidence outside of (0, 1), or one that a stored confidence sequence cannot give.
pub fn one_sided_lower(estimate: &Estimate, confidence: f64) -> Result<f64, Insufficient> {
    require(confidence > 0.0 && confidence < 1.0, "confidence", "between 0 and 1")?;
    match estimate.method {
        Method::ProportionSmall => {
            let events = |mean: f64, n: u64| (mean * n as f64).round() as u64;
            proportion::newcombe(
                events(estimate.mean_control, estimate.n_control),
                estimate.n_control,
                events(estimate.mean_treated, estimate.n_treated),
                estimate.n_treated,
                // Why: Wilson's ends at a two-sided level of 2c - 1 are one-sided at c.
                (2.0 * confidence - 1.0).max(f64::EPSILON),
            )
            .map(|interval| interval.lower)
        }
        Method::ConfidenceSequence => {
            let own = 0.5 * (1.0 + estimate.level);
            require(confidence <= own + 1e-12, "confidence", "no higher than the stored sequence")?;
            Ok(estimate.lower)
        }
        _ => {
            let quantile = match estimate.dof {
                Some(dof) => student::quantile(confidence, dof),
                None => normal::quantile(confidence),
            };
            Ok(estimate.effect - quantile * estimate.se)
        }
    }
}
