//! How many units a question needs, and how many weeks of measured traffic that is.

use serde::{Deserialize, Serialize};

use crate::{
    dist::normal,
    insufficient::{Insufficient, Reason, finite, require},
};

/// Whether the effect may go either way in the test that is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sides {
    /// Only an effect in the preferred direction counts.
    One,
    /// Either direction counts.
    #[default]
    Two,
}

/// Randomisation by groups instead of units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Clusters {
    /// Units in a cluster.
    pub size: f64,
    /// Intra-cluster correlation.
    pub icc: f64,
}

/// A planned comparison of two arms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Variance of a unit's outcome in control.
    pub variance_control: f64,
    /// Variance of a unit's outcome with the model.
    pub variance_treated: f64,
    /// Smallest effect worth detecting, in the metric's unit; its sign is ignored.
    pub mde: f64,
    /// False-positive rate, for example 0.05.
    pub alpha: f64,
    /// Sides of the test.
    pub sides: Sides,
    /// Probability of detecting the effect, for example 0.8.
    pub power: f64,
    /// Treated units for each control unit, 1 for an equal split.
    pub ratio: f64,
    /// Correlation of the outcome with its value before the trial (CUPED), 0 for none.
    pub correlation: f64,
    /// Groups, when they are what is randomised.
    pub clusters: Option<Clusters>,
    /// Guardrails that must all be shown non-inferior: beta is split over them and the success.
    pub guardrails: u32,
}

impl Question {
    /// A two-sided question at alpha 0.05 and power 0.8 with equal arms of equal variance.
    pub fn of_mean(sd: f64, mde: f64) -> Self {
        let variance = sd * sd;
        Self {
            variance_control: variance,
            variance_treated: variance,
            mde,
            alpha: 0.05,
            sides: Sides::Two,
            power: 0.8,
            ratio: 1.0,
            correlation: 0.0,
            clusters: None,
            guardrails: 0,
        }
    }

    /// As [`Question::of_mean`] for a proportion that moves from `p` by `mde`.
    pub fn of_proportion(p: f64, mde: f64) -> Self {
        let treated = p + mde;
        let mut question = Self::of_mean(1.0, mde);
        question.variance_control = p * (1.0 - p);
        question.variance_treated = treated * (1.0 - treated);
        question
    }
}

/// Units needed, before rounding up and after.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SampleSize {
    /// Control units as the formula gives them.
    pub control_exact: f64,
    /// Treated units as the formula gives them.
    pub treated_exact: f64,
    /// Control units, rounded up.
    pub control: u64,
    /// Treated units, rounded up.
    pub treated: u64,
    /// Factor by which clusters raise the sample, 1 without clusters.
    pub design_effect: f64,
    /// Clusters per arm (control, treated), rounded up; absent without clusters.
    pub clusters: Option<(u64, u64)>,
    /// Power that the success metric and every guardrail are planned with.
    pub power_each: f64,
}

impl SampleSize {
    /// Units of both arms.
    pub fn total(&self) -> u64 {
        self.control.saturating_add(self.treated)
    }
}

/// Units per arm by the normal formula (`value.md` §1.5.9):
/// `n1 = (z_a + z_b)^2 (v1 + v2 / r) / mde^2` with `r = n2 / n1`, times `1 - rho^2` (CUPED), times
/// `1 + (m - 1) icc` (clusters), with `beta / (guardrails + 1)`.
///
/// # Errors
/// Parameters outside of their range, or a sample beyond 2^53 units.
pub fn sample_size(question: &Question) -> Result<SampleSize, Insufficient> {
    let factor = check(question)?;
    let power_each = power_each(question.power, question.guardrails);
    let z = z_alpha(question) - normal::quantile(1.0 - power_each);
    let spread = question.variance_control + question.variance_treated / question.ratio;
    let control_exact =
        finite("sample size", z * z * spread / question.mde / question.mde * factor)?;
    let treated_exact = finite("sample size", control_exact * question.ratio)?;
    let control = round_up(control_exact)?;
    let treated = round_up(treated_exact)?;
    let clusters = question.clusters.map(|clusters| {
        let count = |n: u64| (n as f64 / clusters.size).ceil() as u64;
        (count(control), count(treated))
    });
    let design_effect = question.clusters.map_or(1.0, |clusters| design_effect(&clusters));
    Ok(SampleSize {
        control_exact,
        treated_exact,
        control,
        treated,
        design_effect,
        clusters,
        power_each,
    })
}

