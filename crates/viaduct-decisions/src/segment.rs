//! A segment: one file of rows behind a sixteen-byte header, and the index that finds them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use viaduct_base::Timestamp;

use crate::LogError;
use crate::disk_index::DiskIndex;
use crate::frame::{self, Decoded, Entry, HEADER, Place};
use crate::memory_index::MemoryIndex;
use crate::pack::{self, Pack, Reader};
use crate::row::{DecisionRow, Record};

pub(crate) const SEGMENT_HEADER: u64 = 16;
/// 2 may hold batches; a version that knows only 1 must not take them for a torn tail.
pub(crate) const FORMAT: u16 = 2;
const MAGIC: &[u8; 6] = b"VDSEGM";
/// Why: one read fetches nearly every row; a wide one costs a second read.
const ROW_GUESS: usize = 4096;
/// Big enough that a scan runs at the disk's speed, small enough to be nothing.
const WINDOW: usize = 256 * 1024;

/// How a segment's rows are found.
#[derive(Debug)]
pub(crate) enum Index {
    /// Of the open segment, and of a sealed one until its index file is written.
    Memory(MemoryIndex),
    /// Of a sealed segment.
    Disk(DiskIndex),
}

#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    /// When the file was begun, by the machine's clock.
    pub(crate) created: Timestamp,
    /// Rows end here; bytes behind it are not rows.
    committed: AtomicU64,
    index: RwLock<Index>,
    /// Of a plain segment: what its header says.
    pub(crate) format: u16,
    /// Of a packed one: its blocks.
    pub(crate) pack: Option<Pack>,
}

impl Segment {
    pub(crate) fn new(
        path: PathBuf,
        number: u64,
        created: Timestamp,
        end: u64,
        index: Index,
    ) -> Self {
        let (committed, index) = (AtomicU64::new(end), RwLock::new(index));
        Self { number, path, created, committed, index, format: FORMAT, pack: None }
    }

    pub(crate) fn with_format(self, format: u16) -> Self {
        Self { format, ..self }
    }

    pub(crate) fn packed(path: PathBuf, number: u64, pack: Pack, index: Index) -> Self {
        let segment = Self::new(path, number, pack.created, pack.end, index);
        Self { pack: Some(pack), ..segment }
    }

    pub(crate) fn name(&self) -> String {
        match &self.pack {
            Some(pack) => pack::file_name(self.number, pack.generation),
            None => file_name(self.number),
        }
    }

    /// Bytes of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.pack.as_ref().map_or_else(|| self.end(), |pack| pack.bytes)
    }

    pub(crate) fn end(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes written rows visible: index first, then the end that scans stop at.
    pub(crate) fn commit(&self, rows: &[(Entry, u64)], end: u64) {
        if let Index::Memory(index) =
            &mut *self.index.write().unwrap_or_else(PoisonError::into_inner)
        {
            for (entry, offset) in rows {
                index.add(entry, *offset);
            }
        }
        self.committed.store(end, Ordering::Release);
    }

    pub(crate) fn set_index(&self, index: Index) {
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = index;
    }

    /// The decisions at these places, in their order.
    pub(crate) fn decisions(&self, places: &[Place]) -> Result<Vec<DecisionRow>, LogError> {
        let records = self.records(places)?.into_iter();
        let decision = |record| if let Record::Decision(row) = record { Some(*row) } else { None };
        Ok(records.filter_map(decision).collect())
    }

    /// What is at these places, in their order. Neighbours in one batch cost one reading.
    pub(crate) fn records(&self, places: &[Place]) -> Result<Vec<Record>, LogError> {
        let mut records = Vec::with_capacity(places.len());
        if places.is_empty() {
            return Ok(records);
        }
        let mut reader = self.reader()?;
        for group in places.chunk_by(|a, b| a.offset() == b.offset()) {
            match read_record(&mut reader, self, group[0].offset())? {
                Decoded::One(record) => records.push(record),
                Decoded::Many(batch) => {
                    let rows = group.iter().filter_map(|place| batch.row(place.row()));
                    records.extend(rows.map(Record::from));
                }
            }
        }
        Ok(records)
    }

    pub(crate) fn reader(&self) -> Result<Reader, LogError> {
        let file = File::open(&self.path).map_err(|e| LogError::io(&self.path, e))?;
        Ok(match &self.pack {
            Some(pack) => Reader::packed(file, pack),
            None => Reader::Plain(file),
        })
    }

    /// All its rows in order.
    pub(crate) fn walk(&self) -> Result<Walk, LogError> {
        Ok(Walk::new(self.reader()?, SEGMENT_HEADER, self.end()))
    }

    pub(crate) fn corrupt(&self, offset: u64, detail: impl Into<String>) -> LogError {
        LogError::Corrupt { segment: self.name(), offset, detail: detail.into() }
    }
}

pub(crate) fn file_name(number: u64) -> String {
    format!("seg-{number:010}.log")
}

pub(crate) fn index_path(segment: &Path) -> PathBuf {
    segment.with_extension("idx")
}

