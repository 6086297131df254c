//! Where artifacts are: MLflow's URIs turned into paths of blobs, and nothing else.
//!
//! Invariant: the server never fetches a URI and never opens a path that a client named. A URI of
//! an object store is kept for the clients, who read and write there themselves; the server reads
//! it only below the root that its configuration names. A path of this machine is refused.

use viaduct_base::{Kind, Refusal};
use viaduct_blob::{BlobPath, InvalidBlobPath};

const SCHEME: &str = "mlflow-artifacts:";
const PROXY: &str = "mlflow-artifacts/artifacts/";

/// What the source of a model version names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A folder of artifacts.
    Artifacts(BlobPath),
    /// A run's folder: `runs:/<run>/<path>`.
    Run { run_id: String, path: String },
    /// A logged model: `models:/m-…`.
    LoggedModel(String),
    /// A version of a registered model: `models:/name/3` or `models:/name@alias`.
    Version(String),
}

/// The URI of a folder of artifacts.
pub(crate) fn uri(path: &BlobPath) -> String {
    path.elsewhere().unwrap_or_else(|| format!("{SCHEME}/{path}"))
}

/// The root of a new experiment's artifacts; `base` is [`viaduct_blob::Blobs::base`].
pub(crate) fn experiment_root(base: &str, experiment_id: &str) -> String {
    format!("{base}/{experiment_id}")
}

/// The path of a URI that this server keeps in its rows.
///
/// # Errors
/// `invalid-input` for one that no version of this server has written.
pub(crate) fn stored(uri: &str) -> Result<BlobPath, Refusal> {
    match BlobPath::of_elsewhere(uri) {
        Some(path) => path.map_err(|e| Refusal::new(Kind::InvalidInput, e.to_string())),
        None => artifacts(uri, None),
    }
}

/// A path of the artifact proxy that a row keeps, or one that stands for a URI.
///
/// # Errors
/// `invalid-input` for one that leads out.
pub(crate) fn stored_path(text: &str) -> Result<BlobPath, Refusal> {
    text.parse().map_err(|e: InvalidBlobPath| Refusal::new(Kind::InvalidInput, e.to_string()))
}

/// The folder of a run's artifacts.
pub(crate) fn run_root(experiment_root: &str, run_id: &str) -> String {
    format!("{}/{run_id}/artifacts", experiment_root.trim_end_matches('/'))
}

/// The folder of a logged model's artifacts.
pub(crate) fn model_root(experiment_root: &str, model_id: &str) -> String {
    format!("{}/models/{model_id}/artifacts", experiment_root.trim_end_matches('/'))
}

/// A path below the artifact folder, as a URL or a URI carried it after one decoding.
///
/// # Errors
/// `invalid-input` for a way out of the folder, also one that further decoding would open.
pub fn checked_path(text: &str) -> Result<BlobPath, Refusal> {
    let refuse = |why: &str| {
        let shown: String = text.chars().take(120).collect();
        Refusal::new(Kind::InvalidInput, format!("Invalid path `{shown}`: {why}"))
    };
    // Why: other readers of the same text may decode it again; `%252e` must be no way out either.
    let mut decoded = text.to_owned();
    loop {
        let escapes = decoded.split(['/', '\\']).any(|segment| {
            segment == ".." || segment.starts_with("..;") || segment.ends_with(";..")
        });
        if escapes || decoded.starts_with('/') || decoded.contains(['\\', '\0']) {
            return Err(refuse("it must be relative, without `..` and backslashes"));
        }
        if decoded.len() > 1
            && decoded.as_bytes()[1] == b':'
            && decoded.as_bytes()[0].is_ascii_alphabetic()
        {
            return Err(refuse("it names a drive"));
        }
        match percent_decoded(&decoded) {
            Some(next) if next != decoded => decoded = next,
            Some(_) => break,
            None => return Err(refuse("it does not decode to UTF-8")),
        }
    }
    let path: BlobPath = text.trim_end_matches('/').parse().map_err(|e| refuse(&format!("{e}")))?;
    if path.is_below(".root") {
        return Err(refuse("it begins with a reserved name"));
    }
    Ok(path)
}

/// One percent-decoding; a `%` that starts no escape stays. `None` when the bytes are no UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

