//! KPIs: history, freeze, points.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use viaduct_app::App;
use viaduct_app::kpi::{Frozen, Series};
use viaduct_domain::permission::Operation;

use crate::extract::{Text, Who};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

pub(super) fn routes() -> Routes {
    Routes::new()
        .post(
            "/api/v1/projects/{project}/kpis/{kpi}/history",
            Operation::LoadHistory,
            history,
            doc("KPIs", "Load dated history: a CSV `date,value,n`").takes("text/csv"),
        )
        .post(
            "/api/v1/projects/{project}/kpis/{kpi}/freeze",
            Operation::FreezeBaseline,
            freeze,
            doc("KPIs", "Freeze the history: it can be read and not changed any more"),
        )
        .get(
            "/api/v1/projects/{project}/kpis/{kpi}/points",
            Operation::ReadProject,
            points,
            doc("KPIs", "History and computed points"),
        )
        .get(
            "/api/v1/projects/{project}/kpis/{kpi}/points.csv",
            Operation::ReadProject,
            points_csv,
            doc("KPIs", "The same as CSV").gives("text/csv"),
        )
}

async fn history(
    State(app): State<App>,
    Who(caller): Who,
    Path(of): Path<(String, String)>,
    Text(csv): Text,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "points": app.load_history(&caller, of, csv).await? })))
}

async fn freeze(
    State(app): State<App>,
    Who(caller): Who,
    Path(of): Path<(String, String)>,
) -> Result<Json<Frozen>, Problem> {
    Ok(Json(app.freeze_baseline(&caller, of).await?))
}

async fn points(
    State(app): State<App>,
    Who(caller): Who,
    Path(of): Path<(String, String)>,
) -> Result<Json<Series>, Problem> {
    Ok(Json(app.kpi_series(&caller, of).await?))
}

async fn points_csv(
    State(app): State<App>,
    Who(caller): Who,
    Path(of): Path<(String, String)>,
) -> Result<Response, Problem> {
    let series = app.kpi_series(&caller, of).await?;
    let mut text = String::from("date,source,arm,value,n\n");
    for (source, points) in [("history", &series.history), ("computed", &series.points)] {
        for point in points {
            let value = point.value.map(|v| v.to_string()).unwrap_or_default();
            text.push_str(&format!("{},{source},{},{value},{}\n", point.day, point.arm, point.n));
        }
    }
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response())
}
