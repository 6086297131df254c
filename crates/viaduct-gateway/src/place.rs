//! Which variant a row meets.

use viaduct_base::TrialId;
use viaduct_domain::assign::{Split, Variant, assign, bucket};

use crate::snapshot::{EndpointSnapshot, Mode};

/// Where one row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) variant: Variant,
    pub(crate) bucket: Option<u16>,
    pub(crate) trial: Option<TrialId>,
    /// Whether the model is asked.
    pub(crate) scored: bool,
}

/// `entity` is what sticks: the business entity, or the decision's id where there is none.
pub(crate) fn place(spec: &EndpointSnapshot, entity: &str) -> Place {
    let plain = |variant, scored| Place { variant, bucket: None, trial: None, scored };
    if spec.frozen {
        return plain(Variant::Shadow, false);
    }
    match &spec.mode {
        Mode::Unowned => plain(Variant::Champion, true),
        Mode::Shadow => plain(Variant::Shadow, true),
        Mode::Trial { trial, salt, holdout_bp, score_holdout } => {
            let bucket = bucket(salt, &trial.to_string(), entity);
            let variant = assign(&split(*holdout_bp), bucket);
            let scored = variant != Variant::Holdout || *score_holdout;
            Place { variant, bucket: Some(bucket), trial: Some(*trial), scored }
        }
        Mode::Champion { holdout_bp: 0, .. } => plain(Variant::Champion, true),
        Mode::Champion { salt, holdout_bp } => {
            let bucket = bucket(salt, &spec.id.to_string(), entity);
            let variant = assign(&split(*holdout_bp), bucket);
            let scored = variant != Variant::Holdout;
            Place { variant, bucket: Some(bucket), trial: None, scored }
        }
    }
}

/// Whether some rows of this endpoint get business as usual, so that every row must have one.
///
/// Why every row: refusing only the holdout's rows would bias the comparison.
pub(crate) fn needs_usual(spec: &EndpointSnapshot) -> bool {
    spec.frozen
        || match &spec.mode {
            Mode::Unowned => false,
            Mode::Shadow | Mode::Trial { .. } => true,
            Mode::Champion { holdout_bp, .. } => *holdout_bp > 0,
        }
}

fn split(holdout_bp: u16) -> Split {
    Split { holdout_bp, challenger_bp: 0 }
}
