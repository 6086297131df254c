//! Health, metrics, the clock, jobs, the audit trail.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use viaduct_app::App;
use viaduct_app::clock::ClockView;
use viaduct_base::{Kind, Refusal, Span, Timestamp};
use viaduct_domain::permission::Operation;

use crate::extract::{Body, Query, Who};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/healthz",
            Operation::Health,
            healthz,
            doc("platform", "The process lives").gives("text/plain"),
        )
        .get("/readyz", Operation::Health, readyz, doc("platform", "Requests are answered"))
        .get(
            "/metrics",
            Operation::Metrics,
            metrics,
            doc("platform", "Metrics").gives("application/openmetrics-text"),
        )
        .get("/api/v1/clock", Operation::ReadClock, clock, doc("platform", "What the clock says"))
        .post(
            "/api/v1/clock/advance",
            Operation::AdvanceClock,
            advance,
            doc("platform", "Advance the simulated clock; answers when the queue is quiet").body(
                || {
                    json!({ "type": "object", "properties": {
                        "by": { "type": "string", "examples": ["P1D"] },
                        "to": { "type": "string", "format": "date-time" } } })
                },
            ),
        )
        .get("/api/v1/jobs", Operation::ReadJobs, jobs, doc("platform", "Jobs, latest first"))
        .get(
            "/api/v1/audit",
            Operation::ReadAudit,
            audit,
            doc("platform", "The audit trail, newest first").query(&["project", "limit"]),
        )
}

async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 as soon as the snapshot is loaded: what is missing beside stands in the body.
async fn readyz(State(app): State<App>) -> Response {
    let gateway = app.gateway().readiness();
    let mut degraded = gateway.degraded;
    let probe = app.store().read("ready", |tx| {
        viaduct_store::workspace::find_by_name(tx, viaduct_store::workspace::DEFAULT)
    });
    match tokio::time::timeout(std::time::Duration::from_secs(2), probe).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            // Why not in the answer: everybody may ask, and it names hosts and users.
            tracing::warn!(%error, "the database does not answer");
            degraded.push("the database does not answer: the server's log says why".to_owned());
        }
        Err(_) => degraded.push("the database does not answer within 2 s".to_owned()),
    }
    let code = if gateway.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "ready": gateway.ready, "degraded": degraded, "clock": app.clock_kind(),
        "version": env!("CARGO_PKG_VERSION") });
    (code, Json(body)).into_response()
}

async fn metrics(State(app): State<App>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics_page(&app).await).into_response()
}

/// Every number of the server, in the OpenMetrics text format.
pub async fn metrics_page(app: &App) -> String {
    let mut text = String::new();
    app.gateway().write_metrics(&mut text);
    let stats = app.store().stats();
    for (name, kind, help, value) in [
        ("viaduct_store_commands", "counter", "Writes taken from the queue.", stats.commands),
        ("viaduct_store_commits", "counter", "Commits that they shared.", stats.commits),
        ("viaduct_store_retries", "counter", "Writes that were repeated.", stats.retries),
        ("viaduct_store_reads", "counter", "Reads.", stats.reads),
        ("viaduct_store_waiting", "gauge", "Writes that wait now.", stats.waiting),
    ] {
        let suffix = if kind == "counter" { "_total" } else { "" };
        text.push_str(&format!(
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{suffix} {value}\n"
        ));
    }
    if let Ok(counts) = app.store().read("count_jobs", viaduct_store::job::counts).await {
        text.push_str("# HELP viaduct_jobs Jobs by state.\n# TYPE viaduct_jobs gauge\n");
        for (state, n) in
            [("waiting", counts.waiting), ("running", counts.running), ("parked", counts.parked)]
        {
            text.push_str(&format!("viaduct_jobs{{state=\"{state}\"}} {n}\n"));
        }
    }
    if let Some(telemetry) = app.telemetry() {
        telemetry.write_metrics(&mut text);
    }
    text.push_str("# EOF\n");
    text
}

async fn clock(State(app): State<App>, Who(caller): Who) -> Result<Json<ClockView>, Problem> {
    Ok(Json(app.read_clock(&caller)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    by: Option<Span>,
    to: Option<Timestamp>,
}

async fn advance(
    State(app): State<App>,
    Who(caller): Who,
    Body(body): Body<Advance>,
) -> Result<Json<ClockView>, Problem> {
    let to = match (body.by, body.to) {
        (Some(by), None) => app.now() + by,
        (None, Some(to)) => to,
        _ => {
            let detail = "give either `by`, such as `P1D`, or `to`, such as `2026-01-31T00:00:00Z`";
            return Err(Refusal::new(Kind::InvalidInput, detail).into());
        }
    };
    Ok(Json(app.advance_clock(&caller, to).await?))
}

async fn jobs(State(app): State<App>, Who(caller): Who) -> Result<Json<Value>, Problem> {
    let (rows, counts) = app.list_jobs(&caller).await?;
    let items: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({ "id": row.id, "kind": row.kind, "created_at": row.created_at,
                "run_at": row.run_at, "attempts": row.attempts, "attempts_max": row.attempts_max,
                "last_error": row.last_error, "completed_at": row.completed_at,
                "parked_at": row.parked_at })
        })
        .collect();
    Ok(Json(json!({ "items": items, "waiting": counts.waiting, "running": counts.running,
        "parked": counts.parked })))
}

#[derive(Deserialize)]
struct AuditQuery {
    project: Option<String>,
    limit: Option<i64>,
}

async fn audit(
    State(app): State<App>,
    Who(caller): Who,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Value>, Problem> {
    let limit = query.limit.unwrap_or(100).clamp(1, 1_000);
    let rows = app.list_audit(&caller, query.project, limit).await?;
    let items: Vec<Value> = rows
        .iter()
        .map(|entry| {
            let row = &entry.row;
            let detail: Value = serde_json::from_str(&row.detail_json).unwrap_or_default();
            json!({ "seq": entry.seq, "hash": entry.hash, "id": row.id, "at": row.at,
                "clock": row.clock, "actor": row.actor_name, "action": row.action,
                "object_kind": row.object_kind, "object_id": row.object_id,
                "project": row.project_id, "detail": detail })
        })
        .collect();
    Ok(Json(json!({ "items": items })))
}
