//! The database of an MLflow server, of whatever version.

use std::collections::HashSet;

use viaduct_base::Timestamp;
use viaduct_store::foreign::{Access, Foreign};
use viaduct_store::mlflow::Pair;
use viaduct_store::{DatabaseUrl, Row, StoreError, Value};

use crate::ExchangeError;

/// Tables that every version since 1.x has.
const NEEDED: [&str; 5] =
    ["alembic_version", "experiments", "runs", "metrics", "registered_models"];
/// The one workspace whose rows are read; older versions have no other.
const WORKSPACE: &str = "default";

/// An open database of MLflow.
pub(crate) struct Source {
    db: Foreign,
    /// The revision of its schema, as alembic calls it.
    pub(crate) revision: String,
    /// `table.column` of everything that there is.
    columns: HashSet<String>,
}

/// Tables of which some columns are newer than MLflow 2.0.
const LOOKED_AT: [&str; 14] = [
    "experiments",
    "runs",
    "inputs",
    "datasets",
    "input_tags",
    "logged_models",
    "logged_model_metrics",
    "registered_models",
    "registered_model_aliases",
    "model_versions",
    "webhooks",
    "trace_info",
    "evaluation_datasets",
    "scorers",
];

impl Source {
    pub(crate) fn open(url: &DatabaseUrl) -> Result<Self, ExchangeError> {
        let mut db = Foreign::open(url, Access::Read)?;
        for table in NEEDED {
            if db.columns(table)?.is_empty() {
                return Err(ExchangeError::Refused(format!(
                    "`{url}` is no database of an MLflow server: it has no table `{table}`; name the `--backend-store-uri` of the server, as in `--from sqlite:///mlflow.db` or `--from postgresql://user@host/mlflow`"
                )));
            }
        }
        let found = db.query("SELECT version_num FROM alembic_version", &[])?;
        let revision = found.first().map(|row| row.text("version_num")).transpose()?;
        let mut columns = HashSet::new();
        for table in LOOKED_AT {
            columns.extend(db.columns(table)?.into_iter().map(|c| format!("{table}.{c}")));
        }
        Ok(Self { db, revision: revision.unwrap_or_default(), columns })
    }

    /// Whether a table has a column.
    pub(crate) fn has(&self, table: &str, column: &str) -> bool {
        self.columns.contains(&format!("{table}.{column}"))
    }

    /// `column AS column`, or NULL where this version has no such column.
    pub(crate) fn maybe(&self, table: &str, column: &str) -> String {
        match self.has(table, column) {
            true => format!("{table}.{column} AS {column}"),
            false => format!("NULL AS {column}"),
        }
    }

    /// The condition for rows of the workspace that is read.
    pub(crate) fn ours(&self, table: &str) -> String {
        match self.has(table, "workspace") {
            true => format!("{table}.workspace = '{WORKSPACE}'"),
            false => "1 = 1".to_owned(),
        }
    }

    pub(crate) fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.db.query(sql, values)
    }

    pub(crate) fn each(
        &mut self,
        sql: &str,
        values: &[Value],
        each: impl FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.db.each(sql, values, each)
    }

    /// How many rows; 0 for a table that this version does not have.
    pub(crate) fn count(&mut self, table: &str, only: &str) -> Result<u64, StoreError> {
        if LOOKED_AT.contains(&table)
            && !self
                .columns
                .iter()
                .any(|c| c.strip_prefix(table).is_some_and(|r| r.starts_with('.')))
        {
            return Ok(0);
        }
        let sql = format!("SELECT CAST(COUNT(*) AS BIGINT) AS n FROM {table} WHERE {only}");
        let found = self.db.query(&sql, &[])?;
        let n = found.first().map(|row| row.int("n")).transpose()?;
        Ok(n.unwrap_or_default().try_into().unwrap_or_default())
    }
}

/// Text without what PostgreSQL cannot keep.
pub(crate) fn clean(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "") } else { text }
}

/// TEXT; empty when it is NULL.
pub(crate) fn text(row: &Row, column: &str) -> Result<String, StoreError> {
    Ok(opt_text(row, column)?.unwrap_or_default())
}

/// TEXT or NULL.
pub(crate) fn opt_text(row: &Row, column: &str) -> Result<Option<String>, StoreError> {
    Ok(row.opt_text(column)?.map(clean))
}

/// Milliseconds of MLflow as a moment of ours; the epoch when they are NULL.
pub(crate) fn moment(row: &Row, column: &str) -> Result<Timestamp, StoreError> {
    Ok(opt_moment(row, column)?.unwrap_or(Timestamp::from_micros(0)))
}

/// [`moment`], or nothing when it is NULL.
pub(crate) fn opt_moment(row: &Row, column: &str) -> Result<Option<Timestamp>, StoreError> {
    let millis = row.opt_int(column)?;
    Ok(millis.map(|ms| Timestamp::from_micros(ms.saturating_mul(1000))))
}

/// Columns `key` and `value` as a pair.
pub(crate) fn pair(row: &Row) -> Result<Pair, StoreError> {
    Ok(Pair { key: text(row, "key")?, value: text(row, "value")? })
}
