//! Filters and orders as SQL.

use super::{Comparator, Comparison, Field, Filter, Operand, Order, Test};
use crate::{Dialect, Value};

/// What is searched: its table and the tables of its parts.
pub(super) struct Shape {
    /// The table.
    pub(super) table: &'static str,
    /// Its columns, by which its parts are found.
    pub(super) owner: &'static [&'static str],
    metrics: Option<Parts>,
    params: Option<Parts>,
    tags: Option<Parts>,
}

#[derive(Clone, Copy)]
struct Parts {
    table: &'static str,
    /// A condition that every row of these parts meets.
    only: &'static str,
}

const fn parts(table: &'static str, only: &'static str) -> Option<Parts> {
    Some(Parts { table, only })
}

pub(super) const RUN: Shape = Shape {
    table: "run",
    owner: &["run_id"],
    metrics: parts("latest_metric", ""),
    params: parts("param", ""),
    tags: parts("run_tag", ""),
};
pub(super) const EXPERIMENT: Shape = Shape {
    table: "experiment",
    owner: &["experiment_id"],
    metrics: None,
    params: None,
    tags: parts("experiment_tag", ""),
};
pub(super) const LOGGED_MODEL: Shape = Shape {
    table: "logged_model",
    owner: &["model_id"],
    metrics: parts("logged_model_metric", ""),
    params: parts("logged_model_pair", " AND p.kind = 'param'"),
    tags: parts("logged_model_pair", " AND p.kind = 'tag'"),
};
pub(super) const REGISTERED_MODEL: Shape = Shape {
    table: "registered_model",
    owner: &["workspace_id", "name"],
    metrics: None,
    params: None,
    tags: parts("registered_model_tag", ""),
};
pub(super) const MODEL_VERSION: Shape = Shape {
    table: "model_version",
    owner: &["workspace_id", "name", "version"],
    metrics: None,
    params: None,
    tags: parts("model_version_tag", ""),
};

impl Shape {
    fn parts<'f>(&self, field: &'f Field) -> Option<(Parts, &'f str)> {
        match field {
            Field::Metric(key) => Some((self.metrics?, key)),
            Field::Param(key) => Some((self.params?, key)),
            Field::Tag(key) => Some((self.tags?, key)),
            _ => None,
        }
    }

    /// `p.run_id = run.run_id`, for the alias `p` of a table of parts.
    fn owned(&self, alias: &str) -> String {
        let same = |c: &&str| format!("{alias}.{c} = {}.{c}", self.table);
        self.owner.iter().map(same).collect::<Vec<_>>().join(" AND ")
    }
}

/// A text under construction with what is bound to it.
pub(super) struct Sql<'a> {
    pub(super) shape: &'a Shape,
    dialect: Dialect,
    pub(super) values: Vec<Value>,
    /// Joins of the order.
    pub(super) joins: String,
    aliases: usize,
    /// Logged models: metrics count on these datasets alone.
    pub(super) datasets: Vec<(String, Option<String>)>,
}

/// What no row meets.
const NEVER: &str = "1 = 0";
/// Columns that may hold nothing, among those that an order can name.
const NULLABLE: [&str; 3] = ["ended_at", "model_type", "source_run_id"];
/// Characters of a value that stand in an index.
const START: usize = 80;

impl<'a> Sql<'a> {
    /// `first` is bound to `$1`.
    pub(super) fn new(shape: &'a Shape, dialect: Dialect, first: Value) -> Self {
        Self {
            shape,
            dialect,
            values: vec![first],
            joins: String::new(),
            aliases: 0,
            datasets: Vec::new(),
        }
    }

    pub(super) fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    pub(super) fn list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> String {
        let names: Vec<String> = values.into_iter().map(|value| self.bind(value)).collect();
        names.join(", ")
    }

    pub(super) fn filter(&mut self, filter: &Filter) -> String {
        let (all, word, none) = match filter {
            Filter::One(comparison) => return self.comparison(comparison),
            Filter::All(all) => (all, " AND ", "1 = 1"),
            Filter::Any(any) => (any, " OR ", NEVER),
        };
        let parts: Vec<String> = all.iter().map(|part| self.filter(part)).collect();
        match parts.as_slice() {
            [] => none.to_owned(),
            [one] => one.clone(),
            many => format!("({})", many.join(word)),
        }
    }

    fn comparison(&mut self, comparison: &Comparison) -> String {
        let table = self.shape.table;
        match &comparison.field {
            Field::Text(column) | Field::Digits(column) => {
                self.test(&format!("{table}.{column}"), &comparison.test)
            }
            Field::Number(column) => {
                self.whole(&format!("{table}.{column}"), &comparison.test, 1.0)
            }
            Field::Moment(column) => {
                self.whole(&format!("{table}.{column}"), &comparison.test, 1000.0)
            }
            Field::Dataset(column) => {
                let holds = self.test(&format!("p.{column}"), &comparison.test);
                format!(
                    "EXISTS (SELECT 1 FROM run_input p WHERE p.run_id = run.run_id AND {holds})"
                )
            }
            part => self.part(part, &comparison.test),
        }
    }

