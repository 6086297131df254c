//! A gate asked for; a review signed and withdrawn.

use std::sync::Arc;

use viaduct_app::gate::{ReviewView, SignReview};
use viaduct_base::{Digest, Error, Kind, Refusal, ReviewId};
use viaduct_domain::policy::SignerRole;
use viaduct_domain::review::ReviewState;

use super::Answered;
use super::answer::Answer;
use super::map::words;
use super::visit::Visit;
use crate::path;
use crate::view::{Flash, FlashLevel};

/// Asks for the gate above the project's stage.
pub(super) async fn ask(visit: Arc<Visit>) -> Answered {
    let name = visit.param("project");
    let review = visit.app.request_gate(&visit.caller, name).await?;
    let done = format!("The review of {} is open. It waits for signatures.", review.gate);
    Ok(Answer::done(path::project(name), done))
}

/// Signs in one role.
pub(super) async fn sign(visit: Arc<Visit>) -> Answered {
    let id: ReviewId = visit.id("review")?;
    let invalid = |detail: String| Refusal::new(Kind::InvalidInput, detail);
    let role: SignerRole = visit.field("role").parse().map_err(invalid)?;
    let seen = match visit.field("evaluation_hash") {
        "" => None,
        hash => {
            Some(Digest::from_hex(hash).ok_or_else(|| invalid(format!("`{hash}` is no hash")))?)
        }
    };
    let sign = SignReview { role, statement: visit.field("statement").to_owned(), seen };
    let review = visit.app.sign_review(&visit.caller, id, sign).await?;
    let to = home(&visit, &review).await?;
    let gate = review.gate;
    let (level, text) = match review.state {
        ReviewState::Opened => {
            (FlashLevel::Done, format!("{gate} is open: the last signature was yours."))
        }
        ReviewState::Closed => {
            let changed: Vec<&str> =
                review.difference.iter().map(|d| d.sentence.as_str()).collect();
            (FlashLevel::Problem, format!("{gate} stays shut: {}.", changed.join("; ")))
        }
        ReviewState::Open | ReviewState::Withdrawn => {
            (FlashLevel::Done, format!("Signed as {}.", words(role.as_str())))
        }
    };
    Ok(Answer::See { to, flash: Some(Flash { level, text }), cookies: Vec::new() })
}

/// Ends a review without a conclusion.
pub(super) async fn withdraw(visit: Arc<Visit>) -> Answered {
    let id: ReviewId = visit.id("review")?;
    let review = visit.app.withdraw_review(&visit.caller, id).await?;
    let done = format!("The review of {} was withdrawn.", review.gate);
    Ok(Answer::done(home(&visit, &review).await?, done))
}

/// The page of the review's project.
async fn home(visit: &Visit, review: &ReviewView) -> Result<String, Error> {
    let id = review.project.to_string();
    let project = visit.app.get_project(&visit.caller, &id).await?;
    Ok(path::project(project.name()))
}
