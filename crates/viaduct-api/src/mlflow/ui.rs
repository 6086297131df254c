//! MLflow's own pages below `/mlflow/`: files of an installed `mlflow`, over our routes.
//!
//! The pages ask for everything relative to themselves, so what they call below `/mlflow/` is
//! answered by the route without that prefix: [`unprefix`] runs before anything else, and each
//! request meets the guards of the route that answers it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Extension;
use axum::extract::{OriginalUri, Path as UrlPath, Request};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use tokio::sync::watch;
use viaduct_base::Fault;
use viaduct_domain::permission::{Door, Operation, Who as Person};

use super::answer::Trouble;
use super::{DOC, unknown_endpoint};
use crate::extract::Who;
use crate::routes::Routes;

/// Where the pages stand.
const ROOT: &str = "/mlflow/";
/// What the pages call below [`ROOT`], as it begins there.
const CALLED: [&str; 7] = [
    "ajax-api/",
    "api/",
    "graphql",
    "get-artifact",
    "model-versions/get-artifact",
    "health",
    "version",
];
/// How long a page waits for the search of its files, which began with the server.
const PATIENCE: Duration = Duration::from_secs(20);
/// Names of files carry a hash of what is in them.
const KEEP: &str = "public, max-age=2419200";
/// What the pages need: evaluated templates of their charts, inline styles, workers and previews
/// made in the browser, and one film of MLflow's site. Nothing else from elsewhere.
const POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data: blob: https://mlflow.org; \
     media-src 'self' data: blob: https://mlflow.org; font-src 'self' data:; \
     connect-src 'self' data: blob:; worker-src 'self' blob:; frame-src 'self' blob: data:; \
     object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'";
const MISSING: &str = include_str!("ui_missing.html");

/// Where MLflow's pages were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The search goes on.
    Searching,
    /// Nowhere.
    Nowhere,
    /// In this folder: `mlflow/server/js/build` of an installation.
    At(PathBuf),
}

/// The folder of MLflow's pages, as the binary's search tells it; an extension of the router.
#[derive(Debug, Clone)]
pub struct Pages(watch::Receiver<Found>);

impl Pages {
    /// The pages, and who is to tell where they are.
    pub fn new() -> (watch::Sender<Found>, Self) {
        let (tell, told) = watch::channel(Found::Searching);
        (tell, Self(told))
    }

    async fn folder(&self) -> Option<PathBuf> {
        let mut told = self.0.clone();
        let settled = told.wait_for(|found| *found != Found::Searching);
        match tokio::time::timeout(PATIENCE, settled).await {
            Ok(Ok(found)) => match &*found {
                Found::At(folder) => Some(folder.clone()),
                Found::Searching | Found::Nowhere => None,
            },
            _ => None,
        }
    }
}

