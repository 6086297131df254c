//! Mergeable sufficient statistics: a count, a mean and a sum of squared deviations.
//!
//! A partition of the rows over any number of workers merges to the same estimate as one pass.
//! Invariant: sums of squares are never kept, because they cancel where the mean is large against
//! the spread (mean 10^9 and sd 3 lose every digit). Updates are Welford's, merges those of Chan,
//! Golub and LeVeque (1983).

use serde::{Deserialize, Serialize};

use crate::insufficient::{Insufficient, Reason, require, require_finite, require_rows};

/// Values that are summed while they are in the nearest cache.
const BLOCK: usize = 2048;
/// Sums that run side by side: one sum would wait for each addition before the next.
const LANES: usize = 8;

fn sum_of(values: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += of(*value);
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|value| of(*value)).sum::<f64>()
}

/// Count, mean and sum of squared deviations of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Moments {
    /// Rows seen.
    pub n: u64,
    /// Mean of the rows, 0 while there are none.
    pub mean: f64,
    /// Sum of squared deviations from the mean.
    pub m2: f64,
}

impl Moments {
    /// Adds one value.
    pub fn push(&mut self, value: f64) {
        self.n += 1;
        let delta = value - self.mean;
        self.mean += delta / self.n as f64;
        self.m2 += delta * (value - self.mean);
    }

    /// Adds all rows of another sample.
    pub fn merge(&mut self, other: &Self) {
        if other.n == 0 {
            return;
        }
        if self.n == 0 {
            *self = *other;
            return;
        }
        let total = (self.n + other.n) as f64;
        let delta = other.mean - self.mean;
        let share = other.n as f64 / total;
        self.mean += delta * share;
        self.m2 += other.m2 + delta * delta * self.n as f64 * share;
        self.n += other.n;
    }

    /// Builds the moments of a slice: two passes over each block, which is the most exact form, and
    /// Chan's merge of the blocks, so that memory is read once.
    pub fn of(values: &[f64]) -> Self {
        let mut moments = Self::default();
        values.chunks(BLOCK).for_each(|block| moments.merge(&Self::of_block(block)));
        moments
    }

    fn of_block(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let rough = sum_of(values, |value| value) / n;
        // Why: the second sum removes the rounding of the first (Chan, Golub and LeVeque).
        let mean = rough + sum_of(values, |value| value - rough) / n;
        let m2 = sum_of(values, |value| (value - mean) * (value - mean));
        Self { n: values.len() as u64, mean, m2 }
    }

    /// Builds the moments from a count, a mean and an unbiased standard deviation (n - 1).
    ///
    /// # Errors
    /// A negative or non-finite standard deviation, or a standard deviation without two rows.
    pub fn from_mean_sd(n: u64, mean: f64, sd: f64) -> Result<Self, Insufficient> {
        require_finite("mean and sd", &[mean, sd])?;
        require(sd >= 0.0, "sd", "0 or more")?;
        let m2 = sd * sd * n.saturating_sub(1) as f64;
        Ok(Self { n, mean, m2 })
    }

    /// Builds the moments from a sum and a sum of squares, for sources that keep nothing better.
    ///
    /// # Errors
    /// `NoVariation` where rounding leaves a sum of squared deviations that is not above zero
    /// while the sum of squares is large: the digits are gone, and 0 would be a guess.
    pub fn from_sums(n: u64, sum: f64, sum_of_squares: f64) -> Result<Self, Insufficient> {
        require_rows("sample", n, 1)?;
        require_finite("sums", &[sum, sum_of_squares])?;
        let mean = sum / n as f64;
        let m2 = sum_of_squares - sum * mean;
        if m2 < 0.0 || (m2 > 0.0 && m2 < sum_of_squares * 4.0 * f64::EPSILON) {
            return Err(Reason::NoVariation("sample").into());
        }
        Ok(Self { n, mean, m2 })
    }

