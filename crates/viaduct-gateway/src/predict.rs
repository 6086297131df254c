//! The corridor.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use serde_json::{Map, Value};
use viaduct_base::{DecisionId, Error, FieldError, Kind, Refusal, Timestamp};
use viaduct_decisions::{BatchHead, DecisionBatch, Record, RefusedRow, RowError};
use viaduct_domain::assign::Variant;
use viaduct_domain::columns::Columns;
use viaduct_domain::contract::{CheckedColumns, Contract};
use viaduct_domain::output::{Cell, TypedRow};

use crate::asked::{Asked, Inputs, REFUSED_MAX, field_of, problem};
use crate::call::{Answer, CallKey, PredictCall};
use crate::counts::{self, Tally};
use crate::endpoint::Endpoint;
use crate::gateway::Gateway;
use crate::journey;
use crate::place::{self, Place};
use crate::retention;
use crate::said::{self, Said};
use crate::settle::{Decided, Settler};
use crate::snapshot::ConsumerSnapshot;

/// The bits of an id that are random and below the version and variant.
const RANDOM: u128 = (1 << 62) - 1;

impl Gateway {
    /// Answers every row or none. Blocks: on the model and on the decision log.
    ///
    /// # Errors
    /// Refused: unknown endpoint, missing key, rows that do not meet the contract, no model, no
    /// runtime, a decision log that is full.
    pub fn predict(&self, call: PredictCall) -> Result<Vec<Answer>, Error> {
        self.enter(&call.endpoint)?.predict(call)
    }
}

/// One request on its way.
#[derive(Clone, Copy)]
pub(crate) struct Corridor<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) endpoint: &'a Arc<Endpoint>,
    pub(crate) salt: &'a str,
    pub(crate) start: Instant,
    pub(crate) deadline: Option<Instant>,
    /// The variant that a tester wants.
    pub(crate) wanted: Option<Variant>,
    /// Whether these are rows that the contract stopped, on their way to the fallback.
    pub(crate) is_spared: bool,
}

/// What is known of a request before its rows are looked at.
#[derive(Clone, Copy)]
struct Visit<'a> {
    consumer: Option<&'a ConsumerSnapshot>,
    now: Timestamp,
    replayed: bool,
}

