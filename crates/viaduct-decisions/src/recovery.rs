//! Opening a directory of segments: cut a torn tail, find damage, make missing indexes again.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use viaduct_base::Timestamp;

use crate::LogError;
use crate::disk_index::DiskIndex;
use crate::memory_index::MemoryIndex;
use crate::pack::{self, Pack, Reader};
use crate::segment::{self, FORMAT, Index, SEGMENT_HEADER, Segment, Step, Walk};
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
    let open = match found.last_key_value() {
        Some((_, files)) if files.packed.is_none() => found.pop_last(),
        _ => None,
    };
    let mut sealed = Vec::with_capacity(found.len());
    let last = found.keys().next_back().copied();
    for (number, files) in found {
        sealed.extend(open_files(number, files, &mut report)?);
    }
    let (open, file) = match open.and_then(|(number, files)| Some((number, files.plain?))) {
        Some((number, path)) => open_last(number, path, &mut report)?,
        None => write::create(dir, last.unwrap_or(0) + 1)?,
    };
    report.segments = sealed.len() + 1;
    Ok(Recovered { sealed, open, file, report })
}

/// What a directory has of one segment.
#[derive(Debug, Default)]
struct Files {
    plain: Option<PathBuf>,
    /// The newest packed one.
    packed: Option<(u32, PathBuf)>,
}

/// A number and, of packed segments, a generation out of a file's stem.
fn stem(name: &str) -> Option<(u64, Option<u32>)> {
    let stem = name.strip_prefix("seg-")?;
    match stem.split_once('-') {
        Some((number, generation)) => Some((number.parse().ok()?, Some(generation.parse().ok()?))),
        None => Some((stem.parse().ok()?, None)),
    }
}

/// Files by segment. What an interrupted packing or rewriting left behind is removed: a packed
/// segment that is whole stands for the plain one and for older generations.
fn list(dir: &Path) -> Result<BTreeMap<u64, Files>, LogError> {
    let io = |e| LogError::io(dir, e);
    let mut found: BTreeMap<u64, Files> = BTreeMap::new();
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("seg-") && name.ends_with(".tmp") {
            fs::remove_file(&path).map_err(io)?;
            continue;
        }
        let Some((base, extension)) = name.rsplit_once('.') else { continue };
        let Some((number, generation)) = stem(base) else { continue };
        names.push((number, generation, extension.to_owned(), path.clone()));
        match (extension, generation) {
            ("log", None) => found.entry(number).or_default().plain = Some(path),
            ("zst", Some(generation)) => {
                let files = found.entry(number).or_default();
                let is_newer = files.packed.as_ref().is_none_or(|(old, _)| generation > *old);
                if is_newer && Pack::open(&path, generation).is_ok() {
                    files.packed = Some((generation, path));
                } else if files.packed.is_none() && Pack::open(&path, generation).is_err() {
                    // Damaged: kept where nothing stands for it, and named when it is opened.
                    files.packed = files.packed.take().or(Some((0, path)));
                }
            }
            _ => {}
        }
    }
    for (number, generation, extension, path) in names {
        let Some(files) = found.get(&number) else {
            if extension == "idx" {
                fs::remove_file(&path).map_err(io)?;
            }
            continue;
        };
        let kept = files.packed.as_ref().map(|(generation, _)| *generation);
        if kept.is_some_and(|kept| kept > 0) && generation != kept {
            fs::remove_file(&path).map_err(io)?;
        }
    }
    for files in found.values_mut() {
        match files.packed {
            Some((0, _)) if files.plain.is_some() => files.packed = None,
            Some((generation, _)) if generation > 0 => files.plain = None,
            _ => {}
        }
    }
    Ok(found)
}

fn open_files(
    number: u64,
    files: Files,
    report: &mut RecoveryReport,
) -> Result<Option<Segment>, LogError> {
    match (files.packed, files.plain) {
        (Some((generation, path)), _) => match Pack::open(&path, generation) {
            Ok(pack) => open_packed(number, path, pack, report).map(Some),
            Err(_) => {
                let segment = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let bytes = fs::metadata(&path).map_or(0, |data| data.len());
                let detail = "the packed segment's foot is damaged: restore the file".to_owned();
                report.corrupt.push(Corruption { segment, offset: 0, bytes, detail });
                Ok(None)
            }
        },
        (None, Some(path)) => open_sealed(number, path, report).map(Some),
        (None, None) => Ok(None),
    }
}

