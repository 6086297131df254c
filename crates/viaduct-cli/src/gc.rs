//! Taking away for good what was deleted long ago: told first, done with `--yes`.

use serde_json::{Value, json};

use crate::args::GcWhat;
use crate::printer::Paint;
use crate::{Failure, Session, table};

pub(crate) fn gc(session: &mut Session<'_>, what: &GcWhat) -> Result<(), Failure> {
    match what {
        GcWhat::Mlflow { older_than, yes } => {
            let body = body(*yes, &[("older_than", older_than)]);
            let answer = session.client.post("/api/v1/gc/mlflow", body)?;
            session.printer.answer(&answer, report)
        }
        GcWhat::Decisions { endpoint, rows_older_than, inputs_older_than, yes } => {
            let said = [
                ("endpoint", endpoint),
                ("rows_older_than", rows_older_than),
                ("inputs_older_than", inputs_older_than),
            ];
            let answer = session.client.post("/api/v1/gc/decisions", body(*yes, &said))?;
            session.printer.answer(&answer, expired)
        }
    }
}

fn body(yes: bool, said: &[(&str, &Option<String>)]) -> Value {
    let mut body = json!({ "dry_run": !yes });
    for (name, value) in said {
        if let Some(value) = value {
            body[*name] = json!(value);
        }
    }
    body
}

/// By endpoint what goes, and the sentence that says whether it went.
fn expired(answer: &Value, paint: Paint) -> String {
    let endpoints = answer.get("endpoints").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_dry = answer.get("dry_run").and_then(Value::as_bool) != Some(false);
    let sum =
        |name: &str| -> u64 { endpoints.iter().filter_map(|one| one.get(name)?.as_u64()).sum() };
    let rows = sum("decisions") + sum("refused") + sum("beside");
    let inputs = sum("inputs");
    let mut text = Vec::new();
    if !endpoints.is_empty() {
        let columns =
            ["endpoint", "decisions", "refused", "beside", "inputs", "first", "last", "kept"];
        text.push(table::list(&json!({ "items": endpoints }), &columns, "", paint));
    }
    text.push(if is_dry {
        format!(
            "{rows} rows and the inputs of {inputs} more would go; nothing was touched: add \
             `--yes` to take them away"
        )
    } else {
        let segments = answer.get("segments").and_then(Value::as_u64).unwrap_or_default();
        format!("{rows} rows and the inputs of {inputs} more went; {segments} segments were written again")
    });
    text.join("\n")
}

/// What goes and what stays, and the sentence that says whether it went.
fn report(answer: &Value, paint: Paint) -> String {
    let part = |name: &str| answer.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    let (collected, kept, left) = (part("collected"), part("kept"), part("left"));
    let is_dry = answer.get("dry_run").and_then(Value::as_bool) != Some(false);
    let mut text = Vec::new();
    if !collected.is_empty() {
        let rows = json!({ "items": collected });
        text.push(table::list(&rows, &["kind", "id", "name", "deleted_at"], "", paint));
    }
    if !kept.is_empty() {
        let rows = json!({ "items": kept });
        text.push(table::list(&rows, &["kind", "id", "name", "why"], "", paint));
    }
    text.extend(left.iter().filter_map(Value::as_str).map(|one| format!("left in place: {one}")));
    text.push(if is_dry {
        format!(
            "{} would go, {} stay; nothing was touched: add `--yes` to take them away",
            collected.len(),
            kept.len()
        )
    } else {
        format!(
            "{} went, {} stay; {} stored objects of {} bytes were freed",
            collected.len(),
            kept.len(),
            number("objects"),
            number("bytes")
        )
    });
    text.join("\n")
}
