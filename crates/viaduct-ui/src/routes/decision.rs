//! Decisions: a project's list, and one with everything that is known about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use viaduct_app::endpoint::EndpointView;
use viaduct_app::project::Project;
use viaduct_base::{ClockKind, DecisionId, Error, Fault};
use viaduct_decisions::DecisionRow as LogRow;
use viaduct_domain::assign::Variant;
use viaduct_domain::kpi::{self, OutcomeStatus};
use viaduct_store::outcome::OutcomeRow;

use super::map::{Units, decision as map, length, words};
use super::portfolio::endpoint_of;
use super::project::{decision_count, optional};
use super::serve::blocking;
use super::visit::Visit;
use super::{Answered, endpoint};
use crate::path;
use crate::view::{DecisionPage, DecisionsPage, Field, Outcome, Provenance};

/// Rows on a page.
const PAGE: usize = 50;
/// The list goes this far back; what is older is found by its key or its id.
const ROWS_MAX: usize = 5_000;

type Case = (LogRow, Option<OutcomeRow>);

/// The list.
pub(super) async fn list(visit: Arc<Visit>) -> Answered {
    let found = visit.app.get_project(&visit.caller, visit.param("project")).await?;
    let units = Units::of(&found.spec);
    let endpoint = endpoint_of(&visit, &found).await?;
    let (variant, key) = (visit.asked("variant"), visit.asked("key"));
    let page = visit.asked("page").parse::<usize>().unwrap_or(1).clamp(1, ROWS_MAX / PAGE);
    let (skip, until) = ((page - 1) * PAGE, page * PAGE);
    let cases = match &endpoint {
        None => Vec::new(),
        Some(endpoint) if !key.is_empty() => by_key(&visit, &found, endpoint, key).await?,
        // One more tells whether there are older ones; a filter may pass over many.
        Some(endpoint) => {
            let limit = if variant.is_empty() { until + 1 } else { ROWS_MAX };
            visit.app.recent_decisions(&visit.caller, &endpoint.name, limit).await?
        }
    };
    let mut cases: Vec<&Case> =
        cases.iter().filter(|(row, _)| variant.is_empty() || row.variant == variant).collect();
    let has_older = cases.len() > until && until < ROWS_MAX;
    cases.truncate(until);
    let href = |page: usize| {
        format!(
            "{}?variant={}&key={}&page={page}",
            path::decisions(found.name()),
            path::segment(variant),
            path::segment(key)
        )
    };
    visit.page(&DecisionsPage {
        shell: visit.shell(),
        project: found.name().to_owned(),
        project_title: found.spec.title.clone(),
        rows: cases
            .into_iter()
            .skip(skip)
            .map(|(row, outcome)| map::row(row, outcome.as_ref(), &units.kpi))
            .collect(),
        total: endpoint.as_ref().map_or(0, decision_count),
        variant: variant.to_owned(),
        variants: ["champion", "holdout", "shadow"].map(str::to_owned).into(),
        key: key.to_owned(),
        older_href: has_older.then(|| href(page + 1)),
        newest_href: (page > 1).then(|| href(1)),
    })
}

/// Decisions with this business key, under whichever of the endpoint's key fields.
async fn by_key(
    visit: &Visit,
    found: &Project,
    endpoint: &EndpointView,
    value: &str,
) -> Result<Vec<Case>, Error> {
    let keys = found.spec.endpoint.as_ref().map(|e| e.keys.clone()).unwrap_or_default();
    let (log, id, value) = (visit.app.decisions().clone(), endpoint.id, value.to_owned());
    let read = blocking("read the decision log", move || {
        keys.iter().map(|key| log.by_key(id, key, &value)).collect::<Result<Vec<_>, _>>()
    });
    let rows = read.await?.map_err(|e| Fault::caused("read the decision log", e))?;
    let mut cases = Vec::new();
    for row in rows.into_iter().flatten().take(PAGE) {
        let (row, outcomes) = visit.app.get_decision(&visit.caller, row.id).await?;
        let current = counting(&outcomes, visit).and_then(|place| outcomes.get(place).cloned());
        cases.push((row, current));
    }
    Ok(cases)
}

/// Which report counts now, by the KPI's own rule.
fn counting(outcomes: &[OutcomeRow], visit: &Visit) -> Option<usize> {
    let history: Vec<kpi::Outcome> = outcomes
        .iter()
        .map(|row| kpi::Outcome {
            label: None,
            value: row.value,
            observed_at: row.observed_at,
            status: match row.status.as_str() {
                "partial" => OutcomeStatus::Partial,
                "corrected" => OutcomeStatus::Corrected,
                _ => OutcomeStatus::Final,
            },
        })
        .collect();
    let counts = kpi::outcome_at(&history, visit.app.now())?;
    history.iter().position(|outcome| std::ptr::eq(outcome, counts))
}

