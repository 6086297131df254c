//! Rows that must not be kept any longer: an entity that is erased, rows past their retention.
//!
//! A sealed segment is written again without them, under the next generation's name, and takes the
//! old one's place in one rename; one that would be empty goes. Killed at any moment, a start finds the old segment or the new
//! one, whole; asking again ends what was begun.

use std::fs::{self, File};
use std::io;
use std::sync::Arc;

use viaduct_base::{EndpointId, Timestamp};

use crate::LogError;
use crate::batch::DecisionBatch;
use crate::disk_index::DiskIndex;
use crate::frame::{self, Decoded, Entry};
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
    /// The inputs go; everything else stays.
    Forget,
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
    /// Rows whose inputs were taken out.
    pub forgotten: u64,
    /// Rows that were dropped.
    pub dropped: u64,
    /// Bytes that could not be read and are not in the new segments.
    pub damaged: Vec<Corruption>,
}

impl Rewritten {
    fn add(&mut self, more: Rewritten) {
        self.segments += more.segments;
        self.stripped += more.stripped;
        self.forgotten += more.forgotten;
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
        self.rewrite_about(&About { endpoint, spans: vec![(start, before)] }, fate)
    }

    pub(crate) fn rewrite_about(
        &self,
        about: &About,
        fate: &dyn Fn(&Record) -> Fate,
    ) -> Result<Rewritten, LogError> {
        let segments = self.segments();
        let _turn = segments.maintain();
        self.seal_open_if(&|segment| about.touches(segment))?;
        let mut listed = segments.list();
        listed.pop();
        let mut done = Rewritten::default();
        for segment in listed {
            if about.touches(&segment) && has_work(&segment, about, fate)? {
                done.add(self.rewrite_segment(&segment, about, fate)?);
            } else if segment.pack.is_none() {
                segments.finish_now(&segment);
            }
        }
        Ok(done)
    }

    fn rewrite_segment(
        &self,
        old: &Arc<Segment>,
        about: &About,
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
            copy.run(old, about, fate)?;
            let Copy { packer, index, done } = copy;
            if index.rows == 0 {
                return Ok((None, done));
            }
            let pack = packer.finish().map_err(io)?;
            DiskIndex::write(&segment::index_path(&path), &index, pack.end).map_err(io)?;
            Ok((Some(segments.publish(path.clone(), old.number, pack)?), done))
        })();
        match written {
            Ok((new, done)) => {
                if new.is_none() {
                    pack::discard(&path);
                    // Why here already: what cannot be removed is not dropped.
                    remove(old).map_err(|e| segments.failed(old, e))?;
                }
                segments.replace(old, new.map(Arc::new));
                Ok(done)
            }
            Err(error) => {
                pack::discard(&path);
                Err(error)
            }
        }
    }
}

