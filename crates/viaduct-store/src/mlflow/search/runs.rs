//! Runs found. Two ways lead to a page: from the few runs that the most telling comparison leaves,
//! or along an index in the wanted order until the page is full.

use super::compile::{RUN, Sql};
use super::{Comparator, Comparison, Field, Filter, Operand, Order, Search, Test};
use crate::mlflow::run::{self, RunRow};
use crate::{Scope, StoreError, Tx};

/// A comparison that fewer runs meet leads the search; sorting them all costs little.
const FEW: i64 = 1000;

/// Columns of a run in the order of [`run::at`].
const COLUMNS: &str = run::COLUMNS;

/// The runs that a search finds.
pub fn runs(tx: &mut Tx, scope: &Scope, search: &Search) -> Result<Vec<RunRow>, StoreError> {
    if search.experiment_ids.is_empty() || search.lifecycles.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(leader) = leader(tx, scope, search)? {
        return from_few(tx, scope, search, &leader);
    }
    match search.order.first() {
        Some(order) if matches!(order.field, Field::Metric(_)) => {
            along_metric(tx, scope, search, order)
        }
        _ => {
            let mut sql = begin(scope, tx);
            let wheres = wheres(&mut sql, search, &search.filter);
            ask(tx, sql, ("run", &wheres), &search.order, (search.limit, search.offset))
        }
    }
}

fn begin(scope: &Scope, tx: &Tx) -> Sql<'static> {
    Sql::new(&RUN, tx.dialect(), scope.bind())
}

/// The conditions that every run found meets.
fn wheres(sql: &mut Sql<'_>, search: &Search, filter: &Filter) -> String {
    let ids = sql.list(&search.experiment_ids);
    let stages = sql.list(search.lifecycles.iter().map(|l| l.as_str()));
    let holds = sql.filter(filter);
    format!(
        "run.workspace_id = $1 AND run.experiment_id IN ({ids}) \
         AND run.lifecycle_stage IN ({stages}) AND {holds}"
    )
}

/// Asks for runs out of `from`, in the order of `order` and then of the latest start.
fn ask(
    tx: &mut Tx,
    mut sql: Sql<'_>,
    (from, wheres): (&str, &str),
    order: &[Order],
    (limit, offset): (i64, i64),
) -> Result<Vec<RunRow>, StoreError> {
    let mut orders: Vec<String> = order.iter().flat_map(|step| sql.order(step)).collect();
    orders.extend(own_order(order));
    let (limit, offset) = (sql.bind(limit), sql.bind(offset));
    let text = format!(
        "SELECT {COLUMNS} FROM {from}{} WHERE {wheres} ORDER BY {} LIMIT {limit} OFFSET {offset}",
        sql.joins,
        orders.join(", ")
    );
    read(tx, &text, &sql)
}

fn own_order(order: &[Order]) -> Vec<String> {
    let by_start = order.iter().any(|step| step.field == Field::Moment("started_at"));
    let mut own = Vec::new();
    if !by_start {
        own.push("run.started_at DESC".to_owned());
    }
    own.push("run.run_id".to_owned());
    own
}

fn read(tx: &mut Tx, text: &str, sql: &Sql<'_>) -> Result<Vec<RunRow>, StoreError> {
    let mut found = Vec::new();
    tx.visit_compiled(text, &sql.values, |cells| {
        found.push(run::at(cells)?);
        Ok(())
    })?;
    Ok(found)
}

/// A comparison that all runs found meet and that an index answers.
fn leads(comparison: &Comparison) -> bool {
    match (&comparison.field, &comparison.test) {
        (Field::Metric(_), Test::Is(comparator, _)) => *comparator != Comparator::NotEqual,
        (Field::Param(_) | Field::Tag(_), Test::Is(comparator, _)) => {
            *comparator == Comparator::Equal
        }
        (Field::Dataset("name"), Test::Is(Comparator::Equal, _) | Test::Among(_)) => true,
        (Field::Text("run_id"), Test::Is(Comparator::Equal, _) | Test::Among(_)) => true,
        _ => false,
    }
}

