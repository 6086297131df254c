//! What a request said: a JSON object or a query, read field by field.

use serde_json::{Map, Value};

const SEE_DOCS: &str = "See the API docs for more information about request parameters.";

/// A field that does not read, in MLflow's own words: clients' tests compare them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Malformed {
    fn missing(name: &str) -> Self {
        Self(format!("Missing value for required parameter '{name}'. {SEE_DOCS}"))
    }

    fn invalid(name: &str, value: &Value) -> Self {
        let kind = match value {
            Value::Null => "NoneType",
            Value::Bool(_) => "bool",
            Value::Number(n) if n.is_f64() => "float",
            Value::Number(_) => "int",
            Value::String(_) => "str",
            Value::Array(_) => "list",
            Value::Object(_) => "dict",
        };
        Self(format!(
            "Invalid value {value} for parameter '{name}' supplied:  Hint: Value was of type \
             '{kind}'. {SEE_DOCS}"
        ))
    }
}

/// The fields of one object; `null` counts as absent, and unknown ones are never looked at.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// The fields of an object.
    pub fn new(object: &'a Map<String, Value>) -> Self {
        Self(object)
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text.
    ///
    /// # Errors
    /// When it is something else.
    pub fn text(&self, name: &str) -> Result<Option<String>, Malformed> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(Malformed::invalid(name, other)),
        }
    }

    /// A text that must be there and say something.
    ///
    /// # Errors
    /// When it is absent, empty, or something else.
    pub fn required(&self, name: &str) -> Result<String, Malformed> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| Malformed::missing(name))
    }

    /// `run_id`, or its older name `run_uuid`.
    ///
    /// # Errors
    /// When both are absent.
    pub fn run_id(&self) -> Result<String, Malformed> {
        let id = match self.text("run_id")?.filter(|id| !id.is_empty()) {
            None => self.text("run_uuid")?.filter(|id| !id.is_empty()),
            id => id,
        };
        id.ok_or_else(|| Malformed::missing("run_id"))
    }

    /// An int64: a JSON number, or a text of digits as protocol buffers may write it.
    ///
    /// # Errors
    /// When it is no whole number of 64 bits.
    pub fn int(&self, name: &str) -> Result<Option<i64>, Malformed> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let whole = |number: f64| {
            let fits = number.fract() == 0.0 && number.abs() < 9.0e18;
            fits.then_some(number as i64)
        };
        let read = match value {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        read.map(Some).ok_or_else(|| Malformed::invalid(name, value))
    }

    /// An int64 that must be there.
    ///
    /// # Errors
    /// As [`Fields::int`], and when it is absent.
    pub fn required_int(&self, name: &str) -> Result<i64, Malformed> {
        self.int(name)?.ok_or_else(|| Malformed::missing(name))
    }

    /// A double: a number, or `"NaN"`, `"Infinity"`, `"-Infinity"`, or digits as text.
    ///
    /// # Errors
    /// When it is absent or no number.
    pub fn required_double(&self, name: &str) -> Result<f64, Malformed> {
        let value = self.get(name).ok_or_else(|| Malformed::missing(name))?;
        let read = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => match text.as_str() {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                digits => digits.parse().ok().filter(|v: &f64| v.is_finite()),
            },
            _ => None,
        };
        read.ok_or_else(|| Malformed::invalid(name, value))
    }

    /// A boolean; a query says `true` or `false`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Malformed> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(other) => Err(Malformed::invalid(name, other)),
        }
    }

    /// A list of texts; a query with one of them is a list too.
    ///
    /// # Errors
    /// When it is something else.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, Malformed> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        match value {
            Value::String(text) => Ok(vec![text.clone()]),
            Value::Array(items) => items
                .iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text.clone()),
                    _ => Err(Malformed::invalid(name, value)),
                })
                .collect(),
            other => Err(Malformed::invalid(name, other)),
        }
    }

    /// A list of objects.
    ///
    /// # Errors
    /// When it is something else.
    pub fn objects(&self, name: &str) -> Result<Vec<Fields<'a>>, Malformed> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let items = value.as_array().ok_or_else(|| Malformed::invalid(name, value))?;
        let object = |item: &'a Value| item.as_object().map(Fields);
        items.iter().map(|i| object(i).ok_or_else(|| Malformed::invalid(name, value))).collect()
    }

    /// An object.
    ///
    /// # Errors
    /// When it is something else.
    pub fn object(&self, name: &str) -> Result<Option<Fields<'a>>, Malformed> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_object().map(|o| Some(Fields(o))).ok_or_else(|| Malformed::invalid(name, value))
    }
}

/// A query's pairs as fields; a repeated key is a list.
pub fn query_fields(pairs: impl IntoIterator<Item = (String, String)>) -> Map<String, Value> {
    let mut fields = Map::new();
    for (key, value) in pairs {
        let value = Value::String(value);
        match fields.get_mut(&key) {
            None => {
                fields.insert(key, value);
            }
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn numbers_in_every_spelling() {
        let read = object(json!({"a": 5, "b": "5", "c": 5.0, "d": "x", "e": 5.5, "f": null}));
        let fields = Fields::new(&read);
        for name in ["a", "b", "c"] {
            assert_eq!(fields.int(name).unwrap(), Some(5), "{name}");
        }
        assert!(fields.int("d").is_err() && fields.int("e").is_err());
        assert_eq!(fields.int("f").unwrap(), None);
        let read = object(json!({"n": "NaN", "i": "-Infinity", "h": 0.5, "t": "0.5", "x": "inf"}));
        let fields = Fields::new(&read);
        assert!(fields.required_double("n").unwrap().is_nan());
        assert_eq!(fields.required_double("i").unwrap(), f64::NEG_INFINITY);
        assert_eq!(fields.required_double("h").unwrap(), 0.5);
        assert_eq!(fields.required_double("t").unwrap(), 0.5);
        assert!(fields.required_double("x").is_err());
    }

    #[test]
    fn words_that_clients_compare() {
        let read = object(json!({"name": 123}));
        let fields = Fields::new(&read);
        let said = fields.text("name").unwrap_err().to_string();
        assert!(said.starts_with("Invalid value 123 for parameter 'name' supplied"), "{said}");
        let said = fields.required("run_name").unwrap_err().to_string();
        assert!(said.starts_with("Missing value for required parameter 'run_name'."), "{said}");
    }

    #[test]
    fn queries() {
        let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        let read = query_fields([pair("a", "1"), pair("b", "x"), pair("a", "2"), pair("a", "3")]);
        let fields = Fields::new(&read);
        assert_eq!(fields.texts("a").unwrap(), ["1", "2", "3"]);
        assert_eq!(fields.texts("b").unwrap(), ["x"]);
        assert_eq!(fields.texts("c").unwrap(), Vec::<String>::new());
    }
}
