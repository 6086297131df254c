//! HDDM-W: McDiarmid's bound on exponentially weighted averages (Frias-Blanco 2015).

use super::{Detector, HddmParameters, Signal};
use crate::value::plan::Sides;

/// The detector.
#[derive(Debug, Clone, PartialEq)]
pub struct HddmW {
    parameters: HddmParameters,
    lambda: f64,
    state: State,
}

/// A weighted average and the sum of its squared weights; no average before the first value.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    average: Option<f64>,
    weights: f64,
}

impl Sample {
    const EMPTY: Self = Self { average: None, weights: 1.0 };

    fn update(&mut self, value: f64, lambda: f64) {
        self.average = Some(match self.average {
            None => value,
            Some(average) => lambda * value + (1.0 - lambda) * average,
        });
        self.weights = lambda * lambda + (1.0 - lambda).powi(2) * self.weights;
    }
}

#[derive(Debug, Clone, PartialEq)]
struct State {
    total: Sample,
    rise: (Sample, Sample),
    fall: (Sample, Sample),
    rise_cut: f64,
    fall_cut: f64,
    signal: Signal,
}

impl State {
    fn new() -> Self {
        Self {
            total: Sample::EMPTY,
            rise: (Sample::EMPTY, Sample::EMPTY),
            fall: (Sample::EMPTY, Sample::EMPTY),
            rise_cut: f64::INFINITY,
            fall_cut: f64::NEG_INFINITY,
            signal: Signal::default(),
        }
    }
}

impl HddmW {
    /// Starts without values; `lambda` is the weight of the newest value (0.05 in river).
    pub fn new(parameters: HddmParameters, lambda: f64) -> Self {
        Self { parameters, lambda, state: State::new() }
    }
}

fn bound(weights: f64, confidence: f64) -> f64 {
    (weights * (1.0 / confidence).ln() / 2.0).sqrt()
}

fn has_risen(before: &Sample, after: &Sample, confidence: f64) -> bool {
    match (before.average, after.average) {
        (Some(a), Some(b)) => b - a > bound(before.weights + after.weights, confidence),
        _ => false,
    }
}

impl Detector for HddmW {
    fn update(&mut self, value: f64) -> Signal {
        if self.state.signal.drift {
            self.state = State::new();
        }
        let HddmParameters { drift_confidence, warning_confidence, sides } = self.parameters;
        let state = &mut self.state;
        state.total.update(value, self.lambda);
        let average = state.total.average.unwrap_or(value);
        let width = bound(state.total.weights, drift_confidence);
        if average + width < state.rise_cut {
            state.rise_cut = average + width;
            state.rise = (state.total, Sample::EMPTY);
        } else {
            state.rise.1.update(value, self.lambda);
        }
        let drift = has_risen(&state.rise.0, &state.rise.1, drift_confidence);
        let warning = !drift && has_risen(&state.rise.0, &state.rise.1, warning_confidence);
        let mut signal = Signal { drift, warning };
        if average - width > state.fall_cut {
            state.fall_cut = average - width;
            state.fall = (state.total, Sample::EMPTY);
        } else {
            state.fall.1.update(value, self.lambda);
        }
        if sides == Sides::Two {
            if has_risen(&state.fall.1, &state.fall.0, drift_confidence) {
                signal.drift = true;
            } else if has_risen(&state.fall.1, &state.fall.0, warning_confidence) {
                signal.warning = true;
            }
        }
        state.signal = signal;
        signal
    }
}