fn among_all(filter: &Filter) -> Vec<&Comparison> {
    match filter {
        Filter::One(comparison) => vec![comparison],
        Filter::All(all) => all.iter().flat_map(among_all).collect(),
        Filter::Any(_) => Vec::new(),
    }
}

/// `SELECT p.run_id FROM …`: the runs that meet one comparison.
fn those_that(sql: &mut Sql<'_>, search: &Search, comparison: &Comparison) -> String {
    let (table, key) = match &comparison.field {
        Field::Metric(key) => ("latest_metric", key),
        Field::Param(key) => ("param", key),
        Field::Tag(key) => ("run_tag", key),
        Field::Dataset(column) => {
            let holds = sql.test(&format!("p.{column}"), &comparison.test);
            return format!("run_input p WHERE p.workspace_id = $1 AND {holds}");
        }
        _ => {
            let holds = sql.test("p.run_id", &comparison.test);
            return format!("run p WHERE p.workspace_id = $1 AND {holds}");
        }
    };
    let ids = sql.list(&search.experiment_ids);
    let key = sql.bind(key);
    let holds = sql.part_test(&comparison.field, "p", &comparison.test);
    format!("{table} p WHERE p.experiment_id IN ({ids}) AND p.key = {key} AND {holds}")
}

/// The comparison that leaves the fewest runs, when they are few.
fn leader(tx: &mut Tx, scope: &Scope, search: &Search) -> Result<Option<Comparison>, StoreError> {
    let mut best: Option<(i64, Comparison)> = None;
    for comparison in among_all(&search.filter).into_iter().filter(|c| leads(c)) {
        let most = best.as_ref().map_or(FEW, |(count, _)| *count);
        let mut sql = begin(scope, tx);
        let those = those_that(&mut sql, search, comparison);
        let most_bound = sql.bind(most);
        // Why the last condition: every value has to stand in the text.
        let text = format!(
            "SELECT COUNT(*) FROM (SELECT 1 AS one FROM {those} LIMIT {most_bound}) t \
             WHERE CAST($1 AS TEXT) = CAST($1 AS TEXT)"
        );
        let mut count = most;
        tx.visit_compiled(&text, &sql.values, |cells| {
            count = cells.int(0)?.unwrap_or(most);
            Ok(())
        })?;
        if count < most {
            best = Some((count, comparison.clone()));
        }
    }
    Ok(best.map(|(_, comparison)| comparison))
}

fn from_few(
    tx: &mut Tx,
    scope: &Scope,
    search: &Search,
    leader: &Comparison,
) -> Result<Vec<RunRow>, StoreError> {
    let mut sql = begin(scope, tx);
    let those = those_that(&mut sql, search, leader);
    let rest = without(&search.filter, leader);
    let wheres = wheres(&mut sql, search, &rest);
    // Why CROSS JOIN: SQLite keeps its order, so the few are read and nothing else.
    let from = format!("(SELECT DISTINCT p.run_id FROM {those}) few CROSS JOIN run");
    let wheres = format!("run.run_id = few.run_id AND {wheres}");
    ask(tx, sql, (&from, &wheres), &search.order, (search.limit, search.offset))
}

fn without(filter: &Filter, known: &Comparison) -> Filter {
    match filter {
        Filter::One(comparison) if comparison == known => Filter::default(),
        Filter::All(all) => Filter::All(all.iter().map(|part| without(part, known)).collect()),
        other => other.clone(),
    }
}

