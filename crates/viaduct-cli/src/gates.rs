//! Reviews, waivers and the ends of a project.

use serde_json::{Value, json};

use crate::args::{NoteArgs, ReviewVerb, WaiverVerb};
use crate::client::segment;
use crate::printer::Paint;
use crate::table::{self, at, cell};
use crate::{Failure, Session};

pub(crate) fn review(session: &mut Session<'_>, verb: &ReviewVerb) -> Result<(), Failure> {
    let answer = match verb {
        ReviewVerb::Request { project } => session
            .client
            .post(&format!("/api/v1/projects/{}/reviews", segment(project)), json!({}))?,
        ReviewVerb::Sign { review, role, statement, hash } => session.client.post(
            &format!("/api/v1/reviews/{}/signatures", segment(review)),
            json!({"role": role, "statement": statement, "evaluation_hash": hash}),
        )?,
        ReviewVerb::Show { review } => {
            session.client.get(&format!("/api/v1/reviews/{}", segment(review)))?
        }
        ReviewVerb::Withdraw { review } => session
            .client
            .post(&format!("/api/v1/reviews/{}/withdraw", segment(review)), json!({}))?,
    };
    session.printer.answer(&answer, table::describe)
}

pub(crate) fn waiver(session: &mut Session<'_>, verb: &WaiverVerb) -> Result<(), Failure> {
    match verb {
        WaiverVerb::Request { project, criterion, reason, compensation, expires_at } => {
            let body = json!({"criterion": criterion, "reason": reason,
                "compensation": compensation, "expires_at": expires_at});
            let path = format!("/api/v1/projects/{}/waivers", segment(project));
            let answer = session.client.post(&path, body)?;
            session.printer.answer(&answer, table::describe)
        }
        WaiverVerb::Approve { waiver } => {
            let path = format!("/api/v1/waivers/{}/approve", segment(waiver));
            let answer = session.client.post(&path, json!({}))?;
            session.printer.answer(&answer, table::describe)
        }
        WaiverVerb::List { project } => {
            let path = format!("/api/v1/projects/{}/waivers", segment(project));
            let answer = session.client.get(&path)?;
            let columns = ["id", "criterion", "state", "expires_at", "approver", "compensation"];
            session
                .printer
                .answer(&answer, |answer, paint| table::list(answer, &columns, "no waivers", paint))
        }
    }
}

pub(crate) fn shelve(
    session: &mut Session<'_>,
    project: &str,
    cause: &str,
    note: &str,
) -> Result<(), Failure> {
    let path = format!("/api/v1/projects/{}/shelve", segment(project));
    session.client.post(&path, json!({"cause": cause, "note": note}))?;
    session.printer.say(&format!("project `{project}` is shelved: {cause}"));
    Ok(())
}

/// Retires, freezes or thaws, with the reason.
pub(crate) fn end(
    session: &mut Session<'_>,
    args: &NoteArgs,
    verb: &str,
    done: &str,
) -> Result<(), Failure> {
    let path = format!("/api/v1/projects/{}/{verb}", segment(&args.project));
    session.client.post(&path, json!({"note": args.note}))?;
    session.printer.say(&format!("project `{}` is {done}", args.project));
    Ok(())
}

/// The criteria of an evaluation, what is missing first.
pub(crate) fn render_evaluation(answer: &Value, paint: Paint) -> String {
    let evaluation = answer.get("evaluation").filter(|e| e.is_object()).unwrap_or(answer);
    let results = evaluation.get("results").and_then(Value::as_array);
    let Some(results) = results else { return table::describe(answer, paint) };
    let mut lines = vec![
        ["CRITERION", "STATUS", "VALUE", "WANTED", "N", "DISTANCE"].map(str::to_owned).to_vec(),
    ];
    let mut fixes = Vec::new();
    for result in results {
        let text = |names: &[&str]| {
            names.iter().find_map(|name| at(result, name)).map_or_else(|| "-".to_owned(), cell)
        };
        let id = text(&["criterion", "id"]);
        let status = text(&["status"]);
        let is_met = matches!(status.as_str(), "pass" | "waived" | "not_applicable");
        if let (false, Some(fix)) = (is_met, at(result, "fix")) {
            fixes.push(format!("{} {}", paint.yellow(&id), cell_whole(fix)));
        }
        lines.push(vec![
            id,
            status.replace('_', " "),
            text(&["value"]),
            text(&["threshold", "wanted"]),
            text(&["n"]),
            text(&["distance_text", "distance.sentence", "distance"]),
        ]);
    }
    let gate = at(evaluation, "gate").map(cell).unwrap_or_default();
    let opens = evaluation.get("opens").and_then(Value::as_bool).unwrap_or(false);
    let head = if opens {
        paint.green(&format!("gate {gate} can open: every blocking criterion passes"))
    } else {
        paint.red(&format!("gate {gate} stays shut"))
    };
    let mut out = format!("{head}\n\n{}", table::align(&lines, paint));
    if !fixes.is_empty() {
        out.push_str("\nwhat to do\n");
        for fix in fixes {
            out.push_str(&format!("  {fix}\n"));
        }
    }
    out
}

fn cell_whole(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
