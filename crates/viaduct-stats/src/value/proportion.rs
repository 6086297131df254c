//! Comparison of two proportions.

use std::collections::BTreeMap;

use crate::{
    dist::{beta::binomial_weight, normal},
    estimate::{Estimate, Method},
    insufficient::{Insufficient, Reason, require, require_level, require_rows},
    value::intervals::{Interval, wilson},
};

/// Below this many events or non-events in an arm the normal interval is replaced (`value.md` §1.5.2).
pub const SMALL_COUNT: u64 = 10;

/// Above this many units the exact test is refused; the normal test has the same digits there.
const FISHER_UNITS_MAX: u64 = 1_000_000_000_000;

/// A z test of two proportions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ZTest {
    /// Standard error of the difference under the test's variance.
    pub se: f64,
    /// Difference over standard error.
    pub z: f64,
    /// Two-sided p.
    pub p: f64,
}

/// Compares `x_t` of `n_t` with `x_c` of `n_c`: the difference of the proportions at `level`.
///
/// With at least ten events and ten non-events in each arm: unpooled population variances
/// `p (1 - p) / n` and the normal distribution. Otherwise Newcombe's interval (1998, method 10,
/// without continuity correction) and Fisher's exact two-sided p; `se` stays the unpooled one.
///
/// # Errors
/// An empty arm, more events than units, or the same outcome for every unit of both arms.
pub fn proportion(
    x_c: u64,
    n_c: u64,
    x_t: u64,
    n_t: u64,
    level: f64,
) -> Result<Estimate, Insufficient> {
    require_level(level)?;
    check(x_c, n_c, x_t, n_t)?;
    let (p_c, p_t) = (x_c as f64 / n_c as f64, x_t as f64 / n_t as f64);
    let effect = p_t - p_c;
    let se = unpooled_se(x_c, n_c, x_t, n_t);
    let is_small = [x_c, n_c - x_c, x_t, n_t - x_t].iter().any(|count| *count < SMALL_COUNT);
    let (method, formula, interval, p_value) = if is_small {
        let interval = newcombe(x_c, n_c, x_t, n_t, level)?;
        let p = fisher(x_c, n_c, x_t, n_t)?;
        (Method::ProportionSmall, "newcombe-10-fisher/1", interval, p)
    } else {
        let half = -normal::quantile(0.5 * (1.0 - level)) * se;
        let interval = Interval { lower: effect - half, upper: effect + half };
        (Method::Proportion, "proportion-unpooled-z/1", interval, normal::two_sided(effect / se))
    };
    Ok(Estimate {
        method,
        effect,
        se,
        dof: None,
        lower: interval.lower,
        upper: interval.upper,
        level,
        p_value: Some(p_value),
        n_control: n_c,
        n_treated: n_t,
        mean_control: p_c,
        mean_treated: p_t,
        formula: formula.into(),
        parameters: BTreeMap::new(),
    })
}

/// z test with the unpooled variance `pc qc / nc + pt qt / nt`; `None` where it is zero.
///
/// # Errors
/// As [`proportion`].
pub fn unpooled(x_c: u64, n_c: u64, x_t: u64, n_t: u64) -> Result<Option<ZTest>, Insufficient> {
    check(x_c, n_c, x_t, n_t)?;
    let se = unpooled_se(x_c, n_c, x_t, n_t);
    let effect = x_t as f64 / n_t as f64 - x_c as f64 / n_c as f64;
    Ok((se > 0.0).then(|| ZTest { se, z: effect / se, p: normal::two_sided(effect / se) }))
}

/// z test with the pooled variance `p q (1 / nc + 1 / nt)`. Its square is the chi-squared statistic
/// without continuity correction.
///
/// # Errors
/// As [`proportion`].
pub fn pooled(x_c: u64, n_c: u64, x_t: u64, n_t: u64) -> Result<ZTest, Insufficient> {
    check(x_c, n_c, x_t, n_t)?;
    let (nc, nt) = (n_c as f64, n_t as f64);
    let p = (x_c + x_t) as f64 / (nc + nt);
    let se = (p * (1.0 - p) * (1.0 / nc + 1.0 / nt)).sqrt();
    let z = (x_t as f64 / nt - x_c as f64 / nc) / se;
    Ok(ZTest { se, z, p: normal::two_sided(z) })
}

/// Newcombe's hybrid score interval of the difference (1998, method 10).
///
/// # Errors
/// As [`wilson`] for either arm.
pub fn newcombe(
    x_c: u64,
    n_c: u64,
    x_t: u64,
    n_t: u64,
    level: f64,
) -> Result<Interval, Insufficient> {
    let (c, t) = (wilson(x_c, n_c, level)?, wilson(x_t, n_t, level)?);
    let (p_c, p_t) = (x_c as f64 / n_c as f64, x_t as f64 / n_t as f64);
    let effect = p_t - p_c;
    Ok(Interval {
        lower: effect - (p_t - t.lower).hypot(c.upper - p_c),
        upper: effect + (t.upper - p_t).hypot(p_c - c.lower),
    })
}

