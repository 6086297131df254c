//! Endpoints without a project, the kill switch, drills, alerts.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::args::ApplyArgs;
use crate::client::segment;
use crate::printer::Paint;
use crate::{Failure, Session, table};

/// `deploy`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// A registered model, as in `churn@champion` or `churn/3`
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub model: Option<String>,
    /// The endpoint's name; the model's without it
    #[arg(long)]
    pub endpoint: Option<String>,
    /// The row field that names the business entity
    #[arg(long)]
    pub entity: Option<String>,
    /// What is answered when the model cannot: `error`, `business_as_usual` or `previous`
    #[arg(long)]
    pub fallback: Option<String>,
    /// A file of `kind: Endpoint` instead; `-` reads standard input
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// `kill`.
#[derive(Debug, Args)]
pub struct KillArgs {
    /// The endpoint's name
    pub endpoint: String,
    /// Why, in a sentence; it is kept
    #[arg(long)]
    pub reason: String,
}

/// `drill`.
#[derive(Debug, Args)]
pub struct DrillArgs {
    /// What is drilled
    pub kind: DrillWord,
    /// The endpoint's name
    pub endpoint: String,
}

/// The drills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DrillWord {
    /// A request with one column renamed: stopped at the contract, fallback served, alert raised
    SchemaChange,
    /// A shadow rollout is started and rolled back
    Rollback,
    /// The model is taken away from the drill's requests: the fallback answers
    Fallback,
}

/// `alert`.
#[derive(Debug, Subcommand)]
pub enum AlertVerb {
    /// The latest alerts
    List,
    /// Close an alert: it is dealt with
    Close {
        /// The alert's id
        alert: String,
    },
}

pub(crate) fn deploy(session: &mut Session<'_>, args: &DeployArgs) -> Result<(), Failure> {
    if let Some(file) = &args.file {
        return ApplyArgs { file: file.clone(), dry_run: false }.run(session);
    }
    let mut body = json!({ "model": args.model });
    let given = [("name", &args.endpoint), ("entity", &args.entity), ("fallback", &args.fallback)];
    for (key, value) in given {
        if let Some(value) = value {
            body[key] = json!(value);
        }
    }
    let answer = session.client.post("/api/v1/endpoints", body)?;
    let server = session.client.server().to_owned();
    session.printer.answer(&answer, |answer, paint| render_deployed(answer, &server, paint))
}

fn render_deployed(answer: &Value, server: &str, paint: Paint) -> String {
    let text = |key: &str| answer.get(key).map(table::cell).unwrap_or_default();
    let contract = match table::at(answer, "contract.origin") {
        Some(origin) => format!(
            "contract version {} ({})",
            text_at(answer, "contract.version"),
            table::cell(origin)
        ),
        None => "no contract: rows reach the model as they come".to_owned(),
    };
    format!(
        "{} serves {}, version {}\n{contract}; fallback {}; unowned: its decisions are evidence for no gate\ntry: curl -s {server}/api/v1/endpoints/{}/predict -H 'content-type: application/json' -d '{{\"rows\": [{{…}}]}}'",
        paint.bold(&text("name")),
        text("model"),
        text("version"),
        text("fallback"),
        text("name"),
    )
}

fn text_at(answer: &Value, path: &str) -> String {
    table::at(answer, path).map(table::cell).unwrap_or_default()
}

pub(crate) fn delete(session: &mut Session<'_>, name: &str) -> Result<(), Failure> {
    session.client.delete(&format!("/api/v1/endpoints/{}", segment(name)))?;
    session.printer.say(&format!("endpoint `{name}` is deleted; its decisions stay in the log"));
    Ok(())
}

pub(crate) fn kill(session: &mut Session<'_>, args: &KillArgs) -> Result<(), Failure> {
    let path = format!("/api/v1/endpoints/{}/kill", segment(&args.endpoint));
    let answer = session.client.post(&path, json!({ "reason": args.reason }))?;
    switched(session, &answer, "is killed: no model is asked")
}

