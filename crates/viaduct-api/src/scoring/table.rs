//! The forms in which MLflow's clients send a table, as rows.

use serde::Deserialize;
use serde_json::{Map, Number, Value};
use viaduct_base::{FieldError, Kind, Refusal};
use viaduct_gateway::EndpointMetadata;

use crate::extract::parse_json;

type Row = Map<String, Value>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    dataframe_split: Option<Split>,
    dataframe_records: Option<Vec<Row>>,
    instances: Option<Value>,
    inputs: Option<Value>,
    /// Inference parameters: models here have none, so an empty object only.
    params: Option<Row>,
    /// MLflow's clients may name the signature; there is one.
    #[serde(rename = "signature_name")]
    _signature_name: Option<String>,
}

#[derive(Deserialize)]
struct Split {
    columns: Vec<String>,
    data: Vec<Vec<Value>>,
}

/// Reads one of `dataframe_split`, `dataframe_records`, `instances` and `inputs`.
///
/// # Errors
/// `invalid-input` with the place.
pub(super) fn from_json(bytes: &[u8], found: &EndpointMetadata) -> Result<Vec<Row>, Refusal> {
    let sent: Sent = parse_json(bytes)?;
    if sent.params.is_some_and(|params| !params.is_empty()) {
        return Err(invalid("/params", "a model takes no `params` here: leave them out".into()));
    }
    match (sent.dataframe_split, sent.dataframe_records, sent.instances, sent.inputs) {
        (Some(split), None, None, None) => from_split(split),
        (None, Some(records), None, None) => Ok(records),
        (None, None, Some(instances), None) => from_instances(instances, found),
        (None, None, None, Some(inputs)) => from_inputs(inputs, found),
        _ => {
            let detail = "the body is an object with exactly one of `dataframe_split`, \
                          `dataframe_records`, `instances` and `inputs`";
            Err(invalid("", detail.into()))
        }
    }
}

fn from_split(split: Split) -> Result<Vec<Row>, Refusal> {
    let width = split.columns.len();
    let rows = split.data.into_iter().enumerate();
    rows.map(|(number, cells)| {
        if cells.len() != width {
            let detail =
                format!("row {number} has {} cells and there are {width} columns", cells.len());
            return Err(invalid(&format!("/dataframe_split/data/{number}"), detail));
        }
        Ok(split.columns.iter().cloned().zip(cells).collect())
    })
    .collect()
}

/// A list with an item a row: an object, a list in the order of the columns, or a lone cell.
fn from_instances(instances: Value, found: &EndpointMetadata) -> Result<Vec<Row>, Refusal> {
    let Value::Array(items) = instances else {
        return Err(invalid("/instances", "`instances` is a list with an item a row".into()));
    };
    let items = items.into_iter().enumerate();
    items.map(|(number, item)| row(item, found, &format!("/instances/{number}"))).collect()
}

fn row(item: Value, found: &EndpointMetadata, pointer: &str) -> Result<Row, Refusal> {
    let cells = match item {
        Value::Object(row) => return Ok(row),
        Value::Array(cells) => cells,
        cell => vec![cell],
    };
    if cells.len() != found.features.len() {
        let detail = format!(
            "a row without names has {} cells and endpoint `{}` takes {}: {}",
            cells.len(),
            found.name,
            found.features.len(),
            found.features.join(", ")
        );
        return Err(invalid(pointer, detail));
    }
    Ok(found.features.iter().cloned().zip(cells).collect())
}

/// An object with a list a column, or what `instances` takes.
fn from_inputs(inputs: Value, found: &EndpointMetadata) -> Result<Vec<Row>, Refusal> {
    let columns = match inputs {
        Value::Object(columns) => columns,
        Value::Array(items) => {
            let items = items.into_iter().enumerate();
            return items.map(|(n, item)| row(item, found, &format!("/inputs/{n}"))).collect();
        }
        _ => return Err(invalid("/inputs", "`inputs` is an object or a list".into())),
    };
    let mut rows: Vec<Row> = Vec::new();
    for (place, (name, cells)) in columns.into_iter().enumerate() {
        // A lone cell is a column of one.
        let cells = match cells {
            Value::Array(cells) => cells,
            cell => vec![cell],
        };
        if place == 0 {
            rows.resize_with(cells.len(), Row::new);
        }
        if cells.len() != rows.len() {
            let detail =
                format!("column `{name}` has {} cells, others have {}", cells.len(), rows.len());
            return Err(invalid("/inputs", detail));
        }
        for (row, cell) in rows.iter_mut().zip(cells) {
            row.insert(name.clone(), lone(cell));
        }
    }
    Ok(rows)
}

