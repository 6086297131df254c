//! The corridor.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Map, Value};
use viaduct_base::{DecisionId, Digest, Error, FieldError, Kind, Refusal, Timestamp};
use viaduct_decisions::{DecisionRow, Flag, Record, RefusedRow, RowError};
use viaduct_domain::assign::Variant;
use viaduct_domain::contract::Contract;
use viaduct_domain::output::{Cell, ModelOutput, TypedRow};
use viaduct_domain::rule::{Mode as RuleMode, Verdict};
use viaduct_infer::PredictError;

use crate::call::{Answer, PredictCall};
use crate::counts;
use crate::endpoint::Endpoint;
use crate::gateway::Gateway;
use crate::place::{self, Place};
use crate::snapshot::ConsumerSnapshot;
use crate::usual::{self, Usual};

/// Why: one request is one append and one run; a larger list goes in parts.
const ROWS_MAX: usize = 10_000;
/// Why: a wholly wrong batch is one mistake; its first rows tell it.
const REFUSED_MAX: usize = 1_000;

/// A row on its way.
struct Ready {
    id: DecisionId,
    keys: BTreeMap<String, String>,
    entity: Option<String>,
    usual: Option<Usual>,
    sent: Option<Value>,
    place: Place,
    /// True when the caller named another field as the entity than the endpoint's own: a trial's
    /// units are the registered ones.
    foreign: bool,
}

impl Gateway {
    /// Answers every row or none. Blocks: on the model and on the decision log.
    ///
    /// # Errors
    /// Refused: unknown endpoint, missing key, rows that do not meet the contract, no model, no
    /// runtime, a decision log that is full.
    pub fn predict(&self, call: PredictCall) -> Result<Vec<Answer>, Error> {
        let start = Instant::now();
        let table = self.table()?;
        let endpoint = table.find(&call.endpoint)?;
        let result = Corridor { gateway: self, endpoint, salt: &table.salt, start }.walk(call);
        endpoint.counters.duration.observe(start.elapsed());
        match &result {
            Ok(_) => endpoint.counters.answered(),
            Err(Error::Refused(refusal)) => endpoint.counters.refused(Some(refusal.kind)),
            Err(Error::Fault(_)) => endpoint.counters.refused(None),
        }
        result
    }
}

struct Corridor<'a> {
    gateway: &'a Gateway,
    endpoint: &'a Endpoint,
    salt: &'a str,
    start: Instant,
}

