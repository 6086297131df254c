//! Typed ids: prefix, `_`, and a UUIDv7 in Crockford base32 (26 characters): `prj_01J…`.
//!
//! Sortable by time; a pasted id says what it is; the wrong kind does not parse.

use std::fmt;

use crate::Timestamp;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {article} id: expected `{prefix}_` and 26 characters of Crockford base32")]
pub struct InvalidId {
    text: String,
    prefix: &'static str,
    article: &'static str,
}

fn encode(value: u128) -> String {
    let mut out = [0u8; 26];
    let mut rest = value;
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
    }
    out.iter().map(|b| *b as char).collect()
}

fn decode(text: &str) -> Option<u128> {
    if text.len() != 26 || text.as_bytes()[0] > b'7' {
        return None;
    }
    text.bytes().try_fold(0u128, |value, byte| {
        let digit = ALPHABET.iter().position(|b| *b == byte)?;
        Some(value << 5 | digit as u128)
    })
}

/// A fresh UUIDv7 whose time part is `now`: random below the millisecond.
fn fresh(now: Timestamp) -> u128 {
    let micros = now.as_micros().max(0) as u64;
    let at = uuid::Timestamp::from_unix(
        uuid::NoContext,
        micros / 1_000_000,
        ((micros % 1_000_000) * 1_000) as u32,
    );
    uuid::Uuid::new_v7(at).as_u128()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $article:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The text before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id made at `now`.
            pub fn new(now: Timestamp) -> Self {
                Self(fresh(now))
            }

            /// The moment in the id, to the millisecond.
            pub fn made_at(&self) -> Timestamp {
                Timestamp::from_micros((self.0 >> 80) as i64 * 1_000)
            }

            /// The 128 bits, for compact storage.
            pub fn as_u128(&self) -> u128 {
                self.0
            }

            /// The id with these 128 bits.
            pub fn from_u128(value: u128) -> Self {
                Self(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, encode(self.0))
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode)
                    .map(Self)
                    .ok_or_else(|| InvalidId {
                        text: text.chars().take(80).collect(),
                        prefix: $prefix,
                        article: $article,
                    })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

ids! {
    /// A workspace: one business unit, the isolation boundary.
    WorkspaceId = "wsp", "a workspace";
    /// A person who can sign in.
    UserId = "usr", "a user";
    /// An API token of a user.
    TokenId = "tok", "a token";
    /// A browser session.
    SessionId = "ses", "a session";
    /// A project.
    ProjectId = "prj", "a project";
    /// A KPI of a project.
    KpiId = "kpi", "a KPI";
    /// A data contract.
    ContractId = "con", "a contract";
    /// An endpoint.
    EndpointId = "end", "an endpoint";
    /// A consumer of an endpoint, with its key.
    ConsumerId = "csm", "a consumer";
    /// A decision: one row per prediction.
    DecisionId = "dec", "a decision";
    /// An outcome of a decision.
    OutcomeId = "out", "an outcome";
    /// A trial.
    TrialId = "tri", "a trial";
    /// A rollout: the controlled change of an endpoint's version.
    RolloutId = "rol", "a rollout";
    /// A drill.
    DrillId = "dri", "a drill";
    /// An alert.
    AlertId = "alr", "an alert";
    /// A gateway's report of what it did by itself.
    ReportId = "rpt", "a report";
    /// An estimate.
    EstimateId = "est", "an estimate";
    /// A fact.
    FactId = "fct", "a fact";
    /// An evaluation of a gate.
    EvaluationId = "evl", "an evaluation";
    /// A review of one evaluation.
    ReviewId = "rev", "a review";
    /// A signature under an evaluation's hash.
    SignatureId = "sig", "a signature";
    /// A waiver of one criterion.
    WaiverId = "wai", "a waiver";
    /// An audit entry.
    AuditId = "aud", "an audit";
    /// A job in the queue.
    JobId = "job", "a job";
    /// An event in the outbox.
    EventId = "evt", "an event";
    /// A request, quoted to the caller when something broke.
    RequestId = "req", "a request";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_order() {
        let early: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let late: Timestamp = "2026-01-01T00:00:01Z".parse().unwrap();
        let (a, b) = (ProjectId::new(early), ProjectId::new(late));
        assert!(a < b && a.to_string() < b.to_string());
        assert_eq!(a.to_string().parse::<ProjectId>().unwrap(), a);
        assert_eq!(a.made_at(), early);
        assert_eq!(a.to_string().len(), 30);
    }

    #[test]
    fn wrong_kind_does_not_parse() {
        let id = ProjectId::new(Timestamp::from_micros(0)).to_string();
        let error = id.parse::<RunLike>().unwrap_err().to_string();
        assert!(error.contains("usr_"), "{error}");
        for bad in ["", "usr_", "usr_zzzzzzzzzzzzzzzzzzzzzzzzzz", "usr_0000000000000000000000000é"]
        {
            assert!(bad.parse::<UserId>().is_err(), "{bad}");
        }
    }

    type RunLike = UserId;
}
