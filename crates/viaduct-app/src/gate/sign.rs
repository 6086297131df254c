//! Signs a review. With the last signature the gate is evaluated once more, and opens or not.

use serde_json::json;
use viaduct_base::{Digest, Error, EvaluationId, Fault, ReviewId, SignatureId, Timestamp};
use viaduct_domain::permission::{Caller, Operation, Who};
use viaduct_domain::policy::SignerRole;
use viaduct_domain::review::{Conclusion, Readiness, Review, conclude};
use viaduct_domain::stage::{Event, next};
use viaduct_store::review::{self, ReviewRow};
use viaduct_store::signature::{self, SignatureRow};
use viaduct_store::{Scope, Tx, evaluation};

use super::request::{ReviewView, find, named, read};
use super::stored;
use crate::App;
use crate::audit::Deed;
use crate::project::load;

/// A signature to be given.
#[derive(Debug, Clone)]
pub struct SignReview {
    /// In which role.
    pub role: SignerRole,
    /// The sentence that names the main residual risk.
    pub statement: String,
    /// The hash that the signer saw; the review's own when they were shown no other.
    pub seen: Option<Digest>,
}

impl App {
    /// Signs; the last signature concludes the review.
    ///
    /// # Errors
    /// A role that the charter does not give, a second signature of one person, a sentence too
    /// short, a hash that is not the review's.
    pub async fn sign_review(
        &self,
        caller: &Caller,
        id: ReviewId,
        sign: SignReview,
    ) -> Result<ReviewView, Error> {
        let scope = self.authorise(caller, Operation::SignReview)?;
        let by = named(caller)?;
        let Who::User { id: user_id, .. } = caller.who else {
            return Err(Fault::new("a signer without an id").into());
        };
        let (app, caller, now) = (self.clone(), caller.clone(), self.now());
        let view = self
            .store()
            .write("sign_review", move |tx| -> Result<ReviewView, Error> {
                let mut row = find(tx, &scope, id)?;
                let mut open = read(tx, &scope, &row)?;
                let seen = sign.seen.clone().unwrap_or_else(|| open.evaluation_hash.clone());
                let signed = open.sign(sign.role, by.clone(), &sign.statement, &seen, now)?;
                let entry = SignatureRow {
                    id: SignatureId::new(now),
                    workspace_id: scope.workspace,
                    project_id: open.project,
                    review_id: id,
                    evaluation_hash: seen.to_string(),
                    role: signed.role.to_string(),
                    user_id,
                    user_name: by.to_string(),
                    statement: signed.statement.clone(),
                    signed_at: now,
                };
                signature::append(tx, &entry)?;
                let deed = Deed {
                    action: "review.signed",
                    object_kind: "review",
                    object_id: &id.to_string(),
                    project: Some(open.project),
                    detail: json!({ "role": signed.role, "evaluation_hash": seen }),
                };
                app.record(tx, &caller, now, &deed)?;
                if open.readiness(now) == Readiness::Signed {
                    app.conclude_review(tx, (&scope, &caller), &mut row, &mut open, now)?;
                } else {
                    // Why written although nothing else changed: two signers race on the revision,
                    // so that the second one sees the first one's signature.
                    stored::update_review(&mut row, &open)?;
                    review::update(tx, &scope, &row)?;
                }
                Ok(ReviewView::of(&open))
            })
            .await?;
        self.ring();
        Ok(view)
    }

    /// Evaluates again and lets the domain conclude; the only way up for a stage.
    pub(super) fn conclude_review(
        &self,
        tx: &mut Tx,
        (scope, caller): (&Scope, &Caller),
        row: &mut ReviewRow,
        open: &mut Review,
        now: Timestamp,
    ) -> Result<(), Error> {
        let project = load(tx, scope, &open.project.to_string())?;
        let signed = evaluation::find(tx, scope, open.evaluation)?
            .ok_or_else(|| Fault::new("the signed evaluation is missing"))?;
        let signed = stored::evaluation(signed)?.evaluation;
        let fresh = self.evaluation_at(tx, scope, &project, now)?;
        let entry = stored::evaluation_row(
            EvaluationId::new(now),
            scope.workspace,
            &fresh,
            "review concluded",
        )?;
        evaluation::append(tx, &entry)?;
        let conclusion = conclude(open, &signed, &fresh, now)?;
        stored::update_review(row, open)?;
        review::update(tx, scope, row)?;
        let (event, action) = match conclusion {
            Conclusion::Opened(opened) => (Event::GateOpened(opened), "gate.opened"),
            Conclusion::Closed(_) => (Event::ReviewClosed, "review.closed"),
        };
        let to = next(project.standing, event, now)?;
        project.write_standing(tx, scope, to, None, now)?;
        let deed = Deed {
            action,
            object_kind: "project",
            object_id: &project.id.to_string(),
            project: Some(project.id),
            detail: json!({
                "gate": open.gate, "stage": to.stage.as_str(), "review": open.id,
                "evaluation_hash": fresh.hash()?, "difference": open.difference,
            }),
        };
        self.record(tx, caller, now, &deed)?;
        self.enqueue(tx, "bind_models", &json!({}), "bind_models")?;
        Ok(())
    }
}
