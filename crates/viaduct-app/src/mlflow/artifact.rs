//! Artifacts: listed, read, written and deleted, in constant memory.

use std::fs::File;
use std::io::{self, Write};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use viaduct_base::{Error, Fault};
use viaduct_blob::{BlobPath, Blobs};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::mlflow::logged_model as models;

use super::{invalid, location, missing, run};
use crate::App;

/// Pieces of an upload that may wait for the disk: they bound its memory.
const PIECES_WAITING: usize = 4;

/// A file or folder of artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Relative to what was asked.
    pub path: String,
    /// A folder, or a file.
    pub is_folder: bool,
    /// Bytes of a file.
    pub bytes: u64,
}

/// The children of a folder of a run's or model's artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The URI that paths are relative to.
    pub root_uri: String,
    /// Children by path.
    pub artifacts: Vec<Artifact>,
}

/// An artifact to be sent.
#[derive(Debug)]
pub struct Download {
    /// The open file.
    pub file: File,
    /// Its length.
    pub bytes: u64,
    /// Its last name.
    pub name: String,
}

/// An upload on its way; dropped before [`Upload::finish`], it leaves nothing.
pub struct Upload {
    pieces: mpsc::Sender<Piece>,
    written: JoinHandle<io::Result<()>>,
}

enum Piece {
    Bytes(Bytes),
    End,
}

impl App {
    /// The children of a folder of artifacts by name, relative to it.
    ///
    /// # Errors
    /// `invalid-input` for a path that leads out.
    pub async fn list_artifacts(
        &self,
        caller: &Caller,
        path: Option<&str>,
    ) -> Result<Vec<Artifact>, Error> {
        self.authorise(caller, Operation::ReadTracking)?;
        let folder = path.filter(|p| !p.is_empty()).map(location::checked_path).transpose()?;
        children(self.blobs().clone(), folder.clone(), folder).await
    }

    /// The children of a folder of a run's artifacts, relative to the run's root.
    ///
    /// # Errors
    /// `not-found` for the run; `invalid-input` for a path that leads out.
    pub async fn list_run_artifacts(
        &self,
        caller: &Caller,
        run_id: &str,
        path: Option<&str>,
    ) -> Result<Listing, Error> {
        let scope = self.authorise(caller, Operation::ReadTracking)?;
        let id = run_id.to_owned();
        let row = self.store().read("get_run", move |tx| run::find(tx, &scope, &id)).await?;
        list_below(self.blobs().clone(), row.artifact_uri, path).await
    }

    /// The children of a folder of a logged model's artifacts, relative to the model's root.
    ///
    /// # Errors
    /// `not-found` for the model; `invalid-input` for a path that leads out.
    pub async fn list_logged_model_artifacts(
        &self,
        caller: &Caller,
        model_id: &str,
        path: Option<&str>,
    ) -> Result<Listing, Error> {
        let scope = self.authorise(caller, Operation::ReadTracking)?;
        let id = model_id.to_owned();
        let row = self
            .store()
            .read("get_logged_model", move |tx| models::find(tx, &scope, &id))
            .await?
            .ok_or_else(|| super::logged_model::not_found(model_id))?;
        list_below(self.blobs().clone(), row.artifact_uri, path).await
    }

    /// Opens an artifact for reading.
    ///
    /// # Errors
    /// `not-found`, a folder included; `invalid-input` for a path that leads out.
    pub async fn open_artifact(&self, caller: &Caller, path: &str) -> Result<Download, Error> {
        self.authorise(caller, Operation::ReadTracking)?;
        let path = location::checked_path(path)?;
        let (blobs, wanted) = (self.blobs().clone(), path.clone());
        let found = blocking(move || blobs.open_blob(&wanted)).await?;
        let (file, bytes) = found.ok_or_else(|| missing(format!("No such artifact: '{path}'")))?;
        Ok(Download { file, bytes, name: path.file_name().to_owned() })
    }

