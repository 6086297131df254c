//! PostgreSQL: a connection that mends itself.
//!
//! Statements that nobody waits for are sent together with the next one that somebody does.

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use futures::future::join_all;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use tokio_postgres::{Config, NoTls};

use super::line::{Flight, Line};
use super::{Cells, Class, Each, Engine, Failure, Text, Visit, VisitAll, odd_cell};
use crate::migrate::SchemaDoor;
use crate::{Dialect, Question, Row, Statement, StoreError, Value};

/// A server that does not take a connection in this time is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Unacknowledged bytes for this long mean a lost network.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(10);
/// Compiled texts whose prepared form is kept.
const COMPILED_KEPT: usize = 256;
/// Statements put off before they are sent all the same: what is put off is kept in memory.
const AHEAD_MAX: usize = 128;
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

pub(crate) struct Postgres {
    config: Config,
    door: Arc<SchemaDoor>,
    pause: Arc<Pause>,
    line: Option<Line>,
    /// Put off, in their order, until somebody waits for an answer.
    ahead: Vec<Flight>,
    prepared: HashMap<&'static str, tokio_postgres::Statement>,
    /// Texts that were compiled at run time; a few shapes of them come again and again.
    compiled: HashMap<String, tokio_postgres::Statement>,
}

/// When a server that was away may be tried again; shared, so that the first connection that
/// finds it back opens the way for all.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    state: Mutex<Option<(Instant, Duration)>>,
}

impl Pause {
    fn lock(&self) -> MutexGuard<'_, Option<(Instant, Duration)>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.lock().is_none_or(|(until, _)| Instant::now() >= until)
    }

    fn end(&self) {
        *self.lock() = None;
    }

    /// Doubles the pause, with a fifth of chance so that replicas do not march in step.
    fn grow(&self) {
        let mut state = self.lock();
        let next = state.map_or(BACKOFF_MIN, |(_, last)| (last * 2).min(BACKOFF_MAX));
        *state = Some((Instant::now() + next.mul_f64(rand::random_range(0.8..1.2)), next));
    }
}

/// Reads the address; nothing is connected yet.
pub(crate) fn new(
    url: &str,
    door: Arc<SchemaDoor>,
    pause: Arc<Pause>,
) -> Result<Postgres, tokio_postgres::Error> {
    let mut config: Config = url.parse()?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    config.tcp_user_timeout(SILENCE_TIMEOUT);
    if config.get_application_name().is_none() {
        config.application_name("viaduct");
    }
    Ok(Postgres {
        config,
        door,
        pause,
        line: None,
        ahead: Vec::new(),
        prepared: HashMap::new(),
        compiled: HashMap::new(),
    })
}

impl Postgres {
    /// Connects when there is no live connection; while the server is away, tries again only
    /// after a growing pause and answers `Away` at once in between.
    pub(crate) fn connect(&mut self) -> Result<(), Failure> {
        if self.line.as_ref().is_some_and(Line::is_open) {
            return Ok(());
        }
        self.drop_line();
        if !self.pause.is_over() {
            return Err(Failure::away("the last try to connect failed a moment ago"));
        }
        match Line::connect(&self.config, NoTls) {
            Ok(line) => {
                self.line = Some(line);
                self.pause.end();
                self.script(
                    "SET client_min_messages TO warning; \
                     SET idle_in_transaction_session_timeout TO '60s';",
                )
            }
            Err(why) => {
                self.pause.grow();
                Err(Failure::away(why))
            }
        }
    }

    fn drop_line(&mut self) {
        self.line = None;
        self.ahead.clear();
        self.prepared.clear();
        self.compiled.clear();
    }

    fn line(&mut self) -> Result<&mut Line, Failure> {
        self.line.as_mut().ok_or_else(not_connected)
    }

    /// The prepared form of a registered statement, made once a connection.
    fn known(&mut self, statement: &Statement) -> Result<tokio_postgres::Statement, Failure> {
        if let Some(known) = self.prepared.get(statement.sql()) {
            return Ok(known.clone());
        }
        let prepared = self.line()?.prepare(statement.sql());
        let prepared = prepared.map_err(|e| self.failed(&e, statement.name()))?;
        self.prepared.insert(statement.sql(), prepared.clone());
        Ok(prepared)
    }

