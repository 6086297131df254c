//! Artifacts: listed, read, written and deleted, in constant memory.

use std::io::{self, Read, Write};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use viaduct_base::{Error, Fault};
use viaduct_blob::{BlobPath, BlobReader, Blobs, OpenBlob};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::mlflow::logged_model as models;

use super::{invalid, location, missing, run};
use crate::App;

/// Pieces of an upload that may wait for the disk: they bound its memory.
const PIECES_WAITING: usize = 4;

/// Whose artifacts are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// All that the artifact proxy has.
    Proxy,
    /// A run's.
    Run(String),
    /// A logged model's.
    LoggedModel(String),
    /// A version of a registered model.
    Version {
        /// The model.
        name: String,
        /// The version's number.
        version: String,
    },
}

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

/// Which bytes of an artifact are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytewise {
    /// All of them.
    All,
    /// From the first to the second, both included; to the end without a second.
    From(u64, Option<u64>),
    /// That many at the end.
    Last(u64),
}

/// An artifact to be sent.
#[derive(Debug)]
pub struct Download {
    /// The bytes of `part`, or of everything.
    pub reader: io::Take<BlobReader>,
    /// Length of the whole artifact.
    pub bytes: u64,
    /// Names its content.
    pub tag: String,
    /// Its last name.
    pub name: String,
    /// First and last byte of what was wanted; `None` for everything.
    pub part: Option<(u64, u64)>,
    /// Whether there are such bytes.
    pub has_part: bool,
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

    /// The children of a folder of somebody's artifacts, relative to their root.
    ///
    /// # Errors
    /// `not-found` for the holder; `invalid-input` for a path that leads out.
    pub async fn list_artifacts_of(
        &self,
        caller: &Caller,
        holder: &Holder,
        path: Option<&str>,
    ) -> Result<Listing, Error> {
        let root = self.root_of(caller, Operation::ReadTracking, holder).await?;
        let Some(root) = root else { return Err(invalid("Nobody was named.")) };
        let folder = below(&root, path.unwrap_or_default())?;
        let artifacts = children(self.blobs().clone(), Some(folder), Some(root.clone())).await?;
        Ok(Listing { root_uri: location::uri(&root), artifacts })
    }

    /// The folder of somebody's artifacts; `None` for the proxy's root.
    async fn root_of(
        &self,
        caller: &Caller,
        operation: Operation,
        holder: &Holder,
    ) -> Result<Option<BlobPath>, Error> {
        let scope = self.authorise(caller, operation)?;
        let uri = match holder.clone() {
            Holder::Proxy => return Ok(None),
            Holder::Run(id) => {
                self.store()
                    .read("get_run", move |tx| run::find(tx, &scope, &id))
                    .await?
                    .artifact_uri
            }
            Holder::LoggedModel(id) => {
                let wanted = id.clone();
                self.store()
                    .read("get_logged_model", move |tx| models::find(tx, &scope, &wanted))
                    .await?
                    .ok_or_else(|| super::logged_model::not_found(&id))?
                    .artifact_uri
            }
            Holder::Version { name, version } => {
                self.get_model_version_download_uri(caller, &name, &version).await?
            }
        };
        Ok(Some(location::stored(&uri)?))
    }

    /// The path of somebody's artifact.
    ///
    /// # Errors
    /// `not-found` for the holder; `invalid-input` for a path that leads out, and for none.
    pub(super) async fn path_of(
        &self,
        caller: &Caller,
        operation: Operation,
        (holder, path): (&Holder, &str),
    ) -> Result<BlobPath, Error> {
        // Why first: a way out is refused whether or not there is a run.
        let checked = location::checked_path(path)?;
        match self.root_of(caller, operation, holder).await? {
            None => Ok(checked),
            Some(root) => below(&root, path),
        }
    }

