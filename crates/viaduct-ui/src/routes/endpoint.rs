//! One endpoint's page, and keys for its consumers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use viaduct_app::endpoint::EndpointView;
use viaduct_app::project::Project;
use viaduct_base::{ConsumerId, Error, Timestamp};
use viaduct_domain::contract::{Availability, Contract, Field as Column, LogicalType};
use viaduct_domain::permission::Operation;
use viaduct_gateway::{ConsumerSnapshot, EndpointSnapshot, Mode};

use super::Answered;
use super::map::traffic::{Traffic, latency, read};
use super::map::{Units, decision};
use super::project::optional;
use super::serve::blocking;
use super::visit::Visit;
use crate::view::{Consumer, EndpointPage, Field, NewKey, Tried};

/// Decisions under the page.
const DECISIONS: usize = 8;

/// The word for how an endpoint answers now.
pub(super) fn mode(endpoint: &EndpointView) -> &'static str {
    match &endpoint.mode {
        Some(Mode::Unowned) => "unowned",
        Some(Mode::Shadow) => "shadow",
        Some(Mode::Trial { .. }) => "trial",
        Some(Mode::Champion { .. }) => "champion",
        None => "not in service",
    }
}

/// The version that it serves.
pub(super) fn model(endpoint: &EndpointView) -> Option<String> {
    let version = endpoint.version?;
    let name = endpoint.model.split(['@', '/']).next().unwrap_or(&endpoint.model);
    Some(format!("{name} version {version}"))
}

/// Its consumers as they are in service.
pub(super) fn consumers(endpoint: &EndpointView) -> Option<&[ConsumerSnapshot]> {
    endpoint.serving.as_ref().map(|serving| serving.consumers.as_slice())
}

/// The page.
pub(super) async fn show(visit: Arc<Visit>) -> Answered {
    let name = visit.param("endpoint").to_owned();
    let page = page(&visit, &name, None, None).await?;
    visit.page(&page)
}

/// Makes a key, and shows it on the page that answers: there is no second time.
pub(super) async fn consumer(visit: Arc<Visit>) -> Answered {
    let endpoint = visit.param("endpoint").to_owned();
    let name = visit.name_field("name")?;
    let made =
        visit.app.create_consumer(&visit.caller, &endpoint, name, Default::default()).await?;
    let key = NewKey { consumer: made.name, key: made.key.expose().clone() };
    let page = page(&visit, &endpoint, Some(key), None).await?;
    visit.page(&page)
}

/// The page, with a key just made or a request just tried.
pub(super) async fn page(
    visit: &Visit,
    name: &str,
    new_key: Option<NewKey>,
    tried: Option<Tried>,
) -> Result<EndpointPage, Error> {
    let found = visit.app.get_endpoint(&visit.caller, name).await?;
    let project = match found.project {
        Some(id) => optional(visit.app.get_project(&visit.caller, &id.to_string()).await)?,
        None => None,
    };
    let units = project.as_ref().map(|p| Units::of(&p.spec)).unwrap_or_default();
    let traffic = traffic(visit, &found).await?;
    let rows = visit.app.recent_decisions(&visit.caller, name, DECISIONS).await?;
    let mut metrics = String::new();
    visit.app.gateway().write_metrics(&mut metrics);
    let serving = found.serving.as_ref();
    let around = super::serving::around(visit, &found, &metrics).await?;
    Ok(EndpointPage {
        shell: visit.shell(),
        name: found.name.clone(),
        project: project.as_ref().map(|p| p.name().to_owned()),
        mode: mode(&found).to_owned(),
        mode_meaning: meaning(&found),
        frozen: serving.is_some_and(|serving| serving.frozen),
        model: model(&found),
        model_problem: problem(visit, &found),
        rule: serving.and_then(rule),
        settings: settings(&found),
        bucket: "day".to_owned(),
        requests: i64::try_from(traffic.requests).unwrap_or(i64::MAX),
        accepted: traffic.accepted,
        latency_p50_us: latency(&metrics, name, 0.5),
        latency_p99_us: latency(&metrics, name, 0.99),
        refused: traffic.refused,
        curl: curl(&visit.server, &found, project.as_ref()),
        consumers: callers(&found, &traffic.calls),
        variants: around.variants,
        phases: around.phases,
        rollout: around.rollout,
        may_roll: visit.may(Operation::ControlRollout),
        killed: around.killed,
        may_kill: visit.may(Operation::KillEndpoint),
        fallback: found.fallback.clone(),
        alerts: around.alerts,
        drills: around.drills,
        try_fields: serving.map(super::serving::try_fields).unwrap_or_default(),
        may_try: visit.may(Operation::Predict),
        tried,
        traffic: traffic.bars,
        new_key,
        may_create_key: visit.may(Operation::CreateConsumer),
        decisions: rows
            .iter()
            .map(|(row, outcome)| decision::row(row, outcome.as_ref(), &units.kpi))
            .collect(),
    })
}

