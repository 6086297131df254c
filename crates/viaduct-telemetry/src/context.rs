//! The `traceparent` header of W3C Trace Context.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The caller's flag that this trace is kept.
const SAMPLED: u8 = 1;
/// Flags that travel on: sampled, and that the trace's id is random.
const KNOWN_FLAGS: u8 = 3;

/// Which trace, which span of it, and whether it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    pub(crate) trace: u128,
    pub(crate) span: u64,
    pub(crate) flags: u8,
}

impl TraceContext {
    /// A trace of its own.
    pub(crate) fn root() -> Self {
        // Why not 0: it stands for no trace.
        Self { trace: rand::random::<u128>().max(1), span: new_span(), flags: 0 }
    }

    /// Another span of the same trace.
    pub(crate) fn next(self) -> Self {
        Self { span: new_span(), ..self }
    }

    pub(crate) fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    pub(crate) fn sampled(self, is_sampled: bool) -> Self {
        let flags = if is_sampled { self.flags | SAMPLED } else { self.flags & !SAMPLED };
        Self { flags, ..self }
    }

    /// Reads a header; `None` for one that the specification says to ignore.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.trim().as_bytes();
        let (version, rest) = bytes.split_at_checked(2)?;
        let version = hex(version)?;
        let is_whole = match version {
            0 => bytes.len() == 55,
            0xff => false,
            // A later version may say more behind, after another dash.
            _ => bytes.len() == 55 || bytes.get(55) == Some(&b'-'),
        };
        if !is_whole || (rest[0], rest[33], rest[50]) != (b'-', b'-', b'-') {
            return None;
        }
        let trace = hex(&rest[1..33])?;
        let span = hex(&rest[34..50])? as u64;
        let flags = hex(&rest[51..53])? as u8 & KNOWN_FLAGS;
        (trace != 0 && span != 0).then_some(Self { trace, span, flags })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

fn new_span() -> u64 {
    rand::random::<u64>().max(1)
}

/// Small letters only, as the specification has it.
fn hex(text: &[u8]) -> Option<u128> {
    text.iter().try_fold(0, |number: u128, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

/// A context on its way to another process, or to a later time, as its headers have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// `traceparent`.
    pub parent: String,
    /// `tracestate`: other vendors' words, passed on as they came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl Carried {
    /// The headers of a request that goes on.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("traceparent", self.parent.clone())];
        headers.extend(self.state.clone().map(|state| ("tracestate", state)));
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_read_is_written_again() {
        let context = TraceContext::parse(GOOD).unwrap();
        assert_eq!(context.to_string(), GOOD);
        assert!(context.is_sampled() && !context.sampled(false).is_sampled());
        let next = context.next();
        assert_eq!((next.trace, next.flags), (context.trace, 1));
        assert_ne!(next.span, context.span);
        assert_ne!(TraceContext::root().trace, TraceContext::root().trace);
    }

    #[test]
    fn a_later_version_is_read_and_unknown_flags_are_cleared() {
        let later = format!("01{}-more", GOOD.get(2..).unwrap().replace("-01", "-ff"));
        assert_eq!(TraceContext::parse(&later).unwrap().flags, 3);
    }

    #[test]
    fn what_breaks_the_rules_is_ignored() {
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-000f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.",
            "é0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }
}
