//! Reads an ODCS v3.0 or v3.1 document into the field table; all that is not read stays in the
//! document untouched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};
use viaduct_base::{FieldError, nearest};

use super::reader::Reader;
use super::{Availability, Field, LogicalType, OnViolation, Precision};

/// Keys that a mistyped key is compared with. Other keys are the document's own business.
const ROOT_KEYS: &[&str] = &[
    "apiVersion",
    "authoritativeDefinitions",
    "contractCreatedTs",
    "customProperties",
    "dataProduct",
    "description",
    "domain",
    "id",
    "kind",
    "name",
    "price",
    "roles",
    "schema",
    "servers",
    "slaDefaultElement",
    "slaProperties",
    "status",
    "support",
    "tags",
    "team",
    "tenant",
    "version",
];
const OBJECT_KEYS: &[&str] = &[
    "authoritativeDefinitions",
    "businessName",
    "customProperties",
    "dataGranularityDescription",
    "description",
    "id",
    "logicalType",
    "name",
    "physicalName",
    "physicalType",
    "properties",
    "quality",
    "relationships",
    "tags",
];
const PROPERTY_KEYS: &[&str] = &[
    "authoritativeDefinitions",
    "businessName",
    "classification",
    "criticalDataElement",
    "customProperties",
    "description",
    "encryptedName",
    "examples",
    "id",
    "items",
    "logicalType",
    "logicalTypeOptions",
    "name",
    "partitionKeyPosition",
    "partitioned",
    "physicalName",
    "physicalType",
    "primaryKey",
    "primaryKeyPosition",
    "properties",
    "quality",
    "relationships",
    "required",
    "tags",
    "transformDescription",
    "transformLogic",
    "transformSourceObjects",
    "unique",
];
const LOGICAL_TYPES: &[(&str, LogicalType)] = &[
    ("string", LogicalType::String),
    ("number", LogicalType::Number),
    ("integer", LogicalType::Integer),
    ("boolean", LogicalType::Boolean),
    ("date", LogicalType::Date),
    ("timestamp", LogicalType::Timestamp),
    ("time", LogicalType::Time),
    ("object", LogicalType::Object),
    ("array", LogicalType::Array),
];

pub(super) struct Parts {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) object: String,
    pub(super) purposes: Vec<String>,
    pub(super) fields: Vec<Field>,
}

pub(super) fn read(document: &Value) -> Result<Parts, Vec<FieldError>> {
    let mut reader = Reader { errors: Vec::new() };
    let Some(root) = document.as_object() else {
        reader.say(
            "",
            "a contract is an ODCS document: a mapping that begins with `apiVersion: v3.1.0`",
        );
        return Err(reader.errors);
    };
    reader.misspelt(root, "", ROOT_KEYS);
    let version_of_odcs = reader.needed(root, "", "apiVersion");
    let readable = version_of_odcs.starts_with("v3.0.") || version_of_odcs.starts_with("v3.1.");
    if !version_of_odcs.is_empty() && !readable {
        reader.say(
            "/apiVersion",
            format!("`{version_of_odcs}` is not read: use `v3.1.0` (`v3.0.x` works too)"),
        );
    }
    let kind = reader.needed(root, "", "kind");
    if !kind.is_empty() && kind != "DataContract" {
        reader.say("/kind", format!("`kind` is `{kind}`; a contract's is `DataContract`"));
    }
    let id = reader.needed(root, "", "id");
    let version = reader.needed(root, "", "version");
    reader.needed(root, "", "status");
    let own = reader.own(root, "", &["viaduct.purposes", "viaduct.input"]);
    let purposes = own.get("viaduct.purposes").map(|(v, at)| texts(&mut reader, v, at));
    let input = own.get("viaduct.input").and_then(|(value, at)| match value {
        Value::String(name) => Some(name.as_str()),
        _ => {
            reader.say(at.as_str(), "`viaduct.input` must be the name of a schema object");
            None
        }
    });
    let (object, fields) = schema(&mut reader, root, input);
    if !reader.errors.is_empty() {
        return Err(reader.errors);
    }
    Ok(Parts { id, version, object, purposes: purposes.unwrap_or_default(), fields })
}

