//! Registered models: the list, and one with its versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use viaduct_app::endpoint::EndpointView;
use viaduct_app::mlflow::{PageRequest, Query, VersionView};
use viaduct_base::{Error, Fault};

use super::Answered;
use super::experiments::{Found, address, page_request};
use super::map::change::change;
use super::project::optional;
use super::serve::blocking;
use super::visit::Visit;
use crate::path;
use crate::view::{Field, MadeBy, ModelLine, ModelPage, ModelsPage, VersionLine};

/// Models on a page.
const PAGE: i64 = 100;
/// Versions on a model's page; older ones are found by their runs.
const VERSIONS: usize = 100;
/// Changes on a model's page.
const CHANGES: usize = 50;
/// Decisions of an endpoint that are looked through for their version.
const COUNTED: usize = 5_000;

/// The registered model that an endpoint asks for.
fn serves(endpoint: &EndpointView, model: &str) -> bool {
    let asked = endpoint.model.rsplit_once(['@', '/']).map_or(endpoint.model.as_str(), |(m, _)| m);
    asked == model
}

/// The list.
pub(super) async fn list(visit: Arc<Visit>) -> Answered {
    let filter = visit.asked("filter").to_owned();
    let page = page_request(&visit, PAGE);
    let is_first = page.token.is_none();
    let query = Query { filter: filter.clone(), order_by: Vec::new(), page };
    let found = visit.app.search_registered_models(&visit.caller, query).await;
    let found = Found::of(found)?;
    let endpoints = visit.app.list_endpoints(&visit.caller).await?;
    let href = |token: &str| address(path::MODELS, &[("filter", &filter), ("page", token)]);
    let status = found.status();
    let rows = found.items.into_iter().map(|model| {
        let latest = model.latest_versions.iter().map(|v| v.row.version).max();
        let serving = endpoints.iter().filter(|e| serves(e, &model.row.name));
        ModelLine {
            endpoints: serving.map(|e| e.name.clone()).collect(),
            aliases: model.aliases.into_iter().map(|a| (a.alias, a.version)).collect(),
            name: model.row.name,
            description: model.row.description.filter(|text| !text.is_empty()),
            latest,
            updated_at: model.row.updated_at,
        }
    });
    let page = ModelsPage {
        shell: visit.shell(),
        problem: found.problem,
        rows: rows.collect(),
        next_href: found.next.as_deref().map(href),
        first_href: (!is_first).then(|| href("")),
        filter: filter.clone(),
    };
    visit.page_with(status, &page)
}

/// The page of one.
pub(super) async fn show(visit: Arc<Visit>) -> Answered {
    let (app, caller) = (&visit.app, &visit.caller);
    let model = app.get_registered_model(caller, visit.param("model")).await?;
    let name = model.row.name.clone();
    let mut versions = versions(&visit, &name).await?;
    let unshown = versions.len().saturating_sub(VERSIONS);
    versions.truncate(VERSIONS);
    let mut endpoints = app.list_endpoints(caller).await?;
    endpoints.retain(|endpoint| serves(endpoint, &name));
    let (counts, counted) = decisions(&visit, &name, &endpoints).await?;
    let mut lines = Vec::new();
    for found in versions {
        let number = found.row.version;
        let serving = endpoints.iter().filter(|e| e.version == Some(number));
        let serving = serving.map(|e| e.name.clone()).collect();
        let decisions = counts.get(&number).copied().unwrap_or_default();
        lines.push(line(&visit, found, (serving, decisions)).await?);
    }
    let changes = app.list_changes(caller, &format!("model:{name}"), (None, Some(CHANGES))).await?;
    visit.page(&ModelPage {
        shell: visit.shell(),
        description: model.row.description.filter(|text| !text.is_empty()),
        created_at: model.row.created_at,
        updated_at: model.row.updated_at,
        versions: lines,
        unshown,
        aliases: model.aliases.into_iter().map(|a| (a.alias, a.version, a.set_at)).collect(),
        endpoints: endpoints.into_iter().map(|e| (e.name, e.model)).collect(),
        counted,
        tags: model.tags.iter().map(|tag| Field::new(&tag.key, &tag.value)).collect(),
        changes: changes.items.iter().map(change).collect(),
        name,
    })
}

/// Every version, newest first.
async fn versions(visit: &Visit, name: &str) -> Result<Vec<VersionView>, Error> {
    // A name with both quotes cannot be said in a filter; no client can register one.
    let quote = if name.contains('\'') { '"' } else { '\'' };
    let query = Query {
        filter: format!("name = {quote}{name}{quote}"),
        order_by: vec!["version_number DESC".to_owned()],
        page: PageRequest::default(),
    };
    Ok(visit.app.search_model_versions(&visit.caller, query).await?.items)
}

type Counts = (BTreeMap<i64, i64>, Option<i64>);

/// Decisions by version among the latest of each endpoint, and how many those were when there are
/// more. Why not all: each is read from the log.
async fn decisions(visit: &Visit, name: &str, endpoints: &[EndpointView]) -> Result<Counts, Error> {
    let (log, name) = (visit.app.decisions().clone(), name.to_owned());
    let all: u64 = endpoints.iter().flat_map(|e| &e.days).map(|day| day.decisions).sum();
    let ids: Vec<_> = endpoints.iter().map(|endpoint| endpoint.id).collect();
    let read = blocking("count decisions", move || {
        let (mut counts, mut read) = (BTreeMap::new(), 0u64);
        for id in ids {
            for row in log.recent(id, COUNTED)? {
                read += 1;
                if row.model == name {
                    *counts.entry(row.model_version).or_default() += 1;
                }
            }
        }
        Ok::<_, viaduct_decisions::LogError>((counts, read))
    });
    let (counts, read) = read.await?.map_err(|e| Fault::caused("count decisions", e))?;
    Ok((counts, (read < all).then_some(COUNTED as i64)))
}

async fn line(
    visit: &Visit,
    found: VersionView,
    (endpoints, decisions): (Vec<String>, i64),
) -> Result<VersionLine, Error> {
    let row = found.row;
    let made_by = match row.run_id {
        Some(run_id) => Some(made_by(visit, run_id).await?),
        None => None,
    };
    let status = || row.status_message.clone().filter(|text| !text.is_empty());
    let not_ready = (row.status != "READY").then(|| status().unwrap_or_else(|| row.status.clone()));
    Ok(VersionLine {
        version: row.version,
        aliases: found.aliases,
        stage: Some(row.current_stage).filter(|stage| stage != "None" && !stage.is_empty()),
        not_ready,
        description: row.description.filter(|text| !text.is_empty()),
        created_at: row.created_at,
        user: row.user_name,
        source: row.source,
        made_by,
        endpoints,
        decisions,
        tags: found.tags.iter().map(|tag| Field::new(&tag.key, &tag.value)).collect(),
    })
}

async fn made_by(visit: &Visit, run_id: String) -> Result<MadeBy, Error> {
    let Some(run) = optional(visit.app.get_run(&visit.caller, &run_id).await)? else {
        return Ok(MadeBy { run_id, run: None, experiment: None, datasets: Vec::new() });
    };
    let experiment = visit.app.get_experiment(&visit.caller, &run.row.experiment_id).await;
    let inputs = run.parts.inputs.into_iter().map(|input| (input.name, input.digest));
    Ok(MadeBy {
        run_id,
        experiment: optional(experiment)?.map(|e| (e.row.experiment_id, e.row.name)),
        datasets: inputs.collect(),
        run: Some(run.row.name),
    })
}
