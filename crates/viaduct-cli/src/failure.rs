//! How a command ends when it does not end well.

use crate::problem::Problem;

/// Exit codes, the same for every command; documented in `docs/guides/commands.md`.
pub mod exit {
    /// Done.
    pub const DONE: u8 = 0;
    /// The request was declined, or something broke.
    pub const DECLINED: u8 = 1;
    /// The command line, the configuration or a local file is wrong (clap uses the same code).
    pub const USAGE: u8 = 2;
    /// No server answers, or it is not ready.
    pub const AWAY: u8 = 3;
    /// A login is demanded, or you may not do this.
    pub const FORBIDDEN: u8 = 4;
    /// The command ran and its answer is no: `diff` found changes, `doctor` a failure, `audit
    /// verify` a broken chain.
    pub const NO: u8 = 5;
}

/// Why a command did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line or a local file is wrong.
    #[error("{0}")]
    Usage(String),
    /// Nobody answers at the address.
    #[error("{0}")]
    Away(String),
    /// The server declined, with its problem.
    #[error("{}", .0.detail)]
    Declined(Box<Problem>),
    /// The answer is no; it is printed already.
    #[error("")]
    No,
    /// The answer makes no sense, or printing failed.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) => exit::USAGE,
            Failure::Away(_) => exit::AWAY,
            Failure::Declined(problem) => match problem.status {
                401 | 403 => exit::FORBIDDEN,
                503 => exit::AWAY,
                _ => exit::DECLINED,
            },
            Failure::No => exit::NO,
            Failure::Broken(_) => exit::DECLINED,
        }
    }

    /// Prints it on standard error.
    pub fn print(&self, printer: &mut crate::Printer) {
        match self {
            Failure::No => {}
            Failure::Declined(problem) => {
                let text = problem.render(printer.paint());
                printer.say(&text);
            }
            Failure::Usage(text) | Failure::Away(text) | Failure::Broken(text) => {
                let head = printer.paint().red("error");
                printer.say(&format!("{head}: {text}"));
            }
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Broken(format!("cannot print: {error}"))
    }
}
