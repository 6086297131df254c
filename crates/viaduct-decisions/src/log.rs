//! The log itself: append from many threads, find by id, key and time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use viaduct_base::{EndpointId, Timestamp};

use crate::LogError;
use crate::batch::DecisionBatch;
use crate::batch_frame;
use crate::frame::{self, Entry};
use crate::gate::Gate;
use crate::recovery::{self, Recovered, RecoveryReport};
use crate::row::Record;
use crate::scan::Scan;
use crate::segment::{FORMAT, Index, SEGMENT_HEADER, Segment};
use crate::segments::Segments;
use crate::sync::Syncer;
use crate::write::{self, Writer};

/// Why: a segment is read whole where it is damaged, and rewritten whole by an erasure.
const SEGMENT_MAX: u64 = 1 << 30;
const BATCH_MAX: usize = 1 << 28;
/// Why: a broken disk is tried now and then, not by every request.
const MEND_EVERY: Duration = Duration::from_secs(1);

/// What an acknowledged append has survived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// The rows are in the operating system's hands: kill -9 loses nothing.
    #[default]
    Os,
    /// The rows are on the disk: a power cut loses nothing.
    Fsync,
}

/// What becomes of rows that the disk does not take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnFull {
    /// The append fails, and with it the request.
    #[default]
    Refuse,
    /// The append is taken for done; the rows are lost, counted ([`LogStats::lost`]) and told
    /// ([`DecisionLog::trouble`]).
    Continue,
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
    /// Whether sealed segments are packed (zstd) by a thread of their own.
    pub compress: bool,
    /// What becomes of rows that the disk does not take.
    pub on_full: OnFull,
    /// How long an append waits for a disk that does not answer.
    pub patience: Duration,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Os,
            segment_bytes: 64 * 1024 * 1024,
            segment_age: Duration::from_secs(24 * 3_600),
            compress: true,
            on_full: OnFull::Refuse,
            patience: Duration::from_secs(5),
        }
    }
}

/// Sizes, for metrics and the doctor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Segment files.
    pub segments: u64,
    /// Their bytes on the disk.
    pub bytes: u64,
    /// Their bytes before they were packed.
    pub raw_bytes: u64,
    /// How many are packed.
    pub packed: u64,
    /// Rows in them.
    pub rows: u64,
    /// Index files that could not be written; their segments are indexed in memory meanwhile.
    pub index_failures: u64,
    /// Segments that could not be packed; they stay as they are until the next start.
    pub pack_failures: u64,
    /// Decisions that were answered and not written, because [`OnFull::Continue`] was chosen.
    pub lost: u64,
}

