//! The regularised incomplete beta function and its inverse.

use super::{
    gamma::{deviance, stirling_error},
    normal, root,
};

/// Terms after which the fraction is taken as converged.
const TERMS_MAX: usize = 1_000_000;

/// Binomial weight `C(n, x) p^x q^(n - x)` for real `0 <= x <= n`; `q` is `1 - p`, given apart so
/// that neither loses digits. Source: Loader 2000.
pub fn binomial_weight(x: f64, n: f64, p: f64, q: f64) -> f64 {
    if p == 0.0 {
        return if x == 0.0 { 1.0 } else { 0.0 };
    }
    if q == 0.0 {
        return if x == n { 1.0 } else { 0.0 };
    }
    if x == 0.0 {
        return if n == 0.0 {
            1.0
        } else if p < 0.1 {
            (-deviance(n, n * q) - n * p).exp()
        } else {
            (n * q.ln()).exp()
        };
    }
    if x == n {
        return if q < 0.1 { (-deviance(n, n * p) - n * q).exp() } else { (n * p.ln()).exp() };
    }
    if x < 0.0 || x > n {
        return 0.0;
    }
    let rest = n - x;
    let log = stirling_error(n)
        - stirling_error(x)
        - stirling_error(rest)
        - deviance(x, n * p)
        - deviance(rest, n * q);
    log.exp() / (std::f64::consts::TAU * x * (rest / n)).sqrt()
}

/// `(I_x(a, b), 1 - I_x(a, b))` for a, b > 0; `y` is `1 - x`, given apart so that neither tail
/// loses digits. NaN for other input.
pub fn regularised(a: f64, b: f64, x: f64, y: f64) -> (f64, f64) {
    if !(a > 0.0 && b > 0.0 && x >= 0.0 && y >= 0.0) {
        return (f64::NAN, f64::NAN);
    }
    if x == 0.0 {
        return (0.0, 1.0);
    }
    if y == 0.0 {
        return (1.0, 0.0);
    }
    let weight = binomial_weight(a, a + b, x, y);
    if x * (a + b + 2.0) < a + 1.0 {
        let lower = (weight * a * (b / (a + b)) / fraction(a, b, x, y)).min(1.0);
        (lower, 1.0 - lower)
    } else {
        let upper = (weight * a * (b / (a + b)) / fraction(b, a, y, x)).min(1.0);
        (1.0 - upper, upper)
    }
}

/// The even part of the continued fraction of the incomplete beta function, by Lentz's method.
///
/// Why this form (Didonato and Morris 1992, as in Boost): `a y - b x` is taken from both x and y,
/// where the usual form subtracts two numbers near one and loses digits for large a.
fn fraction(a: f64, b: f64, x: f64, y: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let floor = |v: f64| if v.abs() < TINY { TINY } else { v };
    let denominator = |m: f64| {
        m + m * (b - m) * x / (a + 2.0 * m - 1.0)
            + (a + m) * (a * y - b * x + 1.0 + m * (2.0 - x)) / (a + 2.0 * m + 1.0)
    };
    let first = a * (a * y - b * x + 1.0) / (a + 1.0);
    let mut h = floor(first);
    let mut c = h;
    let mut d = 0.0;
    let mut m = 0.0;
    for _ in 0..TERMS_MAX {
        m += 1.0;
        let scale = a + 2.0 * m - 1.0;
        let numerator = (m * (a + m - 1.0) / scale) * ((a + b + m - 1.0) / scale) * (b - m) * x * x;
        let next = denominator(m);
        d = 1.0 / floor(next + numerator * d);
        c = floor(next + numerator / c);
        let delta = d * c;
        h *= delta;
        if (delta - 1.0).abs() < 1e-16 {
            break;
        }
    }
    h
}

/// Quantile of the beta distribution: the x with `I_x(a, b) = p`.
///
/// `p` and `q = 1 - p` are given apart; the smaller of them sets the accuracy.
pub fn quantile(a: f64, b: f64, p: f64, q: f64) -> f64 {
    let is_shape = |shape: f64| shape > 0.0 && shape.is_finite();
    if !(is_shape(a) && is_shape(b) && (0.0..=1.0).contains(&p) && (0.0..=1.0).contains(&q)) {
        return f64::NAN;
    }
    if p == 0.0 {
        return 0.0;
    }
    if q == 0.0 {
        return 1.0;
    }
    let mean = a / (a + b);
    let z = if p < 0.5 { normal::quantile(p) } else { -normal::quantile(q) };
    let spread = (mean * (1.0 - mean) / (a + b + 1.0)).sqrt();
    let guess = (mean + z * spread).clamp(mean * 1e-3, 1.0 - (1.0 - mean) * 1e-3);
    // Why in log-odds: both ends of the unit interval are far away there, and tails are straight.
    let logit = (guess / (1.0 - guess)).ln();
    let found = root::increasing(-745.0, 745.0, logit, |u| {
        let (x, y) = (1.0 / (1.0 + (-u).exp()), 1.0 / (1.0 + u.exp()));
        let (lower, upper) = regularised(a, b, x, y);
        let density = binomial_weight(a, a + b, x, y) * a * (b / (a + b));
        if p < 0.5 {
            (lower.ln() - p.ln(), density / lower)
        } else {
            (q.ln() - upper.ln(), density / upper)
        }
    });
    1.0 / (1.0 + (-found).exp())
}
