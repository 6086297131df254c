//! `metrics/…`: points in and out.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use viaduct_app::App;
use viaduct_app::mlflow::{MetricRow, ModelMetricRow, Point, SampleQuery};
use viaduct_base::Timestamp;
use viaduct_domain::permission::Operation::ReadTracking;
use viaduct_wire::mlflow::{Fields, Malformed, MetricPage, Series};

use super::answer::{Shown, Trouble};
use super::input::{self, Input};
use super::{DOC, show};
use crate::extract::Who;
use crate::routes::Routes;

pub(super) fn routes(prefix: &str) -> Routes {
    let at = |path: &str| format!("{prefix}/metrics/{path}");
    Routes::new()
        .get(
            &at("get-history"),
            ReadTracking,
            get_history,
            DOC.query(&["run_id", "metric_key", "max_results", "page_token"]),
        )
        .get(
            &at("get-history-bulk-interval"),
            ReadTracking,
            get_history_bulk_interval,
            DOC.query(&["run_ids", "metric_key", "start_step", "end_step", "max_results"]),
        )
}

/// Routes of the pages alone.
pub(super) fn routes_of_pages(prefix: &str) -> Routes {
    Routes::new().get(
        &format!("{prefix}/metrics/get-history-bulk"),
        ReadTracking,
        get_history_bulk,
        DOC.query(&["run_id", "metric_key", "max_results"]),
    )
}

/// A point that is logged.
pub(super) fn point(fields: &Fields<'_>) -> Result<MetricRow, Malformed> {
    let millis = fields.required_int("timestamp")?;
    let micros = millis.checked_mul(1000).filter(|micros| *micros >= 0).ok_or_else(|| {
        Malformed(format!(
            "Invalid value {millis} for parameter 'timestamp' supplied: Timestamp must be a \
             nonnegative long (64-bit integer)"
        ))
    })?;
    Ok(MetricRow {
        key: fields.required("key")?,
        value: fields.required_double("value")?,
        at: Timestamp::from_micros(micros),
        step: fields.int("step")?.unwrap_or(0),
    })
}

/// The same point as one of a logged model, when it names one.
pub(super) fn of_model(
    fields: &Fields<'_>,
    metric: &MetricRow,
) -> Result<Option<ModelMetricRow>, Malformed> {
    let Some(model_id) = fields.text("model_id")?.filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    Ok(Some(ModelMetricRow {
        model_id,
        run_id: String::new(),
        metric: metric.clone(),
        dataset_name: fields.text("dataset_name")?,
        dataset_digest: fields.text("dataset_digest")?,
    }))
}

async fn get_history(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Result<Response, Trouble> {
    let fields = input.fields();
    let (run_id, key) = (fields.run_id()?, fields.required("metric_key")?);
    let page = app.get_metric_history(&caller, (&run_id, &key), &input::page(&fields)?).await?;
    let series = Series { key: &key, run_id: None, points: show::points(page.items) };
    let page = MetricPage { metrics: vec![series], next_page_token: page.next };
    Ok(Shown(page).into_response())
}

async fn get_history_bulk(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Result<Response, Trouble> {
    let fields = input.fields();
    let key = fields.text("metric_key")?;
    let run_ids = fields.texts("run_id")?;
    let absent = || Malformed("GetMetricHistoryBulk request must specify a metric_key.".into());
    // Why the runs first: MLflow looks at them first.
    let key = match key {
        Some(key) => key,
        None if run_ids.is_empty() => String::new(),
        None => return Err(absent().into()),
    };
    let limit = fields.int("max_results")?;
    let found = app.get_metric_histories(&caller, run_ids, &key, limit).await?;
    Ok(of_runs(&key, found))
}

async fn get_history_bulk_interval(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Result<Response, Trouble> {
    let fields = input.fields();
    let run_ids = fields.texts("run_ids")?;
    if run_ids.is_empty() {
        return Err(Malformed(
            "Missing value for required parameter 'run_ids'. See the API docs for more \
             information about request parameters."
                .into(),
        )
        .into());
    }
    let wanted = SampleQuery {
        run_ids,
        key: fields.required("metric_key")?,
        start_step: fields.int("start_step")?,
        end_step: fields.int("end_step")?,
        limit: fields.int("max_results")?,
    };
    let key = wanted.key.clone();
    let found = app.sample_metric_histories(&caller, wanted).await?;
    Ok(of_runs(&key, found))
}

fn of_runs(key: &str, found: Vec<(String, Vec<Point>)>) -> Response {
    let series = found.iter().map(|(run_id, points)| Series {
        key,
        run_id: Some(run_id),
        points: show::points(points.clone()),
    });
    Shown(MetricPage { metrics: series.collect(), next_page_token: None }).into_response()
}
