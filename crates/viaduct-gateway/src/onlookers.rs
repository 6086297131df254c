//! Copies for challengers that look on: asked after the answer was handed over, on a thread of
//! their own, and dropped when there are too many. They cost the caller nothing but the copy.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use viaduct_base::{DecisionId, Timestamp};
use viaduct_decisions::{BesideRow, DecisionBatch, DecisionLog, Record};
use viaduct_domain::columns::{Columns, Outputs};
use viaduct_domain::output::ModelOutput;
use viaduct_domain::rule::{Rule, Verdict};
use viaduct_telemetry::{Journey, current, within};

use crate::counts;
use crate::endpoint::Endpoint;
use crate::models::{Slot, Unanswered};
use crate::said::{Told, Which, pick};
use crate::settle::verdict;

/// Rows that may wait; more are dropped and counted.
const ROWS_MAX: usize = 20_000;
/// Time in which the answer leaves, so that a copy does not take the core it needs.
const AFTER: Duration = Duration::from_millis(2);
/// Two amounts that differ less, in proportion, say the same.
const SAME: f64 = 0.01;

/// One request's rows for a challenger.
#[derive(Debug)]
struct Copied {
    endpoint: Arc<Endpoint>,
    columns: Columns,
    /// For each row its decision and what the champion said.
    rows: Vec<(DecisionId, ModelOutput)>,
    at: Timestamp,
    due: Instant,
    /// The traced request that they come from.
    journey: Option<Arc<Journey>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Copied>,
    rows: usize,
    is_busy: bool,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// The queue of copies and its thread, which begins with the first one.
#[derive(Debug)]
pub(crate) struct Onlookers {
    shared: Arc<Shared>,
    log: DecisionLog,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Onlookers {
    pub(crate) fn new(log: DecisionLog) -> Self {
        Self { shared: Arc::default(), log, thread: Mutex::default() }
    }

    /// Rows that wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).rows as u64
    }

    /// Queues the rows that the champion said something about.
    pub(crate) fn copy(
        &self,
        endpoint: &Arc<Endpoint>,
        batch: &DecisionBatch,
        told: &[Told],
        columns: Columns,
    ) {
        let by_champion = |told: &Told| told.which == Some(Which::Champion) && told.is_good();
        let wanted: Vec<usize> = (0..told.len()).filter(|row| by_champion(&told[*row])).collect();
        let rows: Vec<_> = wanted
            .iter()
            .filter_map(|row| {
                let logged = batch.rows.get(*row)?;
                let at = logged.output?;
                let output = batch.outputs.get(usize::from(at.set))?.row(at.row as usize);
                Some((logged.id, output))
            })
            .collect();
        if rows.is_empty() || rows.len() != wanted.len() {
            return;
        }
        let columns = match wanted.len() == columns.rows {
            true => columns,
            false => pick(&columns, &wanted).into_owned(),
        };
        let due = Instant::now() + AFTER;
        let (at, journey) = (batch.head.at, current());
        let copied = Copied { endpoint: Arc::clone(endpoint), columns, rows, at, due, journey };
        self.queue(copied);
    }

    fn queue(&self, copied: Copied) {
        let rows = copied.rows.len();
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.rows + rows > ROWS_MAX {
            drop(queue);
            counts::add(&copied.endpoint.counters.copies_dropped, rows as u64);
            return;
        }
        queue.rows += rows;
        queue.waiting.push_back(copied);
        drop(queue);
        self.start();
        self.shared.changed.notify_all();
    }

    fn start(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let (shared, log) = (Arc::clone(&self.shared), self.log.clone());
            let begun = std::thread::Builder::new()
                .name("gateway-onlooker".into())
                .spawn(move || work(&shared, &log));
            // Without a thread the queue fills, and the copies are dropped and counted.
            *thread = begun.ok();
        }
    }