/// Smallest effect that `control` and `control * ratio` units detect at the question's power.
///
/// # Errors
/// As [`sample_size`]; the question's own `mde` is ignored.
pub fn minimum_detectable_effect(question: &Question, control: u64) -> Result<f64, Insufficient> {
    let question = Question { mde: 1.0, ..*question };
    require(control >= 1, "units", "at least 1")?;
    let at_one = sample_size(&question)?;
    finite("effect", (at_one.control_exact / control as f64).sqrt())
}

/// Probability that `control` and `control * ratio` units detect the question's effect.
///
/// The normal approximation without the far tail, as the planner's sample size is its inverse.
///
/// # Errors
/// As [`sample_size`].
pub fn power(question: &Question, control: u64) -> Result<f64, Insufficient> {
    let factor = check(question)?;
    require(control >= 1, "units", "at least 1")?;
    let spread = question.variance_control + question.variance_treated / question.ratio;
    let se = (spread * factor / control as f64).sqrt();
    Ok(normal::cdf(question.mde.abs() / se - z_alpha(question)))
}

/// Power per metric when `guardrails` must all pass: `1 - beta / (G + 1)` (Schultzberg and others,
/// arXiv 2402.11609). Alpha of guardrails is not split.
pub fn power_each(power: f64, guardrails: u32) -> f64 {
    1.0 - (1.0 - power) / (f64::from(guardrails) + 1.0)
}

/// Factor by which splitting beta raises a two-sided sample at `alpha`.
///
/// # Errors
/// alpha or power outside of (0, 1).
pub fn guardrail_inflation(alpha: f64, power: f64, guardrails: u32) -> Result<f64, Insufficient> {
    require(alpha > 0.0 && alpha < 1.0, "alpha", "between 0 and 1")?;
    require(power > 0.0 && power < 1.0, "power", "between 0 and 1")?;
    let z = |beta: f64| -normal::quantile(0.5 * alpha) - normal::quantile(beta);
    let each = (1.0 - power) / (f64::from(guardrails) + 1.0);
    let base = z(1.0 - power);
    require(base != 0.0, "alpha and power", "apart")?;
    finite("inflation", (z(each) / base).powi(2))
}

/// Design effect of equal clusters: `1 + (m - 1) icc`.
pub fn design_effect(clusters: &Clusters) -> f64 {
    1.0 + (clusters.size - 1.0) * clusters.icc
}

/// Whether measured traffic answers a question in time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Weeks {
    /// Weeks until both arms are full.
    pub weeks: f64,
    /// Whole weeks, rounded up.
    pub weeks_whole: u64,
    /// Whether that is within the limit that was asked for.
    pub is_answerable: bool,
}

/// Weeks of traffic that a sample needs; 12 is the limit that gates use.
///
/// `units_per_week` is the measured traffic that is eligible for either arm.
///
/// # Errors
/// Traffic that is not above zero.
pub fn weeks_needed(
    size: &SampleSize,
    units_per_week: f64,
    weeks_max: u64,
) -> Result<Weeks, Insufficient> {
    require(units_per_week > 0.0 && units_per_week.is_finite(), "units per week", "above 0")?;
    let weeks = finite("weeks", size.total() as f64 / units_per_week)?;
    let weeks_whole = weeks.ceil() as u64;
    Ok(Weeks { weeks, weeks_whole, is_answerable: weeks_whole <= weeks_max })
}

pub(crate) fn round_up(n: f64) -> Result<u64, Insufficient> {
    const UNITS_MAX: u64 = 1 << 53;
    if n > UNITS_MAX as f64 {
        return Err(Reason::TooLarge { what: "sample size", limit: UNITS_MAX }.into());
    }
    // Why: 9100.000000000002 is 9100 with rounding noise, not one unit more.
    Ok((n - 1e-9 * n.max(1.0)).ceil().max(1.0) as u64)
}

