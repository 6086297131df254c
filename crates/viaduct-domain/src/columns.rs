//! Many rows at once: [`Columns`] go to a model, [`Outputs`] come back, both as typed vectors.
//!
//! The same buffers feed the runtime and the decision log, so no row becomes a map on the way.
//! [`Outputs::row`] and [`Columns::json_row`] give single rows to whoever wants them.

use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Number, Value};

use crate::output::{Cell, ModelOutput, TypedRow};

/// The cells of one column.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// 32-bit floats, as tensors bring them.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// Whole numbers.
    I64(Vec<i64>),
    /// Booleans.
    Bool(Vec<bool>),
    /// Texts; objects and lists as their JSON text.
    Text(Vec<String>),
}

/// One column: its cells, and which of them are no value.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The cells; what stands at a null is not read.
    pub cells: Cells,
    /// True where there is no value; `None` when every row has one.
    pub nulls: Option<Vec<bool>>,
}

impl From<Cells> for Column {
    fn from(cells: Cells) -> Self {
        Self { cells, nulls: None }
    }
}

impl Column {
    /// How many rows.
    pub fn len(&self) -> usize {
        match &self.cells {
            Cells::F32(cells) => cells.len(),
            Cells::F64(cells) => cells.len(),
            Cells::I64(cells) => cells.len(),
            Cells::Bool(cells) => cells.len(),
            Cells::Text(cells) => cells.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the row has no value.
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.get(row).copied().unwrap_or(true))
    }

    /// The cell as a number: NaN for null, 0 and 1 for booleans, `None` for text.
    pub fn number(&self, row: usize) -> Option<f64> {
        if self.is_null(row) {
            return Some(f64::NAN);
        }
        match &self.cells {
            Cells::F32(cells) => cells.get(row).map(|n| f64::from(*n)),
            Cells::F64(cells) => cells.get(row).copied(),
            Cells::I64(cells) => cells.get(row).map(|n| *n as f64),
            Cells::Bool(cells) => cells.get(row).map(|flag| f64::from(u8::from(*flag))),
            Cells::Text(_) => None,
        }
    }

    /// The cell as a row of a contract holds it.
    pub fn cell(&self, row: usize) -> Cell {
        if self.is_null(row) {
            return Cell::Null;
        }
        let found = match &self.cells {
            Cells::F32(cells) => cells.get(row).map(|n| Cell::F64(f64::from(*n))),
            Cells::F64(cells) => cells.get(row).map(|n| Cell::F64(*n)),
            Cells::I64(cells) => cells.get(row).map(|n| Cell::I64(*n)),
            Cells::Bool(cells) => cells.get(row).map(|flag| Cell::Bool(*flag)),
            Cells::Text(cells) => cells.get(row).map(|text| Cell::Text(text.clone())),
        };
        found.unwrap_or(Cell::Null)
    }

    /// The cell as JSON; what JSON cannot hold (NaN, infinity) is null.
    pub fn json(&self, row: usize) -> Value {
        match self.cell(row) {
            Cell::Null => Value::Null,
            Cell::F64(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
            Cell::I64(number) => number.into(),
            Cell::Bool(flag) => flag.into(),
            Cell::Text(text) => text.into(),
        }
    }

    /// The rows of a range, or those that there are.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        fn part<T: Clone>(cells: &[T], rows: &Range<usize>) -> Vec<T> {
            let end = rows.end.min(cells.len());
            cells[rows.start.min(end)..end].to_vec()
        }
        let cells = match &self.cells {
            Cells::F32(cells) => Cells::F32(part(cells, &rows)),
            Cells::F64(cells) => Cells::F64(part(cells, &rows)),
            Cells::I64(cells) => Cells::I64(part(cells, &rows)),
            Cells::Bool(cells) => Cells::Bool(part(cells, &rows)),
            Cells::Text(cells) => Cells::Text(part(cells, &rows)),
        };
        Self { cells, nulls: self.nulls.as_deref().map(|nulls| part(nulls, &rows)) }
    }
}

/// Rows as columns; every column has [`Columns::rows`] cells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Columns {
    /// How many rows.
    pub rows: usize,
    /// Names (shared with the contract) and columns, in field order.
    pub columns: Vec<(Arc<str>, Column)>,
}

