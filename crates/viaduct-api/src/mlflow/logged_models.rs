//! `logged-models/…`

use axum::extract::{Path, State};
use viaduct_app::App;
use viaduct_app::mlflow::{Holder, LoggedModelQuery, NewLoggedModel, OrderBy};
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
    let step = |step: &Fields<'_>| {
        let dataset = step.text("dataset_name")?.filter(|name| !name.is_empty());
        let digest = some_text(step, "dataset_digest")?;
        Ok::<_, Malformed>(OrderBy {
            field: step.required("field_name")?,
            ascending: step.flag("ascending")?.unwrap_or(true),
            dataset: dataset.map(|name| (name, digest)),
        })
    };
    let dataset = |dataset: &Fields<'_>| {
        let name = dataset.text("dataset_name")?.unwrap_or_default();
        Ok::<_, Malformed>((name, some_text(dataset, "dataset_digest")?))
    };
    let wanted = LoggedModelQuery {
        experiment_ids: fields.texts("experiment_ids")?,
        filter: fields.text("filter")?.unwrap_or_default(),
        datasets: fields.objects("datasets")?.iter().map(dataset).collect::<Result<_, _>>()?,
        order_by: fields.objects("order_by")?.iter().map(step).collect::<Result<_, _>>()?,
        page: input::page(&fields)?,
    };
    let found = app.search_logged_models(&caller, wanted).await?;
    let (models, next_page_token) = show::page(found, show::logged_model);
    Ok(Shown(LoggedModelPage { models, next_page_token }))
}

fn some_text(fields: &Fields<'_>, name: &str) -> Result<Option<String>, Malformed> {
    Ok(fields.text(name)?.filter(|text| !text.is_empty()))
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
