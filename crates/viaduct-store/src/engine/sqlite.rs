//! SQLite by `rusqlite`: one file, write-ahead log, every commit on the disk before it is told.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, ToSql, ffi};

use super::{Cells, Class, Each, Engine, Failure, Text, Visit, odd_cell};
use crate::statement::numbered;
use crate::tx::Mode;
use crate::{Dialect, Row, Statement, StoreError, Value};

/// Long enough for a backup or a checkpoint of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// More than the store has statements, so none is ever prepared twice.
const CACHED_STATEMENTS: usize = 512;

pub(crate) struct Sqlite {
    connection: Connection,
}

/// Opens the file and sets it up; a missing file is made in [`Mode::Write`] only.
pub(crate) fn open(path: &Path, mode: Mode) -> Result<Sqlite, StoreError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if mode == Mode::Write {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let doing = |e: rusqlite::Error| failure(e, "opening the file", true).error;
    let connection = Connection::open_with_flags(path, flags).map_err(doing)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(doing)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // Why: the journal mode answers with a row, which `execute_batch` skips over.
    // FULL: a commit is on the disk before it is acknowledged, also when the power goes.
    // 4000: with 1000 pages, the default, most of what small groups write goes to the file twice
    // in a row; more make the command that waits for it wait too long.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
             PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864; \
             PRAGMA wal_autocheckpoint = 4000;",
        )
        .map_err(doing)?;
    // Why: 2 MB, the default, makes a large transaction read its own pages again and again. It is
    // taken as it is used.
    let cache = match mode {
        Mode::Write => "PRAGMA cache_size = -32768;",
        Mode::Read => "PRAGMA cache_size = -8192; PRAGMA query_only = ON;",
    };
    connection.execute_batch(cache).map_err(doing)?;
    Ok(Sqlite { connection })
}

/// Opens a file that another program made and leaves its settings as they are.
pub(crate) fn open_foreign(path: &Path, writable: bool) -> Result<Sqlite, StoreError> {
    let flags = match writable {
        true => OpenFlags::SQLITE_OPEN_READ_WRITE,
        false => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let doing = |e: rusqlite::Error| failure(e, "opening the file", true).error;
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(doing)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(doing)?;
    Ok(Sqlite { connection })
}

impl Sqlite {
    /// Copies the whole database into a new file while others go on writing.
    pub(crate) fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let doing = |e: rusqlite::Error| failure(e, "backup", true).error;
        let mut target = Connection::open(to).map_err(doing)?;
        {
            let backup =
                rusqlite::backup::Backup::new(&self.connection, &mut target).map_err(doing)?;
            // All pages in one step: the copy is one moment's state, and in WAL mode a reader
            // does not hold up the writer.
            backup.run_to_completion(i32::MAX, Duration::from_millis(50), None).map_err(doing)?;
        }
        target
            .execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;")
            .map_err(doing)?;
        Ok(())
    }

    fn prepared(&self, text: Text<'_>) -> Result<CachedStatement<'_>, rusqlite::Error> {
        match text {
            Text::Known(statement) => self.connection.prepare_cached(statement.sqlite_sql()),
            Text::Compiled(sql) => self.connection.prepare_cached(&numbered(sql)),
        }
    }

    fn failed(&self, error: rusqlite::Error, doing: &str) -> Failure {
        failure(error, doing, self.connection.is_autocommit())
    }
}

fn bind(statement: &mut CachedStatement<'_>, values: &[Value]) -> Result<(), rusqlite::Error> {
    if statement.parameter_count() != values.len() {
        return Err(rusqlite::Error::InvalidParameterCount(
            values.len(),
            statement.parameter_count(),
        ));
    }
    for (i, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(i + 1, value)?;
    }
    Ok(())
}

impl Engine for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn ready(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn script(&mut self, sql: &str) -> Result<(), Failure> {
        // Why: what transaction control repeats thousands of times a second is worth a cache.
        if sql.len() < 64 {
            for part in sql.split_terminator(';') {
                let run = self.connection.prepare_cached(part).and_then(|mut s| s.raw_execute());
                run.map_err(|e| self.failed(e, part))?;
            }
            return Ok(());
        }
        self.connection.execute_batch(sql).map_err(|e| self.failed(e, "script"))
    }

    fn execute(&mut self, text: Text<'_>, values: &[Value]) -> Result<u64, Failure> {
        let run = || -> Result<u64, rusqlite::Error> {
            let mut statement = self.prepared(text)?;
            bind(&mut statement, values)?;
            statement.raw_execute().map(|n| n as u64)
        };
        run().map_err(|e| self.failed(e, text.name()))
    }

    /// At once, and whatever it returns.
    fn defer(&mut self, text: Text<'_>, values: &[Value]) -> Result<(), Failure> {
        self.visit(text, values, &mut |_| Ok(()))
    }

    fn each(&mut self, text: Text<'_>, values: &[Value], each: Each<'_>) -> Result<(), Failure> {
        let failed = |e| self.failed(e, text.name());
        let mut statement = self.prepared(text).map_err(failed)?;
        bind(&mut statement, values).map_err(failed)?;
        let columns: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(failed)? {
            let mut read = Vec::with_capacity(columns.len());
            for i in 0..columns.len() {
                read.push(match row.get_ref(i).map_err(failed)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(v) => Value::Int(v),
                    ValueRef::Real(v) => Value::Real(v),
                    ValueRef::Text(v) => Value::Text(String::from_utf8_lossy(v).into_owned()),
                    ValueRef::Blob(v) => Value::Bytes(v.to_vec()),
                });
            }
            each(Row::new(Arc::clone(&columns), read)).map_err(Failure::caller)?;
        }
        Ok(())
    }

    fn visit(&mut self, text: Text<'_>, values: &[Value], visit: Visit<'_>) -> Result<(), Failure> {
        let failed = |e| self.failed(e, text.name());
        let mut statement = self.prepared(text).map_err(failed)?;
        bind(&mut statement, values).map_err(failed)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(failed)? {
            visit(&Place(row)).map_err(Failure::caller)?;
        }
        Ok(())
    }

    fn prepare(&mut self, statement: &Statement) -> Result<(), Failure> {
        let prepared = self.connection.prepare(statement.sqlite_sql()).map(|_| ());
        prepared.map_err(|e| self.failed(e, statement.name()))
    }

    fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }
}

