//! What the two engines have in common. Everything that differs is in the two files beside.

mod line;
pub(crate) mod postgres;
pub(crate) mod sqlite;

use crate::{Dialect, Question, Row, Statement, StoreError, Value};

/// A statement's text: registered, or compiled at run time.
#[derive(Clone, Copy)]
pub(crate) enum Text<'a> {
    Known(&'a Statement),
    Compiled(&'a str),
}

impl Text<'_> {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Known(statement) => statement.name(),
            Self::Compiled(_) => "a compiled statement",
        }
    }

    pub(crate) fn sql(&self) -> &str {
        match self {
            Self::Known(statement) => statement.sql(),
            Self::Compiled(sql) => sql,
        }
    }

    /// Whether it may change rows; what is not plainly a question may.
    pub(crate) fn writes(&self) -> bool {
        !self.sql().starts_with("SELECT")
    }
}

/// What a failure means for the transaction and its neighbours in the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// The receiver of rows declined one; the transaction is whole.
    Caller,
    /// This statement failed, and with it the transaction.
    Statement,
    /// A statement failed that was sent without waiting for its answer: one of this command, or
    /// of one before it in the same transaction.
    Earlier,
    /// Another transaction was in the way; the same work may succeed on another try.
    Retry,
    /// The engine rolled the whole transaction back by itself.
    Gone,
    /// The connection is lost.
    Lost,
}

/// A failed statement and what it means.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) error: StoreError,
    pub(crate) class: Class,
}

impl Failure {
    pub(crate) fn caller(error: StoreError) -> Self {
        Self { error, class: Class::Caller }
    }

    pub(crate) fn away(detail: impl Into<String>) -> Self {
        Self { error: StoreError::Away { detail: detail.into() }, class: Class::Lost }
    }
}

/// Takes the rows of an answer, one at a time.
pub(crate) type Each<'a> = &'a mut dyn FnMut(Row) -> Result<(), StoreError>;

/// One row where it lies, read by position: nothing is copied that is not asked for.
pub trait Cells {
    /// TEXT or NULL.
    ///
    /// # Errors
    /// [`StoreError::Column`] when something else stands there.
    fn text(&self, at: usize) -> Result<Option<&str>, StoreError>;

    /// BIGINT or NULL.
    ///
    /// # Errors
    /// As [`Cells::text`].
    fn int(&self, at: usize) -> Result<Option<i64>, StoreError>;

    /// DOUBLE PRECISION or NULL.
    ///
    /// # Errors
    /// As [`Cells::text`].
    fn real(&self, at: usize) -> Result<Option<f64>, StoreError>;

    /// BYTEA or NULL.
    ///
    /// # Errors
    /// As [`Cells::text`].
    fn bytes(&self, at: usize) -> Result<Option<&[u8]>, StoreError>;
}

/// Looks at the rows of an answer, one at a time.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&dyn Cells) -> Result<(), StoreError>;

pub(crate) fn odd_cell(at: usize, detail: impl Into<String>) -> StoreError {
    StoreError::Column { column: format!("number {at}"), detail: detail.into() }
}

/// [`Visit`] of the answers to several questions, each row with the place of its question.
pub(crate) type VisitAll<'a> = &'a mut dyn FnMut(usize, &dyn Cells) -> Result<(), StoreError>;

/// One connection. Two implementations live.
pub(crate) trait Engine: Send {
    fn dialect(&self) -> Dialect;

    /// Makes sure that there is a connection with the right schema; called before each BEGIN.
    fn ready(&mut self) -> Result<(), Failure>;

    /// Runs statements that take no values and give no rows.
    fn script(&mut self, sql: &str) -> Result<(), Failure>;

    /// Begins a transaction; may be sent with its first statement.
    fn begin(&mut self, sql: &'static str) -> Result<(), Failure> {
        self.script(sql)
    }

    fn execute(&mut self, text: Text<'_>, values: &[Value]) -> Result<u64, Failure>;

    /// Runs a statement of which nobody needs the answer: may be sent with a later one, which then
    /// tells the failure as [`Class::Earlier`].
    fn defer(&mut self, text: Text<'_>, values: &[Value]) -> Result<(), Failure>;

    /// Asks all at once. Only where that saves something: elsewhere there are no answers.
    fn ask_all(&mut self, _: &[&Question]) -> Result<Vec<Vec<Row>>, Failure> {
        Ok(Vec::new())
    }

    /// Forgets what was not sent yet.
    fn forget(&mut self) {}

    fn each(&mut self, text: Text<'_>, values: &[Value], each: Each<'_>) -> Result<(), Failure>;

    fn visit(&mut self, text: Text<'_>, values: &[Value], visit: Visit<'_>) -> Result<(), Failure>;

    /// Asks all at once where that saves something; the rows come question by question.
    fn visit_all(&mut self, questions: &[Question], visit: VisitAll<'_>) -> Result<(), Failure> {
        for (place, question) in questions.iter().enumerate() {
            self.visit(question.text(), question.values(), &mut |cells| visit(place, cells))?;
        }
        Ok(())
    }

    fn prepare(&mut self, statement: &Statement) -> Result<(), Failure>;

    /// Whether a ROLLBACK makes sense.
    fn in_transaction(&self) -> bool;
}
