//! Opening a directory of segments: cut a torn tail, find damage, make missing indexes again.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use viaduct_base::Timestamp;

use crate::LogError;
use crate::disk_index::DiskIndex;
use crate::memory_index::MemoryIndex;
use crate::segment::{self, Index, SEGMENT_HEADER, Segment, Step, Walk};
use crate::write;

/// A tail that was half written when the process or the machine stopped; it was cut off. Nothing
/// in it had been acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// File name of the segment.
    pub segment: String,
    /// Where the tail began.
    pub offset: u64,
    /// How many bytes were cut.
    pub bytes: u64,
}

/// A damaged place; sound rows before and behind it are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corruption {
    /// File name of the segment.
    pub segment: String,
    /// Where the damage begins.
    pub offset: u64,
    /// How many bytes cannot be read.
    pub bytes: u64,
    /// What does not fit.
    pub detail: String,
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segment, offset, bytes, detail } = self;
        write!(f, "segment `{segment}` is damaged at offset {offset} ({bytes} bytes): {detail}")
    }
}

/// What opening the log found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segment files.
    pub segments: usize,
    /// Sound rows.
    pub rows: u64,
    /// The tail that was cut, if any.
    pub torn: Option<TornTail>,
    /// Damage found while reading segments that had no index.
    pub corrupt: Vec<Corruption>,
    /// Segments whose index was made again.
    pub rebuilt: Vec<String>,
}

impl RecoveryReport {
    /// Whether nothing had to be mended.
    pub fn is_clean(&self) -> bool {
        self.torn.is_none() && self.corrupt.is_empty() && self.rebuilt.is_empty()
    }
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} decision rows in {} segments", self.rows, self.segments)?;
        if let Some(TornTail { segment, offset, bytes }) = &self.torn {
            write!(f, "; cut a torn tail of {bytes} bytes from `{segment}` at {offset}")?;
        }
        for name in &self.rebuilt {
            write!(f, "; made the index of `{name}` again")?;
        }
        for damage in &self.corrupt {
            write!(f, "; {damage}")?;
        }
        Ok(())
    }
}

/// The segments of a directory and what was found on the way.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) sealed: Vec<Segment>,
    pub(crate) open: Segment,
    pub(crate) file: File,
    pub(crate) report: RecoveryReport,
}

pub(crate) fn recover(dir: &Path) -> Result<Recovered, LogError> {
    let mut report = RecoveryReport::default();
    let mut found = list(dir)?;
    let last = found.pop();
    let mut sealed = Vec::with_capacity(found.len());
    for (number, path) in found {
        sealed.push(open_sealed(number, path, &mut report)?);
    }
    let (open, file) = match last {
        Some((number, path)) => open_last(number, path, &mut report)?,
        None => write::create(dir, 1)?,
    };
    report.segments = sealed.len() + 1;
    Ok(Recovered { sealed, open, file, report })
}

fn list(dir: &Path) -> Result<Vec<(u64, PathBuf)>, LogError> {
    let io = |e| LogError::io(dir, e);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".idx.tmp") {
            fs::remove_file(&path).map_err(io)?;
        } else if let Some(number) = segment::number_of(&name) {
            found.push((number, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn open_sealed(
    number: u64,
    path: PathBuf,
    report: &mut RecoveryReport,
) -> Result<Segment, LogError> {
    let bytes = fs::metadata(&path).map_err(|e| LogError::io(&path, e))?.len();
    let file = File::open(&path).map_err(|e| LogError::io(&path, e))?;
    let created = segment::read_header(&file, &path)?;
    let index_path = segment::index_path(&path);
    if let Some(index) = DiskIndex::open(&index_path, bytes)? {
        report.rows += index.directory.rows;
        let created = created.unwrap_or(Timestamp::from_micros(0));
        return Ok(Segment::new(path, number, created, bytes, Index::Disk(index)));
    }
    let read = read_rows(number, &path, file, bytes, created)?;
    report.rows += read.index.rows;
    report.rebuilt.push(segment::file_name(number));
    report.corrupt.extend(read.corrupt);
    report.corrupt.extend(read.torn.map(|torn| Corruption {
        segment: torn.segment,
        offset: torn.offset,
        bytes: torn.bytes,
        detail: "the end of a sealed segment is cut short".into(),
    }));
    let created = created.unwrap_or(Timestamp::from_micros(0));
    let segment = Segment::new(path, number, created, bytes, Index::Memory(read.index));
    // Why a failure is no error: the index in memory answers the same; the next start tries again.
    let _ = write::seal(&segment);
    Ok(segment)
}

fn open_last(
    number: u64,
    path: PathBuf,
    report: &mut RecoveryReport,
) -> Result<(Segment, File), LogError> {
    let io = |e| LogError::io(&path, e);
    let file = OpenOptions::new().read(true).write(true).open(&path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    let mut created = segment::read_header(&file, &path)?;
    if bytes < SEGMENT_HEADER {
        let now = Timestamp::from_system();
        file.write_all_at(&segment::header(now), 0).map_err(io)?;
        created = Some(now);
    }
    let end = bytes.max(SEGMENT_HEADER);
    let reading = file.try_clone().map_err(io)?;
    let read = read_rows(number, &path, reading, end, created)?;
    report.rows += read.index.rows;
    report.corrupt.extend(read.corrupt);
    let end = match &read.torn {
        Some(torn) => {
            file.set_len(torn.offset).map_err(io)?;
            file.sync_data().map_err(io)?;
            torn.offset
        }
        None => end,
    };
    report.torn = read.torn;
    let created = created.unwrap_or(Timestamp::from_micros(0));
    Ok((Segment::new(path, number, created, end, Index::Memory(read.index)), file))
}

struct Read {
    index: MemoryIndex,
    corrupt: Vec<Corruption>,
    torn: Option<TornTail>,
}

fn read_rows(
    number: u64,
    path: &Path,
    file: File,
    end: u64,
    header: Option<Timestamp>,
) -> Result<Read, LogError> {
    let name = || segment::file_name(number);
    let mut read = Read { index: MemoryIndex::default(), corrupt: Vec::new(), torn: None };
    if header.is_none() {
        let detail = "the segment's header is not ours".to_owned();
        let bytes = SEGMENT_HEADER;
        read.corrupt.push(Corruption { segment: name(), offset: 0, bytes, detail });
    }
    let mut walk = Walk::new(file, SEGMENT_HEADER, end);
    while let Some(step) = walk.step().map_err(|e| LogError::io(path, e))? {
        match step {
            Step::Row { offset, entry } => read.index.add(&entry, offset as u32),
            Step::Bad { offset, bytes, next: None, .. } => {
                read.torn = Some(TornTail { segment: name(), offset, bytes });
            }
            Step::Bad { offset, bytes, detail, next: Some(_) } => {
                let detail = detail.to_owned();
                read.corrupt.push(Corruption { segment: name(), offset, bytes, detail });
            }
        }
    }
    Ok(read)
}
