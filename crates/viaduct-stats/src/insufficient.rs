//! The one answer for data that carry no evidence.
//!
//! Every function of this crate that could be asked for the impossible (no variation, too few
//! rows, a denominator of zero) returns [`Insufficient`]. It never returns an effect of 0 with a
//! p-value of 1, because a reader cannot tell that from a measured absence of effect.

use serde::Serialize;

/// The data or the parameters do not allow the figure that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, thiserror::Error)]
#[error("{reason}")]
pub struct Insufficient {
    /// What is missing or impossible.
    pub reason: Reason,
}

/// Why there is no figure.
#[derive(Debug, Clone, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Fewer independent rows than the method needs.
    #[error("{what}: {got} where at least {needed} are needed")]
    TooFewRows {
        /// Which sample.
        what: &'static str,
        /// Rows needed.
        needed: u64,
        /// Rows present.
        got: u64,
    },
    /// All values are equal, so no standard error exists.
    #[error("{0} does not vary, so no standard error exists")]
    NoVariation(&'static str),
    /// A ratio was asked for and its denominator is zero.
    #[error("{0} is zero and cannot be divided by")]
    ZeroDenominator(&'static str),
    /// A value is NaN or infinite, or the result would be.
    #[error("{0} is not a finite number")]
    NotFinite(&'static str),
    /// A parameter lies outside of its range.
    #[error("{what} must be {rule}")]
    OutOfRange {
        /// Which parameter.
        what: &'static str,
        /// The rule that it breaks, for example `between 0 and 1`.
        rule: &'static str,
    },
    /// The exact method would not end in reasonable time or memory.
    #[error("{what} is above {limit}, the most this exact method computes")]
    TooLarge {
        /// Which size.
        what: &'static str,
        /// The largest value that is computed.
        limit: u64,
    },
    /// Two inputs that belong together have different lengths.
    #[error("{0} must have the same length")]
    LengthsDiffer(&'static str),
    /// A system of equations has no unique solution.
    #[error("{0} cannot be told apart: the equations have no unique solution")]
    Singular(&'static str),
    /// The search ended without an answer.
    #[error("{0} did not converge")]
    NoConvergence(&'static str),
}

impl From<Reason> for Insufficient {
    fn from(reason: Reason) -> Self {
        Self { reason }
    }
}

/// Refuses a sample with fewer than `needed` rows.
pub(crate) fn require_rows(what: &'static str, got: u64, needed: u64) -> Result<(), Insufficient> {
    if got < needed { Err(Reason::TooFewRows { what, needed, got }.into()) } else { Ok(()) }
}

/// Refuses a parameter that breaks its rule.
pub(crate) fn require(
    holds: bool,
    what: &'static str,
    rule: &'static str,
) -> Result<(), Insufficient> {
    if holds { Ok(()) } else { Err(Reason::OutOfRange { what, rule }.into()) }
}

/// Refuses NaN and infinities.
pub(crate) fn require_finite(what: &'static str, values: &[f64]) -> Result<(), Insufficient> {
    if values.iter().all(|value| value.is_finite()) {
        Ok(())
    } else {
        Err(Reason::NotFinite(what).into())
    }
}

/// Refuses two inputs of different length.
pub(crate) fn require_same_length(
    what: &'static str,
    left: usize,
    right: usize,
) -> Result<(), Insufficient> {
    if left == right { Ok(()) } else { Err(Reason::LengthsDiffer(what).into()) }
}

/// Refuses a confidence level outside of the open unit interval.
pub(crate) fn require_level(level: f64) -> Result<(), Insufficient> {
    require(level > 0.0 && level < 1.0, "confidence level", "between 0 and 1")
}

/// Passes a finite number on and refuses any other, for results.
pub(crate) fn finite(what: &'static str, value: f64) -> Result<f64, Insufficient> {
    if value.is_finite() { Ok(value) } else { Err(Reason::NotFinite(what).into()) }
}
