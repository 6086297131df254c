//! Rows that must not be kept any longer: an entity that is erased, rows past their retention.
//!
//! A sealed segment is written again without them, under the next generation's name, and takes the
//! old one's place in one rename. Killed at any moment, a start finds the old segment or the new
//! one, whole; asking again ends what was begun.

use std::sync::Arc;

use viaduct_base::{EndpointId, Timestamp};

use crate::LogError;
use crate::disk_index::DiskIndex;
use crate::frame::{self, Decoded};
use crate::log::DecisionLog;
use crate::memory_index::MemoryIndex;
use crate::pack::{self, Packer};
use crate::recovery::Corruption;
use crate::row::{DecisionRow, Flag, Record};
use crate::segment::{self, Index, Segment, Step};

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is.
    Keep,
    /// Inputs, keys, entity and incumbent go; id, time, variant, output and action stay, and the
    /// row says so ([`Flag::Erased`]).
    Strip,
    /// It goes.
    Drop,
}

/// What a rewrite did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Segments that were written again.
    pub segments: u64,
    /// Rows that were stripped.
    pub stripped: u64,
    /// Rows that were dropped.
    pub dropped: u64,
    /// Bytes that could not be read and are not in the new segments.
    pub damaged: Vec<Corruption>,
}

impl Rewritten {
    fn add(&mut self, more: Rewritten) {
        self.segments += more.segments;
        self.stripped += more.stripped;
        self.dropped += more.dropped;
        self.damaged.extend(more.damaged);
    }
}

impl DecisionRow {
    /// Takes out whatever tells about the entity.
    fn strip(&mut self) {
        self.inputs.clear();
        self.keys.clear();
        self.entity_hash.clear();
        self.incumbent = None;
        if !self.flags.contains(&Flag::Erased) {
            self.flags.push(Flag::Erased);
        }
    }
}

impl DecisionLog {
    /// Strips every decision of the endpoint about this entity, in the open segment too.
    ///
    /// # Errors
    /// The disk failed or is full; what was rewritten until then stays so, and asking again goes on.
    pub fn erase(&self, endpoint: EndpointId, entity_hash: &str) -> Result<Rewritten, LogError> {
        let end = Timestamp::from_micros(i64::MAX);
        self.rewrite(endpoint, end, &|record| match record {
            Record::Decision(row) if !entity_hash.is_empty() && row.entity_hash == entity_hash => {
                Fate::Strip
            }
            _ => Fate::Keep,
        })
    }

    /// Strips or drops the endpoint's rows from before a moment; `fate` is asked for nothing else.
    ///
    /// # Errors
    /// As [`DecisionLog::erase`].
    pub fn rewrite(
        &self,
        endpoint: EndpointId,
        before: Timestamp,
        fate: &dyn Fn(&Record) -> Fate,
    ) -> Result<Rewritten, LogError> {
        let start = Timestamp::from_micros(i64::MIN);
        let touches = |segment: &Segment| {
            let range = match &*segment.index() {
                Index::Memory(index) => index.endpoints.get(&endpoint.as_u128()).map(|r| r.range),
                Index::Disk(index) => index.endpoint(endpoint.as_u128()).map(|part| part.range),
            };
            range.is_some_and(|range| range.touches(start, before))
        };
        let wanted = |record: &Record| {
            if record.endpoint() == endpoint && record.at() < before {
                fate(record)
            } else {
                Fate::Keep
            }
        };
        let segments = self.segments();
        let _turn = segments.maintain();
        self.seal_open_if(&touches)?;
        let mut listed = segments.list();
        listed.pop();
        let mut done = Rewritten::default();
        for segment in listed {
            if touches(&segment) && has_work(&segment, &wanted)? {
                done.add(self.rewrite_segment(&segment, &wanted)?);
            } else if segment.pack.is_none() {
                segments.finish_now(&segment);
            }
        }
        Ok(done)
    }

