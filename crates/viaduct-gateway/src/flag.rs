//! Which variant an entity meets, without a prediction: for callers who run the model elsewhere.

use viaduct_base::{Refusal, RolloutId, TrialId};
use viaduct_domain::assign::Variant;

use crate::call::CallKey;
use crate::endpoint::Endpoint;
use crate::gateway::Gateway;
use crate::place::place;
use crate::snapshot::Mode;

/// Why an entity meets a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssignmentReason {
    /// Everybody meets it.
    Static,
    /// By the hash of the entity.
    Split,
    /// The endpoint is frozen or killed.
    Disabled,
}

/// What an entity meets at an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The endpoint's name.
    pub endpoint: String,
    /// The variant.
    pub variant: Variant,
    /// The registered model behind it; none for a holdout and while the endpoint is killed.
    pub model: Option<String>,
    /// Its version.
    pub model_version: Option<i64>,
    /// The entity's bucket, where a hash decided.
    pub bucket: Option<u16>,
    /// The rollout that splits.
    pub rollout: Option<RolloutId>,
    /// The trial that splits.
    pub trial: Option<TrialId>,
    /// Why.
    pub reason: AssignmentReason,
}

impl Gateway {
    /// Which variant an entity meets at an endpoint.
    ///
    /// # Errors
    /// There is no such endpoint, the key is not one of its consumers', or no snapshot yet.
    pub fn assignment(
        &self,
        endpoint: &str,
        key: &CallKey,
        entity: &str,
    ) -> Result<Assignment, Refusal> {
        let table = self.table()?;
        let found = table.find(endpoint)?;
        found.admit(key)?;
        Ok(found.assignment(entity))
    }

    /// Which variants an entity meets at every endpoint that lets the caller in.
    ///
    /// # Errors
    /// No snapshot yet.
    pub fn assignments(&self, key: &CallKey, entity: &str) -> Result<Vec<Assignment>, Refusal> {
        let table = self.table()?;
        let open = table.order.iter().filter(|endpoint| endpoint.admit(key).is_ok());
        Ok(open.map(|endpoint| endpoint.assignment(entity)).collect())
    }
}

impl Endpoint {
    fn assignment(&self, entity: &str) -> Assignment {
        let spec = &self.spec;
        let place = place(spec, entity, self.challenger.is_some());
        let rollout = spec.challenger.as_ref().filter(|c| c.share_bp > 0);
        let splits = matches!(spec.mode, Mode::Trial { .. })
            || matches!(&spec.mode, Mode::Champion { holdout_bp, .. } if *holdout_bp > 0)
            || rollout.is_some();
        let is_off = spec.frozen || spec.killed.is_some();
        let model = match place.variant {
            Variant::Challenger => rollout.map(|c| &c.model),
            Variant::Champion | Variant::Shadow => spec.model.as_ref(),
            Variant::Holdout => None,
        };
        let model = model.filter(|_| !is_off);
        Assignment {
            endpoint: spec.name.to_string(),
            variant: place.variant,
            model: model.map(|m| m.name.clone()),
            model_version: model.map(|m| m.version),
            bucket: place.bucket,
            rollout: rollout.map(|c| c.rollout),
            trial: place.trial,
            reason: if is_off {
                AssignmentReason::Disabled
            } else if splits {
                AssignmentReason::Split
            } else {
                AssignmentReason::Static
            },
        }
    }
}