impl Corridor<'_> {
    pub(crate) fn walk(&self, key: &CallKey, mut asked: Asked) -> Result<Decided, Error> {
        let admitted = self.endpoint.admit(key)?;
        self.check_size(asked.rows)?;
        if let Some((consumer, limiter)) = admitted {
            limiter.take(consumer, asked.rows as u64, Instant::now(), Timestamp::from_system())?;
        }
        let consumer = admitted.map(|(consumer, _)| consumer);
        let now = self.gateway.0.core.clock.now();
        let visit = Visit { consumer, now, replayed: asked.replayed };
        let checked = self.check(&mut asked, visit)?;
        let sides = asked.sides(self.endpoint, &checked.columns)?;
        let ids = ids(now, asked.rows);
        let is_picking = self
            .wanted
            .filter(|_| self.endpoint.spec.trusted_override && matches!(key, CallKey::Trusted));
        let places: Vec<_> = sides
            .iter()
            .zip(&ids)
            .map(|(side, id)| self.place(side.entity.as_deref(), *id, is_picking))
            .collect();
        self.in_time()?;
        let said = said::ask(self.endpoint, &checked.columns, &places).map_err(|bad| {
            let error = problem(bad.row, &bad.field, bad.detail);
            self.refuse(&asked, visit, vec![(bad.row, error)])
        })?;
        self.in_time()?;
        let unsticky = sides.iter().filter(|side| side.entity.is_none()).count();
        if !self.is_spared {
            self.count(&checked, &places, unsticky);
        }
        let mut defaulted: Vec<_> = checked.defaulted.iter().map(|(row, _)| *row).collect();
        defaulted.sort_unstable();
        let settler = Settler {
            endpoint: self.endpoint,
            salt: self.salt,
            said: &said,
            is_foreign: asked.is_foreign(self.endpoint),
            defaulted: &defaulted,
        };
        let mut batch = DecisionBatch::new(self.head(visit), Columns::default());
        settler.settle(&ids, sides, &places, &mut batch)?;
        // Why only here: without an answer they are refused rows, which are counted apart.
        if self.is_spared {
            self.count(&checked, &places, unsticky);
        }
        self.finish(asked, checked, said, batch)
    }

    /// Logs what was decided and hands copies to a challenger that looks on.
    fn finish(
        &self,
        asked: Asked,
        checked: CheckedColumns,
        said: Said,
        mut batch: DecisionBatch,
    ) -> Result<Decided, Error> {
        let spec = &self.endpoint.spec;
        batch.outputs = said.sets;
        let hidden = asked.hidden(self.endpoint);
        let copied = self.endpoint.has_onlooker().then(|| checked.columns.clone());
        batch.inputs = retention::logged(spec, self.salt, checked.columns, hidden);
        let took = self.start.elapsed().as_micros() as u64;
        for row in &mut batch.rows {
            row.latency_us = took;
        }
        let start = Instant::now();
        let appended = self.gateway.0.log.append_batch(&batch);
        self.gateway.0.append_duration.observe(start.elapsed());
        appended.map_err(Error::from)?;
        journey::came_to(&batch);
        for row in &batch.rows {
            let way = batch.ways.get(usize::from(row.way));
            self.endpoint.count_fallback(way);
        }
        if let Some(columns) = copied {
            self.gateway.0.onlookers.copy(self.endpoint, &batch, &said.told, columns);
        }
        Ok(Decided { batch })
    }

    fn head(&self, visit: Visit<'_>) -> BatchHead {
        let spec = &self.endpoint.spec;
        let department = visit.consumer.and_then(|consumer| consumer.department.clone());
        BatchHead {
            at: visit.now,
            clock: self.gateway.0.core.clock.kind(),
            replayed: visit.replayed,
            workspace: spec.workspace,
            endpoint: spec.id,
            endpoint_name: spec.name.to_string(),
            project: spec.project,
            stage: spec.stage.clone(),
            department: department.or_else(|| spec.department.clone()),
            consumer: visit.consumer.map(|consumer| consumer.id),
            contract_hash: spec.contract.as_ref().map(|contract| contract.hash().clone()),
            rule_hash: self.endpoint.rule_hash.clone(),
        }
    }

    fn place(&self, entity: Option<&str>, id: DecisionId, wanted: Option<Variant>) -> Place {
        let spec = &self.endpoint.spec;
        let has_challenger = self.endpoint.challenger.is_some();
        let mut place = match entity {
            Some(entity) => place::place(spec, entity, has_challenger),
            None if place::is_split(spec, has_challenger) => {
                place::place(spec, &id.to_string(), has_challenger)
            }
            None => place::place(spec, "", has_challenger),
        };
        if let Some(wanted) = wanted {
            place::pick(&mut place, wanted, has_challenger);
            place.scored &= spec.killed.is_none();
        }
        place
    }

    /// Checks every row against the contract; what does not meet it is logged and refused.
    fn check(&self, asked: &mut Asked, visit: Visit<'_>) -> Result<CheckedColumns, Error> {
        let contract = self.endpoint.spec.contract.as_ref();
        let result = match (&mut asked.inputs, contract) {
            (Inputs::Rows(rows), Some(contract)) => check_rows(contract, rows),
            (Inputs::Columns(sent), Some(contract)) => {
                let all = std::mem::take(&mut sent.columns);
                let (ours, given): (Vec<_>, Vec<_>) =
                    all.into_iter().partition(|(name, _)| is_ours(name));
                // What the contract does not know stays: an entity or a key may be among it.
                let unknown = given.iter().filter(|(name, _)| contract.field(name).is_none());
                sent.columns = ours.into_iter().chain(unknown.cloned()).collect();
                let given = Columns { rows: sent.rows, columns: given };
                contract.check_columns(given).map_err(in_rows)
            }
            (Inputs::Rows(rows), None) => {
                let typed: Vec<_> = rows.iter().map(as_it_comes).collect();
                let columns = Columns::from_rows(&typed).ok_or_else(|| mixed(&typed))?;
                Ok(CheckedColumns { columns, ..CheckedColumns::default() })
            }
            (Inputs::Columns(sent), None) => {
                let columns = sent.columns.iter().filter(|(name, _)| !is_ours(name)).cloned();
                let columns = Columns { rows: sent.rows, columns: columns.collect() };
                Ok(CheckedColumns { columns, ..CheckedColumns::default() })
            }
        };
        result.map_err(|errors| self.refuse(asked, visit, errors))
    }

    /// Logs refused rows, because the share of rows that met the contract is evidence.
    fn refuse(&self, asked: &Asked, visit: Visit<'_>, bad: Vec<(usize, FieldError)>) -> Error {
        let fields = bad.iter().map(|(_, error)| field_of(&error.pointer));
        let mut rows: Vec<usize> = bad.iter().map(|(row, _)| *row).collect();
        rows.dedup();
        self.endpoint.counters.violated(rows.len() as u64, fields);
        self.count_stopped(asked, &rows, |tally| &tally.violations);
        // Where the fallback answers them they are no refused rows: `spared.rs` knows in the end.
        if !self.endpoint.spec.fallback_on_violation {
            self.count_stopped(asked, &rows, |tally| &tally.refused);
        }
        let records: Vec<_> = bad
            .chunk_by(|a, b| a.0 == b.0)
            .take(REFUSED_MAX)
            .map(|errors| {
                Record::Refused(RefusedRow {
                    at: visit.now,
                    endpoint: self.endpoint.spec.id,
                    consumer: visit.consumer.map(|consumer| consumer.id),
                    replayed: visit.replayed,
                    errors: errors.iter().map(|(_, error)| row_error(error)).collect(),
                })
            })
            .collect();
        let start = Instant::now();
        let appended = self.gateway.0.log.append(&records);
        self.gateway.0.append_duration.observe(start.elapsed());
        if let Err(error) = appended {
            return error.into();
        }
        let mut errors: Vec<_> = bad.into_iter().map(|(_, error)| error).collect();
        errors.truncate(REFUSED_MAX);
        Contract::refuse_row(errors).into()
    }

    /// Rows that the contract stopped count for the variant that their entity would have met.
    pub(crate) fn count_stopped(
        &self,
        asked: &Asked,
        rows: &[usize],
        counter: fn(&Tally) -> &AtomicU64,
    ) {
        for row in rows {
            let variant = match asked.entity(self.endpoint, *row) {
                Some(entity) => {
                    let has_challenger = self.endpoint.challenger.is_some();
                    place::place(&self.endpoint.spec, &entity, has_challenger).variant
                }
                None => Variant::Champion,
            };
            if let Some(tally) = self.endpoint.tally(variant) {
                counts::add(counter(tally), 1);
            }
        }
    }

    fn count(&self, checked: &CheckedColumns, places: &[Place], unsticky: usize) {
        let counters = &self.endpoint.counters;
        counters.outside(checked.outside.iter().map(|(_, field)| &**field));
        counters.defaulted(checked.defaulted.iter().map(|(_, field)| &**field));
        counters.unsticky(unsticky as u64);
        for tally in self.endpoint.tallies() {
            let rows = places.iter().filter(|place| place.variant == tally.variant).count() as u64;
            counts::add(&tally.rows, rows);
            counts::add(&tally.requests, u64::from(rows > 0));
            counters.decided(tally.variant, rows);
        }
        let mut broken: Vec<_> =
            checked.outside.iter().chain(&checked.defaulted).map(|(row, _)| *row).collect();
        broken.sort_unstable();
        broken.dedup();
        for place in broken.iter().filter_map(|row| places.get(*row)) {
            if let Some(tally) = self.endpoint.tally(place.variant) {
                counts::add(&tally.violations, 1);
            }
        }
    }

    fn check_size(&self, rows: usize) -> Result<(), Refusal> {
        let most = self.endpoint.spec.limits.rows_max as usize;
        match rows {
            0 => {
                Err(Refusal::new(Kind::InvalidInput, "`rows` is empty: send one object a decision"))
            }
            count if count > most => Err(Refusal::new(
                Kind::TooLarge,
                format!("`rows` has {count} rows: send at most {most} at once"),
            )),
            _ => Ok(()),
        }
    }

    fn in_time(&self) -> Result<(), Refusal> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => {
                let detail = format!(
                    "endpoint `{}` had no answer within the time that the request gives it; \
                     nothing was decided",
                    self.endpoint.spec.name
                );
                Err(Refusal::new(Kind::DeadlinePassed, detail))
            }
            _ => Ok(()),
        }
    }
}

