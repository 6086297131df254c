//! Append-only tables whose entries name their predecessor by hash.
//!
//! Why: evidence that can be edited is no evidence. An entry's hash covers all its columns, its
//! position and the hash before it; the table of heads remembers where each chain ends. Who edits,
//! deletes, reorders or cuts off entries behind the program's back is found by [`verify`].
//! It does not stop somebody who can rewrite the whole table and the head; who fears that keeps
//! the head that a report prints elsewhere.

use std::fmt;

use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};

use crate::{Row, Statement, StoreError, Tx, Value, statement};

/// The chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChainName {
    /// Measurements.
    Facts,
    /// Evaluations of gates.
    Evaluations,
    /// Signatures under evaluations.
    Signatures,
    /// Who did what.
    Audit,
}

impl ChainName {
    /// All chains.
    pub const ALL: [Self; 4] = [Self::Facts, Self::Evaluations, Self::Signatures, Self::Audit];

    /// Its name, also in `chain_head`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Facts => "facts",
            Self::Evaluations => "evaluations",
            Self::Signatures => "signatures",
            Self::Audit => "audit",
        }
    }

    fn page(self) -> &'static Statement {
        match self {
            Self::Facts => &PAGE_FACTS,
            Self::Evaluations => &PAGE_EVALUATIONS,
            Self::Signatures => &PAGE_SIGNATURES,
            Self::Audit => &PAGE_AUDIT,
        }
    }

    fn by_hash(self) -> &'static Statement {
        match self {
            Self::Facts => &FIND_FACT_HASH,
            Self::Evaluations => &FIND_EVALUATION_HASH,
            Self::Signatures => &FIND_SIGNATURE_HASH,
            Self::Audit => &FIND_AUDIT_HASH,
        }
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An entry as read back, with its place in the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Chained<T> {
    /// Its position, from 1.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
    /// The entry.
    pub row: T,
}

impl<T> Chained<T> {
    pub(crate) fn read(
        row: &Row,
        read: fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Self, StoreError> {
        Ok(Self { seq: row.int("chain_seq")?, hash: row.text("hash")?, row: read(row)? })
    }
}

// Taking the next position locks the chain's head until the commit, so entries never fork.
statement!(
    TAKE_NEXT,
    platform,
    "UPDATE chain_head SET seq = seq + 1 WHERE chain = $1 RETURNING seq, head"
);
statement!(SET_HEAD, platform, "UPDATE chain_head SET head = $2 WHERE chain = $1");
statement!(FIND_HEAD, platform, "SELECT seq, head FROM chain_head WHERE chain = $1");
statement!(
    PAGE_FACTS,
    platform,
    "SELECT * FROM fact WHERE chain_seq > $1 ORDER BY chain_seq LIMIT $2"
);
statement!(
    PAGE_EVALUATIONS,
    platform,
    "SELECT * FROM evaluation WHERE chain_seq > $1 ORDER BY chain_seq LIMIT $2"
);
statement!(
    PAGE_SIGNATURES,
    platform,
    "SELECT * FROM signature WHERE chain_seq > $1 ORDER BY chain_seq LIMIT $2"
);
statement!(
    PAGE_AUDIT,
    platform,
    "SELECT * FROM audit WHERE chain_seq > $1 ORDER BY chain_seq LIMIT $2"
);
// Without an index on purpose: asked once, when a chain is found broken.
statement!(FIND_FACT_HASH, platform, "SELECT chain_seq FROM fact WHERE hash = $1");
statement!(FIND_EVALUATION_HASH, platform, "SELECT chain_seq FROM evaluation WHERE hash = $1");
statement!(FIND_SIGNATURE_HASH, platform, "SELECT chain_seq FROM signature WHERE hash = $1");
statement!(FIND_AUDIT_HASH, platform, "SELECT chain_seq FROM audit WHERE hash = $1");

/// Rows a page of verification holds in memory.
const PAGE: i64 = 500;
/// How far around its place a moved entry's own position is looked for.
const MOVED_MAX: i64 = 10_000;

/// Adds an entry. `columns` and `values` are everything but `chain_seq`, `prev_hash` and `hash`,
/// which `insert` takes after them in this order.
pub(crate) fn append(
    tx: &mut Tx,
    chain: ChainName,
    insert: &Statement,
    columns: &[&str],
    mut values: Vec<Value>,
) -> Result<i64, StoreError> {
    let taken = tx.query_one(&TAKE_NEXT, &[chain.as_str().into()])?;
    let taken = taken.ok_or_else(|| StoreError::Engine {
        doing: format!("appending to the chain `{chain}`"),
        detail: "its row in `chain_head` is missing: run `viaduct audit verify`".to_owned(),
    })?;
    let (seq, prev_hash) = (taken.int("seq")?, taken.text("head")?);
    let hash = entry_hash(&prev_hash, seq, columns.iter().copied().zip(&values));
    values.extend([seq.into(), prev_hash.into(), (&hash).into()]);
    tx.execute(insert, &values)?;
    tx.execute(&SET_HEAD, &[chain.as_str().into(), hash.into()])?;
    Ok(seq)
}

/// sha256 of the hash before and the canonical JSON of all other columns.
fn entry_hash<'a>(
    prev_hash: &str,
    seq: i64,
    columns: impl Iterator<Item = (&'a str, &'a Value)>,
) -> String {
    let mut object = Map::new();
    for (column, value) in columns {
        object.insert(column.to_owned(), json(value));
    }
    object.insert("chain_seq".to_owned(), seq.into());
    let mut sha = Sha256::new();
    sha.update(prev_hash.as_bytes());
    // Why: `serde_json` keeps keys sorted and prints without spaces, which is canonical.
    sha.update(Json::Object(object).to_string().as_bytes());
    hex(&sha.finalize())
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Int(v) => (*v).into(),
        // Why: JSON has no infinity; its printed form is as good for a hash.
        Value::Real(v) => {
            serde_json::Number::from_f64(*v).map_or_else(|| v.to_string().into(), Json::Number)
        }
        Value::Text(v) => v.as_str().into(),
        Value::Bytes(v) => hex(v).into(),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// A chain that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainReport {
    /// Which chain.
    pub chain: ChainName,
    /// How many entries it has.
    pub entries: i64,
    /// The hash of the last one, empty for an empty chain.
    pub head: String,
}