/// A column of shape `[n, 1]` is a column.
fn lone(cell: Value) -> Value {
    match cell {
        Value::Array(mut items) if items.len() == 1 => items.remove(0),
        cell => cell,
    }
}

/// Reads a table with a line of names. Columns that the contract types as text stay text; of the
/// others each cell is what it looks like, and an empty one is null.
///
/// # Errors
/// `invalid-input` with the line.
pub(super) fn from_csv(bytes: &[u8], found: &EndpointMetadata) -> Result<Vec<Row>, Refusal> {
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    let refused = |error: csv::Error| {
        let line = error.position().map(csv::Position::line);
        let detail = format!("the table cannot be read: {error}");
        let place =
            FieldError { pointer: String::new(), detail: detail.clone(), line, column: None };
        Refusal::new(Kind::InvalidInput, detail).with_errors(vec![place])
    };
    let names = reader.headers().map_err(refused)?.clone();
    let is_text: Vec<bool> = names
        .iter()
        .map(|name| found.inputs.iter().any(|i| i.name == name && i.datatype == "BYTES"))
        .collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(refused)?;
        let cells = names.iter().zip(&is_text).zip(record.iter());
        rows.push(
            cells.map(|((name, is_text), text)| (name.to_owned(), cell(text, *is_text))).collect(),
        );
    }
    Ok(rows)
}

fn cell(text: &str, is_text: bool) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    if is_text {
        return text.into();
    }
    let trimmed = text.trim();
    if let Ok(whole) = trimmed.parse::<i64>() {
        return whole.into();
    }
    match trimmed {
        "True" | "true" | "TRUE" => return true.into(),
        "False" | "false" | "FALSE" => return false.into(),
        // What pandas writes for a missing number.
        "NaN" | "nan" | "NULL" | "null" => return Value::Null,
        _ => {}
    }
    let number = trimmed.parse::<f64>().ok().and_then(Number::from_f64);
    number.map_or_else(|| text.into(), Value::Number)
}

fn invalid(pointer: &str, detail: String) -> Refusal {
    let error =
        FieldError { pointer: pointer.into(), detail: detail.clone(), line: None, column: None };
    Refusal::new(Kind::InvalidInput, detail).with_errors(vec![error])
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use viaduct_gateway::TensorMetadata;

    use super::*;

    fn found() -> EndpointMetadata {
        let column = |name: &str, datatype| TensorMetadata {
            name: name.into(),
            datatype,
            shape: vec![-1, 1],
        };
        EndpointMetadata {
            name: "leads".into(),
            versions: vec!["3".into()],
            inputs: vec![column("age", "FP64"), column("zip", "BYTES")],
            features: vec!["age".into(), "zip".into()],
            outputs: vec![],
            ready: true,
        }
    }

    fn rows(body: Value) -> Result<Value, String> {
        let rows = from_json(body.to_string().as_bytes(), &found()).map_err(|r| r.detail)?;
        Ok(json!(rows))
    }

    #[test]
    fn every_form_gives_the_same_rows() {
        let wanted = json!([{"age": 41, "zip": "01234"}, {"age": null, "zip": "9"}]);
        for body in [
            json!({"dataframe_split": {"columns": ["age", "zip"], "index": [0, 1],
                "data": [[41, "01234"], [null, "9"]]}}),
            json!({"dataframe_records": wanted}),
            json!({"instances": wanted, "params": {}}),
            json!({"instances": [[41, "01234"], [null, "9"]]}),
            json!({"inputs": [[41, "01234"], [null, "9"]]}),
            json!({"inputs": {"age": [[41], [null]], "zip": ["01234", "9"]}}),
        ] {
            assert_eq!(rows(body.clone()), Ok(wanted.clone()), "{body}");
        }
        let csv = "age,zip\n41,01234\n,9\n";
        assert_eq!(json!(from_csv(csv.as_bytes(), &found()).unwrap()), wanted);
    }

    #[test]
    fn what_is_no_table_is_named() {
        for (body, said) in [
            (json!({}), "exactly one"),
            (json!({"inputs": [], "instances": []}), "exactly one"),
            (json!({"data": []}), "unknown field `data`"),
            (json!({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}), "row 0 has 2 cells"),
            (json!({"instances": [[1]]}), "takes 2: age, zip"),
            (json!({"instances": 3}), "an item a row"),
            (json!({"inputs": {"a": [1], "b": [1, 2]}}), "column `b` has 2 cells"),
            (json!({"inputs": "x"}), "an object or a list"),
            (json!({"instances": [], "params": {"x": 1}}), "no `params`"),
        ] {
            let detail = rows(body).unwrap_err();
            assert!(detail.contains(said), "{said}: {detail}");
        }
        assert!(from_csv(b"a,b\n1\n", &found()).unwrap_err().errors[0].line.is_some());
    }
}
