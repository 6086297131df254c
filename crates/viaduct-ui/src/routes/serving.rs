//! The serving part of an endpoint's page, and its forms: kill, revive, try, move a rollout.

use std::sync::Arc;

use serde_json::{Map, Value};
use viaduct_app::endpoint::EndpointView;
use viaduct_app::rollout::{RolloutView, Verb};
use viaduct_base::{Error, Kind, Refusal, RolloutId};
use viaduct_domain::assign::Variant;
use viaduct_domain::contract::{Availability, Contract, Field as Column, LogicalType};
use viaduct_gateway::{
    Answer as Decision, CallKey, EndpointSnapshot, Mode, PredictCall, VariantCounts,
};

use super::Answered;
use super::answer::Answer;
use super::endpoint::{page, value_of};
use super::map::traffic::histogram;
use super::project::optional;
use super::serve::blocking;
use super::visit::Visit;
use crate::path;
use crate::view::{
    KilledBy, Note, PhaseRow, RolloutCondition, RolloutEvent, RolloutPanel, RolloutStep, Tried,
    TryField, VariantRow,
};

/// Drills under the page.
const DRILLS: usize = 4;

/// What stands around an endpoint.
pub(super) struct Around {
    pub(super) variants: Vec<VariantRow>,
    pub(super) phases: Vec<PhaseRow>,
    pub(super) rollout: Option<RolloutPanel>,
    pub(super) killed: Option<KilledBy>,
    pub(super) alerts: Vec<Note>,
    pub(super) drills: Vec<Note>,
}

pub(super) async fn around(
    visit: &Visit,
    found: &EndpointView,
    metrics: &str,
) -> Result<Around, Error> {
    let counts = visit.app.endpoint_counts(&visit.caller, &found.name).unwrap_or_default();
    let serving = found.serving.as_ref();
    let latest = optional(visit.app.find_rollout(&visit.caller, &found.name).await)?;
    let rollout = match latest {
        Some(id) => Some(panel(visit.app.get_rollout(&visit.caller, id).await?)),
        None => None,
    };
    let alerts = visit.app.list_alerts(&visit.caller).await?;
    let open = alerts
        .into_iter()
        .filter(|a| a.endpoint_id == Some(found.id) && a.closed_at.is_none() && !a.is_drill);
    let drills = visit.app.list_drills(&visit.caller, &found.name).await?;
    Ok(Around {
        variants: counts.iter().filter_map(|c| variant(c, serving)).collect(),
        phases: phases(metrics, &found.name),
        rollout,
        killed: found.killed.as_ref().map(|k| KilledBy {
            at: k.at,
            by: k.by.clone(),
            reason: k.reason.clone(),
        }),
        alerts: open
            .map(|a| Note {
                good: false,
                text: format!("{} ({} times). {}", a.detail, a.seen_count, a.advice),
                at: a.seen_at,
            })
            .collect(),
        drills: drills
            .into_iter()
            .take(DRILLS)
            .map(|d| {
                let verdict = if d.passed { "passed" } else { "did not pass" };
                Note {
                    good: d.passed,
                    text: format!("{} {verdict}, run by {}", d.kind, d.run_by),
                    at: d.started_at,
                }
            })
            .collect(),
    })
}

/// A variant that is in service, or has answered somebody.
fn variant(counts: &VariantCounts, serving: Option<&EndpointSnapshot>) -> Option<VariantRow> {
    let share = serving.and_then(|spec| share(counts.variant, spec));
    if counts.rows == 0 && share.is_none() {
        return None;
    }
    let latency = counts.latency_us;
    Some(VariantRow {
        variant: counts.variant.to_string(),
        version: counts.model_version,
        share,
        requests: counts.requests,
        rows: counts.rows,
        failed: counts.errors + counts.nan,
        fallbacks: counts.fallbacks,
        latency: (latency.p99 > 0).then_some((latency.p50, latency.p95, latency.p99)),
    })
}

