//! The four kinds of value that both engines keep alike, and rows of them.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use viaduct_base::{Day, Timestamp};

use crate::StoreError;

/// One value bound to a statement or read from a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// BIGINT.
    Int(i64),
    /// DOUBLE PRECISION; NaN is refused, because SQLite turns it into NULL.
    Real(f64),
    /// TEXT; a NUL character is refused, because PostgreSQL cannot keep it.
    Text(String),
    /// BYTEA.
    Bytes(Vec<u8>),
}

impl Value {
    /// The printed form of `thing` as TEXT: ids, names, digests, spans.
    pub fn text(thing: impl Display) -> Self {
        Self::Text(thing.to_string())
    }

    /// [`Value::text`] of what may be absent.
    pub fn opt_text<T: Display>(thing: Option<T>) -> Self {
        thing.map_or(Self::Null, Self::text)
    }

    /// Refuses what one of the engines would change silently or not take.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let detail = match self {
            Self::Real(v) if v.is_nan() => "NaN cannot be stored: leave the value out".to_owned(),
            Self::Text(t) if t.contains('\0') => {
                let start: String = t.chars().take(40).filter(|c| *c != '\0').collect();
                format!("the text `{start}` holds a NUL character: remove it")
            }
            _ => return Ok(()),
        };
        Err(StoreError::Unstorable { detail })
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Int(_) => "an integer",
            Self::Real(_) => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
        }
    }
}

impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Self::Int(v)
    }
}

impl From<i32> for Value {
    fn from(v: i32) -> Self {
        Self::Int(v.into())
    }
}

impl From<u32> for Value {
    fn from(v: u32) -> Self {
        Self::Int(v.into())
    }
}

impl From<bool> for Value {
    /// 0 or 1: neither engine's own boolean travels to the other.
    fn from(v: bool) -> Self {
        Self::Int(v.into())
    }
}

impl From<f64> for Value {
    /// Minus zero becomes zero, as SQLite would make it, so that hashes agree with what is stored.
    fn from(v: f64) -> Self {
        Self::Real(if v == 0.0 { 0.0 } else { v })
    }
}

impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Self::Text(v.to_owned())
    }
}

impl From<String> for Value {
    fn from(v: String) -> Self {
        Self::Text(v)
    }
}

impl From<&String> for Value {
    fn from(v: &String) -> Self {
        Self::Text(v.clone())
    }
}

impl From<Vec<u8>> for Value {
    fn from(v: Vec<u8>) -> Self {
        Self::Bytes(v)
    }
}

impl From<Timestamp> for Value {
    fn from(v: Timestamp) -> Self {
        Self::Int(v.as_micros())
    }
}

impl From<Day> for Value {
    fn from(v: Day) -> Self {
        Self::Int(v.number().into())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Self::Null, Into::into)
    }
}

impl From<&Option<String>> for Value {
    fn from(v: &Option<String>) -> Self {
        v.as_deref().map_or(Self::Null, Self::from)
    }
}

/// One row of an answer; columns are found by name.
#[derive(Debug, Clone)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl Row {
    pub(crate) fn new(columns: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// The value of `column`.
    ///
    /// # Errors
    /// [`StoreError::Column`] when the answer has no such column.
    pub fn get(&self, column: &str) -> Result<&Value, StoreError> {
        let at = self.columns.iter().position(|c| c == column);
        at.and_then(|i| self.values.get(i)).ok_or_else(|| StoreError::Column {
            column: column.to_owned(),
            detail: "the statement does not return it".to_owned(),
        })
    }

    /// Column names and values, in the statement's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.columns.iter().map(String::as_str).zip(&self.values)
    }

    fn wrong<T>(column: &str, wanted: &str, found: &Value) -> Result<T, StoreError> {
        Err(StoreError::Column {
            column: column.to_owned(),
            detail: format!("expected {wanted}, found {}", found.kind()),
        })
    }

    fn required<T>(column: &str, wanted: &str, value: Option<T>) -> Result<T, StoreError> {
        match value {
            Some(value) => Ok(value),
            None => Self::wrong(column, wanted, &Value::Null),
        }
    }

    /// TEXT that is not NULL.
    pub fn text(&self, column: &str) -> Result<String, StoreError> {
        Self::required(column, "text", self.opt_text(column)?)
    }

    /// TEXT or NULL.
    pub fn opt_text(&self, column: &str) -> Result<Option<String>, StoreError> {
        match self.get(column)? {
            Value::Null => Ok(None),
            Value::Text(v) => Ok(Some(v.clone())),
            other => Self::wrong(column, "text", other),
        }
    }

    /// BIGINT that is not NULL.
    pub fn int(&self, column: &str) -> Result<i64, StoreError> {
        Self::required(column, "an integer", self.opt_int(column)?)
    }

    /// BIGINT or NULL.
    pub fn opt_int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        match self.get(column)? {
            Value::Null => Ok(None),
            Value::Int(v) => Ok(Some(*v)),
            other => Self::wrong(column, "an integer", other),
        }
    }

    /// A BIGINT that is 0 or 1.
    pub fn flag(&self, column: &str) -> Result<bool, StoreError> {
        self.int(column).map(|v| v != 0)
    }

    /// DOUBLE PRECISION that is not NULL.
    pub fn real(&self, column: &str) -> Result<f64, StoreError> {
        Self::required(column, "a number", self.opt_real(column)?)
    }

    /// DOUBLE PRECISION or NULL. An integer is taken too: SQLite's expressions give either.
    pub fn opt_real(&self, column: &str) -> Result<Option<f64>, StoreError> {
        match self.get(column)? {
            Value::Null => Ok(None),
            Value::Real(v) => Ok(Some(*v)),
            Value::Int(v) => Ok(Some(*v as f64)),
            other => Self::wrong(column, "a number", other),
        }
    }

    /// BYTEA that is not NULL.
    pub fn bytes(&self, column: &str) -> Result<Vec<u8>, StoreError> {
        match self.get(column)? {
            Value::Bytes(v) => Ok(v.clone()),
            other => Self::wrong(column, "bytes", other),
        }
    }

    /// A moment, kept as microseconds.
    pub fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        self.int(column).map(Timestamp::from_micros)
    }

    /// A moment or NULL.
    pub fn opt_time(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        self.opt_int(column).map(|v| v.map(Timestamp::from_micros))
    }

    /// A day, kept as days since 1970-01-01.
    pub fn day(&self, column: &str) -> Result<Day, StoreError> {
        let number = self.int(column)?;
        i32::try_from(number).map(Day::from_number).map_err(|_| StoreError::Column {
            column: column.to_owned(),
            detail: format!("{number} is not a day"),
        })
    }

    /// TEXT that parses as `T`: ids, names, spans.
    pub fn parse<T: FromStr>(&self, column: &str) -> Result<T, StoreError>
    where
        T::Err: Display,
    {
        parse_text(column, &self.text(column)?)
    }

    /// [`Row::parse`] or NULL.
    pub fn opt_parse<T: FromStr>(&self, column: &str) -> Result<Option<T>, StoreError>
    where
        T::Err: Display,
    {
        self.opt_text(column)?.map(|text| parse_text(column, &text)).transpose()
    }
}

fn parse_text<T: FromStr>(column: &str, text: &str) -> Result<T, StoreError>
where
    T::Err: Display,
{
    text.parse().map_err(|e: T::Err| StoreError::Column {
        column: column.to_owned(),
        detail: e.to_string(),
    })
}
