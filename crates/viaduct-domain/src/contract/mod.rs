//! A data contract: an Open Data Contract Standard document bound to an endpoint's input.
//!
//! The document is kept whole and is what a contract serialises as; [`Contract`] adds a table of
//! fields made once, so that a row is checked without looking at the document again. Invariant: a
//! contract that exists has at least one field, and its field names are unique. It does not know
//! models; it compares names that it is given.

mod columns;
mod odcs;
mod reader;
mod row;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use viaduct_base::{Digest, FieldError, Kind, Refusal};

use crate::columns::Columns;
use crate::output::{Cell, TypedRow};

pub use columns::CheckedColumns;

/// A checked ODCS v3.0 or v3.1 document with its field table.
#[derive(Debug, Clone)]
pub struct Contract {
    document: Arc<Value>,
    hash: Digest,
    id: String,
    version: String,
    object: String,
    purposes: Vec<String>,
    fields: Arc<[Field]>,
    index: Arc<BTreeMap<Arc<str>, usize>>,
}

/// One column of the contract.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The column's name; a row's key.
    pub name: Arc<str>,
    /// The logical type.
    pub logical_type: LogicalType,
    /// The physical type as written.
    pub physical_type: Option<String>,
    /// Whether a request must carry it. A field of after the decision is never demanded of one.
    pub required: bool,
    /// Whether it may be null.
    pub nullable: bool,
    /// The data class: `public`, `confidential`, …
    pub classification: Option<String>,
    /// When it is known; `None` when the contract does not say.
    pub available: Option<Availability>,
    /// The declared values; empty when any value goes.
    pub values: Vec<Value>,
    /// The declared smallest value.
    pub min: Option<f64>,
    /// The declared largest value.
    pub max: Option<f64>,
    /// What happens when a request breaks this field. `None`: a value that is missing, null or of
    /// a wrong type is refused, one outside range or list is accepted and counted.
    pub on_violation: Option<OnViolation>,
    /// What stands in for a value that broke the field.
    pub default: Option<Cell>,
    precision: Precision,
    has_format: bool,
    texts: BTreeSet<String>,
}

/// What happens when a request breaks a field: `viaduct.on_violation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnViolation {
    /// The request is refused, also for a value outside range or list.
    Refuse,
    /// `viaduct.default` stands in, and it is counted.
    Default,
    /// The value is accepted (as null where its type does not fit), and it is counted.
    Count,
}

/// ODCS logical types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogicalType {
    /// Text.
    String,
    /// A number with a fraction.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A calendar day.
    Date,
    /// A moment.
    Timestamp,
    /// A time of day.
    Time,
    /// A nested object.
    Object,
    /// A list.
    Array,
}

impl LogicalType {
    /// The word in documents.
    pub const fn word(self) -> &'static str {
        match self {
            LogicalType::String => "string",
            LogicalType::Number => "number",
            LogicalType::Integer => "integer",
            LogicalType::Boolean => "boolean",
            LogicalType::Date => "date",
            LogicalType::Timestamp => "timestamp",
            LogicalType::Time => "time",
            LogicalType::Object => "object",
            LogicalType::Array => "array",
        }
    }
}

/// When a field's value is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// Before the decision is taken: a model may use it.
    AtDecision,
    /// Only afterwards: a model that uses it has seen the future.
    AfterDecision,
}

/// The width of a number's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Precision {
    Float32,
    Float64,
    Int(i64, i64),
}

/// How many of a list are covered, and which are not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Covered ones.
    pub covered: usize,
    /// All.
    pub total: usize,
    /// Names of those that are not covered, in order.
    pub missing: Vec<String>,
}

impl Coverage {
    fn of<'a>(all: impl Iterator<Item = (&'a str, bool)>) -> Self {
        let (mut total, mut missing) = (0, Vec::new());
        for (name, is_covered) in all {
            total += 1;
            if !is_covered {
                missing.push(name.to_owned());
            }
        }
        Self { covered: total - missing.len(), total, missing }
    }

    /// Covered over all; `None` when there is nothing to cover.
    pub fn share(&self) -> Option<f64> {
        (self.total > 0).then(|| self.covered as f64 / self.total as f64)
    }
}

