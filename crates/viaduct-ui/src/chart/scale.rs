//! From values to positions, and round numbers for axes.

/// A linear scale from a domain to `0..=1`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// Covers all finite `values`; a single value gets room on both sides. `None` without values.
    pub(crate) fn covering(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (low, high) = values
            .filter(|v| v.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if !low.is_finite() || !high.is_finite() {
            return None;
        }
        if high - low < f64::EPSILON * low.abs().max(1.0) {
            let room = if low == 0.0 { 1.0 } else { low.abs() * 0.5 };
            return Some(Self { low: low - room, high: high + room });
        }
        Some(Self { low, high })
    }

    /// Exactly this domain.
    pub(crate) fn between(low: f64, high: f64) -> Self {
        Self { low, high: if high > low { high } else { low + 1.0 } }
    }

    /// Wider by `share` of its length on both sides.
    pub(crate) fn padded(self, share: f64) -> Self {
        let room = (self.high - self.low) * share;
        Self { low: self.low - room, high: self.high + room }
    }

    /// Widened to the next round ticks on both sides.
    pub(crate) fn rounded(self, wanted: usize) -> Self {
        let step = step(self.high - self.low, wanted);
        Self { low: (self.low / step).floor() * step, high: (self.high / step).ceil() * step }
    }

    /// Where `value` lies, clamped to `0..=1`; the low end when it is not finite.
    pub(crate) fn at(self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Round values inside the domain, about `wanted` of them.
    pub(crate) fn ticks(self, wanted: usize) -> Vec<f64> {
        let step = step(self.high - self.low, wanted);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        // Why 40: a guard; a round step never gives more than about twice what was wanted.
        (first..=last).take(40).map(|i| i as f64 * step).collect()
    }
}

/// A step of 1, 2, 2.5 or 5 times a power of ten.
fn step(length: f64, wanted: usize) -> f64 {
    let rough = length / wanted.max(1) as f64;
    if !rough.is_finite() || rough <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(rough.log10().floor());
    let nice = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|n| n * power >= rough * 0.999);
    nice.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let scale = Scale::between(0.0, 0.87);
        assert_eq!(scale.ticks(4).len(), 4);
        for tick in scale.ticks(4) {
            assert!((0.0..=0.87).contains(&tick));
        }
        assert_eq!(Scale::between(-3.0, 9.0).rounded(4).ticks(4), [-5.0, 0.0, 5.0, 10.0]);
    }

    #[test]
    fn degenerate_input_stays_finite() {
        assert!(Scale::covering([f64::NAN].into_iter()).is_none());
        let one = Scale::covering([5.0].into_iter()).unwrap();
        assert!((one.at(5.0) - 0.5).abs() < 1e-12);
        assert_eq!(one.at(f64::NAN), 0.0);
        assert_eq!(Scale::between(1.0, 1.0).at(1.0), 0.0);
    }
}
