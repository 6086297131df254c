//! Withdraws a review.

use serde_json::json;
use viaduct_base::{Error, ReviewId};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_domain::stage::{Event, next};
use viaduct_store::review;

use super::request::{ReviewView, find, named, read};
use super::stored;
use crate::App;
use crate::audit::Deed;
use crate::project::load;

impl App {
    /// Ends a review without a conclusion.
    ///
    /// # Errors
    /// Somebody who neither asked for it nor signs it; a review that is over.
    pub async fn withdraw_review(
        &self,
        caller: &Caller,
        id: ReviewId,
    ) -> Result<ReviewView, Error> {
        let scope = self.authorise(caller, Operation::WithdrawReview)?;
        let by = named(caller)?;
        let (app, caller, now) = (self.clone(), caller.clone(), self.now());
        self.store()
            .write("withdraw_review", move |tx| -> Result<ReviewView, Error> {
                let mut row = find(tx, &scope, id)?;
                let mut open = read(tx, &scope, &row)?;
                open.withdraw(by.clone(), now)?;
                stored::update_review(&mut row, &open)?;
                review::update(tx, &scope, &row)?;
                let project = load(tx, &scope, &open.project.to_string())?;
                let to = next(project.standing, Event::ReviewClosed, now)?;
                project.write_standing(tx, &scope, to, None, now)?;
                let deed = Deed {
                    action: "review.withdrawn",
                    object_kind: "review",
                    object_id: &id.to_string(),
                    project: Some(project.id),
                    detail: json!({ "gate": open.gate }),
                };
                app.record(tx, &caller, now, &deed)?;
                Ok(ReviewView::of(&open))
            })
            .await
    }
}
