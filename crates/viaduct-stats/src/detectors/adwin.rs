//! ADWIN2: a window that shrinks when its two halves disagree (Bifet and Gavalda 2007).

use std::collections::VecDeque;

use super::{Detector, Signal};

/// Parameters by river's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdwinParameters {
    /// Significance.
    pub delta: f64,
    /// Values between checks.
    pub clock: u64,
    /// Buckets of one size before two are merged.
    pub max_buckets: usize,
    /// Smallest part that is compared.
    pub min_window_length: f64,
    /// Values before the first check.
    pub grace_period: f64,
}

impl Default for AdwinParameters {
    fn default() -> Self {
        Self { delta: 0.002, clock: 32, max_buckets: 5, min_window_length: 5.0, grace_period: 10.0 }
    }
}

/// The detector. Memory grows with the logarithm of the window.
#[derive(Debug, Clone, PartialEq)]
pub struct Adwin {
    parameters: AdwinParameters,
    state: State,
    has_drifted: bool,
}

/// Sum and variance of 2^row values.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    total: f64,
    variance: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct State {
    /// Rows of buckets, newest and smallest first; within a row the oldest first.
    rows: Vec<VecDeque<Bucket>>,
    total: f64,
    variance: f64,
    width: f64,
    tick: u64,
}

impl State {
    fn new() -> Self {
        Self { rows: vec![VecDeque::new()], total: 0.0, variance: 0.0, width: 0.0, tick: 0 }
    }
}

fn size(row: usize) -> f64 {
    2.0_f64.powi(row as i32)
}

impl Adwin {
    /// Starts without values. A clock or a bucket count of zero counts as one.
    pub fn new(parameters: AdwinParameters) -> Self {
        let parameters = AdwinParameters {
            clock: parameters.clock.max(1),
            max_buckets: parameters.max_buckets.max(1),
            ..parameters
        };
        Self { parameters, state: State::new(), has_drifted: false }
    }

    /// Values in the window.
    pub fn width(&self) -> f64 {
        self.state.width
    }

    fn insert(&mut self, value: f64) {
        let state = &mut self.state;
        state.rows[0].push_back(Bucket { total: value, variance: 0.0 });
        state.width += 1.0;
        if state.width > 1.0 {
            let before = state.width - 1.0;
            let gap = value - state.total / before;
            state.variance += before * gap * gap / state.width;
        }
        state.total += value;
        self.compress();
    }

    fn compress(&mut self) {
        let state = &mut self.state;
        let mut row = 0;
        while row < state.rows.len() && state.rows[row].len() == self.parameters.max_buckets + 1 {
            let n = size(row);
            let (Some(a), Some(b)) = (state.rows[row].pop_front(), state.rows[row].pop_front())
            else {
                return;
            };
            let gap = a.total / n - b.total / n;
            let merged = Bucket {
                total: a.total + b.total,
                variance: a.variance + b.variance + n * n * gap * gap / (n + n),
            };
            if row + 1 == state.rows.len() {
                state.rows.push(VecDeque::new());
            }
            state.rows[row + 1].push_back(merged);
            row += 1;
        }
    }

    /// Drops the oldest bucket.
    fn shrink(&mut self) {
        let state = &mut self.state;
        let row = state.rows.len() - 1;
        let Some(oldest) = state.rows[row].pop_front() else { return };
        let n = size(row);
        let mean = oldest.total / n;
        state.width -= n;
        state.total -= oldest.total;
        let gap = mean - state.total / state.width;
        state.variance -= oldest.variance + n * state.width * gap * gap / (n + state.width);
        if state.rows[row].is_empty() && row > 0 {
            state.rows.pop();
        }
    }

    /// Whether some cut of the window separates two different means.
    fn is_cut(&self) -> bool {
        let state = &self.state;
        let AdwinParameters { delta, min_window_length, .. } = self.parameters;
        let (mut n0, mut u0) = (0.0, 0.0);
        let (mut n1, mut u1) = (state.width, state.total);
        for (row, buckets) in state.rows.iter().enumerate().rev() {
            for (k, bucket) in buckets.iter().enumerate() {
                n0 += size(row);
                n1 -= size(row);
                u0 += bucket.total;
                u1 -= bucket.total;
                if row == 0 && k + 1 == buckets.len() {
                    return false;
                }
                if n1 >= min_window_length && n0 >= min_window_length {
                    let gap = u0 / n0 - u1 / n1;
                    let log = (2.0 * state.width.ln() / delta).ln();
                    let m =
                        1.0 / (n0 - min_window_length + 1.0) + 1.0 / (n1 - min_window_length + 1.0);
                    let variance = state.variance / state.width;
                    let epsilon = (2.0 * m * variance * log).sqrt() + 2.0 / 3.0 * log * m;
                    if gap.abs() > epsilon {
                        return true;
                    }
                }
            }
        }
        false
    }
}

impl Detector for Adwin {
    fn update(&mut self, value: f64) -> Signal {
        if self.has_drifted {
            self.state = State::new();
        }
        self.insert(value);
        self.state.tick += 1;
        self.has_drifted = false;
        let is_due = self.state.tick.is_multiple_of(self.parameters.clock);
        if is_due && self.state.width > self.parameters.grace_period {
            while self.is_cut() {
                self.has_drifted = true;
                self.shrink();
            }
        }
        Signal { drift: self.has_drifted, warning: false }
    }
}
