//! Artifacts, whole or not at all: files below one folder, or objects of a bucket.
//!
//! A blob is written beside its place and moved there when it is complete, so a reader never sees
//! half of one. [`BlobPath`] is the only way to name a blob: no `..`, no absolute path, no way out.
//!
//! On disk, content is addressed: the bytes lie once as `.objects/ab/<SHA-256>`, every name is a
//! hard link to them, and the digest goes with the file as an extended attribute. So a folder that
//! MLflow or an older Viaduct wrote reads as it is, and other programs can read what is written here.
//! A bucket keeps plain names, because clients with signed addresses write there themselves.
//!
//! Blocking; callers on an async thread move it to one that may wait.

mod folder;
mod path;
mod place;
mod remote;

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use folder::{Folder, NewFile};
pub use path::{BlobPath, InvalidBlobPath};
pub use place::{InvalidPlace, Place, Places};
use remote::{NewObject, ObjectBytes, Remote};
use viaduct_base::Digest;

/// How long a copy of an object is kept: whoever asked for it reads it at once.
const COPIES_LAST: Duration = Duration::from_secs(24 * 3600);

/// All blobs; clones share them.
#[derive(Debug, Clone)]
pub struct Blobs {
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    /// What the artifact proxy writes to.
    proxy: Backend,
    /// Places that clients write to by themselves, with where they stand among the names.
    roots: Vec<(BlobPath, Backend)>,
    /// The URI below which new experiments keep their artifacts.
    base: String,
    /// Copies of objects that somebody needed as a file.
    copies: PathBuf,
}

#[derive(Debug)]
enum Backend {
    Folder(Folder),
    Remote(Remote),
}

/// A child of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its whole path.
    pub path: BlobPath,
    /// A folder, or a blob.
    pub is_folder: bool,
    /// Bytes of a blob; 0 for a folder.
    pub bytes: u64,
}

/// A blob that is open for reading.
#[derive(Debug)]
pub struct OpenBlob {
    /// The bytes asked for.
    pub reader: BlobReader,
    /// Length of the whole blob.
    pub bytes: u64,
    /// Names this content: another content has another tag. Without quotes.
    pub tag: String,
}

/// The bytes of a blob, in order.
pub struct BlobReader(Source);

enum Source {
    File(io::Take<File>),
    Object(ObjectBytes),
}

/// An upload on its way; dropped before [`NewBlob::commit`], it leaves nothing.
pub struct NewBlob(Growing);

enum Growing {
    File(NewFile),
    Object(NewObject),
}

/// What [`Blobs::gc`] took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Objects that no name leads to any more.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a signed address lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// Read the blob.
    Get,
    /// Write it.
    Put,
}

/// An upload in parts that its client sends to the store itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartUpload {
    /// The store's id of it.
    pub id: String,
    /// One signed address a part, from the first.
    pub urls: Vec<String>,
}

