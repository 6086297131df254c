//! `viaduct calc`: a case's inputs as JSON in, its figures as JSON out, so that an auditor can
//! recompute any number offline.
//!
//! Families are rows of one table. Nothing is computed here; each family reads typed fields, calls
//! the crate's own functions and names their results.
//!
//! Invariant: an answer is one JSON object without NaN, and no input makes it panic.

use serde_json::{Value, json};

use self::{
    families::FAMILIES,
    input::{Fields, Refusal},
};

mod data;
mod families;
mod input;
mod value;

/// Computes one case of a family; answers one JSON object and never panics.
///
/// Where there is no figure the object has the key `error` (`insufficient_data`, `invalid_input` or
/// `unknown_family`) and a `reason` in words.
pub fn run(family: &str, input: &str) -> String {
    answer(family, input).to_string()
}

fn answer(family: &str, input: &str) -> Value {
    let Some(found) = FAMILIES.iter().find(|row| row.name == family) else {
        return json!({
            "error": "unknown_family",
            "reason": format!("no family is named `{family}`; `viaduct calc --list` names them"),
        });
    };
    let map = match serde_json::from_str(input) {
        Ok(Value::Object(map)) => map,
        Ok(_) => {
            return json!({"error": "invalid_input", "reason": "the input must be a JSON object"});
        }
        Err(error) => {
            let reason = format!("the input is not JSON: {error}");
            return json!({"error": "invalid_input", "reason": reason});
        }
    };
    match (found.run)(&Fields::of(&map)) {
        Ok(value) => value,
        Err(Refusal::Insufficient(insufficient)) => {
            json!({"error": "insufficient_data", "reason": insufficient.to_string()})
        }
        Err(Refusal::Invalid(reason)) => json!({"error": "invalid_input", "reason": reason}),
    }
}

/// Describes the families, one a line: name, fields with their units, source of the formula.
pub fn list() -> String {
    let mut text = String::new();
    for row in FAMILIES {
        text.push_str(row.name);
        text.push('\t');
        text.push_str(row.fields);
        text.push('\t');
        text.push_str(row.source);
        text.push('\n');
    }
    text
}
