//! Decisions.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use viaduct_app::App;
use viaduct_base::DecisionId;
use viaduct_domain::permission::Operation;
use viaduct_store::outcome::OutcomeRow;

use crate::extract::{Who, id};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/api/v1/decisions/{decision}",
        Operation::ReadDecision,
        show,
        doc("decisions", "A decision with every report about it"),
    )
}

/// An outcome as JSON.
pub(super) fn outcome(row: &OutcomeRow) -> Value {
    let label: Value = row
        .label_json
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or(Value::Null);
    json!({
        "id": row.id, "status": row.status, "label": label, "value": row.value,
        "occurred_at": row.occurred_at, "observed_at": row.observed_at,
        "received_at": row.received_at, "source": row.source,
    })
}

async fn show(
    State(app): State<App>,
    Who(caller): Who,
    Path(decision): Path<String>,
) -> Result<Json<Value>, Problem> {
    let (row, history) = app.get_decision(&caller, id::<DecisionId>(&decision)?).await?;
    let mut view = json!(row);
    view["outcomes"] = history.iter().map(outcome).collect();
    Ok(Json(view))
}
