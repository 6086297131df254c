//! Markup that is safe to write as it is: SVG and small HTML made by this crate, never by a user.

use std::fmt;

/// Markup made here; templates print it without escaping. User text inside it went through
/// [`Markup::text`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Markup(String);

impl Markup {
    /// Whether nothing was drawn.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The markup itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Adds markup as it is; only for text of this crate and numbers.
    pub(crate) fn raw(&mut self, markup: impl AsRef<str>) -> &mut Self {
        self.0.push_str(markup.as_ref());
        self
    }

    /// Adds text of anybody, escaped for element content and for quoted attributes.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.0.push_str(&escape(text));
        self
    }
}

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Markup {}

/// Escapes text for element content and quoted attributes, in HTML and in XML; characters that
/// XML 1.0 forbids become a replacement mark.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(c),
            c if (c as u32) < 0x20 || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A coordinate: at most two decimals, no exponent, never NaN or infinite.
pub(crate) fn coord(value: f64) -> String {
    if !value.is_finite() {
        return "0".to_owned();
    }
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() || text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let mut m = Markup::default();
        m.raw("<b>").text("<script>'\"&\u{1}").raw("</b>");
        assert_eq!(m.as_str(), "<b>&lt;script&gt;&#39;&quot;&amp;\u{fffd}</b>");
    }

    #[test]
    fn coordinates_are_short_and_finite() {
        assert_eq!(coord(1.0), "1");
        assert_eq!(coord(0.1234), "0.12");
        assert_eq!(coord(-0.001), "0");
        assert_eq!(coord(100.0), "100");
        assert_eq!(coord(f64::NAN), "0");
    }
}
