//! A search of runs compiled to SQL: the one file that knows how the two engines differ in it.

use super::Lifecycle;
use super::run::{self, RunRow};
use crate::{Dialect, Scope, StoreError, Tx, Value};

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
    /// A column of numbers; one that ends in `_at` is compared in milliseconds.
    Number(&'static str),
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

/// One comparison. A run without the field meets none, `!=` included.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The field.
    pub field: Field,
    /// The comparator.
    pub comparator: Comparator,
    /// The operand.
    pub operand: Operand,
}

/// One step of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The field.
    pub field: Field,
    /// From the greatest down.
    pub descending: bool,
}

/// A search of runs.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSearch {
    /// In these experiments.
    pub experiment_ids: Vec<String>,
    /// In these stages of life.
    pub lifecycles: Vec<Lifecycle>,
    /// All of these hold.
    pub comparisons: Vec<Comparison>,
    /// First by these, then by latest start.
    pub order: Vec<Order>,
    /// Runs to give.
    pub limit: i64,
    /// Runs to leave out before.
    pub offset: i64,
}

/// The runs that a search finds.
pub fn runs(tx: &mut Tx, scope: &Scope, search: &RunSearch) -> Result<Vec<RunRow>, StoreError> {
    if search.experiment_ids.is_empty() {
        return Ok(Vec::new());
    }
    let (sql, values) = compile(search, scope, tx.dialect());
    tx.query_compiled(&sql, &values)?.iter().map(run::read).collect()
}

struct Compiler {
    dialect: Dialect,
    values: Vec<Value>,
    joins: String,
}

fn compile(search: &RunSearch, scope: &Scope, dialect: Dialect) -> (String, Vec<Value>) {
    let mut compiler = Compiler { dialect, values: vec![scope.bind()], joins: String::new() };
    let mut wheres = vec!["run.workspace_id = $1".to_owned()];
    let ids = compiler.list(search.experiment_ids.iter().map(Value::from));
    wheres.push(format!("run.experiment_id IN ({ids})"));
    let stages = compiler.list(search.lifecycles.iter().map(|l| l.as_str().into()));
    wheres.push(format!("run.lifecycle_stage IN ({stages})"));
    for comparison in &search.comparisons {
        wheres.push(compiler.comparison(comparison));
    }
    let mut orders: Vec<String> = Vec::new();
    for (position, order) in search.order.iter().enumerate() {
        orders.extend(compiler.order(order, position));
    }
    orders.extend(["run.started_at DESC".to_owned(), "run.run_id".to_owned()]);
    let limit = compiler.bind(search.limit.into());
    let offset = compiler.bind(search.offset.into());
    let sql = format!(
        "SELECT run.* FROM run{} WHERE {} ORDER BY {} LIMIT {limit} OFFSET {offset}",
        compiler.joins,
        wheres.join(" AND "),
        orders.join(", ")
    );
    (sql, compiler.values)
}

impl Compiler {
    fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn list(&mut self, values: impl Iterator<Item = Value>) -> String {
        let names: Vec<String> = values.map(|value| self.bind(value)).collect();
        names.join(", ")
    }

    fn comparison(&mut self, comparison: &Comparison) -> String {
        let (table, key) = match &comparison.field {
            Field::Text(column) => {
                return self.compare(&format!("run.{column}"), comparison, 1.0);
            }
            Field::Number(column) => {
                let scale = if column.ends_with("_at") { 1000.0 } else { 1.0 };
                return self.compare(&format!("run.{column}"), comparison, scale);
            }
            Field::Metric(key) => ("latest_metric", key),
            Field::Param(key) => ("param", key),
            Field::Tag(key) => ("run_tag", key),
        };
        let key = self.bind(key.into());
        let holds = self.compare("p.value", comparison, 1.0);
        let is_number = if table == "latest_metric" { " AND p.is_nan = 0" } else { "" };
        format!(
            "EXISTS (SELECT 1 FROM {table} p WHERE p.run_id = run.run_id \
             AND p.workspace_id = $1 AND p.key = {key} AND {holds}{is_number})"
        )
    }

    fn compare(&mut self, column: &str, comparison: &Comparison, scale: f64) -> String {
        let operator = match comparison.comparator {
            Comparator::Equal => "=",
            Comparator::NotEqual => "<>",
            Comparator::Greater => ">",
            Comparator::GreaterOrEqual => ">=",
            Comparator::Less => "<",
            Comparator::LessOrEqual => "<=",
            Comparator::Like | Comparator::Ilike => return self.like(column, comparison),
        };
        // Why: a moment is a whole number, and PostgreSQL types the placeholder by its column.
        let value = match &comparison.operand {
            Operand::Number(number) if scale != 1.0 => Value::Int((number * scale) as i64),
            Operand::Number(number) => Value::from(*number),
            Operand::Text(text) => text.into(),
        };
        let value = self.bind(value);
        format!("{column} {operator} {value}")
    }

    fn like(&mut self, column: &str, comparison: &Comparison) -> String {
        let Operand::Text(pattern) = &comparison.operand else { return "1 = 0".to_owned() };
        let keeps_case = comparison.comparator == Comparator::Like;
        match (self.dialect, keeps_case) {
            // Why GLOB: SQLite's LIKE folds the case of ASCII letters.
            (Dialect::Sqlite, true) => {
                let value = self.bind(glob(pattern).into());
                format!("{column} GLOB {value}")
            }
            (Dialect::Sqlite, false) => {
                let value = self.bind(pattern.into());
                format!("{column} LIKE {value}")
            }
            (Dialect::Postgres, keeps_case) => {
                let value = self.bind(pattern.into());
                let word = if keeps_case { "LIKE" } else { "ILIKE" };
                format!("{column} {word} {value} ESCAPE ''")
            }
        }
    }

    /// Absent values come last whatever the direction, and NaN before them.
    fn order(&mut self, order: &Order, position: usize) -> Vec<String> {
        let direction = if order.descending { "DESC" } else { "ASC" };
        let (table, key) = match &order.field {
            Field::Text(column) | Field::Number(column) => {
                return vec![
                    format!("CASE WHEN run.{column} IS NULL THEN 1 ELSE 0 END"),
                    format!("run.{column} {direction}"),
                ];
            }
            Field::Metric(key) => ("latest_metric", key),
            Field::Param(key) => ("param", key),
            Field::Tag(key) => ("run_tag", key),
        };
        let key = self.bind(key.into());
        let name = format!("o{position}");
        self.joins.push_str(&format!(
            " LEFT JOIN {table} {name} ON {name}.run_id = run.run_id AND {name}.key = {key} \
             AND {name}.workspace_id = $1"
        ));
        let nan = match table {
            "latest_metric" => format!("WHEN {name}.is_nan = 1 THEN 1 "),
            _ => String::new(),
        };
        vec![
            format!("CASE {nan}WHEN {name}.value IS NULL THEN 2 ELSE 0 END"),
            format!("{name}.value {direction}"),
        ]
    }
}

/// A LIKE pattern as SQLite's GLOB writes it.
fn glob(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    for c in pattern.chars() {
        match c {
            '%' => out.push('*'),
            '_' => out.push('?'),
            '*' | '?' | '[' => out.extend(['[', c, ']']),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert_eq!(glob("a%b_c"), "a*b?c");
        assert_eq!(glob("[x]*?"), "[[]x][*][?]");
    }
}
