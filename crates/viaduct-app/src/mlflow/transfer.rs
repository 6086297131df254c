//! Artifacts that clients move to and from an object store themselves, by signed addresses.

use std::time::Duration;

use viaduct_base::{Error, Fault};
use viaduct_blob::{BlobPath, PartUpload, Signed};
use viaduct_domain::permission::{Caller, Operation};

use super::artifact::{Holder, blocking};
use super::{invalid, location};
use crate::App;

/// Most parts of an upload: what S3 takes.
pub const MAX_PARTS: u32 = 10_000;
/// Longest life of a signed address, seconds: what the stores take.
const LASTS_MAX_S: i64 = 604_800;
/// How long the addresses of parts last: a large file takes its time.
const PARTS_LAST: Duration = Duration::from_secs(3600);

/// A signed address of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedUrl {
    /// The address; whoever has it needs no login.
    pub url: String,
    /// Bytes of the artifact, when it is to be read.
    pub bytes: Option<u64>,
}

impl App {
    /// Whether clients can send parts to the artifact store, and read from it by signed addresses.
    pub fn artifact_transfers(&self) -> (bool, bool) {
        (self.blobs().takes_parts(), self.blobs().signs())
    }

    /// A signed address of an artifact; `None` where its store signs none.
    ///
    /// # Errors
    /// `not-found` for the holder, and for an artifact that is to be read; `invalid-input`.
    pub async fn sign_artifact(
        &self,
        caller: &Caller,
        (holder, path): (&Holder, &str),
        what: Signed,
        lasts_s: i64,
    ) -> Result<Option<SignedUrl>, Error> {
        if !(1..=LASTS_MAX_S).contains(&lasts_s) {
            return Err(invalid(format!(
                "expiration must be between 1 and {LASTS_MAX_S} seconds (got {lasts_s})."
            )));
        }
        let operation = match what {
            Signed::Get => Operation::ReadTracking,
            Signed::Put => Operation::WriteTracking,
        };
        let path = self.path_of(caller, operation, (holder, path)).await?;
        if *holder != Holder::Proxy && path.elsewhere().is_none() {
            return Err(invalid(
                "Presigned addresses are not supported for proxied artifact storage (artifact URI \
                 scheme: mlflow-artifacts). This endpoint requires a direct cloud storage artifact \
                 URI.",
            ));
        }
        let lasts = Duration::from_secs(lasts_s.unsigned_abs());
        let blobs = self.blobs().clone();
        let shown = location::uri(&path);
        let signed = blocking(move || {
            let Some(url) = blobs.sign(&path, what, lasts)? else { return Ok(None) };
            let bytes = match what {
                Signed::Get => match blobs.open_blob(&path)? {
                    Some(found) => Some(found.bytes),
                    None => return Ok(Some(None)),
                },
                Signed::Put => None,
            };
            Ok(Some(Some(SignedUrl { url, bytes })))
        });
        match signed.await? {
            None => Ok(None),
            Some(Some(signed)) => Ok(Some(signed)),
            Some(None) => Err(super::missing(format!("No such artifact: '{shown}'"))),
        }
    }

    /// Begins an upload in parts; `None` where the store has none.
    ///
    /// # Errors
    /// `invalid-input` for a path that leads out, and for too many parts.
    pub async fn begin_part_upload(
        &self,
        caller: &Caller,
        path: &str,
        parts: i64,
    ) -> Result<Option<PartUpload>, Error> {
        let path = self.part_path(caller, path)?;
        let parts = u32::try_from(parts).ok().filter(|n| (1..=MAX_PARTS).contains(n));
        let parts = parts.ok_or_else(|| invalid(format!("num_parts is not 1 to {MAX_PARTS}.")))?;
        let blobs = self.blobs().clone();
        blocking(move || blobs.begin_parts(&path, parts, PARTS_LAST)).await
    }

    /// Ends an upload in parts; `parts` are their numbers and the tags that the store gave.
    ///
    /// # Errors
    /// `invalid-input` for parts that are not one row from 1 on.
    pub async fn complete_part_upload(
        &self,
        caller: &Caller,
        path: &str,
        id: String,
        mut parts: Vec<(i64, String)>,
    ) -> Result<Option<()>, Error> {
        let path = self.part_path(caller, path)?;
        parts.sort();
        if parts.is_empty() || parts.iter().zip(1..).any(|((number, _), wanted)| *number != wanted)
        {
            return Err(invalid("parts must be numbered from 1 on, each once."));
        }
        let etags = parts.into_iter().map(|(_, etag)| etag).collect();
        let blobs = self.blobs().clone();
        blocking(move || blobs.complete_parts(&path, &id, etags)).await
    }

    /// Gives an upload in parts up.
    ///
    /// # Errors
    /// `invalid-input` for a path that leads out.
    pub async fn abort_part_upload(
        &self,
        caller: &Caller,
        path: &str,
        id: String,
    ) -> Result<Option<()>, Error> {
        let path = self.part_path(caller, path)?;
        let blobs = self.blobs().clone();
        blocking(move || blobs.abort_parts(&path, &id)).await
    }

    fn part_path(&self, caller: &Caller, path: &str) -> Result<BlobPath, Error> {
        self.authorise(caller, Operation::WriteTracking)?;
        Ok(location::checked_path(path)?)
    }

    /// Takes away stored bytes that no artifact leads to; answers how many objects and bytes.
    ///
    /// # Errors
    /// When the disk says no.
    pub async fn collect_artifacts(&self) -> Result<(u64, u64), Error> {
        let blobs = self.blobs().clone();
        let done = tokio::task::spawn_blocking(move || blobs.gc()).await;
        let found = done
            .map_err(|e| Fault::caused("collect artifacts", e))?
            .map_err(|e| Fault::caused("collect artifacts", e))?;
        Ok((found.objects, found.bytes))
    }
}