/// The decision log of one data directory. Clones share it.
#[derive(Debug, Clone)]
pub struct DecisionLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: LogOptions,
    segments: Arc<Segments>,
    gate: Gate,
    writer: Mutex<Writer>,
    lost: AtomicU64,
    /// Whether the last append failed; the sentence is only written then.
    is_troubled: AtomicBool,
    trouble: Mutex<Option<String>>,
    /// When a new segment was last tried after a failed fsync.
    mended: Mutex<Option<Instant>>,
    syncer: Option<Syncer>,
    sealers: Mutex<Vec<JoinHandle<()>>>,
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
        let plain: Vec<_> = segments.iter().filter(|one| one.pack.is_none()).cloned().collect();
        segments.push(Arc::clone(&open));
        let syncer = match options.durability {
            Durability::Os => None,
            Durability::Fsync => Some(Syncer::start().map_err(|e| LogError::io(dir, e))?),
        };
        let segment_bytes = options.segment_bytes.clamp(SEGMENT_HEADER, SEGMENT_MAX);
        let segments = Segments::new(dir.to_path_buf(), options.compress, segments);
        let inner = Inner {
            options: LogOptions { segment_bytes, ..options },
            segments: Arc::new(segments),
            gate: Gate::default(),
            writer: Mutex::new(Writer::resume(open, file)),
            lost: AtomicU64::default(),
            is_troubled: AtomicBool::default(),
            trouble: Mutex::default(),
            mended: Mutex::default(),
            syncer,
            sealers: Mutex::default(),
            _lock: lock,
        };
        if options.compress && !plain.is_empty() {
            inner.finish(plain);
        }
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
        let mut bytes = Vec::with_capacity(records.len() * 1024);
        let mut rows = Vec::with_capacity(records.len());
        for record in records {
            let at = bytes.len();
            rows.push((frame::encode(record, &mut bytes)?, at));
        }
        self.0.write(&bytes, rows)
    }

    /// Appends the rows of one request as one record, and otherwise as [`DecisionLog::append`]. A
    /// thousand rows cost little more than their bytes.
    ///
    /// # Errors
    /// As [`DecisionLog::append`]; a batch whose rows name outputs or ways that it has not.
    pub fn append_batch(&self, batch: &DecisionBatch) -> Result<(), LogError> {
        if batch.rows.is_empty() {
            return Ok(());
        }
        if !batch.is_whole() || batch.rows.len() > batch_frame::ROWS_MAX {
            return Err(LogError::Uneven { rows: batch.rows.len() });
        }
        let cells = batch.rows.len() * (64 + 8 * batch.inputs.columns.len());
        let mut bytes = Vec::with_capacity(1024 + cells);
        let entry = frame::encode_batch(batch, &mut bytes)?;
        self.0.write(&bytes, vec![(entry, 0)])
    }

    /// Rows with `from <= at < to`, of one endpoint or of all, in the order they were appended.
    /// Rows that are appended later are not among them.
    pub fn scan(&self, endpoint: Option<EndpointId>, from: Timestamp, to: Timestamp) -> Scan {
        Scan::new(Arc::clone(&self.0.segments), endpoint, from, to)
    }

    /// Sizes, for metrics and the doctor.
    pub fn stats(&self) -> LogStats {
        let index_failures = self.0.segments.index_failures.load(Ordering::Relaxed);
        let pack_failures = self.0.segments.pack_failures.load(Ordering::Relaxed);
        let lost = self.0.lost.load(Ordering::Relaxed);
        let mut stats = LogStats { index_failures, pack_failures, lost, ..LogStats::default() };
        for segment in self.0.segments.list() {
            stats.segments += 1;
            stats.bytes += segment.bytes();
            stats.raw_bytes += segment.end();
            stats.packed += u64::from(segment.pack.is_some());
            stats.rows += match &*segment.index() {
                Index::Memory(index) => index.rows,
                Index::Disk(index) => index.directory.rows,
            };
        }
        stats
    }

    /// Throws the indexes of a directory away and makes them again from the segments; what is
    /// packed stays packed.
    ///
    /// # Errors
    /// As [`DecisionLog::open`].
    pub fn rebuild(dir: &Path) -> Result<RecoveryReport, LogError> {
        {
            let _lock = lock(dir)?;
            for entry in fs::read_dir(dir).map_err(|e| LogError::io(dir, e))? {
                let path = entry.map_err(|e| LogError::io(dir, e))?.path();
                if path.extension().is_some_and(|extension| extension == "idx") {
                    fs::remove_file(&path).map_err(|e| LogError::io(&path, e))?;
                }
            }
        }
        let options = LogOptions { compress: false, ..LogOptions::default() };
        Self::open_with(dir, options).map(|(_, report)| report)
    }

    pub(crate) fn segments(&self) -> &Arc<Segments> {
        &self.0.segments
    }

    /// Seals the open segment when it has rows and is as old as [`LogOptions::segment_age`] by
    /// `now`, the machine's time; its index and its packing follow in a thread of their own. An
    /// append seals too: this is for a log that nobody appends to. Whether there was something to
    /// seal.
    ///
    /// # Errors
    /// The disk failed or does not answer.
    pub fn seal_old(&self, now: Timestamp) -> Result<bool, LogError> {
        let age = self.0.options.segment_age;
        let is_old = |segment: &Segment| now.since(segment.created).to_std() >= age;
        let sealed = self.seal_open_if(&is_old)?;
        let is_sealed = sealed.is_some();
        self.0.finish(sealed.into_iter().collect());
        Ok(is_sealed)
    }

    /// Begins a new segment when the open one has rows that are wanted sealed, and answers the old.
    pub(crate) fn seal_open_if(
        &self,
        wanted: &dyn Fn(&Segment) -> bool,
    ) -> Result<Option<Arc<Segment>>, LogError> {
        let patience = self.0.options.patience;
        let turn = self.0.gate.enter(patience);
        let _turn = turn.ok_or(LogError::Stalled { after: patience })?;
        let mut writer = self.0.writer();
        if writer.is_empty() || !wanted(&writer.segment) {
            return Ok(None);
        }
        if self.0.syncer.is_some() {
            // Why: the syncer knows one file, and who waits for it wrote into this one.
            let sync = writer.file.sync_data();
            sync.map_err(|e| LogError::io(&writer.segment.path, e))?;
        }
        self.0.rotate(&mut writer).map(Some)
    }

    /// Waits until sealed segments have their index and are packed.
    pub fn settle(&self) {
        let sealers = {
            let mut sealers = self.0.sealers.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *sealers)
        };
        for sealer in sealers {
            // A sealer that panicked leaves its segment to the next start.
            let _ = sealer.join();
        }
    }

    /// Why the last append failed, until one succeeds: for readiness and the doctor.
    pub fn trouble(&self) -> Option<String> {
        self.0.trouble().clone()
    }

    /// The directory of the segments.
    pub fn dir(&self) -> &Path {
        &self.0.segments.dir
    }
}

