//! The log itself: append from many threads, find by id, key and time.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use viaduct_base::{Day, DecisionId, EndpointId, Timestamp};

use crate::LogError;
use crate::frame;
use crate::memory_index::DayCount;
use crate::recovery::{self, Corruption, Recovered, RecoveryReport};
use crate::row::{DecisionRow, Record};
use crate::scan::Scan;
use crate::segment::{Index, SEGMENT_HEADER, Segment, Step, Walk};
use crate::sync::Syncer;
use crate::write::{self, Writer};

/// Why: offsets are 32 bits wide, and a batch may start just below the segment's limit.
const SEGMENT_MAX: u64 = 1 << 30;
const BATCH_MAX: usize = 1 << 28;

/// What an acknowledged append has survived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// The rows are in the operating system's hands: kill -9 loses nothing.
    #[default]
    Os,
    /// The rows are on the disk: a power cut loses nothing.
    Fsync,
}

/// How a log is kept.
#[derive(Debug, Clone, Copy)]
pub struct LogOptions {
    /// What an acknowledged append has survived.
    pub durability: Durability,
    /// A segment is sealed when it would grow beyond this.
    pub segment_bytes: u64,
    /// A segment is sealed when it is older than this, by the machine's clock.
    pub segment_age: Duration,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Os,
            segment_bytes: 64 * 1024 * 1024,
            segment_age: Duration::from_secs(24 * 3_600),
        }
    }
}

/// Sizes, for metrics and the doctor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Segment files.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows in them.
    pub rows: u64,
    /// Index files that could not be written; their segments are indexed in memory meanwhile.
    pub index_failures: u64,
}

/// The decision log of one data directory. Clones share it.
#[derive(Debug, Clone)]
pub struct DecisionLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    options: LogOptions,
    segments: RwLock<Vec<Arc<Segment>>>,
    writer: Mutex<Writer>,
    syncer: Option<Syncer>,
    sealers: Mutex<Vec<JoinHandle<()>>>,
    index_failures: Arc<AtomicU64>,
    /// Held for as long as the log lives: one process writes a directory.
    _lock: File,
}

impl DecisionLog {
    /// Opens or begins the log in `dir` and says what it found there.
    ///
    /// # Errors
    /// The directory is in use, cannot be read, or was written by a newer version.
    pub fn open(dir: &Path, durability: Durability) -> Result<(Self, RecoveryReport), LogError> {
        Self::open_with(dir, LogOptions { durability, ..LogOptions::default() })
    }

    /// As [`DecisionLog::open`], with sizes of the caller's choice.
    ///
    /// # Errors
    /// As [`DecisionLog::open`].
    pub fn open_with(dir: &Path, options: LogOptions) -> Result<(Self, RecoveryReport), LogError> {
        fs::create_dir_all(dir).map_err(|e| LogError::io(dir, e))?;
        let lock = lock(dir)?;
        let Recovered { sealed, open, file, report } = recovery::recover(dir)?;
        let open = Arc::new(open);
        let mut segments: Vec<_> = sealed.into_iter().map(Arc::new).collect();
        segments.push(Arc::clone(&open));
        let syncer = match options.durability {
            Durability::Os => None,
            Durability::Fsync => Some(Syncer::start().map_err(|e| LogError::io(dir, e))?),
        };
        let segment_bytes = options.segment_bytes.clamp(SEGMENT_HEADER, SEGMENT_MAX);
        let inner = Inner {
            dir: dir.to_path_buf(),
            options: LogOptions { segment_bytes, ..options },
            segments: RwLock::new(segments),
            writer: Mutex::new(Writer::resume(open, file)),
            syncer,
            sealers: Mutex::default(),
            index_failures: Arc::default(),
            _lock: lock,
        };
        Ok((Self(Arc::new(inner)), report))
    }

    /// Appends the rows, all or none, and returns when they are as durable as the log promises.
    /// Blocks: on the disk's queue, or on a group fsync.
    ///
    /// # Errors
    /// No room ([`LogError::Full`]): nothing of the rows will ever be read.
    pub fn append(&self, records: &[Record]) -> Result<(), LogError> {
        if records.is_empty() {
            return Ok(());
        }
        let inner = &*self.0;
        let mut bytes = Vec::with_capacity(records.len() * 1024);
        let mut rows = Vec::with_capacity(records.len());
        for record in records {
            let at = bytes.len();
            rows.push((frame::encode(record, &mut bytes)?, at));
        }
        if bytes.len() > BATCH_MAX {
            let what = "a batch of rows";
            return Err(LogError::TooLarge { what, bytes: bytes.len(), limit: BATCH_MAX });
        }
        let ticket = {
            let mut writer = inner.writer.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(syncer) = &inner.syncer {
                syncer.check()?;
            }
            if inner.is_due(&writer, bytes.len() as u64) {
                inner.rotate(&mut writer)?;
            }
            writer.write(&inner.dir, &bytes, rows)?;
            inner.syncer.as_ref().map(|syncer| (syncer, syncer.want(&writer.file)))
        };
        match ticket {
            Some((syncer, ticket)) => syncer.wait(ticket),
            None => Ok(()),
        }
    }

