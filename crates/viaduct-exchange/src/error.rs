//! Why nothing, or not everything, was brought.

use std::io;

use viaduct_store::{OpenError, StoreError};

/// Why an exchange ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// A database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A database cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was asked for is not to be done; nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// A file cannot be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// Which one.
        path: String,
        /// What the disk or the store of objects said.
        source: io::Error,
    },
}

impl ExchangeError {
    pub(crate) fn file(path: impl ToString, source: io::Error) -> Self {
        Self::File { path: path.to_string(), source }
    }
}
