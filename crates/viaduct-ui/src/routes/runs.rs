//! The runs of an experiment: the table, and some of them beside each other.

use std::collections::BTreeSet;
use std::sync::Arc;

use viaduct_app::mlflow::{Pair, Query, RunQuery, RunView, SampleQuery};
use viaduct_base::{Error, Kind, Refusal, Timestamp};
use viaduct_domain::permission::Operation;

use super::Answered;
use super::experiments::{Found, address, note, page_request, view};
use super::map::change::change;
use super::visit::Visit;
use crate::chart::steps::{Line, Step, Steps};
use crate::view::{
    ComparePage, Compared, ComparedPart, Offered, RunColumn, RunLine, RunStatus, RunsPage,
};
use crate::{fmt, path};

/// Runs on a page.
const PAGE: i64 = 50;
/// Changes under the table.
const CHANGES: usize = 20;
/// Columns of each kind that are shown when none was chosen, and at most.
const COLUMNS: usize = 4;
const COLUMNS_MAX: usize = 30;
/// Columns that are offered.
const OFFERED: usize = 300;
/// Runs beside each other.
const COMPARED_MAX: usize = 5;
/// Points of a chart, as MLflow's pages ask for.
pub(super) const POINTS: i64 = 320;
/// Charts under a comparison.
const CHARTS: usize = 12;
/// What every run has, with MLflow's name for it.
const FIXED: [(&str, &str); 4] = [
    ("Run", "attributes.run_name"),
    ("Status", "attributes.status"),
    ("Began", "attributes.start_time"),
    ("User", "attributes.user_id"),
];

/// What the table was asked to be.
struct Asked {
    filter: String,
    view: &'static str,
    order: String,
    columns: Vec<String>,
}

impl Asked {
    fn of(visit: &Visit) -> Self {
        let mut columns: Vec<String> = visit.asked_all("col");
        columns.retain(|column| kind_of(column).is_some());
        columns.dedup();
        columns.truncate(COLUMNS_MAX);
        let order = visit.asked("order").to_owned();
        Self { filter: visit.asked("filter").to_owned(), view: view(visit).1, order, columns }
    }

    fn href(&self, experiment: &str, (order, page): (&str, &str)) -> String {
        let view = if self.view == "active" { "" } else { self.view };
        let mut fields = vec![("filter", self.filter.as_str()), ("view", view), ("order", order)];
        fields.extend(self.columns.iter().map(|column| ("col", column.as_str())));
        fields.push(("page", page));
        address(&path::experiment(experiment), &fields)
    }

    /// The order in MLflow's words; `-` in front means from the greatest down.
    fn order_by(&self) -> Vec<String> {
        let (field, way) = match self.order.strip_prefix('-') {
            Some(field) => (field, "DESC"),
            None => (self.order.as_str(), "ASC"),
        };
        match field.split_once('.') {
            Some(("attributes", _)) => vec![format!("{field} {way}")],
            Some((kind, key)) => vec![format!("{kind}.`{key}` {way}")],
            None if field.is_empty() => Vec::new(),
            None => vec![format!("{field} {way}")],
        }
    }

    /// A heading that sorts. Why from the greatest first: the best run is what people look for.
    fn column(&self, experiment: &str, (label, kind, field): (&str, &str, &str)) -> RunColumn {
        let sorted = match self.order.strip_prefix('-') {
            Some(down) if down == field => Some(false),
            None if self.order == field => Some(true),
            _ => None,
        };
        let next = if sorted == Some(false) { field.to_owned() } else { format!("-{field}") };
        // A backtick would end the name in the order.
        let can_sort = !label.contains('`');
        RunColumn {
            label: label.to_owned(),
            kind: kind.to_owned(),
            sort_href: can_sort.then(|| self.href(experiment, (&next, ""))),
            sorted,
        }
    }
}

/// The kind and key of a column.
fn kind_of(column: &str) -> Option<(&'static str, &str)> {
    let (kind, key) = column.split_once('.')?;
    let kind = ["metrics", "params", "tags"].into_iter().find(|known| *known == kind)?;
    Some((kind, key))
}