    /// The prepared form of a compiled text, kept while there is room.
    fn shape(&mut self, sql: &str, name: &str) -> Result<tokio_postgres::Statement, Failure> {
        if let Some(known) = self.compiled.get(sql) {
            return Ok(known.clone());
        }
        let prepared = self.line()?.prepare(sql);
        let prepared = prepared.map_err(|e| self.failed(&e, name))?;
        if self.compiled.len() >= COMPILED_KEPT {
            self.compiled.clear();
        }
        self.compiled.insert(sql.to_owned(), prepared.clone());
        Ok(prepared)
    }

    fn prepared(
        &mut self,
        text: Text<'_>,
        values: usize,
    ) -> Result<tokio_postgres::Statement, Failure> {
        let prepared = match text {
            Text::Known(statement) => self.known(statement)?,
            Text::Compiled(sql) => self.shape(sql, text.name())?,
        };
        if prepared.params().len() == values {
            return Ok(prepared);
        }
        // Why: the driver panics on a wrong number of values.
        let detail = format!("takes {} values, got {values}", prepared.params().len());
        let error = StoreError::Engine { doing: text.name().to_owned(), detail };
        Err(Failure { error, class: Class::Statement })
    }

    /// Sends what was put off and `last` together, and waits for all of it.
    fn together<T>(
        &mut self,
        name: &str,
        last: impl Future<Output = Result<T, Stopped>>,
    ) -> Result<T, Failure> {
        let ahead = std::mem::take(&mut self.ahead);
        let (earlier, last) = self.line()?.together(ahead, last);
        if let Some((name, error)) = earlier {
            let failure = self.failed(&error, name);
            return Err(match failure.class {
                Class::Statement => {
                    Failure { error: not_ours(failure.error), class: Class::Earlier }
                }
                _ => failure,
            });
        }
        last.map_err(|stopped| match stopped {
            Stopped::Engine(error) => self.failed(&error, name),
            Stopped::Caller(error) => Failure::caller(error),
        })
    }

    /// Puts off what nobody waits for.
    fn put_off(&mut self, flight: Flight) -> Result<(), Failure> {
        self.ahead.push(flight);
        if self.ahead.len() < AHEAD_MAX {
            return Ok(());
        }
        self.together("statements put off", async { Ok(()) })
    }

    /// Rows as they come, each to `take`.
    fn rows(
        &mut self,
        text: Text<'_>,
        prepared: &tokio_postgres::Statement,
        values: &[Value],
        take: impl FnMut(&tokio_postgres::Row) -> Result<(), StoreError>,
    ) -> Result<(), Failure> {
        let client = self.line()?.client();
        self.together(text.name(), visit_rows(&client, prepared, values, take))
    }

    fn failed(&mut self, error: &tokio_postgres::Error, doing: &str) -> Failure {
        let lost = !self.line.as_ref().is_some_and(Line::is_open);
        let failure = failure(error, doing, lost);
        if failure.class == Class::Lost {
            self.drop_line();
        }
        failure
    }
}

/// Why an answer was not read to its end.
enum Stopped {
    Engine(tokio_postgres::Error),
    Caller(StoreError),
}

impl From<tokio_postgres::Error> for Stopped {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Engine(error)
    }
}

fn not_connected() -> Failure {
    Failure::away("not connected")
}

/// The error of another statement. Why not as it is: who inserts a second row may look for
/// `Unique`, and must not find the one of another table.
fn not_ours(error: StoreError) -> StoreError {
    match error {
        StoreError::Full { .. } => error,
        other => StoreError::Aborted { detail: other.to_string() },
    }
}

