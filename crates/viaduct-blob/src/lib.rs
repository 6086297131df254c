//! Artifacts as files below one folder, whole or not at all.
//!
//! A blob is written beside its place and moved there when it is complete, so a reader never sees
//! half of one. [`BlobPath`] is the only way to name a blob: no `..`, no absolute path, no way out.
//! Blocking; callers on an async thread move it to one that may wait.

mod path;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

pub use path::{BlobPath, InvalidBlobPath};

/// Where uploads grow before they are moved into place.
const UPLOADS: &str = ".uploads";

/// A folder of blobs, shared by clones.
#[derive(Debug, Clone)]
pub struct Blobs {
    root: PathBuf,
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

/// An upload on its way; dropped before [`NewBlob::commit`], it leaves nothing.
pub struct NewBlob {
    file: NamedTempFile,
    target: PathBuf,
}

impl Blobs {
    /// Opens the folder, making it if needed, and clears away uploads that a crash left behind.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn open(root: &Path) -> io::Result<Self> {
        let uploads = root.join(UPLOADS);
        if uploads.is_dir() {
            fs::remove_dir_all(&uploads)?;
        }
        fs::create_dir_all(&uploads)?;
        Ok(Self { root: root.to_owned() })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a blob lies on disk, whether or not it exists.
    pub fn on_disk(&self, path: &BlobPath) -> PathBuf {
        self.root.join(path.as_str())
    }

    /// Begins a new blob, or a new content of one that exists.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn begin(&self, path: &BlobPath) -> io::Result<NewBlob> {
        let file = NamedTempFile::new_in(self.root.join(UPLOADS))?;
        Ok(NewBlob { file, target: self.on_disk(path) })
    }

    /// Writes a whole blob.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn put(&self, path: &BlobPath, bytes: &[u8]) -> io::Result<()> {
        let mut blob = self.begin(path)?;
        blob.write_all(bytes)?;
        blob.commit()
    }

    /// Opens a blob for reading, with its length; `None` when there is no such blob.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn open_blob(&self, path: &BlobPath) -> io::Result<Option<(File, u64)>> {
        let found = match fs::symlink_metadata(self.on_disk(path)) {
            Ok(found) => found,
            Err(e) if is_absent(&e) => return Ok(None),
            Err(e) => return Err(e),
        };
        // Why: a link could point out of the folder; nothing here ever makes one.
        if !found.is_file() {
            return Ok(None);
        }
        Ok(Some((File::open(self.on_disk(path))?, found.len())))
    }

    /// A whole blob of at most `bytes_max` bytes; `None` when there is none.
    ///
    /// # Errors
    /// `InvalidData` for a longer one; when the disk says no.
    pub fn read(&self, path: &BlobPath, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        let Some((file, bytes)) = self.open_blob(path)? else { return Ok(None) };
        if bytes > bytes_max {
            let detail = format!("`{path}` has {bytes} bytes; {bytes_max} are read");
            return Err(io::Error::new(io::ErrorKind::InvalidData, detail));
        }
        let mut content = Vec::with_capacity(bytes as usize);
        file.take(bytes_max).read_to_end(&mut content)?;
        Ok(Some(content))
    }

    /// The children of a folder (`None`: of the root) by name; empty when there is no such folder.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn list(&self, folder: Option<&BlobPath>) -> io::Result<Vec<Entry>> {
        let place = folder.map_or_else(|| self.root.clone(), |path| self.on_disk(path));
        let children = match fs::read_dir(place) {
            Ok(children) => children,
            Err(e) if is_absent(&e) => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut entries = Vec::new();
        for child in children {
            let child = child?;
            let Some(name) = child.file_name().to_str().map(str::to_owned) else { continue };
            let (kind, found) = (child.file_type()?, child.metadata()?);
            if kind.is_symlink() || (folder.is_none() && name == UPLOADS) {
                continue;
            }
            let text = folder.map_or_else(|| name.clone(), |folder| format!("{folder}/{name}"));
            let Ok(path) = text.parse() else { continue };
            let bytes = if kind.is_dir() { 0 } else { found.len() };
            entries.push(Entry { path, is_folder: kind.is_dir(), bytes });
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    /// Every blob below a folder, by path.
    ///
    /// # Errors
    /// When the disk says no.
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
    /// When the disk says no.
    pub fn delete(&self, path: &BlobPath) -> io::Result<bool> {
        let place = self.on_disk(path);
        let done = match fs::symlink_metadata(&place) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&place),
            Ok(_) => fs::remove_file(&place),
            Err(e) => Err(e),
        };
        match done {
            Ok(()) => Ok(true),
            Err(e) if is_absent(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

impl Write for NewBlob {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl NewBlob {
    /// Makes the blob visible, whole, and durable.
    ///
    /// # Errors
    /// When the disk says no, or a blob stands where a folder is needed.
    pub fn commit(self) -> io::Result<()> {
        if let Some(folder) = self.target.parent() {
            fs::create_dir_all(folder)?;
        }
        self.file.as_file().sync_data()?;
        self.file.persist(&self.target).map_err(|e| e.error)?;
        if let Some(folder) = self.target.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> BlobPath {
        text.parse().unwrap()
    }

    #[test]
    fn whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        let mut half = blobs.begin(&path("1/run/model.onnx")).unwrap();
        half.write_all(b"half").unwrap();
        assert!(blobs.open_blob(&path("1/run/model.onnx")).unwrap().is_none());
        drop(half);
        blobs.put(&path("1/run/model.onnx"), b"whole").unwrap();
        blobs.put(&path("1/run/viaduct/train.json"), b"{}").unwrap();
        assert_eq!(blobs.read(&path("1/run/model.onnx"), 10).unwrap().unwrap(), b"whole");
        assert!(blobs.read(&path("1/run/model.onnx"), 3).is_err());
        assert!(blobs.read(&path("1/run"), 10).unwrap().is_none());
        let names: Vec<String> =
            blobs.walk(&path("1")).unwrap().iter().map(|e| e.path.to_string()).collect();
        assert_eq!(names, ["1/run/model.onnx", "1/run/viaduct/train.json"]);
        assert_eq!(blobs.list(None).unwrap().len(), 1);
        assert!(blobs.delete(&path("1/run")).unwrap());
        assert!(!blobs.delete(&path("1/run")).unwrap());
    }

    #[test]
    fn a_link_is_no_blob() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        assert!(blobs.open_blob(&path("link")).unwrap().is_none());
        assert!(blobs.list(None).unwrap().is_empty());
    }
}