    fn part(&mut self, field: &Field, test: &Test) -> String {
        let Some((parts, key)) = self.shape.parts(field) else { return NEVER.to_owned() };
        let key = self.bind(key);
        let holds = match test {
            Test::Absent | Test::Present => String::new(),
            test => format!(" AND {}", self.part_test(field, "p", test)),
        };
        let on = match field {
            Field::Metric(_) if !self.datasets.is_empty() => format!(" AND {}", self.on_datasets()),
            _ => String::new(),
        };
        let not = if *test == Test::Absent { "NOT " } else { "" };
        let (table, only, owned) = (parts.table, parts.only, self.shape.owned("p"));
        format!(
            "{not}EXISTS (SELECT 1 FROM {table} p WHERE {owned}{only} AND p.key = {key}{holds}{on})"
        )
    }

    /// What is asked of the value of a part.
    pub(super) fn part_test(&mut self, field: &Field, alias: &str, test: &Test) -> String {
        let holds = match test {
            Test::Is(Comparator::Equal, Operand::Text(_)) => String::new(),
            test => self.test(&format!("{alias}.value"), test),
        };
        match (field, test) {
            // Why: NaN stands there as 0, and is unlike every number.
            (Field::Metric(_), Test::Is(Comparator::NotEqual, _)) => {
                format!("({holds} OR {alias}.is_nan = 1)")
            }
            (Field::Metric(_), _) => format!("{holds} AND {alias}.is_nan = 0"),
            // Why the start: the index holds it. It is the whole of a short value.
            (_, Test::Is(Comparator::Equal, Operand::Text(text))) => {
                let is_short = text.chars().count() < START;
                let start = self.bind(text.chars().take(START).collect::<String>());
                let start = format!("substr({alias}.value, 1, {START}) = {start}");
                if is_short {
                    return start;
                }
                // Why the empty text: SQLite would put a known value into the start as well, and
                // then leave the index alone.
                format!("{start} AND {alias}.value || '' = {}", self.bind(text))
            }
            _ => holds,
        }
    }

    /// Rows of `logged_model_metric` under `p` that were measured on a wanted dataset.
    pub(super) fn on_datasets(&mut self) -> String {
        let wanted = self.datasets.clone();
        let each = wanted.iter().map(|(name, digest)| {
            let name = self.bind(name);
            match digest {
                Some(digest) => {
                    let digest = self.bind(digest);
                    format!("(p.dataset_name = {name} AND p.dataset_digest = {digest})")
                }
                None => format!("p.dataset_name = {name}"),
            }
        });
        format!("({})", each.collect::<Vec<_>>().join(" OR "))
    }

    /// What is asked of a column.
    pub(super) fn test(&mut self, column: &str, test: &Test) -> String {
        match test {
            Test::Absent => format!("{column} IS NULL"),
            Test::Present => format!("{column} IS NOT NULL"),
            Test::Among(texts) => format!("{column} IN ({})", self.list(texts)),
            Test::NotAmong(texts) => format!("{column} NOT IN ({})", self.list(texts)),
            Test::Is(Comparator::Like | Comparator::Ilike, operand) => {
                let keeps_case = matches!(test, Test::Is(Comparator::Like, _));
                self.like(column, operand, keeps_case)
            }
            Test::Is(comparator, operand) => {
                let value = match operand {
                    Operand::Number(number) => self.bind(*number),
                    Operand::Text(text) => self.bind(text),
                };
                format!("{column} {} {value}", sign(*comparator))
            }
        }
    }

    /// A column of whole numbers, `unit` of them to one of the number asked for: what is shown as
    /// one millisecond is a thousand microseconds.
    fn whole(&mut self, column: &str, test: &Test, unit: f64) -> String {
        let Test::Is(comparator, Operand::Number(number)) = test else {
            return self.test(column, test);
        };
        let scaled = |number: f64| (number.clamp(-9e15, 9e15) * unit) as i64;
        let (below, above) = (scaled(number.ceil()), scaled(number.floor() + 1.0));
        let is_whole = number.fract() == 0.0;
        let mut at = |sign: &str, value: i64| format!("{column} {sign} {}", self.bind(value));
        match comparator {
            Comparator::Equal if is_whole => {
                format!("({} AND {})", at(">=", below), at("<", above))
            }
            Comparator::NotEqual if is_whole => {
                format!("({} OR {})", at("<", below), at(">=", above))
            }
            Comparator::NotEqual => format!("{column} IS NOT NULL"),
            Comparator::Greater => at(">=", above),
            Comparator::GreaterOrEqual => at(">=", below),
            Comparator::Less => at("<", below),
            Comparator::LessOrEqual => at("<", above),
            Comparator::Equal | Comparator::Like | Comparator::Ilike => NEVER.to_owned(),
        }
    }

