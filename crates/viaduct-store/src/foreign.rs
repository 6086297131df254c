//! A database of another program, read and written as it is: no migration, no settings of ours.
//!
//! For bringing things in and taking them out. SQL is given as text, because the tables are not
//! ours; both engines take `$1` for a value.

use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::{Engine, Failure, Text, postgres, sqlite};
use crate::migrate::SchemaDoor;
use crate::store::Schema;
use crate::{DatabaseUrl, Dialect, OpenError, Row, StoreError, Value};

/// What may be done to a foreign database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read it.
    Read,
    /// Change its rows.
    Write,
}

/// A connection to a database of another program.
pub struct Foreign {
    engine: Box<dyn Engine>,
}

impl Foreign {
    /// Opens a database that exists.
    ///
    /// # Errors
    /// [`OpenError`] when there is no such file or server.
    pub fn open(url: &DatabaseUrl, access: Access) -> Result<Self, OpenError> {
        let engine: Box<dyn Engine> = match url {
            DatabaseUrl::Sqlite(path) if !path.is_file() => {
                return Err(OpenError::Missing(path.clone()));
            }
            DatabaseUrl::Sqlite(path) => {
                let opened = sqlite::open_foreign(path, access == Access::Write);
                Box::new(
                    opened
                        .map_err(|source| OpenError::Store { database: url.to_string(), source })?,
                )
            }
            DatabaseUrl::Postgres(address) => {
                let door = Arc::new(SchemaDoor::new(url.clone(), Schema::Demand));
                let mut engine = postgres::new(address, door, Arc::default())
                    .map_err(|_| OpenError::InvalidUrl { text: url.to_string() })?;
                engine.connect().map_err(|failure| OpenError::Unreachable {
                    database: url.to_string(),
                    detail: failure.error.to_string(),
                })?;
                Box::new(engine)
            }
        };
        Ok(Self { engine })
    }

    /// The columns of a table; none when there is no such table.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn columns(&mut self, table: &str) -> Result<Vec<String>, StoreError> {
        let sql = match self.engine.dialect() {
            Dialect::Sqlite => "SELECT name FROM pragma_table_info($1)",
            Dialect::Postgres => {
                "SELECT CAST(column_name AS TEXT) AS name FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name = $1"
            }
        };
        self.query(sql, &[table.into()])?.iter().map(|row| row.text("name")).collect()
    }

    /// All rows of an answer that is small by construction.
    ///
    /// # Errors
    /// When the database refuses the text or cannot be read.
    pub fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        self.each(sql, values, |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Hands over one row at a time.
    ///
    /// # Errors
    /// As [`Foreign::query`], and the first error that `each` returns.
    pub fn each(
        &mut self,
        sql: &str,
        values: &[Value],
        mut each: impl FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.engine.each(Text::Compiled(sql), values, &mut each).map_err(of)
    }

    /// Runs a statement and tells how many rows it touched.
    ///
    /// # Errors
    /// When the database refuses it.
    pub fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        self.engine.execute(Text::Compiled(sql), values).map_err(of)
    }

    /// Runs `work` in one transaction: all of its rows are there afterwards, or none.
    ///
    /// # Errors
    /// What `work` returns, or what kept it from being committed.
    pub fn transaction<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.engine.script("BEGIN;").map_err(of)?;
        match work(self) {
            Ok(done) => {
                self.engine.script("COMMIT;").map_err(of)?;
                Ok(done)
            }
            Err(error) => {
                // Why ignored: the first error is the one to tell; an open transaction ends with
                // the connection at the latest.
                let _ = self.engine.script("ROLLBACK;");
                Err(error)
            }
        }
    }
}

fn of(failure: Failure) -> StoreError {
    failure.error
}

/// Reads the address of a database as SQLAlchemy writes it: `sqlite:///relative.db`,
/// `sqlite:////absolute.db`, `postgresql+psycopg2://…`.
///
/// # Errors
/// [`OpenError::InvalidUrl`] for any other.
pub fn sqlalchemy_url(text: &str) -> Result<DatabaseUrl, OpenError> {
    let (scheme, rest) = text.split_once("://").unwrap_or((text, ""));
    let (kind, _driver) = scheme.split_once('+').unwrap_or((scheme, ""));
    match (kind, rest.strip_prefix('/')) {
        ("sqlite", Some(path)) if !path.is_empty() => Ok(DatabaseUrl::Sqlite(PathBuf::from(path))),
        ("postgres" | "postgresql", _) => format!("postgresql://{rest}").parse(),
        // Why the scheme alone: the rest may hold a password.
        _ => Err(OpenError::InvalidUrl { text: format!("{kind}:…") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_sqlalchemy() {
        let sqlite = |path: &str| DatabaseUrl::Sqlite(path.into());
        assert_eq!(sqlalchemy_url("sqlite:///mlflow.db").unwrap(), sqlite("mlflow.db"));
        assert_eq!(sqlalchemy_url("sqlite:////srv/m.db").unwrap(), sqlite("/srv/m.db"));
        for text in ["postgresql://u:p@h/m", "postgres://u:p@h/m", "postgresql+psycopg2://u:p@h/m"]
        {
            let url = DatabaseUrl::Postgres("postgresql://u:p@h/m".to_owned());
            assert_eq!(sqlalchemy_url(text).unwrap(), url, "{text}");
        }
        for text in ["mysql://root:pw@h/m", "sqlite://", "sqlite:///", "mlruns", ""] {
            let error = sqlalchemy_url(text).unwrap_err().to_string();
            assert!(!error.contains("pw@"), "{error}");
        }
    }

    #[test]
    fn rows_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(dir.path().join("x.db"));
        assert!(Foreign::open(&url, Access::Write).is_err(), "nothing is made");
        std::fs::File::create(dir.path().join("x.db")).unwrap();
        let mut db = Foreign::open(&url, Access::Write).unwrap();
        db.execute("CREATE TABLE t (a INTEGER, b TEXT)", &[]).unwrap();
        assert_eq!(db.columns("t").unwrap(), ["a", "b"]);
        assert!(db.columns("none").unwrap().is_empty());
        let lost: Result<(), StoreError> = db.transaction(|db| {
            db.execute("INSERT INTO t VALUES ($1, $2)", &[1.into(), "x".into()])?;
            Err(StoreError::Closed)
        });
        assert!(lost.is_err() && db.query("SELECT * FROM t", &[]).unwrap().is_empty());
        db.transaction(|db| db.execute("INSERT INTO t VALUES ($1, $2)", &[1.into(), "x".into()]))
            .unwrap();
        let mut again = Foreign::open(&url, Access::Read).unwrap();
        assert_eq!(again.query("SELECT b FROM t", &[]).unwrap()[0].text("b").unwrap(), "x");
        assert!(again.execute("DELETE FROM t", &[]).is_err(), "reading is all that was asked");
    }
}
