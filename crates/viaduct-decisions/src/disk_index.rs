//! The index of a sealed segment: sorted arrays in a file, searched by `pread`.
//!
//! Layout: ids `(u128, u64)…` sorted, keys `(u64, u64)…` sorted, places `u64…` by endpoint, then
//! a JSON directory and a sixteen-byte foot. Only the directory is kept in memory. The file can
//! always be made again from its segment.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::LogError;
use crate::frame::{Place, u32_at, u64_at, u128_at};
use crate::memory_index::{DayCount, MemoryIndex, Range};

const FOOT_MAGIC: &[u8; 8] = b"VDINDEX2";
const FOOT: usize = 16;
const ID_ROW: u64 = 24;
const KEY_ROW: u64 = 16;
const PLACE: u64 = 8;

/// One endpoint's rows in the segment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EndpointPart {
    /// Index of its first place among all places.
    start: u64,
    /// How many decisions.
    pub(crate) count: u64,
    pub(crate) days: BTreeMap<i32, DayCount>,
    pub(crate) range: Range,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Directory {
    /// The segment's length when it was sealed: another length means another segment.
    pub(crate) segment_bytes: u64,
    pub(crate) rows: u64,
    ids: u64,
    keys: u64,
    first_id: String,
    last_id: String,
    pub(crate) range: Range,
    /// By the endpoint's 128 bits in hex.
    endpoints: BTreeMap<String, EndpointPart>,
    /// CRC32C of everything before the directory.
    arrays_crc: u32,
}

#[derive(Debug)]
pub(crate) struct DiskIndex {
    path: PathBuf,
    pub(crate) directory: Directory,
    first_id: u128,
    last_id: u128,
    /// Whether the arrays have their checksum; found out at the first search.
    sound: OnceLock<bool>,
}

