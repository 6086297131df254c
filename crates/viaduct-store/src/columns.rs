//! From a row struct to bound values and back, by one list of fields.

use viaduct_base::*;

use crate::{Row, StoreError, Value};

/// A type that is kept in one column.
pub(crate) trait Column: Sized {
    fn put(&self) -> Value;
    fn take(row: &Row, column: &str) -> Result<Self, StoreError>;
}

macro_rules! by {
    ($($kind:ty: $read:ident;)+) => {$(
        impl Column for $kind {
            fn put(&self) -> Value {
                Value::from(self.clone())
            }
            fn take(row: &Row, column: &str) -> Result<Self, StoreError> {
                row.$read(column)
            }
        }
    )+};
}

by! {
    String: text;
    i64: int;
    f64: real;
    bool: flag;
    Timestamp: time;
    Day: day;
}

macro_rules! printed {
    ($($kind:ty),+ $(,)?) => {$(
        impl Column for $kind {
            fn put(&self) -> Value {
                Value::text(self)
            }
            fn take(row: &Row, column: &str) -> Result<Self, StoreError> {
                row.parse(column)
            }
        }
    )+};
}

printed!(
    WorkspaceId,
    UserId,
    TokenId,
    SessionId,
    ProjectId,
    KpiId,
    ContractId,
    EndpointId,
    ConsumerId,
    DecisionId,
    OutcomeId,
    TrialId,
    RolloutId,
    DrillId,
    AlertId,
    EstimateId,
    FactId,
    EvaluationId,
    ReviewId,
    SignatureId,
    WaiverId,
    AuditId,
    JobId,
    EventId,
    Span,
);

impl<T: Column> Column for Option<T> {
    fn put(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::put)
    }

    fn take(row: &Row, column: &str) -> Result<Self, StoreError> {
        match row.get(column)? {
            Value::Null => Ok(None),
            _ => T::take(row, column).map(Some),
        }
    }
}

/// Declares a row struct whose fields are columns of the same names.
///
/// `values` gives them in the order of declaration, which is the order of the placeholders in the
/// noun's INSERT; a test compares the two lists.
macro_rules! columns {
    (
        $(#[$doc:meta])*
        pub struct $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)+ }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $kind,)+
        }

        #[allow(dead_code, reason = "some rows are only written, some only read")]
        impl $name {
            pub(crate) const COLUMNS: &'static [&'static str] = &[$(stringify!($field),)+];

            pub(crate) fn values(&self) -> Vec<$crate::Value> {
                vec![$($crate::columns::Column::put(&self.$field),)+]
            }

            pub(crate) fn read(row: &$crate::Row) -> Result<Self, $crate::StoreError> {
                Ok(Self { $($field: $crate::columns::Column::take(row, stringify!($field))?,)+ })
            }
        }
    };
}

pub(crate) use columns;

/// The scope's workspace in front of a row's values.
pub(crate) fn scoped(scope: &crate::Scope, values: Vec<Value>) -> Vec<Value> {
    let mut all = Vec::with_capacity(values.len() + 1);
    all.push(scope.bind());
    all.extend(values);
    all
}

/// Reads each row of an answer.
pub(crate) fn read_all<T>(
    rows: Vec<Row>,
    read: fn(&Row) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    rows.iter().map(read).collect()
}

/// A compare-and-set that touched no row lost a race.
pub(crate) fn won(touched: u64, noun: &'static str, id: impl ToString) -> Result<(), StoreError> {
    if touched == 1 { Ok(()) } else { Err(StoreError::Conflict { noun, id: id.to_string() }) }
}
