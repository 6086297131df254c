//! Local level with regression: what would have happened, learnt from the series before the model
//! and from a control series that the model does not touch.
//!
//! The idea of CausalImpact without simulation: a Kalman filter with an approximate-diffuse level
//! and maximum likelihood (`value.md` §1.5.13). Evidence grade C.
//!
//! Intervals take the parameters as known, as in statsmodels; in simulations of 60 periods a 95 %
//! interval holds the truth about 80 % of the time. Take the nearer one to zero of this interval and that
//! of [`super::segmented`].

use crate::{
    dist::normal,
    insufficient::{
        Insufficient, Reason, finite, require, require_finite, require_rows, require_same_length,
    },
    moments::Moments,
    value::intervals::Interval,
};

/// Variance of the first level; large against a standardised series.
const DIFFUSE: f64 = 1e6;
/// Most periods that are forecast or filtered.
const PERIODS_MAX: usize = 100_000;

/// Parameters on the scale of the standardised series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// Variance of the noise around the level.
    pub sigma2_irregular: f64,
    /// Variance of a step of the level.
    pub sigma2_level: f64,
    /// Coefficient of the control series.
    pub beta: f64,
}

/// The effect after the intervention in the unit of the outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// Expected outcome without the model, one a period.
    pub mean: Vec<f64>,
    /// Standard error of each forecast, noise included.
    pub se: Vec<f64>,
    /// Mean of outcome less forecast.
    pub average_effect: f64,
    /// Its standard error, with the covariance of forecast errors.
    pub average_effect_se: f64,
    /// 95 % interval of the average effect.
    pub interval: Interval,
    /// Sum of outcome less forecast.
    pub cumulative_effect: f64,
    /// Normal tail beyond |average effect|.
    pub p_one_sided: f64,
}

/// A series and its control, standardised on the periods before the intervention (n - 1).
#[derive(Debug, Clone)]
pub struct LocalLevel {
    y: Vec<f64>,
    x: Option<Vec<f64>>,
    start: usize,
    centre: f64,
    scale: f64,
}

impl LocalLevel {
    /// Standardises; `intervention_index` is the first period with the model, counted from 0.
    ///
    /// # Errors
    /// Fewer than three periods before or one after, or a series that does not vary before.
    pub fn new(
        y: &[f64],
        x: Option<&[f64]>,
        intervention_index: usize,
    ) -> Result<Self, Insufficient> {
        require_finite("series", y)?;
        if y.len() > PERIODS_MAX {
            return Err(Reason::TooLarge { what: "series", limit: PERIODS_MAX as u64 }.into());
        }
        require_rows("periods before", intervention_index as u64, 3)?;
        require(y.len() > intervention_index, "periods after", "at least 1")?;
        let standard = |values: &[f64]| -> Result<(f64, f64, Vec<f64>), Insufficient> {
            let before = Moments::of(&values[..intervention_index]);
            let sd = finite("series", before.sd()?)?;
            if sd <= 4.0 * f64::EPSILON * before.mean.abs() {
                return Err(Reason::NoVariation("a series before the intervention").into());
            }
            let scaled = values.iter().map(|value| (value - before.mean) / sd).collect();
            Ok((before.mean, sd, scaled))
        };
        let (centre, scale, scaled) = standard(y)?;
        let control = match x {
            None => None,
            Some(x) => {
                require_same_length("series", y.len(), x.len())?;
                require_finite("control series", x)?;
                Some(standard(x)?.2)
            }
        };
        Ok(Self { y: scaled, x: control, start: intervention_index, centre, scale })
    }

    /// Log-likelihood of the periods before, the first one burnt.
    ///
    /// # Errors
    /// Negative variances, or both zero.
    pub fn log_likelihood(&self, parameters: &Parameters) -> Result<f64, Insufficient> {
        check(parameters)?;
        let Parameters { sigma2_irregular, sigma2_level, beta } = *parameters;
        let (mut level, mut variance) = (0.0, DIFFUSE);
        let mut sum = 0.0;
        for t in 0..self.start {
            let v = self.y[t] - beta * self.control(t) - level;
            let f = variance + sigma2_irregular;
            if t > 0 {
                sum -= 0.5 * ((std::f64::consts::TAU * f).ln() + v * v / f);
            }
            let gain = variance / f;
            level += gain * v;
            variance = variance * (1.0 - gain) + sigma2_level;
        }
        finite("log-likelihood", sum)
    }

