//! The bytes of one row: `magic u16, version u8, kind u8, length u32, crc u32`, then the body.
//!
//! The CRC covers version, kind, length and body. The body starts with what the indexes need, so
//! that an index is rebuilt without reading JSON:
//! `id u128, at i64, endpoint u128, keys u8, key hashes u64…`, then the row as JSON.

use viaduct_base::{DecisionId, EndpointId, Timestamp};

use crate::LogError;
use crate::row::{DecisionRow, Record, RefusedRow};

pub(crate) const HEADER: usize = 12;
/// Far above any real row; keeps a damaged length from asking for gigabytes.
pub(crate) const ROW_MAX: usize = 16 * 1024 * 1024;
const MAGIC: [u8; 2] = [0xd5, 0xec];
const VERSION: u8 = 1;
const FIXED: usize = 16 + 8 + 16 + 1;
/// Why: the count travels in one byte; an endpoint has one to three keys.
const KEYS_MAX: usize = 255;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKind {
    Decision = 1,
    Refused = 2,
}

/// What the indexes need of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) kind: RowKind,
    pub(crate) id: u128,
    pub(crate) at: Timestamp,
    pub(crate) endpoint: u128,
    pub(crate) keys: Vec<u64>,
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
    let entry = entry_of(record);
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, entry.kind as u8]);
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&entry.id.to_le_bytes());
    out.extend_from_slice(&entry.at.as_micros().to_le_bytes());
    out.extend_from_slice(&entry.endpoint.to_le_bytes());
    out.push(entry.keys.len() as u8);
    for hash in &entry.keys {
        out.extend_from_slice(&hash.to_le_bytes());
    }
    match record {
        Record::Decision(row) => serde_json::to_writer(&mut *out, row)?,
        Record::Refused(row) => serde_json::to_writer(&mut *out, row)?,
    }
    let length = out.len() - start - HEADER;
    if length > ROW_MAX {
        return Err(LogError::TooLarge { what: "a row", bytes: length, limit: ROW_MAX });
    }
    out[start + 4..start + 8].copy_from_slice(&(length as u32).to_le_bytes());
    let crc = checksum(&out[start..start + HEADER], &out[start + HEADER..]);
    out[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
    Ok(entry)
}

fn entry_of(record: &Record) -> Entry {
    match record {
        Record::Decision(row) => Entry {
            kind: RowKind::Decision,
            id: row.id.as_u128(),
            at: row.at,
            endpoint: row.endpoint.as_u128(),
            keys: row
                .keys
                .iter()
                .take(KEYS_MAX)
                .map(|(key, value)| key_hash(row.endpoint, key, value))
                .collect(),
        },
        Record::Refused(row) => Entry {
            kind: RowKind::Refused,
            id: 0,
            at: row.at,
            endpoint: row.endpoint.as_u128(),
            keys: Vec::new(),
        },
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
    if !(FIXED..=ROW_MAX).contains(&length) {
        return Err("the row's length is impossible");
    }
    Ok(length)
}

/// Checks a whole row (header and body) and reads what the indexes need.
pub(crate) fn check(header: &[u8], body: &[u8]) -> Result<Entry, &'static str> {
    if checksum(header, body) != u32_at(header, 8) {
        return Err("the checksum does not match");
    }
    let kind = match header[3] {
        1 => RowKind::Decision,
        2 => RowKind::Refused,
        _ => return Err("the row is of an unknown kind"),
    };
    let count = body[FIXED - 1] as usize;
    if body.len() < FIXED + count * 8 {
        return Err("the row's keys are cut short");
    }
    Ok(Entry {
        kind,
        id: u128_at(body, 0),
        at: Timestamp::from_micros(u64_at(body, 16) as i64),
        endpoint: u128_at(body, 24),
        keys: (0..count).map(|i| u64_at(body, FIXED + i * 8)).collect(),
    })
}

/// The row itself; `body` has passed [`check`].
pub(crate) fn decode(entry: &Entry, body: &[u8]) -> Result<Record, serde_json::Error> {
    let json = &body[FIXED + entry.keys.len() * 8..];
    match entry.kind {
        RowKind::Decision => serde_json::from_slice::<DecisionRow>(json).map(Record::from),
        RowKind::Refused => serde_json::from_slice::<RefusedRow>(json).map(Record::Refused),
    }
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

pub(crate) fn same_id(entry: &Entry, id: DecisionId) -> bool {
    entry.kind == RowKind::Decision && entry.id == id.as_u128()
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
