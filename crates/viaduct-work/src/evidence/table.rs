//! The CSV tables that a run carries as evidence: `viaduct/train.csv`, `test.csv`, `baselines.csv`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use viaduct_base::{Digest, Timestamp};

/// More rows than this are not read: evidence is a sample, not a warehouse.
const ROWS_MAX: usize = 2_000_000;

/// Columns that are not features.
pub const RESERVED: [&str; 3] = ["row_id", "decided_at", "y"];

/// Why a table cannot be used as evidence; the sentence is shown beside the criterion.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadTable {
    /// The text is not CSV.
    #[error("`{file}` is not readable as CSV: {why}")]
    NotCsv {
        /// The artifact's path.
        file: String,
        /// What the reader said.
        why: String,
    },
    /// A column that must be there is not.
    #[error("`{file}` has no column `{column}`")]
    NoColumn {
        /// The artifact's path.
        file: String,
        /// The missing column.
        column: String,
    },
    /// A cell does not read as what its column holds.
    #[error("`{file}` row {row}: `{cell}` in column `{column}` is not {wanted}")]
    BadCell {
        /// The artifact's path.
        file: String,
        /// 1-based data row.
        row: usize,
        /// The column.
        column: String,
        /// What stands there.
        cell: String,
        /// What should stand there.
        wanted: &'static str,
    },
    /// The file holds no rows, or too many.
    #[error("`{file}` has {rows} rows: between 1 and {ROWS_MAX} are read")]
    Rows {
        /// The artifact's path.
        file: String,
        /// How many were seen.
        rows: usize,
    },
}

/// A CSV file in memory, with the digest of its bytes.
#[derive(Debug, Clone)]
pub struct Table {
    /// The artifact's path, for messages.
    pub file: String,
    /// SHA-256 of the bytes.
    pub digest: Digest,
    columns: BTreeMap<String, usize>,
    order: Vec<String>,
    rows: Vec<csv::StringRecord>,
}

impl Table {
    /// Reads CSV with a header line.
    ///
    /// # Errors
    /// Refuses text that is not CSV, an empty file and one that is too long.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self, BadTable> {
        let not_csv = |e: csv::Error| BadTable::NotCsv { file: file.into(), why: e.to_string() };
        let mut reader = csv::Reader::from_reader(bytes);
        let order: Vec<String> =
            reader.headers().map_err(not_csv)?.iter().map(|h| h.trim().to_owned()).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            if rows.len() == ROWS_MAX {
                return Err(BadTable::Rows { file: file.into(), rows: rows.len() + 1 });
            }
            rows.push(record.map_err(not_csv)?);
        }
        if rows.is_empty() {
            return Err(BadTable::Rows { file: file.into(), rows: 0 });
        }
        let columns = order.iter().enumerate().map(|(i, name)| (name.clone(), i)).collect();
        Ok(Self { file: file.into(), digest: Digest::of(bytes), columns, order, rows })
    }

    /// How many data rows; never none.
    #[expect(clippy::len_without_is_empty, reason = "a table without rows is refused")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The feature columns, in file order.
    pub fn features(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str).filter(|name| !RESERVED.contains(name))
    }

    /// All columns, in file order.
    pub fn columns(&self) -> &[String] {
        &self.order
    }

    /// The cells of a column.
    ///
    /// # Errors
    /// Refuses a column that is not there.
    pub fn column(&self, name: &str) -> Result<impl Iterator<Item = &str>, BadTable> {
        let index = *self
            .columns
            .get(name)
            .ok_or_else(|| BadTable::NoColumn { file: self.file.clone(), column: name.into() })?;
        Ok(self.rows.iter().map(move |row| row.get(index).unwrap_or_default()))
    }

    /// Checks that no two rows share a cell of this column.
    ///
    /// # Errors
    /// Refuses a missing column, and the first cell that came before.
    pub fn require_unique(&self, name: &str) -> Result<(), BadTable> {
        let mut seen = std::collections::HashSet::with_capacity(self.rows.len());
        match self.column(name)?.enumerate().find(|(_, cell)| !seen.insert(*cell)) {
            None => Ok(()),
            Some((row, cell)) => Err(BadTable::BadCell {
                file: self.file.clone(),
                row: row + 1,
                column: name.into(),
                cell: cell.chars().take(40).collect(),
                wanted: "given once: it names two rows",
            }),
        }
    }

    /// A column of finite numbers.
    ///
    /// # Errors
    /// Refuses a missing column, and the first cell that is not a finite number.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>, BadTable> {
        self.parsed(name, "a finite number", |cell| {
            cell.trim().parse::<f64>().ok().filter(|v| v.is_finite())
        })
    }

    /// A column of times.
    ///
    /// # Errors
    /// Refuses a missing column, and the first cell that is not a time.
    pub fn times(&self, name: &str) -> Result<Vec<Timestamp>, BadTable> {
        self.parsed(name, "a time (RFC 3339, or a day)", |cell| cell.trim().parse().ok())
    }

    fn parsed<T>(
        &self,
        name: &str,
        wanted: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, BadTable> {
        self.column(name)?
            .enumerate()
            .map(|(row, cell)| {
                read(cell).ok_or_else(|| BadTable::BadCell {
                    file: self.file.clone(),
                    row: row + 1,
                    column: name.into(),
                    cell: cell.chars().take(40).collect(),
                    wanted,
                })
            })
            .collect()
    }

    /// Row `index` as a JSON record: what a caller of the endpoint would have sent. Columns named
    /// in `numeric` become numbers; an empty cell is null.
    pub fn record(&self, index: usize, numeric: &dyn Fn(&str) -> bool) -> Map<String, Value> {
        let row = &self.rows[index];
        self.order
            .iter()
            .enumerate()
            .filter(|(_, name)| !RESERVED.contains(&name.as_str()))
            .map(|(i, name)| (name.clone(), cell(row.get(i).unwrap_or_default(), numeric(name))))
            .collect()
    }
}

