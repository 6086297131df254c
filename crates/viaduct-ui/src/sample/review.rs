//! A sample review with its signatures.

use super::{at, hash, id};
use crate::view::*;

impl Review {
    /// A review with one of two signatures.
    pub fn sample() -> Self {
        Self {
            id: id("rev", 1),
            gate: "G1".into(),
            evaluation_id: id("evl", 1),
            evaluation_hash: hash(7),
            opened_by: "tom".into(),
            opened_at: at(130, 10),
            timeout: Some(
                "Tier T2: silence does not open the gate; it goes to the risk partner.".into(),
            ),
            signatures: Signature::samples(),
            my_roles: vec!["business_owner".into()],
            may_withdraw: true,
        }
    }
}

impl Signature {
    /// One given, one wanted.
    pub(super) fn samples() -> Vec<Self> {
        vec![
            Self {
                role: "data_owner".into(),
                vouches_for: "The data may be used for this purpose.".into(),
                people: vec!["dan".into()],
                signed_by: Some("dan".into()),
                signed_at: Some(at(130, 14)),
                statement: Some(
                    "Leads who opted out reach the list a day late; the feed is mended by June."
                        .into(),
                ),
                due_at: None,
            },
            Self {
                role: "business_owner".into(),
                vouches_for: "The KPI, its unit value, and which decision changes are right."
                    .into(),
                people: vec!["bea".into()],
                signed_by: None,
                signed_at: None,
                statement: None,
                due_at: Some(at(135, 0)),
            },
        ]
    }
}
