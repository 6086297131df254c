//! Lists projects and shows one.

use serde::Serialize;
use viaduct_base::{Error, ProjectId, Timestamp};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_domain::stage::{Stage, State};
use viaduct_domain::tier::Tier;

use super::{Project, load, load_all};
use crate::App;

/// A project in a list.
#[derive(Debug, Clone, Serialize)]
pub struct ProjectSummary {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// How far it reaches.
    #[serde(flatten)]
    pub standing: StageView,
    /// How strict its gates are.
    pub tier: Tier,
    /// Who champions it.
    pub business_owner: Option<String>,
    /// Who answers for the model.
    pub technical_owner: Option<String>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Where a project stands, in words.
#[derive(Debug, Clone, Serialize)]
pub struct StageView {
    /// The stage.
    pub stage: &'static str,
    /// Why it was shelved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'static str>,
    /// What is going on there.
    pub state: State,
    /// Since when it has been at this stage.
    pub stage_since: Timestamp,
}

impl StageView {
    fn of(project: &Project) -> Self {
        let stage: Stage = project.standing.stage;
        Self {
            stage: stage.as_str(),
            cause: stage.cause().map(|cause| cause.as_str()),
            state: project.standing.state,
            stage_since: project.standing.since,
        }
    }
}

impl ProjectSummary {
    /// The list entry of a project.
    pub fn of(project: &Project) -> Self {
        let charter = &project.spec.charter;
        Self {
            id: project.id,
            name: project.name().to_owned(),
            title: project.spec.title.clone(),
            standing: StageView::of(project),
            tier: project.tier,
            business_owner: charter.business_owner.as_ref().map(ToString::to_string),
            technical_owner: charter.technical_owner.as_ref().map(ToString::to_string),
            updated_at: project.updated_at,
        }
    }
}

impl App {
    /// Every project by name.
    ///
    /// # Errors
    /// The table's refusal; a database that does not answer.
    pub async fn list_projects(&self, caller: &Caller) -> Result<Vec<Project>, Error> {
        let scope = self.authorise(caller, Operation::ReadProject)?;
        self.store().read("list_projects", move |tx| load_all(tx, &scope)).await
    }

    /// One project by name or id.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_project(&self, caller: &Caller, name: &str) -> Result<Project, Error> {
        let scope = self.authorise(caller, Operation::ReadProject)?;
        let name = name.to_owned();
        self.store().read("get_project", move |tx| load(tx, &scope, &name)).await
    }
}