    fn rewrite_segment(
        &self,
        old: &Arc<Segment>,
        fate: &dyn Fn(&Record) -> Fate,
    ) -> Result<Rewritten, LogError> {
        let segments = self.segments();
        let generation = old.pack.as_ref().map_or(0, |pack| pack.generation) + 1;
        let packer = Packer::begin(&segments.dir, old.number, generation, old.created);
        let packer = packer.map_err(|e| segments.failed(old, e))?;
        let path = packer.path().to_path_buf();
        let written = (|| {
            let io = |e| segments.failed(old, e);
            let mut copy =
                Copy { packer, index: MemoryIndex::default(), done: Rewritten::default() };
            copy.run(old, fate)?;
            let Copy { packer, index, done } = copy;
            let pack = packer.finish().map_err(io)?;
            DiskIndex::write(&segment::index_path(&path), &index, pack.end).map_err(io)?;
            Ok((segments.publish(path.clone(), old.number, pack)?, done))
        })();
        match written {
            Ok((new, done)) => {
                segments.replace(old, Some(Arc::new(new)));
                Ok(done)
            }
            Err(error) => {
                pack::discard(&path);
                Err(error)
            }
        }
    }
}

/// Whether a row of the segment is not to be kept as it is; a stripped one has nothing left to do.
fn has_work(segment: &Segment, fate: &dyn Fn(&Record) -> Fate) -> Result<bool, LogError> {
    let mut walk = segment.walk()?;
    while let Some(step) = walk.step().map_err(|e| LogError::io(&segment.path, e))? {
        let Step::Row { offset, entry } = step else { continue };
        let decoded = frame::decode(&entry, walk.body())
            .map_err(|e| segment.corrupt(offset, format!("not readable: {e}")))?;
        if records(decoded).iter().any(|record| effective(record, fate) != Fate::Keep) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn records(decoded: Decoded) -> Vec<Record> {
    match decoded {
        Decoded::One(record) => vec![record],
        Decoded::Many(batch) => {
            (0..batch.rows.len()).filter_map(|row| batch.row(row)).map(Record::from).collect()
        }
    }
}

/// Only decisions can be stripped, and only once.
fn effective(record: &Record, fate: &dyn Fn(&Record) -> Fate) -> Fate {
    match (fate(record), record) {
        (Fate::Strip, Record::Decision(row)) if row.flags.contains(&Flag::Erased) => Fate::Keep,
        (Fate::Strip, Record::Refused(_) | Record::Beside(_)) => Fate::Keep,
        (fate, _) => fate,
    }
}

struct Copy {
    packer: Packer,
    index: MemoryIndex,
    done: Rewritten,
}

impl Copy {
    fn run(&mut self, old: &Segment, fate: &dyn Fn(&Record) -> Fate) -> Result<(), LogError> {
        let mut walk = old.walk()?;
        self.done.segments = 1;
        while let Some(step) = walk.step().map_err(|e| LogError::io(&old.path, e))? {
            match step {
                Step::Bad { offset, bytes, detail, .. } => {
                    let (segment, detail) = (old.name(), detail.to_owned());
                    self.done.damaged.push(Corruption { segment, offset, bytes, detail });
                }
                Step::Row { offset, entry } => {
                    let decoded = frame::decode(&entry, walk.body())
                        .map_err(|e| old.corrupt(offset, format!("not readable: {e}")))?;
                    let records = records(decoded);
                    if records.iter().all(|record| effective(record, fate) == Fate::Keep) {
                        self.index.add(&entry, self.packer.end());
                        let written = self.packer.write(walk.record());
                        written.map_err(|e| LogError::io(&old.path, e))?;
                    } else {
                        // A batch that loses a row goes on as single rows.
                        for record in records {
                            self.put(old, record, fate)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        old: &Segment,
        mut record: Record,
        fate: &dyn Fn(&Record) -> Fate,
    ) -> Result<(), LogError> {
        match effective(&record, fate) {
            Fate::Keep => {}
            Fate::Drop => {
                self.done.dropped += 1;
                return Ok(());
            }
            Fate::Strip => {
                if let Record::Decision(row) = &mut record {
                    row.strip();
                    self.done.stripped += 1;
                }
            }
        }
        let mut bytes = Vec::with_capacity(1024);
        let entry = frame::encode(&record, &mut bytes)?;
        self.index.add(&entry, self.packer.end());
        self.packer.write(&bytes).map_err(|e| LogError::io(&old.path, e))
    }
}
