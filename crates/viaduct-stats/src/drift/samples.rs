//! Distances and tests on raw samples.

use crate::{
    dist::kolmogorov,
    insufficient::{Insufficient, Reason, require_finite, require_rows},
};

/// Two samples, sorted.
#[derive(Debug, Clone, PartialEq)]
pub struct Sorted {
    reference: Vec<f64>,
    current: Vec<f64>,
}

/// Sorted distinct values with the counts of both samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ValueCounts {
    /// Distinct values.
    pub keys: Vec<f64>,
    /// Counts in the reference.
    pub reference: Vec<u64>,
    /// Counts in the current sample.
    pub current: Vec<u64>,
}

/// Kolmogorov-Smirnov statistic and where it is reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ks {
    /// Largest absolute difference of the two distribution functions.
    pub statistic: f64,
    /// The value at which it is reached.
    pub location: f64,
    /// +1 where the reference's function lies above, -1 below.
    pub sign: i8,
    /// Sizes of reference and current.
    pub sizes: (u64, u64),
}

/// Up to this size the exact p is the default, as in scipy.
pub const EXACT_MAX: u64 = 10_000;
/// Most steps that the exact p takes.
const STEPS_MAX: u64 = 2_000_000_000;

impl Sorted {
    /// Sorts both samples.
    ///
    /// # Errors
    /// An empty sample or values that are not finite.
    pub fn new(reference: &[f64], current: &[f64]) -> Result<Self, Insufficient> {
        require_rows("reference", reference.len() as u64, 1)?;
        require_rows("current", current.len() as u64, 1)?;
        require_finite("reference", reference)?;
        require_finite("current", current)?;
        Ok(Self::of_finite(reference, current))
    }

    /// Sorts two samples that were checked before.
    pub(super) fn of_finite(reference: &[f64], current: &[f64]) -> Self {
        let sorted = |values: &[f64]| {
            let mut values = values.to_vec();
            values.sort_unstable_by(f64::total_cmp);
            values
        };
        Self { reference: sorted(reference), current: sorted(current) }
    }

    /// The samples, sorted: reference and current.
    pub fn samples(&self) -> (&[f64], &[f64]) {
        (&self.reference, &self.current)
    }

    /// Distinct values of both samples with the counts of each.
    pub fn value_counts(&self) -> ValueCounts {
        let mut counts = ValueCounts::default();
        let (n, m) = (self.reference.len() as f64, self.current.len() as f64);
        let (mut a, mut b) = (0, 0);
        self.steps(|value, _, f, g| {
            // The distribution functions are counts over sizes, so rounding gives the counts back.
            let (i, j) = ((f * n).round() as u64, (g * m).round() as u64);
            counts.keys.push(value);
            counts.reference.push(i - a);
            counts.current.push(j - b);
            (a, b) = (i, j);
        });
        counts
    }

    /// Calls back with `(value, next value, F reference, F current)` for each distinct value; the
    /// last one has itself as next value.
    fn steps(&self, mut step: impl FnMut(f64, f64, f64, f64)) {
        let (a, b) = (&self.reference, &self.current);
        let (mut i, mut j) = (0, 0);
        while i < a.len() || j < b.len() {
            let value = match (a.get(i), b.get(j)) {
                (Some(x), Some(y)) => x.min(*y),
                (Some(x), None) | (None, Some(x)) => *x,
                (None, None) => return,
            };
            while a.get(i).is_some_and(|x| *x == value) {
                i += 1;
            }
            while b.get(j).is_some_and(|x| *x == value) {
                j += 1;
            }
            let next = match (a.get(i), b.get(j)) {
                (Some(x), Some(y)) => x.min(*y),
                (Some(x), None) | (None, Some(x)) => *x,
                (None, None) => value,
            };
            step(value, next, i as f64 / a.len() as f64, j as f64 / b.len() as f64);
        }
    }

    /// First Wasserstein distance: the area between the two distribution functions.
    pub fn wasserstein(&self) -> f64 {
        let mut sum = 0.0;
        self.steps(|value, next, f, g| sum += (f - g).abs() * (next - value));
        sum
    }

    /// Energy distance `sqrt(2 * integral of (F - G)^2)` (Szekely; scipy's convention).
    pub fn energy(&self) -> f64 {
        let mut sum = 0.0;
        self.steps(|value, next, f, g| sum += (f - g).powi(2) * (next - value));
        (2.0 * sum).sqrt()
    }

    /// The two-sided Kolmogorov-Smirnov statistic.
    pub fn ks(&self) -> Ks {
        let (mut above, mut below) = ((0.0_f64, f64::NAN), (0.0_f64, f64::NAN));
        self.steps(|value, _, f, g| {
            if above.1.is_nan() || f - g > above.0 {
                above = (f - g, value);
            }
            if below.1.is_nan() || g - f > below.0 {
                below = (g - f, value);
            }
        });
        let sizes = (self.reference.len() as u64, self.current.len() as u64);
        if below.0 > above.0 {
            Ks { statistic: below.0, location: below.1, sign: -1, sizes }
        } else {
            Ks { statistic: above.0, location: above.1, sign: 1, sizes }
        }
    }
}

impl Ks {
    /// Exact two-sided p.
    ///
    /// # Errors
    /// Samples so large that counting paths takes more than 2 * 10^9 steps.
    pub fn p_exact(&self) -> Result<f64, Insufficient> {
        let (m, n) = self.sizes;
        if m.saturating_mul(n) > STEPS_MAX {
            return Err(Reason::TooLarge { what: "product of the sizes", limit: STEPS_MAX }.into());
        }
        let lcm = m / kolmogorov::gcd(m, n) * n;
        let h = (self.statistic * lcm as f64).round() as u64;
        Ok(kolmogorov::two_sample_sf(m, n, h))
    }

    /// Asymptotic two-sided p: Kolmogorov's distribution of `m n / (m + n)` observations, rounded to
    /// a whole number (scipy's `asymp`).
    pub fn p_asymptotic(&self) -> f64 {
        let (m, n) = (self.sizes.0 as f64, self.sizes.1 as f64);
        // Why half to even: numpy rounds so.
        let size = (m.max(n) * m.min(n) / (m + n)).round_ties_even();
        if size < 1.0 { f64::NAN } else { kolmogorov::one_sample_sf(self.statistic, size as u64) }
    }

    /// Exact p up to 10,000 values a sample, the asymptotic one above (scipy's `auto`).
    pub fn p_value(&self) -> f64 {
        if self.sizes.0.max(self.sizes.1) <= EXACT_MAX
            && let Ok(p) = self.p_exact()
        {
            return p;
        }
        self.p_asymptotic()
    }
}
