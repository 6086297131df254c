//! A project as verbs see it: the row read once into domain types.

use std::collections::BTreeMap;

use viaduct_base::{Error, Fault, Kind, ProjectId, Refusal, Timestamp};
use viaduct_domain::manifest::ProjectSpec;
use viaduct_domain::stage::{ShelveCause, Stage, Standing, State};
use viaduct_domain::tier::Tier;
use viaduct_store::project::{self, At, ProjectRow, StageChange};
use viaduct_store::section::{self, SectionRow};
use viaduct_store::{Scope, Tx};

/// A project, read.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its file, checked when it was applied.
    pub spec: ProjectSpec,
    /// Where it stands.
    pub standing: Standing,
    /// How strict its gates are.
    pub tier: Tier,
    /// The file's text.
    pub manifest: String,
    /// What was said when it was shelved, retired or frozen.
    pub note: Option<String>,
    /// When it was first applied.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Sections by key, each with its hash and since when.
    pub sections: BTreeMap<String, SectionRow>,
    pub(crate) revision: i64,
}

impl Project {
    /// The name.
    pub fn name(&self) -> &str {
        self.spec.name.as_str()
    }

    /// Since when a section is as it is; the project's beginning for one that never was.
    pub fn since(&self, section: &str) -> Timestamp {
        self.sections.get(section).map_or(self.created_at, |row| row.since)
    }

    pub(crate) fn at(&self) -> At {
        At { id: self.id, revision: self.revision }
    }

    /// Writes a standing that the domain's state machine gave; the only caller of the store's one
    /// statement that changes a stage.
    pub(crate) fn write_standing(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        to: Standing,
        note: Option<String>,
        now: Timestamp,
    ) -> Result<(), Error> {
        if to.stage == self.standing.stage {
            let note = note.as_deref();
            return Ok(project::change_state(tx, scope, self.at(), to.state.as_str(), note, now)?);
        }
        let change = StageChange {
            stage: to.stage.as_str().to_owned(),
            state: to.state.as_str().to_owned(),
            cause: to.stage.cause().map(|cause| cause.as_str().to_owned()),
            note,
            at: now,
        };
        Ok(project::change_stage(tx, scope, self.at(), &change)?)
    }
}

/// The project of that name or id.
///
/// # Errors
/// `not-found`; when the database does not answer.
pub fn load(tx: &mut Tx, scope: &Scope, name: &str) -> Result<Project, Error> {
    let row = match name.parse::<ProjectId>() {
        Ok(id) => project::find(tx, scope, id)?.filter(|row| row.removed_at.is_none()),
        Err(_) => project::find_by_name(tx, scope, name)?,
    };
    let row = row.ok_or_else(|| no_project(name))?;
    read(tx, scope, row)
}

/// Every project by name.
///
/// # Errors
/// When the database does not answer.
pub fn load_all(tx: &mut Tx, scope: &Scope) -> Result<Vec<Project>, Error> {
    project::list(tx, scope)?.into_iter().map(|row| read(tx, scope, row)).collect()
}

/// The refusal for a name that no project has.
fn no_project(name: &str) -> Refusal {
    Refusal::new(
        Kind::NotFound,
        format!("there is no project `{name}`: `viaduct get projects` shows which there are"),
    )
}

fn read(tx: &mut Tx, scope: &Scope, row: ProjectRow) -> Result<Project, Error> {
    let damaged = |what: &str| Fault::new(format!("project `{}` is stored with {what}", row.name));
    let spec: ProjectSpec = serde_json::from_str(&row.spec_json)
        .map_err(|e| Fault::caused(format!("project `{}`: its stored file", row.name), e))?;
    let cause = row.cause.as_deref().map(str::parse::<ShelveCause>).transpose();
    let cause = cause.map_err(|e| damaged(&e))?;
    let stage = Stage::from_parts(&row.stage, cause).ok_or_else(|| damaged("an unknown stage"))?;
    let state: State = row.state.parse().map_err(|e: String| damaged(&e))?;
    let tier: Tier = row.tier.parse().map_err(|e: String| damaged(&e))?;
    let sections = section::list(tx, scope, row.id)?;
    Ok(Project {
        id: row.id,
        spec,
        standing: Standing { project: row.id, stage, state, since: row.stage_since },
        tier,
        manifest: row.manifest,
        note: row.note,
        created_at: row.created_at,
        updated_at: row.updated_at,
        sections: sections.into_iter().map(|s| (s.section.clone(), s)).collect(),
        revision: row.revision,
    })
}
