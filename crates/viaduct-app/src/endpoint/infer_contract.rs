//! A first contract out of a model's signature: names, types, what must be there.

use serde::Deserialize;
use serde_json::{Value, json};
use viaduct_blob::Blobs;
use viaduct_domain::contract::Contract;

use crate::mlflow::resolve::ResolvedVersion;

/// An `MLmodel` file is a page of YAML; more than this is none.
const MLMODEL_BYTES_MAX: u64 = 4 << 20;
/// A wide tensor's columns get names of their own up to here.
const COLUMNS_MAX: usize = 2_000;

#[derive(Deserialize)]
struct MlModel {
    signature: Option<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    inputs: Option<String>,
}

/// The contract that follows from the signature of a version; `None` when it has none that names
/// columns. Blocking.
pub(crate) fn infer(blobs: &Blobs, version: &ResolvedVersion, endpoint: &str) -> Option<Contract> {
    let path = version.model_artifacts.join("MLmodel").ok()?;
    let bytes = blobs.read(&path, MLMODEL_BYTES_MAX).ok()??;
    let options = serde_saphyr::options! { with_snippet: false };
    let text = std::str::from_utf8(&bytes).ok()?;
    let read: MlModel = serde_saphyr::from_str_with_options(text, options).ok()?;
    let inputs: Vec<Value> = serde_json::from_str(&read.signature?.inputs?).ok()?;
    let made_from = format!("the signature of `{}` version {}", version.name, version.version);
    Contract::from_value(document(endpoint, &made_from, &inputs)?).ok()
}

fn document(endpoint: &str, made_from: &str, inputs: &[Value]) -> Option<Value> {
    let mut properties = Vec::new();
    for input in inputs {
        properties.extend(columns(input)?);
    }
    if properties.is_empty() {
        return None;
    }
    Some(json!({
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": endpoint,
        "version": "1.0.0",
        "status": "active",
        "description": { "purpose": format!("Inferred from {made_from}.") },
        "schema": [{ "name": "request", "properties": properties }],
    }))
}

/// One input as fields: a column, or each column of a tensor.
fn columns(input: &Value) -> Option<Vec<Value>> {
    let name = input.get("name").and_then(Value::as_str);
    let shape = input.pointer("/tensor-spec/shape").and_then(Value::as_array);
    let word = input.pointer("/tensor-spec/dtype").or_else(|| input.get("type"))?.as_str()?;
    let required = input.get("required").and_then(Value::as_bool).unwrap_or(true);
    let width = match shape.map(Vec::as_slice) {
        None | Some([_]) => 1,
        Some([_, width]) => usize::try_from(width.as_i64()?).ok()?,
        Some(_) => return None,
    };
    match (name, width) {
        (Some(name), 1) => Some(vec![field(name, word, required)?]),
        (None, 1) => None,
        (_, width) if width <= COLUMNS_MAX => {
            let name = name.unwrap_or("x");
            (0..width).map(|n| field(&format!("{name}_{n}"), word, required)).collect()
        }
        _ => None,
    }
}

fn field(name: &str, word: &str, required: bool) -> Option<Value> {
    let (logical, physical) = match word {
        "boolean" | "bool" => ("boolean", "boolean"),
        "integer" | "int32" => ("integer", "int32"),
        "int8" => ("integer", "int8"),
        "int16" => ("integer", "int16"),
        "long" | "int64" | "uint8" | "uint16" | "uint32" => ("integer", "int64"),
        "float" | "float32" | "float16" => ("number", "float"),
        "double" | "float64" => ("number", "double"),
        "string" | "str" | "object" => ("string", "string"),
        "datetime" | "datetime64" => ("timestamp", "timestamp"),
        _ => return None,
    };
    // Why: a gap in a float column is NaN to MLflow's schema too; other types have no such value.
    let nullable = !required || logical == "number";
    Some(json!({
        "name": name,
        "logicalType": logical,
        "physicalType": physical,
        "required": required,
        "customProperties": [{ "property": "viaduct.nullable", "value": nullable }],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(inputs: Value) -> Option<Contract> {
        let inputs = inputs.as_array().cloned().unwrap_or_default();
        Contract::from_value(document("churn", "a test", &inputs)?).ok()
    }

    #[test]
    fn columns_keep_name_type_and_whether_they_must_be_there() {
        let found = contract(json!([
            {"type": "double", "name": "age", "required": true},
            {"type": "string", "name": "job", "required": true},
            {"type": "long", "name": "visits", "required": false},
        ]))
        .unwrap();
        let fields: Vec<_> =
            found.fields().iter().map(|f| (&*f.name, f.required, f.nullable)).collect();
        assert_eq!(fields, [("age", true, true), ("job", true, false), ("visits", false, true)]);
    }

    #[test]
    fn tensors_become_columns() {
        let tall = json!([{"type": "tensor", "name": "age",
            "tensor-spec": {"dtype": "float32", "shape": [-1, 1]}}]);
        assert_eq!(contract(tall).unwrap().field_names().collect::<Vec<_>>(), ["age"]);
        let wide = json!([{"type": "tensor", "name": "x",
            "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}]);
        let names = contract(wide).unwrap();
        assert_eq!(names.field_names().collect::<Vec<_>>(), ["x_0", "x_1", "x_2"]);
        for unnamed in [
            json!([{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, -1]}}]),
            json!([{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3, 3]}}]),
            json!([{"type": "binary", "name": "image"}]),
            json!([]),
        ] {
            assert!(contract(unnamed.clone()).is_none(), "{unnamed}");
        }
    }
}
