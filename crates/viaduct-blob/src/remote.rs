//! Blobs as objects of a bucket or container, under their plain names.

use std::fmt;
use std::future::Future;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as Key;
use object_store::signer::{Method, SignedUrlOptions, Signer};
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, RetryConfig, WriteMultipart,
};
use tokio::runtime::Runtime;

use crate::{BlobPath, BlobReader, Entry, OpenBlob, PartUpload, Signed, Source};

/// Bytes of a part: what a store asks at least is 5 MiB.
const PART_BYTES: usize = 8 << 20;
/// Parts that may be on their way at once; with the one that grows they bound an upload's memory.
const PARTS_WAITING: usize = 1;
/// How long a store that does not answer is asked again.
const RETRY_FOR: Duration = Duration::from_secs(10);

/// A bucket, or a part of one.
pub(crate) struct Remote {
    store: Arc<dyn ObjectStore>,
    signer: Option<Arc<dyn Signer>>,
    parts: Option<Arc<dyn MultipartStore>>,
    prefix: String,
    threads: Arc<Threads>,
}

/// Threads of its own: callers may stand on any, also on one that drives the database.
struct Threads(Option<Runtime>);

impl Threads {
    fn new() -> io::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        Ok(Self(Some(builder.worker_threads(2).thread_name("objects").enable_all().build()?)))
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> io::Result<T> {
        match &self.0 {
            Some(runtime) => Ok(runtime.block_on(work)),
            None => Err(io::Error::other("the store is closed")),
        }
    }
}

impl Drop for Threads {
    /// Why in the background: the last owner may stand on a thread that must not wait.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({}/{})", self.store, self.prefix)
    }
}

type Stores = (Arc<dyn ObjectStore>, Option<Arc<dyn Signer>>, Option<Arc<dyn MultipartStore>>);

