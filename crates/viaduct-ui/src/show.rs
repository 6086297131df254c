//! Number formatting as templates call it: they hand over references, at any depth.

use crate::fmt;
use crate::svg::Markup;

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

impl Number for u64 {
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

/// A sentence in which text between backticks is shown as code.
pub(crate) fn prose(text: &str) -> Markup {
    let mut m = Markup::default();
    let parts: Vec<&str> = text.split('`').collect();
    for (i, part) in parts.iter().enumerate() {
        // Why the second half: an odd backtick at the end opens nothing and is shown as it is.
        let is_code = i % 2 == 1 && i + 1 < parts.len();
        if is_code {
            m.raw("<code>").text(part).raw("</code>");
        } else {
            m.raw(if i % 2 == 1 { "`" } else { "" }).text(part);
        }
    }
    m
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_become_code_and_nothing_slips_through() {
        assert_eq!(prose("run `a <b>` now").as_str(), "run <code>a &lt;b&gt;</code> now");
        assert_eq!(prose("an odd ` one <i>").as_str(), "an odd ` one &lt;i&gt;");
        assert_eq!(prose("").as_str(), "");
    }

    #[test]
    fn numbers_behind_references() {
        let n = 1_234i64;
        let behind = &&n;
        assert_eq!(count(behind), "1,234");
        assert_eq!(percent(0.5), "50 %");
        assert_eq!(words("data_owner"), "data owner");
    }
}