impl Columns {
    /// The column of a field.
    pub fn get(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|(field, _)| &**field == name).map(|(_, column)| column)
    }

    /// Whether every column has as many cells (and null marks) as there are rows.
    pub fn is_even(&self) -> bool {
        self.columns.iter().all(|(_, column)| {
            let marks = column.nulls.as_ref().map_or(self.rows, Vec::len);
            column.len() == self.rows && marks == self.rows
        })
    }

    /// One row as JSON: what the decision log shows of the inputs.
    pub fn json_row(&self, row: usize) -> Map<String, Value> {
        self.columns.iter().map(|(name, column)| (name.to_string(), column.json(row))).collect()
    }

    /// One row as a contract types it.
    pub fn typed_row(&self, row: usize) -> TypedRow {
        let cells = self
            .columns
            .iter()
            .map(|(name, column)| (Arc::clone(name), column.cell(row)))
            .collect();
        TypedRow { cells, ..TypedRow::default() }
    }

    /// The rows of a range, or those that there are.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let end = rows.end.min(self.rows);
        let rows = rows.start.min(end)..end;
        let columns = self.columns.iter();
        let columns =
            columns.map(|(name, column)| (Arc::clone(name), column.slice(rows.clone()))).collect();
        Self { rows: rows.len(), columns }
    }

    /// Rows of one contract as columns. `None` when the rows have other fields than the first, or
    /// a field mixes text, booleans and numbers: then they are no columns.
    pub fn from_rows(rows: &[TypedRow]) -> Option<Self> {
        let Some(first) = rows.first() else { return Some(Self::default()) };
        let mut columns = Vec::with_capacity(first.cells.len());
        for (place, (name, _)) in first.cells.iter().enumerate() {
            columns.push((Arc::clone(name), column(rows, place, name)?));
        }
        let is_same = rows.iter().all(|row| row.cells.len() == first.cells.len());
        is_same.then_some(Self { rows: rows.len(), columns })
    }
}

/// What type the column's cells have in common, then the cells.
fn column(rows: &[TypedRow], place: usize, name: &Arc<str>) -> Option<Column> {
    let (mut float, mut whole, mut flag, mut text, mut null) = (false, false, false, false, false);
    for row in rows {
        let (field, cell) = row.cells.get(place)?;
        if !Arc::ptr_eq(field, name) && field != name {
            return None;
        }
        match cell {
            Cell::F64(_) => float = true,
            Cell::I64(_) => whole = true,
            Cell::Bool(_) => flag = true,
            Cell::Text(_) => text = true,
            Cell::Null => null = true,
        }
    }
    let cells = || rows.iter().map(|row| &row.cells[place].1);
    let number = float || whole || !(flag || text);
    let cells = match (number, flag, text) {
        (true, false, false) if whole && !float => {
            Cells::I64(cells().map(|c| if let Cell::I64(n) = c { *n } else { 0 }).collect())
        }
        (true, false, false) => {
            Cells::F64(cells().map(|cell| cell.as_f64().unwrap_or(f64::NAN)).collect())
        }
        (false, true, false) => Cells::Bool(cells().map(|c| *c == Cell::Bool(true)).collect()),
        (false, false, true) => Cells::Text(
            cells()
                .map(|c| if let Cell::Text(t) = c { t.clone() } else { String::new() })
                .collect(),
        ),
        _ => return None,
    };
    let nulls = null.then(|| rows.iter().map(|row| row.cells[place].1 == Cell::Null).collect());
    Some(Column { cells, nulls })
}

/// Probabilities by class, row by row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Probabilities {
    /// The classes as text, in the model's order.
    pub classes: Arc<[String]>,
    /// The positive class of a binary classifier.
    pub positive: Option<usize>,
    /// `rows × classes` numbers.
    pub values: Vec<f64>,
}

impl Probabilities {
    /// The numbers of one row, in the order of the classes.
    pub fn row(&self, row: usize) -> &[f64] {
        let width = self.classes.len();
        self.values.get(row * width..(row + 1) * width).unwrap_or_default()
    }

    /// The positive class's number of one row.
    pub fn positive(&self, row: usize) -> Option<f64> {
        self.positive.and_then(|class| self.row(row).get(class).copied())
    }
}

/// An output of the graph that has no meaning of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedOutput {
    /// Its name.
    pub name: Arc<str>,
    /// Cells a row.
    pub width: usize,
    /// `rows × width` cells.
    pub cells: Column,
}

