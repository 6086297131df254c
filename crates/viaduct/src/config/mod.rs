//! Configuration: what was said (file, environment, flags) becomes what it means (typed).
//!
//! Order, later wins: built-in value, file, `VIADUCT__SECTION__KEY`, flag. One file is read:
//! `--config FILE`, else `./viaduct.toml`, else `DIR/viaduct.toml` in the data directory.
//! Every value keeps its [`Origin`], so an error and `viaduct config show` can name it.
//!
//! Invariant: the environment is read here and in `main.rs`, nowhere below.

mod artifacts;
mod check;
mod file;
mod keys;
mod remote;
mod settings;
mod show;

pub(crate) use check::{ClockChoice, Config, DurabilityChoice, LogFormat};
pub(crate) use settings::{Inputs, Settings};
pub(crate) use show::{Detail, show};

#[cfg(test)]
mod tests;

/// Why a configuration is not taken. Every message names where the value came from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A file that was named, or that exists, cannot be read.
    #[error("configuration file `{path}` cannot be read: {source}")]
    Unreadable { path: String, source: std::io::Error },
    /// The file is no TOML.
    #[error("{path}:{line}:{column}: this is not TOML: {message}")]
    NotToml { path: String, line: usize, column: usize, message: String },
    /// No such section or key.
    #[error("{place}: there is no {what} `{key}`{hint}")]
    Unknown { place: String, what: &'static str, key: String, hint: String },
    /// A value of the wrong shape (a table where a text belongs).
    #[error("{place}: `{key}` must be {wanted}")]
    Shape { place: String, key: String, wanted: &'static str },
    /// A value that does not mean anything here.
    #[error("{place}: `{key}` is `{value}`, which is not {wanted}")]
    Invalid { place: String, key: &'static str, value: String, wanted: String },
    /// Values that do not go together.
    #[error("{0}")]
    Together(String),
}
