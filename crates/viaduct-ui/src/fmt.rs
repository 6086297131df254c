//! How numbers, times and units read on a page. The same everywhere, so columns line up.

use viaduct_base::{Day, Timestamp};

use crate::svg::{Markup, escape};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Shown where there is no value.
pub(crate) const NONE: &str = "–";

/// `1234567.5` as `1,234,568`: thousands grouped, `decimals` places; a dash when not finite.
pub fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(c);
    }
    let is_zero = text.chars().all(|c| matches!(c, '0' | '.'));
    let sign = if value < 0.0 && !is_zero { "−" } else { "" };
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{grouped}{dot}{fraction}")
}

/// A number with as many decimals as its size deserves, at most four significant digits.
pub fn plain(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || size >= 1000.0 || (value.fract() == 0.0 && size < 1e15) {
        number(value, 0)
    } else if size >= 100.0 {
        number(value, 1)
    } else if size >= 1.0 {
        number(value, 2)
    } else if size >= 0.01 {
        number(value, 3)
    } else {
        number(value, 4)
    }
}

/// A measured value with up to six significant digits, as metrics of models are compared.
pub fn measure(value: f64) -> String {
    if value.is_nan() {
        return "not a number".to_owned();
    }
    let sign = if value < 0.0 { "−" } else { "" };
    let size = value.abs();
    // Why the largest number: it stands for infinity where infinity cannot be kept.
    if size >= f64::MAX {
        return format!("{sign}∞");
    }
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e9).contains(&size) {
        let text = format!("{size:.5e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        return format!("{sign}{digits}e{power}");
    }
    let whole = size.log10().floor() as i32 + 1;
    let text = number(size, usize::try_from(6 - whole).unwrap_or(0).min(9));
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    format!("{sign}{text}")
}

/// `3.2 MB`.
pub fn bytes(count: u64) -> String {
    let mut size = count as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 1000.0 {
            return format!("{} {unit}", number(size, usize::from(unit != "B" && size < 100.0)));
        }
        size /= 1000.0;
    }
    format!("{} TB", number(size, 1))
}

/// A whole number with its thousands grouped.
pub fn count(value: i64) -> String {
    number(value as f64, 0)
}

/// A value in its unit: `share` as percent, a currency code in front of its amount, days as `d`.
pub fn value(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    match unit {
        "share" | "proportion" => {
            let percent = value * 100.0;
            let decimals = if percent.fract().abs() < 1e-9 { 0 } else { 1 };
            format!("{} %", number(percent, decimals))
        }
        "count" => number(value, 0),
        "" | "1" | "none" | "ratio" | "flag" => plain(value),
        "days" | "d" => format!("{} d", plain(value)),
        "microseconds" | "us" => micros(value),
        "grade" => grade(value).to_owned(),
        code if is_currency(code) => {
            let decimals = if value.abs() >= 100.0 { 0 } else { 2 };
            let text = number(value.abs(), decimals);
            let sign = if value < 0.0 && text.chars().any(|c| ('1'..='9').contains(&c)) {
                "−"
            } else {
                ""
            };
            format!("{sign}{}{text}", currency(code))
        }
        other => format!("{} {other}", plain(value)),
    }
}

/// [`value`] with a sign in front of a positive number: for differences.
pub fn signed(amount: f64, unit: &str) -> String {
    let text = match value(amount, unit) {
        // Why: a difference of two percentages is not a percentage of anything.
        text if matches!(unit, "share" | "proportion") => text.replace('%', "pp"),
        text => text,
    };
    if amount > 0.0 { format!("+{text}") } else { text }
}

/// The letter of an evidence grade, as facts number them.
fn grade(value: f64) -> &'static str {
    match value {
        4.0 => "A",
        3.0 => "B",
        2.0 => "C",
        1.0 => "S",
        0.0 => "D",
        _ => NONE,
    }
}

fn is_currency(unit: &str) -> bool {
    unit.len() == 3 && unit.bytes().all(|b| b.is_ascii_uppercase())
}

fn currency(code: &str) -> String {
    match code {
        "EUR" => "€".to_owned(),
        "USD" => "$".to_owned(),
        "GBP" => "£".to_owned(),
        other => format!("{other}\u{a0}"),
    }
}