/// The share of the traffic that a variant answers.
fn share(variant: Variant, spec: &EndpointSnapshot) -> Option<f64> {
    let holdout = match &spec.mode {
        Mode::Trial { holdout_bp, .. } | Mode::Champion { holdout_bp, .. } => *holdout_bp,
        Mode::Unowned | Mode::Shadow => 0,
    };
    let holdout = f64::from(holdout) / 10_000.0;
    let taken = spec.challenger.as_ref().map_or(0, |c| c.share_bp);
    let challenger = (1.0 - holdout) * f64::from(taken) / 10_000.0;
    match (variant, &spec.mode) {
        (Variant::Champion, Mode::Shadow) | (Variant::Holdout, Mode::Unowned) => None,
        (Variant::Shadow, Mode::Shadow) => Some(1.0),
        (Variant::Shadow, _) => None,
        (Variant::Champion, _) => Some(1.0 - holdout - challenger),
        (Variant::Challenger, _) => spec.challenger.as_ref().map(|_| challenger),
        (Variant::Holdout, _) => (holdout > 0.0).then_some(holdout),
    }
}

fn phases(metrics: &str, endpoint: &str) -> Vec<PhaseRow> {
    let labels = format!("endpoint=\"{endpoint}\",");
    let rows = [
        ("the whole request", "viaduct_predict_duration_seconds", labels.as_str()),
        ("inside the model", "viaduct_predict_model_duration_seconds", labels.as_str()),
        ("into the decision log (all endpoints)", "viaduct_decision_log_append_seconds", ""),
    ];
    rows.into_iter()
        .map(|(name, metric, labels)| PhaseRow {
            name: name.to_owned(),
            p50: histogram(metrics, metric, labels, 0.5),
            p99: histogram(metrics, metric, labels, 0.99),
        })
        .filter(|row| row.p50.is_some())
        .collect()
}

fn panel(view: RolloutView) -> RolloutPanel {
    let step = |s: viaduct_app::rollout::StepView| RolloutStep {
        needs: match s.needs {
            Some(needs) if s.state == "ahead" => format!("needs about {needs}"),
            _ if s.state == "now" => format!("{} of {} rows", view.n, s.min_n),
            _ => String::new(),
        },
        label: s.label,
        state: s.state.to_owned(),
        share: s.share,
    };
    RolloutPanel {
        id: view.id.to_string(),
        from: view.from,
        to: view.to,
        phase: view.phase.to_string(),
        reason: view.reason,
        steps: view.steps.into_iter().map(step).collect(),
        conditions: view
            .conditions
            .into_iter()
            .map(|c| RolloutCondition { verdict: c.verdict.to_string(), reason: c.reason })
            .collect(),
        waits: view.waits,
        forecast: view.forecast.map(|span| span.to_string()),
        history: view
            .history
            .into_iter()
            .map(|e| RolloutEvent {
                at: e.at,
                text: format!("{} (step {}): {}", e.event.replace('_', " "), e.step, e.reason),
                actor: e.actor,
            })
            .collect(),
    }
}