impl Inner {
    fn write(&self, bytes: &[u8], rows: Vec<(Entry, usize)>) -> Result<(), LogError> {
        if bytes.len() > BATCH_MAX {
            let what = "a batch of rows";
            return Err(LogError::TooLarge { what, bytes: bytes.len(), limit: BATCH_MAX });
        }
        let count = rows.iter().map(|(entry, _)| entry.ids.len().max(1) as u64).sum();
        match self.try_write(bytes, rows) {
            Ok(()) => {
                if self.is_troubled.swap(false, Ordering::Relaxed) {
                    *self.trouble() = None;
                }
                Ok(())
            }
            Err(error) if error.is_disk() => {
                self.is_troubled.store(true, Ordering::Relaxed);
                *self.trouble() = Some(error.to_string());
                match self.options.on_full {
                    OnFull::Refuse => Err(error),
                    OnFull::Continue => {
                        self.lost.fetch_add(count, Ordering::Relaxed);
                        Ok(())
                    }
                }
            }
            Err(error) => Err(error),
        }
    }

    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_write(&self, bytes: &[u8], rows: Vec<(Entry, usize)>) -> Result<(), LogError> {
        let patience = self.options.patience;
        let ticket = {
            let _turn = self.gate.enter(patience).ok_or(LogError::Stalled { after: patience })?;
            let mut writer = self.writer();
            if let Some(syncer) = &self.syncer
                && let Err(error) = syncer.check()
            {
                self.mend(&mut writer, syncer, error)?;
            }
            if self.is_due(&writer, bytes.len() as u64) {
                if self.syncer.is_some() {
                    let sync = writer.file.sync_data();
                    sync.map_err(|e| LogError::io(&writer.segment.path, e))?;
                }
                let sealed = self.rotate(&mut writer)?;
                self.finish(vec![sealed]);
            }
            writer.write(&self.segments.dir, bytes, rows)?;
            self.syncer.as_ref().map(|syncer| (syncer, syncer.want(&writer.file)))
        };
        match ticket {
            Some((syncer, ticket)) => syncer.wait(ticket, patience),
            None => Ok(()),
        }
    }

