//! The drills themselves.

use std::time::Instant;

use serde_json::{Map, Value};
use viaduct_base::{Error, Fault, Kind, Refusal, RolloutId, Span, Timestamp};
use viaduct_decisions::Record;
use viaduct_domain::contract::{Availability, Contract, Field, LogicalType};
use viaduct_domain::manifest::{EndpointSpec, ModelRef, Pick};
use viaduct_domain::rollout::{Plan, Step};
use viaduct_gateway::{Answer, CallKey, EndpointSnapshot, PredictCall};
use viaduct_store::endpoint::EndpointRow;
use viaduct_store::{Scope, binding, rollout, serving};

use super::{Check, Found};
use crate::App;
use crate::mlflow::resolve::resolve_version;
use crate::rollout::{Begin, Verb};

/// Past requests that a drill replays.
const ROWS: usize = 20;
/// The criterion of I6 and D8: five minutes.
const LIMIT_S: f64 = 300.0;

impl App {
    /// One column of a past request is renamed: the contract must stop it, the fallback answer where
    /// the endpoint has one, and an alert name the field.
    pub(super) async fn drill_schema_change(&self, row: &EndpointRow) -> Result<Found, Error> {
        let spec = self.in_service(row)?;
        let Some(contract) = &spec.contract else {
            return Ok(impossible(
                "stopped at the contract",
                "the endpoint has no contract: nothing can be stopped",
            ));
        };
        let required = contract
            .fields()
            .iter()
            .find(|f| f.required && f.available != Some(Availability::AfterDecision));
        let Some(field) = required else {
            return Ok(impossible(
                "stopped at the contract",
                "no field of the contract is required: a renamed column is not missed",
            ));
        };
        let (mut rows, note) = self.past_rows(row, &spec).await?;
        rows.truncate(1);
        for sent in &mut rows {
            let value = sent.remove(&*field.name).unwrap_or_default();
            sent.insert(format!("{}_renamed", field.name), value);
        }
        let (start, from) = (Instant::now(), self.now());
        let answer = self.ask(&spec, rows, false).await;
        let stopped = match &answer {
            Err(Error::Refused(refusal)) => refusal.kind == Kind::ContractViolation,
            Err(Error::Fault(_)) => false,
            Ok(answers) => answers.iter().all(|answer| answer.is_fallback),
        };
        let served = answer.is_ok();
        let seen = match &answer {
            Ok(_) => "the request was answered".to_owned(),
            Err(error) => error.to_string(),
        };
        let told = self.alert_of_violations(row.id, (from, end(self.now())), true).await?;
        let raised = told.iter().any(|name| *name == *field.name);
        let seconds = start.elapsed().as_secs_f64();
        let serving = if spec.fallback_on_violation {
            "the caller got the error"
        } else {
            "the caller got the error: give the endpoint a `fallback` and `on_violation: fallback`"
        };
        Ok(Found {
            checks: vec![
                Check::new("the renamed column was stopped at the contract", stopped, seen),
                Check::new(
                    "the fallback was served",
                    served,
                    if served { "the fallback answered" } else { serving },
                ),
                Check::new(
                    "an alert names the field",
                    raised && seconds <= LIMIT_S,
                    if raised {
                        format!("`{}` after {seconds:.3} s", field.name)
                    } else {
                        "no alert was raised".to_owned()
                    },
                ),
            ],
            requests: 1,
            answered: u64::from(served),
            seconds,
            note,
        })
    }

