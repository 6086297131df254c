//! What is older than it may be: rows that go, and rows whose inputs go.

use std::collections::BTreeSet;

use viaduct_base::{EndpointId, Timestamp};

use crate::LogError;
use crate::log::DecisionLog;
use crate::rewrite::{About, Fate, Rewritten};
use crate::row::Record;
use crate::segment::Index;

const START: Timestamp = Timestamp::from_micros(i64::MIN);

/// From which moments on an endpoint's rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Rows from before this moment go: decisions, refused requests, what challengers said.
    pub rows_before: Option<Timestamp>,
    /// Decisions made from the first of these moments until before the second lose their inputs.
    /// Why a first: what was forgotten already need not be read again.
    pub inputs: Option<(Timestamp, Timestamp)>,
}

/// What an [`Expiry`] finds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expiring {
    /// Decisions that go.
    pub decisions: u64,
    /// Refused requests that go.
    pub refused: u64,
    /// Rows of challengers that go.
    pub beside: u64,
    /// Decisions that stay and lose their inputs.
    pub inputs: u64,
    /// Places that could not be read; they go with the segment that they stand in.
    pub damaged: u64,
    /// The first moment of what goes.
    pub first: Option<Timestamp>,
    /// The last one.
    pub last: Option<Timestamp>,
}

impl Expiring {
    /// Whether nothing is old enough.
    pub fn is_empty(&self) -> bool {
        self.decisions + self.refused + self.beside + self.inputs == 0
    }

    fn widen(&mut self, at: Timestamp) {
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }
}

impl Expiry {
    fn rows(&self) -> Option<(Timestamp, Timestamp)> {
        self.rows_before.map(|before| (START, before))
    }

    /// The part of `inputs` whose rows stay.
    fn forgotten(&self) -> Option<(Timestamp, Timestamp)> {
        let (from, before) = self.inputs?;
        let from = from.max(self.rows_before.unwrap_or(START));
        (from < before).then_some((from, before))
    }
}

impl DecisionLog {
    /// Counts what [`DecisionLog::expire`] would take away. Blocks.
    ///
    /// # Errors
    /// The disk failed; a damaged place is none, it is counted.
    pub fn expiring(&self, expiry: &Expiry) -> Result<Expiring, LogError> {
        let mut found = Expiring::default();
        let spans = [(expiry.rows(), true), (expiry.forgotten(), false)];
        for (span, goes) in spans {
            let Some((from, to)) = span else { continue };
            for record in self.scan(Some(expiry.endpoint), from, to) {
                let record = match record {
                    Ok(record) => record,
                    Err(LogError::Corrupt { .. }) => {
                        found.damaged += 1;
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                match &record {
                    Record::Decision(_) if goes => found.decisions += 1,
                    Record::Refused(_) if goes => found.refused += 1,
                    Record::Beside(_) if goes => found.beside += 1,
                    Record::Decision(row) if !row.inputs.is_empty() => found.inputs += 1,
                    _ => continue,
                }
                found.widen(record.at());
            }
        }
        Ok(found)
    }

    /// Takes away what is too old, in the open segment too. Segments are written again one after
    /// the other: killed at any moment, a row is there or gone, and asking again goes on.
    ///
    /// # Errors
    /// As [`DecisionLog::erase`].
    pub fn expire(&self, expiry: &Expiry) -> Result<Rewritten, LogError> {
        let spans: Vec<_> = [expiry.rows(), expiry.forgotten()].into_iter().flatten().collect();
        if spans.is_empty() {
            return Ok(Rewritten::default());
        }
        let about = About { endpoint: expiry.endpoint, spans };
        self.rewrite_about(&about, &|record| match expiry.rows_before {
            Some(before) if record.at() < before => Fate::Drop,
            _ => Fate::Forget,
        })
    }

    /// Every endpoint that has rows in the log. Answered from memory.
    pub fn endpoints(&self) -> BTreeSet<EndpointId> {
        let mut found = BTreeSet::new();
        for segment in self.segments().list() {
            match &*segment.index() {
                Index::Memory(index) => {
                    found.extend(index.endpoints.keys().copied().map(EndpointId::from_u128));
                }
                Index::Disk(index) => found.extend(index.endpoints().map(EndpointId::from_u128)),
            }
        }
        found
    }
}