/// What a model said about many rows: the columns behind [`ModelOutput`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outputs {
    /// How many rows.
    pub rows: usize,
    /// The predicted class.
    pub label: Option<Column>,
    /// Probabilities by class.
    pub probabilities: Option<Probabilities>,
    /// A regressor's numbers.
    pub value: Option<Vec<f64>>,
    /// Anything else.
    pub named: Vec<NamedOutput>,
}

impl Outputs {
    /// One row's answer.
    pub fn row(&self, row: usize) -> ModelOutput {
        let mut output = ModelOutput {
            label: self.label.as_ref().map(|label| label.json(row)),
            value: self.value.as_ref().and_then(|values| values.get(row).copied()),
            ..ModelOutput::default()
        };
        if let Some(found) = &self.probabilities {
            output.probability = found.positive(row);
            let pairs = found.classes.iter().cloned().zip(found.row(row).iter().copied());
            output.probabilities = pairs.collect();
        }
        for NamedOutput { name, width, cells } in &self.named {
            let value = match width {
                1 => cells.json(row),
                _ => (row * width..(row + 1) * width).map(|place| cells.json(place)).collect(),
            };
            output.named.insert(name.to_string(), value);
        }
        output
    }

    /// Whether a probability or value of the row is NaN or infinite.
    pub fn has_non_finite(&self, row: usize) -> bool {
        let bad = |number: &f64| !number.is_finite();
        self.value.as_ref().and_then(|values| values.get(row)).is_some_and(bad)
            || self.probabilities.as_ref().is_some_and(|found| found.row(row).iter().any(bad))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(cells: &[(&str, Cell)]) -> TypedRow {
        let cells = cells.iter().map(|(name, cell)| ((*name).into(), cell.clone())).collect();
        TypedRow { cells, ..TypedRow::default() }
    }

    #[test]
    fn rows_become_columns_and_come_back() {
        let rows = [
            row(&[("age", Cell::I64(4)), ("x", Cell::F64(0.5)), ("job", Cell::Text("a".into()))]),
            row(&[("age", Cell::I64(7)), ("x", Cell::Null), ("job", Cell::Null)]),
        ];
        let columns = Columns::from_rows(&rows).unwrap();
        assert!(columns.is_even());
        assert_eq!(columns.get("age").unwrap().cells, Cells::I64(vec![4, 7]));
        assert_eq!(columns.typed_row(0), rows[0]);
        assert_eq!(columns.typed_row(1), rows[1]);
        assert_eq!(Value::from(columns.json_row(1)), json!({"age": 7, "x": null, "job": null}));
        let second = columns.slice(1..9);
        assert_eq!((second.rows, second.typed_row(0)), (1, rows[1].clone()));
        assert!(second.is_even());
    }

    #[test]
    fn what_is_no_column_is_refused() {
        let mixed = [row(&[("a", Cell::I64(1))]), row(&[("a", Cell::Text("x".into()))])];
        assert_eq!(Columns::from_rows(&mixed), None);
        assert_eq!(Columns::from_rows(&[row(&[("a", Cell::I64(1))]), row(&[])]), None);
        let other = [row(&[("a", Cell::I64(1))]), row(&[("b", Cell::I64(1))])];
        assert_eq!(Columns::from_rows(&other), None);
        let both = [row(&[("a", Cell::I64(1))]), row(&[("a", Cell::F64(0.5))])];
        let both = Columns::from_rows(&both).unwrap();
        assert_eq!(both.columns[0].1.cells, Cells::F64(vec![1.0, 0.5]));
    }

    #[test]
    fn a_row_of_outputs_is_a_model_output() {
        let outputs = Outputs {
            rows: 2,
            label: Some(Cells::Text(vec!["no".into(), "yes".into()]).into()),
            probabilities: Some(Probabilities {
                classes: ["no".to_owned(), "yes".to_owned()].into(),
                positive: Some(1),
                values: vec![0.75, 0.25, 0.5, f64::NAN],
            }),
            value: None,
            named: vec![NamedOutput {
                name: "place".into(),
                width: 2,
                cells: Cells::I64(vec![1, 2, 3, 4]).into(),
            }],
        };
        let said = serde_json::to_value(outputs.row(0)).unwrap();
        let wanted = json!({"label": "no", "probability": 0.25, "place": [1, 2],
                            "probabilities": {"no": 0.75, "yes": 0.25}});
        assert_eq!(said, wanted);
        assert!(!outputs.has_non_finite(0) && outputs.has_non_finite(1));
    }
}
