//! `mlflow-artifacts/…` and `artifacts/list`: files up and down in constant memory.

use std::fs::File;
use std::io::Read;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;
use viaduct_app::App;
use viaduct_app::mlflow::Download;
use viaduct_domain::permission::Operation::{ReadTracking, WriteTracking};
use viaduct_wire::mlflow::ArtifactPage;

use super::answer::{Done, Reply, Shown, Trouble, done};
use super::input::Input;
use super::{DOC, show};
use crate::extract::Who;
use crate::routes::Routes;

/// Bytes read from the disk at once.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that may wait for a slow client: they bound a download's memory.
const PIECES_WAITING: usize = 4;
const ANY: &str = "application/octet-stream";

pub(super) fn routes(prefix: &str) -> Routes {
    let all = format!("{prefix}/2.0/mlflow-artifacts/artifacts");
    let one = format!("{all}/{{*path}}");
    Routes::new()
        .get(
            &format!("{prefix}/2.0/mlflow/artifacts/list"),
            ReadTracking,
            list_of_run,
            DOC.query(&["run_id", "path"]),
        )
        .get(&all, ReadTracking, list, DOC.query(&["path"]))
        .get(&one, ReadTracking, download, DOC.gives(ANY))
        .put(&one, WriteTracking, upload, DOC.takes(ANY))
        .delete(&one, WriteTracking, delete, DOC)
}

async fn list_of_run(
    State(app): State<App>,
    Who(caller): Who,
    input: Input,
) -> Reply<ArtifactPage> {
    let fields = input.fields();
    let (run_id, path) = (fields.run_id()?, fields.text("path")?);
    let listing = app.list_run_artifacts(&caller, &run_id, path.as_deref()).await?;
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
    let mut upload = app.begin_upload(&caller, &path)?;
    let mut body = request.into_body();
    // Why no commit on an error: dropped before its end, an upload leaves nothing.
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| {
            let said = format!("The upload of `{path}` was interrupted: {e}");
            Trouble::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", said)
        })?;
        if let Ok(bytes) = frame.into_data() {
            upload.push(bytes).await?;
        }
    }
    upload.finish().await?;
    Ok(StatusCode::OK)
}

async fn delete(State(app): State<App>, Who(caller): Who, Path(path): Path<String>) -> Reply<Done> {
    Ok(done(app.delete_artifact(&caller, &path).await?))
}

async fn download(
    State(app): State<App>,
    Who(caller): Who,
    Path(path): Path<String>,
) -> Result<Response, Trouble> {
    let found = app.open_artifact(&caller, &path).await?;
    let headers = headers(&found);
    Ok((headers, body(found.file)).into_response())
}

/// An artifact is somebody's upload: a browser must neither guess its type nor run it.
fn headers(found: &Download) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::from_static(content_type(&found.name));
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(found.bytes));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    if let Ok(disposition) = HeaderValue::from_str(&disposition(&found.name)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    headers
}

/// `attachment` with the name twice: in ASCII for old readers, encoded for the rest (RFC 6266).
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || " ._-()".contains(c) { c } else { '_' })
        .collect();
    let encoded: String = name
        .bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => {
                char::from(b).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

/// By the extension, as MLflow does: what is text is plain text.
fn content_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or(name, |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "txt" | "log" | "err" | "cfg" | "conf" | "cnf" | "cf" | "ini" | "properties" | "prop"
        | "hocon" | "toml" | "yaml" | "yml" | "xml" | "json" | "js" | "py" | "py3" | "csv"
        | "tsv" | "md" | "rst" | "jsonnet" | "mlmodel" | "mlproject" => "text/plain; charset=utf-8",
        "html" | "htm" => "text/html; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        _ => ANY,
    }
}

/// Reads the file piece by piece on a thread that may wait, as fast as the client takes them.
fn body(mut file: File) -> Body {
    let (pieces, received) = mpsc::channel::<std::io::Result<Bytes>>(PIECES_WAITING);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = match file.read(&mut piece) {
                Ok(0) => return,
                Ok(read) => {
                    piece.truncate(read);
                    Ok(Bytes::from(piece))
                }
                Err(e) => Err(e),
            };
            let failed = read.is_err();
            // Why the end: a client that went away takes no more.
            if pieces.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    let next = |mut received: mpsc::Receiver<std::io::Result<Bytes>>| async {
        let piece = received.recv().await?;
        Some((piece, received))
    };
    Body::from_stream(stream::unfold(received, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_headers() {
        let shown = disposition("a\"b; ü.txt");
        assert_eq!(
            shown,
            "attachment; filename=\"a_b_ _.txt\"; filename*=UTF-8''a%22b%3B%20%C3%BC.txt"
        );
        assert!(HeaderValue::from_str(&shown).is_ok());
        assert_eq!(content_type("MLmodel"), "text/plain; charset=utf-8");
        assert_eq!(content_type("model.onnx"), ANY);
    }
}