fn open_packed(
    number: u64,
    path: PathBuf,
    pack: Pack,
    report: &mut RecoveryReport,
) -> Result<Segment, LogError> {
    if let Some(index) = DiskIndex::open(&segment::index_path(&path), pack.end)? {
        report.rows += index.directory.rows;
        return Ok(Segment::packed(path, number, pack, Index::Disk(index)));
    }
    let file = File::open(&path).map_err(|e| LogError::io(&path, e))?;
    let reader = Reader::packed(file, &pack);
    let name = pack::file_name(number, pack.generation);
    let read = read_rows(&name, &path, reader, pack.end, true)?;
    Ok(rebuilt(read, name, report, |index| Segment::packed(path, number, pack, index)))
}

/// A sealed segment whose index was made again.
fn rebuilt(
    read: Read,
    name: String,
    report: &mut RecoveryReport,
    segment: impl FnOnce(Index) -> Segment,
) -> Segment {
    report.rows += read.index.rows;
    report.rebuilt.push(name);
    report.corrupt.extend(read.corrupt);
    report.corrupt.extend(read.torn.map(|torn| Corruption {
        segment: torn.segment,
        offset: torn.offset,
        bytes: torn.bytes,
        detail: "the end of a sealed segment is cut short".into(),
    }));
    let segment = segment(Index::Memory(read.index));
    // Why a failure is no error: the index in memory answers the same; the next start tries again.
    let _ = write::seal(&segment);
    segment
}

fn open_sealed(
    number: u64,
    path: PathBuf,
    report: &mut RecoveryReport,
) -> Result<Segment, LogError> {
    let bytes = fs::metadata(&path).map_err(|e| LogError::io(&path, e))?.len();
    let file = File::open(&path).map_err(|e| LogError::io(&path, e))?;
    let created = segment::read_header(&file, &path)?;
    let begun = created.map_or(Timestamp::from_micros(0), |(created, _)| created);
    if let Some(index) = DiskIndex::open(&segment::index_path(&path), bytes)? {
        report.rows += index.directory.rows;
        return Ok(Segment::new(path, number, begun, bytes, Index::Disk(index)));
    }
    let name = segment::file_name(number);
    let read = read_rows(&name, &path, Reader::Plain(file), bytes, created.is_some())?;
    Ok(rebuilt(read, name, report, |index| Segment::new(path, number, begun, bytes, index)))
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
    // A header without rows is written again, so that it says this version's format.
    if bytes <= SEGMENT_HEADER {
        let now = Timestamp::from_system();
        file.write_all_at(&segment::header(now), 0).map_err(io)?;
        created = Some((now, FORMAT));
    }
    let end = bytes.max(SEGMENT_HEADER);
    let reading = file.try_clone().map_err(io)?;
    let name = segment::file_name(number);
    let read = read_rows(&name, &path, Reader::Plain(reading), end, created.is_some())?;
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
    let (created, format) = created.unwrap_or((Timestamp::from_micros(0), FORMAT));
    let segment = Segment::new(path, number, created, end, Index::Memory(read.index));
    Ok((segment.with_format(format), file))
}

struct Read {
    index: MemoryIndex,
    corrupt: Vec<Corruption>,
    torn: Option<TornTail>,
}

fn read_rows(
    name: &str,
    path: &Path,
    file: Reader,
    end: u64,
    has_header: bool,
) -> Result<Read, LogError> {
    let name = || name.to_owned();
    let mut read = Read { index: MemoryIndex::default(), corrupt: Vec::new(), torn: None };
    if !has_header {
        let detail = "the segment's header is not ours".to_owned();
        let bytes = SEGMENT_HEADER;
        read.corrupt.push(Corruption { segment: name(), offset: 0, bytes, detail });
    }
    let mut walk = Walk::new(file, SEGMENT_HEADER, end);
    while let Some(step) = walk.step().map_err(|e| LogError::io(path, e))? {
        match step {
            Step::Row { offset, entry } => read.index.add(&entry, offset),
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
