//! Page and Hinkley's test with forgetting.

use super::{Detector, Mean, Signal};

/// Which change counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Increases.
    Up,
    /// Decreases.
    Down,
    /// Either.
    #[default]
    Both,
}

/// Parameters by river's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PageHinkleyParameters {
    /// Values before the first test.
    pub min_instances: f64,
    /// Size of change that is tolerated.
    pub delta: f64,
    /// Threshold of the cumulative sum.
    pub threshold: f64,
    /// Forgetting factor of the sum.
    pub alpha: f64,
    /// Which change counts.
    pub mode: Mode,
}

impl Default for PageHinkleyParameters {
    fn default() -> Self {
        Self {
            min_instances: 30.0,
            delta: 0.005,
            threshold: 50.0,
            alpha: 1.0 - 0.0001,
            mode: Mode::Both,
        }
    }
}

/// The detector.
#[derive(Debug, Clone, PartialEq)]
pub struct PageHinkley {
    parameters: PageHinkleyParameters,
    state: State,
}

#[derive(Debug, Clone, PartialEq)]
struct State {
    mean: Mean,
    rise: f64,
    fall: f64,
    rise_min: f64,
    fall_max: f64,
    drift: bool,
}

impl State {
    fn new() -> Self {
        // Why -1: river starts the largest decrease there.
        Self {
            mean: Mean::default(),
            rise: 0.0,
            fall: 0.0,
            rise_min: f64::INFINITY,
            fall_max: -1.0,
            drift: false,
        }
    }
}

impl PageHinkley {
    /// Starts without values.
    pub fn new(parameters: PageHinkleyParameters) -> Self {
        Self { parameters, state: State::new() }
    }
}

impl Detector for PageHinkley {
    fn update(&mut self, value: f64) -> Signal {
        if self.state.drift {
            self.state = State::new();
        }
        let PageHinkleyParameters { min_instances, delta, threshold, alpha, mode } =
            self.parameters;
        let state = &mut self.state;
        state.mean.update(value);
        let deviation = value - state.mean.value;
        state.rise = alpha * state.rise + deviation - delta;
        state.fall = alpha * state.fall + deviation + delta;
        if state.rise < state.rise_min {
            state.rise_min = state.rise;
        }
        if state.fall > state.fall_max {
            state.fall_max = state.fall;
        }
        if state.mean.n >= min_instances {
            let up = state.rise - state.rise_min > threshold;
            let down = state.fall_max - state.fall > threshold;
            state.drift = match mode {
                Mode::Up => up,
                Mode::Down => down,
                Mode::Both => up || down,
            };
        }
        Signal { drift: state.drift, warning: false }
    }
}
