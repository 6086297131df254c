//! Asks for a gate: opens a review on one evaluation, which all sign.

use serde::Serialize;
use serde_json::json;
use viaduct_base::{
    Digest, Error, EvaluationId, Fault, Kind, Name, ProjectId, Refusal, ReviewId, Timestamp,
};
use viaduct_domain::evaluate::Difference;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_domain::policy::SignerRole;
use viaduct_domain::review::{Required, Review, ReviewRequest, ReviewState, Signature, Signers};
use viaduct_domain::stage::{Event, GateName, next};
use viaduct_store::review::{self, ReviewRow};
use viaduct_store::{Scope, Tx, evaluation, signature};

use super::stored;
use crate::App;
use crate::audit::Deed;
use crate::project::{Project, load};

/// A review as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct ReviewView {
    /// Its id.
    pub id: ReviewId,
    /// The project.
    pub project: ProjectId,
    /// The gate.
    pub gate: GateName,
    /// The evaluation that is signed.
    pub evaluation: EvaluationId,
    /// Its hash.
    pub evaluation_hash: Digest,
    /// Where the review stands.
    pub state: ReviewState,
    /// Who asked.
    pub opened_by: Name,
    /// When.
    pub opened_at: Timestamp,
    /// When it is due.
    pub due_at: Timestamp,
    /// Who has to sign.
    pub required: Vec<Required>,
    /// Who signed.
    pub signatures: Vec<Signature>,
    /// When it ended.
    pub closed_at: Option<Timestamp>,
    /// What had changed when the gate stayed shut.
    pub difference: Vec<Difference>,
}

impl ReviewView {
    pub(super) fn of(review: &Review) -> Self {
        Self {
            id: review.id,
            project: review.project,
            gate: review.gate,
            evaluation: review.evaluation,
            evaluation_hash: review.evaluation_hash.clone(),
            state: review.state,
            opened_by: review.opened_by.clone(),
            opened_at: review.opened_at,
            due_at: review.due_at,
            required: review.required.clone(),
            signatures: review.signatures.clone(),
            closed_at: review.closed_at,
            difference: review.difference.clone(),
        }
    }
}

/// A review with its signatures.
pub(super) fn read(tx: &mut Tx, scope: &Scope, row: &ReviewRow) -> Result<Review, Error> {
    let signatures = signature::list(tx, scope, row.id)?;
    stored::review(row, signatures)
}

/// The open review of a project.
pub(super) fn open_review(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
) -> Result<Option<Review>, Error> {
    match review::find_open(tx, scope, project)? {
        Some(row) => read(tx, scope, &row).map(Some),
        None => Ok(None),
    }
}

/// Ends the open review of a project that is frozen or put away. Row and body end together: from
/// the body alone signatures are taken, so one left open could still be signed later.
pub(crate) fn end_open_review(
    tx: &mut Tx,
    scope: &Scope,
    project: ProjectId,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(mut row) = review::find_open(tx, scope, project)? else { return Ok(()) };
    let mut open = read(tx, scope, &row)?;
    open.state = ReviewState::Withdrawn;
    open.closed_at = Some(now);
    stored::update_review(&mut row, &open)?;
    Ok(review::update(tx, scope, &row)?)
}

/// Who may sign in which role, from the charter.
fn signers(project: &Project) -> Signers {
    let charter = &project.spec.charter;
    Signers::new()
        .with(SignerRole::BusinessOwner, charter.business_owner.clone())
        .with(SignerRole::DataOwner, charter.data_owners.clone())
        .with(SignerRole::RiskPartner, charter.risk_partner.clone())
}

impl App {
    /// Opens a review of the gate above the project's stage.
    ///
    /// # Errors
    /// `gate-shut` while something blocks, naming it; `stage-forbids` when a review is open.
    pub async fn request_gate(&self, caller: &Caller, name: &str) -> Result<ReviewView, Error> {
        let scope = self.authorise(caller, Operation::RequestGate)?;
        let by = named(caller)?;
        let (app, caller, name, now) = (self.clone(), caller.clone(), name.to_owned(), self.now());
        self.store()
            .write("request_gate", move |tx| -> Result<ReviewView, Error> {
                let project = load(tx, &scope, &name)?;
                let gate = app.gate_above(&project)?;
                let to = next(project.standing, Event::ReviewOpened, now)?;
                let fresh = app.evaluation_at(tx, &scope, &project, now)?;
                let evaluation_id = EvaluationId::new(now);
                let request = ReviewRequest {
                    id: ReviewId::new(now),
                    gate,
                    evaluation: (evaluation_id, &fresh),
                    signers: &signers(&project),
                    by: by.clone(),
                };
                let opened = Review::open(request, now)?;
                let row =
                    stored::evaluation_row(evaluation_id, scope.workspace, &fresh, "review opened")?;
                evaluation::append(tx, &row)?;
                let mut row = ReviewRow {
                    id: opened.id,
                    workspace_id: scope.workspace,
                    project_id: project.id,
                    gate: opened.gate.to_string(),
                    evaluation_id,
                    evaluation_hash: opened.evaluation_hash.to_string(),
                    state: String::new(),
                    is_open: true,
                    body_json: String::new(),
                    opened_at: now,
                    opened_by: by.to_string(),
                    due_at: Some(opened.due_at),
                    closed_at: None,
                    revision: 1,
                };
                stored::update_review(&mut row, &opened)?;
                review::insert(tx, &row)?;
                project.write_standing(tx, &scope, to, None, now)?;
                let deed = Deed {
                    action: "review.opened",
                    object_kind: "review",
                    object_id: &opened.id.to_string(),
                    project: Some(project.id),
                    detail: json!({ "gate": opened.gate, "evaluation_hash": opened.evaluation_hash }),
                };
                app.record(tx, &caller, now, &deed)?;
                Ok(ReviewView::of(&opened))
            })
            .await
    }

    /// Evaluates at the given moment, which is the transaction's.
    pub(super) fn evaluation_at(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        project: &Project,
        now: Timestamp,
    ) -> Result<viaduct_domain::evaluate::Evaluation, Error> {
        let gate = self.gate_above(project)?;
        let ground = super::Ground::read(tx, scope, project)?;
        let input = ground.input(self, tx, scope, project, now)?;
        Ok(viaduct_domain::evaluate::evaluate(gate, &input))
    }

    /// One review.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_review(&self, caller: &Caller, id: ReviewId) -> Result<ReviewView, Error> {
        let scope = self.authorise(caller, Operation::ReadProject)?;
        self.store()
            .read("get_review", move |tx| {
                let row = find(tx, &scope, id)?;
                Ok(ReviewView::of(&read(tx, &scope, &row)?))
            })
            .await
    }
}

/// The row of a review.
pub(super) fn find(tx: &mut Tx, scope: &Scope, id: ReviewId) -> Result<ReviewRow, Error> {
    review::find(tx, scope, id)?
        .ok_or_else(|| Refusal::new(Kind::NotFound, format!("there is no review `{id}`")).into())
}

/// The caller's name, for what needs one.
pub(crate) fn named(caller: &Caller) -> Result<Name, Error> {
    let name = caller
        .user_name()
        .ok_or_else(|| Refusal::new(Kind::NameNeeded, "this needs a named person"))?;
    name.parse().map_err(|e| Fault::caused("a user's name", e).into())
}
