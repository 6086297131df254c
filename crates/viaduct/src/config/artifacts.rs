//! Where artifacts are kept: `--artifacts-destination` and `--default-artifact-root`, as on
//! `mlflow server`.

use viaduct_blob::{BlobPath, Place, Places};

use super::ConfigError;
use super::check::{Reader, tidy_path};

/// Beginnings of variables that object stores are set up with, here and in their own tools.
const STORE_VARIABLES: [&str; 4] = ["AWS_", "AZURE_", "GOOGLE_", "MLFLOW_S3_ENDPOINT_URL"];
const DESTINATION: &str = "artifacts.destination";
const ROOT: &str = "artifacts.default_root";

/// Gives both settings their meaning.
///
/// # Errors
/// A place that is none.
pub(super) fn read(reader: &Reader<'_>, data_dir: &std::path::Path) -> Result<Places, ConfigError> {
    let mut places = Places::in_folder(&data_dir.join("blobs"));
    if let Some(place) = place(reader, DESTINATION)? {
        places.proxy = place;
    }
    places.copies = data_dir.join("artifact-copies");
    places.options = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| STORE_VARIABLES.iter().any(|start| name.starts_with(start)))
        .collect();
    let said = reader.text(ROOT);
    if let Some(below) = said.strip_prefix("mlflow-artifacts:") {
        let below = below.trim_matches('/');
        if !below.is_empty() && below.parse::<BlobPath>().is_err() {
            return Err(reader.invalid(ROOT, "`mlflow-artifacts:/` and a folder below it"));
        }
        if !below.is_empty() {
            places.base = format!("mlflow-artifacts:/{below}");
        }
    } else if let Some(place) = place(reader, ROOT)? {
        let uri = place.uri();
        let path = BlobPath::of_elsewhere(&uri).and_then(Result::ok);
        let path = path.ok_or_else(|| reader.invalid(ROOT, "a folder or a store's URI"))?;
        places.roots.push((path, place));
        places.base = uri;
    }
    Ok(places)
}

fn place(reader: &Reader<'_>, key: &'static str) -> Result<Option<Place>, ConfigError> {
    let text = reader.text(key);
    if text.is_empty() {
        return Ok(None);
    }
    match Place::read(&text, &reader.base(key)) {
        Ok(Place::Folder(path)) => Ok(Some(Place::Folder(tidy_path(&path)))),
        Ok(place) => Ok(Some(place)),
        Err(why) => Err(reader.invalid(key, format!("a place for artifacts ({why})"))),
    }
}