impl Remote {
    pub(crate) fn connect(uri: &str, options: &[(String, String)]) -> io::Result<Self> {
        // Why ignored: the second store of a process finds the provider installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (scheme, rest) = uri.split_once("://").unwrap_or(("", uri));
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let stores = match scheme.to_ascii_lowercase().as_str() {
            "s3" | "s3a" => s3(bucket, options),
            "gs" => google(bucket, options),
            "memory" => {
                let store = Arc::new(InMemory::new());
                Ok((store as Arc<dyn ObjectStore>, None, None))
            }
            "wasbs" => azure(&https_of(bucket), options),
            _ => azure(&format!("{scheme}://{bucket}"), options),
        };
        let (store, signer, parts) = stores.map_err(|e| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("`{uri}` cannot be opened: {e}"))
        })?;
        let prefix = prefix.trim_matches('/').to_owned();
        Ok(Self { store, signer, parts, prefix, threads: Arc::new(Threads::new()?) })
    }

    fn key(&self, path: Option<&BlobPath>) -> io::Result<Key> {
        let below = path.map_or("", BlobPath::as_str);
        Key::parse(format!("{}/{below}", self.prefix))
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))
    }

    pub(crate) fn begin(&self, path: &BlobPath) -> io::Result<NewObject> {
        Ok(NewObject {
            store: Arc::clone(&self.store),
            threads: Arc::clone(&self.threads),
            key: self.key(Some(path))?,
            buffer: Vec::new(),
            upload: None,
        })
    }

    pub(crate) fn open(&self, path: &BlobPath, offset: u64) -> io::Result<Option<OpenBlob>> {
        let key = self.key(Some(path))?;
        let ranged = |offset| GetOptions {
            range: (offset > 0).then_some(GetRange::Offset(offset)),
            ..GetOptions::default()
        };
        let got = self.threads.wait(self.store.get_opts(&key, ranged(offset)))?;
        let (stream, meta): (BoxStream<'static, _>, _) = match got {
            Ok(found) => {
                let meta = found.meta.clone();
                (found.into_stream(), meta)
            }
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            // Why asked again: an offset behind the end is an error of some stores, empty of others.
            Err(e) if offset > 0 => {
                let head = self.threads.wait(self.store.head(&key))?;
                match head {
                    Ok(meta) if meta.size <= offset => (futures::stream::empty().boxed(), meta),
                    _ => return Err(failed(e)),
                }
            }
            Err(e) => return Err(failed(e)),
        };
        let tag = meta.e_tag.as_deref().map_or_else(
            || format!("{:x}-{:x}", meta.last_modified.timestamp_micros(), meta.size),
            |tag| tag.trim_start_matches("W/").trim_matches('"').to_owned(),
        );
        let bytes = ObjectBytes { stream, rest: Bytes::new(), threads: Arc::clone(&self.threads) };
        Ok(Some(OpenBlob { reader: BlobReader(Source::Object(bytes)), bytes: meta.size, tag }))
    }

    pub(crate) fn list(&self, folder: Option<&BlobPath>) -> io::Result<Vec<Entry>> {
        let key = self.key(folder)?;
        let found = self.threads.wait(self.store.list_with_delimiter(Some(&key)))?;
        let found = found.map_err(failed)?;
        let folders = found.common_prefixes.into_iter().map(|key| (key, true, 0));
        let objects = found.objects.into_iter().map(|meta| (meta.location, false, meta.size));
        let cut = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        let mut entries = Vec::new();
        for (key, is_folder, bytes) in folders.chain(objects) {
            // Why passed over: a key that is no path here cannot be asked for either.
            let Some(Ok(path)) = key.as_ref().get(cut..).map(str::parse) else { continue };
            entries.push(Entry { path, is_folder, bytes });
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    pub(crate) fn delete(&self, path: &BlobPath) -> io::Result<bool> {
        let key = self.key(Some(path))?;
        self.threads.wait(async {
            let mut any = match self.store.head(&key).await {
                Ok(_) => {
                    self.store.delete(&key).await.map_err(failed)?;
                    true
                }
                Err(object_store::Error::NotFound { .. }) => false,
                Err(e) => return Err(failed(e)),
            };
            let mut below = self.store.list(Some(&key));
            while let Some(meta) = below.next().await {
                let meta = meta.map_err(failed)?;
                self.store.delete(&meta.location).await.map_err(failed)?;
                any = true;
            }
            Ok(any)
        })?
    }

    pub(crate) fn signs(&self) -> bool {
        self.signer.is_some()
    }

    pub(crate) fn takes_parts(&self) -> bool {
        self.parts.is_some() && self.signs()
    }

    pub(crate) fn sign(
        &self,
        path: &BlobPath,
        what: Signed,
        lasts: Duration,
    ) -> io::Result<Option<String>> {
        let Some(signer) = &self.signer else { return Ok(None) };
        let key = self.key(Some(path))?;
        let method = match what {
            Signed::Get => Method::GET,
            Signed::Put => Method::PUT,
        };
        let url = self.threads.wait(signer.signed_url(method, &key, lasts))?.map_err(failed)?;
        Ok(Some(url.to_string()))
    }

    pub(crate) fn begin_parts(
        &self,
        path: &BlobPath,
        count: u32,
        lasts: Duration,
    ) -> io::Result<Option<PartUpload>> {
        let (Some(parts), Some(signer)) = (&self.parts, &self.signer) else { return Ok(None) };
        let key = self.key(Some(path))?;
        let made = self.threads.wait(async {
            let id = parts.create_multipart(&key).await?;
            let mut urls = Vec::new();
            for number in 1..=count {
                let number = number.to_string();
                let query = [("partNumber", number.as_str()), ("uploadId", id.as_str())];
                let options = SignedUrlOptions::default().with_query(query);
                let url = signer.signed_url_opts(Method::PUT, &key, lasts, &options).await?;
                urls.push(url.to_string());
            }
            Ok(PartUpload { id, urls })
        })?;
        made.map(Some).map_err(failed)
    }

    pub(crate) fn complete_parts(
        &self,
        path: &BlobPath,
        id: &str,
        etags: Vec<String>,
    ) -> io::Result<Option<()>> {
        let Some(parts) = &self.parts else { return Ok(None) };
        let key = self.key(Some(path))?;
        let etags = etags.into_iter().map(|content_id| PartId { content_id }).collect();
        let done = self.threads.wait(parts.complete_multipart(&key, &id.to_owned(), etags))?;
        done.map(|_| Some(())).map_err(failed)
    }

    pub(crate) fn abort_parts(&self, path: &BlobPath, id: &str) -> io::Result<Option<()>> {
        let Some(parts) = &self.parts else { return Ok(None) };
        let key = self.key(Some(path))?;
        let done = self.threads.wait(parts.abort_multipart(&key, &id.to_owned()))?;
        done.map(Some).map_err(failed)
    }
}

/// `c@account.blob.core.windows.net` → the https address of container `c`.
fn https_of(place: &str) -> String {
    let (container, host) = place.split_once('@').unwrap_or(("", place));
    format!("https://{host}/{container}")
}

fn retry() -> RetryConfig {
    RetryConfig { max_retries: 3, retry_timeout: RETRY_FOR, ..RetryConfig::default() }
}

/// Settings whose name a store knows; `parse` reads the name in small letters.
fn known<'a, K: std::str::FromStr>(
    options: &'a [(String, String)],
    start: &'a str,
) -> impl Iterator<Item = (K, &'a str)> {
    options
        .iter()
        .filter(move |(name, _)| name.starts_with(start))
        .filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value.as_str())))
}

