//! The body of a batch record, behind the fixed part that every row has:
//! `rows u32, id u128…, keys u32, (row u32, key hash u64)…` for the indexes, then what is shared
//! (JSON), what each row has for itself, and the typed columns.

use std::collections::BTreeMap;

use serde_json::Value;
use viaduct_base::DecisionId;

use crate::batch::{Answered, BatchHead, BatchRow, DecisionBatch, OutputAt, Way};
use crate::bytes::{self, Cursor, put_bytes, put_u16, put_u32, put_u64};
use crate::frame::key_hash;

/// Why: a place holds the row's number in 24 bits.
pub(crate) const ROWS_MAX: usize = 1 << 24;
const NONE: u16 = u16::MAX;
const HASH_BYTES: usize = 16;

/// Ids and key hashes of the rows: what the indexes need.
pub(crate) type Keys = (Vec<u128>, Vec<(u32, u64)>);

/// Appends the body and returns what the indexes need of it.
pub(crate) fn encode(batch: &DecisionBatch, out: &mut Vec<u8>) -> Result<Keys, serde_json::Error> {
    let endpoint = batch.head.endpoint;
    let ids: Vec<u128> = batch.rows.iter().map(|row| row.id.as_u128()).collect();
    let mut keys = Vec::with_capacity(ids.len());
    for (number, row) in batch.rows.iter().enumerate() {
        for (key, value) in &row.keys {
            keys.push((number as u32, key_hash(endpoint, key, value)));
        }
    }
    put_u32(out, ids.len() as u32);
    ids.iter().for_each(|id| out.extend_from_slice(&id.to_le_bytes()));
    put_u32(out, keys.len() as u32);
    for (row, hash) in &keys {
        put_u32(out, *row);
        put_u64(out, *hash);
    }
    put_json(out, &batch.head)?;
    put_json(out, &batch.ways)?;
    put_entities(out, &batch.rows);
    put_keys(out, &batch.rows);
    for row in &batch.rows {
        put_u16(out, row.bucket.unwrap_or(NONE));
        put_u16(out, row.way);
        put_u16(out, row.output.map_or(NONE, |at| at.set));
        put_u32(out, row.output.map_or(0, |at| at.row));
        put_u64(out, row.latency_us);
    }
    for row in &batch.rows {
        match &row.answered {
            Answered::Output => out.push(0),
            Answered::Value(Value::Null) => out.push(1),
            Answered::Value(value) => {
                out.push(2);
                put_json(out, value)?;
            }
        }
        out.push(u8::from(row.incumbent.is_some()));
        if let Some(incumbent) = &row.incumbent {
            put_json(out, incumbent)?;
        }
    }
    bytes::put_columns(out, &batch.inputs);
    put_u32(out, batch.outputs.len() as u32);
    batch.outputs.iter().for_each(|outputs| bytes::put_outputs(out, outputs));
    Ok((ids, keys))
}

