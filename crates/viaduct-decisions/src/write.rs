//! The one writer: rows go behind the last whole row, or not at all.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use viaduct_base::Timestamp;

use crate::LogError;
use crate::disk_index::DiskIndex;
use crate::error::is_full;
use crate::frame::Entry;
use crate::memory_index::MemoryIndex;
use crate::segment::{self, Index, SEGMENT_HEADER, Segment};

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) segment: Arc<Segment>,
    pub(crate) file: Arc<File>,
    /// Where the next row goes.
    end: u64,
    /// Whether bytes behind `end` could not be cut off yet.
    ragged: bool,
    begun: Instant,
}

impl Writer {
    /// Goes on with a segment that has whole rows up to its end.
    pub(crate) fn resume(segment: Arc<Segment>, file: File) -> Self {
        let end = segment.end();
        Self { segment, file: Arc::new(file), end, ragged: false, begun: Instant::now() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end == SEGMENT_HEADER
    }

    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// How long the segment has been open, by the machine: its date, or this process's share of it.
    pub(crate) fn age(&self) -> std::time::Duration {
        let dated = Timestamp::from_system().since(self.segment.created).to_std();
        dated.max(self.begun.elapsed())
    }

    /// Writes the rows or leaves the file as it was.
    pub(crate) fn write(
        &mut self,
        dir: &Path,
        bytes: &[u8],
        rows: Vec<(Entry, usize)>,
    ) -> Result<(), LogError> {
        if self.ragged {
            self.cut(dir)?;
        }
        if let Err(error) = self.file.write_all_at(bytes, self.end) {
            self.ragged = true;
            // When cutting fails too, the next append tries again before it writes; until then
            // the half row lies behind the committed end, where nobody reads.
            let _ = self.cut(dir);
            return Err(self.failed(dir, error));
        }
        let start = self.end;
        self.end += bytes.len() as u64;
        let rows: Vec<_> = rows.into_iter().map(|(entry, at)| (entry, start + at as u64)).collect();
        self.segment.commit(&rows, self.end);
        Ok(())
    }

    fn cut(&mut self, dir: &Path) -> Result<(), LogError> {
        self.file.set_len(self.end).map_err(|e| self.failed(dir, e))?;
        self.ragged = false;
        Ok(())
    }

    fn failed(&self, dir: &Path, source: io::Error) -> LogError {
        if is_full(&source) {
            return LogError::Full { dir: dir.to_path_buf(), source };
        }
        LogError::io(&self.segment.path, source)
    }
}

/// Begins segment `number`; leaves no file behind when that fails.
pub(crate) fn create(dir: &Path, number: u64) -> Result<(Segment, File), LogError> {
    let path = dir.join(segment::file_name(number));
    let created = Timestamp::from_system();
    let begin = || -> io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        file.write_all_at(&segment::header(created), 0)?;
        file.sync_data()?;
        File::open(dir)?.sync_all()?;
        Ok(file)
    };
    match begin() {
        Ok(file) => {
            let index = Index::Memory(MemoryIndex::default());
            Ok((Segment::new(path, number, created, SEGMENT_HEADER, index), file))
        }
        Err(source) => {
            if source.kind() != io::ErrorKind::AlreadyExists {
                // Best effort: an empty segment is harmless at the next start.
                let _ = std::fs::remove_file(&path);
            }
            Err(match is_full(&source) {
                true => LogError::Full { dir: dir.to_path_buf(), source },
                false => LogError::io(&path, source),
            })
        }
    }
}

/// Writes the index file of a segment that gets no more rows and lets go of the one in memory.
pub(crate) fn seal(segment: &Segment) -> io::Result<()> {
    File::open(&segment.path)?.sync_data()?;
    let path = segment::index_path(&segment.path);
    let directory = match &*segment.index() {
        Index::Memory(memory) => DiskIndex::write(&path, memory, segment.end())?,
        Index::Disk(_) => return Ok(()),
    };
    if let Some(index) = DiskIndex::of(&path, directory) {
        segment.set_index(Index::Disk(index));
    }
    Ok(())
}
