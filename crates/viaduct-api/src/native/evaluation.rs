//! Gates: the evaluation now, stored ones, facts.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use viaduct_app::App;
use viaduct_app::gate::StoredEvaluation;
use viaduct_base::{EvaluationId, Kind, Refusal};
use viaduct_domain::evaluate::{CriterionResult, Evaluation};
use viaduct_domain::fact::FactValue;
use viaduct_domain::permission::Operation;

use crate::extract::{Query, Who};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/api/v1/projects/{project}/gate",
            Operation::ReadProject,
            gate,
            doc("gates", "The next gate, evaluated now from stored facts"),
        )
        .get(
            "/api/v1/projects/{project}/facts",
            Operation::ReadProject,
            facts,
            doc("gates", "A project's facts, newest first").query(&["limit"]),
        )
        .get(
            "/api/v1/projects/{project}/evaluations",
            Operation::ReadProject,
            evaluations,
            doc("gates", "A project's stored evaluations, newest first").query(&["limit"]),
        )
        .get(
            "/api/v1/evaluations/{evaluation}",
            Operation::ReadProject,
            evaluation,
            doc("gates", "One stored evaluation with its hash"),
        )
}

#[derive(Deserialize)]
struct Limit {
    limit: Option<i64>,
}

impl Limit {
    fn get(&self) -> i64 {
        self.limit.unwrap_or(100).clamp(1, 1_000)
    }
}

async fn gate(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let view = app.evaluate_gate(&caller, &name).await?;
    Ok(Json(json!({
        "evaluation": flattened(&view.evaluation),
        "hash": view.hash,
        "review": view.review,
    })))
}

/// An evaluation with each criterion's worst check at its top, for scripts and tables.
fn flattened(evaluation: &Evaluation) -> Value {
    let mut out = json!(evaluation);
    out["results"] = evaluation.results.iter().map(row).collect();
    out
}

fn row(result: &CriterionResult) -> Value {
    let mut out = json!(result);
    out["criterion"] = json!(result.id);
    let Some(worst) = result.worst() else { return out };
    out["value"] = match worst.value {
        Some(FactValue::Scalar { value }) => json!(value),
        Some(FactValue::Flag { value }) => json!(value),
        Some(ref interval) => json!(interval),
        None => Value::Null,
    };
    out["threshold"] = json!(worst.threshold);
    out["n"] = json!(worst.n);
    out["min_n"] = json!(worst.min_n);
    out["window"] = json!(worst.window);
    out["producer"] = json!(worst.producer);
    out["observed_at"] = json!(worst.observed_at);
    out["provenance"] = json!(worst.provenance);
    out["note"] = json!(worst.note);
    out["distance"] = match &worst.distance {
        Some(distance) => json!(distance),
        None => json!({ "sentence": result.sentence }),
    };
    out
}

async fn facts(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
    Query(limit): Query<Limit>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": app.list_facts(&caller, &name, limit.get()).await? })))
}

async fn evaluations(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
    Query(limit): Query<Limit>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": app.list_evaluations(&caller, &name, limit.get()).await? })))
}

async fn evaluation(
    State(app): State<App>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Result<Json<StoredEvaluation>, Problem> {
    let id: EvaluationId = id
        .parse()
        .map_err(|e: viaduct_base::InvalidId| Refusal::new(Kind::NotFound, e.to_string()))?;
    Ok(Json(app.get_evaluation(&caller, id).await?))
}
