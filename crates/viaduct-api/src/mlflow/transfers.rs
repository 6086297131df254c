//! Artifacts that clients move to and from an object store themselves: parts, signed addresses.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use viaduct_app::App;
use viaduct_app::mlflow::{Holder, Signed};
use viaduct_domain::permission::Operation::{ReadTracking, WriteTracking};
use viaduct_wire::mlflow::Fields;

use super::answer::{Done, Reply, Shown, Trouble, done};
use super::input::Input;
use super::{BODY, DOC};
use crate::extract::Who;
use crate::routes::Routes;

/// How long an address lasts when nobody says, seconds: MLflow's.
const LASTS_S: i64 = 900;

pub(super) fn routes_below(prefix: &str) -> Routes {
    let proxy = format!("{prefix}/2.0/mlflow-artifacts");
    let of_run = format!("{prefix}/2.0/mlflow/artifacts");
    Routes::new()
        .post(&format!("{proxy}/mpu/create/{{*path}}"), WriteTracking, create_parts, BODY)
        .post(&format!("{proxy}/mpu/complete/{{*path}}"), WriteTracking, complete_parts, BODY)
        .post(&format!("{proxy}/mpu/abort/{{*path}}"), WriteTracking, abort_parts, BODY)
        .get(&format!("{proxy}/presigned/{{*path}}"), ReadTracking, sign, DOC)
        .post(&format!("{of_run}/presigned-download-url"), ReadTracking, sign_download, BODY)
        .post(&format!("{of_run}/presigned-upload-url"), WriteTracking, sign_upload, BODY)
}

fn unsupported(what: &str) -> Trouble {
    let message = format!("{what} is not supported for the current artifact repository");
    Trouble::new(StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", message)
}

/// The folder of the address, and the name of the client's file in it.
fn target(folder: &str, fields: &Fields<'_>) -> Result<String, Trouble> {
    let path = fields.required("path")?;
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    Ok(format!("{}/{name}", folder.trim_end_matches('/')))
}

async fn create_parts(
    State(app): State<App>,
    Who(caller): Who,
    Path(folder): Path<String>,
    input: Input,
) -> Reply<Value> {
    let fields = input.fields();
    let path = target(&folder, &fields)?;
    let count = fields.int("num_parts")?.unwrap_or(1);
    let begun = app.begin_part_upload(&caller, &path, count).await?;
    let begun = begun.ok_or_else(|| unsupported("Multipart upload"))?;
    let credentials: Vec<Value> = begun
        .urls
        .iter()
        .zip(1..)
        .map(|(url, number)| json!({ "url": url, "part_number": number }))
        .collect();
    Ok(Shown(json!({ "upload_id": begun.id, "credentials": credentials })))
}

async fn complete_parts(
    State(app): State<App>,
    Who(caller): Who,
    Path(folder): Path<String>,
    input: Input,
) -> Reply<Done> {
    let fields = input.fields();
    let path = target(&folder, &fields)?;
    let id = fields.text("upload_id")?.unwrap_or_default();
    let mut parts = Vec::new();
    for part in fields.objects("parts")? {
        parts.push((part.required_int("part_number")?, part.required("etag")?));
    }
    let completed = app.complete_part_upload(&caller, &path, id, parts).await?;
    Ok(done(completed.ok_or_else(|| unsupported("Multipart upload"))?))
}

async fn abort_parts(
    State(app): State<App>,
    Who(caller): Who,
    Path(folder): Path<String>,
    input: Input,
) -> Reply<Done> {
    let fields = input.fields();
    let path = target(&folder, &fields)?;
    let id = fields.text("upload_id")?.unwrap_or_default();
    let aborted = app.abort_part_upload(&caller, &path, id).await?;
    Ok(done(aborted.ok_or_else(|| unsupported("Multipart upload"))?))
}

async fn sign(State(app): State<App>, Who(caller): Who, Path(path): Path<String>) -> Reply<Value> {
    let signed = app.sign_artifact(&caller, (&Holder::Proxy, &path), Signed::Get, LASTS_S).await?;
    let signed = signed.ok_or_else(|| unsupported("Multipart download"))?;
    Ok(Shown(json!({ "url": signed.url, "headers": {}, "file_size": signed.bytes })))
}

async fn sign_download(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Value> {
    let fields = input.fields();
    let (holder, path) = (Holder::Run(fields.run_id()?), fields.required("path")?);
    let lasts_s = fields.int("expiration")?.unwrap_or(LASTS_S);
    let signed = app.sign_artifact(&caller, (&holder, &path), Signed::Get, lasts_s).await?;
    let signed = signed.ok_or_else(|| unsupported("Presigned download"))?;
    Ok(Shown(json!({ "presigned_url": signed.url, "file_size": signed.bytes })))
}

async fn sign_upload(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Value> {
    let fields = input.fields();
    let some = |name| fields.text(name).map(|text| text.filter(|text| !text.is_empty()));
    let holder = match (some("run_id")?, some("model_id")?) {
        (Some(run), None) => Holder::Run(run),
        (None, Some(model)) => Holder::LoggedModel(model),
        _ => {
            let message = "Exactly one of run_id and model_id must be provided.".to_owned();
            return Err(Trouble::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message));
        }
    };
    let path = fields.required("path")?;
    let lasts_s = fields.int("expiration")?.unwrap_or(LASTS_S);
    let signed = app.sign_artifact(&caller, (&holder, &path), Signed::Put, lasts_s).await?;
    let signed = signed.ok_or_else(|| unsupported("Presigned upload"))?;
    Ok(Shown(json!({ "presigned_url": signed.url })))
}
