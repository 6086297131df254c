//! A span that has ended.

use std::borrow::Cow;
use std::time::Instant;

use viaduct_base::Timestamp;

use crate::context::TraceContext;

/// What an attribute says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(Cow<'static, str>),
    /// A number.
    Int(i64),
    /// Several texts.
    Texts(Vec<String>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Value::Text(text.into())
    }
}

impl From<Vec<String>> for Value {
    fn from(texts: Vec<String>) -> Self {
        Value::Texts(texts)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text.into())
    }
}

pub(crate) type Attributes = Vec<(&'static str, Value)>;

/// Whose side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

/// When something began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    unix_ns: u64,
    at: Instant,
}

impl Begun {
    pub(crate) fn now() -> Self {
        let micros = u64::try_from(Timestamp::from_system().as_micros()).unwrap_or_default();
        Self { unix_ns: micros.saturating_mul(1_000), at: Instant::now() }
    }

    pub(crate) fn unix_ns(self) -> u64 {
        self.unix_ns
    }

    /// By the clock that never jumps.
    pub(crate) fn unix_ns_now(self) -> u64 {
        self.unix_ns.saturating_add(self.at.elapsed().as_nanos() as u64)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) context: TraceContext,
    pub(crate) parent: Option<u64>,
    /// Whether the parent is in another process.
    pub(crate) is_parent_remote: bool,
    pub(crate) state: Option<String>,
    pub(crate) side: Side,
    pub(crate) name: Cow<'static, str>,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) attributes: Attributes,
    /// `error.type`, where it failed.
    pub(crate) failed: Option<Cow<'static, str>>,
}
