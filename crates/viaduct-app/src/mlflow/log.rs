//! What a run logs: metrics, params, tags, one by one or in a batch; and a metric's history.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use viaduct_base::Error;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::mlflow::Pair;
use viaduct_store::mlflow::metric::{self, MetricRow, Point};
use viaduct_store::mlflow::model_metric::{self, ModelMetricRow};
use viaduct_store::mlflow::pair::{self, RunPairs};
use viaduct_store::mlflow::run::{self as rows, RunRow};
use viaduct_store::{Foresight, Scope, StoreError, Tx};

use super::change::{self, Note};
use super::page::{Page, PageRequest};
use super::{invalid, limits, missing, run};
use crate::App;

/// MLflow's page of a metric's points, and its largest.
const HISTORY_PAGE: usize = 25_000;
/// Runs of one chart, and points of each run in it.
const RUNS_MAX: usize = 100;
const SAMPLE_MAX: usize = 2500;

/// What is logged at once: all of it, or nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Points of metrics.
    pub metrics: Vec<MetricRow>,
    /// Params.
    pub params: Vec<Pair>,
    /// Tags; of one key the last counts.
    pub tags: Vec<Pair>,
    /// Points that were measured of logged models, of this run whatever they say.
    pub of_models: Vec<ModelMetricRow>,
}

impl Batch {
    fn check(mut self) -> Result<Self, Error> {
        for (what, count, max) in [
            ("metrics", self.metrics.len(), limits::BATCH_METRICS_MAX),
            ("params", self.params.len(), limits::BATCH_PAIRS_MAX),
            ("tags", self.tags.len(), limits::BATCH_PAIRS_MAX),
        ] {
            if count > max {
                return Err(invalid(format!(
                    "A batch logging request can contain at most {max} {what}. Got {count} \
                     {what}. Please split up {what} across multiple requests and try again."
                )));
            }
        }
        let total = self.metrics.len() + self.params.len() + self.tags.len();
        let max = limits::BATCH_ITEMS_MAX;
        if total > max {
            return Err(invalid(format!(
                "A batch logging request can contain at most {max} params, tags, and metrics. Got \
                 {total}. Please split up params, tags, and metrics across multiple requests and \
                 try again."
            )));
        }
        self.metrics.iter().try_for_each(|m| limits::metric_key(&m.key))?;
        let mut seen = BTreeSet::new();
        let keys = self.params.iter().map(|param| param.key.as_str());
        let twice: Vec<&str> = keys.filter(|key| !seen.insert(*key)).collect();
        if !twice.is_empty() {
            return Err(invalid(format!(
                "Duplicate parameter keys have been submitted: {twice:?}. Please ensure the \
                 request contains only one param value per param key."
            )));
        }
        let mut tags: Vec<Pair> = Vec::with_capacity(self.tags.len());
        for tag in &self.tags {
            let tag = limits::run_tag(tag)?;
            match tags.iter_mut().find(|known| known.key == tag.key) {
                Some(known) => *known = tag,
                None => tags.push(tag),
            }
        }
        self.params = self.params.iter().map(limits::param).collect::<Result<_, _>>()?;
        self.tags = tags;
        Ok(self)
    }
}

