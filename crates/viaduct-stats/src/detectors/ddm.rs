//! DDM: an error rate that rises above its best by too many standard deviations (Gama 2004).

use super::{Detector, Mean, Signal};

/// Parameters by river's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DdmParameters {
    /// Values before the first test.
    pub warm_start: f64,
    /// Standard deviations of a warning.
    pub warning_threshold: f64,
    /// Standard deviations of a drift.
    pub drift_threshold: f64,
}

impl Default for DdmParameters {
    fn default() -> Self {
        Self { warm_start: 30.0, warning_threshold: 2.0, drift_threshold: 3.0 }
    }
}

/// The detector.
#[derive(Debug, Clone, PartialEq)]
pub struct Ddm {
    parameters: DdmParameters,
    state: State,
}

#[derive(Debug, Clone, PartialEq)]
struct State {
    rate: Mean,
    best_rate: f64,
    best_sd: f64,
    best_sum: f64,
    signal: Signal,
}

impl State {
    fn new() -> Self {
        Self {
            rate: Mean::default(),
            best_rate: 0.0,
            best_sd: 0.0,
            best_sum: f64::INFINITY,
            signal: Signal::default(),
        }
    }
}

impl Ddm {
    /// Starts without values.
    pub fn new(parameters: DdmParameters) -> Self {
        Self { parameters, state: State::new() }
    }
}

impl Detector for Ddm {
    fn update(&mut self, value: f64) -> Signal {
        if self.state.signal.drift {
            self.state = State::new();
        }
        let state = &mut self.state;
        state.rate.update(value);
        let (p, n) = (state.rate.value, state.rate.n);
        let sd = (p * (1.0 - p) / n).sqrt();
        if n > self.parameters.warm_start {
            if p + sd <= state.best_sum {
                (state.best_rate, state.best_sd, state.best_sum) = (p, sd, p + sd);
            }
            let above = |deviations: f64| p + sd > state.best_rate + deviations * state.best_sd;
            let drift = above(self.parameters.drift_threshold);
            let warning = above(self.parameters.warning_threshold) && !drift;
            state.signal = Signal { drift, warning };
        }
        state.signal
    }
}
