//! A transaction as noun functions see it.

use crate::engine::{Cells, Class, Engine, Failure, Text};
use crate::{Question, Row, Statement, StoreError, Value};

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
    /// How the transaction begins, until its first statement: one without any never does.
    beginning: Option<&'static str>,
    failure: Option<Failure>,
    /// Whether the command under way may have changed rows.
    wrote: bool,
    /// Answers to questions of the command under way, until it changes rows.
    foreseen: Vec<(Question, Vec<Row>)>,
}

impl Tx {
    pub(crate) fn new(engine: Box<dyn Engine>) -> Self {
        Self { engine, beginning: None, failure: None, wrote: false, foreseen: Vec::new() }
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
        let text = Text::Known(statement);
        self.guarded(text, values, |engine| engine.execute(text, values))
    }

    /// Runs a statement of which nobody needs the answer. It may be sent with a later one or with
    /// the commit, which saves the wait for it; its failure is told there, and undoes the
    /// transaction all the same.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn defer(&mut self, statement: &Statement, values: &[Value]) -> Result<(), StoreError> {
        let text = Text::Known(statement);
        self.guarded(text, values, |engine| engine.defer(text, values))
    }

    /// All rows of an answer that is small by construction, which may have been asked ahead.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn ask(&mut self, question: &Question) -> Result<Vec<Row>, StoreError> {
        if let Some((_, rows)) = self.foreseen.iter().find(|(known, _)| known == question) {
            return Ok(rows.clone());
        }
        let mut rows = Vec::new();
        let mut each = |row| {
            rows.push(row);
            Ok(())
        };
        let (text, values) = (question.text(), question.values());
        self.guarded(text, values, |engine| engine.each(text, values, &mut each))?;
        Ok(rows)
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
        let text = Text::Known(statement);
        self.guarded(text, values, |engine| engine.each(text, values, &mut each))
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
        let text = Text::Compiled(sql);
        self.guarded(text, values, |engine| engine.each(text, values, &mut each))?;
        Ok(rows)
    }

    /// [`Tx::defer`] of a text that was compiled at run time, such as an insert of many rows.
    ///
    /// Invariant: as [`Tx::query_compiled`].
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn defer_compiled(&mut self, sql: &str, values: &[Value]) -> Result<(), StoreError> {
        let text = Text::Compiled(sql);
        self.guarded(text, values, |engine| engine.defer(text, values))
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
        let text = Text::Compiled(sql);
        self.guarded(text, values, |engine| engine.visit(text, values, &mut each))
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
        let text = Text::Known(statement);
        self.guarded(text, values, |engine| engine.visit(text, values, &mut each))
    }

    /// Looks at the rows of the answers to several questions, each with the place of its question,
    /// for one wait instead of many.
    ///
    /// # Errors
    /// As [`Tx::visit_compiled`].
    pub fn visit_all(
        &mut self,
        questions: &[Question],
        mut each: impl FnMut(usize, &dyn Cells) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Some((first, others)) = questions.split_first() else { return Ok(()) };
        for value in others.iter().flat_map(Question::values) {
            value.check()?;
        }
        self.guarded(first.text(), first.values(), |engine| engine.visit_all(questions, &mut each))
    }

    /// Prepares a statement without running it: the test of all of them.
    #[doc(hidden)]
    pub fn prepare(&mut self, statement: &Statement) -> Result<(), StoreError> {
        self.guarded(Text::Known(statement), &[], |engine| engine.prepare(statement))
    }

    fn guarded<T>(
        &mut self,
        text: Text<'_>,
        values: &[Value],
        run: impl FnOnce(&mut dyn Engine) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        if let Some(earlier) = &self.failure {
            return Err(StoreError::Aborted { detail: earlier.error.to_string() });
        }
        for value in values {
            value.check()?;
        }
        if text.writes() {
            self.wrote = true;
            self.foreseen.clear();
        }
        let answer = match self.beginning.take().map(|sql| self.engine.begin(sql)) {
            None | Some(Ok(())) => run(self.engine.as_mut()),
            Some(Err(failure)) => Err(failure),
        };
        answer.map_err(|failure| {
            let error = failure.error.clone();
            if failure.class != Class::Caller {
                self.failure = Some(failure);
            }
            error
        })
    }

    pub(crate) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    pub(crate) fn begin(&mut self, mode: Mode) -> Result<(), Failure> {
        self.failure = None;
        self.foreseen.clear();
        self.engine.forget();
        self.engine.ready()?;
        self.beginning = Some(match (self.engine.dialect(), mode) {
            (Dialect::Sqlite, Mode::Write) => "BEGIN IMMEDIATE",
            (Dialect::Sqlite, Mode::Read) => "BEGIN",
            (Dialect::Postgres, Mode::Write) => "BEGIN",
            (Dialect::Postgres, Mode::Read) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        });
        Ok(())
    }

    /// Asks before any command runs; the answers are in the questions' order, or there are none.
    pub(crate) fn ask_ahead(&mut self, questions: &[&Question]) -> Result<Vec<Vec<Row>>, Failure> {
        let is_odd = |question: &&Question| question.values().iter().any(|v| v.check().is_err());
        if questions.is_empty() || self.engine.dialect() == Dialect::Sqlite {
            return Ok(Vec::new());
        }
        // Why: whoever asks oddly is told when it is their turn; the others just ask later.
        if questions.iter().any(is_odd) {
            return Ok(Vec::new());
        }
        if let Some(sql) = self.beginning.take() {
            self.engine.begin(sql)?;
        }
        self.engine.ask_all(questions)
    }

    /// A command begins that may share the transaction with others; `foreseen` are answers to what
    /// it will ask.
    pub(crate) fn next_command(&mut self, foreseen: Vec<(Question, Vec<Row>)>) {
        self.wrote = false;
        self.foreseen = foreseen;
    }

    /// Whether the command under way may have changed rows.
    pub(crate) fn wrote(&self) -> bool {
        self.wrote
    }

    /// Sends what was put off and ends the transaction.
    pub(crate) fn commit(&mut self) -> Result<(), Failure> {
        // Why: BEGIN still unsent means there is nothing to commit.
        if self.beginning.take().is_some() {
            return Ok(());
        }
        self.engine.script("COMMIT")
    }

    /// Ends the transaction without a trace; a transaction that is gone already is fine.
    pub(crate) fn rollback(&mut self) {
        self.failure = None;
        self.engine.forget();
        if self.beginning.take().is_some() || !self.engine.in_transaction() {
            return;
        }
        if let Err(failure) = self.engine.script("ROLLBACK") {
            tracing::debug!(error = %failure.error, "rollback found nothing to roll back");
        }
    }
}
