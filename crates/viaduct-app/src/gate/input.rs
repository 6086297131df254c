//! What an evaluation stands on: the current thing of each kind, the latest facts, the waivers.

use std::collections::BTreeMap;

use viaduct_base::{Error, Timestamp};
use viaduct_domain::evaluate::{CurrentSubject, EvaluationInput, Names};
use viaduct_domain::fact::SubjectKind;
use viaduct_store::binding::{self, BindingRow};
use viaduct_store::endpoint::{self, EndpointRow};
use viaduct_store::trial::{self, TrialRow};
use viaduct_store::{Scope, Tx, fact, waiver};

use super::stored;
use crate::App;
use crate::project::Project;

/// The rows around a project that subjects are named by.
pub struct Ground {
    /// The project's endpoint.
    pub endpoint: Option<EndpointRow>,
    /// The version behind it.
    pub binding: Option<BindingRow>,
    /// Every registered trial.
    pub trials: Vec<TrialRow>,
}

impl Ground {
    /// Reads them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn read(tx: &mut Tx, scope: &Scope, project: &Project) -> Result<Self, Error> {
        let endpoints = endpoint::list_by_project(tx, scope, project.id)?;
        let endpoint = endpoints.into_iter().find(|row| row.removed_at.is_none());
        let binding = match &endpoint {
            Some(row) => binding::find(tx, scope, row.id)?,
            None => None,
        };
        let trials = trial::list(tx, scope, project.id)?;
        Ok(Self { endpoint, binding, trials })
    }

    /// The latest registered trial.
    pub fn trial(&self) -> Option<&TrialRow> {
        self.trials.iter().max_by_key(|row| (row.registered_at, row.id))
    }

    /// The input of an evaluation at `now`.
    pub(crate) fn input(
        &self,
        app: &App,
        tx: &mut Tx,
        scope: &Scope,
        project: &Project,
        now: Timestamp,
    ) -> Result<EvaluationInput, Error> {
        let spec = &project.spec;
        let names = Names {
            project: project.name().to_owned(),
            endpoint: self.endpoint.as_ref().map(|row| row.name.clone()),
            model: spec.endpoint.as_ref().map(|e| e.model.name.clone()),
            kpi: spec.primary_kpi().map(|kpi| kpi.name.to_string()),
        };
        let mut input = EvaluationInput::new(project.id, names, project.tier, now);
        input.purposes = spec.tier.iter().flat_map(|t| t.purpose_flags.iter().copied()).collect();
        input.subjects = current_subjects(project, self);
        input.shadow_margin = spec.endpoint.as_ref().map_or(0.0, |e| e.shadow_margin);
        for row in fact::latest(tx, scope, project.id)? {
            input.facts.push(stored::fact(row)?);
        }
        for row in waiver::list(tx, scope, project.id)? {
            input.waivers.extend(stored::waiver(&row, app.policy())?);
        }
        Ok(input)
    }
}

/// The current thing of each kind, with the moment since which it is as it is. A changed section
/// is another thing: its id carries its hash.
pub fn current_subjects(
    project: &Project,
    ground: &Ground,
) -> BTreeMap<SubjectKind, CurrentSubject> {
    let mut subjects = BTreeMap::new();
    let mut put = |kind, id: String, since| {
        subjects.insert(kind, CurrentSubject::new(id, since));
    };
    put(SubjectKind::Project, project.id.to_string(), project.created_at);
    let sections = [
        (SubjectKind::Charter, "charter", true),
        (SubjectKind::Kpi, "kpis", true),
        (SubjectKind::Contract, "contract", project.spec.contract.is_some()),
        (SubjectKind::Rule, "rule", project.spec.rule.is_some()),
    ];
    for (kind, key, exists) in sections {
        if let Some(row) = project.sections.get(key).filter(|_| exists) {
            put(kind, format!("{key}@{}", &row.hash[..12.min(row.hash.len())]), row.since);
        }
    }
    if project.spec.trial.is_some()
        && let (Some(trial), Some(costs)) =
            (project.sections.get("trial"), project.sections.get("costs"))
    {
        let short = |hash: &str| hash.chars().take(12).collect::<String>();
        let id = format!("plan@{}.{}", short(&trial.hash), short(&costs.hash));
        put(SubjectKind::Plan, id, trial.since.max(costs.since));
    }
    if let Some(endpoint) = &ground.endpoint {
        put(SubjectKind::Endpoint, endpoint.id.to_string(), endpoint.created_at);
    }
    if let Some(bound) = &ground.binding {
        put(
            SubjectKind::ModelVersion,
            format!("{}/{}", bound.model_name, bound.version),
            bound.bound_at,
        );
    }
    if let Some(trial) = ground.trial() {
        put(SubjectKind::Trial, trial.id.to_string(), trial.registered_at);
    }
    subjects
}