/// Takes the pages' prefix off what the routes without it answer.
pub(crate) fn unprefix(mut request: Request) -> Request {
    let uri = request.uri();
    let below = uri.path_and_query().and_then(|whole| whole.as_str().strip_prefix(ROOT));
    let Some(rest) = below.filter(|rest| CALLED.iter().any(|called| rest.starts_with(called)))
    else {
        return request;
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = format!("/{rest}").parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

pub(super) fn routes() -> Routes {
    let page = DOC.gives("text/html");
    Routes::new()
        .get("/mlflow", Operation::ReadAsset, || async { Redirect::permanent(ROOT) }, page)
        .get(ROOT, Operation::ReadAsset, index, page)
        .get("/mlflow/{*path}", Operation::ReadAsset, file, DOC.gives("application/octet-stream"))
}

async fn index(Who(caller): Who, pages: Option<Extension<Pages>>) -> Response {
    if caller.who == Person::Anonymous && caller.door == Door::Locked {
        return Redirect::to("/login?next=/mlflow/").into_response();
    }
    let folder = match pages {
        Some(Extension(pages)) => pages.folder().await,
        None => None,
    };
    let Some(folder) = folder else {
        let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
        return (StatusCode::NOT_FOUND, kind, MISSING).into_response();
    };
    match read(folder, "index.html".to_owned()).await {
        Ok(Some(bytes)) => {
            let mut response = answer("index.html", bytes, "no-cache");
            let policy = HeaderValue::from_static(POLICY);
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            response
        }
        Ok(None) => (StatusCode::NOT_FOUND, MISSING).into_response(),
        Err(fault) => Trouble::from(fault).into_response(),
    }
}

async fn file(
    UrlPath(path): UrlPath<String>,
    OriginalUri(uri): OriginalUri,
    pages: Option<Extension<Pages>>,
) -> Response {
    let folder = match pages {
        Some(Extension(pages)) => pages.folder().await,
        None => None,
    };
    let (Some(folder), Some(name)) = (folder, path.strip_prefix("static-files/")) else {
        return unknown_endpoint(uri.path());
    };
    match read(folder, name.to_owned()).await {
        Ok(Some(bytes)) => {
            let mut response = answer(name, bytes, KEEP);
            // Why here too: a worker is held to the policy that its own file came with.
            let policy = HeaderValue::from_static(POLICY);
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            response
        }
        Ok(None) => unknown_endpoint(uri.path()),
        Err(fault) => Trouble::from(fault).into_response(),
    }
}

fn answer(name: &str, bytes: Vec<u8>, keep: &'static str) -> Response {
    let headers = [(header::CONTENT_TYPE, media_type(name)), (header::CACHE_CONTROL, keep)];
    (headers, bytes).into_response()
}

/// Reads a file below the folder; `None` for one that is not there or leads out of it.
async fn read(folder: PathBuf, name: String) -> Result<Option<Vec<u8>>, Fault> {
    let reading = tokio::task::spawn_blocking(move || {
        let Some(path) = inside(&folder, &name) else { return Ok(None) };
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Fault::caused(format!("read `{}`", path.display()), e)),
        }
    });
    reading.await.map_err(|e| Fault::caused("read a page of MLflow", e))?
}

/// The file of that name when it lies in the folder, also behind links.
fn inside(folder: &Path, name: &str) -> Option<PathBuf> {
    let odd = |part: &str| matches!(part, "" | "." | "..") || part.contains(['\\', '\0', ':']);
    if name.split('/').any(odd) {
        return None;
    }
    let root = folder.canonicalize().ok()?;
    let path = root.join(name).canonicalize().ok()?;
    (path.starts_with(&root) && path.is_file()).then_some(path)
}

fn media_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending.to_ascii_lowercase().as_str() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "txt" | "md" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "mp4" => "video/mp4",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let seen = |uri: &str| {
            let request = Request::builder().uri(uri).body(axum::body::Body::empty()).unwrap();
            unprefix(request).uri().to_string()
        };
        assert_eq!(
            seen("/mlflow/ajax-api/2.0/mlflow/runs/get?run_id=a%2Fb"),
            "/ajax-api/2.0/mlflow/runs/get?run_id=a%2Fb"
        );
        assert_eq!(seen("/mlflow/graphql"), "/graphql");
        assert_eq!(
            seen("/mlflow/model-versions/get-artifact?path=x"),
            "/model-versions/get-artifact?path=x"
        );
        for same in ["/mlflow/", "/mlflow/static-files/ajax-api/x.js", "/projects/ajax-api/x", "/"]
        {
            assert_eq!(seen(same), same);
        }
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("build");
        std::fs::create_dir_all(folder.join("static")).unwrap();
        std::fs::write(folder.join("static/a.js"), "1").unwrap();
        std::fs::write(dir.path().join("secret"), "2").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret"), folder.join("link")).unwrap();
        assert!(inside(&folder, "static/a.js").is_some());
        for out in [
            "../secret",
            "static/../../secret",
            "link",
            "/etc/passwd",
            "",
            "static",
            "a\\b",
            "static//a.js",
        ] {
            assert_eq!(inside(&folder, out), None, "{out}");
        }
    }
}
