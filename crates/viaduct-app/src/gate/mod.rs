//! Gates: evaluated from stored facts, asked for, signed, opened.

mod input;
mod request;
mod sign;
mod silence;
mod stored;
mod waiver;
mod withdraw;

use serde::Serialize;
use viaduct_base::{Digest, Error, Kind, Refusal};
use viaduct_domain::evaluate::Evaluation;
use viaduct_domain::fact::Fact;
use viaduct_domain::permission::{Caller, Operation};
use viaduct_domain::policy::Gate;
use viaduct_domain::stage::GateName;
use viaduct_store::{Scope, Tx, evaluation, fact};

use crate::App;
use crate::project::{Project, load, load_all};

pub use input::Ground;
pub use input::current_subjects;
pub use request::ReviewView;
pub(crate) use request::end_open_review;
pub use sign::SignReview;
pub use stored::StoredEvaluation;
pub(crate) use stored::{fact as read_fact, fact_row};
pub use waiver::{AskWaiver, WaiverView};

/// The next gate of a project, evaluated now.
#[derive(Debug, Clone, Serialize)]
pub struct GateView {
    /// The evaluation.
    pub evaluation: Evaluation,
    /// Its hash.
    pub hash: Digest,
    /// The open review of this gate, if there is one.
    pub review: Option<ReviewView>,
}

impl App {
    /// The gate above the project's stage, evaluated now from stored facts.
    ///
    /// # Errors
    /// `stage-forbids` for a project without a gate above it.
    pub async fn evaluate_gate(&self, caller: &Caller, name: &str) -> Result<GateView, Error> {
        let scope = self.authorise(caller, Operation::ReadProject)?;
        let (app, name) = (self.clone(), name.to_owned());
        self.store()
            .read("evaluate_gate", move |tx| {
                let project = load(tx, &scope, &name)?;
                let evaluation = app.evaluation_now(tx, &scope, &project)?;
                let review = request::open_review(tx, &scope, project.id)?;
                let review = review.map(|review| ReviewView::of(&review));
                Ok(GateView { hash: evaluation.hash()?, evaluation, review })
            })
            .await
    }

    /// Every project with its next gate, evaluated now; none for a project without one.
    ///
    /// # Errors
    /// The table's refusal; a database that does not answer.
    pub async fn evaluate_portfolio(
        &self,
        caller: &Caller,
    ) -> Result<Vec<(Project, Option<Evaluation>)>, Error> {
        let scope = self.authorise(caller, Operation::ReadProject)?;
        let app = self.clone();
        self.store()
            .read("evaluate_portfolio", move |tx| {
                load_all(tx, &scope)?
                    .into_iter()
                    .map(|project| {
                        let evaluation = match project.standing.stage.next_gate() {
                            Some(_) => Some(app.evaluation_now(tx, &scope, &project)?),
                            None => None,
                        };
                        Ok((project, evaluation))
                    })
                    .collect::<Result<Vec<_>, Error>>()
            })
            .await
    }

    /// Evaluates inside a transaction.
    pub(crate) fn evaluation_now(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        project: &Project,
    ) -> Result<Evaluation, Error> {
        self.evaluation_at(tx, scope, project, self.now())
    }

    pub(crate) fn gate_above(&self, project: &Project) -> Result<&Gate, Error> {
        let stage = project.standing.stage;
        let name = stage.next_gate().ok_or_else(|| {
            let detail =
                format!("`{}` is in stage `{stage}`: there is no gate above it", project.name());
            Refusal::new(Kind::StageForbids, detail)
        })?;
        self.gate_named(name)
    }

    pub(crate) fn gate_named(&self, name: GateName) -> Result<&Gate, Error> {
        self.policy().gate(name).ok_or_else(|| {
            viaduct_base::Fault::new(format!("the policy has no gate `{name}`")).into()
        })
    }

    /// A project's facts, newest first.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn list_facts(
        &self,
        caller: &Caller,
        name: &str,
        limit: i64,
    ) -> Result<Vec<Fact>, Error> {
        let scope = self.authorise(caller, Operation::ReadProject)?;
        let name = name.to_owned();
        self.store()
            .read("list_facts", move |tx| {
                let project = load(tx, &scope, &name)?;
                let rows = fact::list(tx, &scope, project.id, None, limit)?;
                rows.into_iter().map(|chained| stored::fact(chained.row)).collect()
            })
            .await
    }

    /// A project's stored evaluations, newest first.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn list_evaluations(
        &self,
        caller: &Caller,
        name: &str,
        limit: i64,
    ) -> Result<Vec<StoredEvaluation>, Error> {
        let scope = self.authorise(caller, Operation::ReadProject)?;
        let name = name.to_owned();
        self.store()
            .read("list_evaluations", move |tx| {
                let project = load(tx, &scope, &name)?;
                let rows = evaluation::list(tx, &scope, project.id, limit)?;
                rows.into_iter().map(stored::evaluation).collect()
            })
            .await
    }

    /// One stored evaluation.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_evaluation(
        &self,
        caller: &Caller,
        id: viaduct_base::EvaluationId,
    ) -> Result<StoredEvaluation, Error> {
        let scope = self.authorise(caller, Operation::ReadProject)?;
        self.store()
            .read("get_evaluation", move |tx| {
                let row = evaluation::find(tx, &scope, id)?.ok_or_else(|| {
                    Refusal::new(Kind::NotFound, format!("there is no evaluation `{id}`"))
                })?;
                stored::evaluation(row)
            })
            .await
    }
}
