//! `rollout`: start, look at, watch, move.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::client::segment;
use crate::printer::Paint;
use crate::{Failure, Session, table};

/// The picture is drawn this often.
const REDRAW: Duration = Duration::from_millis(500);
/// Columns of the bar.
const BAR: usize = 30;

/// `rollout`.
#[derive(Debug, Subcommand)]
pub enum RolloutVerb {
    /// Start a rollout of a version
    Start(StartArgs),
    /// Show a rollout; an endpoint's name means its latest one
    Get {
        /// The rollout's id, or the endpoint's name
        rollout: String,
    },
    /// The latest rollouts
    List {
        /// Only those of this endpoint
        #[arg(long)]
        endpoint: Option<String>,
    },
    /// Watch a rollout until it ends; exits 5 when it was rolled back
    Watch {
        /// The rollout's id, or the endpoint's name
        rollout: String,
    },
    /// End the step under way now; its conditions must hold
    Advance(MoveArgs),
    /// Stop here for now
    Pause(MoveArgs),
    /// Go on
    Resume(MoveArgs),
    /// Back to the champion; also of a full rollout
    Rollback(MoveArgs),
}

/// `rollout start`.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// The endpoint's name
    pub endpoint: String,
    /// The candidate: a version, or an alias
    #[arg(long)]
    pub to: String,
    /// YAML or JSON with `steps` and `conditions`; the endpoint's plan, or the usual one, without it
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Watch it until it ends
    #[arg(long)]
    pub watch: bool,
}

/// A rollout, and why it is moved.
#[derive(Debug, Args)]
pub struct MoveArgs {
    /// The rollout's id, or the endpoint's name
    pub rollout: String,
    /// Why, in a sentence; it is kept
    #[arg(long)]
    pub reason: Option<String>,
}

pub(crate) fn run(session: &mut Session<'_>, verb: &RolloutVerb) -> Result<(), Failure> {
    match verb {
        RolloutVerb::Start(args) => start(session, args),
        RolloutVerb::Get { rollout } => {
            let answer = session.client.get(&path(rollout))?;
            session.printer.answer(&answer, |answer, paint| {
                format!("{}\n{}", picture(answer, paint), history(answer, paint))
            })
        }
        RolloutVerb::List { endpoint } => {
            let path = match endpoint {
                Some(name) => format!("/api/v1/rollouts?endpoint={}", segment(name)),
                None => "/api/v1/rollouts".to_owned(),
            };
            let answer = session.client.get(&path)?;
            let columns =
                ["id", "endpoint", "model", "from", "to", "phase", "step", "started_at", "reason"];
            session.printer.answer(&answer, |answer, paint| {
                table::list(answer, &columns, "no rollout yet", paint)
            })
        }
        RolloutVerb::Watch { rollout } => watch(session, rollout),
        RolloutVerb::Advance(args) => moved(session, args, "advance"),
        RolloutVerb::Pause(args) => moved(session, args, "pause"),
        RolloutVerb::Resume(args) => moved(session, args, "resume"),
        RolloutVerb::Rollback(args) => moved(session, args, "rollback"),
    }
}

fn path(rollout: &str) -> String {
    format!("/api/v1/rollouts/{}", segment(rollout))
}

fn start(session: &mut Session<'_>, args: &StartArgs) -> Result<(), Failure> {
    let mut body = json!({ "to": args.to });
    if let Some(file) = &args.file {
        let text = std::fs::read_to_string(file)
            .map_err(|e| Failure::Usage(format!("`{}` cannot be read: {e}", file.display())))?;
        let plan: Value = serde_saphyr::from_str(&text)
            .map_err(|e| Failure::Usage(format!("`{}` is not YAML: {e}", file.display())))?;
        let Some(plan) = plan.as_object() else {
            let detail = format!("`{}` needs `steps`, `conditions` or both", file.display());
            return Err(Failure::Usage(detail));
        };
        for (key, value) in plan {
            body[key] = value.clone();
        }
    }
    let route = format!("/api/v1/endpoints/{}/rollouts", segment(&args.endpoint));
    let answer = session.client.post(&route, body)?;
    if args.watch {
        let id = answer.get("id").and_then(Value::as_str).unwrap_or(&args.endpoint).to_owned();
        return watch(session, &id);
    }
    session.printer.answer(&answer, picture)
}

fn moved(session: &mut Session<'_>, args: &MoveArgs, verb: &str) -> Result<(), Failure> {
    let body = args.reason.as_ref().map_or(json!({}), |reason| json!({ "reason": reason }));
    let answer = session.client.post(&format!("{}/{verb}", path(&args.rollout)), body)?;
    session.printer.answer(&answer, picture)
}