    /// Opens an artifact for reading.
    ///
    /// # Errors
    /// `not-found`, a folder included; `invalid-input` for a path that leads out.
    pub async fn open_artifact(
        &self,
        caller: &Caller,
        holder: &Holder,
        path: &str,
        wanted: Bytewise,
    ) -> Result<Download, Error> {
        let path = self.path_of(caller, Operation::ReadTracking, (holder, path)).await?;
        let (blobs, name) = (self.blobs().clone(), path.file_name().to_owned());
        let absent = missing(format!("No such artifact: '{}'", location::uri(&path)));
        let opened = blocking(move || open(&blobs, &path, wanted)).await?;
        let (found, part, has_part) = opened.ok_or(absent)?;
        let length = match part {
            Some((first, last)) => last - first + 1,
            None if has_part => found.bytes,
            None => 0,
        };
        let OpenBlob { reader, bytes, tag } = found;
        Ok(Download { reader: reader.take(length), bytes, tag, name, part, has_part })
    }

    /// Begins to write an artifact.
    ///
    /// # Errors
    /// `not-found` for the holder; `invalid-input` for a path that leads out.
    pub async fn begin_upload(
        &self,
        caller: &Caller,
        holder: &Holder,
        path: &str,
    ) -> Result<Upload, Error> {
        let path = self.path_of(caller, Operation::WriteTracking, (holder, path)).await?;
        let blobs = self.blobs().clone();
        let (pieces, received) = mpsc::channel(PIECES_WAITING);
        let written = tokio::task::spawn_blocking(move || write(&blobs, &path, received));
        Ok(Upload { pieces, written })
    }

    /// Deletes an artifact, or a folder with all below it.
    ///
    /// # Errors
    /// `not-found`; `invalid-input` for a path that leads out, and for the root itself.
    pub async fn delete_artifact(&self, caller: &Caller, path: &str) -> Result<(), Error> {
        self.authorise(caller, Operation::WriteTracking)?;
        if path.trim_matches('/').is_empty() {
            return Err(invalid("Invalid path: the root of all artifacts cannot be deleted."));
        }
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
            Ok(Err(e)) => failed(e),
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
        written.map_err(failed)
    }
}

type Opened = (OpenBlob, Option<(u64, u64)>, bool);

fn open(blobs: &Blobs, path: &BlobPath, wanted: Bytewise) -> io::Result<Option<Opened>> {
    let first = match wanted {
        Bytewise::All => {
            return Ok(blobs.open_blob(path)?.map(|found| (found, None, true)));
        }
        Bytewise::From(first, _) => first,
        Bytewise::Last(count) => {
            let Some(found) = blobs.open_blob(path)? else { return Ok(None) };
            found.bytes.saturating_sub(count)
        }
    };
    let Some(found) = blobs.open_from(path, first)? else { return Ok(None) };
    if first >= found.bytes {
        return Ok(Some((found, None, false)));
    }
    let last = match wanted {
        Bytewise::From(_, Some(last)) => last.min(found.bytes - 1),
        _ => found.bytes - 1,
    };
    Ok(Some((found, Some((first, last)), true)))
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

/// What the disk or the store said, as an answer: full is worth another try, a place that this
/// server cannot read is the caller's to know.
pub(super) fn failed(error: io::Error) -> Error {
    use io::ErrorKind::{
        AlreadyExists, FileTooLarge, HostUnreachable, IsADirectory, NotADirectory, QuotaExceeded,
        StorageFull, Unsupported,
    };
    match error.kind() {
        AlreadyExists | IsADirectory | NotADirectory => {
            invalid("Invalid path: a folder and a file cannot have the same name.")
        }
        Unsupported => invalid(error.to_string()),
        StorageFull | QuotaExceeded | FileTooLarge => {
            Fault::caused("write an artifact: no room", error).retryable().into()
        }
        HostUnreachable => Fault::caused("ask the artifact store", error).retryable().into(),
        _ => Fault::caused("artifacts", error).into(),
    }
}

fn below(root: &BlobPath, path: &str) -> Result<BlobPath, Error> {
    if path.is_empty() {
        return Ok(root.clone());
    }
    let below = location::checked_path(path)?;
    root.join(below.as_str()).map_err(|e| invalid(e.to_string()))
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

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Fault::caused("artifacts", e))?.map_err(failed)
}