pub(crate) fn revive(session: &mut Session<'_>, endpoint: &str) -> Result<(), Failure> {
    let path = format!("/api/v1/endpoints/{}/revive", segment(endpoint));
    let answer = session.client.post(&path, json!({}))?;
    switched(session, &answer, "is alive: its model answers")
}

fn switched(session: &mut Session<'_>, answer: &Value, what: &str) -> Result<(), Failure> {
    session.printer.answer(answer, |answer, _| {
        let recorded = match answer.get("recorded").and_then(Value::as_bool) {
            Some(false) => "; the database is away: it is written down when it is back",
            _ => "",
        };
        let fallback = text_at(answer, "fallback");
        format!("{} {what} (fallback: {fallback}){recorded}", text_at(answer, "endpoint"))
    })
}

pub(crate) fn drill(session: &mut Session<'_>, args: &DrillArgs) -> Result<(), Failure> {
    let kind = match args.kind {
        DrillWord::SchemaChange => "schema-change",
        DrillWord::Rollback => "rollback",
        DrillWord::Fallback => "fallback",
    };
    let path = format!("/api/v1/endpoints/{}/drills", segment(&args.endpoint));
    let answer = session.client.post(&path, json!({ "kind": kind }))?;
    session.printer.answer(&answer, render_drill)?;
    match answer.get("passed").and_then(Value::as_bool) {
        Some(true) => Ok(()),
        _ => Err(Failure::No),
    }
}

fn render_drill(answer: &Value, paint: Paint) -> String {
    let passed = |value: &Value| value.get("passed").and_then(Value::as_bool) == Some(true);
    let verdict = if passed(answer) { paint.green("passed") } else { paint.red("did not pass") };
    let mut lines = vec![format!(
        "{} of {} {verdict} in {} s, run by {}",
        text_at(answer, "kind"),
        paint.bold(&text_at(answer, "endpoint")),
        text_at(answer, "seconds"),
        text_at(answer, "run_by"),
    )];
    for check in answer.get("checks").and_then(Value::as_array).into_iter().flatten() {
        let mark = if passed(check) { paint.green("ok  ") } else { paint.red("FAIL") };
        let what = check.get("what").and_then(Value::as_str).unwrap_or_default();
        let seen = check.get("seen").and_then(Value::as_str).unwrap_or_default();
        lines.push(format!("  {mark} {what}: {seen}"));
    }
    if let Some(note) = answer.get("note").and_then(Value::as_str) {
        lines.push(format!("  note: {note}"));
    }
    let facts = text_at(answer, "facts");
    lines.push(if facts.is_empty() {
        "no fact was written: no project owns the endpoint, or nothing was measured".to_owned()
    } else {
        format!("facts: {facts}")
    });
    lines.join("\n")
}

pub(crate) fn alert(session: &mut Session<'_>, verb: &AlertVerb) -> Result<(), Failure> {
    match verb {
        AlertVerb::List => {
            let answer = session.client.get("/api/v1/alerts")?;
            let columns =
                ["id", "raised_at", "kind", "for", "count", "drill", "detail", "closed_at"];
            session
                .printer
                .answer(&answer, |answer, paint| table::list(answer, &columns, "no alert", paint))
        }
        AlertVerb::Close { alert } => {
            session.client.post(&format!("/api/v1/alerts/{}/close", segment(alert)), json!({}))?;
            session.printer.say(&format!("alert `{alert}` is closed"));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_that_failed_says_which_part() {
        let answer = json!({"kind": "fallback", "endpoint": "churn", "passed": false,
            "seconds": 0.5, "run_by": "bea", "facts": [],
            "checks": [{"what": "the fallback answered every request", "passed": false,
                        "seen": "0 of 3 by `error`"}]});
        let text = render_drill(&answer, Paint::Plain);
        assert!(
            text.starts_with("fallback of churn did not pass in 0.5 s, run by bea\n"),
            "{text}"
        );
        assert!(text.contains("FAIL the fallback answered every request: 0 of 3 by `error`"));
        assert!(text.contains("no fact was written"), "{text}");
    }
}
