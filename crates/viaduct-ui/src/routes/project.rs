//! One project's page, and measuring it now.

use std::sync::Arc;

use viaduct_app::endpoint::EndpointView;
use viaduct_app::gate::GateView;
use viaduct_app::project::Project;
use viaduct_app::trial::TrialView;
use viaduct_base::{Error, Kind};
use viaduct_decisions::DecisionRow as LogRow;
use viaduct_domain::fact::{FactName, FactValue};
use viaduct_domain::permission::Operation;
use viaduct_domain::tier::tier;
use viaduct_store::estimate::EstimateRow;
use viaduct_store::outcome::OutcomeRow;

use super::answer::Answer;
use super::map::{self, Units, decision, effect, gate, history, kpi, review, traffic, trial};
use super::portfolio::endpoint_of;
use super::visit::Visit;
use super::{Answered, endpoint};
use crate::path;
use crate::view::{
    Department, EndpointRef, HistoryEntry, Kpi, PersonRole, ProjectPage, Stage, Trial,
};

/// Decisions under the page.
const DECISIONS: usize = 8;
/// Things that happened, beside the page.
const HISTORY: i64 = 30;
/// Cases read to count a trial's units. Above it the counts wait for the look.
const CASES_MAX: u64 = 20_000;

/// What is not there is nothing; everything else stays an error.
pub(super) fn optional<T>(found: Result<T, Error>) -> Result<Option<T>, Error> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Error::Refused(refusal))
            if matches!(refusal.kind, Kind::NotFound | Kind::StageForbids) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The page.
pub(super) async fn show(visit: Arc<Visit>) -> Answered {
    let (app, caller) = (&visit.app, &visit.caller);
    let found = app.get_project(caller, visit.param("project")).await?;
    let (name, now) = (found.name(), app.now());
    let units = Units::of(&found.spec);
    let gate = optional(app.evaluate_gate(caller, name).await)?;
    let estimates = app.list_estimates(caller, name).await?;
    let trials = app.list_trials(caller, name).await?;
    let (waivers, _) = app.list_waivers(caller, name).await?;
    let endpoint = endpoint_of(&visit, &found).await?;
    let decisions = latest(&visit, endpoint.as_ref(), &units).await?;
    let open = gate.as_ref().and_then(|gate| gate.review.as_ref());
    let is_live = found.standing.stage.is_live();
    let page = ProjectPage {
        shell: visit.shell(),
        name: name.to_owned(),
        title: found.spec.title.clone(),
        problem: found.spec.charter.problem.clone(),
        purpose: found.spec.charter.purpose.clone(),
        stage: map::stage(found.standing.stage),
        stage_since: Some(found.standing.since),
        state: map::state(&found.standing),
        end_cause: end_cause(&found),
        tier: found.tier.to_string(),
        tier_reasons: tier_reasons(&found),
        endpoint: endpoint.as_ref().map(|endpoint| endpoint_ref(&visit, endpoint)),
        effect: effect::current(&estimates),
        gate: gate.as_ref().map(|gate| next_gate(&visit, gate, &units)),
        review: open.map(|open| review::review(&visit, &found, open)),
        ask: review::ask(&visit, &found, gate.as_ref()),
        may_collect: is_live && visit.may(Operation::CollectFacts),
        waivers: review::waivers(&visit, &found, waivers, now),
        kpis: kpis(&visit, &found, &trials).await?,
        trial: latest_trial(&visit, &trials, &estimates, endpoint.as_ref()).await?,
        decisions,
        decision_count: endpoint.as_ref().map_or(0, decision_count),
        outcomes_joined: outcomes_joined(&visit, name).await?,
        people: people(&visit, &found).await?,
        departments: departments(&found),
        history: what_happened(&visit, name).await?,
    };
    visit.page(&page)
}

/// Measures now, and comes back when it is done.
pub(super) async fn collect(visit: Arc<Visit>) -> Answered {
    let name = visit.param("project");
    let facts = visit.app.collect_facts(&visit.caller, name).await?;
    let done = format!("Measured: {} facts are known.", facts.len());
    Ok(Answer::done(path::project(name), done))
}

/// All decisions of an endpoint.
pub(super) fn decision_count(endpoint: &EndpointView) -> i64 {
    let count: u64 = endpoint.days.iter().map(|day| day.decisions).sum();
    i64::try_from(count).unwrap_or(i64::MAX)
}

async fn latest(
    visit: &Visit,
    endpoint: Option<&EndpointView>,
    units: &Units,
) -> Result<Vec<crate::view::DecisionRow>, Error> {
    let Some(endpoint) = endpoint else { return Ok(Vec::new()) };
    let rows = visit.app.recent_decisions(&visit.caller, &endpoint.name, DECISIONS).await?;
    Ok(rows.iter().map(|(row, outcome)| decision::row(row, outcome.as_ref(), &units.kpi)).collect())
}

