//! Artifacts of runs, models and the proxy: files up and down in constant memory.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use viaduct_app::App;
use viaduct_app::mlflow::{Holder, Upload};
use viaduct_domain::permission::Operation::{ReadTracking, WriteTracking};
use viaduct_wire::mlflow::ArtifactPage;

use super::answer::{Done, Reply, Shown, Trouble, done};
use super::input::Input;
use super::{DOC, send, show};
use crate::extract::Who;
use crate::routes::Routes;

/// How long an upload may bring nothing before it is cut: a client that sleeps holds a file open.
const PATIENCE: Duration = Duration::from_secs(60);
/// Largest file that a page may upload, as MLflow has it.
const PAGE_UPLOAD_BYTES_MAX: u64 = 10 << 20;
const ANY: &str = "application/octet-stream";

/// Routes without a prefix: what MLflow's pages show and download.
pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/get-artifact",
            ReadTracking,
            download_of_run,
            DOC.gives(ANY).query(&["run_id", "run_uuid", "path"]),
        )
        .get(
            "/model-versions/get-artifact",
            ReadTracking,
            download_of_version,
            DOC.gives(ANY).query(&["name", "version", "path"]),
        )
}

/// Routes below `/api` or `/ajax-api`.
pub(super) fn routes_below(prefix: &str) -> Routes {
    let all = format!("{prefix}/2.0/mlflow-artifacts/artifacts");
    let one = format!("{all}/{{*path}}");
    let tracking = format!("{prefix}/2.0/mlflow");
    Routes::new()
        .get(
            &format!("{tracking}/artifacts/list"),
            ReadTracking,
            list_of_run,
            DOC.query(&["run_id", "path"]),
        )
        .get(&all, ReadTracking, list, DOC.query(&["path"]))
        .delete(&all, WriteTracking, delete_root, DOC)
        .get(&format!("{all}/"), ReadTracking, list, DOC.query(&["path"]))
        .delete(&format!("{all}/"), WriteTracking, delete_root, DOC)
        .get(&one, ReadTracking, download, DOC.gives(ANY))
        .put(&one, WriteTracking, upload, DOC.takes(ANY))
        .delete(&one, WriteTracking, delete, DOC)
        .get(
            &format!("{tracking}/logged-models/{{model_id}}/artifacts/files"),
            ReadTracking,
            download_of_model,
            DOC.gives(ANY).query(&["artifact_file_path"]),
        )
        .post(
            &format!("{tracking}/upload-artifact"),
            WriteTracking,
            upload_to_run,
            DOC.takes(ANY).query(&["run_uuid", "path"]),
        )
}

async fn list_of_run(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Reply<ArtifactPage> {
    let fields = input.fields();
    let (run_id, path) = (fields.run_id()?, fields.text("path")?);
    let listing = app.list_artifacts_of(&caller, &Holder::Run(run_id), path.as_deref()).await?;
    Ok(Shown(ArtifactPage {
        root_uri: Some(listing.root_uri),
        files: listing.artifacts.into_iter().map(show::artifact).collect(),
    }))
}

async fn list(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<ArtifactPage> {
    let path = input.fields().text("path")?;
    let found = app.list_artifacts(&caller, path.as_deref()).await?;
    let files = found.into_iter().map(show::artifact).collect();
    Ok(Shown(ArtifactPage { root_uri: None, files }))
}

async fn upload(
    State(app): State<App>,
    Who(caller): Who,
    Path(path): Path<String>,
    request: Request,
) -> Result<StatusCode, Trouble> {
    let upload = app.begin_upload(&caller, &Holder::Proxy, &path).await?;
    receive(upload, &path, request.into_body(), u64::MAX).await?;
    Ok(StatusCode::OK)
}

/// The query of a request; one that does not read is told in MLflow's words.
struct Asked<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Trouble> {
        let read = Query::<T>::try_from_uri(&parts.uri);
        read.map(|Query(asked)| Self(asked)).map_err(|e| {
            Trouble::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", e.body_text())
        })
    }
}

/// What a page says of the file that it uploads or wants.
#[derive(Deserialize)]
struct OfRun {
    run_id: Option<String>,
    run_uuid: Option<String>,
    path: Option<String>,
}

impl OfRun {
    fn read(self) -> Result<(Holder, String), Trouble> {
        let some = |value: Option<String>| value.filter(|text| !text.is_empty());
        let run = some(self.run_id).or(some(self.run_uuid));
        let run = run.ok_or_else(|| must("run_uuid"))?;
        Ok((Holder::Run(run), some(self.path).ok_or_else(|| must("path"))?))
    }
}

fn must(what: &str) -> Trouble {
    let message = format!("Request must specify {what}.");
    Trouble::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message)
}

