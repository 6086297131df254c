//! Number formatting as templates call it: they hand over references, at any depth.

use crate::fmt;

/// A number behind any count of references.
pub(crate) trait Number {
    fn real(&self) -> f64;
}

impl Number for f64 {
    fn real(&self) -> f64 {
        *self
    }
}

impl Number for i64 {
    fn real(&self) -> f64 {
        *self as f64
    }
}

impl<T: Number> Number for &T {
    fn real(&self) -> f64 {
        (*self).real()
    }
}

/// [`fmt::number`] without decimals.
pub(crate) fn count(value: impl Number) -> String {
    fmt::number(value.real(), 0)
}

/// [`fmt::plain`].
pub(crate) fn plain(value: impl Number) -> String {
    fmt::plain(value.real())
}

/// A share of one as percent.
pub(crate) fn percent(value: impl Number) -> String {
    fmt::value(value.real(), "share")
}

/// `business_owner` as `business owner`.
pub(crate) fn words(text: &str) -> String {
    text.replace('_', " ")
}