/// A latency in the unit that reads best.
pub fn micros(value: f64) -> String {
    if !value.is_finite() {
        NONE.to_owned()
    } else if value < 1_000.0 {
        format!("{} µs", number(value, 0))
    } else if value < 1_000_000.0 {
        format!("{} ms", number(value / 1e3, if value < 10_000.0 { 1 } else { 0 }))
    } else {
        format!("{} s", number(value / 1e6, 1))
    }
}

/// `25 Nov 2026`.
pub fn day(day: Day) -> String {
    let iso = day.to_string();
    let mut parts = iso.rsplitn(3, '-');
    let number = parts.next().unwrap_or_default().trim_start_matches('0').to_owned();
    let month = parts.next().and_then(|m| m.parse::<usize>().ok()).unwrap_or(1);
    let year = parts.next().unwrap_or_default();
    format!("{number} {} {year}", MONTHS[(month.clamp(1, 12)) - 1])
}

/// `25 Nov`, for axes.
pub(crate) fn day_short(at: Day) -> String {
    let text = day(at);
    text.rsplit_once(' ').map(|(short, _)| short.to_owned()).unwrap_or(text)
}

/// `25 Nov 2026, 15:28` in UTC.
pub fn minute(at: Timestamp) -> String {
    let iso = at.to_string();
    let clock = iso.split_once('T').map(|(_, t)| t.chars().take(5).collect::<String>());
    format!("{}, {}", day(at.day()), clock.unwrap_or_default())
}

/// A `<time>` element that reads to the minute and carries the exact moment.
pub fn time(at: &Timestamp) -> Markup {
    time_element(at, &minute(*at))
}

/// A `<time>` element that reads as a day and carries the exact moment.
pub fn date(at: &Timestamp) -> Markup {
    time_element(at, &day(at.day()))
}

fn time_element(at: &Timestamp, text: &str) -> Markup {
    let exact = escape(&at.to_string());
    let mut m = Markup::default();
    m.raw(format!("<time datetime=\"{exact}\" title=\"{exact}\">")).text(text).raw("</time>");
    m
}

/// `1 day`, `3 days`: a count with its noun.
pub fn plural(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{} {noun}s", count(n as i64)) }
}

/// The first twelve characters of a hash, for people.
pub fn short_hash(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(number(1_234_567.0, 0), "1,234,567");
        assert_eq!(number(-0.001, 2), "0.00");
        assert_eq!(number(-1234.5, 1), "−1,234.5");
        assert_eq!(number(f64::NAN, 2), "–");
        assert_eq!(plain(0.0123), "0.012");
        assert_eq!(plain(12.0), "12");
        assert_eq!(plain(412.54), "412.5");
        assert_eq!(value(0.957, "share"), "95.7 %");
        assert_eq!(value(1.0, "share"), "100 %");
        assert_eq!(value(-0.42, "EUR"), "−€0.42");
        assert_eq!(value(12_400.4, "CHF"), "CHF\u{a0}12,400");
        assert_eq!(signed(0.42, "EUR"), "+€0.42");
        assert_eq!(signed(0.061, "share"), "+6.1 pp");
        assert_eq!(value(f64::NAN, "share"), "–");
        assert_eq!(micros(1_840.0), "1.8 ms");
    }

    #[test]
    fn measures_and_sizes_read_well() {
        assert_eq!(measure(0.873_412_9), "0.873413");
        assert_eq!(measure(0.5), "0.5");
        assert_eq!(measure(-12.0), "−12");
        assert_eq!(measure(123_456_789.0), "123,456,789");
        assert_eq!(measure(0.000_012_3), "1.23e-5");
        assert_eq!(measure(f64::NAN), "not a number");
        assert_eq!(measure(f64::MAX), "∞");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(12_340), "12.3 kB");
        assert_eq!(bytes(250_000_000), "250 MB");
    }

    #[test]
    fn times_read_well() {
        let at: Timestamp = "2026-11-05T15:28:59Z".parse().unwrap();
        assert_eq!(minute(at), "5 Nov 2026, 15:28");
        assert_eq!(day_short(at.day()), "5 Nov");
        assert!(time(&at).as_str().contains("datetime=\"2026-11-05T15:28:59Z\""));
        assert_eq!(plural(1, "day"), "1 day");
        assert_eq!(plural(2, "day"), "2 days");
    }
}
