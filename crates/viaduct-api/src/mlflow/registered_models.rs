//! `registered-models/…`

use axum::extract::State;
use viaduct_app::App;
use viaduct_domain::permission::Operation::{ReadRegistry, WriteRegistry};
use viaduct_wire::mlflow::{ModelVersion, One, RegisteredModel, RegisteredModelPage};

use super::answer::{Done, Reply, Shown, done};
use super::input::{self, Input};
use super::{BODY, DOC, show};
use crate::extract::Who;
use crate::routes::Routes;

pub(super) fn routes(prefix: &str) -> Routes {
    let at = |path: &str| format!("{prefix}/registered-models/{path}");
    Routes::new()
        .post(&at("create"), WriteRegistry, create, BODY)
        .get(&at("get"), ReadRegistry, get, DOC.query(&["name"]))
        .get(
            &at("search"),
            ReadRegistry,
            search,
            DOC.query(&["filter", "order_by", "max_results", "page_token"]),
        )
        .patch(&at("update"), WriteRegistry, update, BODY)
        .delete(&at("delete"), WriteRegistry, delete, BODY)
        .post(&at("rename"), WriteRegistry, rename, BODY)
        .post(&at("set-tag"), WriteRegistry, set_tag, BODY)
        .delete(&at("delete-tag"), WriteRegistry, delete_tag, BODY)
        .post(&at("alias"), WriteRegistry, set_alias, BODY)
        .get(&at("alias"), ReadRegistry, get_by_alias, DOC.query(&["name", "alias"]))
        .delete(&at("alias"), WriteRegistry, delete_alias, BODY)
        .get(
            &at("get-latest-versions"),
            ReadRegistry,
            get_latest_versions,
            DOC.query(&["name", "stages"]),
        )
        .post(&at("get-latest-versions"), ReadRegistry, get_latest_versions, BODY)
}

async fn create(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Reply<One<RegisteredModel>> {
    let fields = input.fields();
    let (name, description) = (fields.required("name")?, fields.text("description")?);
    let tags = input::pairs(&fields, "tags")?;
    let seen = app.create_registered_model(&caller, &name, description, tags).await?;
    Ok(Shown(One("registered_model", show::registered_model(seen))))
}

async fn get(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Reply<One<RegisteredModel>> {
    let name = input.fields().required("name")?;
    let seen = app.get_registered_model(&caller, &name).await?;
    Ok(Shown(One("registered_model", show::registered_model(seen))))
}

async fn search(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Reply<RegisteredModelPage> {
    let query = input::query(&input.fields())?;
    let found = app.search_registered_models(&caller, query).await?;
    let (registered_models, next_page_token) = show::page(found, show::registered_model);
    Ok(Shown(RegisteredModelPage { registered_models, next_page_token }))
}

async fn update(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Reply<One<RegisteredModel>> {
    let fields = input.fields();
    let (name, description) = (fields.required("name")?, fields.text("description")?);
    let seen = app.update_registered_model(&caller, &name, description).await?;
    Ok(Shown(One("registered_model", show::registered_model(seen))))
}

async fn delete(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let name = input.fields().required("name")?;
    Ok(done(app.delete_registered_model(&caller, &name).await?))
}

async fn rename(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Reply<One<RegisteredModel>> {
    let fields = input.fields();
    let name = fields.required("name")?;
    let new_name = fields.required("new_name")?;
    let seen = app.rename_registered_model(&caller, &name, &new_name).await?;
    Ok(Shown(One("registered_model", show::registered_model(seen))))
}

async fn set_tag(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let fields = input.fields();
    let name = fields.required("name")?;
    Ok(done(app.set_registered_model_tag(&caller, &name, input::pair(&fields)?).await?))
}

async fn delete_tag(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let fields = input.fields();
    let (name, key) = (fields.required("name")?, fields.required("key")?);
    Ok(done(app.delete_registered_model_tag(&caller, &name, &key).await?))
}

async fn set_alias(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let fields = input.fields();
    let (name, alias) = (fields.required("name")?, fields.required("alias")?);
    let version = fields.required("version")?;
    Ok(done(app.set_model_alias(&caller, &name, &alias, &version).await?))
}

async fn get_by_alias(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Reply<One<ModelVersion>> {
    let fields = input.fields();
    let (name, alias) = (fields.required("name")?, fields.required("alias")?);
    let seen = app.get_version_by_alias(&caller, &name, &alias).await?;
    Ok(Shown(One("model_version", show::version(seen))))
}

async fn delete_alias(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let fields = input.fields();
    let (name, alias) = (fields.required("name")?, fields.required("alias")?);
    Ok(done(app.delete_model_alias(&caller, &name, &alias).await?))
}

#[derive(serde::Serialize)]
struct LatestVersions {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_versions: Vec<ModelVersion>,
}

async fn get_latest_versions(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Reply<LatestVersions> {
    let fields = input.fields();
    let (name, stages) = (fields.required("name")?, fields.texts("stages")?);
    let found = app.get_latest_versions(&caller, &name, &stages).await?;
    let model_versions = found.into_iter().map(show::version).collect();
    Ok(Shown(LatestVersions { model_versions }))
}