impl App {
    /// Logs metrics, params and tags of an active run: all of them, or none.
    ///
    /// # Errors
    /// `not-found`; `invalid-input` for a deleted run, a param that has another value already, or
    /// keys and counts that MLflow does not take.
    pub async fn log_batch(
        &self,
        caller: &Caller,
        run_id: &str,
        batch: Batch,
    ) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::WriteTracking)?;
        let batch = batch.check()?;
        let run_id = run_id.to_owned();
        let (caller, now) = (caller.clone(), self.now());
        let foresight = foresight(&scope, &run_id, &batch);
        self.store()
            .write_with("log_batch", foresight, move |tx| {
                // Why all questions first: a change forgets what was foreseen.
                let row = run::find_active(tx, &scope, &run_id)?;
                let before = Before::of(tx, &scope, &run_id, &batch)?;
                let owner = (row.run_id.as_str(), row.experiment_id.as_str());
                let params = log_params(tx, &scope, owner, (&before.params, &batch.params))?;
                metric::log_many(tx, &scope, owner, &batch.metrics)?;
                for measured in &batch.of_models {
                    let measured = ModelMetricRow { run_id: run_id.clone(), ..measured.clone() };
                    model_metric::insert(tx, &scope, &row.experiment_id, &measured)?;
                }
                let tags = set_tags(tx, &scope, &row, (&before.tags, &batch.tags))?;
                if params.is_none() && tags.is_none() {
                    return Ok(());
                }
                let change = json!({ "params": params, "tags": tags });
                let note = Note { kind: "run", id: &run_id, verb: "logged", change };
                change::note(tx, &scope, (&caller, now), &note)?;
                Ok(())
            })
            .await
    }

    /// Deletes a tag of an active run.
    ///
    /// # Errors
    /// `not-found` for the run or the tag; `invalid-input` for a deleted run.
    pub async fn delete_run_tag(
        &self,
        caller: &Caller,
        run_id: &str,
        key: &str,
    ) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::WriteTracking)?;
        let (run_id, key) = (run_id.to_owned(), key.to_owned());
        let (caller, now) = (caller.clone(), self.now());
        self.store()
            .write("delete_run_tag", move |tx| {
                run::find_active(tx, &scope, &run_id)?;
                let before = pair::among(tx, &scope, (&run_id, RunPairs::Tags), &[&key])?;
                let Some(old) = before.first() else {
                    return Err(missing(format!(
                        "No tag with name: {key} in run with id {run_id}"
                    )));
                };
                pair::delete_run_tag(tx, &scope, &run_id, &key)?;
                let change = json!({ &key: { "before": change::shown(&old.value) } });
                let note = Note { kind: "run", id: &run_id, verb: "tag.deleted", change };
                change::note(tx, &scope, (&caller, now), &note)?;
                Ok(())
            })
            .await
    }

    /// A page of a metric's points in order of time.
    ///
    /// # Errors
    /// `not-found` for the run; `invalid-input` for a bad page.
    pub async fn get_metric_history(
        &self,
        caller: &Caller,
        (run_id, key): (&str, &str),
        page: &PageRequest,
    ) -> Result<Page<Point>, Error> {
        let scope = self.authorise(caller, Operation::ReadTracking)?;
        let window = page.check(HISTORY_PAGE, HISTORY_PAGE)?;
        let (run_id, key) = (run_id.to_owned(), key.to_owned());
        self.store()
            .read("get_metric_history", move |tx| {
                run::find(tx, &scope, &run_id)?;
                let part = (window.limit, window.offset);
                let part = metric::history(tx, &scope, (&run_id, &key), part)?;
                Ok(window.of_part(part.points, part.more))
            })
            .await
    }

    /// A metric's points in several runs, run by run and at most `limit` of all.
    ///
    /// # Errors
    /// `invalid-input` for no runs or too many. Runs that are not there have no points.
    pub async fn get_metric_histories(
        &self,
        caller: &Caller,
        mut run_ids: Vec<String>,
        key: &str,
        limit: Option<i64>,
    ) -> Result<Vec<(String, Vec<Point>)>, Error> {
        let scope = self.authorise(caller, Operation::ReadTracking)?;
        if run_ids.is_empty() {
            return Err(invalid("GetMetricHistoryBulk request must specify at least one run_id."));
        }
        check_runs(&run_ids, "GetMetricHistoryBulk request cannot specify more than")?;
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.unwrap_or(HISTORY_PAGE).min(HISTORY_PAGE);
        run_ids.sort();
        run_ids.dedup();
        let key = key.to_owned();
        self.store()
            .read("get_metric_histories", move |tx| {
                let (mut left, mut all) = (limit, Vec::new());
                for run_id in &run_ids {
                    let part = metric::history(tx, &scope, (run_id, &key), (left, 0))?;
                    left -= part.points.len();
                    all.push((run_id.clone(), part.points));
                    if left == 0 {
                        break;
                    }
                }
                Ok::<_, Error>(all)
            })
            .await
    }

    /// At most `limit` points of a metric in each of several runs, evenly picked.
    ///
    /// # Errors
    /// `not-found` for a run; `invalid-input` for too many runs or points.
    pub async fn sample_metric_histories(
        &self,
        caller: &Caller,
        wanted: SampleQuery,
    ) -> Result<Vec<(String, Vec<Point>)>, Error> {
        let scope = self.authorise(caller, Operation::ReadTracking)?;
        check_runs(&wanted.run_ids, "GetMetricHistoryBulkInterval request must specify at most")?;
        let limit = wanted.limit.unwrap_or(SAMPLE_MAX as i64);
        let limit = usize::try_from(limit).ok().filter(|limit| (1..=SAMPLE_MAX).contains(limit));
        let limit = limit
            .ok_or_else(|| invalid(format!("max_results must be between 1 and {SAMPLE_MAX}.")))?;
        let steps = match (wanted.start_step, wanted.end_step) {
            (None, None) => i64::MIN..=i64::MAX,
            (Some(start), Some(end)) if start > end => {
                return Err(invalid(format!(
                    "end_step must be greater than start_step. Found start_step={start} and \
                     end_step={end}."
                )));
            }
            (Some(start), Some(end)) => start..=end,
            _ => {
                return Err(invalid(
                    "If either start step or end step are specified, both must be specified.",
                ));
            }
        };
        self.store()
            .read("sample_metric_histories", move |tx| {
                let mut all = Vec::new();
                for run_id in &wanted.run_ids {
                    run::find(tx, &scope, run_id)?;
                    let mut points = metric::points(tx, &scope, (run_id, &wanted.key))?;
                    points.retain(|point| steps.contains(&point.step));
                    all.push((run_id.clone(), metric::sample(&mut points, limit)));
                }
                Ok(all)
            })
            .await
    }
}