/// The last days of an endpoint.
pub(super) async fn traffic(visit: &Visit, found: &EndpointView) -> Result<Traffic, Error> {
    let (log, id) = (visit.app.decisions().clone(), found.id);
    let (days, now) = (found.days.clone(), visit.app.now());
    blocking("read the decision log", move || read(&log, id, &days, now)).await
}

fn meaning(endpoint: &EndpointView) -> String {
    let percent = |bp: u16| crate::fmt::value(f64::from(bp) / 10_000.0, "share");
    match &endpoint.mode {
        None => "It is not in service yet: the next publication puts it there.".to_owned(),
        Some(Mode::Unowned) => "No project owns it: the model answers everybody.".to_owned(),
        Some(Mode::Shadow) => {
            "The caller's own answer, or business as usual, is given back; the model is logged beside it.".to_owned()
        }
        Some(Mode::Trial { holdout_bp, .. }) => format!(
            "A registered trial: {} get the champion's answer, {} business as usual; one entity stays in one arm.",
            percent(10_000u16.saturating_sub(*holdout_bp)),
            percent(*holdout_bp)
        ),
        Some(Mode::Champion { holdout_bp: 0, .. }) => "The champion answers everybody.".to_owned(),
        Some(Mode::Champion { holdout_bp, .. }) => format!(
            "The champion answers; a lasting holdout of {} gets business as usual.",
            percent(*holdout_bp)
        ),
    }
}

/// Why no model answers.
fn problem(visit: &Visit, endpoint: &EndpointView) -> Option<String> {
    if endpoint.version.is_none() {
        return Some(format!(
            "No model answers: `{}` does not exist yet. Register a version and set its alias.",
            endpoint.model
        ));
    }
    let named = format!("`{}`", endpoint.name);
    let degraded = visit.app.gateway().readiness().degraded;
    let told = degraded.into_iter().find(|sentence| sentence.contains(&named));
    let is_missing = endpoint.serving.as_ref().is_some_and(|serving| serving.model.is_none());
    told.or_else(|| {
        is_missing.then(|| {
            format!(
                "The bound version of `{}` cannot be read as ONNX: see the server's log.",
                endpoint.model
            )
        })
    })
}

fn rule(serving: &EndpointSnapshot) -> Option<String> {
    let rule = serving.rule.as_ref()?;
    let when = &rule.when;
    Some(format!(
        "{} when {} {} {}, otherwise {}",
        rule.action, when.field, when.op, when.threshold, rule.otherwise
    ))
}