fn endpoint_ref(visit: &Visit, endpoint: &EndpointView) -> EndpointRef {
    EndpointRef {
        name: endpoint.name.clone(),
        mode: endpoint::mode(endpoint).to_owned(),
        model: endpoint::model(endpoint),
        per_day: traffic::per_day(&endpoint.days, visit.app.now().day()),
    }
}

fn next_gate(visit: &Visit, found: &GateView, units: &Units) -> crate::view::Gate {
    let mut gate = gate::gate(&visit.app, &found.evaluation, units);
    // Why only under review: what is shown otherwise was made for this answer and is not stored.
    gate.evaluation_id = found.review.as_ref().map(|review| review.evaluation.to_string());
    gate
}

fn end_cause(found: &Project) -> Option<String> {
    let stage = found.standing.stage;
    let cause = stage.cause().map(|cause| format!("Cause: {}.", map::words(cause.as_str())));
    let note = found.note.clone().filter(|_| map::stage(stage).step().is_none());
    match (cause, note) {
        (Some(cause), Some(note)) => Some(format!("{cause} {note}")),
        (cause, note) => cause.or(note).or((map::stage(stage) == Stage::Retired).then(String::new)),
    }
}

fn tier_reasons(found: &Project) -> Vec<String> {
    let why = found.spec.tier.as_ref().and_then(|inputs| tier(inputs).ok());
    why.map(|(_, why)| why).into_iter().collect()
}

async fn kpis(visit: &Visit, found: &Project, trials: &[TrialView]) -> Result<Vec<Kpi>, Error> {
    let mut kpis = Vec::new();
    for spec in &found.spec.kpis {
        let key = (found.name().to_owned(), spec.name.to_string());
        let Some(series) = optional(visit.app.kpi_series(&visit.caller, key).await)? else {
            continue;
        };
        kpis.push(kpi::kpi(found.name(), spec, &series, trials));
    }
    kpis.sort_by_key(|kpi| !kpi.primary);
    Ok(kpis)
}

async fn latest_trial(
    visit: &Visit,
    trials: &[TrialView],
    estimates: &[EstimateRow],
    endpoint: Option<&EndpointView>,
) -> Result<Option<Trial>, Error> {
    let Some(latest) = trials.first() else { return Ok(None) };
    let cases = match endpoint {
        Some(endpoint) => cases_of(visit, latest, endpoint).await?,
        None => Vec::new(),
    };
    Ok(Some(trial::trial(latest, estimates, &cases, visit.app.now())))
}

/// The decisions since the trial began, with their latest outcomes; none when there are too many
/// for a page.
async fn cases_of(
    visit: &Visit,
    latest: &TrialView,
    endpoint: &EndpointView,
) -> Result<Vec<(LogRow, Option<OutcomeRow>)>, Error> {
    let from = latest.registered.starts_at.day();
    let since = endpoint.days.iter().filter(|day| day.day >= from);
    let count: u64 = since.map(|day| day.decisions).sum();
    if count == 0 || count > CASES_MAX {
        return Ok(Vec::new());
    }
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    visit.app.recent_decisions(&visit.caller, &endpoint.name, limit).await
}

async fn outcomes_joined(visit: &Visit, name: &str) -> Result<Option<f64>, Error> {
    let facts = visit.app.list_facts(&visit.caller, name, 300).await?;
    let joined = facts.iter().find(|fact| fact.name == FactName::OutcomeJoinedShare);
    Ok(joined.and_then(|fact| match fact.value {
        FactValue::Scalar { value } => Some(value),
        FactValue::Interval { .. } | FactValue::Flag { .. } => None,
    }))
}

async fn people(visit: &Visit, found: &Project) -> Result<Vec<PersonRole>, Error> {
    let users = visit.app.list_users(&visit.caller).await?;
    let problem = |name: &str| match users.iter().find(|user| user.name == name) {
        None => Some("no such user yet".to_owned()),
        Some(user) if user.disabled_at.is_some() => Some("disabled".to_owned()),
        Some(_) => None,
    };
    let named = found.spec.charter.people().map(|(role, name)| PersonRole {
        role: role.trim_end_matches('s').to_owned(),
        problem: problem(name.as_str()),
        name: name.to_string(),
    });
    Ok(named.collect())
}

fn departments(found: &Project) -> Vec<Department> {
    let all = found.spec.departments.iter().map(|department| Department {
        name: department.name.to_string(),
        target_users: department.target_users.map(i64::from),
    });
    all.collect()
}

async fn what_happened(visit: &Visit, name: &str) -> Result<Vec<HistoryEntry>, Error> {
    if !visit.may(Operation::ReadAudit) {
        return Ok(Vec::new());
    }
    let (app, caller) = (&visit.app, &visit.caller);
    let rows = app.list_audit(caller, Some(name.to_owned()), HISTORY).await?;
    let evaluations = app.list_evaluations(caller, name, HISTORY).await?;
    Ok(rows.iter().map(|chained| history::entry(&chained.row, &evaluations)).collect())
}