/// The table.
pub(super) async fn show(visit: Arc<Visit>) -> Answered {
    let id = visit.param("experiment").to_owned();
    let experiment = visit.app.get_experiment(&visit.caller, &id).await?;
    let mut asked = Asked::of(&visit);
    let page = page_request(&visit, PAGE);
    let is_first = page.token.is_none();
    let query = Query { filter: asked.filter.clone(), order_by: asked.order_by(), page };
    let wanted = RunQuery { experiment_ids: vec![id.clone()], query, view: view(&visit).0 };
    let found = Found::of(visit.app.search_runs(&visit.caller, wanted).await)?;
    let mut known = keys(&found.items);
    let chosen = if asked.columns.is_empty() { usual(&known) } else { asked.columns.clone() };
    known.extend(chosen.iter().filter(|c| !known.contains(c)).cloned().collect::<Vec<_>>());
    let offered = known.iter().take(OFFERED);
    let offered =
        offered.map(|value| Offered { chosen: chosen.contains(value), value: value.clone() });
    let offered = offered.collect();
    let fixed = FIXED.map(|(label, field)| asked.column(&id, (label, "", field))).to_vec();
    let columns = chosen.iter().filter_map(|column| {
        let (kind, key) = kind_of(column)?;
        Some(asked.column(&id, (key, kind.trim_end_matches('s'), column)))
    });
    let columns = columns.collect();
    let status = found.status();
    let deleted_at = experiment.row.deleted_at;
    let subject = format!("experiment:{id}");
    let changes = visit.app.list_changes(&visit.caller, &subject, (None, Some(CHANGES))).await?;
    let page = RunsPage {
        shell: visit.shell(),
        experiment_id: id.clone(),
        experiment: experiment.row.name,
        note: note(&experiment.tags),
        deleted_at,
        kept_until: deleted_at.map(|at| at + visit.app.tracking_retention()),
        problem: found.problem,
        view: asked.view.to_owned(),
        fixed,
        columns,
        offered,
        rows: found.items.iter().map(|run| line(run, &chosen)).collect(),
        next_href: found.next.as_deref().map(|token| asked.href(&id, (&asked.order, token))),
        first_href: (!is_first).then(|| asked.href(&id, (&asked.order, ""))),
        changes: changes.items.iter().map(change).collect(),
        may_write: visit.may(Operation::WriteTracking),
        order: std::mem::take(&mut asked.order),
        filter: asked.filter,
    };
    visit.page_with(status, &page)
}

/// Every metric, param and tag of some of these runs, by kind and name.
fn keys(runs: &[RunView]) -> Vec<String> {
    let all = |name: &str, each: &dyn Fn(&RunView) -> Vec<String>| {
        let keys: BTreeSet<String> = runs.iter().flat_map(each).collect();
        keys.into_iter().map(|key| format!("{name}.{key}")).collect::<Vec<_>>()
    };
    let pairs = |pairs: &[Pair]| pairs.iter().map(|pair| pair.key.clone()).collect::<Vec<_>>();
    let mut known =
        all("metrics", &|run| run.parts.metrics.iter().map(|m| m.key.clone()).collect());
    known.extend(all("params", &|run| pairs(&run.parts.params)));
    known.extend(all("tags", &|run| {
        let mut tags = pairs(&run.parts.tags);
        tags.retain(|key| !key.starts_with("mlflow."));
        tags
    }));
    known
}

/// The first few metrics and params.
fn usual(known: &[String]) -> Vec<String> {
    let some = |kind: &'static str| {
        known.iter().filter(move |key| key.starts_with(kind)).take(COLUMNS).cloned()
    };
    some("metrics.").chain(some("params.")).collect()
}

/// A run as a line of the table with those columns.
pub(super) fn line(run: &RunView, columns: &[String]) -> RunLine {
    let cells = columns.iter().filter_map(|column| {
        let (kind, key) = kind_of(column)?;
        let pair = |pairs: &[Pair]| pairs.iter().find(|p| p.key == key).map(|p| p.value.clone());
        Some(match kind {
            "metrics" => {
                let found = run.parts.metrics.iter().find(|metric| metric.key == key);
                (found.map(|metric| fmt::measure(metric.value)), true)
            }
            "params" => (pair(&run.parts.params), false),
            _ => (pair(&run.parts.tags), false),
        })
    });
    RunLine {
        id: run.row.run_id.clone(),
        name: run.row.name.clone(),
        status: RunStatus(run.row.status.clone()),
        started_at: run.row.started_at,
        took: run.row.ended_at.map(|end| took(run.row.started_at, end)),
        user: run.row.user_name.clone(),
        deleted_at: run.row.deleted_at,
        cells: cells.collect(),
    }
}

/// How long something took, in words.
pub(super) fn took(start: Timestamp, end: Timestamp) -> String {
    let seconds = (end.as_micros() - start.as_micros()).max(0) as f64 / 1e6;
    if seconds < 60.0 {
        return fmt::micros(seconds * 1e6);
    }
    let minutes = (seconds / 60.0).round() as i64;
    match minutes {
        ..60 => format!("{minutes} min"),
        60..2880 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} d", minutes / 1440),
    }
}

