//! A request's place at an endpoint: taken before it waits for a thread, given back at its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;
use viaduct_base::{Error, Kind, Refusal};
use viaduct_domain::assign::Variant;

use crate::asked::Asked;
use crate::call::{Answer, CallKey, PredictCall};
use crate::endpoint::{Endpoint, Table};
use crate::gateway::Gateway;
use crate::infer::{self, InferAnswer, InferCall};
use crate::journey;
use crate::limits::Permit;
use crate::predict::Corridor;
use crate::spared::{Spared, spare};
use crate::stopwatch::Stopwatch;

/// Larger requests are not answered on a thread that others wait for.
const QUICK_ROWS: usize = 64;
/// A run that takes longer is not quick.
const QUICK: Duration = Duration::from_millis(1);

/// A place among an endpoint's requests. Dropping it gives the place back: the work of a caller
/// who has left is not begun.
#[derive(Debug)]
pub struct Entry {
    gateway: Gateway,
    table: Arc<Table>,
    endpoint: Arc<Endpoint>,
    _permit: Permit,
    turn: Option<OwnedSemaphorePermit>,
    entered: Instant,
    deadline: Option<Instant>,
    wanted: Option<Variant>,
}

impl Gateway {
    /// Takes a place at an endpoint; the endpoint is the one in service now.
    ///
    /// # Errors
    /// There is no such endpoint, no snapshot yet, or its queue is full.
    pub fn enter(&self, endpoint: &str) -> Result<Entry, Refusal> {
        let table = self.table()?;
        let found = Arc::clone(table.find(endpoint)?);
        journey::at(endpoint);
        let limits = &found.spec.limits;
        let permit = Permit::take(&found.counters, limits, endpoint)
            .inspect_err(|refusal| found.counters.refused(Some(refusal.kind)))?;
        let entered = Instant::now();
        let longest = Duration::from_millis(u64::from(limits.deadline_ms));
        let deadline = entered.checked_add(longest).filter(|_| limits.deadline_ms > 0);
        Ok(Entry {
            gateway: self.clone(),
            table,
            endpoint: found,
            _permit: permit,
            turn: None,
            entered,
            deadline,
            wanted: None,
        })
    }
}

impl Entry {
    /// Ends the wait sooner than the endpoint's own limit.
    #[must_use]
    pub fn until(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = match (self.deadline, deadline) {
            (Some(own), Some(given)) => Some(own.min(given)),
            (own, given) => own.or(given),
        };
        self
    }

    /// Asks for a variant, as a tester does; heeded where the endpoint allows it, and flagged.
    #[must_use]
    pub fn picking(mut self, variant: Option<Variant>) -> Self {
        self.wanted = variant;
        self
    }

    /// Takes the model away from this request alone: for drills of the fallback.
    #[must_use]
    pub fn without_model(mut self) -> Self {
        let now = self.gateway.0.core.clock.now();
        let spec = self.endpoint.spec.clone();
        let why = "the model is taken away for a drill";
        self.endpoint = Arc::new(self.endpoint.without_model(spec, why, now));
        self
    }

    /// When the caller stops waiting.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether so many rows may be answered on a thread that others wait for: they are few, the
    /// model is in memory, and this endpoint was quick until now.
    pub fn is_quick(&self, rows: usize) -> bool {
        rows <= QUICK_ROWS
            && self.endpoint.counters.typical().is_some_and(|typical| typical <= QUICK)
            && self.endpoint.champion.as_ref().is_ok_and(|slot| slot.is_local() && slot.is_loaded())
    }

    /// Waits for one of the endpoint's turns, so that a slow endpoint takes only some of the
    /// threads that all endpoints share.
    pub async fn turn(&mut self) {
        let turns = Arc::clone(&self.endpoint.counters.turns);
        // The semaphore is never closed; without a turn nothing but the bound is lost.
        self.turn = turns.acquire_owned().await.ok();
    }

    /// Answers rows; as [`Gateway::predict`].
    ///
    /// # Errors
    /// As [`Gateway::predict`]; the deadline has passed.
    pub fn predict(self, call: PredictCall) -> Result<Vec<Answer>, Error> {
        let key = call.key.clone();
        let spared = self.walk(&key, |_| Ok(call.into()))?;
        let mut answers = spared.decided.answers();
        for row in spared.stopped {
            if let Some(answer) = answers.get_mut(row) {
                answer.contract = None;
            }
        }
        Ok(answers)
    }

    /// Answers tensors; as [`Gateway::infer`].
    ///
    /// # Errors
    /// As [`Gateway::infer`]; the deadline has passed.
    pub fn infer(self, call: InferCall) -> Result<InferAnswer, Error> {
        let (key, wanted) = (call.key.clone(), call.outputs.clone());
        let spared = self.walk(&key, |endpoint| infer::asked(endpoint, call))?;
        Ok(infer::answer(&spared.decided, &wanted, &self.endpoint)?)
    }

    fn walk(
        &self,
        key: &CallKey,
        asked: impl FnOnce(&Endpoint) -> Result<Asked, Refusal>,
    ) -> Result<Spared, Error> {
        let counters = &self.endpoint.counters;
        let watch = Stopwatch::start();
        let start = watch.begun();
        counters.wait.observe(start.saturating_duration_since(self.entered));
        let corridor = Corridor {
            gateway: &self.gateway,
            endpoint: &self.endpoint,
            salt: &self.table.salt,
            start,
            deadline: self.deadline,
            wanted: self.wanted,
            is_spared: false,
        };
        let result = asked(&self.endpoint)
            .map_err(Error::from)
            .and_then(|asked| self.decide(&corridor, key, asked));
        counters.lasted(start.elapsed(), watch.own());
        match &result {
            Ok(_) => counters.answered(),
            Err(Error::Refused(refusal)) => counters.refused(Some(refusal.kind)),
            Err(Error::Fault(_)) => counters.refused(None),
        }
        result
    }

    /// Through the corridor; where the endpoint says so, what the contract stops is answered too.
    fn decide(
        &self,
        corridor: &Corridor<'_>,
        key: &CallKey,
        asked: Asked,
    ) -> Result<Spared, Error> {
        let again = self.endpoint.spec.fallback_on_violation.then(|| asked.clone());
        match (corridor.walk(key, asked), again) {
            (Err(Error::Refused(refusal)), Some(asked))
                if refusal.kind == Kind::ContractViolation =>
            {
                let spared =
                    spare(corridor, key, &asked, refusal, self.gateway.0.core.clock.now())?;
                // Told as refused all the same, beside the answer that it gets.
                self.endpoint.counters.refused(Some(Kind::ContractViolation));
                Ok(spared)
            }
            (decided, _) => Ok(Spared { decided: decided?, stopped: Vec::new() }),
        }
    }
}

/// The refusal of a wait that lasted too long.
pub fn deadline_passed() -> Refusal {
    let detail = "the answer was not there within the time that the request gives it";
    Refusal::new(Kind::DeadlinePassed, detail)
}
