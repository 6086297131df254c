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
    /// Whether a tester asked for the variant.
    pub(crate) picked: bool,
}

impl Place {
    /// Whether a model's answer is what the caller gets.
    pub(crate) fn is_answered_by_model(&self) -> bool {
        matches!(self.variant, Variant::Champion | Variant::Challenger)
    }
}

/// In this order: the stage's law (frozen, then the mode), the holdout, the challenger by its
/// share, the champion. `entity` is what sticks: the business entity, or the decision's id where
/// there is none.
///
/// A killed endpoint keeps its assignment, so that a trial can be read afterwards; it only asks no
/// model.
pub(crate) fn place(spec: &EndpointSnapshot, entity: &str, has_challenger: bool) -> Place {
    let plain =
        |variant, scored| Place { variant, bucket: None, trial: None, scored, picked: false };
    let mut place = if spec.frozen {
        plain(Variant::Shadow, false)
    } else {
        match &spec.mode {
            Mode::Unowned => plain(Variant::Champion, true),
            Mode::Shadow => plain(Variant::Shadow, true),
            Mode::Trial { trial, salt, holdout_bp, score_holdout } => {
                let bucket = bucket(salt, &trial.to_string(), entity);
                let variant = assign(&split(*holdout_bp), bucket);
                let scored = variant != Variant::Holdout || *score_holdout;
                let (bucket, trial) = (Some(bucket), Some(*trial));
                Place { variant, bucket, trial, scored, picked: false }
            }
            Mode::Champion { holdout_bp: 0, .. } => plain(Variant::Champion, true),
            Mode::Champion { salt, holdout_bp } => {
                let bucket = bucket(salt, &spec.id.to_string(), entity);
                let variant = assign(&split(*holdout_bp), bucket);
                let scored = variant != Variant::Holdout;
                Place { variant, bucket: Some(bucket), trial: None, scored, picked: false }
            }
        }
    };
    if place.variant == Variant::Champion && place.trial.is_none() && has_challenger {
        challenge(spec, entity, &mut place);
    }
    place.scored &= spec.killed.is_none();
    place
}

/// Whether the entity matters at all.
pub(crate) fn is_split(spec: &EndpointSnapshot, has_challenger: bool) -> bool {
    has_challenger
        || match &spec.mode {
            Mode::Unowned | Mode::Shadow => false,
            Mode::Trial { .. } => true,
            Mode::Champion { holdout_bp, .. } => *holdout_bp > 0,
        }
}

fn challenge(spec: &EndpointSnapshot, entity: &str, place: &mut Place) {
    let Some(challenger) = spec.challenger.as_ref().filter(|c| c.share_bp > 0) else { return };
    let bucket = bucket(&challenger.salt, &challenger.rollout.to_string(), entity);
    place.bucket = place.bucket.or(Some(bucket));
    if bucket < challenger.share_bp {
        place.variant = Variant::Challenger;
    }
}

/// A tester's choice, where the stage lets a model answer at all.
pub(crate) fn pick(place: &mut Place, wanted: Variant, has_challenger: bool) {
    let can_be = match wanted {
        Variant::Champion => true,
        Variant::Challenger => has_challenger,
        Variant::Shadow | Variant::Holdout => false,
    };
    if can_be && place.variant != Variant::Shadow {
        // A row that was picked belongs to no trial's arm.
        *place = Place { variant: wanted, picked: true, scored: true, ..*place };
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