impl Engine for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn ready(&mut self) -> Result<(), Failure> {
        self.connect()?;
        let door = Arc::clone(&self.door);
        door.pass(self)
    }

    fn script(&mut self, sql: &str) -> Result<(), Failure> {
        let client = self.line()?.client();
        self.together(sql, async move { Ok(client.batch_execute(sql).await?) })
    }

    fn begin(&mut self, sql: &'static str) -> Result<(), Failure> {
        let client = self.line()?.client();
        let work = Box::pin(async move { client.batch_execute(sql).await });
        self.put_off(Flight { name: sql, work })
    }

    fn execute(&mut self, text: Text<'_>, values: &[Value]) -> Result<u64, Failure> {
        let prepared = self.prepared(text, values.len())?;
        let client = self.line()?.client();
        self.together(text.name(), async move { Ok(client.execute_raw(&prepared, values).await?) })
    }

    fn defer(&mut self, text: Text<'_>, values: &[Value]) -> Result<(), Failure> {
        let prepared = self.prepared(text, values.len())?;
        let (client, values) = (self.line()?.client(), values.to_vec());
        let work = Box::pin(async move { client.execute_raw(&prepared, values).await.map(|_| ()) });
        self.put_off(Flight { name: text.name(), work })
    }

    fn ask_all(&mut self, questions: &[&Question]) -> Result<Vec<Vec<Row>>, Failure> {
        let mut asked = Vec::with_capacity(questions.len());
        for question in questions {
            let prepared = self.prepared(question.text(), question.values().len())?;
            asked.push((prepared, question.values()));
        }
        let client = self.line()?.client();
        self.together("questions asked ahead", async move {
            let answers =
                asked.iter().map(|(prepared, values)| all_rows(&client, prepared, values));
            join_all(answers).await.into_iter().collect()
        })
    }

    fn forget(&mut self) {
        self.ahead.clear();
    }

    fn each(&mut self, text: Text<'_>, values: &[Value], each: Each<'_>) -> Result<(), Failure> {
        let prepared = self.prepared(text, values.len())?;
        let columns = columns(&prepared);
        self.rows(text, &prepared, values, |row| read_row(row, &columns).and_then(&mut *each))
    }

    fn visit(&mut self, text: Text<'_>, values: &[Value], visit: Visit<'_>) -> Result<(), Failure> {
        let prepared = self.prepared(text, values.len())?;
        self.rows(text, &prepared, values, |row| visit(&Place(row)))
    }

    fn visit_all(&mut self, questions: &[Question], visit: VisitAll<'_>) -> Result<(), Failure> {
        let mut asked = Vec::with_capacity(questions.len());
        for question in questions {
            let values = question.values();
            asked.push((self.prepared(question.text(), values.len())?, values));
        }
        let client = self.line()?.client();
        let visit = &RefCell::new(visit);
        let read = asked.iter().enumerate();
        let read = read.map(|(place, (prepared, values))| {
            let take = move |row: &_| (*visit.borrow_mut())(place, &Place(row));
            visit_rows(&client, prepared, values, take)
        });
        // Why all are read at the same time, though they come one after another: the driver goes
        // on to an answer when somebody has taken the one in front of it.
        self.together("several questions", async {
            join_all(read).await.into_iter().collect::<Result<(), Stopped>>()
        })
    }

    fn prepare(&mut self, statement: &Statement) -> Result<(), Failure> {
        self.known(statement).map(|_| ())
    }

    fn in_transaction(&self) -> bool {
        self.line.is_some()
    }
}

fn columns(prepared: &tokio_postgres::Statement) -> Arc<[String]> {
    prepared.columns().iter().map(|c| c.name().to_owned()).collect()
}

/// Rows as they come, each to `take`.
async fn visit_rows(
    client: &tokio_postgres::Client,
    prepared: &tokio_postgres::Statement,
    values: &[Value],
    mut take: impl FnMut(&tokio_postgres::Row) -> Result<(), StoreError>,
) -> Result<(), Stopped> {
    let rows = client.query_raw(prepared, values).await?;
    let mut rows = std::pin::pin!(rows);
    while let Some(row) = rows.try_next().await? {
        take(&row).map_err(Stopped::Caller)?;
    }
    Ok(())
}

async fn all_rows(
    client: &tokio_postgres::Client,
    prepared: &tokio_postgres::Statement,
    values: &[Value],
) -> Result<Vec<Row>, Stopped> {
    let columns = columns(prepared);
    let mut read = Vec::new();
    let take = |row: &tokio_postgres::Row| {
        read.push(read_row(row, &columns)?);
        Ok(())
    };
    visit_rows(client, prepared, values, take).await?;
    Ok(read)
}

struct Place<'a>(&'a tokio_postgres::Row);