/// Reads the one schema object that requests follow.
fn schema(
    reader: &mut Reader,
    root: &Map<String, Value>,
    input: Option<&str>,
) -> (String, Vec<Field>) {
    let nothing = (String::new(), Vec::new());
    let before = reader.errors.len();
    let objects = reader.list(root, "", "schema");
    let named = |name: &str| {
        objects.iter().position(|o| o.get("name").and_then(Value::as_str) == Some(name))
    };
    let position = match (objects.len(), input) {
        (0, _) => {
            if reader.errors.len() == before {
                reader.say("", "`schema` is missing: name one object with its `properties`");
            }
            return nothing;
        }
        (_, Some(name)) => match named(name) {
            Some(position) => position,
            None => {
                reader.say(
                    "/customProperties",
                    format!("`viaduct.input` names `{name}`, which is not in `schema`"),
                );
                return nothing;
            }
        },
        (1, None) => 0,
        (count, None) => {
            reader.say(
                "/schema",
                format!(
                    "`schema` has {count} objects: say which one requests follow by \
                 `customProperties: [{{property: viaduct.input, value: <name>}}]`"
                ),
            );
            return nothing;
        }
    };
    let at = format!("/schema/{position}");
    let Some(object) = objects[position].as_object() else {
        reader.say(at, "a schema object is a mapping with `name` and `properties`");
        return nothing;
    };
    reader.misspelt(object, &at, OBJECT_KEYS);
    let name = reader.needed(object, &at, "name");
    let before = reader.errors.len();
    let properties = reader.list(object, &at, "properties");
    if properties.is_empty() && reader.errors.len() == before {
        reader.say(at.as_str(), "`properties` is missing: list the fields of a request");
    }
    let (mut fields, mut seen) = (Vec::with_capacity(properties.len()), BTreeSet::new());
    for (n, property) in properties.iter().enumerate() {
        let here = format!("{at}/properties/{n}");
        if let Some(field) = field(reader, property, &here) {
            if !seen.insert(Arc::clone(&field.name)) {
                reader
                    .say(format!("{here}/name"), format!("the field `{}` comes twice", field.name));
            }
            fields.push(field);
        }
    }
    (name, fields)
}

fn field(reader: &mut Reader, property: &Value, at: &str) -> Option<Field> {
    let Some(map) = property.as_object() else {
        reader.say(at, "a field is a mapping with `name` and `logicalType`");
        return None;
    };
    reader.misspelt(map, at, PROPERTY_KEYS);
    let name = reader.needed(map, at, "name");
    let physical_type = reader.text(map, at, "physicalType");
    let logical_type = logical_type(reader, map, at, &name, physical_type.as_deref());
    let required = reader.flag(map, at, "required").unwrap_or(false);
    let classification = reader.text(map, at, "classification").filter(|c| !c.trim().is_empty());
    let known = [
        "viaduct.available",
        "viaduct.default",
        "viaduct.nullable",
        "viaduct.on_violation",
        "viaduct.values",
    ];
    let own = reader.own(map, at, &known);
    let available = own.get("viaduct.available").and_then(|(v, at)| available(reader, v, at));
    let nullable = match own.get("viaduct.nullable") {
        Some((Value::Bool(flag), _)) => *flag,
        Some((_, at)) => {
            reader.say(at.as_str(), "`viaduct.nullable` must be `true` or `false`");
            false
        }
        None => !required,
    };
    let values = match own.get("viaduct.values") {
        Some((Value::Array(values), _)) => values.clone(),
        Some((_, at)) => {
            reader.say(at.as_str(), "`viaduct.values` must be a list");
            Vec::new()
        }
        None => valid_values(map),
    };
    let (min, max) = bounds(reader, map, at);
    let logical_type = logical_type?;
    check_values(reader, &values, logical_type, at);
    let options = map.get("logicalTypeOptions");
    let mut field = Field {
        precision: precision(logical_type, physical_type.as_deref()),
        has_format: options.and_then(|o| o.get("format")).is_some_and(Value::is_string),
        texts: values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        name: name.into(),
        logical_type,
        physical_type,
        required,
        nullable,
        classification,
        available,
        values,
        min,
        max,
        on_violation: None,
        default: None,
    };
    policy(reader, &mut field, &own, at);
    Some(field)
}

