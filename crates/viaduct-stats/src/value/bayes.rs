//! Bayesian view of the same estimate, and the exact one for tiny pilots.

use serde::{Deserialize, Serialize};

use crate::{
    dist::{beta, normal},
    insufficient::{Insufficient, Reason, finite, require, require_finite, require_rows},
    value::{intervals::Interval, noninferiority::Direction, srm::rising},
};

/// A normal prior of the effect.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// Mean, on the scale of the effect.
    pub mean: f64,
    /// Variance, on the scale of the effect.
    pub variance: f64,
}

/// Normal posterior of the effect.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Posterior {
    /// Posterior mean.
    pub effect: f64,
    /// Posterior standard deviation.
    pub sd: f64,
    /// Probability that the model is better.
    pub chance_to_beat: f64,
    /// Expected loss if control is kept although the model is better.
    pub risk_choose_control: f64,
    /// Expected loss if the model is chosen although control is better.
    pub risk_choose_treatment: f64,
}

impl Posterior {
    /// Credible interval at `level`.
    pub fn interval(&self, level: f64) -> Interval {
        let half = -normal::quantile(0.5 * (1.0 - level)) * self.sd;
        Interval { lower: self.effect - half, upper: self.effect + half }
    }
}

/// Posterior of an effect with standard error `se` under a prior, or a flat one for `None`
/// (gbstats' `EffectBayesianABTest`).
///
/// # Errors
/// A standard error or a prior variance that is not above zero.
pub fn posterior(
    effect: f64,
    se: f64,
    prior: Option<Prior>,
    direction: Direction,
) -> Result<Posterior, Insufficient> {
    require_finite("effect", &[effect, se])?;
    if se == 0.0 {
        return Err(Reason::NoVariation("the effect").into());
    }
    require(se > 0.0, "standard error", "above 0")?;
    let (mean, sd) = match prior {
        None => (effect, se),
        Some(prior) => {
            require(
                prior.variance > 0.0 && prior.variance.is_finite() && prior.mean.is_finite(),
                "prior variance",
                "above 0",
            )?;
            // Why by shares: precisions of tiny variances overflow.
            let total = prior.variance + se * se;
            let mean = (effect * prior.variance + prior.mean * se * se) / total;
            (finite("posterior", mean)?, (se * se * prior.variance / total).sqrt())
        }
    };
    require(sd > 0.0 && sd.is_finite(), "posterior spread", "above 0")?;
    let z = mean / sd;
    let (gain, loss) = (sd * expected_excess(z), sd * expected_excess(-z));
    let (chance, keep, choose) = match direction {
        Direction::Increase => (normal::cdf(z), gain, loss),
        Direction::Decrease => (normal::sf(z), loss, gain),
    };
    Ok(Posterior {
        effect: mean,
        sd,
        chance_to_beat: chance,
        risk_choose_control: keep,
        risk_choose_treatment: choose,
    })
}

/// `E[max(Z + z, 0)] = phi(z) + z Phi(z)` for a standard normal Z.
///
/// Why two forms: far below zero the two terms cancel, and the asymptotic series of Mills' ratio,
/// `phi(z) (1/z^2 - 3/z^4 + 15/z^6 - ...)`, takes over.
fn expected_excess(z: f64) -> f64 {
    if z > -12.0 {
        return normal::pdf(z) + z * normal::cdf(z);
    }
    let inverse = 1.0 / (z * z);
    normal::pdf(z)
        * inverse
        * (1.0 - inverse * (3.0 - inverse * (15.0 - inverse * (105.0 - 945.0 * inverse))))
}

/// Two independent Beta posteriors of a proportion each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BetaBinomial {
    /// Probability that the treated proportion is larger.
    pub probability_greater: f64,
    /// 95 % credible interval of control.
    pub control: Interval,
    /// 95 % credible interval of treated.
    pub treated: Interval,
}

/// Largest number of events that the closed sum runs over.
const EVENTS_MAX: u64 = 5_000_000;

/// Exact comparison of two proportions for tiny pilots, prior Beta(`prior.0`, `prior.1`) per arm.
///
/// Closed sum over the treated events, which needs a whole first prior parameter:
/// `sum_i B(a_c + i, b_c + b_t) / ((b_t + i) B(1 + i, b_t) B(a_c, b_c))`, i from 0 to a_t - 1
/// (Miller, "Formulas for Bayesian A/B testing").
///
/// # Errors
/// No trials, more events than trials, a prior that is not above zero or not whole.
pub fn beta_binomial(
    control: (u64, u64),
    treated: (u64, u64),
    prior: (f64, f64),
) -> Result<BetaBinomial, Insufficient> {
    for (what, (x, n)) in [("control", control), ("treated", treated)] {
        require_rows(what, n, 1)?;
        require(x <= n, "events", "no more than trials")?;
        if n > EVENTS_MAX {
            return Err(Reason::TooLarge { what: "trials", limit: EVENTS_MAX }.into());
        }
    }
    require(
        prior.0 >= 1.0 && prior.0.fract() == 0.0 && prior.0 < 1e6,
        "first prior parameter",
        "a whole number from 1",
    )?;
    require(prior.1 > 0.0 && prior.1 < 1e6, "second prior parameter", "above 0")?;
    let shape = |(x, n): (u64, u64)| (x as f64 + prior.0, (n - x) as f64 + prior.1);
    let ((ac, bc), (at, bt)) = (shape(control), shape(treated));
    // Terms by recurrence from i = 0: B(ac, bc + bt) / B(ac, bc).
    let first = rising(bc, bt) - rising(ac + bc, bt);
    let mut log = first;
    let mut sum = 0.0;
    for i in 0..at as u64 {
        let i = i as f64;
        sum += log.exp();
        log += ((ac + i) / (ac + bc + bt + i)).ln() + ((bt + i) / (1.0 + i)).ln();
    }
    let interval = |a: f64, b: f64| Interval {
        lower: beta::quantile(a, b, 0.025, 0.975),
        upper: beta::quantile(a, b, 0.975, 0.025),
    };
    Ok(BetaBinomial {
        probability_greater: sum.min(1.0),
        control: interval(ac, bc),
        treated: interval(at, bt),
    })
}