    /// Parameters of largest likelihood.
    ///
    /// The common variance and beta have closed forms given the ratio of the two variances, so the
    /// search is over that one number: a grid on its logarithm, then golden section.
    ///
    /// # Errors
    /// A control that explains the series perfectly.
    pub fn fit(&self) -> Result<(Parameters, f64), Insufficient> {
        const LOG_RANGE: (f64, f64) = (-30.0, 16.0);
        const GRID: usize = 60;
        let profile = |log_ratio: f64| self.profile(log_ratio.exp()).1;
        let step = (LOG_RANGE.1 - LOG_RANGE.0) / GRID as f64;
        let mut best = (f64::NEG_INFINITY, LOG_RANGE.0);
        for i in 0..=GRID {
            let at = LOG_RANGE.0 + step * i as f64;
            let value = profile(at);
            if value > best.0 {
                best = (value, at);
            }
        }
        let (mut low, mut high) = (best.1 - step, best.1 + step);
        let golden = 0.5 * (5.0_f64.sqrt() - 1.0);
        for _ in 0..80 {
            let (a, b) = (high - golden * (high - low), low + golden * (high - low));
            if profile(a) < profile(b) {
                low = a;
            } else {
                high = b;
            }
        }
        let parameters = self.profile((0.5 * (low + high)).exp()).0;
        let value = self.log_likelihood(&parameters)?;
        Ok((parameters, value))
    }

    /// Forecasts the periods after the intervention and compares.
    ///
    /// # Errors
    /// As [`LocalLevel::log_likelihood`].
    pub fn forecast(&self, parameters: &Parameters) -> Result<Forecast, Insufficient> {
        check(parameters)?;
        let Parameters { sigma2_irregular, sigma2_level, beta } = *parameters;
        let (mut level, mut variance) = (0.0, DIFFUSE);
        for t in 0..self.start {
            let v = self.y[t] - beta * self.control(t) - level;
            let gain = variance / (variance + sigma2_irregular);
            level += gain * v;
            variance = variance * (1.0 - gain) + sigma2_level;
        }
        let h = self.y.len() - self.start;
        let (mut mean, mut se) = (Vec::with_capacity(h), Vec::with_capacity(h));
        let mut cumulative = 0.0;
        for k in 0..h {
            let t = self.start + k;
            let expected = level + beta * self.control(t);
            mean.push(self.centre + self.scale * expected);
            let spread = variance + sigma2_level * k as f64 + sigma2_irregular;
            se.push(self.scale * spread.sqrt());
            cumulative += (self.y[t] - expected) * self.scale;
        }
        // Sum over all pairs of `variance + s2l min(i, j)` and the noise on the diagonal.
        let n = h as f64;
        let shared = (n - 1.0) * n * (2.0 * n - 1.0) / 6.0;
        let total = variance * n * n + sigma2_level * shared + sigma2_irregular * n;
        let average_effect = finite("effect", cumulative / n)?;
        let average_effect_se = finite("effect", self.scale * total.sqrt() / n)?;
        let half = -normal::quantile(0.025) * average_effect_se;
        let interval = Interval { lower: average_effect - half, upper: average_effect + half };
        Ok(Forecast {
            mean,
            se,
            average_effect,
            average_effect_se,
            interval,
            cumulative_effect: cumulative,
            p_one_sided: normal::sf((average_effect / average_effect_se).abs()),
        })
    }

    fn control(&self, t: usize) -> f64 {
        self.x.as_ref().map_or(0.0, |x| x[t])
    }

    /// Best parameters and log-likelihood for a ratio of level to irregular variance.
    fn profile(&self, ratio: f64) -> (Parameters, f64) {
        // The filter is linear in y and x: both run through the same gains.
        let (mut level_y, mut level_x, mut variance) = (0.0, 0.0, DIFFUSE);
        let (mut yy, mut xy, mut xx, mut logs) = (0.0, 0.0, 0.0, 0.0);
        for t in 0..self.start {
            let (vy, vx) = (self.y[t] - level_y, self.control(t) - level_x);
            let f = variance + 1.0;
            if t > 0 {
                yy += vy * vy / f;
                xy += vx * vy / f;
                xx += vx * vx / f;
                logs += f.ln();
            }
            let gain = variance / f;
            level_y += gain * vy;
            level_x += gain * vx;
            variance = variance * (1.0 - gain) + ratio;
        }
        let beta = if xx > 0.0 { xy / xx } else { 0.0 };
        let m = (self.start - 1) as f64;
        // Why the floor: a control that explains everything must not end in a likelihood of infinity.
        let common = ((yy - beta * xy) / m).max(1e-18);
        let value = -0.5 * (m * ((std::f64::consts::TAU * common).ln() + 1.0) + logs);
        let parameters =
            Parameters { sigma2_irregular: common, sigma2_level: common * ratio, beta };
        (parameters, value)
    }
}

fn check(parameters: &Parameters) -> Result<(), Insufficient> {
    let Parameters { sigma2_irregular, sigma2_level, beta } = *parameters;
    require_finite("parameters", &[sigma2_irregular, sigma2_level, beta])?;
    require(
        sigma2_irregular >= 0.0 && sigma2_level >= 0.0 && sigma2_irregular + sigma2_level > 0.0,
        "variances",
        "0 or more and not both 0",
    )
}
