//! What was found, brought, and left, and why.

use std::fmt;

/// Somebody who watches the work.
pub trait Watch {
    /// A stage begins: so many of these.
    fn begin(&mut self, what: &'static str, total: u64);
    /// So many more of the stage are done.
    fn advance(&mut self, by: u64);
}

/// One kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Line {
    /// What it is.
    pub what: &'static str,
    /// How many the source has.
    pub found: u64,
    /// How many were written now.
    pub brought: u64,
    /// How many were there already.
    pub present: u64,
    /// How many were left, as a note says.
    pub skipped: u64,
}

/// The account of an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Counts by kind, in the order of the work.
    pub lines: Vec<Line>,
    /// What was left and why, and what to do next.
    pub notes: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ("", "found", "brought", "present", "skipped");
        write!(f, "{:<18}{:>12}{:>12}{:>12}{:>12}", head.0, head.1, head.2, head.3, head.4)?;
        for line in &self.lines {
            let Line { what, found, brought, present, skipped } = line;
            write!(f, "\n{what:<18}{found:>12}{brought:>12}{present:>12}{skipped:>12}")?;
        }
        for note in &self.notes {
            write!(f, "\n- {note}")?;
        }
        Ok(())
    }
}