    /// The decision with this id.
    ///
    /// # Errors
    /// The disk failed, or the row is damaged.
    pub fn get(&self, id: DecisionId) -> Result<Option<DecisionRow>, LogError> {
        for segment in self.0.newest_first() {
            let offset = match &*segment.index() {
                Index::Memory(index) => index.ids.get(&id.as_u128()).copied(),
                Index::Disk(index) => index.find_id(id.as_u128())?,
            };
            let Some(offset) = offset else { continue };
            let file = segment.open_file()?;
            if let Some(Record::Decision(row)) = segment.find_decision(&file, offset, Some(id))? {
                return Ok(Some(*row));
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
        let hash = frame::key_hash(endpoint, key, value);
        let mut found = Vec::new();
        for segment in self.0.newest_first() {
            let offsets = match &*segment.index() {
                Index::Memory(index) => index.by_key(hash),
                Index::Disk(index) => index.by_key(hash)?,
            };
            let mut rows = segment_rows(&segment, &offsets)?;
            rows.retain(|row| {
                row.endpoint == endpoint && row.keys.get(key).is_some_and(|v| v == value)
            });
            found.append(&mut rows);
        }
        Ok(found)
    }

    /// The endpoint's last `limit` decisions, newest first.
    ///
    /// # Errors
    /// The disk failed, or a row is damaged.
    pub fn recent(&self, endpoint: EndpointId, limit: usize) -> Result<Vec<DecisionRow>, LogError> {
        let mut found = Vec::new();
        for segment in self.0.newest_first() {
            let left = limit - found.len();
            if left == 0 {
                break;
            }
            let offsets = match &*segment.index() {
                Index::Memory(index) => index.recent(endpoint.as_u128(), left),
                Index::Disk(index) => index.recent(endpoint.as_u128(), left)?,
            };
            found.append(&mut segment_rows(&segment, &offsets)?);
        }
        Ok(found)
    }

    /// Rows with `from <= at < to`, of one endpoint or of all, in the order they were appended.
    /// Rows that are appended later are not among them.
    pub fn scan(&self, endpoint: Option<EndpointId>, from: Timestamp, to: Timestamp) -> Scan {
        Scan::new(self.0.segments(), endpoint, from, to)
    }

    /// How much the endpoint was asked, by UTC day. Answered from memory.
    pub fn counts_per_day(&self, endpoint: EndpointId) -> BTreeMap<Day, DayCount> {
        let mut counts = BTreeMap::new();
        let mut add = |days: &BTreeMap<i32, DayCount>| {
            for (day, count) in days {
                counts.entry(Day::from_number(*day)).or_insert(DayCount::default()).add(*count);
            }
        };
        for segment in self.0.segments() {
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
        for segment in self.0.segments() {
            let mut walk = Walk::new(segment.open_file()?, SEGMENT_HEADER, segment.end());
            while let Some(step) = walk.step().map_err(|e| LogError::io(&segment.path, e))? {
                if let Step::Bad { offset, bytes, detail, .. } = step {
                    let (segment, detail) = (segment.name(), detail.to_owned());
                    damage.push(Corruption { segment, offset, bytes, detail });
                }
            }
        }
        Ok(damage)
    }

    /// Sizes, for metrics and the doctor.
    pub fn stats(&self) -> LogStats {
        let index_failures = self.0.index_failures.load(Ordering::Relaxed);
        let mut stats = LogStats { index_failures, ..LogStats::default() };
        for segment in self.0.segments() {
            stats.segments += 1;
            stats.bytes += segment.end();
            stats.rows += match &*segment.index() {
                Index::Memory(index) => index.rows,
                Index::Disk(index) => index.directory.rows,
            };
        }
        stats
    }

    /// The directory of the segments.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }
}

impl Inner {
    fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn newest_first(&self) -> Vec<Arc<Segment>> {
        let mut segments = self.segments();
        segments.reverse();
        segments
    }

    fn is_due(&self, writer: &Writer, bytes: u64) -> bool {
        let is_big = writer.end() + bytes > self.options.segment_bytes;
        !writer.is_empty() && (is_big || writer.age() > self.options.segment_age)
    }

    /// Begins a new segment; the old one's index is written by a thread of its own.
    fn rotate(&self, writer: &mut Writer) -> Result<(), LogError> {
        if self.syncer.is_some() {
            let sync = writer.file.sync_data();
            sync.map_err(|e| LogError::io(&writer.segment.path, e))?;
        }
        let (next, file) = write::create(&self.dir, writer.segment.number + 1)?;
        let next = Arc::new(next);
        let sealed = std::mem::replace(writer, Writer::resume(Arc::clone(&next), file)).segment;
        self.segments.write().unwrap_or_else(PoisonError::into_inner).push(next);
        let failures = Arc::clone(&self.index_failures);
        let sealer = std::thread::Builder::new().name("decision-seal".into()).spawn(move || {
            if write::seal(&sealed).is_err() {
                failures.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut sealers = self.sealers.lock().unwrap_or_else(PoisonError::into_inner);
        sealers.retain(|sealer| !sealer.is_finished());
        match sealer {
            Ok(sealer) => sealers.push(sealer),
            Err(_) => {
                self.index_failures.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let sealers = self.sealers.get_mut().unwrap_or_else(PoisonError::into_inner);
        for sealer in sealers.drain(..) {
            // A sealer that panicked leaves the index to the next start.
            let _ = sealer.join();
        }
    }
}

fn segment_rows(segment: &Segment, offsets: &[u32]) -> Result<Vec<DecisionRow>, LogError> {
    if offsets.is_empty() {
        return Ok(Vec::new());
    }
    let file = segment.open_file()?;
    let mut rows = Vec::with_capacity(offsets.len());
    for offset in offsets {
        if let Some(Record::Decision(row)) = segment.find_decision(&file, *offset, None)? {
            rows.push(*row);
        }
    }
    Ok(rows)
}

fn lock(dir: &Path) -> Result<File, LogError> {
    let path = dir.join("LOCK");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|e| LogError::io(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::InUse { dir: dir.to_path_buf() }),
        Err(TryLockError::Error(e)) => Err(LogError::io(&path, e)),
    }
}
