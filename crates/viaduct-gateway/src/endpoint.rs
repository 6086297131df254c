//! An endpoint in service: its snapshot, its loaded model and its counters.

use std::collections::HashMap;
use std::sync::Arc;

use viaduct_base::{Digest, Kind, Refusal, nearest};
use viaduct_domain::contract::Availability;
use viaduct_domain::output::{Cell, TypedRow};
use viaduct_infer::Model;

use crate::metrics::Counters;
use crate::snapshot::{EndpointSnapshot, Snapshot};

/// An endpoint that was published and cannot serve its model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The endpoint's name.
    pub endpoint: String,
    /// Why, and what to do.
    pub detail: String,
}

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) spec: EndpointSnapshot,
    /// The model, or the reason that there is none.
    pub(crate) model: Result<Arc<Model>, Refusal>,
    pub(crate) rule_hash: Option<Digest>,
    /// Consumers by the hash of their key.
    pub(crate) keys: HashMap<Digest, usize>,
    pub(crate) counters: Arc<Counters>,
}

impl Endpoint {
    pub(crate) fn new(
        spec: EndpointSnapshot,
        model: Result<Arc<Model>, Refusal>,
        counters: Arc<Counters>,
    ) -> Self {
        let model = model.and_then(|model| match fields_problem(&spec, &model) {
            None => Ok(model),
            Some(detail) => Err(Refusal::new(
                Kind::ModelNotServable,
                format!("endpoint `{}`: {detail}", spec.name),
            )),
        });
        let keys = spec
            .consumers
            .iter()
            .enumerate()
            .map(|(place, consumer)| (consumer.key_hash.clone(), place))
            .collect();
        Self { rule_hash: spec.rule.as_ref().map(|rule| rule.hash()), spec, model, keys, counters }
    }

    pub(crate) fn problem(&self) -> Option<Problem> {
        let refusal = self.model.as_ref().err().filter(|_| self.spec.model.is_some())?;
        Some(Problem { endpoint: self.spec.name.to_string(), detail: refusal.detail.clone() })
    }
}

/// The features that a model is loaded with: its signature's, else the contract's fields that are
/// known when the decision is taken.
pub(crate) fn features(spec: &EndpointSnapshot) -> Option<Vec<String>> {
    let signed = spec.model.as_ref().and_then(|model| model.features.clone());
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
    pub(crate) snapshot: Snapshot,
    pub(crate) endpoints: HashMap<String, Arc<Endpoint>>,
}

impl Table {
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
