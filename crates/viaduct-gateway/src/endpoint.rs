//! An endpoint in service: its snapshot, its loaded models and its counters.

use std::collections::HashMap;
use std::sync::Arc;

use viaduct_base::{Digest, Kind, Refusal, Timestamp, nearest};
use viaduct_domain::assign::Variant;
use viaduct_domain::contract::Availability;
use viaduct_domain::output::{Cell, TypedRow};
use viaduct_infer::Model;

use crate::counts::Tally;
use crate::metrics::Counters;
use crate::snapshot::{EndpointSnapshot, ServedModel};

/// An endpoint that was published and cannot serve its model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The endpoint's name.
    pub endpoint: String,
    /// Why, and what to do.
    pub detail: String,
}

/// The models of an endpoint, loaded or with the reason why not.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) champion: Result<Arc<Model>, Refusal>,
    pub(crate) challenger: Option<Result<Arc<Model>, Refusal>>,
    pub(crate) previous: Option<Result<Arc<Model>, Refusal>>,
}

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) spec: EndpointSnapshot,
    pub(crate) loaded: Loaded,
    pub(crate) rule_hash: Option<Digest>,
    /// Consumers by the hash of their key.
    pub(crate) keys: HashMap<Digest, usize>,
    pub(crate) counters: Arc<Counters>,
    tallies: Vec<Arc<Tally>>,
}

impl Endpoint {
    /// Counters go on where the same version stands behind the same variant as in `before`.
    pub(crate) fn new(
        spec: EndpointSnapshot,
        mut loaded: Loaded,
        counters: Arc<Counters>,
        before: Option<&Endpoint>,
        now: Timestamp,
    ) -> Self {
        let checked = |model: Result<Arc<Model>, Refusal>| {
            model.and_then(|model| match fields_problem(&spec, &model) {
                None => Ok(model),
                Some(detail) => Err(Refusal::new(
                    Kind::ModelNotServable,
                    format!("endpoint `{}`: {detail}", spec.name),
                )),
            })
        };
        loaded.champion = checked(loaded.champion);
        loaded.challenger = loaded.challenger.map(checked).filter(|_| spec.challenger.is_some());
        loaded.previous = loaded.previous.map(checked);
        let keys = spec
            .consumers
            .iter()
            .enumerate()
            .map(|(place, consumer)| (consumer.key_hash.clone(), place))
            .collect();
        let tallies = tallies(&spec, before, now);
        let rule_hash = spec.rule.as_ref().map(|rule| rule.hash());
        Self { rule_hash, spec, loaded, keys, counters, tallies }
    }

    /// The same endpoint under another snapshot that names the same models.
    pub(crate) fn under(&self, spec: EndpointSnapshot, now: Timestamp) -> Self {
        let counters = Arc::clone(&self.counters);
        Self::new(spec, self.loaded.clone(), counters, Some(self), now)
    }

    pub(crate) fn problem(&self) -> Option<Problem> {
        let refusal = self.loaded.champion.as_ref().err().filter(|_| self.spec.model.is_some())?;
        Some(Problem { endpoint: self.spec.name.to_string(), detail: refusal.detail.clone() })
    }

    pub(crate) fn tallies(&self) -> impl Iterator<Item = &Arc<Tally>> {
        self.tallies.iter()
    }

    /// What counts a variant; the champion's for a challenger that is gone.
    pub(crate) fn tally(&self, variant: Variant) -> Option<&Arc<Tally>> {
        self.tallies.iter().find(|tally| tally.variant == variant)
    }
}

fn tallies(spec: &EndpointSnapshot, before: Option<&Endpoint>, now: Timestamp) -> Vec<Arc<Tally>> {
    let version = spec.model.as_ref().map(|model| model.version);
    let mut wanted = vec![
        (Variant::Champion, version, None),
        (Variant::Shadow, version, None),
        (Variant::Holdout, None, None),
    ];
    wanted.extend(
        spec.challenger
            .as_ref()
            .map(|c| (Variant::Challenger, Some(c.model.version), Some(c.rollout))),
    );
    let known = before.map(|endpoint| endpoint.tallies.as_slice()).unwrap_or_default();
    wanted
        .into_iter()
        .map(|wanted| {
            let same = |t: &&Arc<Tally>| (t.variant, t.model_version, t.rollout) == wanted;
            known.iter().find(same).cloned().unwrap_or_else(|| {
                let (variant, version, rollout) = wanted;
                Arc::new(Tally::new(variant, version, rollout, now))
            })
        })
        .collect()
}

/// The features that a model is loaded with: its signature's, else the contract's fields that are
/// known when the decision is taken.
pub(crate) fn features(
    spec: &EndpointSnapshot,
    model: Option<&ServedModel>,
) -> Option<Vec<String>> {
    let signed = model.and_then(|model| model.features.clone());
    signed.or_else(|| {
        let fields = spec.contract.as_ref()?.fields().iter();
        let known = fields.filter(|f| f.available != Some(Availability::AfterDecision));
        Some(known.map(|field| field.name.to_string()).collect())
    })
}

/// Tells at publication, not at the first request, that the contract does not fill the model.
fn fields_problem(spec: &EndpointSnapshot, model: &Model) -> Option<String> {
    let fields = spec.contract.as_ref()?.fields();
    let cells = fields.iter().map(|field| (Arc::clone(&field.name), Cell::Null)).collect();
    let row = TypedRow { cells, ..TypedRow::default() };
    model.check_fields(&row).err().map(|error| error.to_string())
}

/// What is in service: swapped as a whole.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) salt: Arc<str>,
    /// In the order of the snapshot.
    pub(crate) order: Vec<Arc<Endpoint>>,
    pub(crate) endpoints: HashMap<String, Arc<Endpoint>>,
}

impl Table {
    pub(crate) fn new(salt: Arc<str>, order: Vec<Arc<Endpoint>>) -> Self {
        let named = order.iter().map(|e| (e.spec.name.to_string(), Arc::clone(e)));
        Self { salt, endpoints: named.collect(), order }
    }

    pub(crate) fn find(&self, name: &str) -> Result<&Arc<Endpoint>, Refusal> {
        self.endpoints.get(name).ok_or_else(|| {
            let near = nearest(name, self.endpoints.keys().map(String::as_str));
            let hint = near.map(|near| format!(" (near: `{near}`)")).unwrap_or_default();
            let name: String = name.chars().take(80).collect();
            Refusal::new(
                Kind::NotFound,
                format!(
                    "there is no endpoint `{name}`{hint}; `viaduct get endpoints` lists what there is"
                ),
            )
        })
    }
}
