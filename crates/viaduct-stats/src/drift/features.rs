//! Many fields at once, without crying wolf: false discoveries are controlled over the fields of a
//! model, and a difference must also be large enough to matter.

use serde::{Deserialize, Serialize};

use crate::{
    insufficient::{Insufficient, require},
    value::multiple::benjamini_hochberg,
};

/// Drift of one field: evidence and size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Name of the field.
    pub name: String,
    /// p-value of a test that the distribution has not moved.
    pub p_value: f64,
    /// Size of the move, on a scale where 0 is none (Jensen-Shannon distance, PSI, ...).
    pub effect: f64,
    /// Rows of the smaller sample.
    pub n: u64,
}

/// When a field counts as drifted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Share of false alarms among alarms.
    pub false_discovery_rate: f64,
    /// Smallest effect that matters.
    pub effect_floor: f64,
    /// Fewest rows that are judged.
    pub n_min: u64,
}

impl Default for Policy {
    /// 5 % false discoveries, a distance of 0.1, and 100 rows.
    fn default() -> Self {
        Self { false_discovery_rate: 0.05, effect_floor: 0.1, n_min: 100 }
    }
}

/// Judgement of one field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Too few rows to say anything.
    TooFewRows,
    /// No evidence of a move beyond chance, or one too small to matter.
    Steady {
        /// p after Benjamini and Hochberg.
        adjusted_p: f64,
    },
    /// A move that is both beyond chance and large enough.
    Drifted {
        /// p after Benjamini and Hochberg.
        adjusted_p: f64,
    },
}

/// Judges all fields of a model together, in the order given.
///
/// # Errors
/// p-values outside of [0, 1], or a rate outside of (0, 1).
pub fn judge(fields: &[Field], policy: &Policy) -> Result<Vec<Judgement>, Insufficient> {
    let rate = policy.false_discovery_rate;
    require(rate > 0.0 && rate < 1.0, "false discovery rate", "between 0 and 1")?;
    let judged: Vec<&Field> = fields.iter().filter(|field| field.n >= policy.n_min).collect();
    let p: Vec<f64> = judged.iter().map(|field| field.p_value).collect();
    let adjusted = if p.is_empty() { Vec::new() } else { benjamini_hochberg(&p)? };
    let mut adjusted = adjusted.into_iter();
    Ok(fields
        .iter()
        .map(|field| {
            if field.n < policy.n_min {
                return Judgement::TooFewRows;
            }
            match adjusted.next() {
                Some(p) if p <= rate && field.effect >= policy.effect_floor => {
                    Judgement::Drifted { adjusted_p: p }
                }
                Some(adjusted_p) => Judgement::Steady { adjusted_p },
                None => Judgement::TooFewRows,
            }
        })
        .collect())
}