    /// Waits until nothing is queued; for tests and for a shutdown in order.
    pub(crate) fn settle(&self) {
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        while !queue.waiting.is_empty() || queue.is_busy {
            queue = self.shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Onlookers {
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.is_closed = true;
        queue.waiting.clear();
        drop(queue);
        self.shared.changed.notify_all();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A worker that panicked has nothing left to do.
            let _ = thread.join();
        }
    }
}

fn work(shared: &Shared, log: &DecisionLog) {
    loop {
        let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let copied = loop {
            if queue.is_closed {
                return;
            }
            match queue.waiting.front().map(|copied| copied.due) {
                None => {
                    queue = shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                }
                Some(due) => match due.checked_duration_since(Instant::now()) {
                    Some(left) if !left.is_zero() => {
                        let waited = shared.changed.wait_timeout(queue, left);
                        queue = waited.unwrap_or_else(PoisonError::into_inner).0;
                    }
                    _ => {
                        if let Some(copied) = queue.waiting.pop_front() {
                            queue.rows -= copied.rows.len();
                            queue.is_busy = true;
                            break copied;
                        }
                    }
                },
            }
        };
        drop(queue);
        within(copied.journey.clone(), || look_on(log, &copied));
        shared.queue.lock().unwrap_or_else(PoisonError::into_inner).is_busy = false;
        shared.changed.notify_all();
    }
}

/// Asks the challenger and logs what it says beside the decisions.
fn look_on(log: &DecisionLog, copied: &Copied) {
    let endpoint = &copied.endpoint;
    let Some(slot) = &endpoint.challenger else { return };
    let Some(tally) = endpoint.tally(viaduct_domain::assign::Variant::Challenger) else { return };
    let count = copied.rows.len() as u64;
    let start = Instant::now();
    let answer = slot.ask(&copied.columns, endpoint.longest(start));
    let took = start.elapsed();
    tally.latency.observe(took);
    counts::add(&tally.rows, count);
    counts::add(&tally.requests, 1);
    let outputs = match answer {
        Ok(outputs) => Ok(outputs),
        Err(error) => {
            counts::add(&tally.errors, count);
            Err(match error {
                Unanswered::Unready(refusal) => refusal.detail,
                Unanswered::Failed(detail) | Unanswered::Cell { detail, .. } => detail,
            })
        }
    };
    let latency_us = took.as_micros() as u64 / count.max(1);
    let records: Vec<_> = copied
        .rows
        .iter()
        .enumerate()
        .map(|(row, (decision, champion))| {
            let said = outputs.as_ref().map(|outputs| (outputs, row)).map_err(Clone::clone);
            beside(copied, slot, said, *decision, champion, latency_us)
        })
        .collect();
    for record in &records {
        if let Some(disagrees) = record.disagrees {
            counts::add(&tally.compared, 1);
            counts::add(&tally.disagreements, u64::from(disagrees));
        }
    }
    if let Ok(outputs) = &outputs {
        let bad = (0..copied.rows.len()).filter(|row| outputs.has_non_finite(*row)).count();
        counts::add(&tally.nan, bad as u64);
    }
    let records: Vec<_> = records.into_iter().map(Record::Beside).collect();
    if log.append(&records).is_err() {
        counts::add(&endpoint.counters.copies_dropped, count);
    }
}

fn beside(
    copied: &Copied,
    slot: &Slot,
    said: Result<(&Outputs, usize), String>,
    decision: DecisionId,
    champion: &ModelOutput,
    latency_us: u64,
) -> BesideRow {
    let spec = &copied.endpoint.spec;
    let rule = spec.rule.as_ref();
    let output = said.as_ref().ok().map(|(outputs, row)| outputs.row(*row));
    let action = said.as_ref().ok().and_then(|(outputs, row)| {
        let rule = rule?;
        match verdict(rule, outputs, *row) {
            Verdict::Met => Some(rule.action.clone()),
            Verdict::NotMet => Some(rule.otherwise.clone()),
            Verdict::Unknown => None,
        }
    });
    BesideRow {
        decision,
        at: copied.at,
        endpoint: spec.id,
        rollout: spec
            .challenger
            .as_ref()
            .map_or(viaduct_base::RolloutId::from_u128(0), |c| c.rollout),
        model: slot.served.name.clone(),
        model_version: slot.served.version,
        disagrees: output.as_ref().and_then(|output| disagree(rule, champion, output)),
        output: output.and_then(|output| serde_json::to_value(output).ok()),
        action,
        error: said.err(),
        latency_us,
    }
}

/// Whether two outputs lead to different work: another action where a rule decides, else another
/// label, else an amount that differs by more than a hundredth.
fn disagree(rule: Option<&Rule>, champion: &ModelOutput, other: &ModelOutput) -> Option<bool> {
    if let Some(rule) = rule {
        let (a, b) = (rule.decide(champion), rule.decide(other));
        let is_known = a.verdict != Verdict::Unknown && b.verdict != Verdict::Unknown;
        return is_known.then(|| a.name != b.name);
    }
    if champion.label.is_some() && other.label.is_some() {
        return Some(champion.label != other.label);
    }
    let (a, b) = (champion.value?, other.value?);
    let scale = a.abs().max(b.abs());
    (a.is_finite() && b.is_finite()).then(|| (a - b).abs() > SAME * scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn disagreement_is_other_work() {
        let output = |value| -> ModelOutput { serde_json::from_value(value).unwrap() };
        let rule: Rule = serde_json::from_value(json!({
            "name": "r", "when": {"field": "probability", "op": ">=", "threshold": 0.5},
            "action": "call", "otherwise": "skip", "mode": "auto",
        }))
        .unwrap();
        let (low, high) =
            (output(json!({"probability": 0.4})), output(json!({"probability": 0.6})));
        let lower = output(json!({"probability": 0.1}));
        assert_eq!(disagree(Some(&rule), &low, &high), Some(true));
        assert_eq!(disagree(Some(&rule), &low, &lower), Some(false));
        assert_eq!(disagree(Some(&rule), &low, &output(json!({"value": 1}))), None);
        assert_eq!(
            disagree(None, &output(json!({"label": "a"})), &output(json!({"label": "b"}))),
            Some(true)
        );
        let (ten, near) = (output(json!({"value": 10.0})), output(json!({"value": 10.05})));
        assert_eq!(disagree(None, &ten, &near), Some(false));
        assert_eq!(disagree(None, &ten, &output(json!({"value": 11.0}))), Some(true));
    }
}