impl Blobs {
    /// Opens one folder, making it if needed.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn open(folder: &Path) -> io::Result<Self> {
        Self::open_at(&Places::in_folder(folder))
    }

    /// Opens what the configuration names, and clears away uploads that a crash left behind.
    ///
    /// # Errors
    /// When a folder cannot be made or written, or an address names no store.
    pub fn open_at(places: &Places) -> io::Result<Self> {
        let proxy = Backend::open(&places.proxy, places)?;
        let mut roots = Vec::new();
        for (path, place) in &places.roots {
            roots.push((path.clone(), Backend::open(place, places)?));
        }
        let (base, copies) = (places.base.clone(), places.copies.clone());
        Ok(Self { parts: Arc::new(Parts { proxy, roots, base, copies }) })
    }

    /// The URI below which new experiments keep their artifacts, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.parts.base
    }

    /// The backend of a path, what the path is called there, and what it lacks there in front.
    fn at<'a>(
        &'a self,
        path: &BlobPath,
    ) -> io::Result<(&'a Backend, Option<BlobPath>, Option<&'a BlobPath>)> {
        if !path.is_below(place::ELSEWHERE) {
            return Ok((&self.parts.proxy, Some(path.clone()), None));
        }
        for (root, backend) in &self.parts.roots {
            if root == path {
                return Ok((backend, None, Some(root)));
            }
            if let Some(inner) = path.below(root.as_str()) {
                return Ok((backend, Some(inner), Some(root)));
            }
        }
        let uri = path.elsewhere().unwrap_or_default();
        let detail = format!(
            "`{uri}` lies in no store that this server was given; its clients read it themselves"
        );
        Err(io::Error::new(io::ErrorKind::Unsupported, detail))
    }

    fn blob(&self, path: &BlobPath) -> io::Result<(&Backend, BlobPath)> {
        match self.at(path)? {
            (backend, Some(inner), _) => Ok((backend, inner)),
            (_, None, _) => Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                format!("`{path}` is a root, not a blob"),
            )),
        }
    }

    /// Begins a new blob, or a new content of one that exists.
    ///
    /// # Errors
    /// When the disk or the store says no.
    pub fn begin(&self, path: &BlobPath) -> io::Result<NewBlob> {
        let (backend, path) = self.blob(path)?;
        Ok(NewBlob(match backend {
            Backend::Folder(folder) => Growing::File(folder.begin(&path)?),
            Backend::Remote(remote) => Growing::Object(remote.begin(&path)?),
        }))
    }

    /// Writes a whole blob.
    ///
    /// # Errors
    /// When the disk or the store says no.
    pub fn put(&self, path: &BlobPath, bytes: &[u8]) -> io::Result<()> {
        let mut blob = self.begin(path)?;
        blob.write_all(bytes)?;
        blob.commit()
    }

    /// Opens a blob for reading; `None` when there is no such blob.
    ///
    /// # Errors
    /// When the disk or the store says no.
    pub fn open_blob(&self, path: &BlobPath) -> io::Result<Option<OpenBlob>> {
        self.open_from(path, 0)
    }

    /// Opens a blob at an offset; `None` when there is no such blob. The reader is empty when the
    /// blob is shorter.
    ///
    /// # Errors
    /// When the disk or the store says no.
    pub fn open_from(&self, path: &BlobPath, offset: u64) -> io::Result<Option<OpenBlob>> {
        let (backend, path) = self.blob(path)?;
        match backend {
            Backend::Folder(folder) => {
                let Some((mut file, found)) = folder.open(&path)? else { return Ok(None) };
                let tag = folder::tag(&file, &found);
                if offset > 0 {
                    file.seek(SeekFrom::Start(offset))?;
                }
                let left = found.len().saturating_sub(offset);
                let reader = BlobReader(Source::File(file.take(left)));
                Ok(Some(OpenBlob { reader, bytes: found.len(), tag }))
            }
            Backend::Remote(remote) => remote.open(&path, offset),
        }
    }

    /// A whole blob of at most `bytes_max` bytes; `None` when there is none.
    ///
    /// # Errors
    /// `InvalidData` for a longer one; when the disk or the store says no.
    pub fn read(&self, path: &BlobPath, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(found) = self.open_blob(path)? else { return Ok(None) };
        if found.bytes > bytes_max {
            let detail = format!("`{path}` has {} bytes; {bytes_max} are read", found.bytes);
            return Err(io::Error::new(io::ErrorKind::InvalidData, detail));
        }
        let mut content = Vec::with_capacity(found.bytes as usize);
        found.reader.take(bytes_max).read_to_end(&mut content)?;
        Ok(Some(content))
    }

    /// A file with this blob's content: its own, or a copy of the object; `None` when there is none.
    ///
    /// # Errors
    /// When the disk or the store says no.
    pub fn local_file(&self, path: &BlobPath) -> io::Result<Option<PathBuf>> {
        let (backend, inner) = self.blob(path)?;
        match backend {
            Backend::Folder(folder) => Ok(folder.open(&inner)?.map(|_| folder.on_disk(&inner))),
            Backend::Remote(_) => self.copy_of(path),
        }
    }

    /// Why by tag: another content of the same name is another file, and the old one stays whole.
    fn copy_of(&self, path: &BlobPath) -> io::Result<Option<PathBuf>> {
        let Some(mut found) = self.open_blob(path)? else { return Ok(None) };
        let key = Digest::of(format!("{path}\n{}", found.tag).as_bytes());
        let place = self.parts.copies.join(key.as_str());
        let file = place.join(path.file_name());
        if file.is_file() {
            return Ok(Some(file));
        }
        std::fs::create_dir_all(&place)?;
        let mut copy = tempfile::NamedTempFile::new_in(&place)?;
        io::copy(&mut found.reader, &mut copy)?;
        copy.persist(&file).map_err(|e| e.error)?;
        Ok(Some(file))
    }

    /// A folder with the blobs below this one: its own, or a copy of the objects. One without blobs
    /// is named too, and may not exist.
    ///
    /// # Errors
    /// When the disk or the store says no.
    pub fn local_folder(&self, path: &BlobPath) -> io::Result<PathBuf> {
        let (backend, inner) = self.blob(path)?;
        if let Backend::Folder(folder) = backend {
            return Ok(folder.on_disk(&inner));
        }
        // Why by tags: another content below the same name is another folder.
        let mut named = path.to_string();
        let blobs = self.walk(path)?;
        for blob in &blobs {
            let found = self.open_blob(&blob.path)?;
            let tag = found.map(|found| found.tag).unwrap_or_default();
            named.push_str(&format!("\n{}\n{tag}", blob.path));
        }
        let place = self.parts.copies.join(Digest::of(named.as_bytes()).as_str());
        if place.is_dir() {
            return Ok(place);
        }
        std::fs::create_dir_all(&self.parts.copies)?;
        let growing = tempfile::tempdir_in(&self.parts.copies)?;
        for blob in &blobs {
            let Some(inner) = blob.path.below(path.as_str()) else { continue };
            let Some(mut found) = self.open_blob(&blob.path)? else { continue };
            let file = growing.path().join(inner.as_str());
            if let Some(parent) = file.parent() {
                std::fs::create_dir_all(parent)?;
            }
            io::copy(&mut found.reader, &mut File::create(file)?)?;
        }
        match std::fs::rename(growing.path(), &place) {
            Err(_) if place.is_dir() => {}
            moved => moved?,
        }
        Ok(place)
    }

    /// The SHA-256 of a blob, read from beside it or computed; `None` when there is no such blob.
    ///
    /// # Errors
    /// When the disk or the store says no.
    pub fn digest(&self, path: &BlobPath) -> io::Result<Option<Digest>> {
        if let (Backend::Folder(folder), inner) = self.blob(path)?
            && let Some((file, _)) = folder.open(&inner)?
            && let Some(known) = folder::known_digest(&file)
        {
            return Ok(Some(known));
        }
        let Some(mut found) = self.open_blob(path)? else { return Ok(None) };
        Ok(Some(folder::digest_of(&mut found.reader)?))
    }

    /// The children of a folder (`None`: of the proxy's root) by name; empty when there is none.
    ///
    /// # Errors
    /// When the disk or the store says no.
    pub fn list(&self, folder: Option<&BlobPath>) -> io::Result<Vec<Entry>> {
        let Some(folder) = folder else { return self.parts.proxy.list(None) };
        let (backend, inner, root) = self.at(folder)?;
        let mut found = backend.list(inner.as_ref())?;
        if let Some(root) = root {
            for entry in &mut found {
                entry.path = root.join(entry.path.as_str()).map_err(io::Error::other)?;
            }
        }
        Ok(found)
    }

    /// Every blob below a folder, by path.
    ///
    /// # Errors
    /// When the disk or the store says no.
    pub fn walk(&self, folder: &BlobPath) -> io::Result<Vec<Entry>> {
        let mut found = Vec::new();
        let mut open = vec![folder.clone()];
        while let Some(place) = open.pop() {
            for entry in self.list(Some(&place))? {
                if entry.is_folder {
                    open.push(entry.path);
                } else {
                    found.push(entry);
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Deletes a blob, or a folder with all below it; true when there was one.
    ///
    /// # Errors
    /// When the disk or the store says no.
    pub fn delete(&self, path: &BlobPath) -> io::Result<bool> {
        let (backend, path) = self.blob(path)?;
        match backend {
            Backend::Folder(folder) => folder.delete(&path),
            Backend::Remote(remote) => remote.delete(&path),
        }
    }

    /// Takes away the bytes that no name leads to, and old copies of objects. Safe beside uploads.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn gc(&self) -> io::Result<Collected> {
        let mut all = Collected::default();
        let roots = self.parts.roots.iter().map(|(_, backend)| backend);
        for backend in std::iter::once(&self.parts.proxy).chain(roots) {
            if let Backend::Folder(folder) = backend {
                let found = folder.gc()?;
                all.objects += found.objects;
                all.bytes += found.bytes;
            }
        }
        folder::remove_old(&self.parts.copies, COPIES_LAST)?;
        Ok(all)
    }

    /// A signed address of a blob; `None` where the store signs none.
    ///
    /// # Errors
    /// When the store says no.
    pub fn sign(
        &self,
        path: &BlobPath,
        what: Signed,
        lasts: Duration,
    ) -> io::Result<Option<String>> {
        let (backend, path) = self.blob(path)?;
        match backend {
            Backend::Folder(_) => Ok(None),
            Backend::Remote(remote) => remote.sign(&path, what, lasts),
        }
    }

    /// Whether the proxy's store signs addresses.
    pub fn signs(&self) -> bool {
        matches!(&self.parts.proxy, Backend::Remote(remote) if remote.signs())
    }

    /// Whether clients can send parts to the proxy's store themselves.
    pub fn takes_parts(&self) -> bool {
        matches!(&self.parts.proxy, Backend::Remote(remote) if remote.takes_parts())
    }

    /// Begins an upload in parts; `None` where the store has none.
    ///
    /// # Errors
    /// When the store says no.
    pub fn begin_parts(
        &self,
        path: &BlobPath,
        parts: u32,
        lasts: Duration,
    ) -> io::Result<Option<PartUpload>> {
        let (backend, path) = self.blob(path)?;
        match backend {
            Backend::Folder(_) => Ok(None),
            Backend::Remote(remote) => remote.begin_parts(&path, parts, lasts),
        }
    }

    /// Ends an upload in parts: the blob is there, whole. `etags` from the first part on.
    ///
    /// # Errors
    /// When the store says no.
    pub fn complete_parts(
        &self,
        path: &BlobPath,
        id: &str,
        etags: Vec<String>,
    ) -> io::Result<Option<()>> {
        let (backend, path) = self.blob(path)?;
        match backend {
            Backend::Folder(_) => Ok(None),
            Backend::Remote(remote) => remote.complete_parts(&path, id, etags),
        }
    }

    /// Gives an upload in parts up.
    ///
    /// # Errors
    /// When the store says no.
    pub fn abort_parts(&self, path: &BlobPath, id: &str) -> io::Result<Option<()>> {
        let (backend, path) = self.blob(path)?;
        match backend {
            Backend::Folder(_) => Ok(None),
            Backend::Remote(remote) => remote.abort_parts(&path, id),
        }
    }
}

impl Backend {
    fn open(place: &Place, places: &Places) -> io::Result<Self> {
        Ok(match place {
            Place::Folder(path) => Self::Folder(Folder::at(path)?),
            Place::Store(uri) => Self::Remote(Remote::connect(uri, &places.options)?),
        })
    }

    fn list(&self, folder: Option<&BlobPath>) -> io::Result<Vec<Entry>> {
        match self {
            Self::Folder(place) => place.list(folder),
            Self::Remote(remote) => remote.list(folder),
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Source::File(file) => file.read(into),
            Source::Object(object) => object.read(into),
        }
    }
}

impl std::fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlobReader")
    }
}

impl Write for NewBlob {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Growing::File(file) => file.write(bytes),
            Growing::Object(object) => object.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewBlob {
    /// Makes the blob visible, whole, and durable.
    ///
    /// # Errors
    /// When the disk or the store says no, or a blob stands where a folder is needed.
    pub fn commit(self) -> io::Result<()> {
        match self.0 {
            Growing::File(file) => file.commit(),
            Growing::Object(object) => object.commit(),
        }
    }
}

#[cfg(test)]
mod tests;
