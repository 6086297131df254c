//! Installation-wide notes, such as the kind of clock and the simulated time.

use viaduct_base::Timestamp;

use crate::{StoreError, Tx, statement};

statement!(FIND, platform, "SELECT value FROM setting WHERE key = $1");
statement!(
    PUT,
    platform,
    "INSERT INTO setting (key, value, updated_at) VALUES ($1, $2, $3) \
     ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at"
);

/// The value under `key`.
pub fn find(tx: &mut Tx, key: &str) -> Result<Option<String>, StoreError> {
    tx.query_one(&FIND, &[key.into()])?.map(|row| row.text("value")).transpose()
}

/// Sets the value under `key`.
pub fn put(tx: &mut Tx, key: &str, value: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(&PUT, &[key.into(), value.into(), now.into()]).map(|_| ())
}