/// What was done to a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// A column of the entry differs from what was appended.
    Edited,
    /// The entry is gone from the middle.
    Deleted,
    /// The entry stands where another one was.
    Reordered,
    /// The entry and everything after it are gone from the end.
    TailTruncated,
    /// The entry is not one that the program appended.
    Added,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edited => "was edited",
            Self::Deleted => "was deleted",
            Self::Reordered => "was moved",
            Self::TailTruncated => "and all after it were cut off",
            Self::Added => "was added from outside",
        })
    }
}

/// The first broken entry of a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("chain `{chain}`: entry {seq}{} {what}", self.named())]
pub struct Broken {
    /// Which chain.
    pub chain: ChainName,
    /// Its position.
    pub seq: i64,
    /// Its id, where it is still there to be read.
    pub id: Option<String>,
    /// What was done to it.
    pub what: Damage,
}

impl Broken {
    fn named(&self) -> String {
        self.id.as_ref().map_or_else(String::new, |id| format!(" (`{id}`)"))
    }
}

/// What [`verify`] answers when it does not answer a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The chain is broken.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The rows could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Walks a chain from its start in constant memory and compares its end with the remembered head.
///
/// # Errors
/// [`VerifyError::Broken`] names the first entry that is not as it was appended.
pub fn verify(tx: &mut Tx, chain: ChainName) -> Result<ChainReport, VerifyError> {
    let head = tx.query_one(&FIND_HEAD, &[chain.as_str().into()])?;
    let (mut seq, mut hash) = (0, String::new());
    loop {
        let page = tx.query(chain.page(), &[seq.into(), PAGE.into()])?;
        for row in &page {
            hash = check(tx, chain, row, seq + 1, &hash)?;
            seq += 1;
        }
        if (page.len() as i64) < PAGE {
            break;
        }
    }
    let Some(head) = head else {
        return Err(Broken { chain, seq, id: None, what: Damage::TailTruncated }.into());
    };
    let (head_seq, head_hash) = (head.int("seq")?, head.text("head")?);
    let broken = |seq, what| Err(Broken { chain, seq, id: None, what }.into());
    match head_seq.cmp(&seq) {
        std::cmp::Ordering::Greater => broken(seq + 1, Damage::TailTruncated),
        std::cmp::Ordering::Less => broken(head_seq + 1, Damage::Added),
        // All hashes agree with each other, yet the program ended elsewhere: recomputed by hand.
        std::cmp::Ordering::Equal if head_hash != hash => broken(seq, Damage::Edited),
        std::cmp::Ordering::Equal => Ok(ChainReport { chain, entries: seq, head: hash }),
    }
}

/// Checks one entry against its place and returns its hash.
fn check(
    tx: &mut Tx,
    chain: ChainName,
    row: &Row,
    place: i64,
    prev_hash: &str,
) -> Result<String, VerifyError> {
    let (seq, id) = (row.int("chain_seq")?, row.text("id")?);
    if seq != place {
        return Err(Broken { chain, seq: place, id: None, what: Damage::Deleted }.into());
    }
    let (own_prev, own_hash) = (row.text("prev_hash")?, row.text("hash")?);
    let columns =
        || row.iter().filter(|(name, _)| !matches!(*name, "chain_seq" | "prev_hash" | "hash"));
    let fits = |seq: i64| entry_hash(&own_prev, seq, columns()) == own_hash;
    if fits(seq) && own_prev == prev_hash {
        return Ok(own_hash);
    }
    // The hash covers the position, so an untouched entry tells where it once stood.
    let near = (1..=MOVED_MAX).flat_map(|d| [seq - d, seq + d]).filter(|p| *p > 0);
    let moved = !fits(seq) && near.into_iter().any(fits);
    let broken = |id, what| Err(Broken { chain, seq: place, id, what }.into());
    if !moved {
        return broken(Some(id), Damage::Edited);
    }
    // Its predecessor still exists: the two were parted. Otherwise the predecessor was removed and
    // the rest moved up.
    let known =
        own_prev.is_empty() || tx.query_one(chain.by_hash(), &[(&own_prev).into()])?.is_some();
    if known { broken(Some(id), Damage::Reordered) } else { broken(None, Damage::Deleted) }
}
