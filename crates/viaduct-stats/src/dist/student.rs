//! Student's t distribution.

use super::{beta, normal, root};

/// Above this many degrees of freedom t and normal agree to double precision.
const DOF_NORMAL: f64 = 1e15;

/// Upper tail P(T > t) with `dof` > 0 degrees of freedom, accurate in the far tail.
pub fn sf(t: f64, dof: f64) -> f64 {
    let half = 0.5 * two_sided(t, dof);
    if t >= 0.0 { half } else { 1.0 - half }
}

/// Lower tail P(T <= t).
pub fn cdf(t: f64, dof: f64) -> f64 {
    sf(-t, dof)
}

/// Both tails P(|T| >= |t|).
pub fn two_sided(t: f64, dof: f64) -> f64 {
    if dof.is_nan() || dof <= 0.0 || t.is_nan() {
        return f64::NAN;
    }
    if dof > DOF_NORMAL {
        return normal::two_sided(t);
    }
    let square = t * t;
    if square.is_infinite() {
        return 0.0;
    }
    beta::regularised(0.5 * dof, 0.5, dof / (dof + square), square / (dof + square)).0
}

/// Density at `t`.
pub fn pdf(t: f64, dof: f64) -> f64 {
    if dof > DOF_NORMAL {
        return normal::pdf(t);
    }
    let square = t * t;
    let (x, y) = (dof / (dof + square), square / (dof + square));
    if y == 0.0 {
        let ratio = libm::lgamma(0.5 * (dof + 1.0)) - libm::lgamma(0.5 * dof);
        return ratio.exp() / (dof * std::f64::consts::PI).sqrt();
    }
    // Why: d I_x(a, b) / dx is the beta density; the chain rule over x = dof / (dof + t^2) follows.
    beta::binomial_weight(0.5 * dof, 0.5 * (dof + 1.0), x, y) * (0.5 * dof / (dof + 1.0)) / t.abs()
}

/// Quantile: the t with `cdf(t) = p`. NaN outside of the open unit interval.
pub fn quantile(p: f64, dof: f64) -> f64 {
    if !(p > 0.0 && p < 1.0 && dof > 0.0) {
        return f64::NAN;
    }
    if p < 0.5 { -upper_quantile(p, dof) } else { upper_quantile(1.0 - p, dof) }
}

/// The t with `sf(t) = q`, accurate for q near zero.
pub fn upper_quantile(q: f64, dof: f64) -> f64 {
    if !(q > 0.0 && q < 1.0 && dof > 0.0) {
        return f64::NAN;
    }
    if q > 0.5 {
        return -upper_quantile(1.0 - q, dof);
    }
    if q == 0.5 {
        return 0.0;
    }
    let z = -normal::quantile(q);
    if dof > DOF_NORMAL {
        return z;
    }
    // Cornish and Fisher's first terms (Abramowitz and Stegun 26.7.5) are a good start from dof 3.
    let start = z
        + (z.powi(3) + z) / (4.0 * dof)
        + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * dof * dof);
    root::increasing(-745.0, 709.0, start.ln(), |u| {
        let t = u.exp();
        let tail = 0.5 * two_sided(t, dof);
        (q.ln() - tail.ln(), pdf(t, dof) * t / tail)
    })
    .exp()
}