/// Runs in the order of a metric: those that have a number, then NaN, then those without it.
fn along_metric(
    tx: &mut Tx,
    scope: &Scope,
    search: &Search,
    order: &Order,
) -> Result<Vec<RunRow>, StoreError> {
    let Field::Metric(key) = &order.field else { return Ok(Vec::new()) };
    let rest = search.order.get(1..).unwrap_or_default();
    let (mut left, mut skip) = (search.limit, search.offset);
    let mut found = Vec::new();
    for step in [Step::Number, Step::Nan, Step::Without] {
        if step != Step::Number && demands_number(&search.filter, key) {
            break;
        }
        let page = step.ask(tx, scope, search, (key, order.descending, rest), (left, skip))?;
        let count = page.len() as i64;
        found.extend(page);
        left -= count;
        if left <= 0 {
            break;
        }
        skip = match count {
            0 if skip > 0 => (skip - step.count(tx, scope, search, key)?).max(0),
            _ => 0,
        };
    }
    Ok(found)
}

/// Whether only runs with a number under that key can be found.
fn demands_number(filter: &Filter, key: &str) -> bool {
    among_all(filter).into_iter().any(|c| {
        matches!(&c.field, Field::Metric(k) if k == key)
            && matches!(c.test, Test::Is(comparator, Operand::Number(_))
                if comparator != Comparator::NotEqual)
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Number,
    Nan,
    Without,
}

impl Step {
    /// Where the runs of this step come from, and what they meet.
    fn place(self, sql: &mut Sql<'_>, search: &Search, key: &str) -> (&'static str, String) {
        let name = sql.bind(key);
        let ids = sql.list(&search.experiment_ids);
        if self == Step::Without {
            let base = wheres(sql, search, &search.filter);
            let absent = format!(
                "NOT EXISTS (SELECT 1 FROM latest_metric w WHERE w.run_id = run.run_id \
                 AND w.key = {name} AND w.experiment_id IN ({ids}))"
            );
            return ("run", format!("{base} AND {absent}"));
        }
        let mut filter = search.filter.clone();
        let mut direct = String::new();
        // What is asked of this very metric is asked of the row at hand.
        let same = |c: &&Comparison| matches!(&c.field, Field::Metric(k) if k == key);
        for comparison in among_all(&search.filter).into_iter().filter(same) {
            if matches!(comparison.test, Test::Is(..)) {
                let holds = sql.part_test(&comparison.field, "lead", &comparison.test);
                direct.push_str(&format!(" AND {holds}"));
                filter = without(&filter, comparison);
            }
        }
        let base = wheres(sql, search, &filter);
        let nan = i32::from(self == Step::Nan);
        let on = format!(
            "lead.experiment_id IN ({ids}) AND lead.key = {name} AND lead.is_nan = {nan} \
             AND run.run_id = lead.run_id{direct} AND {base}"
        );
        ("latest_metric lead CROSS JOIN run", on)
    }

    fn ask(
        self,
        tx: &mut Tx,
        scope: &Scope,
        search: &Search,
        (key, descending, rest): (&str, bool, &[Order]),
        (limit, offset): (i64, i64),
    ) -> Result<Vec<RunRow>, StoreError> {
        let mut sql = begin(scope, tx);
        let (from, wheres) = self.place(&mut sql, search, key);
        let mut orders = Vec::new();
        if self == Step::Number {
            orders.push(format!("lead.value {}", if descending { "DESC" } else { "ASC" }));
        }
        orders.extend(rest.iter().flat_map(|step| sql.order(step)));
        orders.extend(own_order(&search.order));
        let (limit, offset) = (sql.bind(limit), sql.bind(offset));
        let text = format!(
            "SELECT {COLUMNS} FROM {from}{} WHERE {wheres} ORDER BY {} \
             LIMIT {limit} OFFSET {offset}",
            sql.joins,
            orders.join(", ")
        );
        read(tx, &text, &sql)
    }

    fn count(
        self,
        tx: &mut Tx,
        scope: &Scope,
        search: &Search,
        key: &str,
    ) -> Result<i64, StoreError> {
        let mut sql = begin(scope, tx);
        let (from, wheres) = self.place(&mut sql, search, key);
        let text = format!("SELECT COUNT(*) FROM {from} WHERE {wheres}");
        let mut count = 0;
        tx.visit_compiled(&text, &sql.values, |cells| {
            count = cells.int(0)?.unwrap_or_default();
            Ok(())
        })?;
        Ok(count)
    }
}
