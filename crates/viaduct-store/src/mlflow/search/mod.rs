//! Searches compiled to SQL: the one folder that knows how the two engines differ in it.
//!
//! Invariant: whatever came from outside is bound, never written into a text.

mod compile;
mod found;
mod runs;

pub use found::{experiments, logged_models, registered_models, versions};
pub use runs::runs;

use super::Lifecycle;

/// What a comparison or an order looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// The latest value of a metric.
    Metric(String),
    /// A param.
    Param(String),
    /// A tag.
    Tag(String),
    /// A column of text.
    Text(&'static str),
    /// A column of text that holds whole numbers, ordered as such.
    Digits(&'static str),
    /// A column of whole numbers.
    Number(&'static str),
    /// A column of moments, compared in milliseconds.
    Moment(&'static str),
    /// `name`, `digest` or `context` of a dataset that the run read.
    Dataset(&'static str),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `LIKE`: `%` is any text, `_` any character; upper and lower case differ.
    Like,
    /// `ILIKE`: the same, and case does not matter.
    Ilike,
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
}

/// What is asked of a field. Where the field is absent only [`Test::Absent`] holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It compares so with that.
    Is(Comparator, Operand),
    /// It is one of these.
    Among(Vec<String>),
    /// It is there and none of these.
    NotAmong(Vec<String>),
    /// It is not there.
    Absent,
    /// It is there.
    Present,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The field.
    pub field: Field,
    /// What is asked of it.
    pub test: Test,
}

/// A filter.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All of these hold; none at all is a filter that lets everything pass.
    All(Vec<Filter>),
    /// One of these holds.
    Any(Vec<Filter>),
    /// This holds.
    One(Comparison),
}

impl Default for Filter {
    fn default() -> Self {
        Filter::All(Vec::new())
    }
}

/// One step of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The field.
    pub field: Field,
    /// From the greatest down.
    pub descending: bool,
    /// For a metric of a logged model: measured on this dataset, by name and digest.
    pub dataset: Option<(String, Option<String>)>,
}

impl Order {
    /// A step without a dataset.
    pub fn by(field: Field, descending: bool) -> Self {
        Self { field, descending, dataset: None }
    }
}

/// A search. What a thing does not have, such as experiments of a registered model, is not looked
/// at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Search {
    /// In these experiments.
    pub experiment_ids: Vec<String>,
    /// In these stages of life.
    pub lifecycles: Vec<Lifecycle>,
    /// What has to hold.
    pub filter: Filter,
    /// Logged models with metrics on one of these datasets, by name and digest.
    pub datasets: Vec<(String, Option<String>)>,
    /// Prompts instead of models, for the registry.
    pub prompts: bool,
    /// First by these, then by the thing's own order.
    pub order: Vec<Order>,
    /// Things to give.
    pub limit: i64,
    /// Things to leave out before.
    pub offset: i64,
}
