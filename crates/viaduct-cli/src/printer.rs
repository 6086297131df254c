//! Where output goes and how it looks. Colour is never the only signal.

use std::io::{self, Write};

use serde_json::Value;

use crate::Failure;

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns and short sentences.
    Table,
    /// The server's JSON, indented.
    Json,
}

/// Two streams and a style.
pub struct Printer {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    format: Format,
    paint: Paint,
}

impl Printer {
    /// Prints to these streams.
    pub fn new(out: Box<dyn Write>, err: Box<dyn Write>, format: Format, colour: bool) -> Self {
        let paint = if colour { Paint::Colour } else { Paint::Plain };
        Self { out, err, format, paint }
    }

    pub(crate) fn paint(&self) -> Paint {
        self.paint
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether what was printed can be drawn over: colours are only used on a terminal.
    pub(crate) fn is_live(&self) -> bool {
        self.format == Format::Table && self.paint == Paint::Colour
    }

    /// Data, on standard output.
    ///
    /// # Errors
    /// Standard output is gone.
    pub fn print(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            self.out.write_all(b"\n")?;
        }
        self.out.flush()
    }

    /// A sentence for the person, on standard error.
    pub fn say(&mut self, text: &str) {
        // Why ignored: when standard error is gone there is nobody left to tell.
        let _ = writeln!(self.err, "{text}");
    }

    /// A warning, on standard error.
    pub(crate) fn warn(&mut self, text: &str) {
        let head = self.paint.yellow("warning");
        self.say(&format!("{head}: {text}"));
    }

    /// The answer as JSON, or what `table` makes of it.
    pub(crate) fn answer(
        &mut self,
        value: &Value,
        table: impl FnOnce(&Value, Paint) -> String,
    ) -> Result<(), Failure> {
        let text = match self.format {
            Format::Json => serde_json::to_string_pretty(value)
                .map_err(|error| Failure::Broken(format!("cannot print JSON: {error}")))?,
            Format::Table => table(value, self.paint),
        };
        Ok(self.print(&text)?)
    }
}

/// Colours, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    Colour,
}

impl Paint {
    fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.wrap("31;1", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    pub(crate) fn blue(self, text: &str) -> String {
        self.wrap("34;1", text)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }
}
