//! Brings a database to the schema of this program, or explains why not.

use std::sync::{Mutex, PoisonError};

use viaduct_base::{Clock, Digest, SystemClock, Timestamp};

use crate::engine::{Engine, Failure, Text};
use crate::store::Schema;
use crate::{DatabaseUrl, Dialect, OpenError, StoreError, Value, statement};

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
    /// Engines on which there is something to do; on the other it is only noted.
    on: &'static [Dialect],
}

const BOTH: &[Dialect] = &[Dialect::Sqlite, Dialect::Postgres];
const SQLITE: &[Dialect] = &[Dialect::Sqlite];
const POSTGRES: &[Dialect] = &[Dialect::Postgres];

macro_rules! migrations {
    ($($version:literal $name:literal $on:ident;)+) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../migrations/", $name, ".sql")),
            on: $on,
        },)+]
    };
}

/// Forward only, in order; where both engines are named, the same text on both. A released one
/// never changes.
const MIGRATIONS: &[Migration] = migrations! {
    1 "0001_spine" BOTH;
    2 "0002_mlflow" BOTH;
    3 "0003_binding" BOTH;
    4 "0004_tracking" BOTH;
    5 "0005_serving" BOTH;
    6 "0006_without_rowid" SQLITE;
    7 "0007_change_key" POSTGRES;
};

const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migration (\
     version BIGINT PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL, \
     applied_at BIGINT NOT NULL);";

statement!(
    LIST_APPLIED,
    platform,
    "SELECT version, name, hash FROM schema_migration ORDER BY version"
);
statement!(
    INSERT_APPLIED,
    platform,
    "INSERT INTO schema_migration (version, name, hash, applied_at) VALUES ($1, $2, $3, $4)"
);

/// Applies what is missing in one transaction, or demands that nothing is.
pub(crate) fn bring_up(
    engine: &mut dyn Engine,
    url: &DatabaseUrl,
    schema: Schema,
) -> Result<(), OpenError> {
    let in_store = |source| OpenError::Store { database: url.to_string(), source };
    if schema == Schema::Demand {
        return demand(engine, url);
    }
    let begin = match engine.dialect() {
        Dialect::Sqlite => "BEGIN IMMEDIATE;".to_owned(),
        // Why: several replicas may start at once; the number is ours alone, any would do.
        Dialect::Postgres => "BEGIN; SELECT pg_advisory_xact_lock(787801);".to_owned(),
    };
    engine.script(&begin).map_err(|f| in_store(f.error))?;
    let applied = apply_missing(engine, url);
    let end = if applied.is_ok() { "COMMIT;" } else { "ROLLBACK;" };
    let ended = engine.script(end).map_err(|f| in_store(f.error));
    applied.and(ended)
}

fn demand(engine: &mut dyn Engine, url: &DatabaseUrl) -> Result<(), OpenError> {
    let found = check_applied(engine, url)?;
    let known = newest();
    if found < known {
        return Err(OpenError::OlderSchema { database: url.to_string(), found, known });
    }
    Ok(())
}

fn apply_missing(engine: &mut dyn Engine, url: &DatabaseUrl) -> Result<(), OpenError> {
    let in_store = |f: Failure| OpenError::Store { database: url.to_string(), source: f.error };
    engine.script(CREATE_TABLE).map_err(in_store)?;
    let found = check_applied(engine, url)?;
    let now = SystemClock.now();
    for migration in MIGRATIONS.iter().filter(|m| m.version > found) {
        if migration.on.contains(&engine.dialect()) {
            engine.script(&dialect_text(engine.dialect(), migration.sql)).map_err(in_store)?;
        }
        record(engine, migration, now).map_err(in_store)?;
        tracing::info!(migration = migration.name, "schema migrated");
    }
    crate::workspace::ensure_default(engine, now).map_err(in_store)
}

fn record(engine: &mut dyn Engine, migration: &Migration, now: Timestamp) -> Result<(), Failure> {
    let hash = Digest::of(migration.sql.as_bytes());
    let values =
        [migration.version.into(), migration.name.into(), Value::text(hash), Value::from(now)];
    engine.execute(Text::Known(&INSERT_APPLIED), &values).map(|_| ())
}

fn newest() -> i64 {
    MIGRATIONS.iter().map(|m| m.version).max().unwrap_or_default()
}

/// The highest migration applied, after comparing each with what this program holds.
fn check_applied(engine: &mut dyn Engine, url: &DatabaseUrl) -> Result<i64, OpenError> {
    let mut found = Vec::new();
    let mut each = |row: crate::Row| {
        found.push((row.int("version")?, row.text("name")?, row.text("hash")?));
        Ok(())
    };
    engine
        .each(Text::Known(&LIST_APPLIED), &[], &mut each)
        .map_err(|f| OpenError::Store { database: url.to_string(), source: f.error })?;
    let newest_found = found.last().map_or(0, |(version, ..)| *version);
    if newest_found > newest() {
        return Err(OpenError::NewerSchema {
            database: url.to_string(),
            found: newest_found,
            known: newest(),
        });
    }
    for (version, name, hash) in found {
        let known = MIGRATIONS.iter().find(|m| m.version == version);
        if known.is_none_or(|m| Digest::of(m.sql.as_bytes()).as_str() != hash) {
            return Err(OpenError::ChangedMigration { database: url.to_string(), name });
        }
    }
    Ok(newest_found)
}

