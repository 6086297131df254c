//! Where artifacts are, and how they come over.

use std::io;
use std::path::{Path, PathBuf};

use viaduct_blob::{BlobPath, Blobs, Place, Places};

use crate::{ExchangeError, Line, Report, Watch};

/// The URI of what goes through a server.
const PROXIED: &str = "mlflow-artifacts:";
/// Uploads and objects of our own folders: not artifacts.
const OWN: [&str; 3] = [".uploads", ".objects", ".copies"];

/// The root of the source's artifacts and what becomes of the files.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    root: Option<Place>,
    /// Settings of stores by the name of their environment variable.
    options: Vec<(String, String)>,
    /// Where copies go; without it, files stay where they are.
    to: Option<Blobs>,
}

/// Where an artifact URI leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lies {
    /// Behind a server's proxy: this path below its root.
    Proxied(String),
    /// Below the root that was named, without a proxy.
    Below(String),
    /// Anywhere else.
    Elsewhere,
}

impl Files {
    pub(crate) fn new(
        root: Option<Place>,
        options: Vec<(String, String)>,
        to: Option<Blobs>,
    ) -> Self {
        Self { root, options, to }
    }

    /// Where a URI of the source leads.
    pub(crate) fn lies(&self, uri: &str) -> Lies {
        if let Some(rest) = uri.strip_prefix(PROXIED) {
            let path = match rest.strip_prefix("//") {
                Some(with_host) => with_host.split_once('/').map_or("", |(_, path)| path),
                None => rest,
            };
            return Lies::Proxied(path.trim_matches('/').to_owned());
        }
        let root = self.root.as_ref().map(Place::uri);
        let path = uri.strip_prefix("file://").or_else(|| uri.strip_prefix("file:"));
        let path = path.unwrap_or(uri);
        let below = root.as_deref().and_then(|root| path.strip_prefix(root.trim_end_matches('/')));
        match below {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                Lies::Below(rest.trim_matches('/').to_owned())
            }
            _ => Lies::Elsewhere,
        }
    }

    /// The URI that a thing has here: what is copied goes through our proxy, the rest stays.
    pub(crate) fn uri(&self, uri: &str) -> String {
        match self.lies(uri) {
            Lies::Below(path) if self.to.is_some() => format!("{PROXIED}/{path}"),
            _ => uri.to_owned(),
        }
    }

    /// What our tables call the place of a URI of ours.
    pub(crate) fn storage_path(uri: &str) -> Option<String> {
        if let Some(rest) = uri.strip_prefix(PROXIED) {
            let path = match rest.strip_prefix("//") {
                Some(with_host) => with_host.split_once('/').map_or("", |(_, path)| path),
                None => rest,
            };
            let path: BlobPath = path.trim_matches('/').parse().ok()?;
            return Some(path.to_string());
        }
        Some(BlobPath::of_elsewhere(uri)?.ok()?.to_string())
    }

    /// Copies every file below the root that is not here yet.
    pub(crate) fn copy(
        &self,
        watch: &mut dyn Watch,
        report: &mut Report,
    ) -> Result<(), ExchangeError> {
        let (Some(root), Some(to)) = (&self.root, &self.to) else { return Ok(()) };
        let found = match root {
            Place::Folder(folder) => in_folder(folder)?,
            Place::Store(uri) => self.in_store(uri)?,
        };
        watch.begin("artifacts", found.len() as u64);
        let mut line =
            Line { what: "artifact files", found: found.len() as u64, ..Line::default() };
        let mut refused = Vec::new();
        for file in found {
            match copy_one(&file, to)? {
                Copied::Now => line.brought += 1,
                Copied::Before => line.present += 1,
                Copied::Not(why) => {
                    line.skipped += 1;
                    refused.push(why);
                }
            }
            watch.advance(1);
        }
        report.add(line);
        for why in refused.iter().take(5) {
            report.note(format!("not copied: {why}"));
        }
        if refused.len() > 5 {
            report.note(format!("not copied: {} more of the kind", refused.len() - 5));
        }
        Ok(())
    }

    fn in_store(&self, uri: &str) -> Result<Vec<Found>, ExchangeError> {
        let scratch = std::env::temp_dir().join(format!("viaduct-import-{}", std::process::id()));
        let places = Places {
            proxy: Place::Store(uri.to_owned()),
            options: self.options.clone(),
            ..Places::in_folder(&scratch)
        };
        let of = |source| ExchangeError::file(uri, source);
        let blobs = Blobs::open_at(&places).map_err(of)?;
        let mut found = Vec::new();
        let mut open = blobs.list(None).map_err(of)?;
        while let Some(entry) = open.pop() {
            if entry.is_folder {
                open.extend(blobs.list(Some(&entry.path)).map_err(of)?);
            } else {
                let (name, bytes) = (entry.path.to_string(), entry.bytes);
                found.push(Found { name, bytes, place: At::Store(blobs.clone()) });
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }
}

struct Found {
    /// Its path below the root.
    name: String,
    bytes: u64,
    place: At,
}

enum At {
    Disk(PathBuf),
    Store(Blobs),
}

enum Copied {
    Now,
    Before,
    Not(String),
}

/// Files below a folder; links are left, as they may lead out of it.
fn in_folder(root: &Path) -> Result<Vec<Found>, ExchangeError> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(folder) = open.pop() {
        let path = root.join(&folder);
        let of = |source| ExchangeError::file(path.display(), source);
        for entry in std::fs::read_dir(&path).map_err(of)? {
            let entry = entry.map_err(of)?;
            let (kind, relative) = (entry.file_type().map_err(of)?, folder.join(entry.file_name()));
            let is_own = relative.to_str().is_some_and(|name| OWN.contains(&name));
            if kind.is_dir() && !is_own {
                open.push(relative);
            } else if kind.is_file() {
                let bytes = entry.metadata().map_err(of)?.len();
                let name = relative.to_string_lossy().into_owned();
                found.push(Found { name, bytes, place: At::Disk(entry.path()) });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn copy_one(file: &Found, to: &Blobs) -> Result<Copied, ExchangeError> {
    let of = |source| ExchangeError::file(&file.name, source);
    let path: BlobPath = match file.name.parse() {
        Ok(path) => path,
        Err(error) => return Ok(Copied::Not(format!("{error}"))),
    };
    // Why the length is enough: a blob is there whole or not at all, and a name's content in MLflow
    // is written once.
    if to.open_blob(&path).map_err(of)?.is_some_and(|blob| blob.bytes == file.bytes) {
        return Ok(Copied::Before);
    }
    let mut blob = to.begin(&path).map_err(of)?;
    match &file.place {
        At::Disk(place) => {
            let mut reader = std::fs::File::open(place).map_err(of)?;
            io::copy(&mut reader, &mut blob).map_err(of)?;
        }
        At::Store(blobs) => {
            let Some(mut open) = blobs.open_blob(&path).map_err(of)? else {
                return Ok(Copied::Not(format!("`{}` went away meanwhile", file.name)));
            };
            io::copy(&mut open.reader, &mut blob).map_err(of)?;
        }
    }
    blob.commit().map_err(of)?;
    Ok(Copied::Now)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Watch for Nobody {
        fn begin(&mut self, _: &'static str, _: u64) {}
        fn advance(&mut self, _: u64) {}
    }

    fn files(root: &Path, to: Option<Blobs>) -> Files {
        Files::new(Some(Place::Folder(root.to_owned())), Vec::new(), to)
    }

    #[test]
    fn where_uris_lead() {
        let files = files(Path::new("/srv/mlruns"), None);
        let below = |path: &str| Lies::Below(path.to_owned());
        assert_eq!(files.lies("/srv/mlruns/1/r/artifacts"), below("1/r/artifacts"));
        assert_eq!(files.lies("file:///srv/mlruns/1"), below("1"));
        assert_eq!(files.lies("mlflow-artifacts:/1/r"), Lies::Proxied("1/r".to_owned()));
        assert_eq!(files.lies("mlflow-artifacts://h:5000/1/r"), Lies::Proxied("1/r".to_owned()));
        for uri in ["/srv/mlruns2/1", "s3://b/1", "/etc", "dbfs:/x"] {
            assert_eq!(files.lies(uri), Lies::Elsewhere, "{uri}");
        }
        assert_eq!(files.uri("/srv/mlruns/1"), "/srv/mlruns/1", "in place it keeps its name");
    }

    #[test]
    fn files_are_copied_once() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("mlruns");
        std::fs::create_dir_all(root.join("1/r/artifacts/sub")).unwrap();
        std::fs::write(root.join("1/r/artifacts/sub/a.txt"), "a").unwrap();
        std::fs::write(root.join("1/r/artifacts/b\\c"), "b").unwrap();
        let blobs = Blobs::open(&dir.path().join("blobs")).unwrap();
        let files = files(&root, Some(blobs.clone()));
        assert_eq!(files.uri(&format!("{}/1", root.display())), "mlflow-artifacts:/1");
        let mut report = Report::default();
        files.copy(&mut Nobody, &mut report).unwrap();
        let line = report.lines[0];
        assert_eq!((line.found, line.brought, line.skipped), (2, 1, 1), "{report}");
        let path: BlobPath = "1/r/artifacts/sub/a.txt".parse().unwrap();
        assert_eq!(blobs.read(&path, 10).unwrap().unwrap(), b"a");
        let mut again = Report::default();
        files.copy(&mut Nobody, &mut again).unwrap();
        assert_eq!((again.lines[0].brought, again.lines[0].present), (0, 1));
    }
}
