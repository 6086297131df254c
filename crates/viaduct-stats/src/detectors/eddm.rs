//! EDDM: distances between errors that shrink against their best (Baena-Garcia 2006).

use super::{Detector, Mean, Signal};

/// Parameters by river's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EddmParameters {
    /// Values and errors before the first test.
    pub warm_start: f64,
    /// Ratio below which a warning is given.
    pub alpha: f64,
    /// Ratio below which drift is signalled.
    pub beta: f64,
}

impl Default for EddmParameters {
    fn default() -> Self {
        Self { warm_start: 30.0, alpha: 0.95, beta: 0.9 }
    }
}

/// The detector.
#[derive(Debug, Clone, PartialEq)]
pub struct Eddm {
    parameters: EddmParameters,
    state: State,
}

#[derive(Debug, Clone, PartialEq)]
struct State {
    distance: Mean,
    squares: f64,
    n: f64,
    last_error: f64,
    errors: f64,
    best: f64,
    signal: Signal,
}

impl State {
    fn new() -> Self {
        Self {
            distance: Mean::default(),
            squares: 0.0,
            n: 0.0,
            last_error: 0.0,
            errors: 0.0,
            best: -1.0,
            signal: Signal::default(),
        }
    }
}

impl Eddm {
    /// Starts without values.
    pub fn new(parameters: EddmParameters) -> Self {
        Self { parameters, state: State::new() }
    }
}

impl Detector for Eddm {
    fn update(&mut self, value: f64) -> Signal {
        if self.state.signal.drift {
            self.state = State::new();
        }
        let EddmParameters { warm_start, alpha, beta } = self.parameters;
        let state = &mut self.state;
        state.n += 1.0;
        if value != 1.0 {
            return state.signal;
        }
        state.errors += 1.0;
        let gap = state.n - state.last_error;
        let before = state.distance.value;
        state.distance.update(gap);
        state.squares += (gap - before) * (gap - state.distance.value);
        if state.n > warm_start {
            let variance = match state.distance.n {
                n if n > 1.0 => state.squares / (n - 1.0),
                _ => 0.0,
            };
            let level = state.distance.value + 2.0 * variance.sqrt();
            if level > state.best {
                state.best = level;
            } else if state.errors > warm_start {
                let ratio = level / state.best;
                // Why the warning outlives a drift's index: river leaves the flag as it was.
                if ratio < beta {
                    state.signal.drift = true;
                } else {
                    state.signal.warning = ratio < alpha;
                }
            }
        }
        state.last_error = state.n;
        state.signal
    }
}
