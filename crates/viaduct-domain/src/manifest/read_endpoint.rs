//! Reads an endpoint: `spec.endpoint` of a project, and a file of `kind: Endpoint`.

use serde_json::Value;
use viaduct_base::{FieldError, Name, Span};

use super::located::Located;
use super::read::{API_VERSION, contract, fixed, metadata, span, whole};
use super::reader::{Reader, Section};
use super::serving::{EndpointFile, Fallback, Limits, Retention};
use super::{BusinessAsUsual, EndpointSpec, ModelRef, four_weeks};
use crate::rollout;

/// The keys of an endpoint beside its name.
const KEYS: &[&str] = &[
    "model",
    "entity",
    "keys",
    "business_as_usual",
    "shadow_margin",
    "shadow_duration",
    "fallback",
    "limits",
    "retention",
    "guards",
    "rollout",
    "trusted_override",
    "on_violation",
];

/// `spec.endpoint` of a project file.
pub(super) fn of_project<'a>(reader: &mut Reader<'a>, spec: &Section<'a>) -> Option<EndpointSpec> {
    let known: Vec<&str> = std::iter::once("name").chain(KEYS.iter().copied()).collect();
    let at = reader.child(spec, "endpoint", &known)?;
    let name = reader.needed(&at, "name", "the endpoint's name", |r| r.parsed(&at, "name"));
    endpoint(reader, &at, name)
}

/// A whole file of `kind: Endpoint`; a second document is the contract when `file` names one.
pub(super) fn file(documents: &[Located]) -> Result<EndpointFile, Vec<FieldError>> {
    let Some(first) = documents.first() else { return Err(Vec::new()) };
    let mut reader = Reader::new(first);
    let mut below = Vec::new();
    let root = ["apiVersion", "kind", "metadata", "spec"];
    let found = (|| {
        let root = reader.section(&first.value, "", "the file", &root)?;
        fixed(&mut reader, &root, "apiVersion", API_VERSION);
        fixed(&mut reader, &root, "kind", "Endpoint");
        let name = metadata(&mut reader, &root).map(|(name, _)| name);
        let known: Vec<&str> = KEYS.iter().copied().chain(["contract"]).collect();
        let hint = "what it serves, as in `{model: churn@champion}`";
        let spec =
            reader.needed(&root, "spec", hint, |reader| reader.child(&root, "spec", &known))?;
        let endpoint = endpoint(&mut reader, &spec, name);
        let (contract, _) = contract(&mut reader, &spec, documents.get(1), &mut below);
        Some(EndpointFile { spec: endpoint?, contract })
    })();
    match found {
        Some(found) if reader.is_clean() && below.is_empty() => Ok(found),
        _ => Err([reader.finish(), below].concat()),
    }
}

fn endpoint<'a>(
    reader: &mut Reader<'a>,
    at: &Section<'a>,
    name: Option<Name>,
) -> Option<EndpointSpec> {
    let model: Option<ModelRef> =
        reader.needed(at, "model", "a registered model such as `term-deposit@champion`", |r| {
            r.parsed(at, "model")
        });
    let entity = reader.text(at, "entity");
    let keys = reader.texts(at, "keys").into_iter().map(|(key, _)| key).collect();
    let business_as_usual = business_as_usual(reader, at);
    let margin = match at.get("shadow_margin") {
        None => Some(0.0),
        Some(_) => reader.number(at, "shadow_margin", "a number of at least 0", |n| n >= 0.0),
    };
    let duration = match at.get("shadow_duration") {
        None => Some(four_weeks()),
        Some(_) => span(reader, at, "shadow_duration", Span::days(1)),
    };
    let fallback = fallback(reader, at);
    let limits = limits(reader, at);
    let retention = retention(reader, at);
    let guards = adopted(reader, at, "guards", rollout::conditions).unwrap_or_default();
    let rollout = adopted(reader, at, "rollout", rollout::plan);
    let trusted_override = flag(reader, at, "trusted_override");
    let words = [("refuse", false), ("fallback", true)];
    let on_violation = match at.get("on_violation") {
        None => Some(false),
        Some(_) => reader.word(at, "on_violation", &words),
    };
    // The version before is not asked about a row that the contract stopped.
    let asks_nothing = matches!(fallback, Fallback::Constant { .. }) || business_as_usual.is_some();
    if on_violation == Some(true) && (fallback.is_error() || !asks_nothing) {
        reader.say(
            &at.pointer("on_violation"),
            "`on_violation: fallback` needs a `fallback` that asks no model: a constant, or one with \
             `business_as_usual` beside it",
        );
    }
    Some(EndpointSpec {
        name: name?,
        model: model?,
        entity,
        keys,
        business_as_usual,
        shadow_margin: margin?,
        shadow_duration: duration?,
        fallback,
        limits,
        retention,
        guards,
        rollout,
        trusted_override,
        fallback_on_violation: on_violation?,
    })
}

