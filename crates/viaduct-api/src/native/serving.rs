//! What is done to an endpoint: deployed, deleted, killed, drilled; its contract; alerts.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use viaduct_app::App;
use viaduct_app::drill::{DrillKind, DrillView};
use viaduct_app::endpoint::{Demand, Switched, file_of};
use viaduct_base::AlertId;
use viaduct_domain::permission::Operation;
use viaduct_store::serving::AlertRow;

use crate::extract::{Body, OptionalBody, Who, id};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

pub(super) fn routes() -> Routes {
    let routes = Routes::new()
        .post(
            "/api/v1/endpoints",
            Operation::DeployEndpoint,
            deploy,
            doc("endpoints", "Deploy an endpoint that no project owns").body(|| {
                json!({ "type": "object", "required": ["model"], "properties": {
                    "name": { "type": "string" },
                    "model": { "type": "string", "examples": ["churn@champion"] },
                    "entity": { "type": "string" },
                    "keys": { "type": "array", "items": { "type": "string" } },
                    "fallback": { "examples": ["previous", { "action": "call" }] },
                    "business_as_usual": { "type": "object" }, "limits": { "type": "object" },
                    "retention": { "enum": ["full", "hashed", "none"] },
                    "guards": { "type": "array" }, "rollout": { "type": "object" },
                    "on_violation": { "enum": ["refuse", "fallback"] },
                    "contract": { "type": "object" }, "trusted_override": { "type": "boolean" } } })
            }),
        )
        .delete(
            "/api/v1/endpoints/{endpoint}",
            Operation::DeployEndpoint,
            delete,
            doc("endpoints", "Delete an endpoint that no project owns"),
        )
        .post(
            "/api/v1/endpoints/{endpoint}/kill",
            Operation::KillEndpoint,
            kill,
            doc("endpoints", "Kill: no model is asked, the fallback answers").body(|| {
                json!({ "type": "object", "required": ["reason"],
                    "properties": { "reason": { "type": "string" } } })
            }),
        )
        .post(
            "/api/v1/endpoints/{endpoint}/revive",
            Operation::KillEndpoint,
            revive,
            doc("endpoints", "Take the kill switch back"),
        );
    more(routes)
}

fn more(routes: Routes) -> Routes {
    routes
        .get(
            "/api/v1/endpoints/{endpoint}/counts",
            Operation::ReadEndpoint,
            counts,
            doc("endpoints", "What each variant did since it came into service"),
        )
        .get(
            "/api/v1/endpoints/{endpoint}/versions",
            Operation::ReadEndpoint,
            versions,
            doc("endpoints", "Versions that stood behind an endpoint, latest first"),
        )
        .get(
            "/api/v1/endpoints/{endpoint}/contract",
            Operation::ReadEndpoint,
            contracts,
            doc("endpoints", "The endpoint's contracts, the one in force first"),
        )
        .put(
            "/api/v1/endpoints/{endpoint}/contract",
            Operation::DeployEndpoint,
            own_contract,
            doc("endpoints", "Put an ODCS contract in force on an unowned endpoint")
                .body(|| json!({ "type": "object" })),
        )
        .get(
            "/api/v1/endpoints/{endpoint}/consumers",
            Operation::ReadEndpoint,
            consumers,
            doc("endpoints", "The endpoint's consumers with their limits"),
        )
        .delete(
            "/api/v1/endpoints/{endpoint}/consumers/{consumer}",
            Operation::CreateConsumer,
            revoke,
            doc("endpoints", "Revoke a consumer's key"),
        )
        .post(
            "/api/v1/endpoints/{endpoint}/drills",
            Operation::RunDrill,
            drill,
            doc("drills", "Run a drill; answers with its report").body(|| {
                json!({ "type": "object", "required": ["kind"], "properties": {
                    "kind": { "enum": ["schema-change", "rollback", "fallback"] } } })
            }),
        )
        .get(
            "/api/v1/endpoints/{endpoint}/drills",
            Operation::ReadEndpoint,
            drills,
            doc("drills", "An endpoint's drills, latest first"),
        )
        .get("/api/v1/alerts", Operation::ReadEndpoint, alerts, doc("alerts", "Latest alerts"))
        .post(
            "/api/v1/alerts/{alert}/close",
            Operation::CloseAlert,
            close_alert,
            doc("alerts", "Close an alert: it is dealt with"),
        )
}

async fn deploy(
    State(app): State<App>,
    Who(caller): Who,
    Body(body): Body<Value>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let done = app.deploy_endpoint(&caller, file_of(&body)?, Demand::Model).await?;
    let status = if done.created { StatusCode::CREATED } else { StatusCode::OK };
    let mut view = json!(done.endpoint);
    view["created"] = json!(done.created);
    view["changed"] = json!(done.changed);
    Ok((status, Json(view)))
}

async fn delete(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    app.delete_endpoint(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kill {
    reason: String,
}

async fn kill(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
    Body(body): Body<Kill>,
) -> Result<Json<Switched>, Problem> {
    Ok(Json(app.kill_endpoint(&caller, &name, &body.reason).await?))
}

async fn revive(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
    OptionalBody(_): OptionalBody<Value>,
) -> Result<Json<Switched>, Problem> {
    Ok(Json(app.revive_endpoint(&caller, &name).await?))
}

async fn counts(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": app.endpoint_counts(&caller, &name)? })))
}

async fn versions(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": app.endpoint_versions(&caller, &name).await? })))
}

async fn contracts(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": app.list_endpoint_contracts(&caller, &name).await? })))
}

async fn own_contract(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
    Body(document): Body<Value>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": app.own_endpoint_contract(&caller, &name, document).await? })))
}

async fn consumers(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": app.list_consumers(&caller, &name).await? })))
}

async fn revoke(
    State(app): State<App>,
    Who(caller): Who,
    Path((name, consumer)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    app.revoke_consumer(&caller, &name, &consumer).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Drill {
    kind: DrillKind,
}

async fn drill(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
    Body(body): Body<Drill>,
) -> Result<(StatusCode, Json<DrillView>), Problem> {
    Ok((StatusCode::CREATED, Json(app.run_drill(&caller, &name, body.kind).await?)))
}

async fn drills(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": app.list_drills(&caller, &name).await? })))
}

async fn alerts(State(app): State<App>, Who(caller): Who) -> Result<Json<Value>, Problem> {
    let rows = app.list_alerts(&caller).await?;
    Ok(Json(json!({ "items": rows.iter().map(alert_view).collect::<Vec<_>>() })))
}

async fn close_alert(
    State(app): State<App>,
    Who(caller): Who,
    Path(alert): Path<String>,
    OptionalBody(_): OptionalBody<Value>,
) -> Result<StatusCode, Problem> {
    app.close_alert(&caller, id::<AlertId>(&alert)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn alert_view(row: &AlertRow) -> Value {
    json!({
        "id": row.id,
        "kind": row.kind,
        "endpoint_id": row.endpoint_id,
        "project": row.project_id,
        "subject": row.subject,
        "detail": row.detail,
        "advice": row.advice,
        "for": row.for_whom,
        "drill": row.is_drill,
        "raised_at": row.raised_at,
        "seen_at": row.seen_at,
        "count": row.seen_count,
        "closed_at": row.closed_at,
    })
}
