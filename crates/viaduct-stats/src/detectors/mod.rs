//! Change detectors on streams, with the same indices as river (0.26) on the same streams.
//!
//! A detector takes one value at a time and answers a [`Signal`]. After a drift it starts anew with
//! the next value. Error streams are 0 and 1 with 1 = error.

mod adwin;
mod ddm;
mod eddm;
mod hddm_a;
mod hddm_w;
mod page_hinkley;

pub use adwin::{Adwin, AdwinParameters};
pub use ddm::{Ddm, DdmParameters};
pub use eddm::{Eddm, EddmParameters};
pub use hddm_a::HddmA;
pub use hddm_w::HddmW;
pub use page_hinkley::{Mode, PageHinkley, PageHinkleyParameters};

/// What a detector says after a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signal {
    /// The stream has changed.
    pub drift: bool,
    /// It may be about to.
    pub warning: bool,
}

/// Levels of the two Hoeffding detectors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HddmParameters {
    /// Confidence of a drift.
    pub drift_confidence: f64,
    /// Confidence of a warning.
    pub warning_confidence: f64,
    /// Whether a falling error rate counts too.
    pub sides: crate::value::plan::Sides,
}

impl Default for HddmParameters {
    fn default() -> Self {
        Self {
            drift_confidence: 0.001,
            warning_confidence: 0.005,
            sides: crate::value::plan::Sides::One,
        }
    }
}

/// Any detector behind one call.
pub trait Detector {
    /// Takes the next value.
    fn update(&mut self, value: f64) -> Signal;
}

/// Indices (from 0) after which a detector signalled drift and warning.
pub fn indices(detector: &mut dyn Detector, stream: &[f64]) -> (Vec<usize>, Vec<usize>) {
    let (mut drifts, mut warnings) = (Vec::new(), Vec::new());
    for (index, value) in stream.iter().enumerate() {
        let signal = detector.update(*value);
        if signal.drift {
            drifts.push(index);
        }
        if signal.warning {
            warnings.push(index);
        }
    }
    (drifts, warnings)
}

/// A running mean in river's order of operations, so that comparisons fall the same way.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Mean {
    pub(crate) n: f64,
    pub(crate) value: f64,
}

impl Mean {
    pub(crate) fn update(&mut self, x: f64) {
        self.n += 1.0;
        self.value += (1.0 / self.n) * (x - self.value);
    }
}