pub(crate) fn header(created: Timestamp) -> [u8; SEGMENT_HEADER as usize] {
    let mut bytes = [0; SEGMENT_HEADER as usize];
    bytes[..6].copy_from_slice(MAGIC);
    bytes[6..8].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[8..].copy_from_slice(&created.as_micros().to_le_bytes());
    bytes
}

/// Reads the header: when the segment was begun and its format, or `None` for a file that is no
/// segment.
pub(crate) fn read_header(file: &File, path: &Path) -> Result<Option<(Timestamp, u16)>, LogError> {
    let mut bytes = [0; SEGMENT_HEADER as usize];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(LogError::io(path, e)),
    }
    if &bytes[..6] != MAGIC {
        return Ok(None);
    }
    let found = u16::from_le_bytes([bytes[6], bytes[7]]);
    if found > FORMAT {
        let segment = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Err(LogError::Newer { segment, found, known: FORMAT });
    }
    Ok(Some((Timestamp::from_micros(frame::u64_at(&bytes, 8) as i64), found)))
}

fn read_record(file: &mut Reader, segment: &Segment, offset: u64) -> Result<Decoded, LogError> {
    let left = segment.end().saturating_sub(offset) as usize;
    let mut bytes = vec![0; ROW_GUESS.min(left)];
    let io = |e| LogError::io(&segment.path, e);
    file.read_exact_at(&mut bytes, offset).map_err(io)?;
    let bad = |detail: &str| segment.corrupt(offset, detail);
    let length = frame::body_length(&bytes).map_err(bad)?;
    if HEADER + length > left {
        return Err(bad("the row is cut short"));
    }
    let have = bytes.len().min(HEADER + length);
    bytes.resize(HEADER + length, 0);
    file.read_exact_at(&mut bytes[have..], offset + have as u64).map_err(io)?;
    let (header, body) = bytes.split_at(HEADER);
    let entry = frame::check(header, body).map_err(bad)?;
    frame::decode(&entry, body).map_err(|e| bad(&format!("the row is not readable: {e}")))
}

/// One stop of a walk over a segment.
#[derive(Debug)]
pub(crate) enum Step {
    /// A sound row; its body is [`Walk::body`] until the next step.
    Row { offset: u64, entry: Entry },
    /// Bytes that are no row, up to `next` (the next sound row) or to the end.
    Bad { offset: u64, bytes: u64, detail: &'static str, next: Option<u64> },
}

/// Reads a segment's rows in order with a small window.
#[derive(Debug)]
pub(crate) struct Walk {
    file: Reader,
    at: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
    body: std::ops::Range<usize>,
}

impl Walk {
    pub(crate) fn new(file: Reader, from: u64, end: u64) -> Self {
        Self { file, at: from, end, window: Vec::new(), window_at: from, body: 0..0 }
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.window[self.body.clone()]
    }

    /// Header and body as they were written.
    pub(crate) fn record(&self) -> &[u8] {
        &self.window[self.body.start - HEADER..self.body.end]
    }

    pub(crate) fn step(&mut self) -> io::Result<Option<Step>> {
        let left = self.end.saturating_sub(self.at) as usize;
        if left == 0 {
            return Ok(None);
        }
        let start = self.fill(HEADER.min(left))?;
        let length = match frame::body_length(&self.window[start..(start + HEADER.min(left))]) {
            Ok(length) if HEADER + length > left => return self.bad("the row is cut short"),
            Ok(length) => length,
            Err(detail) => return self.bad(detail),
        };
        let start = self.fill(HEADER + length)?;
        let (header, rest) = self.window[start..].split_at(HEADER);
        match frame::check(header, &rest[..length]) {
            Ok(entry) => {
                let offset = self.at;
                self.body = start + HEADER..start + HEADER + length;
                self.at += (HEADER + length) as u64;
                Ok(Some(Step::Row { offset, entry }))
            }
            Err(detail) => self.bad(detail),
        }
    }

    /// Makes the window hold `need` bytes from the current place; answers where they start.
    fn fill(&mut self, need: usize) -> io::Result<usize> {
        let start = (self.at - self.window_at) as usize;
        if start + need <= self.window.len() {
            return Ok(start);
        }
        self.window.drain(..start.min(self.window.len()));
        self.window_at = self.at;
        let have = self.window.len();
        let left = (self.end - self.at) as usize;
        self.window.resize(need.max(WINDOW).min(left).max(have), 0);
        self.file.read_exact_at(&mut self.window[have..], self.at + have as u64)?;
        Ok(0)
    }

    /// Why the whole rest is read: damage is rare, and a sound row behind it must be found.
    fn bad(&mut self, detail: &'static str) -> io::Result<Option<Step>> {
        let offset = self.at;
        let mut rest = vec![0; (self.end - offset) as usize];
        self.file.read_exact_at(&mut rest, offset)?;
        let next = frame::find_row(&rest, 1).map(|at| offset + at as u64);
        self.at = next.unwrap_or(self.end);
        self.window.clear();
        self.window_at = self.at;
        Ok(Some(Step::Bad { offset, bytes: self.at - offset, detail, next }))
    }
}
