//! Taking away for good what was deleted long ago: told first, done with `--yes`.

use serde_json::{Value, json};

use crate::args::GcWhat;
use crate::printer::Paint;
use crate::{Failure, Session, table};

pub(crate) fn gc(session: &mut Session<'_>, what: &GcWhat) -> Result<(), Failure> {
    let GcWhat::Mlflow { older_than, yes } = what;
    let mut body = json!({ "dry_run": !yes });
    if let Some(span) = older_than {
        body["older_than"] = json!(span);
    }
    let answer = session.client.post("/api/v1/gc/mlflow", body)?;
    session.printer.answer(&answer, report)
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
