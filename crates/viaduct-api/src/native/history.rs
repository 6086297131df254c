//! Who changed what on a run, model, alias or tag.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use viaduct_app::App;
use viaduct_domain::permission::Operation;

use crate::extract::{Query, Who};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/api/v1/history",
        Operation::ReadTracking,
        history,
        doc("tracking", "Who changed what on a run, model, alias or tag, newest first")
            .query(&["subject", "before", "limit"]),
    )
}

#[derive(Deserialize)]
struct Wanted {
    subject: String,
    before: Option<String>,
    limit: Option<usize>,
}

async fn history(
    State(app): State<App>,
    Who(caller): Who,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Problem> {
    let part = (wanted.before.as_deref(), wanted.limit);
    let page = app.list_changes(&caller, &wanted.subject, part).await?;
    let show = |row: viaduct_app::mlflow::ChangeRow| {
        json!({
            "id": row.id,
            "at": row.at.to_string(),
            "actor": { "kind": row.actor_kind, "name": row.actor_name },
            "verb": row.verb,
            "change": serde_json::from_str::<Value>(&row.change_json).unwrap_or_default(),
        })
    };
    let changes: Vec<Value> = page.items.into_iter().map(show).collect();
    Ok(Json(json!({ "subject": wanted.subject, "changes": changes, "next": page.next })))
}