    /// A shadow rollout is started and rolled back; the time from the word to the snapshot counts.
    pub(super) async fn drill_rollback(&self, row: &EndpointRow) -> Result<Found, Error> {
        let (id, version) = self.begin_rollback_drill(row).await?;
        self.publish_snapshot().await?;
        let was_in = self.challenger_in_service(row) == Some(id);
        let start = Instant::now();
        let reason = Some("the drill's rollback".to_owned());
        self.move_rollout(&self.system(), id, Verb::Rollback, reason).await?;
        let seconds = start.elapsed().as_secs_f64();
        let is_out = self.challenger_in_service(row).is_none();
        let scope = Scope::of(self.workspace());
        let stored = self.store().read("find_rollout", move |tx| rollout::find(tx, &scope, id));
        let phase = stored.await.map_err(Error::from)?.map(|r| r.phase).unwrap_or_default();
        Ok(Found {
            checks: vec![
                Check::new(
                    "the candidate was in service",
                    was_in,
                    format!("version {version} as a shadow: nobody was answered by it"),
                ),
                Check::new("the candidate left", is_out, format!("the rollout is `{phase}`")),
                Check::new(
                    "it took less than five minutes",
                    seconds < LIMIT_S,
                    format!("{seconds:.3} s from the word to the published snapshot"),
                ),
            ],
            requests: 0,
            answered: 0,
            seconds,
            note: None,
        })
    }

    /// Starts the shadow; the version before where there is one, else the same again.
    async fn begin_rollback_drill(&self, row: &EndpointRow) -> Result<(RolloutId, i64), Error> {
        let (app, found, now) = (self.clone(), row.clone(), self.now());
        let (scope, by) = (Scope::of(self.workspace()), self.system());
        self.store()
            .write("begin_drill", move |tx| -> Result<(RolloutId, i64), Error> {
                let spec: EndpointSpec = serde_json::from_str(&found.spec_json)
                    .map_err(|e| Fault::caused(format!("endpoint `{}`", found.name), e))?;
                let bound = binding::find(tx, &scope, found.id)?.ok_or_else(|| {
                    let detail = format!("no version stands behind `{}` yet", found.name);
                    Refusal::new(Kind::Conflict, detail)
                })?;
                let before = serving::versions(tx, &scope, found.id, 50)?
                    .into_iter()
                    .find(|v| v.version != bound.version)
                    .map_or((bound.model_name.clone(), bound.version), |v| {
                        (v.model_name, v.version)
                    });
                let reference = ModelRef {
                    name: before.0,
                    pick: Pick::Version(u64::try_from(before.1).unwrap_or_default()),
                };
                let version = resolve_version(tx, &scope, &reference)?.ok_or_else(|| {
                    Refusal::new(Kind::NotFound, format!("`{reference}` is gone"))
                })?;
                let plan =
                    Plan { steps: vec![Step::shadow(Span::days(1), 0)], conditions: Vec::new() };
                let begin = Begin {
                    row: &found,
                    spec: &spec,
                    bound: &bound,
                    version: &version,
                    plan,
                    trigger: "drill",
                };
                let id = app.begin_rollout(tx, &scope, begin, &by, "a rollback drill", now)?;
                Ok((id, version.version))
            })
            .await
    }

    /// Past requests are asked again with the model taken away.
    pub(super) async fn drill_fallback(&self, row: &EndpointRow) -> Result<Found, Error> {
        let spec = self.in_service(row)?;
        let (rows, note) = self.past_rows(row, &spec).await?;
        let (requests, mut answered, mut by_model) = (rows.len() as u64, 0, 0);
        let mut error = None;
        let start = Instant::now();
        for sent in rows {
            match self.ask(&spec, vec![sent], true).await {
                Ok(answers) => {
                    answered += u64::from(!answers.is_empty());
                    by_model += answers
                        .iter()
                        .filter(|a| a.model_version == spec.model.as_ref().map(|m| m.version))
                        .count();
                }
                Err(other) => error = Some(other.to_string()),
            }
        }
        let fallback = crate::endpoint::fallback_word(&spec.fallback);
        let seen = match error {
            None => format!("{answered} of {requests} by `{fallback}`"),
            Some(error) => format!("{answered} of {requests} by `{fallback}`; {error}"),
        };
        Ok(Found {
            checks: vec![
                Check::new("the fallback answered every request", answered == requests, seen),
                Check::new(
                    "the champion was not asked",
                    by_model == 0,
                    format!("{by_model} answers came from the version that was taken away"),
                ),
            ],
            requests,
            answered,
            seconds: start.elapsed().as_secs_f64(),
            note,
        })
    }