/// Text compares bytewise on both engines: SQLite's default, PostgreSQL's `"C"`, which the
/// shared file cannot name because SQLite has no collation of that name.
fn dialect_text(dialect: Dialect, sql: &str) -> String {
    match dialect {
        Dialect::Sqlite => sql.to_owned(),
        Dialect::Postgres => {
            let lines = sql.lines().map(|line| {
                let (code, _comment) = line.split_once("--").unwrap_or((line, ""));
                code.replace(" TEXT", " TEXT COLLATE \"C\"")
            });
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}

/// Lets PostgreSQL connections through once the schema is known to be right.
pub(crate) struct SchemaDoor {
    url: DatabaseUrl,
    schema: Schema,
    open: Mutex<bool>,
}

impl SchemaDoor {
    pub(crate) fn new(url: DatabaseUrl, schema: Schema) -> Self {
        Self { url, schema, open: Mutex::new(false) }
    }

    pub(crate) fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// The first one through checks and migrates, the others wait for it.
    pub(crate) fn pass(&self, engine: &mut dyn Engine) -> Result<(), Failure> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if *open {
            return Ok(());
        }
        match bring_up(engine, &self.url, self.schema) {
            Ok(()) => {
                *open = true;
                Ok(())
            }
            Err(OpenError::Store { source: StoreError::Away { detail }, .. }) => {
                Err(Failure::away(detail))
            }
            Err(error) => Err(Failure::away(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sqlite;
    use crate::tx::Mode;

    /// What a run had logged before its tables were made anew.
    const LOGGED: &str = "\
        INSERT INTO experiment VALUES ('0', 'w', 'e', '', 'active', 0, 0, NULL);\
        INSERT INTO run VALUES ('r', 'w', '0', 'n', 'u', 'RUNNING', 0, NULL, 'active', '', NULL);\
        INSERT INTO metric VALUES ('r', 'w', 'loss', 1, 10, 0.5, 0);\
        INSERT INTO metric VALUES ('r', 'w', 'loss', 2, 11, 0.0, 1);\
        INSERT INTO latest_metric VALUES ('r', 'w', 'loss', 2, 11, 0.0, 1, '0', 7);\
        INSERT INTO param VALUES ('r', 'w', 'depth', '6', '0');\
        INSERT INTO run_tag VALUES ('r', 'w', 'team', 'risk', '0');\
        INSERT INTO change VALUES ('c1', 'w', 'run:r', 9, 'user', 'bea', 'logged', '{}');\
        INSERT INTO change VALUES ('c2', 'w', 'run:r', 9, 'user', 'bea', 'updated', '{}');";
    const READ: [&str; 5] = [
        "SELECT run_id, workspace_id, key, step, at, value, is_nan FROM metric ORDER BY step",
        "SELECT run_id, workspace_id, experiment_id, key, step, at, value, is_nan, open_points \
         FROM latest_metric",
        "SELECT run_id, workspace_id, experiment_id, key, value FROM param",
        "SELECT run_id, workspace_id, experiment_id, key, value FROM run_tag",
        "SELECT id, workspace_id, subject, at, actor_kind, actor_name, verb, change_json \
         FROM change ORDER BY id",
    ];

    fn all(engine: &mut dyn Engine) -> Vec<String> {
        let mut rows = Vec::new();
        for sql in READ {
            let mut each = |row| {
                rows.push(format!("{row:?}"));
                Ok(())
            };
            engine.each(Text::Compiled(sql), &[], &mut each).map_err(|f| f.error).unwrap();
        }
        rows
    }

    #[test]
    fn what_was_logged_outlives_new_tables() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("old.db");
        let url = DatabaseUrl::Sqlite(path.clone());
        let mut engine = sqlite::open(&path, Mode::Write).unwrap();
        let script = |engine: &mut sqlite::Sqlite, sql: &str| {
            engine.script(sql).map_err(|f| f.error).unwrap();
        };
        script(&mut engine, CREATE_TABLE);
        for migration in MIGRATIONS.iter().filter(|m| m.version < 6) {
            script(&mut engine, migration.sql);
            record(&mut engine, migration, Timestamp::from_micros(0)).map_err(|f| f.error).unwrap();
        }
        let workspace = "INSERT INTO workspace (id, name, title, salt, created_at) \
             VALUES ('w', 'default', 'd', 's', 0);";
        script(&mut engine, workspace);
        script(&mut engine, LOGGED);
        let before = all(&mut engine);
        assert_eq!(before.len(), 7);
        bring_up(&mut engine, &url, Schema::Migrate).unwrap();
        assert_eq!(all(&mut engine), before);
        bring_up(&mut engine, &url, Schema::Demand).unwrap();
    }
}