    /// After a failed fsync: a new segment, whose header is synced, shows that the disk works again.
    fn mend(&self, writer: &mut Writer, syncer: &Syncer, error: LogError) -> Result<(), LogError> {
        let mut last = self.mended.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < MEND_EVERY) {
            return Err(error);
        }
        *last = Some(Instant::now());
        let sealed = self.rotate(writer).map_err(|_| error)?;
        syncer.mend();
        self.finish(vec![sealed]);
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(&self, writer: &Writer, bytes: u64) -> bool {
        let is_big = writer.end() + bytes > self.options.segment_bytes;
        // Rows of this version go into no segment that an older one would cut.
        let is_old = writer.segment.format < FORMAT;
        !writer.is_empty() && (is_big || is_old || writer.age() > self.options.segment_age)
    }

    /// Begins a new segment and answers the old one, which gets no more rows.
    fn rotate(&self, writer: &mut Writer) -> Result<Arc<Segment>, LogError> {
        let (next, file) = write::create(&self.segments.dir, writer.segment.number + 1)?;
        let next = Arc::new(next);
        let sealed = std::mem::replace(writer, Writer::resume(Arc::clone(&next), file)).segment;
        self.segments.push(next);
        Ok(sealed)
    }

    /// Indexes and packs sealed segments in a thread of its own.
    fn finish(&self, sealed: Vec<Arc<Segment>>) {
        let segments = Arc::clone(&self.segments);
        let sealer = std::thread::Builder::new().name("decision-seal".into()).spawn(move || {
            give_way();
            sealed.iter().for_each(|segment| segments.finish(segment));
        });
        let mut sealers = self.sealers.lock().unwrap_or_else(PoisonError::into_inner);
        sealers.retain(|sealer| !sealer.is_finished());
        match sealer {
            Ok(sealer) => sealers.push(sealer),
            Err(_) => {
                self.segments.index_failures.fetch_add(1, Ordering::Relaxed);
            }
        }
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

/// Lets predictions pass before this thread: packing takes a core for as long as it gets one.
/// Linux only, where a priority is a thread's; elsewhere it is the whole process's.
fn give_way() {
    #[cfg(target_os = "linux")]
    // Why ignored: without it the packing is as fast as anything else.
    let _ = rustix::process::setpriority_process(None, 10);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::RefusedRow;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_gives_way_alone() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let before = priority();
        let given = std::thread::spawn(move || {
            give_way();
            priority()
        });
        assert_eq!(given.join().unwrap(), before.max(10));
        assert_eq!(priority(), before, "the others keep theirs");
    }

    fn record() -> Record {
        let (at, endpoint) = (Timestamp::from_micros(0), EndpointId::from_u128(1));
        Record::Refused(RefusedRow {
            at,
            endpoint,
            consumer: None,
            replayed: false,
            errors: vec![],
        })
    }

    #[test]
    fn a_disk_that_does_not_answer_is_told_to_those_who_wait_and_forgotten_when_it_does() {
        for on_full in [OnFull::Refuse, OnFull::Continue] {
            let dir = tempfile::tempdir().unwrap();
            let patience = Duration::from_millis(50);
            let options = LogOptions { patience, on_full, ..LogOptions::default() };
            let (log, _) = DecisionLog::open_with(dir.path(), options).unwrap();
            log.append(&[record()]).unwrap();
            // A writer that hangs in the disk holds its turn.
            let turn = log.0.gate.enter(patience).unwrap();
            let start = Instant::now();
            let waited: Vec<_> = std::thread::scope(|scope| {
                let append = || log.append(&[record()]);
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(append)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(start.elapsed() < Duration::from_secs(5), "nobody queues for ever");
            let refused = waited.iter().filter(|result| result.is_err()).count();
            assert_eq!(refused, if on_full == OnFull::Refuse { 8 } else { 0 });
            assert_eq!(log.stats().lost, if on_full == OnFull::Refuse { 0 } else { 8 });
            assert!(log.trouble().unwrap().contains("has not answered"));
            drop(turn);
            log.append(&[record()]).unwrap();
            assert_eq!((log.trouble(), log.stats().rows), (None, 2));
        }
    }
}