fn settings(endpoint: &EndpointView) -> Vec<Field> {
    let mut settings = vec![Field::new("serves", &endpoint.model)];
    let Some(serving) = &endpoint.serving else { return settings };
    if let Some(contract) = &endpoint.contract {
        let text = format!("version {} ({})", contract.version, contract.origin);
        settings.push(Field::new("contract", text));
    }
    settings.push(Field::new("fallback", &endpoint.fallback));
    if let Some(entity) = &serving.entity_field {
        settings.push(Field::new("entity", entity));
    }
    if !serving.key_fields.is_empty() {
        settings.push(Field::new("keys", serving.key_fields.join(", ")));
    }
    if let Some(usual) = &serving.business_as_usual {
        settings.push(Field::new("business as usual", &usual.action));
    }
    if let Some(queue) = serving.rule.as_ref().and_then(|rule| rule.queue.as_ref()) {
        let bears = format!("{}, {} a day", queue.name, queue.daily_capacity);
        settings.push(Field::new("queue", bears));
    }
    if let Some(until) = endpoint.shadow_until.filter(|_| serving.mode == Mode::Shadow) {
        settings.push(Field::new("shadow until", crate::fmt::day(until.day())));
    }
    settings
}

fn callers(
    endpoint: &EndpointView,
    calls: &BTreeMap<ConsumerId, (i64, Timestamp)>,
) -> Vec<Consumer> {
    let known = consumers(endpoint).unwrap_or_default();
    let rows = known.iter().map(|consumer| {
        let seen = calls.get(&consumer.id);
        Consumer {
            name: consumer.name.clone(),
            created_at: consumer.id.made_at(),
            last_call_at: seen.map(|(_, at)| *at),
            calls_7d: seen.map_or(0, |(count, _)| *count),
            limits: limits(consumer),
        }
    });
    rows.collect()
}

/// What a consumer may ask for, in words.
fn limits(consumer: &ConsumerSnapshot) -> String {
    let mut said = Vec::new();
    if let Some(rate) = consumer.rate_per_second {
        said.push(format!("{} rows a second", crate::fmt::plain(rate)));
    }
    if let Some(burst) = consumer.burst {
        said.push(format!("{burst} at once"));
    }
    if let Some(quota) = consumer.quota_per_day {
        said.push(format!("{quota} a day"));
    }
    said.join(", ")
}

/// A request with a row that meets the contract.
fn curl(server: &str, endpoint: &EndpointView, project: Option<&Project>) -> String {
    let serving = endpoint.serving.as_ref();
    let contract = serving
        .and_then(|serving| serving.contract.as_ref())
        .or(project.and_then(|project| project.spec.contract.as_ref()));
    let mut row = Map::new();
    for key in serving.into_iter().flat_map(|s| s.entity_field.iter().chain(&s.key_fields)) {
        row.insert(key.clone(), json!(format!("{}-1", key.trim_end_matches("_id"))));
    }
    row.extend(contract.map(example).unwrap_or_default());
    let body = json!({ "rows": [row] }).to_string().replace('\'', "'\\''");
    format!(
        "curl -s {server}/api/v1/endpoints/{}/predict \\\n  -H \"authorization: Bearer $KEY\" \\\n  -H 'content-type: application/json' \\\n  -d '{body}'",
        endpoint.name
    )
}

fn example(contract: &Contract) -> Map<String, Value> {
    let known = contract.fields().iter();
    let known = known.filter(|field| field.available != Some(Availability::AfterDecision));
    known.map(|field| (field.name.to_string(), value_of(field))).collect()
}

pub(super) fn value_of(field: &Column) -> Value {
    if let Some(value) = field.values.first() {
        return value.clone();
    }
    let number = field.min.or(field.max).unwrap_or(1.0);
    match field.logical_type {
        LogicalType::Number if number.fract() != 0.0 => json!(number),
        LogicalType::Number | LogicalType::Integer => json!(number.ceil() as i64),
        LogicalType::Boolean => json!(true),
        LogicalType::String => json!("text"),
        LogicalType::Date => json!("2026-01-31"),
        LogicalType::Timestamp => json!("2026-01-31T09:00:00Z"),
        LogicalType::Time => json!("09:00:00"),
        LogicalType::Object => json!({}),
        LogicalType::Array => json!([]),
    }
}
