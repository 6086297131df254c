//! Waivers asked for and approved.

use std::sync::Arc;

use viaduct_app::gate::AskWaiver;
use viaduct_base::{Day, Kind, Refusal, Timestamp, WaiverId};
use viaduct_domain::waiver::WaiverRequest;

use super::Answered;
use super::answer::Answer;
use super::visit::Visit;
use crate::path;

/// A day (its end counts) or a moment.
fn end(text: &str) -> Result<Timestamp, Refusal> {
    if let Ok(day) = text.parse::<Day>() {
        return Ok(day.plus(1).start());
    }
    text.parse().map_err(|_| {
        let detail = format!("`expires_at`: `{text}` is not a day such as `2027-01-31`");
        Refusal::new(Kind::InvalidInput, detail)
    })
}

/// Asks for a waiver of one criterion of the next gate.
pub(super) async fn ask(visit: Arc<Visit>) -> Answered {
    let name = visit.param("project");
    let request = WaiverRequest {
        criterion: visit.field("criterion").to_owned(),
        reason: visit.field("reason").to_owned(),
        compensation: visit.field("compensation").to_owned(),
        expires_at: end(visit.field("expires_at"))?,
    };
    let ask = AskWaiver { request, gate: None };
    let asked = visit.app.request_waiver(&visit.caller, name, ask).await?;
    let criterion = asked.waiver.criterion;
    let done = format!(
        "A waiver of {criterion} was asked for. It counts once somebody outside the project approves it."
    );
    Ok(Answer::done(path::project(name), done))
}

/// Approves a waiver.
pub(super) async fn approve(visit: Arc<Visit>) -> Answered {
    let id: WaiverId = visit.id("waiver")?;
    let approved = visit.app.approve_waiver(&visit.caller, id).await?.waiver;
    let done = format!(
        "The waiver of {} is in force until {}.",
        approved.criterion,
        crate::fmt::day(approved.expires_at.day())
    );
    Ok(Answer::done(waiver_home(&visit, id).await, done))
}

/// The page of the project whose waiver it is; the portfolio where it is not found again.
async fn waiver_home(visit: &Visit, id: WaiverId) -> String {
    let Ok(projects) = visit.app.list_projects(&visit.caller).await else {
        return path::HOME.to_owned();
    };
    for project in projects {
        let listed = visit.app.list_waivers(&visit.caller, project.name()).await;
        if listed.is_ok_and(|(waivers, _)| waivers.iter().any(|w| w.waiver.id == id)) {
            return path::project(project.name());
        }
    }
    path::HOME.to_owned()
}
