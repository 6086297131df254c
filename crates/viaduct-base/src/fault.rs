//! Something broke: one opaque type with its source chain, and the two-way error of every verb.

use std::error::Error as StdError;
use std::fmt;

use crate::Refusal;

/// A failure that is nobody's wish: database, disk, network, a bug. Never matched on, never shown
/// to a caller; logged once where it is handled.
#[derive(Debug)]
pub struct Fault {
    context: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    retryable: bool,
}

impl Fault {
    /// A fault that says what was being done.
    pub fn new(context: impl Into<String>) -> Self {
        Self { context: context.into(), source: None, retryable: false }
    }

    /// A fault with the error that caused it.
    pub fn caused(
        context: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { context: context.into(), source: Some(source.into()), retryable: false }
    }

    /// Marks the fault as worth another try (a database away, a disk full): answered with 503.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// Whether another try may succeed.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// The whole chain on one line, for the log.
    pub fn chain(&self) -> String {
        let mut text = self.context.clone();
        let mut next = self.source.as_deref().map(|e| e as &dyn StdError);
        while let Some(error) = next {
            text.push_str(": ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        text
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain())
    }
}

impl StdError for Fault {}

/// What a use case answers when it does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller asked for something we decline; the caller can mend it.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// Something broke; the caller can only quote an id.
    #[error("{0}")]
    Fault(#[from] Fault),
}
