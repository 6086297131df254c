//! The table of the issue: ours, what it is compared with, their ratio, the target.

/// A figure and what it must be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    /// At least this ratio.
    Ratio(f64),
    /// Only shown.
    Shown,
}

/// Rows as they come; all are printed before a missed one ends the run.
#[derive(Debug, Default)]
pub(super) struct Table {
    lines: Vec<String>,
    missed: Vec<String>,
}

impl Table {
    /// A row; `ratio` is how many times better ours is, NaN where nothing is compared.
    pub(super) fn add(&mut self, what: &str, ours: String, other: String, ratio: f64, at: Wanted) {
        let shown = if ratio.is_nan() { String::new() } else { format!("{ratio:.2}x") };
        let verdict = match at {
            Wanted::Ratio(wanted) => self.judge(what, ratio >= wanted, format!(">= {wanted}x")),
            Wanted::Shown => String::new(),
        };
        self.push(format!("| {what} | {ours} | {other} | {shown} | {verdict} |"));
    }

    /// A row that is judged by itself.
    pub(super) fn below(&mut self, what: &str, value: f64, unit: &str, other: String, limit: f64) {
        let verdict = self.judge(what, value < limit, format!("< {limit} {unit}"));
        let value = figure(value);
        self.push(format!("| {what} | {value} {unit} | {other} |  | {verdict} |"));
    }

    /// A row that could not be measured: its target is missed, and the reason stands in it.
    pub(super) fn failed(&mut self, what: &str, why: &str) {
        let why = why.lines().next().unwrap_or_default();
        self.missed.push(format!("{what}: {why}"));
        self.push(format!("| {what} | not measured: {why} |  |  | MISSED |"));
    }

    fn judge(&mut self, what: &str, is_met: bool, wanted: String) -> String {
        if is_met {
            return format!("{wanted}: met");
        }
        self.missed.push(format!("{what} ({wanted})"));
        format!("{wanted}: MISSED")
    }

    fn push(&mut self, line: String) {
        eprintln!("{line}");
        self.lines.push(line);
    }

    /// Prints all and answers what was missed.
    pub(super) fn print(self) -> Vec<String> {
        println!("| work | ours | peer or floor | ratio | target |\n|---|---|---|---|---|");
        for line in &self.lines {
            println!("{line}");
        }
        self.missed
    }
}

/// Three digits that mean something.
pub(super) fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