/// Fisher's exact two-sided p: the probability, given the margins, of all tables that are not
/// likelier than the observed one (scipy's rule, ties within a relative 1e-14 counted in).
///
/// # Errors
/// An empty arm, more events than units, or more than 10^12 units.
pub fn fisher(x_c: u64, n_c: u64, x_t: u64, n_t: u64) -> Result<f64, Insufficient> {
    require_rows("control", n_c, 1)?;
    require_rows("treated", n_t, 1)?;
    require(x_c <= n_c && x_t <= n_t, "events", "no more than units")?;
    let total = n_c.saturating_add(n_t);
    if total > FISHER_UNITS_MAX {
        return Err(Reason::TooLarge { what: "units", limit: FISHER_UNITS_MAX }.into());
    }
    let events = x_c + x_t;
    let table = Hypergeometric { total, marked: n_c, drawn: events };
    Ok(table.two_sided(x_c))
}

/// Number of marked among `drawn` of `total` units of which `marked` are marked.
struct Hypergeometric {
    total: u64,
    marked: u64,
    drawn: u64,
}

impl Hypergeometric {
    fn support(&self) -> (u64, u64) {
        let low = (self.drawn + self.marked).saturating_sub(self.total);
        (low, self.drawn.min(self.marked))
    }

    fn pmf(&self, k: u64) -> f64 {
        let (total, marked, drawn) = (self.total as f64, self.marked as f64, self.drawn as f64);
        let (p, q) = (drawn / total, (total - drawn) / total);
        binomial_weight(k as f64, marked, p, q)
            * binomial_weight(drawn - k as f64, total - marked, p, q)
            / binomial_weight(drawn, total, p, q)
    }

    /// `pmf(k - 1) / pmf(k)`.
    fn step_down(&self, k: u64) -> f64 {
        let k = k as f64;
        let (total, marked, drawn) = (self.total as f64, self.marked as f64, self.drawn as f64);
        k * (total - marked - drawn + k) / ((marked - k + 1.0) * (drawn - k + 1.0))
    }

    fn at_most(&self, k: u64) -> f64 {
        let (low, _) = self.support();
        let mut term = self.pmf(k);
        let (mut sum, mut at) = (term, k);
        while at > low && term > sum * 1e-18 {
            term *= self.step_down(at);
            at -= 1;
            sum += term;
        }
        sum
    }

    fn at_least(&self, k: u64) -> f64 {
        let (_, high) = self.support();
        let mut term = self.pmf(k);
        let (mut sum, mut at) = (term, k);
        while at < high && term > sum * 1e-18 {
            term /= self.step_down(at + 1);
            at += 1;
            sum += term;
        }
        sum
    }

    fn two_sided(&self, k: u64) -> f64 {
        let (low, high) = self.support();
        if low == high {
            return 1.0;
        }
        let (total, marked, drawn) = (self.total as f64, self.marked as f64, self.drawn as f64);
        let mode = ((drawn + 1.0) * ((marked + 1.0) / (total + 2.0))) as u64;
        let mode = mode.clamp(low, high);
        let observed = self.pmf(k) * (1.0 + 1e-14);
        if self.pmf(mode) <= observed {
            return 1.0;
        }
        if k < mode {
            // The first index above the mode that is not likelier than the observed one.
            let (mut from, mut to) = (mode, high + 1);
            while from < to {
                let middle = from + (to - from) / 2;
                if self.pmf(middle) <= observed {
                    to = middle;
                } else {
                    from = middle + 1;
                }
            }
            let upper = if from > high { 0.0 } else { self.at_least(from) };
            (self.at_most(k) + upper).min(1.0)
        } else {
            // The first index below the mode that is likelier; all before it count.
            let (mut from, mut to) = (low, mode);
            while from < to {
                let middle = from + (to - from) / 2;
                if self.pmf(middle) <= observed {
                    from = middle + 1;
                } else {
                    to = middle;
                }
            }
            let lower = if from == low { 0.0 } else { self.at_most(from - 1) };
            (self.at_least(k) + lower).min(1.0)
        }
    }
}

fn unpooled_se(x_c: u64, n_c: u64, x_t: u64, n_t: u64) -> f64 {
    let term = |x: u64, n: u64| {
        let (x, n) = (x as f64, n as f64);
        x / n * ((n - x) / n) / n
    };
    (term(x_c, n_c) + term(x_t, n_t)).sqrt()
}

fn check(x_c: u64, n_c: u64, x_t: u64, n_t: u64) -> Result<(), Insufficient> {
    require_rows("control", n_c, 1)?;
    require_rows("treated", n_t, 1)?;
    require(x_c <= n_c && x_t <= n_t, "events", "no more than units")?;
    require(n_c.checked_add(n_t).is_some(), "units", "below 2^64")?;
    if (x_c == 0 && x_t == 0) || (x_c == n_c && x_t == n_t) {
        return Err(Reason::NoVariation("the outcome").into());
    }
    Ok(())
}
