//! One server a data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::OpenError;

/// Holds a data directory until dropped or until the process ends, however it ends.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Makes the directory when it is missing and takes its lock.
    ///
    /// # Errors
    /// [`OpenError::InUse`] when another process holds it; [`OpenError::Unusable`] when the
    /// directory cannot be made or written.
    pub fn take(dir: &Path) -> Result<Self, OpenError> {
        let unusable = |path: &Path, e: std::io::Error| OpenError::Unusable {
            path: path.to_owned(),
            detail: e.to_string(),
        };
        std::fs::create_dir_all(dir).map_err(|e| unusable(dir, e))?;
        let path = dir.join("viaduct.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| unusable(&path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Why: the pid is a courtesy; an unreadable one only shortens the message.
                let _ = file.read_to_string(&mut pid);
                let pid = pid.trim();
                let pid = if pid.is_empty() { String::new() } else { format!(" (pid {pid})") };
                return Err(OpenError::InUse { dir: dir.to_owned(), pid });
            }
            Err(TryLockError::Error(e)) => return Err(unusable(&path, e)),
        }
        let note = || -> std::io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(&file, "{}", std::process::id())
        };
        let mut note = note;
        note().map_err(|e| unusable(&path, e))?;
        Ok(Self { _file: file })
    }
}