/// A form made from the contract.
pub(super) fn try_fields(serving: &EndpointSnapshot) -> Vec<TryField> {
    let Some(contract) = &serving.contract else { return Vec::new() };
    let mut fields: Vec<TryField> = contract
        .fields()
        .iter()
        .filter(|field| field.available != Some(Availability::AfterDecision))
        .map(|field| TryField {
            name: field.name.to_string(),
            value: text_of(&value_of(field)),
            hint: field.logical_type.word().to_owned(),
            required: field.required && !field.nullable,
            choices: field.values.iter().map(text_of).collect(),
        })
        .collect();
    let known = |name: &str| contract.field(name).is_some();
    for name in serving.entity_field.iter().filter(|name| !known(name)) {
        fields.push(TryField {
            name: name.clone(),
            value: "try-1".to_owned(),
            hint: "the entity".to_owned(),
            required: false,
            choices: Vec::new(),
        });
    }
    fields
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A row out of a form: an empty field is null.
fn row_of(visit: &Visit, contract: Option<&Contract>) -> Map<String, Value> {
    let sent = visit.form.iter().filter_map(|(key, text)| Some((key.strip_prefix("in.")?, text)));
    sent.map(|(name, text)| {
        let field = contract.and_then(|contract| contract.field(name));
        (name.to_owned(), field.map_or_else(|| Value::from(text.as_str()), |f| typed(f, text)))
    })
    .collect()
}

/// The text as the field's type; one that does not read is sent as it is, and the contract says why.
fn typed(field: &Column, text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    let read = match field.logical_type {
        LogicalType::Number | LogicalType::Integer => {
            serde_json::from_str::<Value>(text).ok().filter(Value::is_number)
        }
        LogicalType::Boolean => text.parse::<bool>().ok().map(Value::from),
        LogicalType::Object | LogicalType::Array => serde_json::from_str(text).ok(),
        _ => None,
    };
    read.unwrap_or_else(|| Value::from(text))
}

/// Asks the endpoint, and shows what came.
pub(super) async fn try_it(visit: Arc<Visit>) -> Answered {
    let name = visit.param("endpoint").to_owned();
    let found = visit.app.get_endpoint(&visit.caller, &name).await?;
    let contract = found.serving.as_ref().and_then(|serving| serving.contract.as_ref());
    let call = PredictCall {
        endpoint: name.clone(),
        key: CallKey::Trusted,
        rows: vec![row_of(&visit, contract)],
        replayed: true,
        ..PredictCall::default()
    };
    let gateway = visit.app.gateway().clone();
    let tried = match blocking("try an endpoint", move || gateway.predict(call)).await? {
        Ok(answers) => told(answers.first()),
        Err(Error::Refused(refusal)) => {
            let places = refusal.errors.iter().map(|e| format!("{}: {}", e.pointer, e.detail));
            let text = std::iter::once(refusal.detail.clone()).chain(places);
            Tried { answered: false, text: text.collect::<Vec<_>>().join("\n"), decision: None }
        }
        Err(other) => return Err(other),
    };
    let page = page(&visit, &name, None, Some(tried)).await?;
    visit.page(&page)
}

fn told(answer: Option<&Decision>) -> Tried {
    let Some(answer) = answer else {
        return Tried { answered: false, text: "nothing came back".to_owned(), decision: None };
    };
    let shown = serde_json::json!({
        "variant": answer.variant.as_str(),
        "output": answer.output,
        "action": answer.action,
        "model_version": answer.model_version,
    });
    Tried {
        answered: true,
        text: serde_json::to_string_pretty(&shown).unwrap_or_default(),
        decision: Some(answer.decision_id.to_string()),
    }
}

/// Throws the kill switch.
pub(super) async fn kill(visit: Arc<Visit>) -> Answered {
    let name = visit.param("endpoint").to_owned();
    let done = visit.app.kill_endpoint(&visit.caller, &name, visit.field("reason")).await?;
    let text = format!(
        "The model of `{name}` is stopped; callers get the fallback (`{}`).",
        done.fallback
    );
    Ok(Answer::done(path::endpoint(&name), text))
}

/// Takes the kill switch back.
pub(super) async fn revive(visit: Arc<Visit>) -> Answered {
    let name = visit.param("endpoint").to_owned();
    visit.app.revive_endpoint(&visit.caller, &name).await?;
    Ok(Answer::done(path::endpoint(&name), format!("The model of `{name}` answers again.")))
}

/// Revokes a consumer's key.
pub(super) async fn revoke(visit: Arc<Visit>) -> Answered {
    let name = visit.param("endpoint").to_owned();
    let consumer = visit.field("consumer").to_owned();
    visit.app.revoke_consumer(&visit.caller, &name, &consumer).await?;
    Ok(Answer::done(path::endpoint(&name), format!("The key of `{consumer}` no longer works.")))
}

/// Advances, pauses, resumes or rolls back.
pub(super) async fn move_rollout(visit: Arc<Visit>) -> Answered {
    let id: RolloutId = visit.id("rollout")?;
    let verb = match visit.field("verb") {
        "advance" => Verb::Advance,
        "pause" => Verb::Pause,
        "resume" => Verb::Resume,
        "rollback" => Verb::Rollback,
        other => {
            let detail = format!("`{other}` is none of advance, pause, resume, rollback");
            return Err(Refusal::new(Kind::InvalidInput, detail).into());
        }
    };
    let view = visit.app.move_rollout(&visit.caller, id, verb, None).await?;
    let text = format!("The rollout to version {}: {}.", view.to, view.reason);
    Ok(Answer::done(path::endpoint(&view.endpoint), text))
}
