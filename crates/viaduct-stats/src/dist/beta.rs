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
        let lower = (weight * (b / (a + b)) * fraction(a, b, x)).min(1.0);
        (lower, 1.0 - lower)
    } else {
        let upper = (weight * (a / (a + b)) * fraction(b, a, y)).min(1.0);
        (1.0 - upper, upper)
    }
}

/// The continued fraction of the incomplete beta function by Lentz's method (DLMF 8.17.22).
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let floor = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / floor(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    let mut m = 0.0;
    for _ in 0..TERMS_MAX {
        m += 1.0;
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / floor(1.0 + even * d);
        c = floor(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / floor(1.0 + odd * d);
        c = floor(1.0 + odd / c);
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
    if !(a > 0.0 && b > 0.0 && p >= 0.0 && q >= 0.0) {
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
