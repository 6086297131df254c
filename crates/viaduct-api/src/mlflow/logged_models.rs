//! `logged-models/…`

use axum::extract::{Path, State};
use viaduct_app::App;
use viaduct_app::mlflow::{Holder, NewLoggedModel, OrderBy};
use viaduct_domain::permission::Operation::{ReadTracking, WriteTracking};
use viaduct_wire::mlflow::{ArtifactPage, Fields, LoggedModel, LoggedModelPage, Malformed, One};

use super::answer::{Done, Reply, Shown, done};
use super::input::{self, Input};
use super::{BODY, DOC, show};
use crate::extract::Who;
use crate::routes::Routes;

pub(super) fn routes(prefix: &str) -> Routes {
    let at = |path: &str| format!("{prefix}/logged-models{path}");
    Routes::new()
        .post(&at(""), WriteTracking, create, BODY)
        .post(&at("/search"), ReadTracking, search, BODY)
        .get(&at("/{model_id}"), ReadTracking, get, DOC)
        .patch(&at("/{model_id}"), WriteTracking, finalize, BODY)
        .delete(&at("/{model_id}"), WriteTracking, delete, DOC)
        .post(&at("/{model_id}/params"), WriteTracking, log_params, BODY)
        .patch(&at("/{model_id}/tags"), WriteTracking, set_tags, BODY)
        .delete(&at("/{model_id}/tags/{key}"), WriteTracking, delete_tag, DOC)
        .get(
            &at("/{model_id}/artifacts/directories"),
            ReadTracking,
            artifacts,
            DOC.query(&["artifact_directory_path"]),
        )
}

async fn create(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<One<LoggedModel>> {
    let fields = input.fields();
    let new = NewLoggedModel {
        experiment_id: fields.required("experiment_id")?,
        name: fields.text("name")?,
        model_type: fields.text("model_type")?,
        source_run_id: fields.text("source_run_id")?.filter(|id| !id.is_empty()),
        params: input::pairs(&fields, "params")?,
        tags: input::pairs(&fields, "tags")?,
    };
    let seen = app.create_logged_model(&caller, new).await?;
    Ok(Shown(One("model", show::logged_model(seen))))
}

async fn get(
    State(app): State<App>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply<One<LoggedModel>> {
    let seen = app.get_logged_model(&caller, &id).await?;
    Ok(Shown(One("model", show::logged_model(seen))))
}

async fn finalize(
    State(app): State<App>,
    Who(caller): Who,
    Path(id): Path<String>,
    input: Input,
) -> Reply<One<LoggedModel>> {
    let status = input::word(&input.fields(), "status")?.unwrap_or_default();
    let status = match status.as_str() {
        "1" => "LOGGED_MODEL_PENDING",
        "2" => "LOGGED_MODEL_READY",
        "3" => "LOGGED_MODEL_UPLOAD_FAILED",
        word => word,
    };
    let seen = app.finalize_logged_model(&caller, &id, status).await?;
    Ok(Shown(One("model", show::logged_model(seen))))
}

async fn delete(State(app): State<App>, Who(caller): Who, Path(id): Path<String>) -> Reply<Done> {
    Ok(done(app.delete_logged_model(&caller, &id).await?))
}

async fn log_params(
    State(app): State<App>,
    Who(caller): Who,
    Path(id): Path<String>,
    input: Input,
) -> Reply<Done> {
    let params = input::pairs(&input.fields(), "params")?;
    Ok(done(app.log_logged_model_params(&caller, &id, params).await?))
}

async fn set_tags(
    State(app): State<App>,
    Who(caller): Who,
    Path(id): Path<String>,
    input: Input,
) -> Reply<One<LoggedModel>> {
    let tags = input::pairs(&input.fields(), "tags")?;
    let seen = app.set_logged_model_tags(&caller, &id, tags).await?;
    Ok(Shown(One("model", show::logged_model(seen))))
}

async fn delete_tag(
    State(app): State<App>,
    Who(caller): Who,
    Path((id, key)): Path<(String, String)>,
) -> Reply<Done> {
    Ok(done(app.delete_logged_model_tag(&caller, &id, &key).await?))
}

async fn search(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<LoggedModelPage> {
    let fields = input.fields();
    if !fields.objects("datasets")?.is_empty() {
        let said =
            "Searching logged models by dataset is not supported here: leave `datasets` out.";
        return Err(Malformed(said.into()).into());
    }
    let step = |step: &Fields<'_>| {
        Ok::<_, Malformed>(OrderBy {
            field: step.required("field_name")?,
            ascending: step.flag("ascending")?.unwrap_or(true),
        })
    };
    let orders = fields.objects("order_by")?.iter().map(step).collect::<Result<Vec<_>, _>>()?;
    let filter = fields.text("filter")?.unwrap_or_default();
    let ids = fields.texts("experiment_ids")?;
    let page = input::page(&fields)?;
    let found = app.search_logged_models(&caller, ids, (&filter, &orders), &page).await?;
    let (models, next_page_token) = show::page(found, show::logged_model);
    Ok(Shown(LoggedModelPage { models, next_page_token }))
}

async fn artifacts(
    State(app): State<App>,
    Who(caller): Who,
    Path(id): Path<String>,
    input: Input,
) -> Reply<ArtifactPage> {
    let path = input.fields().text("artifact_directory_path")?;
    let listing = app.list_artifacts_of(&caller, &Holder::LoggedModel(id), path.as_deref()).await?;
    Ok(Shown(ArtifactPage {
        root_uri: Some(listing.root_uri),
        files: listing.artifacts.into_iter().map(show::artifact).collect(),
    }))
}
