//! Units of facts, and numbers as people read them.

use std::fmt;

/// What a fact counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A part of a whole, 0 to 1; shown in percent.
    Share,
    /// Whole things.
    Count,
    /// Working or calendar days.
    Days,
    /// Weeks.
    Weeks,
    /// Months.
    Months,
    /// Hours.
    Hours,
    /// Minutes.
    Minutes,
    /// Money; the fact names its currency.
    Money,
    /// An evidence grade: A = 4, B = 3, C = 2, S = 1, D = 0.
    Grade,
    /// A plain number: a loss, a distance, a ratio.
    Number,
    /// Yes or no.
    Flag,
}

impl Unit {
    /// The word in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unit::Share => "share",
            Unit::Count => "count",
            Unit::Days => "days",
            Unit::Weeks => "weeks",
            Unit::Months => "months",
            Unit::Hours => "hours",
            Unit::Minutes => "minutes",
            Unit::Money => "money",
            Unit::Grade => "grade",
            Unit::Number => "number",
            Unit::Flag => "flag",
        }
    }

    /// A value in this unit as people read it; `unit_text` is a money fact's currency.
    pub fn text(self, value: f64, unit_text: &str) -> String {
        if !value.is_finite() {
            return open_end(value).into();
        }
        match self {
            Unit::Share => format!("{} %", percent(value)),
            Unit::Days | Unit::Weeks | Unit::Months | Unit::Hours | Unit::Minutes => {
                let word = self.as_str();
                let word = if value == 1.0 { &word[..word.len() - 1] } else { word };
                format!("{} {word}", number(value))
            }
            Unit::Money if unit_text == Unit::Money.as_str() => format!("{value:.0}"),
            Unit::Money => format!("{value:.0} {unit_text}"),
            Unit::Grade => grade(value).into(),
            Unit::Count | Unit::Number | Unit::Flag => number(value),
        }
    }

    /// A difference in this unit: percentage points for shares, steps for grades.
    pub(crate) fn gap_text(self, gap: f64, unit_text: &str) -> String {
        match self {
            Unit::Share => format!("{} percentage points", number(gap * 100.0)),
            Unit::Grade if gap == 1.0 => "1 grade".into(),
            Unit::Grade => format!("{} grades", number(gap)),
            _ => self.text(gap, unit_text),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn open_end(value: f64) -> &'static str {
    if value.is_nan() {
        "not a number"
    } else if value > 0.0 {
        "no upper end"
    } else {
        "no lower end"
    }
}

fn grade(value: f64) -> &'static str {
    match value {
        4.0 => "A",
        3.0 => "B",
        2.0 => "C",
        1.0 => "S",
        0.0 => "D",
        _ => "no grade",
    }
}

/// A share in percent. Why the special case: 99.96 % must not read as 100 % where 100 % is asked.
fn percent(share: f64) -> String {
    let rounded = number(share * 100.0);
    if rounded == "100" && share != 1.0 {
        format!("{:.4}", share * 100.0).trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        rounded
    }
}

/// A number with as many digits as matter: whole from 1000 on, else three significant ones.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    // Three significant digits, but never fewer than all digits before the point. Twelve places
    // bound what a tiny number may print.
    let magnitude = value.abs().log10().floor();
    let places = (2.0 - magnitude).clamp(0.0, 12.0) as usize;
    let text = format!("{value:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        for (value, wanted) in [
            (0.0, "0"),
            (1.0, "1"),
            (-0.5, "-0.5"),
            (0.123456, "0.123"),
            (12345.6, "12346"),
            (99.95, "100"),
            (0.000012345, "0.0000123"),
            (300.0, "300"),
        ] {
            assert_eq!(number(value), wanted);
        }
        assert_eq!(Unit::Share.text(0.9996, ""), "99.96 %");
        assert_eq!(Unit::Share.text(1.0, ""), "100 %");
        assert_eq!(Unit::Share.text(0.995, ""), "99.5 %");
        assert_eq!(Unit::Days.text(1.0, ""), "1 day");
        assert_eq!(Unit::Money.text(-1234.4, "EUR"), "-1234 EUR");
        assert_eq!(Unit::Grade.text(3.0, ""), "B");
        assert_eq!(Unit::Share.gap_text(0.08, ""), "8 percentage points");
        assert_eq!(Unit::Number.text(f64::INFINITY, ""), "no upper end");
    }
}