/// Charts of a metric: which runs, which steps, how many points.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SampleQuery {
    /// The runs.
    pub run_ids: Vec<String>,
    /// The metric.
    pub key: String,
    /// From this step on; both or neither.
    pub start_step: Option<i64>,
    /// To this step.
    pub end_step: Option<i64>,
    /// Points of each run.
    pub limit: Option<i64>,
}

fn check_runs(run_ids: &[String], said: &str) -> Result<(), Error> {
    if run_ids.len() <= RUNS_MAX {
        return Ok(());
    }
    Err(invalid(format!("{said} {RUNS_MAX} run_ids. Received {} run_ids.", run_ids.len())))
}

/// Params and tags that a batch finds of its keys.
struct Before {
    params: Vec<Pair>,
    tags: Vec<Pair>,
}

impl Before {
    fn of(tx: &mut Tx, scope: &Scope, run_id: &str, batch: &Batch) -> Result<Self, StoreError> {
        let params = pair::among(tx, scope, (run_id, RunPairs::Params), &keys(&batch.params))?;
        let tags = pair::among(tx, scope, (run_id, RunPairs::Tags), &keys(&batch.tags))?;
        Ok(Self { params, tags })
    }
}

/// What [`App::log_batch`] asks.
fn foresight(scope: &Scope, run_id: &str, batch: &Batch) -> Foresight {
    let mut questions = vec![rows::finding(scope, run_id)];
    for (of, pairs) in [(RunPairs::Params, &batch.params), (RunPairs::Tags, &batch.tags)] {
        if !pairs.is_empty() {
            questions.push(pair::asking_among(scope, (run_id, of), &keys(pairs)));
        }
    }
    Foresight::new(run_id, questions)
}

fn keys(pairs: &[Pair]) -> Vec<&str> {
    pairs.iter().map(|pair| pair.key.as_str()).collect()
}

/// The same param twice is one; another value is refused. Answers what is new.
fn log_params(
    tx: &mut Tx,
    scope: &Scope,
    owner: (&str, &str),
    (before, params): (&[Pair], &[Pair]),
) -> Result<Option<Value>, Error> {
    for param in params {
        let logged = before.iter().find(|old| old.key == param.key);
        if let Some(logged) = logged.filter(|old| old.value != param.value) {
            return Err(invalid(format!(
                "Changing param values is not allowed. Param with key='{}' was already logged with \
                 value='{}' for run ID='{}'. Attempted logging new value '{}'.",
                param.key, logged.value, owner.0, param.value
            )));
        }
    }
    let new = |param: &&Pair| before.iter().all(|old| old.key != param.key);
    let added: Vec<Pair> = params.iter().filter(new).cloned().collect();
    pair::insert_params(tx, scope, owner, &added)?;
    Ok(change::of_pairs(before, params))
}

/// Sets tags; the tag of the name names the run. Answers what changed.
fn set_tags(
    tx: &mut Tx,
    scope: &Scope,
    row: &RunRow,
    (before, tags): (&[Pair], &[Pair]),
) -> Result<Option<Value>, StoreError> {
    pair::set_run_tags(tx, scope, (&row.run_id, &row.experiment_id), tags)?;
    let named = tags.iter().find(|tag| tag.key == run::NAME_TAG && tag.value != row.name);
    if let Some(tag) = named {
        let renamed = RunRow { name: tag.value.clone(), ..row.clone() };
        rows::update(tx, scope, &renamed)?;
    }
    Ok(change::of_pairs(before, tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str) -> Pair {
        Pair { key: key.into(), value: "v".repeat(9000) }
    }

    #[test]
    fn batches() {
        let many: Vec<Pair> = (0..101).map(|i| pair(&format!("k{i}"))).collect();
        let over = Batch { params: many.clone(), ..Batch::default() };
        assert!(over.check().unwrap_err().to_string().contains("at most 100 params"));
        let over = Batch { tags: many, ..Batch::default() };
        assert!(over.check().unwrap_err().to_string().contains("at most 100 tags"));
        let twice = Batch { params: vec![pair("a"), pair("a")], ..Batch::default() };
        assert!(twice.check().unwrap_err().to_string().contains("Duplicate parameter keys"));
        let long = Batch { params: vec![pair("a")], tags: vec![pair("b")], ..Batch::default() };
        let kept = long.check().unwrap();
        assert_eq!((kept.params[0].value.len(), kept.tags[0].value.len()), (6000, 8000));
    }
}