/// One decision.
pub(super) async fn show(visit: Arc<Visit>) -> Answered {
    let id: DecisionId = visit.id("decision")?;
    let (row, outcomes) = visit.app.get_decision(&visit.caller, id).await?;
    let project = match row.project {
        Some(id) => optional(visit.app.get_project(&visit.caller, &id.to_string()).await)?,
        None => None,
    };
    let serving = optional(visit.app.get_endpoint(&visit.caller, &row.endpoint_name).await)?;
    let units = project.as_ref().map(|p| Units::of(&p.spec)).unwrap_or_default();
    let trial = match row.trial {
        Some(id) => optional(visit.app.get_trial(&visit.caller, id).await)?,
        None => None,
    };
    let in_trial = trial.map(|trial| format!("of trial {}", trial.name)).unwrap_or_default();
    let counts = counting(&outcomes, &visit);
    let reports = outcomes.iter().enumerate().rev();
    let kpi = project.as_ref().and_then(|p| p.spec.primary_kpi());
    visit.page(&DecisionPage {
        shell: visit.shell(),
        id: id.to_string(),
        project: project.as_ref().map(|p| p.name().to_owned()),
        endpoint: row.endpoint_name.clone(),
        at: row.at,
        provenance: provenance(&row),
        stage: words(&row.stage),
        consumer: consumer(&row, serving.as_ref()),
        entity_hash: row.entity_hash.clone(),
        keys: row.keys.iter().map(|(name, value)| Field::new(name, value)).collect(),
        variant: row.variant.clone(),
        assignment: row.bucket.map(|bucket| {
            format!("bucket {} {in_trial}", crate::fmt::count(i64::from(bucket))).trim().to_owned()
        }),
        flags: row.flags.iter().map(|flag| map::flag(*flag).to_owned()).collect(),
        model: if row.model.is_empty() { "none".to_owned() } else { row.model.clone() },
        model_version: if row.model.is_empty() {
            String::new()
        } else {
            row.model_version.to_string()
        },
        contract_hash: row.contract_hash.as_ref().map(ToString::to_string).unwrap_or_default(),
        rule_hash: row.rule_hash.as_ref().map(ToString::to_string),
        latency_us: i64::try_from(row.latency_us).unwrap_or(i64::MAX),
        inputs: inputs(&row, project.as_ref()),
        output: row.output.as_ref().map(map::members).unwrap_or_default(),
        incumbent: row.incumbent.as_ref().map(map::text),
        action_reason: reason(&row),
        model_action: row.model_action,
        action: row.action,
        outcomes: reports.map(|(n, o)| outcome(o, &units.kpi, counts == Some(n))).collect(),
        outcome_due: kpi.map(|kpi| format!("final {} after the decision", length(kpi.maturity))),
    })
}

fn provenance(row: &LogRow) -> Provenance {
    match (row.replayed, row.clock) {
        (true, _) => Provenance::Replayed,
        (false, ClockKind::Simulated) => Provenance::Simulated,
        (false, ClockKind::System) => Provenance::Live,
    }
}

fn consumer(row: &LogRow, serving: Option<&EndpointView>) -> Option<String> {
    let id = row.consumer?;
    let known = serving.and_then(endpoint::consumers).unwrap_or_default();
    let name = known.iter().find(|consumer| consumer.id == id).map(|c| c.name.clone());
    Some(name.unwrap_or_else(|| id.to_string()))
}

/// In the contract's order, what the contract does not name behind.
fn inputs(row: &LogRow, project: Option<&Project>) -> Vec<Field> {
    let contract = project.and_then(|project| project.spec.contract.as_ref());
    let order: BTreeMap<&str, usize> = contract
        .map(|contract| contract.field_names().enumerate().map(|(n, name)| (name, n)).collect())
        .unwrap_or_default();
    let mut inputs: Vec<_> = row.inputs.iter().collect();
    inputs.sort_by_key(|(name, _)| order.get(name.as_str()).copied().unwrap_or(usize::MAX));
    inputs.into_iter().map(|(name, value)| Field::new(name, map::text(value))).collect()
}

/// Why something else was done than the rule says.
fn reason(row: &LogRow) -> Option<String> {
    let why = match Variant::from_word(&row.variant) {
        Some(Variant::Shadow) => "shadow: business as usual was answered",
        Some(Variant::Holdout) => "holdout: business as usual was answered",
        _ if row.model_action.as_deref() != Some(row.action.as_str()) => {
            "business as usual was answered"
        }
        _ => return None,
    };
    Some(why.to_owned())
}

fn outcome(row: &OutcomeRow, unit: &str, current: bool) -> Outcome {
    Outcome {
        observed_at: row.observed_at,
        occurred_at: row.occurred_at,
        status: row.status.clone(),
        label: map::label(row),
        value: row.value,
        unit: unit.to_owned(),
        source: row.source.clone(),
        current,
    }
}
