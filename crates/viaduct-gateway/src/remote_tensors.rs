//! Columns as the protocol's tensors in JSON, and its answers as outputs.

use std::sync::Arc;

use serde_json::{Value, json};
use viaduct_domain::columns::{Cells, Column, Columns, NamedOutput, Outputs, Probabilities};

/// An input by the server's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    name: String,
    datatype: String,
    /// Columns of a matrix; `None` for a column, or where it is free.
    width: Option<usize>,
}

/// The inputs that a model's metadata names.
pub(crate) fn inputs(metadata: &Value) -> Vec<Input> {
    let named = metadata.get("inputs").and_then(Value::as_array);
    let read = |input: &Value| {
        let shape = input.get("shape").and_then(Value::as_array);
        let last = shape.filter(|shape| shape.len() == 2).and_then(|shape| shape[1].as_i64());
        Some(Input {
            name: input.get("name")?.as_str()?.to_owned(),
            datatype: input.get("datatype")?.as_str()?.to_owned(),
            width: last.and_then(|last| usize::try_from(last).ok()),
        })
    };
    named.into_iter().flatten().filter_map(read).collect()
}

/// The request: one matrix where the model takes one, else a tensor for each column. A server that
/// names no inputs is told that the columns are a data frame.
///
/// # Errors
/// A matrix of texts.
pub(crate) fn request(
    columns: &Columns,
    inputs: &[Input],
    features: Option<&[String]>,
) -> Result<Value, String> {
    let rows = columns.rows;
    let wanted: Vec<_> = match features {
        Some(names) => names
            .iter()
            .map(|name| {
                let column = columns.get(name).ok_or_else(|| format!("there is no `{name}`"))?;
                Ok((name.as_str(), column))
            })
            .collect::<Result<_, String>>()?,
        None => columns.columns.iter().map(|(name, column)| (&**name, column)).collect(),
    };
    let is_column = |input: &Input| wanted.iter().any(|(name, _)| *name == input.name);
    if let [only] = inputs
        && !is_column(only)
        && only.width.is_none_or(|width| width == wanted.len())
    {
        let mut cells = Vec::with_capacity(rows * wanted.len());
        for row in 0..rows {
            for (name, column) in &wanted {
                let number = column.number(row);
                let number = number.ok_or_else(|| format!("`{name}` is text in a matrix"))?;
                cells.push(json!(number));
            }
        }
        return Ok(json!({"inputs": [{
            "name": only.name, "datatype": only.datatype, "shape": [rows, wanted.len()],
            "data": cells,
        }]}));
    }
    let tensors: Vec<_> = wanted
        .iter()
        .map(|(name, column)| {
            let known = inputs.iter().find(|input| input.name == *name);
            let datatype = known.map_or_else(|| datatype(column), |input| &input.datatype);
            let cells: Vec<_> = (0..rows).map(|row| column.json(row)).collect();
            json!({"name": name, "datatype": datatype, "shape": [rows, 1], "data": cells})
        })
        .collect();
    match inputs.is_empty() {
        true => Ok(json!({"parameters": {"content_type": "pd"}, "inputs": tensors})),
        false => Ok(json!({"inputs": tensors})),
    }
}

fn datatype(column: &Column) -> &'static str {
    match &column.cells {
        Cells::F32(_) => "FP32",
        Cells::F64(_) => "FP64",
        Cells::I64(_) => "INT64",
        Cells::Bool(_) => "BOOL",
        Cells::Text(_) => "BYTES",
    }
}

/// The answer's tensors, by what their names and types say.
///
/// # Errors
/// A tensor that does not have so many rows.
pub(crate) fn outputs(
    answer: &Value,
    rows: usize,
    classes: Option<&[Value]>,
) -> Result<Outputs, String> {
    let tensors = answer.get("outputs").and_then(Value::as_array);
    let tensors = tensors.ok_or("the answer has no `outputs`")?;
    let mut found = Outputs { rows, ..Outputs::default() };
    let is_only = tensors.len() == 1;
    for tensor in tensors {
        let text = |key| tensor.get(key).and_then(Value::as_str).unwrap_or_default();
        let (name, datatype) = (text("name"), text("datatype"));
        if name.starts_with("viaduct.") || name == "action" {
            continue;
        }
        let mut flat = Vec::new();
        flatten(tensor.get("data").unwrap_or(&Value::Null), &mut flat);
        if rows == 0 || flat.is_empty() || flat.len() % rows != 0 {
            let count = flat.len();
            return Err(format!("output `{name}` has {count} cells for {rows} rows"));
        }
        let width = flat.len() / rows;
        let column = column(datatype, &flat);
        let is_float = matches!(column.cells, Cells::F64(_));
        let lower = name.to_lowercase();
        if width > 1 && is_float && lower.contains("prob") {
            found.probabilities = Some(probabilities(&column, width, classes));
        } else if width == 1 && is_float && lower.contains("prob") {
            // The matrix says more, where there is one.
            let both = |row| {
                let yes = column.number(row).unwrap_or(f64::NAN);
                [1.0 - yes, yes]
            };
            let pairs: Vec<f64> = (0..rows).flat_map(both).collect();
            let pairs = Cells::F64(pairs).into();
            found.probabilities.get_or_insert_with(|| probabilities(&pairs, 2, classes));
        } else if width == 1 && (lower.contains("label") || (is_only && !is_float)) {
            found.label = Some(column);
        } else if width == 1 && is_float && (is_only || lower == "value") {
            let values = (0..rows).map(|row| column.number(row).unwrap_or(f64::NAN));
            found.value = Some(values.collect());
        } else {
            found.named.push(NamedOutput { name: name.into(), width, cells: column });
        }
    }
    Ok(found)
}

