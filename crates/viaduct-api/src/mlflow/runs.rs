//! `runs/…`

use axum::extract::State;
use serde_json::{Map, Value};
use viaduct_app::App;
use viaduct_app::mlflow::{
    BATCH_BYTES_MAX, Batch, DatasetUse, ModelOutput, NewRun, RunChange, RunQuery, View,
};
use viaduct_domain::permission::Operation::{ReadTracking, WriteTracking};
use viaduct_wire::mlflow::{Fields, Malformed, One, Run, RunInfo, RunPage};

use super::answer::{Done, Reply, Shown, Trouble, done};
use super::input::{self, Input};
use super::{BODY, DOC, metrics, show};
use crate::extract::Who;
use crate::routes::Routes;

pub(super) fn routes(prefix: &str) -> Routes {
    let at = |path: &str| format!("{prefix}/{path}");
    Routes::new()
        .post(&at("runs/create"), WriteTracking, create, BODY)
        .get(&at("runs/get"), ReadTracking, get, DOC.query(&["run_id"]))
        .post(&at("runs/update"), WriteTracking, update, BODY)
        .post(&at("runs/delete"), WriteTracking, delete, BODY)
        .post(&at("runs/restore"), WriteTracking, restore, BODY)
        .post(&at("runs/search"), ReadTracking, search, BODY)
        .post(&at("runs/log-metric"), WriteTracking, log_metric, BODY)
        .post(&at("runs/log-parameter"), WriteTracking, log_parameter, BODY)
        .post(&at("runs/log-batch"), WriteTracking, log_batch, BODY)
        .post(&at("runs/set-tag"), WriteTracking, set_tag, BODY)
        .post(&at("runs/delete-tag"), WriteTracking, delete_tag, BODY)
        .post(&at("runs/log-inputs"), WriteTracking, log_inputs, BODY)
        .post(&at("runs/outputs"), WriteTracking, log_outputs, BODY)
        .post(&at("runs/log-model"), WriteTracking, log_model, BODY)
}

