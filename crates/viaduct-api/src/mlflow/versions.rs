//! `model-versions/…`

use axum::extract::State;
use viaduct_app::App;
use viaduct_app::mlflow::{NewVersion, VersionChange};
use viaduct_domain::permission::Operation::{ReadRegistry, WriteRegistry};
use viaduct_wire::mlflow::{Fields, Malformed, ModelVersion, ModelVersionPage, One};

use super::answer::{Done, Reply, Shown, done};
use super::input::{self, Input, OwnHost};
use super::{BODY, DOC, show};
use crate::extract::Who;
use crate::routes::Routes;

pub(super) fn routes(prefix: &str) -> Routes {
    let at = |path: &str| format!("{prefix}/model-versions/{path}");
    Routes::new()
        .post(&at("create"), WriteRegistry, create, BODY)
        .get(&at("get"), ReadRegistry, get, DOC.query(&["name", "version"]))
        .patch(&at("update"), WriteRegistry, update, BODY)
        .delete(&at("delete"), WriteRegistry, delete, BODY)
        .get(
            &at("search"),
            ReadRegistry,
            search,
            DOC.query(&["filter", "order_by", "max_results", "page_token"]),
        )
        .get(
            &at("get-download-uri"),
            ReadRegistry,
            get_download_uri,
            DOC.query(&["name", "version"]),
        )
        .post(&at("set-tag"), WriteRegistry, set_tag, BODY)
        .delete(&at("delete-tag"), WriteRegistry, delete_tag, BODY)
        .post(&at("transition-stage"), WriteRegistry, transition_stage, BODY)
}

/// A version's model and number.
fn named(fields: &Fields<'_>) -> Result<(String, String), Malformed> {
    let name = fields.required("name")?;
    let version = input::word(fields, "version")?;
    let absent = || Malformed("Missing value for required parameter 'version'.".into());
    Ok((name, version.ok_or_else(absent)?))
}

async fn create(
    State(app): State<App>,
    Who(caller): Who,
    OwnHost(host): OwnHost,
    input: Input,
) -> Reply<One<ModelVersion>> {
    let fields = input.fields();
    let new = NewVersion {
        name: fields.required("name")?,
        source: fields.required("source")?,
        run_id: fields.text("run_id")?,
        run_link: fields.text("run_link")?,
        model_id: fields.text("model_id")?,
        description: fields.text("description")?,
        tags: input::pairs(&fields, "tags")?,
    };
    let seen = app.create_model_version(&caller, new, host.as_deref()).await?;
    Ok(Shown(One("model_version", show::version(seen))))
}

async fn get(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<One<ModelVersion>> {
    let (name, version) = named(&input.fields())?;
    let seen = app.get_model_version(&caller, &name, &version).await?;
    Ok(Shown(One("model_version", show::version(seen))))
}

async fn update(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Reply<One<ModelVersion>> {
    let fields = input.fields();
    let (name, version) = named(&fields)?;
    let change = VersionChange::Description(fields.text("description")?);
    let seen = app.change_model_version(&caller, &name, &version, change).await?;
    Ok(Shown(One("model_version", show::version(seen))))
}

async fn delete(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let (name, version) = named(&input.fields())?;
    Ok(done(app.delete_model_version(&caller, &name, &version).await?))
}

async fn search(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<ModelVersionPage> {
    let query = input::query(&input.fields())?;
    let found = app.search_model_versions(&caller, query).await?;
    let (model_versions, next_page_token) = show::page(found, show::version);
    Ok(Shown(ModelVersionPage { model_versions, next_page_token }))
}

async fn get_download_uri(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Reply<One<String>> {
    let (name, version) = named(&input.fields())?;
    let uri = app.get_model_version_download_uri(&caller, &name, &version).await?;
    Ok(Shown(One("artifact_uri", uri)))
}

async fn set_tag(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let fields = input.fields();
    let (name, version) = named(&fields)?;
    let change = VersionChange::SetTag(input::pair(&fields)?);
    Ok(done(app.change_model_version(&caller, &name, &version, change).await.map(|_| ())?))
}

async fn delete_tag(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let fields = input.fields();
    let (name, version) = named(&fields)?;
    let change = VersionChange::DeleteTag(fields.required("key")?);
    Ok(done(app.change_model_version(&caller, &name, &version, change).await.map(|_| ())?))
}

async fn transition_stage(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Reply<One<ModelVersion>> {
    let fields = input.fields();
    let (name, version) = named(&fields)?;
    let change = VersionChange::Stage {
        stage: fields.required("stage")?,
        archive_others: fields.flag("archive_existing_versions")?.unwrap_or(false),
    };
    let seen = app.change_model_version(&caller, &name, &version, change).await?;
    Ok(Shown(One("model_version", show::version(seen))))
}
