//! The index of a segment that is still open: id, business keys, endpoints and days, in memory.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use viaduct_base::{Day, Timestamp};

use crate::frame::{Entry, Place, RowKind};

/// How much an endpoint was asked on one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCount {
    /// Rows that were answered.
    pub decisions: u64,
    /// Rows that were refused for not meeting the contract.
    pub refused: u64,
}

impl DayCount {
    pub(crate) fn add(&mut self, other: DayCount) {
        self.decisions += other.decisions;
        self.refused += other.refused;
    }
}

/// What one endpoint has in one segment.
#[derive(Debug, Default)]
pub(crate) struct EndpointRows {
    /// Places of its decisions, in the order they were appended.
    pub(crate) places: Vec<Place>,
    pub(crate) days: BTreeMap<i32, DayCount>,
    pub(crate) range: Range,
}

/// The first and last moment of some rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl Default for Range {
    fn default() -> Self {
        Self { first: i64::MAX, last: i64::MIN }
    }
}

impl Range {
    pub(crate) fn widen(&mut self, at: Timestamp) {
        self.first = self.first.min(at.as_micros());
        self.last = self.last.max(at.as_micros());
    }

    /// Whether a row of `[from, to)` can be in it.
    pub(crate) fn touches(&self, from: Timestamp, to: Timestamp) -> bool {
        self.last >= from.as_micros() && self.first < to.as_micros()
    }
}

#[derive(Debug, Default)]
pub(crate) struct MemoryIndex {
    pub(crate) ids: BTreeMap<u128, Place>,
    pub(crate) keys: BTreeSet<(u64, Place)>,
    pub(crate) endpoints: BTreeMap<u128, EndpointRows>,
    pub(crate) range: Range,
    pub(crate) rows: u64,
}

impl MemoryIndex {
    pub(crate) fn add(&mut self, entry: &Entry, offset: u64) {
        self.range.widen(entry.at);
        let endpoint = self.endpoints.entry(entry.endpoint).or_default();
        endpoint.range.widen(entry.at);
        let day: Day = entry.at.day();
        let count = endpoint.days.entry(day.number()).or_default();
        if entry.kind == RowKind::Refused {
            self.rows += 1;
            count.refused += 1;
            return;
        }
        // A row beside a decision is found by its key and counts for no day.
        self.rows += entry.ids.len().max(1) as u64;
        count.decisions += entry.ids.len() as u64;
        for (row, id) in entry.ids.iter().enumerate() {
            let place = Place::new(offset, row as u32);
            endpoint.places.push(place);
            self.ids.insert(*id, place);
        }
        for (row, hash) in &entry.keys {
            self.keys.insert((*hash, Place::new(offset, *row)));
        }
    }

    /// Places of the rows with this key hash, newest first.
    pub(crate) fn by_key(&self, hash: u64) -> Vec<Place> {
        let (first, last) = (Place::from_u64(0), Place::from_u64(u64::MAX));
        self.keys.range((hash, first)..=(hash, last)).rev().map(|(_, place)| *place).collect()
    }

    /// Places of the endpoint's last decisions, newest first.
    pub(crate) fn recent(&self, endpoint: u128, limit: usize) -> Vec<Place> {
        self.endpoints
            .get(&endpoint)
            .map(|rows| rows.places.iter().rev().take(limit).copied().collect())
            .unwrap_or_default()
    }
}
