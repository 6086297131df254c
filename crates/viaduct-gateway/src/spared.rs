//! `on_violation: fallback`: what the contract stopped is answered all the same.
//!
//! The rows that it stopped get the fallback: no model sees them, and nothing of them is kept,
//! because nobody knows what they hold. The others of the same request are decided as if they had
//! come alone.

use std::sync::Arc;

use viaduct_base::{Error, FieldError, Kind, Refusal, Timestamp};
use viaduct_decisions::BatchRow;
use viaduct_domain::columns::Columns;

use crate::asked::{Asked, Inputs, REFUSED_MAX};
use crate::call::CallKey;
use crate::endpoint::Endpoint;
use crate::infer;
use crate::predict::Corridor;
use crate::said;
use crate::settle::Decided;
use crate::snapshot::{ConsumerSnapshot, EndpointSnapshot, InputRetention};

/// A request of which the contract stopped some rows, or all.
pub(crate) struct Spared {
    pub(crate) decided: Decided,
    /// Rows that the contract stopped.
    pub(crate) stopped: Vec<usize>,
}

/// Answers a request that `refusal` stopped. A fallback that has no answer either leaves the
/// caller with that first reason.
///
/// # Errors
/// The first reason; what keeps the other rows from being decided.
pub(crate) fn spare(
    corridor: &Corridor<'_>,
    key: &CallKey,
    asked: &Asked,
    refusal: Refusal,
    now: Timestamp,
) -> Result<Spared, Error> {
    let bad = named(&refusal, asked.rows).unwrap_or_else(|| (0..asked.rows).collect());
    let spared = answered(corridor, key, asked, (refusal, bad.clone()), now);
    if spared.is_err() {
        corridor.count_stopped(asked, &bad, |tally| &tally.refused);
    }
    spared
}

fn answered(
    corridor: &Corridor<'_>,
    key: &CallKey,
    asked: &Asked,
    (refusal, mut bad): (Refusal, Vec<usize>),
    now: Timestamp,
) -> Result<Spared, Error> {
    let silent = Arc::new(stopped(corridor.endpoint, now));
    let all: Vec<usize> = (0..asked.rows).collect();
    // Why before anything is decided: a request that is refused leaves no decision behind.
    let Ok(mut rest) = asked.without_inputs(&silent, &bad) else { return Err(refusal.into()) };
    let good: Vec<usize> =
        all.iter().filter(|row| bad.binary_search(row).is_err()).copied().collect();
    let mut decided = None;
    if !good.is_empty() {
        let paid = Arc::new(corridor.endpoint.under(paid(&corridor.endpoint.spec), now));
        let again = Corridor { endpoint: &paid, ..*corridor };
        match again.walk(key, asked.some(&good)) {
            Ok(found) => decided = Some(found),
            // More is wrong than was told: the model is not asked a third time.
            Err(Error::Refused(again)) if again.kind == Kind::ContractViolation => {
                let Ok(whole) = asked.without_inputs(&silent, &all) else {
                    return Err(refusal.into());
                };
                (rest, bad) = (whole, all);
            }
            Err(error) => return Err(placed(error, &good)),
        }
    }
    let last = Corridor { endpoint: &silent, deadline: None, is_spared: true, ..*corridor };
    let fallen = last.walk(key, rest).map_err(|error| match error {
        Error::Refused(why) if why.kind != Kind::LogFull => refusal.into(),
        error => error,
    })?;
    let decided = match decided {
        Some(decided) => merged(decided, &good, fallen, &bad),
        None => fallen,
    };
    Ok(Spared { decided, stopped: bad })
}

/// The endpoint as it is for rows that the contract stopped: without it, and without a model.
fn stopped(endpoint: &Endpoint, now: Timestamp) -> Endpoint {
    let spec = EndpointSnapshot {
        contract: None,
        retention: InputRetention::None,
        ..paid(&endpoint.spec)
    };
    let mut silent = endpoint.without_model(spec, "the contract stopped the request", now);
    // The version before would not know the row either.
    silent.previous = None;
    silent
}

/// The request's rows were taken from the consumer's limits when it came in.
fn paid(spec: &EndpointSnapshot) -> EndpointSnapshot {
    let unlimited = |known: &ConsumerSnapshot| ConsumerSnapshot {
        rate_per_second: None,
        burst: None,
        quota_per_day: None,
        ..known.clone()
    };
    let consumers = spec.consumers.iter().map(unlimited).collect();
    EndpointSnapshot { consumers, ..spec.clone() }
}

