//! Finding rows: by id, by key, the newest, and the damaged.

use std::collections::BTreeMap;
use std::sync::Arc;

use viaduct_base::{Day, DecisionId, EndpointId};

use crate::LogError;
use crate::frame;
use crate::log::DecisionLog;
use crate::memory_index::DayCount;
use crate::recovery::Corruption;
use crate::row::{BesideRow, DecisionRow, Record};
use crate::segment::{Index, Segment, Step};

impl DecisionLog {
    /// The decision with this id.
    ///
    /// # Errors
    /// The disk failed, or the row is damaged.
    pub fn get(&self, id: DecisionId) -> Result<Option<DecisionRow>, LogError> {
        for segment in self.newest_first() {
            let (_, rows) = self.segments().with_current(&segment, |segment| {
                let place = match &*segment.index() {
                    Index::Memory(index) => index.ids.get(&id.as_u128()).copied(),
                    Index::Disk(index) => index.find_id(id.as_u128())?,
                };
                segment.decisions(place.as_slice())
            })?;
            if let Some(row) = rows.into_iter().find(|row| row.id == id) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Decisions of the endpoint that carry the business key, newest first.
    ///
    /// # Errors
    /// The disk failed, or a row is damaged.
    pub fn by_key(
        &self,
        endpoint: EndpointId,
        key: &str,
        value: &str,
    ) -> Result<Vec<DecisionRow>, LogError> {
        let mut found = Vec::new();
        for record in self.by_hash(frame::key_hash(endpoint, key, value))? {
            let Record::Decision(row) = record else { continue };
            if row.endpoint == endpoint && row.keys.get(key).is_some_and(|v| v == value) {
                found.push(*row);
            }
        }
        Ok(found)
    }

    /// What challengers said beside the endpoint's decision, newest first.
    ///
    /// # Errors
    /// The disk failed, or a row is damaged.
    pub fn beside(
        &self,
        endpoint: EndpointId,
        decision: DecisionId,
    ) -> Result<Vec<BesideRow>, LogError> {
        let hash = frame::key_hash(endpoint, frame::BESIDE, &decision.to_string());
        let mut found = Vec::new();
        for record in self.by_hash(hash)? {
            match record {
                Record::Beside(row) if row.decision == decision && row.endpoint == endpoint => {
                    found.push(row);
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// The endpoint's last `limit` decisions, newest first.
    ///
    /// # Errors
    /// The disk failed, or a row is damaged.
    pub fn recent(&self, endpoint: EndpointId, limit: usize) -> Result<Vec<DecisionRow>, LogError> {
        let mut found = Vec::new();
        for segment in self.newest_first() {
            let left = limit - found.len();
            if left == 0 {
                break;
            }
            let (_, mut rows) = self.segments().with_current(&segment, |segment| {
                let places = match &*segment.index() {
                    Index::Memory(index) => index.recent(endpoint.as_u128(), left),
                    Index::Disk(index) => index.recent(endpoint.as_u128(), left)?,
                };
                segment.decisions(&places)
            })?;
            found.append(&mut rows);
        }
        Ok(found)
    }

    /// How much the endpoint was asked, by UTC day. Answered from memory.
    pub fn counts_per_day(&self, endpoint: EndpointId) -> BTreeMap<Day, DayCount> {
        let mut counts = BTreeMap::new();
        let mut add = |days: &BTreeMap<i32, DayCount>| {
            for (day, count) in days {
                counts.entry(Day::from_number(*day)).or_insert(DayCount::default()).add(*count);
            }
        };
        for segment in self.segments().list() {
            match &*segment.index() {
                Index::Memory(index) => {
                    index.endpoints.get(&endpoint.as_u128()).map(|rows| add(&rows.days))
                }
                Index::Disk(index) => {
                    index.endpoint(endpoint.as_u128()).map(|part| add(&part.days))
                }
            };
        }
        counts
    }

    /// Reads every row of every segment and names each damaged place.
    ///
    /// # Errors
    /// The disk failed.
    pub fn verify(&self) -> Result<Vec<Corruption>, LogError> {
        let mut damage = Vec::new();
        for segment in self.segments().list() {
            let (segment, walk) =
                self.segments().with_current(&segment, |segment| segment.walk().map(Some))?;
            let Some(mut walk) = walk else { continue };
            while let Some(step) = walk.step().map_err(|e| LogError::io(&segment.path, e))? {
                if let Step::Bad { offset, bytes, detail, .. } = step {
                    let (segment, detail) = (segment.name(), detail.to_owned());
                    damage.push(Corruption { segment, offset, bytes, detail });
                }
            }
        }
        Ok(damage)
    }

    fn newest_first(&self) -> Vec<Arc<Segment>> {
        let mut segments = self.segments().list();
        segments.reverse();
        segments
    }

    /// Records with this key hash, newest first.
    fn by_hash(&self, hash: u64) -> Result<Vec<Record>, LogError> {
        let mut found = Vec::new();
        for segment in self.newest_first() {
            let (_, mut records) = self.segments().with_current(&segment, |segment| {
                let places = match &*segment.index() {
                    Index::Memory(index) => index.by_key(hash),
                    Index::Disk(index) => index.by_key(hash)?,
                };
                segment.records(&places)
            })?;
            found.append(&mut records);
        }
        Ok(found)
    }
}