    fn like(&mut self, column: &str, operand: &Operand, keeps_case: bool) -> String {
        let Operand::Text(pattern) = operand else { return NEVER.to_owned() };
        match (self.dialect, keeps_case) {
            // Why GLOB: SQLite's LIKE folds the case of ASCII letters.
            (Dialect::Sqlite, true) => format!("{column} GLOB {}", self.bind(glob(pattern))),
            (Dialect::Sqlite, false) => format!("{column} LIKE {}", self.bind(pattern)),
            (Dialect::Postgres, keeps_case) => {
                let word = if keeps_case { "LIKE" } else { "ILIKE" };
                format!("{column} {word} {} ESCAPE ''", self.bind(pattern))
            }
        }
    }

    /// Absent values come last whatever the direction, and NaN before them.
    pub(super) fn order(&mut self, order: &Order) -> Vec<String> {
        let direction = if order.descending { "DESC" } else { "ASC" };
        let table = self.shape.table;
        match &order.field {
            Field::Text(column) | Field::Number(column) | Field::Moment(column) => {
                let value = format!("{table}.{column} {direction}");
                // Why not always: it would keep an index from giving the order.
                if !NULLABLE.contains(column) {
                    return vec![value];
                }
                vec![format!("CASE WHEN {table}.{column} IS NULL THEN 1 ELSE 0 END"), value]
            }
            Field::Digits(column) => vec![format!("CAST({table}.{column} AS BIGINT) {direction}")],
            Field::Dataset(_) => Vec::new(),
            part => self.part_order(part, order, direction),
        }
    }

    fn part_order(&mut self, part: &Field, order: &Order, direction: &str) -> Vec<String> {
        let Some((parts, key)) = self.shape.parts(part) else { return Vec::new() };
        let key = self.bind(key);
        let name = format!("o{}", self.aliases);
        self.aliases += 1;
        let owned = self.shape.owned(&name);
        let only = parts.only.replace("p.", &format!("{name}."));
        let source = match part {
            Field::Metric(_) if parts.table == "logged_model_metric" => {
                self.latest_of_model(&key, order)
            }
            _ => parts.table.to_owned(),
        };
        self.joins.push_str(&format!(
            " LEFT JOIN {source} {name} ON {owned}{only} AND {name}.key = {key}"
        ));
        let nan = match part {
            Field::Metric(_) => format!("WHEN {name}.is_nan = 1 THEN 1 "),
            _ => String::new(),
        };
        vec![
            format!("CASE {nan}WHEN {name}.value IS NULL THEN 2 ELSE 0 END"),
            format!("{name}.value {direction}"),
        ]
    }

    /// The latest value of a metric of each logged model, on a dataset if the order names one.
    fn latest_of_model(&mut self, key: &str, order: &Order) -> String {
        let mut on = String::new();
        if let Some((name, digest)) = &order.dataset {
            on.push_str(&format!(" AND m.dataset_name = {}", self.bind(name)));
            if let Some(digest) = digest {
                on.push_str(&format!(" AND m.dataset_digest = {}", self.bind(digest)));
            }
        }
        format!(
            "(SELECT r.model_id, r.key, r.value, r.is_nan FROM (SELECT m.model_id, m.key, m.value, \
             m.is_nan, ROW_NUMBER() OVER (PARTITION BY m.model_id \
             ORDER BY m.at DESC, m.step DESC, m.run_id) AS place \
             FROM logged_model_metric m WHERE m.workspace_id = $1 AND m.key = {key}{on}) r \
             WHERE r.place = 1)"
        )
    }
}

fn sign(comparator: Comparator) -> &'static str {
    match comparator {
        Comparator::Equal | Comparator::Like | Comparator::Ilike => "=",
        Comparator::NotEqual => "<>",
        Comparator::Greater => ">",
        Comparator::GreaterOrEqual => ">=",
        Comparator::Less => "<",
        Comparator::LessOrEqual => "<=",
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

    #[test]
    fn whole_numbers_are_whole_spans() {
        let mut sql = Sql::new(&RUN, Dialect::Sqlite, 0i64.into());
        let mut ask = |comparator, number: f64| {
            let test = Test::Is(comparator, Operand::Number(number));
            sql.values.truncate(1);
            let text = sql.whole("c", &test, 1000.0);
            (text, sql.values[1..].to_vec())
        };
        let (text, values) = ask(Comparator::Equal, 5.0);
        assert_eq!(text, "(c >= $2 AND c < $3)");
        assert_eq!(values, [Value::Int(5000), Value::Int(6000)]);
        assert_eq!(ask(Comparator::Equal, 5.5).0, NEVER);
        assert_eq!(ask(Comparator::Greater, 5.5).1, [Value::Int(6000)]);
        assert_eq!(ask(Comparator::LessOrEqual, 5.0), ("c < $2".into(), vec![Value::Int(6000)]));
        assert_eq!(ask(Comparator::Less, f64::MAX).1, [Value::Int(9_000_000_000_000_000_000)]);
    }
}
