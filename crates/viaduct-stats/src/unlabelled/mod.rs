//! Performance without labels, as NannyML (0.13) estimates it.
//!
//! CBPE (confidence-based performance estimation) reads a classifier's expected confusion matrix
//! off its calibrated probabilities; DLE (direct loss estimation) trains a second model that predicts
//! the first one's error. Both are checked against the realised performance as labels mature; their
//! own calibration check says whether they can be trusted.
//!
//! Data are cut into chunks of equal size, the last one may be shorter. Thresholds come from the
//! realised performance of the reference's chunks: mean plus and minus three standard deviations,
//! cut to the metric's range. Boundaries are the estimate plus and minus three sampling errors.

pub mod boosting;
pub mod calibration;
pub mod cbpe;
pub mod cbpe_multiclass;
pub mod dle;
pub(crate) mod numpy;

/// Standard deviations (and sampling errors) between an estimate and its bounds.
const WIDTH: f64 = 3.0;

/// One metric on one chunk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChunkMetric {
    /// Estimate without labels; absent where it does not exist.
    pub value: Option<f64>,
    /// Standard deviation of the estimate that the size of the chunk explains.
    pub sampling_error: Option<f64>,
    /// Performance with labels; absent where there are none.
    pub realized: Option<f64>,
    /// Value plus three sampling errors, cut to the metric's range.
    pub upper_confidence: Option<f64>,
    /// Value less three sampling errors, cut to the metric's range.
    pub lower_confidence: Option<f64>,
    /// Upper alert threshold.
    pub upper_threshold: Option<f64>,
    /// Lower alert threshold.
    pub lower_threshold: Option<f64>,
    /// Whether the value lies outside of the thresholds.
    pub alert: bool,
}

/// The range of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    pub(crate) lower: f64,
    pub(crate) upper: Option<f64>,
}

/// Alert thresholds of a metric: `(lower, upper)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Thresholds {
    lower: Option<f64>,
    upper: Option<f64>,
}

impl Limits {
    pub(crate) const SHARE: Self = Self { lower: 0.0, upper: Some(1.0) };
    pub(crate) const ABOVE_ZERO: Self = Self { lower: 0.0, upper: None };

    /// Thresholds from the realised performance of the reference's chunks; chunks without are left
    /// out.
    pub(crate) fn thresholds(&self, realized: &[Option<f64>]) -> Thresholds {
        let known: crate::Moments = realized.iter().flatten().copied().collect();
        let Ok(variance) = known.variance_population() else {
            return Thresholds { lower: None, upper: None };
        };
        let half = WIDTH * variance.sqrt();
        let upper = known.mean + half;
        Thresholds {
            lower: Some((known.mean - half).max(self.lower)),
            upper: Some(self.upper.map_or(upper, |limit| upper.min(limit))),
        }
    }

    pub(crate) fn metric(
        &self,
        value: Option<f64>,
        sampling_error: Option<f64>,
        realized: Option<f64>,
        thresholds: &Thresholds,
    ) -> ChunkMetric {
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        let (value, sampling_error) = (finite(value), finite(sampling_error));
        let around = value.zip(sampling_error).map(|(value, error)| (value, WIDTH * error));
        let upper = around.map(|(value, half)| value + half);
        let below = |limit: Option<f64>| value.zip(limit).is_some_and(|(v, limit)| v < limit);
        let above = |limit: Option<f64>| value.zip(limit).is_some_and(|(v, limit)| v > limit);
        ChunkMetric {
            value,
            sampling_error,
            realized: finite(realized),
            upper_confidence: match self.upper {
                Some(limit) => upper.map(|upper| upper.min(limit)),
                None => upper,
            },
            lower_confidence: around.map(|(value, half)| (value - half).max(self.lower)),
            upper_threshold: thresholds.upper,
            lower_threshold: thresholds.lower,
            alert: below(thresholds.lower) || above(thresholds.upper),
        }
    }
}

/// Ranges of rows of each chunk.
pub(crate) fn chunks(rows: usize, size: usize) -> Vec<std::ops::Range<usize>> {
    (0..rows).step_by(size.max(1)).map(|start| start..(start + size).min(rows)).collect()
}
