//! `viaduct backup` and `viaduct restore`.
//!
//! A backup is a directory: the files under their names, and `backup.json` with the hash of each.
//! Order: the database first, then files and decisions. So whatever a row names is in the backup;
//! a decision that is newer than the rows does no harm.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use viaduct_base::{Clock as _, Digest, SystemClock, Timestamp};
use viaduct_cli::{Failure, Printer};
use viaduct_store::{DataDirLock, DatabaseUrl, Store};

use crate::config::Config;
use crate::files::{broken, copy, hash, is_empty, walk};
use crate::server::refused;

const LIST: &str = "backup.json";
const DATABASE: &str = "viaduct.db";
/// What a backup leaves out: the lock, SQLite's own files (copied through SQLite), the runtime,
/// which `viaduct setup runtime` brings again, and copies of objects.
const LEFT_OUT: [&str; 6] =
    ["viaduct.lock", DATABASE, "viaduct.db-wal", "viaduct.db-shm", "runtime", "artifact-copies"];
/// Below the artifacts: uploads on their way, and second names of what is copied under its first.
const LEFT_OUT_BELOW: [&str; 2] = ["blobs/.uploads", "blobs/.objects"];

/// The content of `backup.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Backup {
    format: u32,
    made_at: Timestamp,
    made_by: String,
    /// `sqlite` (inside) or `postgres` (kept by pg_dump, beside).
    database: String,
    files: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    path: PathBuf,
    bytes: u64,
    sha256: Digest,
}

pub(crate) fn backup(config: &Config, to: &Path, printer: &mut Printer) -> Result<(), Failure> {
    if !config.data_dir.is_dir() {
        return Err(Failure::Usage(format!(
            "there is no data directory `{}`: check `--data-dir`",
            config.data_dir.display()
        )));
    }
    if !is_empty(to)? {
        return Err(Failure::Usage(format!(
            "`{}` is not empty: a backup goes into a new directory",
            to.display()
        )));
    }
    fs::create_dir_all(to).map_err(|e| broken("made", to, &e))?;
    let mut files = Vec::new();
    let database = match &config.database.url {
        DatabaseUrl::Sqlite(_) => {
            let store = Store::open_beside(&config.database).map_err(|e| refused(&e))?;
            store.backup_sqlite(&to.join(DATABASE)).map_err(|e| refused(&e))?;
            let (bytes, sha256) = hash(&to.join(DATABASE))?;
            files.push(Entry { path: DATABASE.into(), bytes, sha256 });
            "sqlite"
        }
        DatabaseUrl::Postgres(_) => {
            printer.say(
                "this copies files and decisions; the database is copied by `pg_dump`, which must have run before (docs/guides/backup-and-restore.md)",
            );
            "postgres"
        }
    };
    let inside = to.strip_prefix(&config.data_dir).ok();
    for path in walk(&config.data_dir)? {
        let top = path.iter().next().and_then(|part| part.to_str()).unwrap_or("");
        let is_second = LEFT_OUT_BELOW.iter().any(|below| path.starts_with(below));
        if is_second
            || LEFT_OUT.contains(&top)
            || inside.is_some_and(|inside| path.starts_with(inside))
        {
            continue;
        }
        let (bytes, sha256) = copy(&config.data_dir.join(&path), &to.join(&path))?;
        files.push(Entry { path, bytes, sha256 });
    }
    let list = Backup {
        format: 1,
        made_at: SystemClock.now(),
        made_by: format!("viaduct {}", env!("CARGO_PKG_VERSION")),
        database: database.to_owned(),
        files,
    };
    // Last: a directory without its list is no backup.
    let text = serde_json::to_string_pretty(&list)
        .map_err(|e| Failure::Broken(format!("`{LIST}` cannot be made: {e}")))?;
    fs::write(to.join(LIST), text).map_err(|e| broken("written", &to.join(LIST), &e))?;
    let bytes: u64 = list.files.iter().map(|file| file.bytes).sum();
    Ok(printer.print(&format!(
        "backup of `{}` in `{}`: {} files, {:.1} MB",
        config.data_dir.display(),
        to.display(),
        list.files.len(),
        bytes as f64 / 1e6
    ))?)
}

pub(crate) fn restore(config: &Config, from: &Path, printer: &mut Printer) -> Result<(), Failure> {
    let list = read_list(from)?;
    let is_postgres = matches!(config.database.url, DatabaseUrl::Postgres(_));
    if is_postgres != (list.database == "postgres") {
        return Err(Failure::Usage(format!(
            "the backup was made with {} and this is {}: restore onto the same kind of database",
            list.database,
            if is_postgres { "postgres" } else { "sqlite" }
        )));
    }
    if !is_empty(&config.data_dir)? {
        return Err(Failure::Usage(format!(
            "`{}` is not empty: restore into a new `--data-dir`",
            config.data_dir.display()
        )));
    }
    verify(from, &list)?;
    let lock = DataDirLock::take(&config.data_dir).map_err(|e| refused(&e))?;
    for file in &list.files {
        let (_, sha256) = copy(&from.join(&file.path), &config.data_dir.join(&file.path))?;
        if sha256 != file.sha256 {
            return Err(damaged(from, &file.path, "changed while it was copied"));
        }
    }
    drop(lock);
    printer.print(&format!(
        "`{}` holds the backup of {}: {} files",
        config.data_dir.display(),
        list.made_at,
        list.files.len()
    ))?;
    if is_postgres {
        printer.say("the database comes back by `psql` or `pg_restore` before the server starts");
    }
    printer.say("next: `viaduct setup runtime`, then `viaduct server`, with this `--data-dir`");
    Ok(())
}

fn read_list(from: &Path) -> Result<Backup, Failure> {
    let path = from.join(LIST);
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure::Usage(format!(
            "`{}` is no backup: `{LIST}` cannot be read ({error})",
            from.display()
        ))
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Usage(format!("`{}` is damaged: {error}", path.display())))
}

/// Every file is there and is what it was, before anything is written.
fn verify(from: &Path, list: &Backup) -> Result<(), Failure> {
    for file in &list.files {
        let is_plain =
            file.path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if !is_plain {
            return Err(damaged(from, &file.path, "is not a path inside a backup"));
        }
        let (bytes, sha256) = hash(&from.join(&file.path))?;
        if bytes != file.bytes || sha256 != file.sha256 {
            return Err(damaged(from, &file.path, "is not what was backed up"));
        }
    }
    Ok(())
}

fn damaged(from: &Path, path: &Path, how: &str) -> Failure {
    Failure::Broken(format!(
        "the backup `{}` is damaged: `{}` {how}; use another backup",
        from.display(),
        path.display()
    ))
}