impl DiskIndex {
    /// Writes the index beside its segment: to a temporary name, synced, then renamed.
    pub(crate) fn write(path: &Path, memory: &MemoryIndex, bytes: u64) -> io::Result<Directory> {
        let temporary = path.with_extension("idx.tmp");
        let mut out = Checked { file: BufWriter::new(File::create(&temporary)?), crc: 0 };
        for (id, place) in &memory.ids {
            out.put(&id.to_le_bytes())?;
            out.put(&place.as_u64().to_le_bytes())?;
        }
        for (hash, place) in &memory.keys {
            out.put(&hash.to_le_bytes())?;
            out.put(&place.as_u64().to_le_bytes())?;
        }
        let mut endpoints = BTreeMap::new();
        let mut start = 0;
        for (endpoint, rows) in &memory.endpoints {
            for place in &rows.places {
                out.put(&place.as_u64().to_le_bytes())?;
            }
            let count = rows.places.len() as u64;
            let part = EndpointPart { start, count, days: rows.days.clone(), range: rows.range };
            endpoints.insert(hex(*endpoint), part);
            start += count;
        }
        let directory = Directory {
            segment_bytes: bytes,
            rows: memory.rows,
            ids: memory.ids.len() as u64,
            keys: memory.keys.len() as u64,
            first_id: hex(memory.ids.keys().next().copied().unwrap_or(u128::MAX)),
            last_id: hex(memory.ids.keys().next_back().copied().unwrap_or(0)),
            range: memory.range,
            endpoints,
            arrays_crc: out.crc,
        };
        let json = serde_json::to_vec(&directory)?;
        out.put(&json)?;
        out.put(&(json.len() as u32).to_le_bytes())?;
        out.put(&crc32c::crc32c(&json).to_le_bytes())?;
        out.put(FOOT_MAGIC)?;
        out.file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&temporary, path)?;
        Ok(directory)
    }

    /// Opens the index; `None` when it is absent, damaged or of another segment length.
    pub(crate) fn open(path: &Path, segment_bytes: u64) -> Result<Option<Self>, LogError> {
        let directory = match read_directory(path) {
            Ok(directory) => directory,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => return Ok(None),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(LogError::io(path, e)),
        };
        let fits = directory.segment_bytes == segment_bytes;
        Ok(fits.then(|| Self::of(path, directory)).flatten())
    }

    pub(crate) fn of(path: &Path, directory: Directory) -> Option<Self> {
        let first_id = u128::from_str_radix(&directory.first_id, 16).ok()?;
        let last_id = u128::from_str_radix(&directory.last_id, 16).ok()?;
        let path = path.to_path_buf();
        Some(Self { path, directory, first_id, last_id, sound: OnceLock::new() })
    }

    pub(crate) fn endpoint(&self, endpoint: u128) -> Option<&EndpointPart> {
        self.directory.endpoints.get(&hex(endpoint))
    }

    /// The endpoints that have rows in the segment.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = u128> + '_ {
        self.directory.endpoints.keys().filter_map(|id| u128::from_str_radix(id, 16).ok())
    }

    pub(crate) fn find_id(&self, id: u128) -> Result<Option<Place>, LogError> {
        if id < self.first_id || id > self.last_id {
            return Ok(None);
        }
        let file = self.checked_file()?;
        let at = self.search(&file, 0, self.directory.ids, ID_ROW, |row| u128_at(row, 0) < id)?;
        if at == self.directory.ids {
            return Ok(None);
        }
        let row = self.read(&file, at * ID_ROW, ID_ROW as usize)?;
        Ok((u128_at(&row, 0) == id).then(|| Place::from_u64(u64_at(&row, 16))))
    }

    /// Places of the rows with this key hash, newest first.
    pub(crate) fn by_key(&self, hash: u64) -> Result<Vec<Place>, LogError> {
        let file = self.checked_file()?;
        let base = self.directory.ids * ID_ROW;
        let count = self.directory.keys;
        let mut at = self.search(&file, base, count, KEY_ROW, |row| u64_at(row, 0) < hash)?;
        let mut places = Vec::new();
        while at < count {
            let row = self.read(&file, base + at * KEY_ROW, KEY_ROW as usize)?;
            if u64_at(&row, 0) != hash {
                break;
            }
            places.push(Place::from_u64(u64_at(&row, 8)));
            at += 1;
        }
        places.reverse();
        Ok(places)
    }

    /// Places of the endpoint's last decisions, newest first.
    pub(crate) fn recent(&self, endpoint: u128, limit: usize) -> Result<Vec<Place>, LogError> {
        let Some(part) = self.endpoint(endpoint) else { return Ok(Vec::new()) };
        let take = part.count.min(limit as u64);
        let base = self.directory.ids * ID_ROW + self.directory.keys * KEY_ROW;
        let first = base + (part.start + part.count - take) * PLACE;
        let bytes = self.read(&self.checked_file()?, first, (take * PLACE) as usize)?;
        Ok(bytes.chunks_exact(8).rev().map(|word| Place::from_u64(u64_at(word, 0))).collect())
    }

    /// The first of `count` sorted rows for which `before` is false.
    fn search(
        &self,
        file: &File,
        base: u64,
        count: u64,
        width: u64,
        before: impl Fn(&[u8]) -> bool,
    ) -> Result<u64, LogError> {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let row = self.read(file, base + middle * width, width as usize)?;
            if before(&row) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn read(&self, file: &File, at: u64, length: usize) -> Result<Vec<u8>, LogError> {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, at).map_err(|e| LogError::io(&self.path, e))?;
        Ok(bytes)
    }

    /// Why checked once: a damaged array would hide rows instead of showing wrong ones.
    fn checked_file(&self) -> Result<File, LogError> {
        let file = File::open(&self.path).map_err(|e| LogError::io(&self.path, e))?;
        let sound = match self.sound.get() {
            Some(sound) => *sound,
            None => {
                let found = self.arrays_crc(&file).map_err(|e| LogError::io(&self.path, e))?;
                *self.sound.get_or_init(|| found == self.directory.arrays_crc)
            }
        };
        if sound {
            return Ok(file);
        }
        Err(LogError::Corrupt {
            segment: self.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            offset: 0,
            detail: "the index does not match its checksum; delete it and restart: it is made \
                     again from the segment"
                .into(),
        })
    }

    fn arrays_crc(&self, file: &File) -> io::Result<u32> {
        let places: u64 = self.directory.endpoints.values().map(|part| part.count).sum();
        let end = self.directory.ids * ID_ROW + self.directory.keys * KEY_ROW + places * PLACE;
        let mut buffer = vec![0; 256 * 1024];
        let (mut at, mut crc) = (0, 0);
        while at < end {
            let take = buffer.len().min((end - at) as usize);
            file.read_exact_at(&mut buffer[..take], at)?;
            crc = crc32c::crc32c_append(crc, &buffer[..take]);
            at += take as u64;
        }
        Ok(crc)
    }
}

fn read_directory(path: &Path) -> io::Result<Directory> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let foot_at = length.checked_sub(FOOT as u64).ok_or_else(invalid)?;
    let mut foot = [0; FOOT];
    file.read_exact_at(&mut foot, foot_at)?;
    if &foot[8..] != FOOT_MAGIC {
        return Err(invalid());
    }
    let size = u64::from(u32_at(&foot, 0));
    let start = foot_at.checked_sub(size).ok_or_else(invalid)?;
    let mut json = vec![0; size as usize];
    file.read_exact_at(&mut json, start)?;
    if crc32c::crc32c(&json) != u32_at(&foot, 4) {
        return Err(invalid());
    }
    Ok(serde_json::from_slice(&json)?)
}

fn hex(value: u128) -> String {
    format!("{value:032x}")
}

/// Writes and sums up at once.
struct Checked {
    file: BufWriter<File>,
    crc: u32,
}

impl Checked {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.file.write_all(bytes)
    }
}