/// Draws the picture in place on a terminal, and line by line elsewhere, until the rollout ends.
fn watch(session: &mut Session<'_>, rollout: &str) -> Result<(), Failure> {
    let mut drawn = 0;
    let mut told = 0;
    let mut id = rollout.to_owned();
    loop {
        let answer = session.client.get(&path(&id))?;
        // Why: the endpoint's latest rollout may be another one at the next look.
        if let Some(found) = answer.get("id").and_then(Value::as_str) {
            found.clone_into(&mut id);
        }
        let phase = answer.get("phase").and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_over = phase == "full" || phase == "rolled_back";
        if session.printer.is_json() {
            if is_over {
                session.printer.answer(&answer, picture)?;
            }
        } else if session.printer.is_live() {
            let text = picture(&answer, session.printer.paint());
            let up = if drawn > 0 { format!("\x1b[{drawn}F\x1b[J") } else { String::new() };
            drawn = text.lines().count();
            session.printer.print(&format!("{up}{text}"))?;
        } else {
            for event in events(&answer).iter().skip(told) {
                session.printer.print(&event_line(event))?;
            }
            told = events(&answer).len();
        }
        match (is_over, phase.as_str()) {
            (true, "full") => return Ok(()),
            (true, _) => return Err(Failure::No),
            _ => std::thread::sleep(REDRAW),
        }
    }
}

fn text(value: &Value, path: &str) -> String {
    table::at(value, path).map(table::cell).unwrap_or_default()
}

/// A rollout as a picture of a few lines.
pub(crate) fn picture(answer: &Value, paint: Paint) -> String {
    let phase = text(answer, "phase");
    let shown = match phase.as_str() {
        "full" => paint.green("full"),
        "rolled_back" => paint.red("rolled back"),
        "paused" => paint.yellow("paused"),
        other => paint.blue(other),
    };
    let mut lines = vec![format!(
        "{}  {} version {} -> {}  {shown}  {}",
        paint.bold(&text(answer, "endpoint")),
        text(answer, "model"),
        text(answer, "from"),
        text(answer, "to"),
        text(answer, "id"),
    )];
    for step in answer.get("steps").and_then(Value::as_array).into_iter().flatten() {
        lines.push(step_line(step, answer, paint));
    }
    for condition in answer.get("conditions").and_then(Value::as_array).into_iter().flatten() {
        let mark = match condition.get("verdict").and_then(Value::as_str) {
            Some("met") => paint.green("ok     "),
            Some("breached") => paint.red("BREACH "),
            _ => paint.yellow("unknown"),
        };
        let reason = condition.get("reason").and_then(Value::as_str).unwrap_or_default();
        lines.push(format!("  {mark} {reason}"));
    }
    let waits = answer.get("waits").and_then(Value::as_array).cloned().unwrap_or_default();
    match waits.is_empty() {
        true => lines.push(format!("  {}", text(answer, "reason"))),
        false => lines
            .extend(waits.iter().filter_map(Value::as_str).map(|wait| format!("  waits: {wait}"))),
    }
    lines.join("\n")
}

fn step_line(step: &Value, answer: &Value, paint: Paint) -> String {
    let share = step.get("share").and_then(Value::as_f64).unwrap_or_default();
    let filled = ((share * BAR as f64).round() as usize).min(BAR);
    let bar = format!("{}{}", "#".repeat(filled), ".".repeat(BAR - filled));
    let label = step.get("label").and_then(Value::as_str).unwrap_or_default();
    let line = format!("{bar}  {label:<10}");
    match step.get("state").and_then(Value::as_str) {
        Some("now") => {
            let left = match text(answer, "forecast") {
                none if none.is_empty() => String::new(),
                left => format!(", about {left} to go"),
            };
            let rows = format!("{} of {} rows", text(answer, "n"), text(step, "min_n"));
            format!("{} {}  {rows}{left}", paint.blue(">"), paint.bold(&line))
        }
        Some("done") => format!("{} {line}", paint.green("+")),
        Some("left") => format!("{} {line}", paint.red("x")),
        _ => {
            let needs = match text(step, "needs") {
                none if none.is_empty() => String::new(),
                needs => format!("  needs about {needs}"),
            };
            format!("  {line}{needs}")
        }
    }
}

fn events(answer: &Value) -> Vec<Value> {
    answer.get("history").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn event_line(event: &Value) -> String {
    format!(
        "{}  {:<11} step {}  {} ({})",
        text(event, "at"),
        text(event, "event"),
        text(event, "step"),
        event.get("reason").and_then(Value::as_str).unwrap_or_default(),
        text(event, "actor"),
    )
}

fn history(answer: &Value, paint: Paint) -> String {
    let lines = events(answer).iter().map(event_line).collect::<Vec<_>>();
    format!("{}\n{}", paint.bold("history"), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_shows_steps_conditions_and_what_is_waited_for() {
        let answer = json!({"id": "rol_1", "endpoint": "churn", "model": "churn", "from": 1, "to": 2,
            "phase": "running", "reason": "asked for", "n": 30, "forecast": "PT7S",
            "waits": ["30 of 50 rows are in"],
            "steps": [{"label": "shadow", "state": "done", "share": 0.0, "min_n": 50},
                      {"label": "50 %", "state": "now", "share": 0.5, "min_n": 50}],
            "conditions": [{"verdict": "met", "reason": "error_rate is 0 over 30 cases"}]});
        let text = picture(&answer, Paint::Plain);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "churn  churn version 1 -> 2  running  rol_1");
        assert_eq!(lines[1], "+ ..............................  shadow    ");
        assert_eq!(
            lines[2],
            "> ###############...............  50 %        30 of 50 rows, about PT7S to go"
        );
        assert_eq!(lines[3], "  ok      error_rate is 0 over 30 cases");
        assert_eq!(lines[4], "  waits: 30 of 50 rows are in");
    }
}
