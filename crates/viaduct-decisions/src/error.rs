//! What can go wrong with the log, in sentences that name the file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use viaduct_base::{Error, Fault, Kind, Refusal};

/// Why the log could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No room for the rows; nothing of them stays in the file.
    #[error("the decision log in `{}` cannot grow: {source}; free disk space", dir.display())]
    Full {
        /// The log's directory.
        dir: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The disk failed in another way.
    #[error("the decision log cannot use `{}`: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// An fsync failed; the rows that waited for it were never proven to be on the disk. The next
    /// append tries a new segment.
    #[error("the decision log cannot be synced ({reason}); check the disk, it goes on by itself")]
    Stopped {
        /// What the operating system said then.
        reason: String,
    },
    /// The disk does not answer; the rows may or may not be written later.
    #[error(
        "the decision log's disk has not answered for {after:?}; check it, the log goes on by itself"
    )]
    Stalled {
        /// How long it was waited for.
        after: Duration,
    },
    /// A row does not have the checksum it was written with, or cannot be read.
    #[error("segment `{segment}` is damaged at offset {offset}: {detail}")]
    Corrupt {
        /// File name of the segment or index.
        segment: String,
        /// Byte offset of the row.
        offset: u64,
        /// What does not fit.
        detail: String,
    },
    /// Another process holds the directory.
    #[error("the decision log `{}` is in use by another process; stop it first", dir.display())]
    InUse {
        /// The log's directory.
        dir: PathBuf,
    },
    /// The segment was written by a newer version.
    #[error("segment `{segment}` has format {found}, this version reads up to {known}; upgrade")]
    Newer {
        /// File name of the segment.
        segment: String,
        /// Its version.
        found: u16,
        /// The newest version known here.
        known: u16,
    },
    /// A row or a batch that no segment can hold.
    #[error("{what} takes {bytes} bytes, more than the {limit} that the decision log holds")]
    TooLarge {
        /// A row or a batch.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A batch that does not fit together.
    #[error(
        "a batch of {rows} rows is not whole: a row names a way, an output or inputs that the \
             batch has not"
    )]
    Uneven {
        /// Its rows.
        rows: usize,
    },
    /// A row that JSON cannot express.
    #[error("a decision row cannot be written as JSON: {0}")]
    Encode(#[from] serde_json::Error),
}

impl LogError {
    /// Whether the disk is at fault, and not what was to be written.
    pub fn is_disk(&self) -> bool {
        use LogError::{Full, Io, Stalled, Stopped};
        matches!(self, Full { .. } | Io { .. } | Stalled { .. } | Stopped { .. })
    }

    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }
}

/// Whether the error says that there is no room: disk, quota or the process's file size limit.
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

impl From<LogError> for Error {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Full { .. } | LogError::Stopped { .. } | LogError::Stalled { .. } => {
                Refusal::new(Kind::LogFull, error.to_string()).into()
            }
            LogError::TooLarge { .. } => Refusal::new(Kind::TooLarge, error.to_string()).into(),
            other => Fault::caused("the decision log failed", other).into(),
        }
    }
}