/// What happens when the field is broken, and what stands in.
fn policy(
    reader: &mut Reader,
    field: &mut Field,
    own: &BTreeMap<&str, (&Value, String)>,
    at: &str,
) {
    if let Some((value, here)) = own.get("viaduct.on_violation") {
        field.on_violation = match value.as_str() {
            Some("refuse") => Some(OnViolation::Refuse),
            Some("default") => Some(OnViolation::Default),
            Some("count") => Some(OnViolation::Count),
            _ => {
                let detail = format!(
                    "`viaduct.on_violation` is {value}; use `refuse`, `default` or `count`"
                );
                reader.say(here.as_str(), detail);
                None
            }
        };
    }
    if let Some((value, here)) = own.get("viaduct.default") {
        match super::row::default_cell(field, value) {
            Ok(cell) => field.default = Some(cell),
            Err(detail) => reader.say(here.as_str(), format!("`viaduct.default`: {detail}")),
        }
    } else if field.on_violation == Some(OnViolation::Default) {
        let detail = format!(
            "`{}` says `viaduct.on_violation: default` and has no default: add \
             `{{property: viaduct.default, value: …}}`",
            field.name
        );
        reader.say(at, detail);
    }
}

fn logical_type(
    reader: &mut Reader,
    map: &Map<String, Value>,
    at: &str,
    name: &str,
    physical: Option<&str>,
) -> Option<LogicalType> {
    let before = reader.errors.len();
    let Some(word) = reader.text(map, at, "logicalType") else {
        let implied = physical.and_then(implied);
        if implied.is_none() && reader.errors.len() == before {
            reader.say(
                at,
                format!(
                    "`logicalType` of `{name}` is missing: use `string`, `number`, `integer`, \
                 `boolean`, `date`, `timestamp` or `time`"
                ),
            );
        }
        return implied;
    };
    let known = LOGICAL_TYPES.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind);
    if known.is_none() {
        let words = LOGICAL_TYPES.iter().map(|(word, _)| *word);
        let meant = implied(&word).and_then(|kind| LOGICAL_TYPES.iter().find(|(_, k)| *k == kind));
        let meant = meant.map(|(word, _)| *word).or_else(|| nearest(&word, words.clone()));
        let detail = match meant {
            Some(meant) => format!("`{word}` is not a logical type: did you mean `{meant}`?"),
            None => {
                let all = words.collect::<Vec<_>>().join("`, `");
                format!("`{word}` is not a logical type: use `{all}`")
            }
        };
        reader.say(format!("{at}/logicalType"), detail);
    }
    known
}

/// The logical type of a common physical one, for documents that name only that.
fn implied(physical: &str) -> Option<LogicalType> {
    let word = physical.to_ascii_lowercase();
    let word = word.split('(').next().unwrap_or_default().trim();
    match word {
        "varchar" | "char" | "text" | "string" | "object" | "category" => Some(LogicalType::String),
        "float" | "float32" | "float64" | "float4" | "float8" | "double" | "real" | "decimal"
        | "numeric" | "number" => Some(LogicalType::Number),
        "int" | "integer" | "int8" | "int16" | "int32" | "int64" | "int4" | "bigint"
        | "smallint" | "tinyint" | "long" => Some(LogicalType::Integer),
        "bool" | "boolean" => Some(LogicalType::Boolean),
        "date" => Some(LogicalType::Date),
        "timestamp" | "timestamptz" | "datetime" => Some(LogicalType::Timestamp),
        "time" => Some(LogicalType::Time),
        _ => None,
    }
}