    /// Begins to write an artifact.
    ///
    /// # Errors
    /// `invalid-input` for a path that leads out.
    pub fn begin_upload(&self, caller: &Caller, path: &str) -> Result<Upload, Error> {
        self.authorise(caller, Operation::WriteTracking)?;
        let path = location::checked_path(path)?;
        let blobs = self.blobs().clone();
        let (pieces, received) = mpsc::channel(PIECES_WAITING);
        let written = tokio::task::spawn_blocking(move || write(&blobs, &path, received));
        Ok(Upload { pieces, written })
    }

    /// Deletes an artifact, or a folder with all below it.
    ///
    /// # Errors
    /// `not-found`; `invalid-input` for a path that leads out.
    pub async fn delete_artifact(&self, caller: &Caller, path: &str) -> Result<(), Error> {
        self.authorise(caller, Operation::WriteTracking)?;
        let path = location::checked_path(path)?;
        let (blobs, doomed) = (self.blobs().clone(), path.clone());
        if blocking(move || blobs.delete(&doomed)).await? {
            return Ok(());
        }
        Err(missing(format!("No such artifact: '{path}'")))
    }
}

impl Upload {
    /// Adds bytes; waits while the disk is behind.
    ///
    /// # Errors
    /// When the disk says no.
    pub async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        if self.pieces.send(Piece::Bytes(bytes)).await.is_ok() {
            return Ok(());
        }
        // Why: the writer ended early, and only it knows why.
        Err(match (&mut self.written).await {
            Ok(Err(e)) => upload_failed(e),
            Ok(Ok(())) => Fault::new("an upload ended before its end").into(),
            Err(e) => Fault::caused("write an artifact", e).into(),
        })
    }

    /// Makes the artifact visible, whole.
    ///
    /// # Errors
    /// When the disk says no.
    pub async fn finish(self) -> Result<(), Error> {
        // Why no check: a writer that is gone tells why below.
        let _ = self.pieces.send(Piece::End).await;
        let written = self.written.await.map_err(|e| Fault::caused("write an artifact", e))?;
        written.map_err(upload_failed)
    }
}

fn write(blobs: &Blobs, path: &BlobPath, mut received: mpsc::Receiver<Piece>) -> io::Result<()> {
    let mut blob = blobs.begin(path)?;
    while let Some(piece) = received.blocking_recv() {
        match piece {
            Piece::Bytes(bytes) => blob.write_all(&bytes)?,
            Piece::End => return blob.commit(),
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the upload was interrupted"))
}

fn upload_failed(error: io::Error) -> Error {
    use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory};
    match error.kind() {
        AlreadyExists | IsADirectory | NotADirectory => {
            invalid("Invalid path: a folder and a file cannot have the same name.")
        }
        io::ErrorKind::StorageFull => Fault::caused("write an artifact", error).retryable().into(),
        _ => Fault::caused("write an artifact", error).into(),
    }
}

async fn list_below(blobs: Blobs, root_uri: String, path: Option<&str>) -> Result<Listing, Error> {
    let root = location::artifacts(&root_uri, None)?;
    let folder = match path.filter(|path| !path.is_empty()) {
        Some(path) => {
            let below = location::checked_path(path)?;
            root.join(below.as_str()).map_err(|e| invalid(e.to_string()))?
        }
        None => root.clone(),
    };
    let artifacts = children(blobs, Some(folder), Some(root)).await?;
    Ok(Listing { root_uri, artifacts })
}

async fn children(
    blobs: Blobs,
    folder: Option<BlobPath>,
    root: Option<BlobPath>,
) -> Result<Vec<Artifact>, Error> {
    let entries = blocking(move || blobs.list(folder.as_ref())).await?;
    let cut = root.map_or(0, |root| root.as_str().len() + 1);
    let artifact = |entry: viaduct_blob::Entry| Artifact {
        path: entry.path.as_str().get(cut..).unwrap_or_default().to_owned(),
        is_folder: entry.is_folder,
        bytes: entry.bytes,
    };
    Ok(entries.into_iter().map(artifact).collect())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    let answer = done.map_err(|e| Fault::caused("artifacts", e))?;
    answer.map_err(|e| Fault::caused("artifacts", e).into())
}
