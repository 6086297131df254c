//! The bytes of one row: `magic u16, version u8, kind u8, length u32, crc u32`, then the body.
//!
//! The CRC covers version, kind, length and body. The body starts with what the indexes need, so
//! that an index is rebuilt without reading JSON:
//! `id u128, at i64, endpoint u128, keys u8, key hashes u64…`, then the row as JSON. A batch has
//! the first row's id and no keys there; its rows follow as [`crate::batch_frame`] says.

use viaduct_base::{EndpointId, Timestamp};

use crate::LogError;
use crate::batch::DecisionBatch;
use crate::batch_frame;
use crate::bytes::Cursor;
use crate::row::{BesideRow, DecisionRow, Record, RefusedRow};

pub(crate) const HEADER: usize = 12;
/// Far above any real row; keeps a damaged length from asking for gigabytes.
pub(crate) const ROW_MAX: usize = 16 * 1024 * 1024;
/// Above the largest request with its widest rows.
pub(crate) const BATCH_MAX: usize = 256 * 1024 * 1024;
const MAGIC: [u8; 2] = [0xd5, 0xec];
const VERSION: u8 = 1;
const FIXED: usize = 16 + 8 + 16 + 1;
/// Why: the count travels in one byte; an endpoint has one to three keys.
const KEYS_MAX: usize = 255;
/// The key under which the rows beside a decision are found; no business key has a dot in front.
pub(crate) const BESIDE: &str = ".decision";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKind {
    Decision = 1,
    Refused = 2,
    Beside = 3,
    Batch = 4,
}

/// Where a row is: the offset of its record, and its number in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u64);

impl Place {
    pub(crate) fn new(offset: u64, row: u32) -> Self {
        Self(offset << 24 | u64::from(row))
    }

    pub(crate) fn from_u64(word: u64) -> Self {
        Self(word)
    }

    pub(crate) fn as_u64(self) -> u64 {
        self.0
    }

    pub(crate) fn offset(self) -> u64 {
        self.0 >> 24
    }

    pub(crate) fn row(self) -> usize {
        (self.0 & 0xff_ffff) as usize
    }
}

/// What the indexes need of a record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) kind: RowKind,
    pub(crate) at: Timestamp,
    pub(crate) endpoint: u128,
    /// Of its decisions, in order; none for a refused row or one beside a decision.
    pub(crate) ids: Vec<u128>,
    /// Key hashes with the number of their row.
    pub(crate) keys: Vec<(u32, u64)>,
    /// Where the JSON or the batch starts in the body.
    rest: usize,
}

/// What a record says.
#[derive(Debug)]
pub(crate) enum Decoded {
    One(Record),
    Many(Box<DecisionBatch>),
}

/// FNV-1a, 64 bits: stable for ever, because index files hold it. A collision is harmless: every
/// hit is compared with the row.
pub(crate) fn key_hash(endpoint: EndpointId, key: &str, value: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let id = endpoint.as_u128().to_le_bytes();
    for part in [&id[..], &[0x1f], key.as_bytes(), &[0x1f], value.as_bytes()] {
        for byte in part {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

/// Appends the framed row to `out` and returns its index entry.
pub(crate) fn encode(record: &Record, out: &mut Vec<u8>) -> Result<Entry, LogError> {
    let start = out.len();
    let (id, entry) = entry_of(record);
    begin(out, &entry, id);
    out.push(entry.keys.len() as u8);
    for (_, hash) in &entry.keys {
        out.extend_from_slice(&hash.to_le_bytes());
    }
    match record {
        Record::Decision(row) => serde_json::to_writer(&mut *out, row)?,
        Record::Refused(row) => serde_json::to_writer(&mut *out, row)?,
        Record::Beside(row) => serde_json::to_writer(&mut *out, row)?,
    }
    finish(out, start, "a row", ROW_MAX)?;
    Ok(entry)
}

/// Appends a batch as one framed record.
pub(crate) fn encode_batch(batch: &DecisionBatch, out: &mut Vec<u8>) -> Result<Entry, LogError> {
    let start = out.len();
    let (kind, rest) = (RowKind::Batch, FIXED);
    let (at, endpoint) = (batch.head.at, batch.head.endpoint.as_u128());
    let mut entry = Entry { kind, at, endpoint, ids: Vec::new(), keys: Vec::new(), rest };
    begin(out, &entry, batch.rows.first().map_or(0, |row| row.id.as_u128()));
    out.push(0);
    (entry.ids, entry.keys) = batch_frame::encode(batch, out)?;
    finish(out, start, "a batch of rows", BATCH_MAX)?;
    Ok(entry)
}

fn begin(out: &mut Vec<u8>, entry: &Entry, id: u128) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, entry.kind as u8]);
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&entry.at.as_micros().to_le_bytes());
    out.extend_from_slice(&entry.endpoint.to_le_bytes());
}