/// Reads a location of artifacts: `mlflow-artifacts:/…`, or the address of this server's own
/// artifact proxy (`own_host`: what the client called the server, with its port).
///
/// # Errors
/// `invalid-input` for anything else.
pub(crate) fn artifacts(uri: &str, own_host: Option<&str>) -> Result<BlobPath, Refusal> {
    let shown: String = uri.chars().take(120).collect();
    let refuse = |why: &str| {
        Refusal::new(
            Kind::InvalidInput,
            format!(
                "Invalid artifact location `{shown}`: {why}; use a `mlflow-artifacts:/` URI of this server, or one of an object store"
            ),
        )
    };
    if uri.contains(['#', '?']) {
        return Err(refuse("a query or a fragment means nothing here"));
    }
    if let Some(rest) = uri.strip_prefix(SCHEME) {
        let path = match rest.strip_prefix("//") {
            None => rest.strip_prefix('/').unwrap_or(rest),
            Some(rest) => {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                if !host.is_empty() && own_host != Some(host) {
                    return Err(refuse("it names another server"));
                }
                path
            }
        };
        return checked_path(path);
    }
    let is_local =
        uri.starts_with('/') || uri.get(..5).is_some_and(|s| s.eq_ignore_ascii_case("file:"));
    if let Some(path) = BlobPath::of_elsewhere(uri).filter(|_| !is_local) {
        let path = path.map_err(|e| refuse(&e.to_string()))?;
        // Why checked decoded too: clients may decode it before they use it.
        let below = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        return checked_path(below).map(|_| path);
    }
    let address = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("https://"));
    let Some((host, path)) = address.and_then(|rest| rest.split_once('/')) else {
        return Err(refuse("its scheme is not allowed"));
    };
    if own_host != Some(host) {
        return Err(refuse("it names another server, and sources are never fetched"));
    }
    let below = ["api/2.0/", "ajax-api/2.0/"]
        .iter()
        .find_map(|prefix| path.strip_prefix(prefix)?.strip_prefix(PROXY))
        .ok_or_else(|| refuse("it is not an address of artifacts"))?;
    let decoded = percent_decoded(below).ok_or_else(|| refuse("it does not decode to UTF-8"))?;
    checked_path(&decoded)
}

/// What clients send as the source of a prompt, which has no files: a folder with nothing in it.
const PROMPT_SOURCE: &str = "dummy-source";

