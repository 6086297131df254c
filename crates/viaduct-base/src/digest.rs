//! SHA-256 over bytes and over canonical JSON: what plans, facts and chains are named by.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 in lowercase hex (64 characters).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes);
        let mut text = String::with_capacity(64);
        for byte in hash.iter() {
            text.push_str(&format!("{byte:02x}"));
        }
        Self(text)
    }

    /// Takes a digest that was stored as text; anything but 64 hex digits is refused.
    pub fn from_hex(text: &str) -> Option<Self> {
        let fits = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The whole hex text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve characters, for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// JSON with keys in byte order and no spaces: the same value always gives the same text.
///
/// Why it is enough: `serde_json::Value` keeps objects in a sorted map (the crate's
/// `preserve_order` feature must stay off), and numbers print shortest-round-trip.
pub fn canonical_json<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    serde_json::to_value(value).map(|v| v.to_string())
}

/// The digest of a value's canonical JSON.
pub fn digest_json<T: Serialize>(value: &T) -> Result<Digest, serde_json::Error> {
    canonical_json(value).map(|text| Digest::of(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vector_and_key_order() {
        assert_eq!(
            Digest::of(b"abc").as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let a: serde_json::Value = serde_json::from_str(r#"{"b":1,"a":[1.5,null]}"#).unwrap();
        assert_eq!(canonical_json(&a).unwrap(), r#"{"a":[1.5,null],"b":1}"#);
    }
}
