//! `experiments/…`

use axum::extract::State;
use viaduct_app::App;
use viaduct_app::mlflow::{NewExperiment, View};
use viaduct_domain::permission::Operation::{ReadTracking, WriteTracking};
use viaduct_wire::mlflow::{DatasetSummaries, DatasetSummary, Experiment, ExperimentPage, One};

use super::answer::{Done, Reply, Shown, done};
use super::input::{self, Input, OwnHost};
use super::{BODY, DOC, show};
use crate::extract::Who;
use crate::routes::Routes;

pub(super) fn routes(prefix: &str) -> Routes {
    let at = |path: &str| format!("{prefix}/experiments/{path}");
    Routes::new()
        .post(&at("create"), WriteTracking, create, BODY)
        .get(&at("get"), ReadTracking, get, DOC.query(&["experiment_id"]))
        .get(&at("get-by-name"), ReadTracking, get_by_name, DOC.query(&["experiment_name"]))
        .get(
            &at("search"),
            ReadTracking,
            search,
            DOC.query(&["filter", "order_by", "view_type", "max_results", "page_token"]),
        )
        .post(&at("search"), ReadTracking, search, BODY)
        .post(&at("update"), WriteTracking, update, BODY)
        .post(&at("delete"), WriteTracking, delete, BODY)
        .post(&at("restore"), WriteTracking, restore, BODY)
        .post(&at("set-experiment-tag"), WriteTracking, set_tag, BODY)
        .post(&at("delete-experiment-tag"), WriteTracking, delete_tag, BODY)
}

/// Routes of the pages alone.
pub(super) fn routes_of_pages(prefix: &str) -> Routes {
    let path = format!("{prefix}/experiments/search-datasets");
    Routes::new().post(&path, ReadTracking, search_datasets, BODY)
}

async fn search_datasets(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Reply<DatasetSummaries> {
    let ids = input.fields().texts("experiment_ids")?;
    let found = app.search_datasets(&caller, ids).await?;
    let show = |row: viaduct_app::mlflow::DatasetSummary| DatasetSummary {
        experiment_id: row.experiment_id,
        name: row.name,
        digest: row.digest,
        context: row.context,
    };
    Ok(Shown(DatasetSummaries { dataset_summaries: found.into_iter().map(show).collect() }))
}

async fn create(
    State(app): State<App>,
    Who(caller): Who,
    OwnHost(host): OwnHost,
    input: Input,
) -> Reply<One<String>> {
    let fields = input.fields();
    let new = NewExperiment {
        name: fields.required("name")?,
        artifact_location: fields.text("artifact_location")?,
        tags: input::pairs(&fields, "tags")?,
    };
    let id = app.create_experiment(&caller, new, host.as_deref()).await?;
    Ok(Shown(One("experiment_id", id)))
}

async fn get(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<One<Experiment>> {
    let id = input.fields().required("experiment_id")?;
    let seen = app.get_experiment(&caller, &id).await?;
    Ok(Shown(One("experiment", show::experiment(seen))))
}

async fn get_by_name(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Reply<One<Experiment>> {
    let name = input.fields().required("experiment_name")?;
    let seen = app.get_experiment_by_name(&caller, &name).await?;
    Ok(Shown(One("experiment", show::experiment(seen))))
}

async fn search(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<ExperimentPage> {
    let fields = input.fields();
    let view = input::word(&fields, "view_type")?;
    let view = view.as_deref().map_or(Ok(View::Active), View::parse)?;
    let found = app.search_experiments(&caller, input::query(&fields)?, view).await?;
    let (experiments, next_page_token) = show::page(found, show::experiment);
    Ok(Shown(ExperimentPage { experiments, next_page_token }))
}

async fn update(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let fields = input.fields();
    let id = fields.required("experiment_id")?;
    let name = fields.required("new_name")?;
    Ok(done(app.rename_experiment(&caller, &id, &name).await?))
}

async fn delete(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let id = input.fields().required("experiment_id")?;
    Ok(done(app.delete_experiment(&caller, &id).await?))
}

async fn restore(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let id = input.fields().required("experiment_id")?;
    Ok(done(app.restore_experiment(&caller, &id).await?))
}

async fn set_tag(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let fields = input.fields();
    let id = fields.required("experiment_id")?;
    Ok(done(app.set_experiment_tag(&caller, &id, input::pair(&fields)?).await?))
}

async fn delete_tag(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let fields = input.fields();
    let (id, key) = (fields.required("experiment_id")?, fields.required("key")?);
    Ok(done(app.delete_experiment_tag(&caller, &id, &key).await?))
}
