//! All projects; before the first one, what to do next.

use std::collections::BTreeMap;
use std::sync::Arc;

use viaduct_app::endpoint::EndpointView;
use viaduct_app::mlflow::{PageRequest, Query, RunQuery, View};
use viaduct_app::project::Project;
use viaduct_base::Error;
use viaduct_domain::evaluate::Evaluation;
use viaduct_domain::permission::Operation;

use super::answer::Answer;
use super::map::{effect, gate, stage, state, traffic};
use super::visit::Visit;
use super::{Answered, project};
use crate::path;
use crate::view::{PortfolioPage, ProjectRow, WelcomePage};

/// The portfolio, or the first-run page.
pub(super) async fn show(visit: Arc<Visit>) -> Answered {
    if let Some(target) = path::search_target(visit.asked("q")) {
        return Ok(Answer::see(target));
    }
    let projects = visit.app.evaluate_portfolio(&visit.caller).await?;
    if projects.is_empty() {
        return welcome(&visit).await;
    }
    let endpoints = visit.app.list_endpoints(&visit.caller).await?;
    let endpoints: BTreeMap<String, EndpointView> =
        endpoints.into_iter().map(|endpoint| (endpoint.name.clone(), endpoint)).collect();
    let mut rows = Vec::with_capacity(projects.len());
    for (found, evaluation) in &projects {
        let endpoint = found.spec.endpoint.as_ref().and_then(|e| endpoints.get(e.name.as_str()));
        rows.push(row(&visit, found, evaluation.as_ref(), endpoint).await?);
    }
    visit.page(&PortfolioPage { shell: visit.shell(), projects: rows })
}

async fn row(
    visit: &Visit,
    found: &Project,
    evaluation: Option<&Evaluation>,
    endpoint: Option<&EndpointView>,
) -> Result<ProjectRow, Error> {
    let estimates = visit.app.list_estimates(&visit.caller, found.name()).await?;
    let (met, total) = evaluation.map_or((0, 0), Evaluation::progress);
    let today = visit.app.now().day();
    Ok(ProjectRow {
        name: found.name().to_owned(),
        title: found.spec.title.clone(),
        owner: found.spec.charter.business_owner.as_ref().map(ToString::to_string),
        stage: stage(found.standing.stage),
        state: state(&found.standing),
        tier: found.tier.to_string(),
        gate: evaluation.map(|evaluation| evaluation.gate.to_string()),
        met,
        total,
        blocker: evaluation.and_then(gate::blocker),
        blockers: evaluation.map_or(0, |evaluation| evaluation.blockers.len()),
        effect: effect::current(&estimates),
        per_day: endpoint.map(|e| traffic::per_day(&e.days, today)).unwrap_or_default(),
    })
}

async fn welcome(visit: &Visit) -> Answered {
    visit.page(&WelcomePage {
        shell: visit.shell(),
        server: visit.server.clone(),
        has_user: visit.app.has_users(),
        has_run: has_run(visit).await?,
        has_model: has_model(visit).await?,
    })
}

fn one() -> Query {
    let page = PageRequest { max_results: Some(1), token: None };
    Query { page, ..Query::default() }
}

async fn has_run(visit: &Visit) -> Result<bool, Error> {
    if !visit.may(Operation::ReadTracking) {
        return Ok(false);
    }
    let all = Query::default();
    let found = visit.app.search_experiments(&visit.caller, all, View::Active).await?;
    let ids = found.items.into_iter().map(|found| found.row.experiment_id.to_string()).collect();
    let wanted = RunQuery { experiment_ids: ids, query: one(), view: View::Active };
    Ok(!visit.app.search_runs(&visit.caller, wanted).await?.items.is_empty())
}

async fn has_model(visit: &Visit) -> Result<bool, Error> {
    if !visit.may(Operation::ReadRegistry) {
        return Ok(false);
    }
    Ok(!visit.app.search_registered_models(&visit.caller, one()).await?.items.is_empty())
}

/// What a project's page and its neighbours ask of an endpoint that may not exist yet.
pub(super) async fn endpoint_of(
    visit: &Visit,
    found: &Project,
) -> Result<Option<EndpointView>, Error> {
    let Some(spec) = &found.spec.endpoint else { return Ok(None) };
    project::optional(visit.app.get_endpoint(&visit.caller, spec.name.as_str()).await)
}