/// Something that reads itself out of a plain value.
fn adopted<'a, T>(
    reader: &mut Reader<'a>,
    at: &Section<'a>,
    key: &str,
    read: fn(&Value) -> Result<T, Vec<FieldError>>,
) -> Option<T> {
    match read(at.get(key)?) {
        Ok(found) => Some(found),
        Err(errors) => {
            reader.adopt(&at.pointer(key), errors);
            None
        }
    }
}

fn flag<'a>(reader: &mut Reader<'a>, at: &Section<'a>, key: &str) -> bool {
    match at.get(key) {
        None => false,
        Some(Value::Bool(flag)) => *flag,
        Some(_) => {
            reader.say(&at.pointer(key), format!("`{key}` must be `true` or `false`"));
            false
        }
    }
}

fn fallback<'a>(reader: &mut Reader<'a>, at: &Section<'a>) -> Fallback {
    const WORDS: [(&str, u8); 3] = [("error", 0), ("business_as_usual", 1), ("previous", 2)];
    match at.get("fallback") {
        None => Fallback::Error,
        Some(Value::String(_)) => match reader.word(at, "fallback", &WORDS) {
            Some(1) => Fallback::BusinessAsUsual,
            Some(2) => Fallback::Previous,
            _ => Fallback::Error,
        },
        Some(_) => {
            let Some(constant) = reader.child(at, "fallback", &["action", "output"]) else {
                return Fallback::Error;
            };
            let action = reader.text(&constant, "action");
            let output = output(reader, &constant);
            if action.is_none() && output.is_none() {
                reader.say(&constant.at, "`fallback` needs an `action`, an `output`, or both");
            }
            Fallback::Constant { output, action }
        }
    }
}

fn limits<'a>(reader: &mut Reader<'a>, at: &Section<'a>) -> Limits {
    let Some(at) = reader.child(at, "limits", &["queue", "deadline_ms", "rows_max"]) else {
        return Limits::default();
    };
    let mut number = |key: &str| whole(reader, &at, key, 1.0).map(|number| number as u32);
    Limits {
        queue: number("queue"),
        deadline_ms: number("deadline_ms"),
        rows_max: number("rows_max"),
    }
}

fn retention<'a>(reader: &mut Reader<'a>, at: &Section<'a>) -> Retention {
    let words =
        [("full", Retention::Full), ("hashed", Retention::Hashed), ("none", Retention::None)];
    match at.get("retention") {
        None => Retention::Full,
        Some(_) => reader.word(at, "retention", &words).unwrap_or_default(),
    }
}

fn business_as_usual<'a>(
    reader: &mut Reader<'a>,
    endpoint: &Section<'a>,
) -> Option<BusinessAsUsual> {
    let at = reader.child(endpoint, "business_as_usual", &["action", "output"])?;
    let action = reader.needed_text(&at, "action", "what is done without the model");
    let output = output(reader, &at);
    Some(BusinessAsUsual { action: action?, output })
}

fn output<'a>(reader: &mut Reader<'a>, at: &Section<'a>) -> Option<crate::output::ModelOutput> {
    match serde_json::from_value(at.get("output")?.clone()) {
        Ok(output) => Some(output),
        Err(error) => {
            reader.say(
                &at.pointer("output"),
                format!(
                    "`output` must look like a model's output, such as \
                 `{{label: yes, probability: 1}}`: \
                 {error}"
                ),
            );
            None
        }
    }
}