impl Cells for Place<'_> {
    fn text(&self, at: usize) -> Result<Option<&str>, StoreError> {
        self.0.try_get(at).map_err(|e| odd_cell(at, e.to_string()))
    }

    fn int(&self, at: usize) -> Result<Option<i64>, StoreError> {
        self.0.try_get(at).map_err(|e| odd_cell(at, e.to_string()))
    }

    fn real(&self, at: usize) -> Result<Option<f64>, StoreError> {
        self.0.try_get(at).map_err(|e| odd_cell(at, e.to_string()))
    }

    fn bytes(&self, at: usize) -> Result<Option<&[u8]>, StoreError> {
        self.0.try_get(at).map_err(|e| odd_cell(at, e.to_string()))
    }
}

fn read_row(row: &tokio_postgres::Row, columns: &Arc<[String]>) -> Result<Row, StoreError> {
    let mut read = Vec::with_capacity(columns.len());
    for (i, column) in row.columns().iter().enumerate() {
        let value = read_value(row, i, column.type_())
            .map_err(|detail| StoreError::Column { column: column.name().to_owned(), detail })?;
        read.push(value);
    }
    Ok(Row::new(Arc::clone(columns), read))
}

fn read_value(row: &tokio_postgres::Row, i: usize, kind: &Type) -> Result<Value, String> {
    let value = match *kind {
        Type::INT8 => row.try_get::<_, Option<i64>>(i).map(Value::from),
        Type::INT4 => row.try_get::<_, Option<i32>>(i).map(Value::from),
        Type::BOOL => row.try_get::<_, Option<bool>>(i).map(Value::from),
        Type::FLOAT8 => row.try_get::<_, Option<f64>>(i).map(Value::from),
        Type::TEXT | Type::VARCHAR | Type::NAME | Type::BPCHAR | Type::UNKNOWN => {
            row.try_get::<_, Option<String>>(i).map(Value::from)
        }
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(i).map(Value::from),
        ref other => return Err(format!("PostgreSQL's `{other}`: cast it in the statement")),
    };
    value.map_err(|e| e.to_string())
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match (self, kind) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Int(v), &Type::INT8) => v.to_sql(kind, out),
            (Value::Int(v), &Type::INT4) => i32::try_from(*v)?.to_sql(kind, out),
            (Value::Int(v), &Type::FLOAT8) => (*v as f64).to_sql(kind, out),
            (Value::Real(v), &Type::FLOAT8) => v.to_sql(kind, out),
            (Value::Text(v), &Type::TEXT | &Type::VARCHAR | &Type::NAME | &Type::UNKNOWN) => {
                v.to_sql(kind, out)
            }
            (Value::Bytes(v), &Type::BYTEA) => v.to_sql(kind, out),
            (value, kind) => Err(format!("{value:?} does not fit `{kind}`").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// `lost`: the connection is closed after the failure.
fn failure(error: &tokio_postgres::Error, doing: &str, lost: bool) -> Failure {
    let detail = chain(error);
    let Some(answer) = error.as_db_error() else {
        let io = error.source().is_some_and(|s| s.is::<std::io::Error>());
        if lost || io || error.is_closed() {
            return Failure::away(detail);
        }
        let error = StoreError::Engine { doing: doing.to_owned(), detail };
        return Failure { error, class: Class::Statement };
    };
    let code = answer.code();
    if *code == SqlState::UNIQUE_VIOLATION {
        let error = StoreError::Unique {
            table: answer.table().unwrap_or_default().to_owned(),
            columns: violated(answer.detail().unwrap_or_default()),
        };
        return Failure { error, class: Class::Statement };
    }
    if *code == SqlState::DISK_FULL {
        return Failure { error: StoreError::Full { detail }, class: Class::Statement };
    }
    // 08: connection; 57P: shutting down or starting; 53300: no connection slot left.
    if lost || code.code().starts_with("08") || code.code().starts_with("57P") {
        return Failure::away(detail);
    }
    let again = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
    ];
    let class = if again.contains(code) { Class::Retry } else { Class::Statement };
    Failure { error: StoreError::Engine { doing: doing.to_owned(), detail }, class }
}

/// Columns out of `Key (workspace_id, name)=(…) already exists.`, in whatever language.
fn violated(detail: &str) -> String {
    let start = detail.find('(').map_or(0, |i| i + 1);
    let end = detail.find(")=(").unwrap_or(detail.len());
    detail.get(start..end).unwrap_or_default().to_owned()
}

/// The error with its causes on one line; the driver's own text leaves them out.
pub(crate) fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
