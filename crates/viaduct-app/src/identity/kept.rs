//! What a server must know of its installation to start while the database is away.
//!
//! Not who the people are: only whether there are any, so that the door stays shut.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use viaduct_base::{Fault, WorkspaceId};

const FILE: &str = "installation.json";

/// The installation, as the last start that reached the database found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Its workspace.
    pub(crate) workspace: WorkspaceId,
    /// Whether anybody was ever added.
    pub(crate) has_users: bool,
}

/// `None` before the first start that reached the database.
pub(crate) fn read(data_dir: &Path) -> Result<Option<Kept>, Fault> {
    let path = data_dir.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Fault::caused(format!("read `{}`", path.display()), e)),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| Fault::caused(format!("read `{}`", path.display()), e))
}

/// Replaces the file as a whole.
pub(crate) fn write(data_dir: &Path, kept: Kept) -> Result<(), Fault> {
    let path = data_dir.join(FILE);
    let fault = |e: std::io::Error| Fault::caused(format!("write `{}`", path.display()), e);
    let text = serde_json::to_vec(&kept)
        .map_err(|e| Fault::caused(format!("write `{}`", path.display()), e))?;
    let beside = path.with_extension("json.new");
    let mut file = fs::File::create(&beside).map_err(fault)?;
    file.write_all(&text).map_err(fault)?;
    file.sync_all().map_err(fault)?;
    fs::rename(&beside, &path).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        let workspace = WorkspaceId::new(viaduct_base::Timestamp::from_system());
        for has_users in [false, true] {
            write(dir.path(), Kept { workspace, has_users }).unwrap();
            assert_eq!(read(dir.path()).unwrap(), Some(Kept { workspace, has_users }));
        }
        fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(read(dir.path()).is_err());
    }
}
