//! Sticky assignment of business entities to variants, by a published hash.
//!
//! `bucket = xxh3_64(salt + 0x1F + scope + 0x1F + entity) mod 10000`: UTF-8 texts, seed 0; the
//! scope is the id of the trial or rollout. Anybody can recompute an assignment with any XXH3
//! library. These vectors (made with Python's `xxhash`) are part of the interface:
//!
//! | salt | scope | entity | bucket |
//! |---|---|---|---|
//! | `s` | `tri_1` | `customer-1` | 7225 |
//! | `s` | `tri_1` | `customer-2` | 1491 |
//! | `s` | `tri_2` | `customer-1` | 112 |
//! | `salt` | `trial` | `entity` | 3294 |
//! | `zürich` | `tri_01` | `Ä-17` | 8351 |
//! | `7f3c` | `tri_01jd0000000000000000000000` | `lead-000123` | 4620 |
//! | (empty) | (empty) | (empty) | 5743 |
//!
//! Invariant: the holdout takes the lowest buckets, so a larger holdout never moves an entity out
//! of it. Knows nothing of stages: whether a row takes part is decided before this is asked.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// The number of buckets; a share in basis points is a number of buckets.
pub const BUCKETS: u16 = 10_000;

/// The name of the hash, as written into trial plans.
pub const HASH_NAME: &str = "xxh3_64(salt 0x1F scope 0x1F entity) mod 10000";

/// What stands behind an endpoint for one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// The model that answers.
    Champion,
    /// A second model that answers its share.
    Challenger,
    /// The model is computed and logged, business as usual is answered.
    Shadow,
    /// Business as usual, no model.
    Holdout,
}

impl Variant {
    /// The word in rows, facts and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Variant::Champion => "champion",
            Variant::Challenger => "challenger",
            Variant::Shadow => "shadow",
            Variant::Holdout => "holdout",
        }
    }

    /// The variant with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Variant::Champion, Variant::Challenger, Variant::Shadow, Variant::Holdout]
            .into_iter()
            .find(|variant| variant.as_str() == word)
    }
}

impl std::fmt::Display for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How buckets are shared out, in basis points; what is left goes to the champion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Share of the holdout.
    pub holdout_bp: u16,
    /// Share of the challenger.
    #[serde(default)]
    pub challenger_bp: u16,
}

impl Split {
    /// A holdout of `share` (0 to 1), rounded to a basis point, and a champion.
    pub fn holdout(share: f64) -> Self {
        // Why no check: a float cast saturates, and NaN becomes 0.
        let bp = (share.clamp(0.0, 1.0) * f64::from(BUCKETS)).round() as u16;
        Self { holdout_bp: bp, challenger_bp: 0 }
    }

    /// The variants with a share and their shares (0 to 1), as a sample-ratio check wants them.
    pub fn shares(&self) -> Vec<(Variant, f64)> {
        let champion = BUCKETS.saturating_sub(self.holdout_bp.saturating_add(self.challenger_bp));
        [
            (Variant::Champion, champion),
            (Variant::Challenger, self.challenger_bp),
            (Variant::Holdout, self.holdout_bp),
        ]
        .into_iter()
        .filter(|(_, bp)| *bp > 0)
        .map(|(variant, bp)| (variant, f64::from(bp) / f64::from(BUCKETS)))
        .collect()
    }
}

/// The bucket (0 to 9999) of an entity within a trial or rollout.
pub fn bucket(salt: &str, scope_id: &str, entity: &str) -> u16 {
    let mut hash = Xxh3::new();
    hash.update(salt.as_bytes());
    hash.update(b"\x1f");
    hash.update(scope_id.as_bytes());
    hash.update(b"\x1f");
    hash.update(entity.as_bytes());
    (hash.digest() % u64::from(BUCKETS)) as u16
}

/// The variant of a bucket: holdout first, then the challenger, then the champion.
pub fn assign(split: &Split, bucket: u16) -> Variant {
    if bucket < split.holdout_bp {
        Variant::Holdout
    } else if bucket < split.holdout_bp.saturating_add(split.challenger_bp) {
        Variant::Challenger
    } else {
        Variant::Champion
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors() {
        for (salt, scope, entity, expected) in [
            ("s", "tri_1", "customer-1", 7225),
            ("s", "tri_1", "customer-2", 1491),
            ("s", "tri_2", "customer-1", 112),
            ("salt", "trial", "entity", 3294),
            ("zürich", "tri_01", "Ä-17", 8351),
            ("s", "tri_1", "42", 5327),
            ("7f3c", "tri_01jd0000000000000000000000", "lead-000123", 4620),
            ("", "", "", 5743),
        ] {
            assert_eq!(bucket(salt, scope, entity), expected, "{salt} {scope} {entity}");
        }
    }

    #[test]
    fn shares_come_out_and_a_larger_holdout_keeps_its_entities() {
        let small = Split { holdout_bp: 1_000, challenger_bp: 2_000 };
        let large = Split { holdout_bp: 5_000, challenger_bp: 0 };
        let mut counts = [0u32; 3];
        for n in 0..40_000 {
            let b = bucket("salt", "tri_x", &format!("customer-{n}"));
            match assign(&small, b) {
                Variant::Holdout => {
                    counts[0] += 1;
                    assert_eq!(assign(&large, b), Variant::Holdout);
                }
                Variant::Challenger => counts[1] += 1,
                _ => counts[2] += 1,
            }
        }
        // Four standard deviations of a binomial share at n = 40,000.
        for (count, share) in counts.iter().zip([0.1, 0.2, 0.7]) {
            let sd = f64::sqrt(40_000.0 * share * (1.0 - share));
            assert!((f64::from(*count) - 40_000.0 * share).abs() < 4.0 * sd, "{counts:?}");
        }
    }

    #[test]
    fn splits() {
        assert_eq!(Split::holdout(0.5).holdout_bp, 5_000);
        assert_eq!(Split::holdout(f64::NAN).holdout_bp, 0);
        let shares = Split { holdout_bp: 2_500, challenger_bp: 0 }.shares();
        assert_eq!(shares, [(Variant::Champion, 0.75), (Variant::Holdout, 0.25)]);
        assert_eq!(assign(&Split::holdout(1.0), 9_999), Variant::Holdout);
        assert_eq!(assign(&Split::default(), 0), Variant::Champion);
    }
}
