//! Walks, hashes and copies files, with the path in every message.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use viaduct_base::Digest;
use viaduct_cli::Failure;

/// Large enough that the calls cost nothing beside the hashing.
const PIECE_BYTES: usize = 256 * 1024;

/// An IO error with its path and what was tried.
pub(crate) fn broken(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::Broken(format!("`{}` cannot be {what}: {error}", path.display()))
}

/// The files under `root`, relative to it, in order of their names.
pub(crate) fn walk(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        let entries = fs::read_dir(&path).map_err(|e| broken("read", &path, &e))?;
        for entry in entries {
            let entry = entry.map_err(|e| broken("read", &path, &e))?;
            let relative = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(|e| broken("read", &entry.path(), &e))?;
            if kind.is_dir() {
                folders.push(relative);
            } else if kind.is_file() {
                found.push(relative);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Copies a file, makes its folder, and answers its size and hash as copied.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(u64, Digest), Failure> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|e| broken("made", folder, &e))?;
    }
    fs::copy(from, to).map_err(|e| broken("copied", from, &e))?;
    let file = fs::File::open(to).map_err(|e| broken("read", to, &e))?;
    file.sync_all().map_err(|e| broken("written", to, &e))?;
    hash(to)
}

/// Size and hash of a file, read piece by piece.
pub(crate) fn hash(path: &Path) -> Result<(u64, Digest), Failure> {
    let mut file = fs::File::open(path).map_err(|e| broken("read", path, &e))?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0_u8; PIECE_BYTES];
    let mut bytes = 0_u64;
    loop {
        let read = file.read(&mut piece).map_err(|e| broken("read", path, &e))?;
        if read == 0 {
            break;
        }
        hasher.update(&piece[..read]);
        bytes += read as u64;
    }
    let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = Digest::from_hex(&hex)
        .ok_or_else(|| Failure::Broken(format!("`{}` has no hash", path.display())))?;
    Ok((bytes, digest))
}

/// True when the directory does not exist or holds nothing.
pub(crate) fn is_empty(dir: &Path) -> Result<bool, Failure> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(broken("read", dir, &error)),
    }
}