async fn create(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<One<Run>> {
    let fields = input.fields();
    let new = NewRun {
        experiment_id: fields
            .text("experiment_id")?
            .filter(|id| !id.is_empty())
            .unwrap_or("0".into()),
        name: fields.text("run_name")?,
        user_name: fields.text("user_id")?.unwrap_or_default(),
        start_ms: fields.int("start_time")?,
        tags: input::pairs(&fields, "tags")?,
    };
    Ok(Shown(One("run", show::run(app.create_run(&caller, new).await?))))
}

async fn get(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<One<Run>> {
    let id = input.fields().run_id()?;
    Ok(Shown(One("run", show::run(app.get_run(&caller, &id).await?))))
}

async fn update(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<One<RunInfo>> {
    let fields = input.fields();
    let status = input::word(&fields, "status")?.map(|word| match word.as_str() {
        "1" => "RUNNING".to_owned(),
        "2" => "SCHEDULED".to_owned(),
        "3" => "FINISHED".to_owned(),
        "4" => "FAILED".to_owned(),
        "5" => "KILLED".to_owned(),
        _ => word,
    });
    let change =
        RunChange { status, end_ms: fields.int("end_time")?, name: fields.text("run_name")? };
    let row = app.update_run(&caller, &fields.run_id()?, change).await?;
    Ok(Shown(One("run_info", show::run_info(row))))
}

async fn delete(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    Ok(done(app.delete_run(&caller, &input.fields().run_id()?).await?))
}

async fn restore(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    Ok(done(app.restore_run(&caller, &input.fields().run_id()?).await?))
}

async fn search(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<RunPage> {
    let fields = input.fields();
    let view = input::word(&fields, "run_view_type")?;
    let wanted = RunQuery {
        experiment_ids: fields.texts("experiment_ids")?,
        query: input::query(&fields)?,
        view: view.as_deref().map_or(Ok(View::Active), View::parse)?,
    };
    let (runs, next_page_token) = show::page(app.search_runs(&caller, wanted).await?, show::run);
    Ok(Shown(RunPage { runs, next_page_token }))
}

async fn log_metric(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let fields = input.fields();
    let run_id = fields.run_id()?;
    let metric = metrics::point(&fields)?;
    let of_models = metrics::of_model(&fields, &metric)?.into_iter().collect();
    let batch = Batch { metrics: vec![metric], of_models, ..Batch::default() };
    Ok(done(app.log_batch(&caller, &run_id, batch).await?))
}

async fn log_parameter(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let fields = input.fields();
    let batch = Batch { params: vec![input::pair(&fields)?], ..Batch::default() };
    Ok(done(app.log_batch(&caller, &fields.run_id()?, batch).await?))
}

async fn set_tag(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let fields = input.fields();
    let batch = Batch { tags: vec![input::pair(&fields)?], ..Batch::default() };
    Ok(done(app.log_batch(&caller, &fields.run_id()?, batch).await?))
}

async fn log_batch(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    if input.bytes > BATCH_BYTES_MAX {
        return Err(Malformed(format!(
            "Batched logging API requests must be at most {BATCH_BYTES_MAX} bytes, got a request \
             of size {}.",
            input.bytes
        ))
        .into());
    }
    let fields = input.fields();
    let mut batch = Batch {
        params: input::pairs(&fields, "params")?,
        tags: input::pairs(&fields, "tags")?,
        ..Batch::default()
    };
    for fields in fields.objects("metrics")? {
        let metric = metrics::point(&fields)?;
        batch.of_models.extend(metrics::of_model(&fields, &metric)?);
        batch.metrics.push(metric);
    }
    Ok(done(app.log_batch(&caller, &fields.run_id()?, batch).await?))
}

async fn delete_tag(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let fields = input.fields();
    let key = fields.required("key")?;
    Ok(done(app.delete_run_tag(&caller, &fields.run_id()?, &key).await?))
}

async fn log_inputs(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let fields = input.fields();
    let datasets =
        fields.objects("datasets")?.iter().map(dataset_use).collect::<Result<Vec<_>, _>>()?;
    let models: Vec<String> = fields
        .objects("models")?
        .iter()
        .map(|model| model.required("model_id"))
        .collect::<Result<_, _>>()?;
    Ok(done(app.log_inputs(&caller, &fields.run_id()?, datasets, models).await?))
}

fn dataset_use(fields: &Fields<'_>) -> Result<DatasetUse, Malformed> {
    let dataset = fields
        .object("dataset")?
        .ok_or_else(|| Malformed("Missing value for required parameter 'dataset'.".into()))?;
    let mut described = Map::new();
    for name in ["source_type", "source", "schema", "profile"] {
        if let Some(text) = dataset.text(name)? {
            described.insert(name.to_owned(), Value::String(text));
        }
    }
    let tags = input::pairs(fields, "tags")?;
    let tags = tags.into_iter().map(|tag| (tag.key, Value::String(tag.value)));
    Ok(DatasetUse {
        name: dataset.required("name")?,
        digest: dataset.required("digest")?,
        dataset: Value::Object(described),
        tags: Value::Object(tags.collect()),
    })
}

async fn log_outputs(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let fields = input.fields();
    let output = |model: &Fields<'_>| {
        Ok::<_, Malformed>(ModelOutput {
            model_id: model.required("model_id")?,
            step: model.int("step")?.unwrap_or(0),
        })
    };
    let models = fields.objects("models")?.iter().map(output).collect::<Result<Vec<_>, _>>()?;
    Ok(done(app.log_outputs(&caller, &fields.run_id()?, models).await?))
}

async fn log_model(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Done> {
    let fields = input.fields();
    let text = fields.required("model_json")?;
    let model: Value = serde_json::from_str(&text).map_err(|_| {
        Trouble::from(Malformed("Malformed model info: `model_json` is not valid JSON.".into()))
    })?;
    Ok(done(app.log_model(&caller, &fields.run_id()?, model).await?))
}