impl Corridor<'_> {
    fn walk(&self, call: PredictCall) -> Result<Vec<Answer>, Error> {
        let consumer = self.endpoint.admit(&call.key)?;
        check_size(&call.rows)?;
        let now = self.gateway.0.clock.now();
        let typed = self.typed(&call, consumer, now)?;
        let ready = self.ready(&call, now)?;
        let outputs = self.outputs(&call, consumer, now, &typed, &ready)?;
        self.count(&typed, &ready);
        let mut answers = Vec::with_capacity(ready.len());
        let mut records = Vec::with_capacity(ready.len());
        for ((row, ready), output) in call.rows.into_iter().zip(ready).zip(outputs) {
            let inputs = self.logged_inputs(row, call.entity.as_deref(), call.incumbent.as_deref());
            let (answer, decision) = self.decide(ready, output, inputs, consumer, now);
            records.push(Record::from(DecisionRow { replayed: call.replayed, ..decision }));
            answers.push(answer);
        }
        self.append(&records)?;
        Ok(answers)
    }

    /// Checks every row against the contract; what does not meet it is logged and refused.
    fn typed(
        &self,
        call: &PredictCall,
        consumer: Option<&ConsumerSnapshot>,
        now: Timestamp,
    ) -> Result<Vec<TypedRow>, Error> {
        let Some(contract) = &self.endpoint.spec.contract else {
            return Ok(call.rows.iter().map(as_it_comes).collect());
        };
        let mut typed = Vec::with_capacity(call.rows.len());
        let mut bad = Vec::new();
        for (number, row) in call.rows.iter().enumerate() {
            match contract.check_row(row) {
                Ok(row) => typed.push(row),
                Err(errors) => bad.push(in_row(number, errors)),
            }
        }
        if bad.is_empty() { Ok(typed) } else { Err(self.refuse(call, consumer, now, bad)) }
    }

    /// Logs refused rows, because the share of rows that met the contract is evidence.
    fn refuse(
        &self,
        call: &PredictCall,
        consumer: Option<&ConsumerSnapshot>,
        at: Timestamp,
        bad: Vec<Vec<FieldError>>,
    ) -> Error {
        let fields = bad.iter().flatten().map(|error| field_of(&error.pointer));
        self.endpoint.counters.violated(bad.len() as u64, fields);
        if let Some(tally) = self.endpoint.tally(Variant::Champion) {
            counts::add(&tally.violations, bad.len() as u64);
        }
        let records: Vec<_> = bad
            .iter()
            .take(REFUSED_MAX)
            .map(|errors| {
                Record::Refused(RefusedRow {
                    at,
                    endpoint: self.endpoint.spec.id,
                    consumer: consumer.map(|consumer| consumer.id),
                    replayed: call.replayed,
                    errors: errors.iter().map(row_error).collect(),
                })
            })
            .collect();
        if let Err(error) = self.append(&records) {
            return error;
        }
        let mut errors: Vec<_> = bad.into_iter().flatten().collect();
        errors.truncate(REFUSED_MAX);
        Contract::refuse_row(errors).into()
    }

    /// Reads entity, keys and incumbent and finds each row's place.
    fn ready(&self, call: &PredictCall, now: Timestamp) -> Result<Vec<Ready>, Refusal> {
        let spec = &self.endpoint.spec;
        let entity_field = call.entity.as_deref().or(spec.entity_field.as_deref());
        let key_fields = call.keys.as_deref().unwrap_or(&spec.key_fields);
        let needs_usual = place::needs_usual(spec);
        // A tensor request carries the entity itself, not the name of a field.
        let foreign = spec.entity_field.is_some()
            && entity_field != spec.entity_field.as_deref()
            && entity_field != Some(crate::infer::ENTITY);
        let (mut ready, mut errors) = (Vec::with_capacity(call.rows.len()), Vec::new());
        let mut lacks_usual = Vec::new();
        for (number, row) in call.rows.iter().enumerate() {
            let id = DecisionId::new(now);
            let mut keys = BTreeMap::new();
            for field in key_fields {
                match row.get(field).map(scalar_text) {
                    Some(Ok(Some(text))) => drop(keys.insert(field.clone(), text)),
                    Some(Err(detail)) => errors.push(problem(number, field, detail)),
                    _ => {}
                }
            }
            let entity = match entity_field.and_then(|f| row.get(f).map(|v| (f, scalar_text(v)))) {
                Some((_, Ok(entity))) => entity,
                Some((field, Err(detail))) => {
                    errors.push(problem(number, field, detail));
                    None
                }
                None => None,
            };
            let sent = usual::sent(row, call.incumbent.as_deref());
            let usual = match usual::usual(spec, sent) {
                Ok(usual) => usual,
                Err(detail) => {
                    let field = call.incumbent.as_deref().unwrap_or("incumbent");
                    errors.push(problem(number, field, detail));
                    None
                }
            };
            if needs_usual && usual.is_none() {
                lacks_usual.push(problem(number, "incumbent", "the row has none".into()));
            }
            let sticky = entity.clone().unwrap_or_else(|| id.to_string());
            let place = place::place(spec, &sticky);
            ready.push(Ready { id, keys, entity, usual, sent: sent.cloned(), place, foreign });
        }
        if !errors.is_empty() {
            let detail = errors[0].detail.clone();
            return Err(Refusal::new(Kind::InvalidInput, detail).with_errors(errors));
        }
        if !lacks_usual.is_empty() {
            let detail = format!(
                "endpoint `{}` answers business as usual and the request brings none: name the \
                 row field of the incumbent's answer with `incumbent`, or declare \
                 `business_as_usual` in the project file",
                spec.name
            );
            lacks_usual.truncate(REFUSED_MAX);
            return Err(Refusal::new(Kind::IncumbentMissing, detail).with_errors(lacks_usual));
        }
        Ok(ready)
    }

    /// The model's outputs for the rows that are scored. Where nobody waits for them (shadow, or
    /// withheld), a failure is counted and costs the caller nothing.
    fn outputs(
        &self,
        call: &PredictCall,
        consumer: Option<&ConsumerSnapshot>,
        now: Timestamp,
        typed: &[TypedRow],
        ready: &[Ready],
    ) -> Result<Vec<Option<ModelOutput>>, Error> {
        let mut outputs: Vec<Option<ModelOutput>> = vec![None; ready.len()];
        let scored: Vec<usize> = (0..ready.len()).filter(|n| ready[*n].place.scored).collect();
        if scored.is_empty() {
            return Ok(outputs);
        }
        let is_awaited = scored.iter().any(|n| ready[*n].place.variant == Variant::Champion);
        let model = match &self.endpoint.loaded.champion {
            Ok(model) => model,
            Err(refusal) if is_awaited => return Err(refusal.clone().into()),
            Err(_) => return Ok(outputs),
        };
        let start = Instant::now();
        let result = if scored.len() == typed.len() {
            model.predict(typed)
        } else {
            let rows: Vec<_> = scored.iter().map(|n| typed[*n].clone()).collect();
            model.predict(&rows)
        };
        let took = start.elapsed();
        self.endpoint.counters.model_duration.observe(took);
        let mut asked: Vec<Variant> = scored.iter().map(|n| ready[*n].place.variant).collect();
        asked.dedup();
        for tally in asked.into_iter().filter_map(|variant| self.endpoint.tally(variant)) {
            tally.latency.observe(took);
        }
        match result {
            Ok(found) => {
                for (number, output) in scored.into_iter().zip(found) {
                    outputs[number] = Some(output);
                }
                Ok(outputs)
            }
            Err(error) => {
                self.endpoint.counters.model_failed();
                if !is_awaited {
                    return Ok(outputs);
                }
                Err(match error {
                    PredictError::Cell { ref field, row, .. } => {
                        let number = scored.get(row).copied().unwrap_or(row);
                        let bad = vec![vec![problem(number, field, error.to_string())]];
                        self.refuse(call, consumer, now, bad)
                    }
                    other => Refusal::new(
                        Kind::NotReady,
                        format!("endpoint `{}`: {other}", self.endpoint.spec.name),
                    )
                    .into(),
                })
            }
        }
    }

    fn count(&self, typed: &[TypedRow], ready: &[Ready]) {
        let counters = &self.endpoint.counters;
        let outside = typed.iter().flat_map(|row| &row.outside);
        counters.outside(outside.map(|error| field_of(&error.pointer)));
        for row in ready {
            counters.decided(row.place.variant);
            if row.entity.is_none() {
                counters.unsticky();
            }
        }
        for tally in self.endpoint.tallies() {
            let rows = ready.iter().filter(|row| row.place.variant == tally.variant).count();
            counts::add(&tally.rows, rows as u64);
            counts::add(&tally.requests, u64::from(rows > 0));
        }
    }

    /// Turns output, rule and place into what is answered and what is logged.
    fn decide(
        &self,
        ready: Ready,
        output: Option<ModelOutput>,
        inputs: Map<String, Value>,
        consumer: Option<&ConsumerSnapshot>,
        at: Timestamp,
    ) -> (Answer, DecisionRow) {
        let spec = &self.endpoint.spec;
        let Ready { id, keys, entity, usual, sent, place, foreign } = ready;
        let proposed =
            spec.rule.as_ref().zip(output.as_ref()).map(|(rule, o)| (rule, rule.decide(o)));
        let model_action = proposed
            .as_ref()
            .filter(|(_, action)| action.verdict != Verdict::Unknown)
            .map(|(_, action)| action.name.clone());
        let is_model = place.variant == Variant::Champion;
        let usual_action = usual.as_ref().map(|usual| usual.action.clone());
        let logged = output.as_ref().and_then(|output| serde_json::to_value(output).ok());
        let (action, answered) = if is_model {
            let action = match proposed {
                Some((rule, _)) if rule.mode == RuleMode::Shadow => usual_action,
                // Why: a score that the rule cannot read must not decide.
                Some((_, act)) if act.verdict == Verdict::Unknown => {
                    usual_action.or(Some(act.name))
                }
                Some((_, act)) => Some(act.name),
                None => None,
            };
            (action, logged.clone())
        } else {
            (usual_action, usual.and_then(|usual| usual.output))
        };
        let mut flags = Vec::new();
        if entity.is_none() {
            flags.push(Flag::Unsticky);
        } else if foreign {
            flags.push(Flag::Override);
        }
        if !is_model && output.is_some() {
            flags.push(Flag::Withheld);
        }
        let asked = spec.model.as_ref().filter(|_| output.is_some());
        let contract = spec.contract.as_ref().map(|contract| contract.hash().clone());
        let answer = Answer {
            decision_id: id,
            variant: place.variant,
            output: answered.clone(),
            action: action.clone(),
            model_version: asked.filter(|_| is_model).map(|model| model.version),
            contract: contract.clone(),
        };
        let department = consumer.and_then(|consumer| consumer.department.clone());
        let decision = DecisionRow {
            id,
            at,
            clock: self.gateway.0.clock.kind(),
            replayed: false,
            workspace: spec.workspace,
            endpoint: spec.id,
            endpoint_name: spec.name.to_string(),
            project: spec.project,
            stage: spec.stage.clone(),
            department: department.or_else(|| spec.department.clone()),
            consumer: consumer.map(|consumer| consumer.id),
            entity_hash: entity.map(|entity| hash_entity(self.salt, &entity)).unwrap_or_default(),
            keys,
            trial: place.trial,
            variant: place.variant.as_str().to_owned(),
            bucket: place.bucket,
            flags,
            model: asked.map(|model| model.name.clone()).unwrap_or_default(),
            model_version: asked.map(|model| model.version).unwrap_or_default(),
            contract_hash: contract,
            rule_hash: self.endpoint.rule_hash.clone(),
            inputs,
            output: logged,
            answered: answered.unwrap_or(Value::Null),
            incumbent: sent,
            model_action,
            action: action.unwrap_or_default(),
            latency_us: self.start.elapsed().as_micros() as u64,
        };
        (answer, decision)
    }

    /// What of a row is kept: the contract's fields. Others may be anybody's secret; entity and
    /// keys have places of their own.
    fn logged_inputs(
        &self,
        mut row: Map<String, Value>,
        entity: Option<&str>,
        incumbent: Option<&str>,
    ) -> Map<String, Value> {
        let spec = &self.endpoint.spec;
        match &spec.contract {
            Some(contract) => row.retain(|name, _| contract.field(name).is_some()),
            None => {
                let entity = entity.or(spec.entity_field.as_deref());
                row.retain(|name, _| {
                    Some(name.as_str()) != entity && Some(name.as_str()) != incumbent
                });
            }
        }
        row
    }

    fn append(&self, records: &[Record]) -> Result<(), Error> {
        let start = Instant::now();
        let result = self.gateway.0.log.append(records);
        self.gateway.0.append_duration.observe(start.elapsed());
        result.map_err(Error::from)
    }
}