    fn in_service(&self, row: &EndpointRow) -> Result<EndpointSnapshot, Refusal> {
        self.serving(&row.name).ok_or_else(|| {
            let detail = format!("`{}` is not in service yet: try again in a second", row.name);
            Refusal::new(Kind::NotReady, detail)
        })
    }

    fn challenger_in_service(&self, row: &EndpointRow) -> Option<RolloutId> {
        self.serving(&row.name)?.challenger.map(|challenger| challenger.rollout)
    }

    /// What was asked lately, without what does not meet the contract (hashed, or not kept); else one
    /// row made from the contract. The sentence says which.
    async fn past_rows(
        &self,
        row: &EndpointRow,
        spec: &EndpointSnapshot,
    ) -> Result<(Vec<Map<String, Value>>, Option<String>), Error> {
        let (log, id, now) = (self.decisions().clone(), row.id, self.now());
        let read = tokio::task::spawn_blocking(move || {
            let from = now - Span::days(7);
            let rows =
                log.scan(Some(id), from, end(now)).flatten().filter_map(|record| match record {
                    // A drill must not live on its own replays.
                    Record::Decision(decision) => (!decision.replayed).then_some(decision.inputs),
                    Record::Refused(_) | Record::Beside(_) => None,
                });
            rows.take(1_000).collect::<Vec<_>>()
        });
        let mut past = read.await.map_err(|e| Fault::caused("read the decision log", e))?;
        past.reverse();
        if let Some(contract) = &spec.contract {
            past.retain(|inputs| contract.check_row(inputs).is_ok());
        }
        past.retain(|inputs| !inputs.is_empty());
        past.truncate(ROWS);
        if !past.is_empty() {
            return Ok((past, None));
        }
        let example = spec.contract.as_ref().map(example).unwrap_or_default();
        if example.is_empty() {
            let detail = format!(
                "`{}` has neither past requests nor a contract: a drill needs something to ask",
                row.name
            );
            return Err(Refusal::new(Kind::Conflict, detail).into());
        }
        let note = "no past request could be replayed: one row was made from the contract";
        Ok((vec![example], Some(note.to_owned())))
    }

    async fn ask(
        &self,
        spec: &EndpointSnapshot,
        rows: Vec<Map<String, Value>>,
        without_model: bool,
    ) -> Result<Vec<Answer>, Error> {
        let call = PredictCall {
            endpoint: spec.name.to_string(),
            key: CallKey::Trusted,
            rows,
            replayed: true,
            ..PredictCall::default()
        };
        let gateway = self.gateway().clone();
        let asked = tokio::task::spawn_blocking(move || match without_model {
            true => gateway.enter(&call.endpoint)?.without_model().predict(call),
            false => gateway.predict(call),
        });
        asked.await.map_err(|e| Fault::caused("ask the endpoint", e))?
    }
}

/// The open end of a window that holds `now`.
fn end(now: Timestamp) -> Timestamp {
    Timestamp::from_micros(now.as_micros() + 1)
}

fn impossible(what: &str, seen: &str) -> Found {
    Found { checks: vec![Check::new(what, false, seen)], ..Found::default() }
}

/// A row that meets the contract.
pub(crate) fn example(contract: &Contract) -> Map<String, Value> {
    let known = contract.fields().iter();
    let known = known.filter(|field| field.available != Some(Availability::AfterDecision));
    known.map(|field| (field.name.to_string(), value_of(field))).collect()
}

fn value_of(field: &Field) -> Value {
    if let Some(value) = field.values.first() {
        return value.clone();
    }
    let number = field.min.or(field.max).unwrap_or(1.0);
    match field.logical_type {
        LogicalType::Number => Value::from(number),
        LogicalType::Integer => Value::from(number.ceil() as i64),
        LogicalType::Boolean => Value::from(true),
        LogicalType::String => Value::from("text"),
        LogicalType::Date => Value::from("2026-01-31"),
        LogicalType::Timestamp => Value::from("2026-01-31T09:00:00Z"),
        LogicalType::Time => Value::from("09:00:00"),
        LogicalType::Object => Value::Object(Map::new()),
        LogicalType::Array => Value::Array(Vec::new()),
    }
}