async fn upload_to_run(
    State(app): State<App>,
    Who(caller): Who,
    Asked(wanted): Asked<OfRun>,
    request: Request,
) -> Reply<Done> {
    let (holder, path) = wanted.read()?;
    let upload = app.begin_upload(&caller, &holder, &path).await?;
    let received = receive(upload, &path, request.into_body(), PAGE_UPLOAD_BYTES_MAX).await?;
    if received == 0 {
        return Err(must("data"));
    }
    Ok(done(()))
}

/// Takes a body in. Why no commit on an error: dropped before its end, an upload leaves nothing.
async fn receive(
    mut upload: Upload,
    path: &str,
    mut body: Body,
    bytes_max: u64,
) -> Result<u64, Trouble> {
    let mut bytes = 0;
    while let Some(piece) = next(&mut body, path, PATIENCE).await? {
        bytes += piece.len() as u64;
        if bytes > bytes_max {
            let message = "Artifact size is too large. Max size is 10MB.".to_owned();
            return Err(Trouble::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message));
        }
        upload.push(piece).await?;
    }
    // Why not an empty file: a page that sends nothing made a mistake.
    if bytes > 0 || bytes_max == u64::MAX {
        upload.finish().await?;
    }
    Ok(bytes)
}

/// The next bytes of an upload; `None` at its end.
async fn next(
    body: &mut Body,
    path: &str,
    patience: Duration,
) -> Result<Option<bytes::Bytes>, Trouble> {
    loop {
        let frame = tokio::time::timeout(patience, body.frame()).await.map_err(|_| {
            let said = format!("The upload of `{path}` brought nothing for {patience:?}.");
            Trouble::new(StatusCode::REQUEST_TIMEOUT, "BAD_REQUEST", said)
        })?;
        let Some(frame) = frame else { return Ok(None) };
        let frame = frame.map_err(|e| {
            let said = format!("The upload of `{path}` was interrupted: {e}");
            Trouble::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", said)
        })?;
        if let Ok(piece) = frame.into_data() {
            return Ok(Some(piece));
        }
    }
}

async fn delete(State(app): State<App>, Who(caller): Who, Path(path): Path<String>) -> Reply<Done> {
    Ok(done(app.delete_artifact(&caller, &path).await?))
}

async fn delete_root(State(app): State<App>, Who(caller): Who) -> Reply<Done> {
    Ok(done(app.delete_artifact(&caller, "").await?))
}

async fn download(
    State(app): State<App>,
    Who(caller): Who,
    Path(path): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    send::file(&app, &caller, (&Holder::Proxy, &path), (&method, &headers)).await
}

async fn download_of_run(
    State(app): State<App>,
    Who(caller): Who,
    Asked(wanted): Asked<OfRun>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let (holder, path) = wanted.read()?;
    send::file(&app, &caller, (&holder, &path), (&method, &headers)).await
}

#[derive(Deserialize)]
struct OfVersion {
    name: Option<String>,
    version: Option<String>,
    path: Option<String>,
}

async fn download_of_version(
    State(app): State<App>,
    Who(caller): Who,
    Asked(wanted): Asked<OfVersion>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let holder = Holder::Version {
        name: wanted.name.ok_or_else(|| must("name"))?,
        version: wanted.version.ok_or_else(|| must("version"))?,
    };
    let path = wanted.path.ok_or_else(|| must("path"))?;
    send::file(&app, &caller, (&holder, &path), (&method, &headers)).await
}

#[derive(Deserialize)]
struct OfModel {
    artifact_file_path: Option<String>,
}

async fn download_of_model(
    State(app): State<App>,
    Who(caller): Who,
    Path(id): Path<String>,
    Asked(wanted): Asked<OfModel>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let path = wanted.artifact_file_path.filter(|path| !path.is_empty()).ok_or_else(|| {
        let message = "Request must include the \"artifact_file_path\" query parameter.";
        Trouble::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message.to_owned())
    })?;
    send::file(&app, &caller, (&Holder::LoggedModel(id), &path), (&method, &headers)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_sleeps_is_cut() {
        let sleeps = futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        let mut body = Body::from_stream(sleeps);
        let cut = next(&mut body, "x", Duration::from_millis(20)).await.unwrap_err();
        let answer = axum::response::IntoResponse::into_response(cut);
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
        let mut whole = Body::from("bytes");
        let piece = next(&mut whole, "x", Duration::from_secs(5)).await.unwrap();
        assert_eq!(piece.unwrap(), "bytes");
        assert!(next(&mut whole, "x", Duration::from_secs(5)).await.unwrap().is_none());
    }
}