impl Contract {
    /// Reads an ODCS document.
    ///
    /// # Errors
    /// Every bad place, with its JSON pointer in the document.
    pub fn from_value(document: Value) -> Result<Self, Vec<FieldError>> {
        let parts = odcs::read(&document)?;
        let index =
            parts.fields.iter().enumerate().map(|(n, f)| (Arc::clone(&f.name), n)).collect();
        Ok(Self {
            hash: Digest::of(document.to_string().as_bytes()),
            document: Arc::new(document),
            id: parts.id,
            version: parts.version,
            object: parts.object,
            purposes: parts.purposes,
            fields: parts.fields.into(),
            index: Arc::new(index),
        })
    }

    /// Checks a request's row and types it.
    ///
    /// # Errors
    /// Every field that is missing, null or of a wrong type, by pointer. Values are never quoted.
    pub fn check_row(&self, row: &Map<String, Value>) -> Result<TypedRow, Vec<FieldError>> {
        row::check(&self.fields, &self.index, row)
    }

    /// Checks the columns of a request and types them; as [`Contract::check_row`] for each row.
    ///
    /// # Errors
    /// Every bad place with the number of its row.
    pub fn check_columns(&self, sent: Columns) -> Result<CheckedColumns, Vec<(usize, FieldError)>> {
        columns::check(&self.fields, &self.index, sent)
    }

    /// Checked rows as columns, each of its field's type also where no row has a value.
    pub fn columns_of(&self, rows: &[TypedRow]) -> Columns {
        columns::of_rows(&self.fields, rows)
    }

    /// [`Contract::check_row`] as a refusal, for callers that stop at the first bad row.
    pub fn refuse_row(errors: Vec<FieldError>) -> Refusal {
        let count = errors.len();
        let first = errors.first().map_or("", |error| error.detail.as_str());
        let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
        Refusal::new(Kind::ContractViolation, format!("{first}{more}")).with_errors(errors)
    }

    /// The whole document, as it was given.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The hash of the document's canonical JSON.
    pub fn hash(&self) -> &Digest {
        &self.hash
    }

    /// The document's `id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The document's `version`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The name of the schema object that requests follow.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// The fields in the document's order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field with this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.index.get(name).map(|n| &self.fields[*n])
    }

    /// Field names in order.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| &*field.name)
    }

    /// The purposes that the data's owner approved.
    pub fn purposes(&self) -> &[String] {
        &self.purposes
    }

    /// Whether the data may be used for `purpose`.
    pub fn purpose_approved(&self, purpose: &str) -> bool {
        self.purposes.iter().any(|approved| approved == purpose)
    }

    /// Which of a model's inputs the contract describes.
    pub fn signature_coverage(&self, inputs: &[String]) -> Coverage {
        Coverage::of(inputs.iter().map(|name| (name.as_str(), self.field(name).is_some())))
    }

    /// Which fields carry a classification.
    pub fn classified(&self) -> Coverage {
        Coverage::of(self.fields.iter().map(|f| (&*f.name, f.classification.is_some())))
    }

    /// Which of a model's inputs say when they are known; one that the contract does not describe
    /// does not say it.
    pub fn availability_coverage(&self, inputs: &[String]) -> Coverage {
        let says = |name: &String| self.field(name).is_some_and(|field| field.available.is_some());
        Coverage::of(inputs.iter().map(|name| (name.as_str(), says(name))))
    }

    /// Those of a model's inputs that are known only after the decision.
    pub fn known_after_decision(&self, inputs: &[String]) -> Vec<String> {
        let late = |name: &&String| {
            self.field(name).is_some_and(|f| f.available == Some(Availability::AfterDecision))
        };
        inputs.iter().filter(late).cloned().collect()
    }
}

impl PartialEq for Contract {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

impl Serialize for Contract {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.document.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Contract {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Contract::from_value(Value::deserialize(d)?).map_err(|errors| {
            let said: Vec<_> =
                errors.iter().map(|e| format!("{}: {}", e.pointer, e.detail)).collect();
            serde::de::Error::custom(said.join("; "))
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