fn flatten<'a>(data: &'a Value, flat: &mut Vec<&'a Value>) {
    match data {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, flat)),
        other => flat.push(other),
    }
}

fn column(datatype: &str, flat: &[&Value]) -> Column {
    let cells = match datatype {
        "BOOL" => Cells::Bool(flat.iter().map(|v| v.as_bool().unwrap_or_default()).collect()),
        "BYTES" => Cells::Text(
            flat.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect(),
        ),
        whole if whole.starts_with("INT") || whole.starts_with("UINT") => {
            Cells::I64(flat.iter().map(|v| v.as_i64().unwrap_or_default()).collect())
        }
        _ => Cells::F64(flat.iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()),
    };
    cells.into()
}

fn probabilities(column: &Column, width: usize, classes: Option<&[Value]>) -> Probabilities {
    let named: Vec<String> = match classes.filter(|classes| classes.len() == width) {
        Some(classes) => classes
            .iter()
            .map(|class| class.as_str().map_or_else(|| class.to_string(), str::to_owned))
            .collect(),
        None => (0..width).map(|class| class.to_string()).collect(),
    };
    let yes = |name: &String| ["1", "yes", "true"].iter().any(|w| name.eq_ignore_ascii_case(w));
    let positive = (width == 2).then(|| named.iter().position(yes).unwrap_or(1));
    let values = (0..column.len()).map(|place| column.number(place).unwrap_or(f64::NAN));
    Probabilities { positive, values: values.collect(), classes: Arc::from(named) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Columns {
        Columns {
            rows: 2,
            columns: vec![
                ("age".into(), Cells::F64(vec![20.5, 80.0]).into()),
                ("visits".into(), Cells::I64(vec![1, 2]).into()),
            ],
        }
    }

    #[test]
    fn a_matrix_where_the_model_takes_one_and_columns_otherwise() {
        let matrix = inputs(&json!({"inputs": [
            {"name": "x", "datatype": "FP32", "shape": [-1, 2]}]}));
        let order = ["visits".to_owned(), "age".to_owned()];
        let sent = request(&two(), &matrix, Some(&order)).unwrap();
        assert_eq!(sent["inputs"][0]["data"], json!([1.0, 20.5, 2.0, 80.0]));
        assert_eq!(sent["inputs"][0]["shape"], json!([2, 2]));
        let columns = inputs(&json!({"inputs": [
            {"name": "age", "datatype": "FP32", "shape": [-1, 1]},
            {"name": "visits", "datatype": "INT32", "shape": [-1, 1]}]}));
        let sent = request(&two(), &columns, None).unwrap();
        assert_eq!(sent["inputs"][1]["datatype"], "INT32");
        assert_eq!(sent["inputs"][1]["data"], json!([1, 2]));
        let sent = request(&two(), &[], None).unwrap();
        assert_eq!(sent["parameters"]["content_type"], "pd");
        assert!(request(&two(), &[], Some(&["zip".to_owned()])).unwrap_err().contains("`zip`"));
    }

    #[test]
    fn answers_by_name_and_type() {
        let said = |outputs: Value| super::outputs(&json!({ "outputs": outputs }), 2, None);
        let one =
            said(json!([{"name": "predict", "datatype": "FP64", "shape": [2], "data": [1.5, 2]}]));
        assert_eq!(one.unwrap().value, Some(vec![1.5, 2.0]));
        let label = said(
            json!([{"name": "predict", "datatype": "INT64", "shape": [2, 1], "data": [[0], [1]]}]),
        );
        assert_eq!(label.unwrap().row(1).label, Some(json!(1)));
        let both = said(json!([
            {"name": "predict_proba", "datatype": "FP64", "shape": [2, 2], "data": [[0.25, 0.75], [0.5, 0.5]]},
            {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["no", "yes"]}])).unwrap();
        assert_eq!(both.row(0).probability, Some(0.75));
        assert_eq!(both.row(1).label, Some(json!("yes")));
        let short = said(json!([{"name": "x", "datatype": "FP64", "shape": [1], "data": [1.0]}]));
        assert!(short.unwrap_err().contains("1 cells for 2 rows"));
        assert!(outputs(&json!({}), 2, None).is_err());
    }
}
