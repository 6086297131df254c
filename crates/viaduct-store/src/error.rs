//! What can go wrong between a use case and its rows.

use std::path::PathBuf;

use viaduct_base::{Error, Fault, Kind, Refusal};

/// A statement or a transaction that did not do what was asked.
///
/// Both engines give the same variant for the same cause; a contract test holds them to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A row with the same unique columns exists already.
    #[error("`{table}` holds a row with the same {columns} already")]
    Unique {
        /// The table.
        table: String,
        /// The columns of the violated index, comma separated, in its order.
        columns: String,
    },
    /// Somebody else changed the row after it was read.
    #[error("{noun} `{id}` was changed by somebody else in the meantime")]
    Conflict {
        /// What kind of row.
        noun: &'static str,
        /// Which one.
        id: String,
    },
    /// The database does not answer. A write that was being committed may have happened.
    #[error("the database does not answer: {detail}")]
    Away {
        /// What the driver said.
        detail: String,
    },
    /// The disk that holds the database is full.
    #[error("the database's disk is full: {detail}")]
    Full {
        /// What the engine said.
        detail: String,
    },
    /// Other writers kept winning; every try was rolled back.
    #[error("`{name}` lost against other writers too often; try again")]
    Contended {
        /// The write's name.
        name: &'static str,
    },
    /// More writes wait than the queue takes.
    #[error("too many writes wait for the database; try again")]
    Overloaded,
    /// A value that one of the engines cannot keep.
    #[error("{detail}")]
    Unstorable {
        /// Which value and why.
        detail: String,
    },
    /// A stored row does not read as what the code expects.
    #[error("column `{column}`: {detail}")]
    Column {
        /// The column.
        column: String,
        /// What was wrong.
        detail: String,
    },
    /// An earlier statement of the same transaction failed, so nothing after it counts.
    #[error("an earlier statement of this transaction failed: {detail}")]
    Aborted {
        /// The earlier failure.
        detail: String,
    },
    /// The work panicked; its changes were rolled back.
    #[error("`{name}` panicked inside its transaction")]
    Panicked {
        /// The name of the write or read.
        name: &'static str,
    },
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
    /// Anything else that the engine refused: a bug or a damaged file.
    #[error("{doing}: {detail}")]
    Engine {
        /// The statement or step.
        doing: String,
        /// What the engine said.
        detail: String,
    },
}

impl StoreError {
    /// Whether this is a violation of the unique index over exactly `columns` of `table`.
    pub fn is_unique(&self, of_table: &str, of_columns: &str) -> bool {
        matches!(self, Self::Unique { table, columns } if table == of_table && columns == of_columns)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Error {
        let detail = error.to_string();
        match error {
            StoreError::Unique { .. } => Refusal::new(Kind::AlreadyExists, detail).into(),
            StoreError::Conflict { .. } => {
                Refusal::new(Kind::Conflict, format!("{detail}; read it again, then repeat")).into()
            }
            StoreError::Away { .. } | StoreError::Closed => {
                Refusal::new(Kind::DatabaseAway, detail).into()
            }
            StoreError::Overloaded => Refusal::new(Kind::TooManyRequests, detail).into(),
            StoreError::Unstorable { .. } => Refusal::new(Kind::InvalidInput, detail).into(),
            StoreError::Full { .. } | StoreError::Contended { .. } => {
                Fault::caused("store", error).retryable().into()
            }
            _ => Fault::caused("store", error).into(),
        }
    }
}

/// Why a store cannot be opened; each sentence says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the data directory.
    #[error(
        "the data directory `{dir}` is in use by another process{pid}: stop it, or use another \
         `--data-dir`"
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// ` (pid 123)` where the holder wrote it down, else empty.
        pid: String,
    },
    /// The database was migrated by a newer program.
    #[error(
        "the database `{database}` has schema {found} and this program knows {known}: start a \
         program that is at least as new, or restore a backup made before the upgrade"
    )]
    NewerSchema {
        /// Where, without a password.
        database: String,
        /// The highest migration applied.
        found: i64,
        /// The highest migration known here.
        known: i64,
    },
    /// A migration that was applied differs from the one in this program.
    #[error(
        "migration `{name}` of the database `{database}` differs from the one in this program: \
         it was made by an unreleased build; use a new data directory, or restore a backup"
    )]
    ChangedMigration {
        /// Where, without a password.
        database: String,
        /// The migration's name.
        name: String,
    },
    /// The database has not been migrated as far as this program needs.
    #[error(
        "the database `{database}` has schema {found} and this program needs {known}: start \
         `viaduct server` on it once, which migrates it"
    )]
    OlderSchema {
        /// Where, without a password.
        database: String,
        /// The highest migration applied.
        found: i64,
        /// The highest migration known here.
        known: i64,
    },
    /// There is no such database file.
    #[error("there is no database at `{0}`: check `--data-dir`")]
    Missing(PathBuf),
    /// The server does not answer.
    #[error(
        "the database `{database}` does not answer: {detail}; check that it runs and that \
         `--database` is right"
    )]
    Unreachable {
        /// Where, without a password.
        database: String,
        /// What the driver said.
        detail: String,
    },
    /// The address of the database does not parse.
    #[error(
        "`{text}` is not a database: use `postgres://user@host/name` or `sqlite:/path/to/file.db`"
    )]
    InvalidUrl {
        /// What was given, without a password.
        text: String,
    },
    /// The directory or file cannot be used.
    #[error("`{path}` cannot be used: {detail}")]
    Unusable {
        /// Which path.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// A statement of the opening failed.
    #[error("opening the database `{database}` failed: {source}")]
    Store {
        /// Where, without a password.
        database: String,
        /// The failure.
        source: StoreError,
    },
}
