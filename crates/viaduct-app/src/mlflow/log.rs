//! What a run logs: metrics, params, tags, one by one or in a batch; and a metric's history.

use std::collections::BTreeSet;

use viaduct_base::Error;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::mlflow::metric::{self, MetricRow};
use viaduct_store::mlflow::{Pair, pair};
use viaduct_store::{Scope, Tx};

use super::page::{Page, PageRequest};
use super::{invalid, limits, missing, run};
use crate::App;

/// MLflow's page of a metric's points, and its largest.
const HISTORY_PAGE: usize = 25_000;

/// What is logged at once: all of it, or nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Points of metrics.
    pub metrics: Vec<MetricRow>,
    /// Params.
    pub params: Vec<Pair>,
    /// Tags.
    pub tags: Vec<Pair>,
}

impl Batch {
    fn check(&self) -> Result<Self, Error> {
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
        let twice: Vec<&str> = self
            .params
            .iter()
            .filter(|param| !seen.insert(param.key.as_str()))
            .map(|param| param.key.as_str())
            .collect();
        if !twice.is_empty() {
            return Err(invalid(format!(
                "Duplicate parameter keys have been submitted: {twice:?}. Please ensure the \
                 request contains only one param value per param key."
            )));
        }
        Ok(Self {
            metrics: self.metrics.clone(),
            params: self.params.iter().map(limits::param).collect::<Result<_, _>>()?,
            tags: self.tags.iter().map(limits::run_tag).collect::<Result<_, _>>()?,
        })
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
        self.store()
            .write("log_batch", move |tx| {
                run::find_active(tx, &scope, &run_id)?;
                for param in &batch.params {
                    log_param(tx, &scope, &run_id, param)?;
                }
                for point in &batch.metrics {
                    metric::log(tx, &scope, &run_id, point)?;
                }
                for tag in &batch.tags {
                    pair::set_run_tag(tx, &scope, &run_id, tag)?;
                }
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
        self.store()
            .write("delete_run_tag", move |tx| {
                run::find_active(tx, &scope, &run_id)?;
                if pair::delete_run_tag(tx, &scope, &run_id, &key)? {
                    return Ok(());
                }
                Err(missing(format!("No tag with name: {key} in run with id {run_id}")))
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
    ) -> Result<Page<MetricRow>, Error> {
        let scope = self.authorise(caller, Operation::ReadTracking)?;
        let window = page.check(HISTORY_PAGE, HISTORY_PAGE)?;
        let (run_id, key) = (run_id.to_owned(), key.to_owned());
        self.store()
            .read("get_metric_history", move |tx| {
                run::find(tx, &scope, &run_id)?;
                let from = i64::try_from(window.offset).unwrap_or(i64::MAX);
                let part = (window.limit as i64 + 1, from);
                Ok(window.of_found(metric::history(tx, &scope, (&run_id, &key), part)?))
            })
            .await
    }
}

/// The same param twice is one; another value is refused.
fn log_param(tx: &mut Tx, scope: &Scope, run_id: &str, param: &Pair) -> Result<(), Error> {
    match pair::find_param(tx, scope, run_id, &param.key)? {
        None => Ok(pair::insert_param(tx, scope, run_id, param)?),
        Some(logged) if logged.value == param.value => Ok(()),
        Some(logged) => Err(invalid(format!(
            "Changing param values is not allowed. Param with key='{}' was already logged with \
             value='{}' for run ID='{run_id}'. Attempted logging new value '{}'.",
            param.key, logged.value, param.value
        ))),
    }
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