/// Runs beside each other.
pub(super) async fn compare(visit: Arc<Visit>) -> Answered {
    let id = visit.param("experiment").to_owned();
    let experiment = visit.app.get_experiment(&visit.caller, &id).await?;
    let mut seen = BTreeSet::new();
    let mut picked = visit.asked_all("run");
    picked.retain(|run| seen.insert(run.clone()));
    if !(2..=COMPARED_MAX).contains(&picked.len()) {
        let said = format!(
            "{} picked: go back and pick two to {COMPARED_MAX} runs to compare",
            fmt::plural(picked.len(), "run")
        );
        return Err(Refusal::new(Kind::InvalidInput, said).into());
    }
    let mut runs = Vec::new();
    for run in &picked {
        runs.push(visit.app.get_run(&visit.caller, run).await?);
    }
    let only_different = visit.asked("only") == "different";
    let mut fields: Vec<(&str, &str)> = picked.iter().map(|run| ("run", run.as_str())).collect();
    fields.push(("only", if only_different { "" } else { "different" }));
    let mut parts = parts(&runs);
    if only_different {
        parts.iter_mut().for_each(|part| part.rows.retain(|row| row.differs));
    }
    visit.page(&ComparePage {
        shell: visit.shell(),
        experiment: experiment.row.name,
        toggle_href: address(&path::compare(&id), &fields),
        experiment_id: id,
        runs: runs.iter().map(|run| line(run, &[])).collect(),
        charts: charts(&visit, &runs).await?,
        parts,
        only_different,
    })
}

fn parts(runs: &[RunView]) -> Vec<ComparedPart> {
    let part = |title: &str, numbers: bool, each: &dyn Fn(&RunView) -> Vec<(String, String)>| {
        let values: Vec<Vec<(String, String)>> = runs.iter().map(each).collect();
        let keys: BTreeSet<&String> = values.iter().flatten().map(|(key, _)| key).collect();
        let row = |key: &String| {
            let of = |run: &Vec<(String, String)>| {
                run.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone())
            };
            let values: Vec<Option<String>> = values.iter().map(of).collect();
            let differs = values.windows(2).any(|two| two[0] != two[1]);
            Compared { key: key.clone(), values, differs }
        };
        let rows = keys.into_iter().map(row).collect();
        ComparedPart { title: title.to_owned(), numbers, rows }
    };
    let pairs =
        |pairs: &[Pair]| pairs.iter().map(|p| (p.key.clone(), p.value.clone())).collect::<Vec<_>>();
    let metrics = |run: &RunView| {
        let metrics = run.parts.metrics.iter();
        metrics.map(|m| (m.key.clone(), fmt::measure(m.value))).collect::<Vec<_>>()
    };
    vec![
        part("Params", false, &|run| pairs(&run.parts.params)),
        part("Metrics", true, &metrics),
        part("Tags", false, &|run| {
            let mut tags = pairs(&run.parts.tags);
            tags.retain(|(key, _)| !key.starts_with("mlflow."));
            tags
        }),
    ]
}

/// Metrics with a history, each with a line for every run.
async fn charts(visit: &Visit, runs: &[RunView]) -> Result<Vec<(String, Steps)>, Error> {
    let metrics = runs.iter().flat_map(|run| &run.parts.metrics).filter(|m| m.step > 0);
    let keys: BTreeSet<String> = metrics.map(|metric| metric.key.clone()).collect();
    let mut charts = Vec::new();
    for key in keys.into_iter().take(CHARTS) {
        let run_ids = runs.iter().map(|run| run.row.run_id.clone()).collect();
        let lines = sampled(visit, run_ids, &key).await?;
        let name = |id: &str| {
            let run = runs.iter().find(|run| run.row.run_id == id);
            run.map_or_else(|| id.to_owned(), |run| run.row.name.clone())
        };
        let lines = lines.into_iter().map(|(id, steps)| Line { name: name(&id), steps });
        let lines: Vec<Line> = lines.filter(|line| !line.steps.is_empty()).collect();
        if lines.iter().any(|line| line.steps.len() > 1) {
            charts.push((key.clone(), Steps { label: format!("{key} over the steps"), lines }));
        }
    }
    Ok(charts)
}

/// A metric's history in those runs, sampled.
pub(super) async fn sampled(
    visit: &Visit,
    run_ids: Vec<String>,
    key: &str,
) -> Result<Vec<(String, Vec<Step>)>, Error> {
    let wanted =
        SampleQuery { run_ids, key: key.to_owned(), limit: Some(POINTS), ..SampleQuery::default() };
    let found = visit.app.sample_metric_histories(&visit.caller, wanted).await?;
    let step = |p: viaduct_app::mlflow::Point| Step { step: p.step, value: p.value };
    Ok(found.into_iter().map(|(id, points)| (id, points.into_iter().map(step).collect())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_mlflows() {
        let order = |order: &str| {
            let asked = Asked {
                filter: String::new(),
                view: "active",
                order: order.to_owned(),
                columns: Vec::new(),
            };
            asked.order_by().first().cloned().unwrap_or_default()
        };
        assert_eq!(order("-metrics.val auc"), "metrics.`val auc` DESC");
        assert_eq!(order("params.a.b"), "params.`a.b` ASC");
        assert_eq!(order("-attributes.start_time"), "attributes.start_time DESC");
        assert_eq!(order(""), "");
    }

    #[test]
    fn times_taken() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        assert_eq!(took(at(0), at(2)), "2.0 s");
        assert_eq!(took(at(0), at(600)), "10 min");
        assert_eq!(took(at(0), at(7_260)), "2 h 1 min");
        assert_eq!(took(at(9), at(0)), "0 µs");
    }
}