struct Place<'a, 'b>(&'a rusqlite::Row<'b>);

impl Place<'_, '_> {
    fn get(&self, at: usize) -> Result<ValueRef<'_>, StoreError> {
        self.0.get_ref(at).map_err(|e| odd_cell(at, e.to_string()))
    }
}

impl Cells for Place<'_, '_> {
    fn text(&self, at: usize) -> Result<Option<&str>, StoreError> {
        let read = self.get(at)?.as_str_or_null();
        read.map_err(|e| odd_cell(at, e.to_string()))
    }

    fn int(&self, at: usize) -> Result<Option<i64>, StoreError> {
        let read = self.get(at)?.as_i64_or_null();
        read.map_err(|e| odd_cell(at, e.to_string()))
    }

    fn real(&self, at: usize) -> Result<Option<f64>, StoreError> {
        match self.get(at)? {
            // Why: SQLite's expressions give either kind of number.
            ValueRef::Integer(v) => Ok(Some(v as f64)),
            other => other.as_f64_or_null().map_err(|e| odd_cell(at, e.to_string())),
        }
    }

    fn bytes(&self, at: usize) -> Result<Option<&[u8]>, StoreError> {
        let read = self.get(at)?.as_blob_or_null();
        read.map_err(|e| odd_cell(at, e.to_string()))
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(v) => ValueRef::Integer(*v),
            Value::Real(v) => ValueRef::Real(*v),
            Value::Text(v) => ValueRef::Text(v.as_bytes()),
            Value::Bytes(v) => ValueRef::Blob(v),
        }))
    }
}

/// `gone`: no transaction is open any more, which after a failed statement means that SQLite
/// rolled everything back by itself (a full disk does that).
fn failure(error: rusqlite::Error, doing: &str, gone: bool) -> Failure {
    let fallback = if gone { Class::Gone } else { Class::Statement };
    let detail = error.to_string();
    let engine = |class| Failure {
        error: StoreError::Engine { doing: doing.to_owned(), detail: detail.clone() },
        class,
    };
    let rusqlite::Error::SqliteFailure(code, message) = &error else {
        return engine(fallback);
    };
    match code.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => engine(Class::Retry),
        ErrorCode::DiskFull => Failure { error: StoreError::Full { detail }, class: fallback },
        ErrorCode::ConstraintViolation
            if matches!(
                code.extended_code,
                ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            ) =>
        {
            let (table, columns) = violated(message.as_deref().unwrap_or_default());
            Failure { error: StoreError::Unique { table, columns }, class: fallback }
        }
        _ => engine(fallback),
    }
}

/// Table and columns out of `UNIQUE constraint failed: project.workspace_id, project.name`.
fn violated(message: &str) -> (String, String) {
    let list = message.rsplit_once(": ").map_or(message, |(_, list)| list);
    let mut table = String::new();
    let mut columns = Vec::new();
    for place in list.split(", ") {
        match place.split_once('.') {
            Some((t, column)) => {
                table = t.to_owned();
                columns.push(column);
            }
            None => columns.push(place),
        }
    }
    (table, columns.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_message() {
        let message = "UNIQUE constraint failed: project.workspace_id, project.name";
        assert_eq!(violated(message), ("project".to_owned(), "workspace_id, name".to_owned()));
    }
}