fn z_alpha(question: &Question) -> f64 {
    match question.sides {
        Sides::One => -normal::quantile(question.alpha),
        Sides::Two => -normal::quantile(0.5 * question.alpha),
    }
}

/// Checks the question; returns the factor of CUPED and clusters.
fn check(question: &Question) -> Result<f64, Insufficient> {
    let Question { variance_control, variance_treated, mde, alpha, power, ratio, .. } = *question;
    require(alpha > 0.0 && alpha < 1.0, "alpha", "between 0 and 1")?;
    require(power > 0.0 && power < 1.0, "power", "between 0 and 1")?;
    require(ratio > 0.0 && ratio.is_finite(), "ratio", "above 0")?;
    require(variance_control >= 0.0 && variance_treated >= 0.0, "variance", "0 or more")?;
    require(
        (variance_control + variance_treated).is_finite()
            && variance_control + variance_treated > 0.0,
        "variance",
        "above 0 and finite",
    )?;
    require(mde != 0.0 && mde.is_finite(), "minimum detectable effect", "other than 0")?;
    require(question.correlation.abs() < 1.0, "correlation", "between -1 and 1")?;
    let mut factor = 1.0 - question.correlation * question.correlation;
    if let Some(clusters) = &question.clusters {
        require(clusters.size >= 1.0 && clusters.size.is_finite(), "cluster size", "at least 1")?;
        require((0.0..=1.0).contains(&clusters.icc), "icc", "between 0 and 1")?;
        factor *= design_effect(clusters);
    }
    Ok(factor)
}

/// Control units by the exact t test instead of the normal approximation (as statsmodels'
/// `TTestIndPower`, which counts both tails of a two-sided test); not rounded.
///
/// Both variances must be equal; CUPED, clusters and guardrails are not honoured.
///
/// # Errors
/// As [`sample_size`], or a sample below two units.
pub fn control_by_t(question: &Question) -> Result<f64, Insufficient> {
    check(question)?;
    require(question.variance_control == question.variance_treated, "variances", "equal")?;
    let d = question.mde.abs() / question.variance_control.sqrt();
    let approximate = sample_size(question)?.control_exact;
    let miss = |n: f64| power_by_t(question, d, n) - question.power;
    // Why at least one degree of freedom: the t test does not exist below.
    let smallest = 3.0 / (1.0 + question.ratio) + 1e-9;
    let (mut low, mut high) = (smallest, (approximate + 10.0) * 2.0);
    if miss(low) > 0.0 {
        return Ok(low);
    }
    require(high > low && miss(high) > 0.0, "sample size", "of finite size")?;
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if miss(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    finite("sample size", 0.5 * (low + high))
}

/// Power of the t test with `n` control units and standardised effect `d`.
///
/// The noncentral t is a normal over an independent chi; the chi is integrated by Simpson's rule.
fn power_by_t(question: &Question, d: f64, n: f64) -> f64 {
    use crate::dist::{gamma, student};
    const POINTS: usize = 200;
    let dof = n * (1.0 + question.ratio) - 2.0;
    let shift = d / (1.0 / n + 1.0 / (question.ratio * n)).sqrt();
    let tail = match question.sides {
        Sides::One => question.alpha,
        Sides::Two => 0.5 * question.alpha,
    };
    let critical = student::upper_quantile(tail, dof);
    let reject = |s: f64| {
        let upper = normal::sf(critical * s - shift);
        match question.sides {
            Sides::One => upper,
            Sides::Two => upper + normal::cdf(-critical * s - shift),
        }
    };
    // Density of s = sqrt(chi2 / dof); its spread is about 1 / sqrt(2 dof).
    let half = 0.5 * dof;
    let density = |s: f64| {
        let x = half * s * s;
        if x > 0.0 { gamma::poisson_weight(half, x) * half * dof * s / x } else { 0.0 }
    };
    let spread = 9.0 / (2.0 * dof).sqrt();
    let (low, high) = ((1.0 - spread).max(0.0), 1.0 + spread);
    let width = (high - low) / POINTS as f64;
    (0..=POINTS)
        .map(|i| {
            let s = low + width * i as f64;
            let weight = match i {
                0 | POINTS => 1.0,
                i if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight * width / 3.0 * density(s) * reject(s)
        })
        .sum()
}
