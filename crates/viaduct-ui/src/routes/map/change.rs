//! Changes of runs, experiments and models as words.

use serde_json::{Map, Value};
use viaduct_app::mlflow::ChangeRow;

use crate::view::{Change, Changed};

/// Longest value that a line of the history shows.
const SHOWN: usize = 160;

/// One change.
pub(in crate::routes) fn change(row: &ChangeRow) -> Change {
    let said: Value = serde_json::from_str(&row.change_json).unwrap_or_default();
    let mut changed = Vec::new();
    collect("", &said, &mut changed);
    Change { at: row.at, actor: row.actor_name.clone(), verb: verb(&row.verb).to_owned(), changed }
}

fn verb(word: &str) -> &str {
    match word {
        "created" => "created it",
        "updated" | "update_registered_model" => "changed it",
        "deleted" | "delete_experiment" | "delete_logged_model" => "deleted it",
        "restored" | "restore_experiment" => "restored it",
        "collected" => "collected it: its metrics and artifacts are gone",
        "logged" => "logged params or tags",
        "tag.deleted" | "delete_experiment_tag" => "deleted a tag",
        "set_experiment_tag" | "set_registered_model_tag" | "set_logged_model_tags" => "set a tag",
        "delete_registered_model_tag" => "deleted a tag",
        "renamed" | "rename_experiment" => "renamed it",
        "alias.set" => "pointed an alias",
        "alias.deleted" => "deleted an alias",
        "model_version.created" => "registered a version",
        "model_version.moved" => "moved a version to another stage",
        "model_version.described" => "described a version",
        "model_version.tagged" => "changed a tag of a version",
        "model_version.deleted" => "deleted a version",
        "finalize_logged_model" => "finished it",
        other => other,
    }
}

/// Goes down to what has a value, and names it by the way there.
fn collect(way: &str, value: &Value, changed: &mut Vec<Changed>) {
    match value {
        Value::Object(fields) if is_pair(fields) => pair(way, fields, changed),
        Value::Object(fields) => {
            for (key, value) in fields {
                // Why these leave no trace in the way: they say what the lines below say anyway.
                let is_frame = matches!(key.as_str(), "change" | "params" | "tags");
                let below = match (way, is_frame) {
                    (way, true) => way.to_owned(),
                    ("", false) => key.clone(),
                    (way, false) => format!("{way} {key}"),
                };
                collect(&below, value, changed);
            }
        }
        Value::Null => {}
        Value::Array(items) if items.is_empty() => {}
        other => {
            changed.push(Changed { what: way.to_owned(), before: None, after: text(other) });
        }
    }
}

fn is_pair(fields: &Map<String, Value>) -> bool {
    !fields.is_empty() && fields.keys().all(|key| key == "before" || key == "after")
}

fn pair(way: &str, fields: &Map<String, Value>, changed: &mut Vec<Changed>) {
    let (before, after) = (fields.get("before"), fields.get("after"));
    if let (Some(Value::Object(old)), Some(Value::Object(new))) = (before, after) {
        for (key, now) in new.iter().filter(|(key, now)| old.get(*key) != Some(*now)) {
            let what = if way.is_empty() { key.clone() } else { format!("{way} {key}") };
            changed.push(Changed { what, before: old.get(key).and_then(text), after: text(now) });
        }
        return;
    }
    let (before, after) = (before.and_then(text), after.and_then(text));
    if before != after {
        changed.push(Changed { what: way.to_owned(), before, after });
    }
}

fn text(value: &Value) -> Option<String> {
    let whole = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    let mut shown: String = whole.chars().take(SHOWN).collect();
    if shown.len() < whole.len() {
        shown.push('…');
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(value: &Value) -> Vec<(String, Option<String>, Option<String>)> {
        let mut changed = Vec::new();
        collect("", value, &mut changed);
        changed.into_iter().map(|c| (c.what, c.before, c.after)).collect()
    }

    #[test]
    fn every_shape_that_is_written_down_reads() {
        let some = |text: &str| Some(text.to_owned());
        let tags =
            json!({ "params": null, "tags": { "team": { "before": null, "after": "risk" } } });
        assert_eq!(lines(&tags), [("team".to_owned(), None, some("risk"))]);
        let run = json!({ "before": { "status": "RUNNING", "name": "a" },
            "after": { "status": "FINISHED", "name": "a" } });
        assert_eq!(lines(&run), [("status".to_owned(), some("RUNNING"), some("FINISHED"))]);
        let version = json!({ "version": 3, "change": { "stage": { "before": "None", "after": "Staging" } } });
        assert_eq!(lines(&version).len(), 2);
        assert_eq!(lines(&json!({})), []);
        assert_eq!(
            lines(&json!({ "alias": { "before": 1 } })),
            [("alias".to_owned(), some("1"), None)]
        );
        let long = json!({ "note": { "before": null, "after": "x".repeat(500) } });
        assert_eq!(lines(&long)[0].2.as_ref().map(|t| t.chars().count()), Some(SHOWN + 1));
    }
}
