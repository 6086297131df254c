//! What a model answered and what it was asked: [`ModelOutput`], [`Cell`] and [`TypedRow`].
//!
//! Knows nothing of tensors or wire formats; the runtime fills an output, the contract makes a row.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use viaduct_base::FieldError;

/// One row's answer: `label`, `probability` and `probabilities` for a classifier, `value` for a
/// regressor, named outputs otherwise. What is absent is left out of the JSON.
///
/// A number that is not finite is written as `null` and read back as NaN, so a logged row of a
/// broken model can always be read again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelOutput {
    /// The predicted class, as trained (text, number or boolean).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Value>,
    /// The probability of the positive class of a binary classifier.
    #[serde(default, deserialize_with = "number_or_nan", skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// The probability of each label.
    #[serde(
        default,
        deserialize_with = "numbers_or_nan",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub probabilities: BTreeMap<String, f64>,
    /// The predicted amount of a regressor.
    #[serde(default, deserialize_with = "number_or_nan", skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Outputs of any other model, by name.
    #[serde(flatten)]
    pub named: BTreeMap<String, Value>,
}

impl ModelOutput {
    /// A classifier's answer.
    pub fn classifier(
        label: Value,
        probability: f64,
        probabilities: BTreeMap<String, f64>,
    ) -> Self {
        Self {
            label: Some(label),
            probability: Some(probability),
            probabilities,
            ..Self::default()
        }
    }

    /// A regressor's answer.
    pub fn regressor(value: f64) -> Self {
        Self { value: Some(value), ..Self::default() }
    }

    /// The number behind `field`: `probability`, `value`, `label` when it is a number,
    /// `probabilities.<label>` or `output.<name>`. `None` when the output has no such number.
    pub fn number(&self, field: &str) -> Option<f64> {
        match field {
            "probability" => self.probability,
            "value" => self.value,
            "label" => self.label.as_ref().and_then(scalar),
            _ => match field.split_once('.')? {
                ("probabilities", label) => self.probabilities.get(label).copied(),
                ("output", name) => self.named.get(name).and_then(scalar),
                _ => None,
            },
        }
    }

    /// The text behind `label` or `output.<name>`; numbers and booleans as they print.
    pub fn text(&self, field: &str) -> Option<String> {
        let value = match field {
            "label" => self.label.as_ref()?,
            _ => self.named.get(field.strip_prefix("output.")?)?,
        };
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
            _ => None,
        }
    }

    /// Whether any number in the output is NaN or infinite.
    pub fn has_non_finite(&self) -> bool {
        let one = |n: &f64| !n.is_finite();
        self.probability.iter().any(one)
            || self.value.iter().any(one)
            || self.probabilities.values().any(one)
    }
}

/// A number, or the only number of a list of one (the usual shape of a tensor row).
fn scalar(value: &Value) -> Option<f64> {
    match value {
        Value::Array(items) if items.len() == 1 => scalar(&items[0]),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Null => Some(f64::NAN),
        other => other.as_f64(),
    }
}

fn number_or_nan<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
    Ok(Some(Option::<f64>::deserialize(d)?.unwrap_or(f64::NAN)))
}

fn numbers_or_nan<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let raw = BTreeMap::<String, Option<f64>>::deserialize(d)?;
    Ok(raw.into_iter().map(|(label, p)| (label, p.unwrap_or(f64::NAN))).collect())
}

/// One typed value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A number of a `number` field.
    F64(f64),
    /// A number of an `integer` field.
    I64(i64),
    /// Text, a date or a time; objects and lists as their JSON text.
    Text(String),
    /// A boolean.
    Bool(bool),
    /// No value. In a float column it reaches the model as NaN.
    Null,
}

impl Cell {
    /// The value as a number: NaN for null, 0 and 1 for booleans, `None` for text.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Cell::F64(number) => Some(*number),
            Cell::I64(number) => Some(*number as f64),
            Cell::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Cell::Null => Some(f64::NAN),
            Cell::Text(_) => None,
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::F64(number) => s.serialize_f64(*number),
            Cell::I64(number) => s.serialize_i64(*number),
            Cell::Text(text) => s.serialize_str(text),
            Cell::Bool(flag) => s.serialize_bool(*flag),
            Cell::Null => s.serialize_none(),
        }
    }
}

/// A request row that met the contract: one cell a contract field, in the contract's order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TypedRow {
    /// Field name and value, in field order. Names are shared with the contract, not copied.
    pub cells: Vec<(Arc<str>, Cell)>,
    /// Keys of the row that the contract does not know: ignored, and reported by this list.
    pub ignored: Vec<String>,
    /// Values outside the declared values or range, or whatever else the field's policy accepts:
    /// worth counting.
    pub outside: Vec<FieldError>,
    /// Values that broke the contract and gave way to the field's default.
    pub defaulted: Vec<FieldError>,
}

impl TypedRow {
    /// The cell of a field; a linear search, rows are short.
    pub fn get(&self, name: &str) -> Option<&Cell> {
        self.cells.iter().find(|(field, _)| &**field == name).map(|(_, cell)| cell)
    }

    /// Names and cells in field order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Cell)> {
        self.cells.iter().map(|(name, cell)| (&**name, cell))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn wire_shapes() {
        let probabilities = BTreeMap::from([("no".to_owned(), 0.75), ("yes".to_owned(), 0.25)]);
        let output = ModelOutput::classifier(json!("no"), 0.25, probabilities);
        assert_eq!(
            serde_json::to_value(&output).unwrap(),
            json!({"label": "no", "probability": 0.25, "probabilities": {"no": 0.75, "yes": 0.25}})
        );
        assert_eq!(
            serde_json::to_value(ModelOutput::regressor(2.5)).unwrap(),
            json!({"value": 2.5})
        );
        let named: ModelOutput = serde_json::from_value(json!({"embedding": [1.0, 2.0]})).unwrap();
        assert_eq!(named.named.len(), 1);
        assert_eq!(serde_json::to_value(&named).unwrap(), json!({"embedding": [1.0, 2.0]}));
    }

    #[test]
    fn a_broken_number_survives_the_log() {
        let output = ModelOutput {
            probability: Some(f64::NAN),
            probabilities: BTreeMap::from([("yes".to_owned(), f64::INFINITY)]),
            ..ModelOutput::default()
        };
        assert!(output.has_non_finite());
        let text = serde_json::to_string(&output).unwrap();
        let back: ModelOutput = serde_json::from_str(&text).unwrap();
        assert!(back.probability.unwrap().is_nan() && back.probabilities["yes"].is_nan());
        assert_eq!(back.value, None);
    }

    #[test]
    fn numbers_by_field() {
        let output: ModelOutput = serde_json::from_value(
            json!({"label": 1, "probabilities": {"0": 0.4, "1": 0.6}, "score": [3.5], "kind": "b"}),
        )
        .unwrap();
        assert_eq!(output.number("label"), Some(1.0));
        assert_eq!(output.number("probabilities.1"), Some(0.6));
        assert_eq!(output.number("output.score"), Some(3.5));
        assert_eq!(output.number("output.kind"), None);
        assert_eq!(output.number("probability"), None);
        assert_eq!(output.text("label").as_deref(), Some("1"));
        assert_eq!(output.text("output.kind").as_deref(), Some("b"));
    }
}
