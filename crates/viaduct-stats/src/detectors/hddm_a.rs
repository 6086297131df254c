//! HDDM-A: Hoeffding's bound on the difference of averages (Frias-Blanco 2015).

use super::{Detector, HddmParameters, Mean, Signal};
use crate::value::plan::Sides;

/// The detector.
#[derive(Debug, Clone, PartialEq)]
pub struct HddmA {
    parameters: HddmParameters,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct State {
    low: Mean,
    high: Mean,
    all: Mean,
    signal: Signal,
}

impl HddmA {
    /// Starts without values.
    pub fn new(parameters: HddmParameters) -> Self {
        Self { parameters, state: State::default() }
    }
}

impl State {
    /// Whether the mean since the cut differs from the mean before by more than the bound allows.
    fn has_moved(&self, cut: &Mean, difference: f64, confidence: f64) -> bool {
        if cut.n == self.all.n {
            return false;
        }
        let m = (self.all.n - cut.n) / cut.n * (1.0 / self.all.n);
        difference >= (m / 2.0 * (2.0 / confidence).ln()).sqrt()
    }
}

impl Detector for HddmA {
    fn update(&mut self, value: f64) -> Signal {
        if self.state.signal.drift {
            self.state = State::default();
        }
        let HddmParameters { drift_confidence, warning_confidence, sides } = self.parameters;
        let bound = |n: f64| (1.0 / (2.0 * n) * (1.0 / drift_confidence).ln()).sqrt();
        let state = &mut self.state;
        state.all.update(value);
        if state.low.n == 0.0 {
            state.low = state.all;
        }
        if state.high.n == 0.0 {
            state.high = state.all;
        }
        let all = bound(state.all.n);
        if state.low.value + bound(state.low.n) >= state.all.value + all {
            state.low = state.all;
        }
        if state.high.value - bound(state.high.n) <= state.all.value - all {
            state.high = state.all;
        }
        let rise = state.all.value - state.low.value;
        let fall = state.high.value - state.all.value;
        let drift = state.has_moved(&state.low, rise, drift_confidence);
        let warning = !drift && state.has_moved(&state.low, rise, warning_confidence);
        let mut signal = Signal { drift, warning };
        if sides == Sides::Two {
            if state.has_moved(&state.high, fall, drift_confidence) {
                signal.drift = true;
            } else if state.has_moved(&state.high, fall, warning_confidence) {
                signal.warning = true;
            }
        }
        state.signal = signal;
        signal
    }
}