/// The width to check. Why float32 is the default: that is what a model's tensor holds.
fn precision(kind: LogicalType, physical: Option<&str>) -> Precision {
    let word = physical.unwrap_or_default().to_ascii_lowercase();
    let word = word.split('(').next().unwrap_or_default().trim();
    match (kind, word) {
        (LogicalType::Integer, "int32" | "int4") => {
            Precision::Int(i32::MIN.into(), i32::MAX.into())
        }
        (LogicalType::Integer, "int16" | "smallint") => {
            Precision::Int(i16::MIN.into(), i16::MAX.into())
        }
        (LogicalType::Integer, "int8" | "tinyint") => {
            Precision::Int(i8::MIN.into(), i8::MAX.into())
        }
        (_, "double" | "float64" | "float8" | "decimal" | "numeric" | "double precision") => {
            Precision::Float64
        }
        _ => Precision::Float32,
    }
}

fn available(reader: &mut Reader, value: &Value, at: &str) -> Option<Availability> {
    match value.as_str() {
        Some("at_decision") => Some(Availability::AtDecision),
        Some("after_decision") => Some(Availability::AfterDecision),
        _ => {
            reader.say(
                at,
                format!("`viaduct.available` is {value}; use `at_decision` or `after_decision`"),
            );
            None
        }
    }
}

/// The allowed values of a `validValues` rule: v3.0 has them on the rule, v3.1 in `arguments`.
fn valid_values(map: &Map<String, Value>) -> Vec<Value> {
    let rules = map.get("quality").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    rules
        .iter()
        .find_map(|rule| {
            let direct = rule.get("validValues");
            direct.or_else(|| rule.get("arguments")?.get("validValues"))?.as_array().cloned()
        })
        .unwrap_or_default()
}

/// Declared values must be of the field's type; a YAML `no` without quotes is caught here.
fn check_values(reader: &mut Reader, values: &[Value], kind: LogicalType, at: &str) {
    for value in values {
        let fits = match kind {
            LogicalType::Number | LogicalType::Integer => value.is_number(),
            LogicalType::Boolean => value.is_boolean(),
            _ => value.is_string(),
        };
        if !fits {
            reader.say(
                at,
                format!(
                    "the declared value {value} does not fit the field's `logicalType`: quote \
                 texts, leave numbers bare"
                ),
            );
            return;
        }
    }
}

fn bounds(reader: &mut Reader, map: &Map<String, Value>, at: &str) -> (Option<f64>, Option<f64>) {
    let Some(options) = map.get("logicalTypeOptions").and_then(Value::as_object) else {
        return (None, None);
    };
    let at = format!("{at}/logicalTypeOptions");
    let mut number = |key: &str, exclusive: &str| match options.get(key).or(options.get(exclusive))
    {
        // Why text passes: dates have text bounds, which nobody checks here.
        None | Some(Value::Null | Value::String(_) | Value::Bool(_)) => None,
        Some(value) => {
            let found = value.as_f64();
            if found.is_none() {
                reader.say(format!("{at}/{key}"), format!("`{key}` must be a number"));
            }
            found
        }
    };
    let (min, max) = (number("minimum", "exclusiveMinimum"), number("maximum", "exclusiveMaximum"));
    if let (Some(low), Some(high)) = (min, max)
        && low > high
    {
        reader.say(at, format!("`minimum` {low} is above `maximum` {high}"));
    }
    (min, max)
}

fn texts(reader: &mut Reader, value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => {
            reader.say(at, "`viaduct.purposes` must be a text or a list of texts");
            Vec::new()
        }
    }
}