    /// Unbiased variance (divisor n - 1).
    ///
    /// # Errors
    /// Fewer than two rows, or values that are not finite.
    pub fn variance(&self) -> Result<f64, Insufficient> {
        require_rows("sample", self.n, 2)?;
        require_finite("sample", &[self.mean, self.m2])?;
        Ok(self.m2 / (self.n - 1) as f64)
    }

    /// Population variance (divisor n).
    ///
    /// # Errors
    /// No rows, or values that are not finite.
    pub fn variance_population(&self) -> Result<f64, Insufficient> {
        require_rows("sample", self.n, 1)?;
        require_finite("sample", &[self.mean, self.m2])?;
        Ok(self.m2 / self.n as f64)
    }

    /// Unbiased standard deviation.
    ///
    /// # Errors
    /// As [`Moments::variance`].
    pub fn sd(&self) -> Result<f64, Insufficient> {
        self.variance().map(f64::sqrt)
    }

    /// Sum of the rows.
    pub fn sum(&self) -> f64 {
        self.mean * self.n as f64
    }
}

impl Extend<f64> for Moments {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        values.into_iter().for_each(|value| self.push(value));
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut moments = Self::default();
        moments.extend(values);
        moments
    }
}

/// Moments of two paired variables and the sum of products of their deviations.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PairMoments {
    /// Moments of the first variable (outcome, numerator).
    pub y: Moments,
    /// Moments of the second variable (covariate, denominator).
    pub x: Moments,
    /// Sum of products of deviations.
    pub c: f64,
}

impl PairMoments {
    /// Adds one pair.
    pub fn push(&mut self, y: f64, x: f64) {
        let before = y - self.y.mean;
        self.y.push(y);
        self.x.push(x);
        self.c += before * (x - self.x.mean);
    }

    /// Adds all pairs of another sample.
    pub fn merge(&mut self, other: &Self) {
        let (here, there) = (self.y.n as f64, other.y.n as f64);
        if there > 0.0 {
            let cross = if here == 0.0 {
                0.0
            } else {
                (other.y.mean - self.y.mean) * (other.x.mean - self.x.mean) * here / (here + there)
                    * there
            };
            self.c += other.c + cross;
        }
        self.y.merge(&other.y);
        self.x.merge(&other.x);
    }

    /// Builds the moments of two slices in two passes.
    ///
    /// # Errors
    /// Slices of different length.
    pub fn of(y: &[f64], x: &[f64]) -> Result<Self, Insufficient> {
        crate::insufficient::require_same_length("pairs", y.len(), x.len())?;
        let (my, mx) = (Moments::of(y), Moments::of(x));
        let c = y.iter().zip(x).map(|(y, x)| (y - my.mean) * (x - mx.mean)).sum();
        Ok(Self { y: my, x: mx, c })
    }

    /// Rows seen.
    pub fn n(&self) -> u64 {
        self.y.n
    }

    /// Unbiased covariance (divisor n - 1).
    ///
    /// # Errors
    /// Fewer than two rows, or values that are not finite.
    pub fn covariance(&self) -> Result<f64, Insufficient> {
        require_rows("pairs", self.y.n, 2)?;
        require_finite("pairs", &[self.c])?;
        Ok(self.c / (self.y.n - 1) as f64)
    }

    /// Pearson's correlation.
    ///
    /// # Errors
    /// Fewer than two rows, or a variable that does not vary.
    pub fn correlation(&self) -> Result<f64, Insufficient> {
        require_rows("pairs", self.y.n, 2)?;
        let scale = self.y.m2.sqrt() * self.x.m2.sqrt();
        if scale == 0.0 {
            return Err(Reason::NoVariation("a variable of the pairs").into());
        }
        require_finite("pairs", &[self.c, scale])?;
        Ok((self.c / scale).clamp(-1.0, 1.0))
    }

    /// Moments of the difference `y - x` of each pair.
    pub fn differences(&self) -> Moments {
        Moments {
            n: self.y.n,
            mean: self.y.mean - self.x.mean,
            m2: (self.y.m2 + self.x.m2 - 2.0 * self.c).max(0.0),
        }
    }
}
