//! The audit trail of a project as sentences.

use serde_json::Value;
use viaduct_app::gate::StoredEvaluation;
use viaduct_store::audit::AuditRow;

use super::words;
use crate::path;
use crate::view::{HistoryEntry, HistoryKind};

/// One entry as a sentence.
pub(in crate::routes) fn entry(row: &AuditRow, evaluations: &[StoredEvaluation]) -> HistoryEntry {
    let detail: Value = serde_json::from_str(&row.detail_json).unwrap_or_default();
    let (kind, text) = sentence(row, &detail);
    let hash = detail.get("evaluation_hash").and_then(Value::as_str);
    let signed = evaluations.iter().find(|e| Some(e.hash.as_str()) == hash);
    HistoryEntry {
        at: row.at,
        kind,
        text,
        actor: Some(row.actor_name.clone()).filter(|_| row.actor_kind != "system"),
        href: signed.map(|evaluation| path::evaluation(&evaluation.id.to_string())),
    }
}

fn sentence(row: &AuditRow, detail: &Value) -> (HistoryKind, String) {
    use HistoryKind::{Change, Review, Stage, Trial, Waiver};
    let said = |key: &str| match detail.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let kept = |key: &str| Some(said(key)).filter(|text| !text.is_empty());
    let with = |text: &str, key: &str| match kept(key) {
        Some(more) => format!("{text}: {more}"),
        None => text.to_owned(),
    };
    match row.action.as_str() {
        "project.created" => (Change, "The project was applied for the first time".to_owned()),
        "project.changed" => (Change, changed(detail)),
        "project.shelved" => (Stage, with("Shelved", "note")),
        "project.retired" => (Stage, with("Retired", "note")),
        "project.frozen" => (Stage, with("Frozen", "note")),
        "project.thawed" => (Stage, with("Thawed", "note")),
        "gate.opened" => (Stage, format!("{} opened: {} begins", said("gate"), said("stage"))),
        "review.opened" => (Review, format!("{} was asked for", said("gate"))),
        "review.signed" => (Review, format!("Signed as {}", words(&said("role")))),
        "review.closed" => {
            (Review, format!("{} stayed shut: the evidence had changed", said("gate")))
        }
        "review.withdrawn" => (Review, format!("The review of {} was withdrawn", said("gate"))),
        "review.escalated" => (Review, "The review is overdue and was escalated".to_owned()),
        "trial.registered" => {
            (Trial, format!("The plan of trial `{}` was registered", said("name")))
        }
        "waiver.requested" => (Waiver, format!("A waiver of {} was asked for", said("criterion"))),
        "waiver.approved" => (Waiver, format!("The waiver of {} was approved", said("criterion"))),
        "kpi.history_loaded" => {
            (Change, format!("{} days of history of `{}` were loaded", said("points"), said("kpi")))
        }
        "kpi.baseline_frozen" => (Change, format!("The history of `{}` was frozen", said("kpi"))),
        "endpoint.model_bound" => {
            let text = format!(
                "`{}` version {} stands behind `{}`",
                said("model"),
                said("version"),
                said("endpoint")
            );
            (Change, text)
        }
        "consumer.created" => (Change, format!("`{}` got a key", said("name"))),
        "model.reproduction_asked" => {
            (Change, "A clean rerun of the training was asked for".to_owned())
        }
        other => (Change, words(&other.replace('.', " "))),
    }
}

fn changed(detail: &Value) -> String {
    let paths = detail.get("changed").and_then(Value::as_array);
    let paths: Vec<&str> = paths.into_iter().flatten().filter_map(Value::as_str).collect();
    match paths.as_slice() {
        [] => "The project file changed".to_owned(),
        [one] => format!("The project file changed: `{one}`"),
        [first, rest @ ..] => {
            format!("The project file changed: `{first}` and {} more", rest.len())
        }
    }
}
