//! The regularised incomplete gamma functions and the Poisson weight behind them.

use super::{normal, root};

/// Terms after which a series or fraction is taken as converged; reached only far beyond the
/// parameters of any sample (about 10^11 events).
const TERMS_MAX: usize = 4_000_000;

/// Above this shape the distribution is normal to double precision after Wilson and Hilferty's
/// cube-root transform.
const SHAPE_NORMAL: f64 = 1e11;

/// Error of Stirling's formula, `ln n! - (n + 1/2) ln n + n - ln sqrt(2 pi)`, for real n > 0.
///
/// Source: Loader 2000, with two further terms of the series so that it holds from 15 upwards.
pub fn stirling_error(n: f64) -> f64 {
    const HALF_LN_TAU: f64 = 0.918_938_533_204_672_7;
    if n <= 15.0 {
        return libm::lgamma(n + 1.0) - (n + 0.5) * n.ln() + n - HALF_LN_TAU;
    }
    const S: [f64; 7] = [
        1.0 / 12.0,
        1.0 / 360.0,
        1.0 / 1260.0,
        1.0 / 1680.0,
        1.0 / 1188.0,
        691.0 / 360_360.0,
        1.0 / 156.0,
    ];
    let square = n * n;
    let mut sum = S[6];
    for coefficient in S[..6].iter().rev() {
        sum = coefficient - sum / square;
    }
    sum / n
}

/// Deviance term `x ln(x / m) + m - x`, without cancellation where x is near m (Loader's `bd0`).
pub(crate) fn deviance(x: f64, m: f64) -> f64 {
    if x == 0.0 {
        return m;
    }
    if (x - m).abs() < 0.1 * (x + m) {
        let v = (x - m) / (x + m);
        let mut sum = (x - m) * v;
        let mut term = 2.0 * x * v;
        let square = v * v;
        for j in 1..1000 {
            term *= square;
            let next = sum + term / f64::from(2 * j + 1);
            if next == sum {
                break;
            }
            sum = next;
        }
        return sum;
    }
    x * (x / m).ln() + m - x
}

/// Poisson weight `exp(-m) m^x / Gamma(x + 1)` for real x >= 0 and m > 0.
pub fn poisson_weight(x: f64, m: f64) -> f64 {
    if m == 0.0 {
        return if x == 0.0 { 1.0 } else { 0.0 };
    }
    if x == 0.0 {
        return (-m).exp();
    }
    if x < 1e-3 {
        return (x * m.ln() - m - libm::lgamma(x + 1.0)).exp();
    }
    (-stirling_error(x) - deviance(x, m)).exp() / (std::f64::consts::TAU * x).sqrt()
}

/// Lower and upper regularised incomplete gamma functions `(P(a, x), Q(a, x))`, a > 0, x >= 0.
///
/// Both are computed without cancellation on the side where they are small. NaN for other input.
pub fn regularised(a: f64, x: f64) -> (f64, f64) {
    if !(a > 0.0 && x >= 0.0) {
        return (f64::NAN, f64::NAN);
    }
    if x == 0.0 {
        return (0.0, 1.0);
    }
    if x.is_infinite() {
        return (1.0, 0.0);
    }
    if a > SHAPE_NORMAL {
        let z = ((x / a).cbrt() - (1.0 - 1.0 / (9.0 * a))) * (9.0 * a).sqrt();
        return (normal::cdf(z), normal::sf(z));
    }
    let weight = poisson_weight(a, x);
    if x < a + 1.0 {
        let mut term = 1.0;
        let mut sum = 1.0;
        let mut k = a;
        for _ in 0..TERMS_MAX {
            k += 1.0;
            term *= x / k;
            sum += term;
            if term < sum * 1e-17 {
                break;
            }
        }
        let p = (weight * sum).min(1.0);
        (p, 1.0 - p)
    } else {
        let q = (weight * a * upper_fraction(a, x)).min(1.0);
        (1.0 - q, q)
    }
}

/// Legendre's continued fraction of the upper function, by Lentz's method.
fn upper_fraction(a: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut h = d;
    let mut i = 0.0;
    for _ in 0..TERMS_MAX {
        i += 1.0;
        let an = -i * (i - a);
        b += 2.0;
        d = an * d + b;
        if d.abs() < TINY {
            d = TINY;
        }
        c = b + an / c;
        if c.abs() < TINY {
            c = TINY;
        }
        d = 1.0 / d;
        let delta = d * c;
        h *= delta;
        if (delta - 1.0).abs() < 1e-16 {
            break;
        }
    }
    h
}

/// Quantile of the gamma distribution with shape `a` and scale 1: the x with `P(a, x) = p`.
pub fn quantile(a: f64, p: f64) -> f64 {
    upper_or_lower(a, p, 1.0 - p)
}

/// The x with `Q(a, x) = q`, accurate for q near zero.
pub fn upper_quantile(a: f64, q: f64) -> f64 {
    upper_or_lower(a, 1.0 - q, q)
}

fn upper_or_lower(a: f64, p: f64, q: f64) -> f64 {
    if a.is_nan() || a <= 0.0 || a.is_infinite() || !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p == 0.0 && q == 1.0 {
        return 0.0;
    }
    if q == 0.0 {
        return f64::INFINITY;
    }
    let z = if p < 0.5 { normal::quantile(p) } else { -normal::quantile(q) };
    let cube = 1.0 - 1.0 / (9.0 * a) + z / (3.0 * a.sqrt());
    let start = if cube > 0.0 { a * cube * cube * cube } else { 0.0 };
    // Why in ln x: near zero the distribution function is a power of x, so Newton is straight there.
    let density = |x: f64| poisson_weight(a, x) * a;
    let start = if start > 1e-300 { start } else { (p * libm::tgamma(a + 1.0)).powf(1.0 / a) };
    root::increasing(-745.0, (a + 2000.0 + 60.0 * a.sqrt()).ln(), start.max(1e-320).ln(), |u| {
        let x = u.exp();
        let (lower, upper) = regularised(a, x);
        if p < 0.5 {
            (lower.ln() - p.ln(), density(x) / lower)
        } else {
            (q.ln() - upper.ln(), density(x) / upper)
        }
    })
    .exp()
}
