//! Where blobs are kept: what `--artifacts-destination` and `--default-artifact-root` say.

use std::path::{Path, PathBuf};

use crate::{BlobPath, InvalidBlobPath};

/// Schemes of stores, as MLflow and the stores' own tools write them.
const STORES: [&str; 10] =
    ["s3", "s3a", "gs", "wasbs", "abfs", "abfss", "az", "azure", "adl", "memory"];

/// The URI of what goes through the artifact proxy.
const PROXIED: &str = "mlflow-artifacts:";
/// The first segment of a path that stands for a URI of another place.
pub(crate) const ELSEWHERE: &str = ".root";

/// Where blobs are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Below a folder of this machine.
    Folder(PathBuf),
    /// In a bucket or container: its URI.
    Store(String),
}

/// Everything that [`crate::Blobs`] is opened with.
#[derive(Debug, Clone)]
pub struct Places {
    /// What the artifact proxy reads and writes.
    pub proxy: Place,
    /// Where clients read and write by themselves; see [`BlobPath::of_elsewhere`].
    pub roots: Vec<(BlobPath, Place)>,
    /// The URI below which new experiments keep their artifacts, without a slash at its end.
    pub base: String,
    /// A folder for copies of objects.
    pub copies: PathBuf,
    /// Settings of stores by the name of their environment variable, as in `AWS_ENDPOINT_URL`.
    pub options: Vec<(String, String)>,
}

/// Why a text names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no place for artifacts: {why}")]
pub struct InvalidPlace {
    text: String,
    why: String,
}

impl Places {
    /// One folder, nothing else.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            proxy: Place::Folder(folder.to_owned()),
            roots: Vec::new(),
            base: PROXIED.to_owned(),
            copies: folder.join(".copies"),
            options: Vec::new(),
        }
    }
}

impl BlobPath {
    /// The path that stands for the URI of a store, a `file:` URI or an absolute path; `None` for
    /// every other text. Only what lies below one of [`Places::roots`] can be read.
    pub fn of_elsewhere(uri: &str) -> Option<Result<Self, InvalidBlobPath>> {
        let uri = uri.trim_end_matches('/');
        let (scheme, rest) = match uri.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) {
            Some((scheme, rest)) if STORES.contains(&scheme) => (scheme, rest.strip_prefix("//")?),
            Some(("file", rest)) => {
                ("file", rest.strip_prefix("//").unwrap_or(rest).strip_prefix('/')?)
            }
            Some(_) => return None,
            None => ("file", uri.strip_prefix('/')?),
        };
        Some(format!("{ELSEWHERE}/{scheme}:/{rest}").parse())
    }

    /// The URI, or absolute path, that [`Self::of_elsewhere`] was given; `None` for a proxied path.
    pub fn elsewhere(&self) -> Option<String> {
        let (scheme, rest) = self
            .below(ELSEWHERE)?
            .as_str()
            .split_once(":/")
            .map(|(s, r)| (s.to_owned(), r.to_owned()))?;
        Some(if scheme == "file" { format!("/{rest}") } else { format!("{scheme}://{rest}") })
    }
}

impl Place {
    /// The URI that clients are given for this place.
    pub fn uri(&self) -> String {
        match self {
            Self::Folder(path) => path.display().to_string(),
            Self::Store(uri) => uri.clone(),
        }
    }

    /// Reads a folder (relative to `base`), a `file:` URI or the URI of a store.
    ///
    /// # Errors
    /// For another scheme, a host in a `file:` URI, a query or a fragment.
    pub fn read(text: &str, base: &Path) -> Result<Self, InvalidPlace> {
        let refuse = |why: &str| InvalidPlace { text: text.to_owned(), why: why.to_owned() };
        let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme))
        else {
            return Ok(Self::Folder(base.join(text)));
        };
        if rest.contains(['?', '#']) {
            return Err(refuse("a query or a fragment means nothing here"));
        }
        let scheme = scheme.to_ascii_lowercase();
        if scheme == "file" {
            let path = match rest.strip_prefix("//") {
                Some(rest) if rest.starts_with('/') => rest,
                Some(_) => return Err(refuse("it names a host; write `file:///folder`")),
                None => rest,
            };
            return Ok(Self::Folder(base.join(path)));
        }
        let known = STORES.contains(&scheme.as_str());
        match known && rest.starts_with("//") {
            true => Ok(Self::Store(text.trim_end_matches('/').to_owned())),
            false => Err(refuse(&format!(
                "use a folder, `file:///folder`, or `{}://…`",
                STORES.join("://…`, `")
            ))),
        }
    }
}

/// Why two letters at least: `C:` is a drive.
fn is_scheme(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_of_other_places() {
        for uri in ["s3://b/x/1", "/srv/a b", "wasbs://c@acc.blob.core.windows.net/x"] {
            let path = BlobPath::of_elsewhere(uri).unwrap().unwrap();
            assert_eq!(path.elsewhere().unwrap(), uri);
        }
        let file = BlobPath::of_elsewhere("file:///srv/a/").unwrap().unwrap();
        assert_eq!(file.elsewhere().unwrap(), "/srv/a");
        for uri in ["s3://b/../c", "s3://b//c", "/a/../b", "file:////etc"] {
            assert!(BlobPath::of_elsewhere(uri).unwrap().is_err(), "{uri}");
        }
        for uri in ["http://h/x", "mlflow-artifacts:/1", "dbfs:/x", "etc", "s3:/b", "file:etc"] {
            assert!(BlobPath::of_elsewhere(uri).is_none(), "{uri}");
        }
        assert!("1/run".parse::<BlobPath>().unwrap().elsewhere().is_none());
    }

    #[test]
    fn folders_and_stores() {
        let base = Path::new("/work");
        for (text, path) in [
            ("mlartifacts", "/work/mlartifacts"),
            ("./mlartifacts", "/work/./mlartifacts"),
            ("/srv/a", "/srv/a"),
            ("file:///srv/a", "/srv/a"),
            ("file:/srv/a", "/srv/a"),
        ] {
            assert_eq!(Place::read(text, base), Ok(Place::Folder(path.into())), "{text}");
        }
        for text in ["s3://bucket/a", "gs://b", "wasbs://c@acc.blob.core.windows.net/x"] {
            assert_eq!(Place::read(text, base), Ok(Place::Store(text.into())), "{text}");
        }
        for text in ["file://host/x", "ftp://h/x", "http://h/x", "dbfs:/x", "s3:/x", "s3://b?x=1"] {
            assert!(Place::read(text, base).is_err(), "{text}");
        }
    }
}