fn put_json(out: &mut Vec<u8>, value: &impl serde::Serialize) -> Result<(), serde_json::Error> {
    let at = out.len();
    put_u32(out, 0);
    serde_json::to_writer(&mut *out, value)?;
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Why two ways: the gateway's hashes are 32 hex digits and take half as bytes.
fn put_entities(out: &mut Vec<u8>, rows: &[BatchRow]) {
    let packed: Option<Vec<[u8; HASH_BYTES]>> =
        rows.iter().map(|r| unhex(&r.entity_hash)).collect();
    out.push(u8::from(packed.is_some()));
    match packed {
        Some(hashes) => hashes.iter().for_each(|hash| out.extend_from_slice(hash)),
        None => rows.iter().for_each(|row| put_bytes(out, row.entity_hash.as_bytes())),
    }
}

fn unhex(text: &str) -> Option<[u8; HASH_BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * HASH_BYTES {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut hash = [0; HASH_BYTES];
    for (byte, pair) in hash.iter_mut().zip(digits.as_chunks::<2>().0) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(hash)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Key names once, then each row's values by the name's number.
fn put_keys(out: &mut Vec<u8>, rows: &[BatchRow]) {
    let mut names: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(|row| row.keys.keys()) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    put_u32(out, names.len() as u32);
    names.iter().for_each(|name| put_bytes(out, name.as_bytes()));
    for row in rows {
        put_u16(out, row.keys.len() as u16);
        for (name, value) in &row.keys {
            let number = names.iter().position(|known| known == name).unwrap_or_default();
            put_u16(out, number as u16);
            put_bytes(out, value.as_bytes());
        }
    }
}

/// What the indexes need of a body.
pub(crate) fn keys(from: &mut Cursor<'_>) -> Option<Keys> {
    let count = from.count(16)?;
    let ids = (0..count).map(|_| from.u128()).collect::<Option<_>>()?;
    let count = from.count(12)?;
    let keys = (0..count).map(|_| Some((from.u32()?, from.u64()?))).collect::<Option<_>>()?;
    Some((ids, keys))
}

/// The batch itself.
pub(crate) fn decode(body: &[u8]) -> Result<DecisionBatch, String> {
    let mut from = Cursor(body);
    let short = || "the batch is cut short or holds what this version does not know".to_owned();
    let (ids, _) = keys(&mut from).ok_or_else(short)?;
    let mut json = || from.bytes().ok_or_else(short);
    let head: BatchHead = serde_json::from_slice(json()?).map_err(|e| e.to_string())?;
    let ways: Vec<Way> = serde_json::from_slice(json()?).map_err(|e| e.to_string())?;
    let rows = rows(&mut from, &ids).ok_or_else(short)?;
    let inputs = bytes::columns(&mut from).ok_or_else(short)?;
    let count = from.count(4).ok_or_else(short)?;
    let outputs = (0..count).map(|_| bytes::outputs(&mut from)).collect::<Option<_>>();
    let batch = DecisionBatch { head, ways, rows, inputs, outputs: outputs.ok_or_else(short)? };
    if batch.is_whole() { Ok(batch) } else { Err(short()) }
}

fn rows(from: &mut Cursor<'_>, ids: &[u128]) -> Option<Vec<BatchRow>> {
    let is_packed = from.u8()? == 1;
    let mut entities = Vec::with_capacity(ids.len());
    for _ in ids {
        entities.push(if is_packed { hex(from.take(HASH_BYTES)?) } else { from.text()? });
    }
    let count = from.count(4)?;
    let names: Vec<String> = (0..count).map(|_| from.text()).collect::<Option<_>>()?;
    let mut rows = Vec::with_capacity(ids.len());
    for (id, entity_hash) in ids.iter().zip(entities) {
        let mut keys = BTreeMap::new();
        for _ in 0..from.u16()? {
            let name = names.get(usize::from(from.u16()?))?.clone();
            keys.insert(name, from.text()?);
        }
        rows.push(BatchRow {
            id: DecisionId::from_u128(*id),
            entity_hash,
            keys,
            bucket: None,
            way: 0,
            output: None,
            answered: Answered::Output,
            incumbent: None,
            latency_us: 0,
        });
    }
    for row in &mut rows {
        row.bucket = Some(from.u16()?).filter(|bucket| *bucket != NONE);
        row.way = from.u16()?;
        let (set, at) = (from.u16()?, from.u32()?);
        row.output = (set != NONE).then_some(OutputAt { set, row: at });
        row.latency_us = from.u64()?;
    }
    for row in &mut rows {
        row.answered = match from.u8()? {
            0 => Answered::Output,
            1 => Answered::Value(Value::Null),
            _ => Answered::Value(serde_json::from_slice(from.bytes()?).ok()?),
        };
        if from.u8()? == 1 {
            row.incumbent = Some(serde_json::from_slice(from.bytes()?).ok()?);
        }
    }
    Some(rows)
}