/// Removes the file of a segment whose rows were all dropped, for good.
fn remove(segment: &Segment) -> io::Result<()> {
    fs::remove_file(&segment.path)?;
    match segment.path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

/// Which rows a rewrite is about.
pub(crate) struct About {
    pub(crate) endpoint: EndpointId,
    /// From a moment until before another.
    pub(crate) spans: Vec<(Timestamp, Timestamp)>,
}

impl About {
    fn touches(&self, segment: &Segment) -> bool {
        let id = self.endpoint.as_u128();
        let range = match &*segment.index() {
            Index::Memory(index) => index.endpoints.get(&id).map(|rows| rows.range),
            Index::Disk(index) => index.endpoint(id).map(|part| part.range),
        };
        range.is_some_and(|range| self.spans.iter().any(|(from, to)| range.touches(*from, *to)))
    }

    fn covers(&self, entry: &Entry) -> bool {
        entry.endpoint == self.endpoint.as_u128()
            && self.spans.iter().any(|(from, to)| (*from..*to).contains(&entry.at))
    }
}

/// Whether a row of the segment is not to be kept as it is; a stripped one has nothing left to do.
fn has_work(
    segment: &Segment,
    about: &About,
    fate: &dyn Fn(&Record) -> Fate,
) -> Result<bool, LogError> {
    let mut walk = segment.walk()?;
    while let Some(step) = walk.step().map_err(|e| LogError::io(&segment.path, e))? {
        let Step::Row { offset, entry } = step else { continue };
        if !about.covers(&entry) {
            continue;
        }
        let decoded = frame::decode(&entry, walk.body())
            .map_err(|e| segment.corrupt(offset, format!("not readable: {e}")))?;
        if records(&decoded).iter().any(|record| effective(record, fate) != Fate::Keep) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn records(decoded: &Decoded) -> Vec<Record> {
    match decoded {
        Decoded::One(record) => vec![record.clone()],
        Decoded::Many(batch) => {
            (0..batch.rows.len()).filter_map(|row| batch.row(row)).map(Record::from).collect()
        }
    }
}

/// Only decisions can be stripped or forget, and only once.
fn effective(record: &Record, fate: &dyn Fn(&Record) -> Fate) -> Fate {
    match (fate(record), record) {
        (Fate::Strip, Record::Decision(row)) if row.flags.contains(&Flag::Erased) => Fate::Keep,
        (Fate::Forget, Record::Decision(row)) if row.inputs.is_empty() => Fate::Keep,
        (Fate::Strip | Fate::Forget, Record::Refused(_) | Record::Beside(_)) => Fate::Keep,
        (fate, _) => fate,
    }
}

struct Copy {
    packer: Packer,
    index: MemoryIndex,
    done: Rewritten,
}

impl Copy {
    fn run(
        &mut self,
        old: &Segment,
        about: &About,
        fate: &dyn Fn(&Record) -> Fate,
    ) -> Result<(), LogError> {
        let mut walk = old.walk()?;
        self.done.segments = 1;
        while let Some(step) = walk.step().map_err(|e| LogError::io(&old.path, e))? {
            match step {
                Step::Bad { offset, bytes, detail, .. } => {
                    let (segment, detail) = (old.name(), detail.to_owned());
                    self.done.damaged.push(Corruption { segment, offset, bytes, detail });
                }
                Step::Row { entry, .. } if !about.covers(&entry) => {
                    self.keep(old, &entry, walk.record())?;
                }
                Step::Row { offset, entry } => {
                    let decoded = frame::decode(&entry, walk.body())
                        .map_err(|e| old.corrupt(offset, format!("not readable: {e}")))?;
                    let records = records(&decoded);
                    let all = |wanted| records.iter().all(|one| effective(one, fate) == wanted);
                    match decoded {
                        _ if all(Fate::Keep) => self.keep(old, &entry, walk.record())?,
                        Decoded::Many(batch) if all(Fate::Forget) => self.forget(old, *batch)?,
                        // A batch that loses a row goes on as single rows.
                        _ => {
                            for record in records {
                                self.put(old, record, fate)?;
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, old: &Segment, entry: &Entry, record: &[u8]) -> Result<(), LogError> {
        self.index.add(entry, self.packer.end());
        self.packer.write(record).map_err(|e| LogError::io(&old.path, e))
    }

    fn forget(&mut self, old: &Segment, mut batch: DecisionBatch) -> Result<(), LogError> {
        batch.inputs.columns.clear();
        self.done.forgotten += batch.rows.len() as u64;
        let mut bytes = Vec::with_capacity(1024);
        let entry = frame::encode_batch(&batch, &mut bytes)?;
        self.keep(old, &entry, &bytes)
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
            Fate::Forget => {
                if let Record::Decision(row) = &mut record {
                    row.inputs.clear();
                    self.done.forgotten += 1;
                }
            }
        }
        let mut bytes = Vec::with_capacity(1024);
        let entry = frame::encode(&record, &mut bytes)?;
        self.keep(old, &entry, &bytes)
    }
}
