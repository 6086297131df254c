//! Projects: apply, list, show, delete, end, collect, reproduce.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use viaduct_app::App;
use viaduct_app::project::{Applied, End, Project, ProjectSummary};
use viaduct_base::{Kind, Refusal};
use viaduct_domain::permission::Operation;
use viaduct_domain::stage::ShelveCause;
use viaduct_domain::stage::State::{Clear, Frozen};

use crate::extract::{Body, Query, Text, Who};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

pub(super) fn routes() -> Routes {
    Routes::new()
        .post(
            "/api/v1/apply",
            Operation::ApplyProject,
            apply,
            doc("projects", "Apply a file of a project or of an endpoint; with `dry_run=true` only compare")
                .query(&["dry_run"])
                .takes("application/yaml"),
        )
        .get("/api/v1/projects", Operation::ReadProject, list, doc("projects", "List projects"))
        .get(
            "/api/v1/projects/{project}",
            Operation::ReadProject,
            show,
            doc("projects", "Show a project with its file and standing"),
        )
        .delete(
            "/api/v1/projects/{project}",
            Operation::DeleteProject,
            delete,
            doc("projects", "Delete a project that is still a concept"),
        )
        .post(
            "/api/v1/projects/{project}/shelve",
            Operation::ShelveProject,
            shelve,
            doc("projects", "Shelve a project with a cause").body(|| {
                json!({ "type": "object", "required": ["cause", "note"], "properties": {
                    "cause": { "enum": ShelveCause::ALL.iter().map(|c| c.as_str()).collect::<Vec<_>>() },
                    "note": { "type": "string" } } })
            }),
        )
        .post(
            "/api/v1/projects/{project}/retire",
            Operation::ShelveProject,
            retire,
            doc("projects", "Retire a project").body(note),
        )
        .post(
            "/api/v1/projects/{project}/freeze",
            Operation::FreezeProject,
            freeze,
            doc("projects", "Freeze: the endpoint answers business as usual at once").body(note),
        )
        .post(
            "/api/v1/projects/{project}/thaw",
            Operation::FreezeProject,
            thaw,
            doc("projects", "Thaw a frozen project").body(note),
        )
        .post(
            "/api/v1/projects/{project}/collect",
            Operation::CollectFacts,
            collect,
            doc("gates", "Measure every fact now; answers with the latest facts"),
        )
        .post(
            "/api/v1/projects/{project}/reproduce",
            Operation::ReproduceModel,
            reproduce,
            doc("gates", "Train the bound model again in a clean place (M2)"),
        )
        .get(
            "/api/v1/projects/{project}/decisions",
            Operation::ReadDecision,
            decisions,
            doc("decisions", "The project's latest decisions").query(&["limit"]),
        )
}

fn note() -> Value {
    json!({ "type": "object", "required": ["note"], "properties": { "note": { "type": "string" } } })
}

#[derive(Deserialize)]
struct ApplyQuery {
    #[serde(default)]
    dry_run: bool,
}

async fn apply(
    State(app): State<App>,
    Who(caller): Who,
    Query(query): Query<ApplyQuery>,
    Text(text): Text,
) -> Result<Json<Value>, Problem> {
    if viaduct_domain::manifest::is_endpoint(&text) {
        return Ok(Json(json!(app.apply_endpoint(&caller, &text, query.dry_run).await?)));
    }
    let applied: Applied = app.apply_project(&caller, text, query.dry_run).await?;
    Ok(Json(json!(applied)))
}

async fn list(State(app): State<App>, Who(caller): Who) -> Result<Json<Value>, Problem> {
    let projects = app.list_projects(&caller).await?;
    let items: Vec<ProjectSummary> = projects.iter().map(ProjectSummary::of).collect();
    Ok(Json(json!({ "items": items })))
}

async fn show(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(view(&app.get_project(&caller, &name).await?)))
}

fn view(project: &Project) -> Value {
    let mut out = json!(ProjectSummary::of(project));
    out["spec"] = json!(project.spec);
    out["manifest"] = json!(project.manifest);
    out["note"] = json!(project.note);
    out["created_at"] = json!(project.created_at);
    out
}

async fn delete(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    app.delete_project(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shelve {
    cause: String,
    note: String,
}

async fn shelve(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
    Body(body): Body<Shelve>,
) -> Result<Json<Value>, Problem> {
    let cause = body.cause.parse().map_err(|e: String| Refusal::new(Kind::InvalidInput, e))?;
    app.end_project(&caller, &name, End::Shelve(cause), body.note).await?;
    Ok(Json(view(&app.get_project(&caller, &name).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    note: String,
}

async fn retire(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
    Body(body): Body<Note>,
) -> Result<Json<Value>, Problem> {
    app.end_project(&caller, &name, End::Retire, body.note).await?;
    Ok(Json(view(&app.get_project(&caller, &name).await?)))
}

async fn freeze(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
    Body(body): Body<Note>,
) -> Result<Json<Value>, Problem> {
    app.set_frozen(&caller, &name, Frozen, body.note).await?;
    Ok(Json(view(&app.get_project(&caller, &name).await?)))
}

async fn thaw(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
    Body(body): Body<Note>,
) -> Result<Json<Value>, Problem> {
    app.set_frozen(&caller, &name, Clear, body.note).await?;
    Ok(Json(view(&app.get_project(&caller, &name).await?)))
}

async fn collect(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "facts": app.collect_facts(&caller, &name).await? })))
}

async fn reproduce(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "facts": app.reproduce_model(&caller, &name).await? })))
}

#[derive(Deserialize)]
struct Limit {
    limit: Option<usize>,
}

async fn decisions(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
    Query(query): Query<Limit>,
) -> Result<Json<Value>, Problem> {
    let project = app.get_project(&caller, &name).await?;
    let Some(endpoint) = &project.spec.endpoint else { return Ok(Json(json!({ "items": [] }))) };
    let limit = query.limit.unwrap_or(50).min(200);
    let rows = app.recent_decisions(&caller, endpoint.name.as_str(), limit).await?;
    let items: Vec<Value> = rows
        .iter()
        .map(|(row, outcome)| {
            let mut item = json!(row);
            item["outcome"] = outcome.as_ref().map_or(Value::Null, super::decision::outcome);
            item
        })
        .collect();
    Ok(Json(json!({ "items": items })))
}
