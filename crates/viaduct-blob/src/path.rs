//! The name of a blob.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::folder::{OBJECTS, UPLOADS};

/// Longest path, in bytes.
const BYTES_MAX: usize = 2_000;
/// Names at the top that are not blobs'.
const RESERVED: [&str; 3] = [UPLOADS, OBJECTS, ".copies"];

/// Why a text does not name a blob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an artifact path: {why}")]
pub struct InvalidBlobPath {
    text: String,
    why: &'static str,
}

/// A relative path of plain segments, `/` between them. A segment is never empty, `.`, `..`, nor
/// one of our own names at the top; there is no backslash, no NUL, no `%2e` trick: the
/// text is taken as it is, decoded once by whoever read it from a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct BlobPath(String);

impl BlobPath {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Whether its first segment is `name`.
    pub fn is_below(&self, name: &str) -> bool {
        self.0.split('/').next() == Some(name)
    }

    /// What stands below the first segment `name`; `None` when it begins otherwise.
    pub(crate) fn below(&self, name: &str) -> Option<Self> {
        let rest = self.0.strip_prefix(name)?.strip_prefix('/')?;
        Some(Self(rest.to_owned()))
    }

    /// This path with more below it.
    ///
    /// # Errors
    /// When `rest` is not a path of its own.
    pub fn join(&self, rest: &str) -> Result<Self, InvalidBlobPath> {
        format!("{}/{rest}", self.0).parse()
    }
}

impl FromStr for BlobPath {
    type Err = InvalidBlobPath;
    fn from_str(text: &str) -> Result<Self, InvalidBlobPath> {
        let refuse = |why| InvalidBlobPath { text: text.chars().take(120).collect(), why };
        if text.is_empty() || text.len() > BYTES_MAX {
            return Err(refuse("it is empty or longer than 2000 bytes"));
        }
        if text.bytes().any(|b| b == 0 || b == b'\\' || b.is_ascii_control()) {
            return Err(refuse("it holds a backslash or a control character"));
        }
        if RESERVED.contains(&text.split('/').next().unwrap_or_default()) {
            return Err(refuse("it begins with a reserved name"));
        }
        for segment in text.split('/') {
            match segment {
                "" => return Err(refuse("it has an empty segment, or is absolute")),
                "." | ".." => return Err(refuse("it has a `.` or `..` segment")),
                _ if segment.len() > 255 => {
                    return Err(refuse("a segment is longer than 255 bytes"));
                }
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for BlobPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_out_are_refused() {
        for bad in [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "a/..",
            "a//b",
            "a/",
            "./a",
            "a\\..\\b",
            "a\0",
            ".uploads/x",
            ".objects",
        ] {
            assert!(bad.parse::<BlobPath>().is_err(), "{bad:?}");
        }
        for good in ["a", "1/abc/artifacts/MLmodel", "a/..b", "...", "ä/b c#?%2e%2e"] {
            assert!(good.parse::<BlobPath>().is_ok(), "{good:?}");
        }
    }
}
