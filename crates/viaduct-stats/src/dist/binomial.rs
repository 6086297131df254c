//! Binomial tails and the exact two-sided binomial test.

use super::beta;

/// P(X <= x) of a binomial with `n` trials and success probability `p`.
pub fn cdf(x: u64, n: u64, p: f64) -> f64 {
    if x >= n {
        return 1.0;
    }
    beta::regularised((n - x) as f64, (x + 1) as f64, 1.0 - p, p).0
}

/// P(X >= x).
pub fn at_least(x: u64, n: u64, p: f64) -> f64 {
    if x == 0 {
        return 1.0;
    }
    if x > n {
        return 0.0;
    }
    beta::regularised(x as f64, (n - x + 1) as f64, p, 1.0 - p).0
}

/// Probability of exactly `x` successes.
pub fn pmf(x: u64, n: u64, p: f64) -> f64 {
    beta::binomial_weight(x as f64, n as f64, p, 1.0 - p)
}

/// Exact two-sided p: the probability of all outcomes that are not likelier than `x`.
///
/// Same rule as R's `binom.test` and scipy's `binomtest`, ties within a relative 1e-7 counted in.
pub fn test_two_sided(x: u64, n: u64, p: f64) -> f64 {
    let observed = pmf(x, n, p) * (1.0 + 1e-7);
    let mean = n as f64 * p;
    if x as f64 == mean {
        return 1.0;
    }
    // Why bisection: the weights fall monotonically on either side of the mode.
    if (x as f64) < mean {
        let (mut low, mut high) = (mean.ceil() as u64, n + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if pmf(middle, n, p) <= observed {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        (cdf(x, n, p) + at_least(low, n, p)).min(1.0)
    } else {
        // The first index whose weight exceeds the observed one; all below it count.
        let (mut low, mut high) = (0, mean.floor() as u64 + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if pmf(middle, n, p) <= observed {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let lower = if low == 0 { 0.0 } else { cdf(low - 1, n, p) };
        (at_least(x, n, p) + lower).min(1.0)
    }
}