/// Reads the source of a model version.
///
/// # Errors
/// `invalid-input` for anything but artifacts of this server, a run or a model.
pub(crate) fn source(uri: &str, own_host: Option<&str>) -> Result<Source, Refusal> {
    let refuse = |why: &str| {
        let shown: String = uri.chars().take(120).collect();
        Refusal::new(Kind::InvalidInput, format!("Invalid model version source: '{shown}'. {why}"))
    };
    if uri == PROMPT_SOURCE {
        return Ok(Source::Artifacts(checked_path(uri)?));
    }
    if let Some(rest) = uri.strip_prefix("runs:/") {
        let rest = rest.trim_start_matches('/');
        let (run_id, path) = rest.split_once('/').unwrap_or((rest, ""));
        if run_id.is_empty() || uri.contains(['#', '?']) {
            return Err(refuse("Use `runs:/<run id>/<path>`."));
        }
        if !path.is_empty() {
            checked_path(path)?;
        }
        return Ok(Source::Run { run_id: run_id.to_owned(), path: path.to_owned() });
    }
    if let Some(rest) = uri.strip_prefix("models:/") {
        let rest = rest.trim_start_matches('/');
        if rest.is_empty() || uri.contains(['#', '?']) {
            return Err(refuse(
                "Use `models:/<model id>`, `models:/<name>/<version>` or `models:/<name>@<alias>`.",
            ));
        }
        checked_path(rest)?;
        let is_logged = rest.starts_with("m-") && !rest.contains(['/', '@']);
        return Ok(match is_logged {
            true => Source::LoggedModel(rest.to_owned()),
            false => Source::Version(rest.to_owned()),
        });
    }
    artifacts(uri, own_host).map(Source::Artifacts).map_err(|refusal| {
        refuse(&format!(
            "Sources are `runs:/`, `models:/` and `mlflow-artifacts:/` URIs of this server. {}",
            refusal.detail
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Option<&str> = Some("127.0.0.1:7878");

    #[test]
    fn artifacts_of_this_server() {
        for good in [
            "mlflow-artifacts:/1/r/artifacts/model",
            "mlflow-artifacts:///1/r/artifacts/model",
            "mlflow-artifacts://127.0.0.1:7878/1/r/artifacts/model",
            "mlflow-artifacts:1/r/artifacts/model",
            "mlflow-artifacts:/1/r/artifacts/model/",
            "http://127.0.0.1:7878/api/2.0/mlflow-artifacts/artifacts/1/r/artifacts/model",
        ] {
            assert_eq!(artifacts(good, OWN).unwrap().as_str(), "1/r/artifacts/model", "{good}");
        }
    }

    #[test]
    fn sources_that_lead_elsewhere() {
        for bad in [
            "",
            "/etc",
            "etc",
            "file:///etc",
            "file:/etc",
            "file:etc",
            "FILE:///etc",
            "s3://bucket/../x",
            "s3://bucket/%2e%2e/x",
            "s3://bucket/x#/../y",
            "s3://bucket/x?versionId=1",
            "s3:/x",
            "dbfs:/x",
            "http://169.254.169.254/latest",
            "http://127.0.0.1:7878/etc/passwd",
            "http://127.0.0.1:7878@evil/api/2.0/mlflow-artifacts/artifacts/1",
            "http://evil/api/2.0/mlflow-artifacts/artifacts/1",
            "http:///#/../../../../etc/",
            "http://127.0.0.1:7878/api/2.0/mlflow-artifacts/artifacts/../../etc",
            "http://127.0.0.1:7878/api/2.0/mlflow-artifacts/artifacts/%2e%2e/etc",
            "http://127.0.0.1:7878/api/2.0/mlflow-artifacts/artifacts/1?x=/../..",
            "mlflow-artifacts:",
            "mlflow-artifacts:/",
            "mlflow-artifacts://evil/1/r",
            "mlflow-artifacts:/../../etc",
            "mlflow-artifacts://../etc",
            "mlflow-artifacts:/1/%2e%2e/%2E%2E/etc",
            "mlflow-artifacts:/1/%252e%252e/etc",
            "mlflow-artifacts:/1/..%2fetc",
            "mlflow-artifacts:/1/..;/etc",
            "mlflow-artifacts:/1/x;..",
            "mlflow-artifacts:/1\\..\\..\\etc",
            "mlflow-artifacts:/1/%5c..%5cetc",
            "mlflow-artifacts:/1#/../../etc",
            "mlflow-artifacts:/1?/../../etc",
            "mlflow-artifacts:////etc/passwd",
            "mlflow-artifacts:/C:/windows",
            "mlflow-artifacts:/1/%00",
            "\\..\\..\\etc",
            "runs:/",
            "runs:/r/../../etc",
            "runs:/r/%2e%2e/etc",
            "runs:/r/model#/../../etc",
            "models:/",
            "models:/../etc",
            "models:/m-1/../../etc",
        ] {
            assert!(source(bad, OWN).is_err(), "{bad}");
        }
    }

    #[test]
    fn stores_are_for_the_clients() {
        let path = artifacts("s3://bucket/x/1", OWN).unwrap();
        assert_eq!(uri(&path), "s3://bucket/x/1");
        assert_eq!(stored("/srv/x/1").map(|path| uri(&path)).unwrap(), "/srv/x/1");
        assert_eq!(stored("mlflow-artifacts:/1/r").unwrap().as_str(), "1/r");
        assert!(checked_path(path.as_str()).is_err());
    }

    #[test]
    fn sources_by_name() {
        let run = Source::Run { run_id: "r1".into(), path: "a/model".into() };
        assert_eq!(source("runs:/r1/a/model", None).unwrap(), run);
        let nothing = Source::Artifacts(checked_path("dummy-source").unwrap());
        assert_eq!(source("dummy-source", None).unwrap(), nothing);
        assert!(source("dummy-source/../x", None).is_err() && source("dummy", None).is_err());
        assert_eq!(source("models:/m-12", None).unwrap(), Source::LoggedModel("m-12".into()));
        assert_eq!(source("models:/m/3", None).unwrap(), Source::Version("m/3".into()));
        assert_eq!(source("models:/m@best", None).unwrap(), Source::Version("m@best".into()));
    }

    #[test]
    fn odd_names_are_fine() {
        for good in ["1/r/artifacts/a b.txt", "a/50%.csv", "ü/ñ", "...", "a/..b"] {
            assert_eq!(checked_path(good).unwrap().as_str(), good);
        }
    }
}