/// Ids of one request: one random id and those behind it, in order. Two requests meet with a
/// chance of rows over 2^62.
pub(crate) fn ids(now: Timestamp, count: usize) -> Vec<DecisionId> {
    let first = DecisionId::new(now).as_u128();
    (0..count as u128)
        .map(|n| DecisionId::from_u128((first & !RANDOM) | ((first + n) & RANDOM)))
        .collect()
}

fn check_rows(
    contract: &Contract,
    rows: &[Map<String, Value>],
) -> Result<CheckedColumns, Vec<(usize, FieldError)>> {
    let (mut typed, mut bad) = (Vec::with_capacity(rows.len()), Vec::new());
    let mut checked = CheckedColumns::default();
    for (number, row) in rows.iter().enumerate() {
        match contract.check_row(row) {
            Ok(row) => {
                let field = |error: &FieldError| (number, field_of(&error.pointer).into());
                checked.outside.extend(row.outside.iter().map(field));
                checked.defaulted.extend(row.defaulted.iter().map(field));
                typed.push(row);
            }
            Err(errors) => bad.extend(errors.into_iter().map(|error| (number, error))),
        }
    }
    if !bad.is_empty() {
        return Err(in_rows(bad));
    }
    // Why typed by the contract: a column without any value has a type all the same.
    checked.columns = contract.columns_of(&typed);
    Ok(checked)
}