fn check_size(rows: &[Map<String, Value>]) -> Result<(), Refusal> {
    match rows.len() {
        0 => Err(Refusal::new(Kind::InvalidInput, "`rows` is empty: send one object a decision")),
        count if count > ROWS_MAX => Err(Refusal::new(
            Kind::TooLarge,
            format!("`rows` has {count} rows: send at most {ROWS_MAX} at once"),
        )),
        _ => Ok(()),
    }
}

/// The workspace's hash of an entity: without the salt nobody can try names out.
fn hash_entity(salt: &str, entity: &str) -> String {
    Digest::of(format!("{salt}\u{1f}{entity}").as_bytes()).as_str()[..32].to_owned()
}

/// A row without a contract: JSON types as they come, fields in name order.
pub(crate) fn as_it_comes(row: &Map<String, Value>) -> TypedRow {
    let cell = |value: &Value| match value {
        Value::Null => Cell::Null,
        Value::Bool(flag) => Cell::Bool(*flag),
        Value::String(text) => Cell::Text(text.clone()),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cell::I64(whole),
            None => Cell::F64(number.as_f64().unwrap_or(f64::NAN)),
        },
        other => Cell::Text(other.to_string()),
    };
    let cells = row.iter().map(|(name, value)| (name.as_str().into(), cell(value))).collect();
    TypedRow { cells, ..TypedRow::default() }
}

/// The text of an entity or a key; `None` for null and for an empty text.
fn scalar_text(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok((!text.is_empty()).then(|| text.clone())),
        Value::Number(_) | Value::Bool(_) => Ok(Some(value.to_string())),
        _ => Err("an entity or a key is a text or a number".into()),
    }
}

fn in_row(number: usize, errors: Vec<FieldError>) -> Vec<FieldError> {
    errors
        .into_iter()
        .map(|error| FieldError { pointer: format!("/rows/{number}{}", error.pointer), ..error })
        .collect()
}

fn problem(number: usize, field: &str, detail: String) -> FieldError {
    let field = field.replace('~', "~0").replace('/', "~1");
    FieldError { pointer: format!("/rows/{number}/{field}"), detail, line: None, column: None }
}

fn row_error(error: &FieldError) -> RowError {
    RowError { pointer: error.pointer.clone(), detail: error.detail.clone() }
}

/// The field at the end of a pointer.
fn field_of(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or_default()
}
