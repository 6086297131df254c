//! Blobs as files below one folder, the bytes addressed by their digest.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use viaduct_base::Digest;
use xattr::FileExt as _;

use crate::{BlobPath, Collected, Entry};

/// Where uploads grow before they are moved into place, and deleted folders go first.
pub(crate) const UPLOADS: &str = ".uploads";
/// Where the bytes are, by digest.
pub(crate) const OBJECTS: &str = ".objects";
/// The attribute of a file that holds the digest of its content.
const DIGEST: &str = "user.viaduct.sha256";
const PIECE_BYTES: usize = 256 << 10;

/// A folder of blobs.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

/// An upload on its way.
pub(crate) struct NewFile {
    file: NamedTempFile,
    hash: Sha256,
    target: PathBuf,
    root: PathBuf,
}

impl Folder {
    pub(crate) fn at(root: &Path) -> io::Result<Self> {
        let uploads = root.join(UPLOADS);
        if uploads.is_dir() {
            fs::remove_dir_all(&uploads)?;
        }
        fs::create_dir_all(&uploads)?;
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn on_disk(&self, path: &BlobPath) -> PathBuf {
        self.root.join(path.as_str())
    }

    /// Whether no part of the path that exists is a link: one could lead out of the folder, and
    /// nothing here ever makes one.
    fn is_inside(&self, path: &BlobPath) -> io::Result<bool> {
        let mut place = self.root.clone();
        for segment in path.as_str().split('/') {
            place.push(segment);
            match fs::symlink_metadata(&place) {
                Ok(found) if found.is_symlink() => return Ok(false),
                Ok(_) => {}
                Err(e) if is_absent(&e) => return Ok(true),
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    pub(crate) fn begin(&self, path: &BlobPath) -> io::Result<NewFile> {
        if !self.is_inside(path)? {
            return Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                format!("`{path}` passes through a link, and links are not followed"),
            ));
        }
        let target = self.on_disk(path);
        // Why at once: a client should not learn it after a gigabyte.
        if target.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let file = NamedTempFile::new_in(self.root.join(UPLOADS))?;
        Ok(NewFile { file, hash: Sha256::new(), target, root: self.root.clone() })
    }

    pub(crate) fn open(&self, path: &BlobPath) -> io::Result<Option<(File, Metadata)>> {
        if !self.is_inside(path)? {
            return Ok(None);
        }
        let file = match File::open(self.on_disk(path)) {
            Ok(file) => file,
            Err(e) if is_absent(&e) => return Ok(None),
            Err(e) => return Err(e),
        };
        let found = file.metadata()?;
        Ok(found.is_file().then_some((file, found)))
    }

    pub(crate) fn list(&self, folder: Option<&BlobPath>) -> io::Result<Vec<Entry>> {
        if let Some(path) = folder
            && !self.is_inside(path)?
        {
            return Ok(Vec::new());
        }
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
            let kind = child.file_type()?;
            if kind.is_symlink() || !(kind.is_dir() || kind.is_file()) {
                continue;
            }
            let text = folder.map_or_else(|| name.clone(), |folder| format!("{folder}/{name}"));
            // Why passed over: the reserved names at the top are no paths, and so not listed.
            let Ok(path) = text.parse() else { continue };
            let bytes = match child.metadata() {
                Ok(_) if kind.is_dir() => 0,
                Ok(found) => found.len(),
                Err(e) if is_absent(&e) => continue,
                Err(e) => return Err(e),
            };
            entries.push(Entry { path, is_folder: kind.is_dir(), bytes });
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    pub(crate) fn delete(&self, path: &BlobPath) -> io::Result<bool> {
        if !self.is_inside(path)? {
            return Ok(false);
        }
        let place = self.on_disk(path);
        let done = match fs::symlink_metadata(&place) {
            // Why moved first: a folder is gone whole, not file by file.
            Ok(found) if found.is_dir() => {
                let doomed = tempfile::Builder::new().tempdir_in(self.root.join(UPLOADS))?;
                fs::rename(&place, doomed.path().join("gone")).and_then(|()| doomed.close())
            }
            Ok(_) => fs::remove_file(&place),
            Err(e) => Err(e),
        };
        match done {
            Ok(()) => Ok(true),
            Err(e) if is_absent(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// An object that only its own name leads to is nobody's. Why safe beside uploads: an upload
    /// that is about to use it has a link of its own, or writes the bytes again.
    pub(crate) fn gc(&self) -> io::Result<Collected> {
        let mut all = Collected::default();
        let shelves = match fs::read_dir(self.root.join(OBJECTS)) {
            Ok(shelves) => shelves,
            Err(e) if is_absent(&e) => return Ok(all),
            Err(e) => return Err(e),
        };
        for shelf in shelves {
            for object in fs::read_dir(shelf?.path())? {
                let object = object?;
                let found = object.metadata()?;
                if found.nlink() == 1 {
                    fs::remove_file(object.path())?;
                    all.objects += 1;
                    all.bytes += found.len();
                }
            }
        }
        Ok(all)
    }
}

impl NewFile {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    pub(crate) fn commit(self) -> io::Result<()> {
        let Self { file, hash, target, root } = self;
        let digest = hex(hash);
        let object = root.join(OBJECTS).join(&digest[..2]).join(&digest);
        let folder = target.parent().unwrap_or(&root);
        fs::create_dir_all(folder)?;
        if let Some(shelf) = object.parent() {
            fs::create_dir_all(shelf)?;
        }
        if !link_known(&root, &object, &target)? {
            keep_new(file, &digest, &object, &target)?;
        }
        File::open(folder)?.sync_all()
    }
}

/// Gives bytes that are there already one more name; false when they are not, or cannot have one.
fn link_known(root: &Path, object: &Path, target: &Path) -> io::Result<bool> {
    let beside = tempfile::Builder::new().tempdir_in(root.join(UPLOADS))?;
    let link = beside.path().join("link");
    match fs::hard_link(object, &link) {
        Ok(()) => {}
        // Why all: whatever hinders the link, the bytes of the upload are still at hand.
        Err(_) => return Ok(false),
    }
    // Why no harm when both are one file: the folder goes with the link in it.
    fs::rename(&link, target)?;
    Ok(true)
}

fn keep_new(file: NamedTempFile, digest: &str, object: &Path, target: &Path) -> io::Result<()> {
    // Why readable: other programs of this machine may read the folder, as they can MLflow's.
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    // Why ignored: a file system without attributes costs a hashing when the digest is asked for.
    let _ = file.as_file().set_xattr(DIGEST, digest.as_bytes());
    file.as_file().sync_data()?;
    match fs::hard_link(file.path(), object) {
        // Why replaced: it has as many names as the file system allows, so a new one begins.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(object).and_then(|()| fs::hard_link(file.path(), object)).ok();
        }
        // Why ignored: without hard links a name has its bytes to itself, and nothing is lost.
        _ => {}
    }
    file.persist(target).map_err(|e| e.error)?;
    Ok(())
}

/// Removes what lies in a folder since longer than `age`.
pub(crate) fn remove_old(folder: &Path, age: Duration) -> io::Result<()> {
    let children = match fs::read_dir(folder) {
        Ok(children) => children,
        Err(e) if is_absent(&e) => return Ok(()),
        Err(e) => return Err(e),
    };
    for child in children {
        let child = child?;
        let made = child.metadata()?.modified()?;
        if made.elapsed().is_ok_and(|since| since > age) {
            fs::remove_dir_all(child.path())?;
        }
    }
    Ok(())
}

/// Names the content of an open file.
pub(crate) fn tag(file: &File, found: &Metadata) -> String {
    match known_digest(file) {
        Some(digest) => digest.to_string(),
        None => format!("{:x}-{:x}-{:x}", found.ino(), found.mtime_nsec(), found.len()),
    }
}

/// The digest that was written beside the content.
pub(crate) fn known_digest(file: &File) -> Option<Digest> {
    let value = file.get_xattr(DIGEST).ok().flatten()?;
    Digest::from_hex(std::str::from_utf8(&value).ok()?)
}

/// The digest of everything that a reader gives.
pub(crate) fn digest_of(reader: &mut impl Read) -> io::Result<Digest> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match reader.read(&mut piece)? {
            0 => break,
            read => hash.update(&piece[..read]),
        }
    }
    Digest::from_hex(&hex(hash)).ok_or_else(|| io::Error::other("a hash is no hash"))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