/// Whether a column is a tensor of ours, which no model reads.
fn is_ours(name: &str) -> bool {
    name.starts_with("viaduct.")
}

/// Names the first field that is text here and a number there.
fn mixed(rows: &[TypedRow]) -> Refusal {
    let first = rows.first().map(|row| row.cells.as_slice()).unwrap_or_default();
    let kind = |cell: &Cell| match cell {
        Cell::F64(_) | Cell::I64(_) => Some(0),
        Cell::Text(_) => Some(1),
        Cell::Bool(_) => Some(2),
        Cell::Null => None,
    };
    for (number, row) in rows.iter().enumerate().skip(1) {
        for (place, (name, cell)) in row.cells.iter().enumerate() {
            let said = match first.get(place) {
                Some((known, other)) if known == name => {
                    let differs = kind(cell).zip(kind(other)).is_some_and(|(a, b)| a != b);
                    differs.then(|| format!("`{name}` has another type than in the first row"))
                }
                _ => Some(format!("`{name}` is not the first row's field at this place")),
            };
            if let Some(detail) = said {
                let at = problem(number, name, detail.clone());
                let detail =
                    format!("row {number}: {detail}: without a contract all rows are alike");
                return Refusal::new(Kind::InvalidInput, detail).with_errors(vec![at]);
            }
        }
    }
    Refusal::new(Kind::InvalidInput, "the rows have not all the same fields of the same types")
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

fn in_rows(errors: Vec<(usize, FieldError)>) -> Vec<(usize, FieldError)> {
    errors
        .into_iter()
        .map(|(row, error)| {
            (row, FieldError { pointer: format!("/rows/{row}{}", error.pointer), ..error })
        })
        .collect()
}

fn row_error(error: &FieldError) -> RowError {
    RowError { pointer: error.pointer.clone(), detail: error.detail.clone() }
}