fn s3(bucket: &str, options: &[(String, String)]) -> object_store::Result<Stores> {
    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_retry(retry());
    for (key, value) in known::<AmazonS3ConfigKey>(options, "AWS_") {
        builder = builder.with_config(key, value);
    }
    let find = |name: &str| options.iter().find(|(n, _)| n == name).map(|(_, value)| value);
    // Why second: MLflow's own variable is the more special one.
    let endpoint = find("MLFLOW_S3_ENDPOINT_URL").or_else(|| find("AWS_ENDPOINT_URL"));
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    let store = Arc::new(builder.build()?);
    Ok((Arc::clone(&store) as _, Some(Arc::clone(&store) as _), Some(store)))
}

fn google(bucket: &str, options: &[(String, String)]) -> object_store::Result<Stores> {
    let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(bucket).with_retry(retry());
    for (key, value) in known(options, "GOOGLE_") {
        builder = builder.with_config(key, value);
    }
    let store = Arc::new(builder.build()?);
    Ok((Arc::clone(&store) as _, Some(store), None))
}

fn azure(address: &str, options: &[(String, String)]) -> object_store::Result<Stores> {
    let mut builder = MicrosoftAzureBuilder::new().with_url(address).with_retry(retry());
    for (key, value) in known(options, "AZURE_") {
        builder = builder.with_config(key, value);
    }
    let store = Arc::new(builder.build()?);
    Ok((Arc::clone(&store) as _, Some(store), None))
}

fn failed(error: object_store::Error) -> io::Error {
    let kind = match error {
        object_store::Error::NotFound { .. } => io::ErrorKind::NotFound,
        object_store::Error::InvalidPath { .. } => io::ErrorKind::InvalidInput,
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        // Why: what is left is a store that does not answer, after several tries.
        object_store::Error::Generic { .. } => io::ErrorKind::HostUnreachable,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// The bytes of an object as the store sends them.
pub(crate) struct ObjectBytes {
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    rest: Bytes,
    threads: Arc<Threads>,
}

impl Read for ObjectBytes {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.threads.wait(self.stream.next())? {
                Some(piece) => self.rest = piece.map_err(failed)?,
                None => return Ok(0),
            }
        }
        let read = self.rest.len().min(into.len());
        self.rest.copy_to_slice(&mut into[..read]);
        Ok(read)
    }
}

/// An upload on its way: small ones are one request, large ones parts.
pub(crate) struct NewObject {
    store: Arc<dyn ObjectStore>,
    threads: Arc<Threads>,
    key: Key,
    buffer: Vec<u8>,
    upload: Option<WriteMultipart>,
}

impl NewObject {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(upload) = &mut self.upload else {
            self.buffer.extend_from_slice(bytes);
            if self.buffer.len() >= PART_BYTES {
                self.begin_parts()?;
            }
            return Ok(bytes.len());
        };
        self.threads
            .wait(async {
                upload.wait_for_capacity(PARTS_WAITING).await?;
                upload.write(bytes);
                Ok(bytes.len())
            })?
            .map_err(failed)
    }

    fn begin_parts(&mut self) -> io::Result<()> {
        let begun = self.threads.wait(async {
            let parts = self.store.put_multipart(&self.key).await?;
            let mut upload = WriteMultipart::new_with_chunk_size(parts, PART_BYTES);
            upload.put(std::mem::take(&mut self.buffer).into());
            Ok(upload)
        })?;
        self.upload = Some(begun.map_err(failed)?);
        Ok(())
    }

    pub(crate) fn commit(mut self) -> io::Result<()> {
        let (upload, bytes) = (self.upload.take(), std::mem::take(&mut self.buffer));
        let done = self.threads.wait(async {
            match upload {
                Some(upload) => upload.finish().await,
                None => self.store.put(&self.key, bytes.into()).await,
            }
        })?;
        done.map(|_| ()).map_err(failed)
    }
}

impl Drop for NewObject {
    /// What was sent is taken back; when that fails too, nothing of it is visible.
    fn drop(&mut self) {
        if let (Some(upload), Some(runtime)) = (self.upload.take(), &self.threads.0) {
            drop(runtime.spawn(upload.abort()));
        }
    }
}
