//! `apply` and `diff`: a project file becomes the project.

use serde_json::Value;

use crate::args::{ApplyArgs, FileArgs};
use crate::client::{Body, segment};
use crate::manifest::{self, Manifest};
use crate::printer::Paint;
use crate::table::cell;
use crate::{Failure, Session};

const YAML: &str = "application/yaml";
const CSV: &str = "text/csv";

impl ApplyArgs {
    pub(crate) fn run(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        let manifest = manifest::read(&self.file)?;
        let answer = send(session, &manifest, self.dry_run)?;
        show(session, &answer, self.dry_run)?;
        warn(session, &manifest, &answer);
        if !self.dry_run {
            bring_histories(session, &manifest, &answer)?;
        }
        Ok(())
    }
}

impl FileArgs {
    pub(crate) fn diff(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        let manifest = manifest::read(&self.file)?;
        let answer = send(session, &manifest, true)?;
        show(session, &answer, true)?;
        warn(session, &manifest, &answer);
        if changes(&answer).is_empty() { Ok(()) } else { Err(Failure::No) }
    }
}

fn send(session: &Session<'_>, manifest: &Manifest, dry_run: bool) -> Result<Value, Failure> {
    let path = if dry_run { "/api/v1/apply?dry_run=true" } else { "/api/v1/apply" };
    let body = Body::Text { kind: YAML, text: &manifest.text };
    session.client.send("POST", path, body).map_err(|failure| match failure {
        Failure::Declined(mut problem) => {
            problem.source = Some(manifest.source.clone());
            Failure::Declined(problem)
        }
        other => other,
    })
}

fn changes(answer: &Value) -> &[Value] {
    answer.get("changes").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn project_name(manifest: &Manifest, answer: &Value) -> String {
    let project = answer.get("project");
    project
        .and_then(|p| p.as_str().or_else(|| p.get("name").and_then(Value::as_str)))
        .map(str::to_owned)
        .or_else(|| manifest.project.clone())
        .unwrap_or_default()
}

fn show(session: &mut Session<'_>, answer: &Value, dry_run: bool) -> Result<(), Failure> {
    session.printer.answer(answer, |answer, paint| render(answer, dry_run, paint))
}

fn render(answer: &Value, dry_run: bool, paint: Paint) -> String {
    let changes = changes(answer);
    let mut lines: Vec<String> = Vec::new();
    for change in changes {
        let path = change.get("path").map(cell).unwrap_or_default();
        let side = |name: &str| change.get(name).filter(|v| !v.is_null()).map(cell);
        match (side("before"), side("after")) {
            (None, Some(after)) => lines.push(paint.green(&format!("+ {path}: {after}"))),
            (Some(before), None) => lines.push(paint.red(&format!("- {path}: {before}"))),
            (Some(before), Some(after)) => {
                lines.push(paint.yellow(&format!("~ {path}: {before} -> {after}")));
            }
            (None, None) => lines.push(format!("  {path}")),
        }
    }
    lines.push(match (changes.len(), dry_run) {
        (0, _) => "no changes".to_owned(),
        (n, true) => format!("{n} {} would be made", plural(n)),
        (n, false) => format!("{n} {} applied", plural(n)),
    });
    lines.join("\n")
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "change" } else { "changes" }
}

fn warn(session: &mut Session<'_>, manifest: &Manifest, answer: &Value) {
    let from_server = answer.get("warnings").and_then(Value::as_array);
    let mut warnings: Vec<String> = from_server
        .into_iter()
        .flatten()
        .map(|w| w.get("detail").unwrap_or(w))
        .map(|w| w.as_str().map_or_else(|| w.to_string(), str::to_owned))
        .collect();
    warnings.extend(manifest.warnings.iter().cloned());
    for warning in warnings {
        session.printer.warn(&warning);
    }
}

fn bring_histories(
    session: &mut Session<'_>,
    manifest: &Manifest,
    answer: &Value,
) -> Result<(), Failure> {
    let project = project_name(manifest, answer);
    for history in &manifest.histories {
        match bring_history(session, &project, &history.kpi, &history.path) {
            Ok(_) => session.printer.say(&format!(
                "history `{}` of KPI `{}` is in",
                history.path.display(),
                history.kpi
            )),
            // A frozen baseline stays what it is; applying the file again is still fine.
            Err(Failure::Declined(problem)) if problem.slug() == "baseline-frozen" => {
                session.printer.say(&format!(
                    "the baseline of KPI `{}` is frozen; its history stays as it is",
                    history.kpi
                ));
            }
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// Sends a CSV of history.
pub(crate) fn bring_history(
    session: &Session<'_>,
    project: &str,
    kpi: &str,
    path: &std::path::Path,
) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::Usage(format!("`{}` cannot be read: {e}", path.display())))?;
    let route = format!("/api/v1/projects/{}/kpis/{}/history", segment(project), segment(kpi));
    let source = crate::problem::Source { name: path.display().to_string(), text: text.clone() };
    session.client.send("POST", &route, Body::Text { kind: CSV, text: &text }).map_err(|failure| {
        match failure {
            Failure::Declined(mut problem) => {
                problem.source = Some(source);
                Failure::Declined(problem)
            }
            other => other,
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_diff_reads_like_a_diff() {
        let answer = json!({"project": "p", "changes": [
            {"path": "title", "before": null, "after": "New"},
            {"path": "rule.when.threshold", "before": 0.12, "after": 0.2},
            {"path": "trial", "before": {"name": "pilot-1"}, "after": null}]});
        let wanted = "+ title: New\n~ rule.when.threshold: 0.12 -> 0.2\n\
                      - trial: {\"name\":\"pilot-1\"}\n3 changes would be made";
        assert_eq!(render(&answer, true, Paint::Plain), wanted);
        assert_eq!(render(&json!({"changes": []}), false, Paint::Plain), "no changes");
    }
}
