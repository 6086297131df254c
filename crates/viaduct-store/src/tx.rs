//! A transaction as noun functions see it.

use crate::engine::{Cells, Class, Engine, Failure, Text};
use crate::{Row, Statement, StoreError, Value};

/// Which engine answers. Only the file that compiles MLflow's search filters needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// Whether a transaction may change rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Read,
}

/// An open transaction. Made by [`Store::write`](crate::Store::write) and
/// [`Store::read`](crate::Store::read) only; it begins and ends outside the use case.
///
/// Invariant: after a failed statement every later one fails too, on both engines (PostgreSQL
/// would refuse them anyway), and the work is rolled back even if it answers `Ok`. Who wants to
/// go on writes `ON CONFLICT DO NOTHING`.
pub struct Tx {
    engine: Box<dyn Engine>,
    /// Transaction control not sent yet: sent with the next statement, which saves round trips.
    pending: String,
    failure: Option<Failure>,
}

impl Tx {
    pub(crate) fn new(engine: Box<dyn Engine>) -> Self {
        Self { engine, pending: String::new(), failure: None }
    }

    /// Which engine answers.
    pub fn dialect(&self) -> Dialect {
        self.engine.dialect()
    }

    /// Runs a statement and tells how many rows it touched.
    ///
    /// # Errors
    /// Every [`StoreError`] of a statement; the transaction is rolled back then.
    pub fn execute(&mut self, statement: &Statement, values: &[Value]) -> Result<u64, StoreError> {
        self.guarded(values, |engine| engine.execute(Text::Known(statement), values))
    }

    /// All rows of an answer that is small by construction.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn query(
        &mut self,
        statement: &Statement,
        values: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        self.query_each(statement, values, |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn query_one(
        &mut self,
        statement: &Statement,
        values: &[Value],
    ) -> Result<Option<Row>, StoreError> {
        self.query(statement, values).map(|rows| rows.into_iter().next())
    }

    /// Hands over one row at a time; memory stays constant however long the answer is.
    ///
    /// # Errors
    /// As [`Tx::execute`], and the first error that `each` returns.
    pub fn query_each(
        &mut self,
        statement: &Statement,
        values: &[Value],
        mut each: impl FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.guarded(values, |engine| engine.each(Text::Known(statement), values, &mut each))
    }

    /// Rows of a text that was compiled at run time, such as MLflow's search filters.
    ///
    /// Invariant: `sql` holds placeholders for everything that came from outside.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn query_compiled(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        let mut each = |row| {
            rows.push(row);
            Ok(())
        };
        self.guarded(values, |engine| engine.each(Text::Compiled(sql), values, &mut each))?;
        Ok(rows)
    }

    /// Runs a text that was compiled at run time, such as an insert of many rows.
    ///
    /// Invariant: as [`Tx::query_compiled`].
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn execute_compiled(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        self.guarded(values, |engine| engine.execute(Text::Compiled(sql), values))
    }

    /// Looks at the rows of a compiled text where they lie: for answers of many thousands.
    ///
    /// Invariant: as [`Tx::query_compiled`].
    ///
    /// # Errors
    /// As [`Tx::execute`], and the first error that `each` returns.
    pub fn visit_compiled(
        &mut self,
        sql: &str,
        values: &[Value],
        mut each: impl FnMut(&dyn Cells) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.guarded(values, |engine| engine.visit(Text::Compiled(sql), values, &mut each))
    }

    /// [`Tx::visit_compiled`] of a registered statement.
    ///
    /// # Errors
    /// As [`Tx::visit_compiled`].
    pub fn visit(
        &mut self,
        statement: &Statement,
        values: &[Value],
        mut each: impl FnMut(&dyn Cells) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.guarded(values, |engine| engine.visit(Text::Known(statement), values, &mut each))
    }

    /// Prepares a statement without running it: the test of all of them.
    #[doc(hidden)]
    pub fn prepare(&mut self, statement: &Statement) -> Result<(), StoreError> {
        self.guarded(&[], |engine| engine.prepare(statement))
    }

    fn guarded<T>(
        &mut self,
        values: &[Value],
        run: impl FnOnce(&mut dyn Engine) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        if let Some(earlier) = &self.failure {
            return Err(StoreError::Aborted { detail: earlier.error.to_string() });
        }
        for value in values {
            value.check()?;
        }
        let answer = match self.flush() {
            Ok(()) => run(self.engine.as_mut()),
            Err(failure) => Err(failure),
        };
        answer.map_err(|failure| {
            let error = failure.error.clone();
            if failure.class != Class::Caller {
                self.failure = Some(failure);
            }
            error
        })
    }

    fn flush(&mut self) -> Result<(), Failure> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let script = std::mem::take(&mut self.pending);
        self.engine.script(&script)
    }

    pub(crate) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    pub(crate) fn begin(&mut self, mode: Mode) -> Result<(), Failure> {
        self.failure = None;
        self.pending.clear();
        self.engine.ready()?;
        self.pending.push_str(match (self.engine.dialect(), mode) {
            (Dialect::Sqlite, Mode::Write) => "BEGIN IMMEDIATE;",
            (Dialect::Sqlite, Mode::Read) => "BEGIN;",
            (Dialect::Postgres, Mode::Write) => "BEGIN;",
            (Dialect::Postgres, Mode::Read) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;",
        });
        Ok(())
    }

    pub(crate) fn savepoint(&mut self) {
        self.pending.push_str("SAVEPOINT work;");
    }

    pub(crate) fn release(&mut self) {
        self.pending.push_str("RELEASE work;");
    }

    pub(crate) fn rollback_to_savepoint(&mut self) -> Result<(), Failure> {
        self.pending.push_str("ROLLBACK TO work;RELEASE work;");
        self.flush()
    }

    pub(crate) fn commit(&mut self) -> Result<(), Failure> {
        self.pending.push_str("COMMIT;");
        self.flush()
    }

    /// Ends the transaction without a trace; a transaction that is gone already is fine.
    pub(crate) fn rollback(&mut self) {
        self.failure = None;
        // Why: BEGIN still unsent means there is nothing to roll back.
        if self.pending.starts_with("BEGIN") {
            self.pending.clear();
            return;
        }
        self.pending.clear();
        if self.engine.in_transaction()
            && let Err(failure) = self.engine.script("ROLLBACK;")
        {
            tracing::debug!(error = %failure.error, "rollback found nothing to roll back");
        }
    }
}