/// The rows that a refusal names; `None` where it may not name all of them.
fn named(refusal: &Refusal, rows: usize) -> Option<Vec<usize>> {
    if refusal.errors.is_empty() || refusal.errors.len() >= REFUSED_MAX {
        return None;
    }
    let row = |error: &FieldError| {
        let rest = error.pointer.strip_prefix("/rows/")?;
        rest.split('/').next()?.parse().ok().filter(|row| *row < rows)
    };
    let mut named = refusal.errors.iter().map(row).collect::<Option<Vec<usize>>>()?;
    named.sort_unstable();
    named.dedup();
    Some(named)
}

/// A refusal of some rows, with the places that they have in the request.
fn placed(error: Error, rows: &[usize]) -> Error {
    let Error::Refused(mut refusal) = error else { return error };
    for error in &mut refusal.errors {
        let Some(rest) = error.pointer.strip_prefix("/rows/") else { continue };
        let (row, field) = rest.split_once('/').unwrap_or((rest, ""));
        let Some(row) = row.parse::<usize>().ok().and_then(|row| rows.get(row)) else { continue };
        let slash = if field.is_empty() { "" } else { "/" };
        error.pointer = format!("/rows/{row}{slash}{field}");
    }
    refusal.into()
}

/// Two parts of one request in the order of its rows; both are in the log already.
fn merged(good: Decided, good_rows: &[usize], bad: Decided, bad_rows: &[usize]) -> Decided {
    let mut batch = good.batch;
    let (ways, sets) = (batch.ways.len() as u16, batch.outputs.len() as u16);
    batch.ways.extend(bad.batch.ways);
    batch.outputs.extend(bad.batch.outputs);
    let moved = |mut row: BatchRow| {
        row.way += ways;
        row.output = row.output.map(|mut at| {
            at.set += sets;
            at
        });
        row
    };
    let good = good_rows.iter().copied().zip(std::mem::take(&mut batch.rows));
    let bad = bad_rows.iter().copied().zip(bad.batch.rows.into_iter().map(moved));
    let mut rows: Vec<_> = good.chain(bad).collect();
    rows.sort_unstable_by_key(|(at, _)| *at);
    batch.rows = rows.into_iter().map(|(_, row)| row).collect();
    Decided { batch }
}

impl Asked {
    /// The request with these rows alone.
    fn some(&self, rows: &[usize]) -> Asked {
        fn of<T: Clone>(cells: Option<&Vec<T>>, rows: &[usize]) -> Option<Vec<T>> {
            cells.map(|cells| rows.iter().filter_map(|row| cells.get(*row).cloned()).collect())
        }
        let inputs = match &self.inputs {
            Inputs::Rows(all) => {
                Inputs::Rows(rows.iter().filter_map(|row| all.get(*row).cloned()).collect())
            }
            Inputs::Columns(all) => Inputs::Columns(said::pick(all, rows).into_owned()),
        };
        Asked {
            rows: rows.len(),
            inputs,
            entity_field: self.entity_field.clone(),
            key_fields: self.key_fields.clone(),
            incumbent_field: self.incumbent_field.clone(),
            entities: of(self.entities.as_ref(), rows),
            keys: of(self.keys.as_ref(), rows),
            incumbents: of(self.incumbents.as_ref(), rows),
            replayed: self.replayed,
        }
    }

    /// These rows with what they bring beside their inputs, and no input: they need not be alike.
    ///
    /// # Errors
    /// As [`Asked::sides`].
    fn without_inputs(&self, endpoint: &Endpoint, rows: &[usize]) -> Result<Asked, Refusal> {
        let some = self.some(rows);
        let sides = some.sides(endpoint, &Columns::default())?;
        let own = endpoint.spec.entity_field.as_ref();
        let field = some.entity_field.as_ref().or(own).filter(|_| some.entities.is_none());
        let entities = field.map(|field| {
            let texts = sides.iter().map(|side| side.entity.clone()).collect();
            (field.as_str().into(), infer::texts(texts))
        });
        let columns = Columns { rows: some.rows, columns: entities.into_iter().collect() };
        let (keys, incumbents) = sides.into_iter().map(|side| (side.keys, side.sent)).unzip();
        Ok(Asked {
            inputs: Inputs::Columns(columns),
            keys: Some(keys),
            incumbents: Some(incumbents),
            ..some
        })
    }
}