fn cell(text: &str, numeric: bool) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    if !numeric {
        return Value::String(text.to_owned());
    }
    let number = match text.parse::<i64>() {
        Ok(whole) => Some(whole.into()),
        Err(_) => text.parse::<f64>().ok().and_then(serde_json::Number::from_f64),
    };
    // Why: a cell that is no number goes on as text, so the contract names it.
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &[u8] = b"row_id,decided_at,y,age,job\n1,2026-01-01,0,41,clerk\n2,2026-01-02,1,,\n";

    #[test]
    fn reads_and_types() {
        let table = Table::read("viaduct/test.csv", CSV).unwrap();
        assert_eq!(table.len(), 2);
        assert_eq!(table.features().collect::<Vec<_>>(), ["age", "job"]);
        assert_eq!(table.numbers("y").unwrap(), [0.0, 1.0]);
        let numeric = |name: &str| name == "age";
        assert_eq!(
            Value::Object(table.record(0, &numeric)),
            serde_json::json!({"age": 41, "job": "clerk"})
        );
        assert_eq!(
            Value::Object(table.record(1, &numeric)),
            serde_json::json!({"age": null, "job": null})
        );
    }

    #[test]
    fn bad_tables_name_the_place() {
        let table = Table::read("t.csv", CSV).unwrap();
        assert_eq!(
            table.numbers("age").unwrap_err().to_string(),
            "`t.csv` row 2: `` in column `age` is not a finite number"
        );
        assert_eq!(table.numbers("nope").unwrap_err().to_string(), "`t.csv` has no column `nope`");
        let twice = Table::read("t.csv", b"row_id\n1\n2\n1\n").unwrap();
        assert!(table.require_unique("row_id").is_ok());
        assert_eq!(
            twice.require_unique("row_id").unwrap_err().to_string(),
            "`t.csv` row 3: `1` in column `row_id` is not given once: it names two rows"
        );
        assert!(Table::read("t.csv", b"a,b\n1,2,3\n").is_err());
        assert!(Table::read("t.csv", b"a,b\n").is_err());
    }
}
