//! The index of a segment that is still open: id, business keys, endpoints and days, in memory.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use viaduct_base::{Day, Timestamp};

use crate::frame::{Entry, RowKind};

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
    /// Offsets of its decisions, in the order they were appended.
    pub(crate) offsets: Vec<u32>,
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
    pub(crate) ids: BTreeMap<u128, u32>,
    pub(crate) keys: BTreeSet<(u64, u32)>,
    pub(crate) endpoints: BTreeMap<u128, EndpointRows>,
    pub(crate) range: Range,
    pub(crate) rows: u64,
}

impl MemoryIndex {
    pub(crate) fn add(&mut self, entry: &Entry, offset: u32) {
        self.rows += 1;
        self.range.widen(entry.at);
        let endpoint = self.endpoints.entry(entry.endpoint).or_default();
        endpoint.range.widen(entry.at);
        let day: Day = entry.at.day();
        let count = endpoint.days.entry(day.number()).or_default();
        match entry.kind {
            RowKind::Refused => count.refused += 1,
            RowKind::Decision => {
                count.decisions += 1;
                endpoint.offsets.push(offset);
                self.ids.insert(entry.id, offset);
                for hash in &entry.keys {
                    self.keys.insert((*hash, offset));
                }
            }
        }
    }

    /// Offsets of the rows with this key hash, newest first.
    pub(crate) fn by_key(&self, hash: u64) -> Vec<u32> {
        self.keys.range((hash, 0)..=(hash, u32::MAX)).rev().map(|(_, offset)| *offset).collect()
    }

    /// Offsets of the endpoint's last decisions, newest first.
    pub(crate) fn recent(&self, endpoint: u128, limit: usize) -> Vec<u32> {
        self.endpoints
            .get(&endpoint)
            .map(|rows| rows.offsets.iter().rev().take(limit).copied().collect())
            .unwrap_or_default()
    }
}