fn finish(out: &mut [u8], start: usize, what: &'static str, limit: usize) -> Result<(), LogError> {
    let length = out.len() - start - HEADER;
    if length > limit {
        return Err(LogError::TooLarge { what, bytes: length, limit });
    }
    out[start + 4..start + 8].copy_from_slice(&(length as u32).to_le_bytes());
    let crc = checksum(&out[start..start + HEADER], &out[start + HEADER..]);
    out[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

fn entry_of(record: &Record) -> (u128, Entry) {
    let (at, endpoint) = (record.at(), record.endpoint().as_u128());
    match record {
        Record::Decision(row) => {
            let keys = row.keys.iter().take(KEYS_MAX);
            let keys: Vec<_> =
                keys.map(|(key, value)| (0, key_hash(row.endpoint, key, value))).collect();
            let id = row.id.as_u128();
            let rest = FIXED + keys.len() * 8;
            (id, Entry { kind: RowKind::Decision, at, endpoint, ids: vec![id], keys, rest })
        }
        Record::Refused(_) => {
            let (ids, keys) = (Vec::new(), Vec::new());
            (0, Entry { kind: RowKind::Refused, at, endpoint, ids, keys, rest: FIXED })
        }
        Record::Beside(row) => {
            let keys = vec![(0, key_hash(row.endpoint, BESIDE, &row.decision.to_string()))];
            let (kind, ids, rest) = (RowKind::Beside, Vec::new(), FIXED + 8);
            (0, Entry { kind, at, endpoint, ids, keys, rest })
        }
    }
}

fn checksum(header: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header[2..8]), body)
}

/// The body's length, when the twelve bytes can be a header of ours.
pub(crate) fn body_length(header: &[u8]) -> Result<usize, &'static str> {
    if header.len() < HEADER {
        return Err("the row is cut short");
    }
    if header[..2] != MAGIC {
        return Err("no row starts here");
    }
    if header[2] != VERSION {
        return Err("the row has an unknown version");
    }
    let length = u32_at(header, 4) as usize;
    let limit = if header[3] == RowKind::Batch as u8 { BATCH_MAX } else { ROW_MAX };
    if !(FIXED..=limit).contains(&length) {
        return Err("the row's length is impossible");
    }
    Ok(length)
}

/// Checks a whole row (header and body) and reads what the indexes need.
pub(crate) fn check(header: &[u8], body: &[u8]) -> Result<Entry, &'static str> {
    if checksum(header, body) != u32_at(header, 8) {
        return Err("the checksum does not match");
    }
    let (at, endpoint) = (Timestamp::from_micros(u64_at(body, 16) as i64), u128_at(body, 24));
    let count = body[FIXED - 1] as usize;
    let rest = FIXED + count * 8;
    if body.len() < rest {
        return Err("the row's keys are cut short");
    }
    let hashes = || (0..count).map(|i| (0, u64_at(body, FIXED + i * 8))).collect();
    Ok(match header[3] {
        1 => {
            let (kind, ids) = (RowKind::Decision, vec![u128_at(body, 0)]);
            Entry { kind, at, endpoint, ids, keys: hashes(), rest }
        }
        2 => {
            let (kind, ids) = (RowKind::Refused, Vec::new());
            Entry { kind, at, endpoint, ids, keys: hashes(), rest }
        }
        3 => {
            let (kind, ids) = (RowKind::Beside, Vec::new());
            Entry { kind, at, endpoint, ids, keys: hashes(), rest }
        }
        4 => {
            let mut rows = Cursor(&body[rest..]);
            let (ids, keys) =
                batch_frame::keys(&mut rows).ok_or("the batch's ids are cut short")?;
            Entry { kind: RowKind::Batch, at, endpoint, ids, keys, rest }
        }
        _ => return Err("the row is of an unknown kind"),
    })
}

/// The row or the batch; `body` has passed [`check`].
pub(crate) fn decode(entry: &Entry, body: &[u8]) -> Result<Decoded, String> {
    let rest = &body[entry.rest..];
    let text = |e: serde_json::Error| e.to_string();
    Ok(match entry.kind {
        RowKind::Decision => {
            Decoded::One(serde_json::from_slice::<DecisionRow>(rest).map_err(text)?.into())
        }
        RowKind::Refused => {
            Decoded::One(Record::Refused(serde_json::from_slice::<RefusedRow>(rest).map_err(text)?))
        }
        RowKind::Beside => {
            Decoded::One(Record::Beside(serde_json::from_slice::<BesideRow>(rest).map_err(text)?))
        }
        RowKind::Batch => Decoded::Many(Box::new(batch_frame::decode(rest)?)),
    })
}

/// Offset of the first whole, sound row in `bytes` at or after `from`.
pub(crate) fn find_row(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at + HEADER <= bytes.len() {
        let next = bytes[at..].iter().position(|b| *b == MAGIC[0])?;
        at += next;
        let sound = body_length(bytes.get(at..at + HEADER)?).ok().and_then(|length| {
            let body = bytes.get(at + HEADER..at + HEADER + length)?;
            check(&bytes[at..at + HEADER], body).ok()
        });
        if sound.is_some() {
            return Some(at);
        }
        at += 1;
    }
    None
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

pub(crate) fn u128_at(bytes: &[u8], at: usize) -> u128 {
    let mut word = [0; 16];
    word.copy_from_slice(&bytes[at..at + 16]);
    u128::from_le_bytes(word)
}
