//! Endpoints and their consumers.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use viaduct_app::App;
use viaduct_app::endpoint::{ConsumerLimits, EndpointView};
use viaduct_base::Name;
use viaduct_domain::permission::Operation;

use crate::extract::{Body, Who};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/api/v1/endpoints", Operation::ReadEndpoint, list, doc("endpoints", "List endpoints"))
        .get(
            "/api/v1/endpoints/{endpoint}",
            Operation::ReadEndpoint,
            show,
            doc("endpoints", "Show an endpoint with its traffic"),
        )
        .get(
            "/api/v1/endpoints/{endpoint}/traffic.csv",
            Operation::ReadEndpoint,
            traffic_csv,
            doc("endpoints", "Decisions and refused requests by day as CSV").gives("text/csv"),
        )
        .post(
            "/api/v1/endpoints/{endpoint}/consumers",
            Operation::CreateConsumer,
            create_consumer,
            doc("endpoints", "Give a consumer its key; it is shown this once").body(|| {
                json!({ "type": "object", "required": ["name"],
                    "properties": { "name": { "type": "string" },
                        "rate_per_second": { "type": "number" }, "burst": { "type": "integer" },
                        "quota_per_day": { "type": "integer" } } })
            }),
        )
}

async fn list(State(app): State<App>, Who(caller): Who) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": app.list_endpoints(&caller).await? })))
}

async fn show(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<Json<EndpointView>, Problem> {
    Ok(Json(app.get_endpoint(&caller, &name).await?))
}

async fn traffic_csv(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let mut text = String::from("date,decisions,refused\n");
    for day in app.get_endpoint(&caller, &name).await?.days {
        text.push_str(&format!("{},{},{}\n", day.day, day.decisions, day.refused));
    }
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewConsumer {
    name: Name,
    rate_per_second: Option<f64>,
    burst: Option<u32>,
    quota_per_day: Option<u64>,
}

async fn create_consumer(
    State(app): State<App>,
    Who(caller): Who,
    Path(endpoint): Path<String>,
    Body(body): Body<NewConsumer>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let limits = ConsumerLimits {
        rate_per_second: body.rate_per_second,
        burst: body.burst,
        quota_per_day: body.quota_per_day,
    };
    let made = app.create_consumer(&caller, &endpoint, body.name, limits).await?;
    let mut view = json!(made);
    view["key"] = json!(made.key.expose());
    Ok((StatusCode::CREATED, Json(view)))
}
