//! The segments of a directory, and what happens to those that get no more rows: their index is
//! written, then they are packed. A segment never changes under its name; a packed or rewritten one
//! takes its place, and who still holds the old one looks for the new when its file is gone.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::LogError;
use crate::disk_index::DiskIndex;
use crate::error::is_full;
use crate::pack::{self, Pack, Packer};
use crate::segment::{self, Index, SEGMENT_HEADER, Segment};
use crate::write;

/// Why: a segment replaced three times while one reader looks at it is no accident.
const TRIES: usize = 3;
const CHUNK: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct Segments {
    pub(crate) dir: PathBuf,
    compress: bool,
    list: RwLock<Vec<Arc<Segment>>>,
    /// Held by who replaces segments.
    maintenance: Mutex<()>,
    pub(crate) index_failures: AtomicU64,
    pub(crate) pack_failures: AtomicU64,
}

impl Segments {
    pub(crate) fn new(dir: PathBuf, compress: bool, list: Vec<Arc<Segment>>) -> Self {
        Self {
            dir,
            compress,
            list: RwLock::new(list),
            maintenance: Mutex::default(),
            index_failures: AtomicU64::default(),
            pack_failures: AtomicU64::default(),
        }
    }

    pub(crate) fn list(&self) -> Vec<Arc<Segment>> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn push(&self, segment: Arc<Segment>) {
        self.list.write().unwrap_or_else(PoisonError::into_inner).push(segment);
    }

    pub(crate) fn maintain(&self) -> MutexGuard<'_, ()> {
        self.maintenance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands in the segment's place now; `None` when all its rows were dropped.
    pub(crate) fn current(&self, number: u64) -> Option<Arc<Segment>> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        list.iter().find(|segment| segment.number == number).cloned()
    }

    /// Works on what stands in the segment's place now, again when it is replaced meanwhile.
    pub(crate) fn with_current<T: Default>(
        &self,
        listed: &Arc<Segment>,
        work: impl Fn(&Segment) -> Result<T, LogError>,
    ) -> Result<(Arc<Segment>, T), LogError> {
        let mut tries = 0;
        loop {
            let Some(segment) = self.current(listed.number) else {
                return Ok((Arc::clone(listed), T::default()));
            };
            tries += 1;
            match work(&segment) {
                Err(LogError::Io { source, .. })
                    if source.kind() == io::ErrorKind::NotFound && tries < TRIES => {}
                result => return result.map(|found| (segment, found)),
            }
        }
    }

    /// Puts `new` where `old` was and removes the old one's files.
    pub(crate) fn replace(&self, old: &Segment, new: Option<Arc<Segment>>) {
        {
            let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
            let place = list.iter().position(|segment| segment.number == old.number);
            match (place, new) {
                (Some(place), Some(new)) => list[place] = new,
                (Some(place), None) => drop(list.remove(place)),
                (None, _) => {}
            }
        }
        // Best effort: the next start removes what was replaced.
        let _ = fs::remove_file(&old.path);
        let _ = fs::remove_file(segment::index_path(&old.path));
    }

    /// Writes the index of a sealed segment, then packs it.
    pub(crate) fn finish(&self, segment: &Arc<Segment>) {
        let _turn = self.maintain();
        self.finish_now(segment);
    }

    /// As [`Segments::finish`], for who maintains already.
    pub(crate) fn finish_now(&self, segment: &Arc<Segment>) {
        let is_current =
            self.current(segment.number).is_some_and(|current| Arc::ptr_eq(&current, segment));
        if !is_current {
            return;
        }
        if write::seal(segment).is_err() {
            self.index_failures.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if self.compress && segment.pack.is_none() && self.pack(segment).is_err() {
            self.pack_failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn pack(&self, segment: &Arc<Segment>) -> Result<(), LogError> {
        let mut packer = Packer::begin(&self.dir, segment.number, 1, segment.created)
            .map_err(|e| self.failed(segment, e))?;
        let path = packer.path().to_path_buf();
        let packed = (|| {
            let mut reader = segment.reader()?;
            let io = |e| self.failed(segment, e);
            let mut buffer = vec![0; CHUNK];
            let (mut at, end) = (SEGMENT_HEADER, segment.end());
            while at < end {
                let take = buffer.len().min((end - at) as usize);
                reader.read_exact_at(&mut buffer[..take], at).map_err(io)?;
                packer.write(&buffer[..take]).map_err(io)?;
                at += take as u64;
            }
            let pack = packer.finish().map_err(io)?;
            // The offsets stay, so the index does.
            let index = segment::index_path(&path);
            fs::copy(segment::index_path(&segment.path), &index).map_err(io)?;
            self.publish(path.clone(), segment.number, pack)
        })();
        match packed {
            Ok(new) => {
                self.replace(segment, Some(Arc::new(new)));
                Ok(())
            }
            Err(error) => {
                pack::discard(&path);
                Err(error)
            }
        }
    }

    /// Names a finished file and opens it with the index beside it.
    pub(crate) fn publish(
        &self,
        path: PathBuf,
        number: u64,
        pack: Pack,
    ) -> Result<Segment, LogError> {
        let io = |e| LogError::io(&path, e);
        let index_path = segment::index_path(&path);
        let index = DiskIndex::open(&index_path, pack.end)?
            .ok_or_else(|| io(io::Error::other("the index was not written whole")))?;
        pack::publish(&path).map_err(io)?;
        Ok(Segment::packed(path, number, pack, Index::Disk(index)))
    }

    pub(crate) fn failed(&self, segment: &Segment, source: io::Error) -> LogError {
        match is_full(&source) {
            true => LogError::Full { dir: self.dir.clone(), source },
            false => LogError::io(&segment.path, source),
        }
    }
}
