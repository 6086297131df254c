//! An endpoint in service: its snapshot, its versions and its counters.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use viaduct_base::{ConsumerId, Digest, Kind, Refusal, Timestamp, nearest};
use viaduct_decisions::{Flag, Way};
use viaduct_domain::assign::Variant;
use viaduct_domain::contract::Availability;
use viaduct_domain::output::{Cell, TypedRow};
use viaduct_infer::Model;

use crate::counts::{self, Tally};
use crate::limits::Limiter;
use crate::metrics::Counters;
use crate::models::Slot;
use crate::said::Which;
use crate::snapshot::{EndpointSnapshot, ServedModel};
use crate::usual::{self, Usual};

/// An endpoint that was published and cannot serve its model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The endpoint's name.
    pub endpoint: String,
    /// Why, and what to do.
    pub detail: String,
}

/// The versions of an endpoint; the same ones stand behind the next snapshot that names them.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    pub(crate) champion: Result<Arc<Slot>, Refusal>,
    pub(crate) challenger: Option<Arc<Slot>>,
    pub(crate) previous: Option<Arc<Slot>>,
}

/// What outlives the snapshots of an endpoint.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lasting {
    pub(crate) counters: Arc<Counters>,
    pub(crate) limiters: HashMap<ConsumerId, Arc<Limiter>>,
}

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) spec: EndpointSnapshot,
    pub(crate) champion: Result<Arc<Slot>, Refusal>,
    pub(crate) challenger: Option<Arc<Slot>>,
    pub(crate) previous: Option<Arc<Slot>>,
    pub(crate) rule_hash: Option<Digest>,
    /// What it declares as business as usual.
    pub(crate) declared: Option<Arc<Usual>>,
    /// Consumers by the hash of their key, with what they used.
    pub(crate) keys: HashMap<Digest, (usize, Arc<Limiter>)>,
    pub(crate) counters: Arc<Counters>,
    tallies: Vec<Arc<Tally>>,
}

impl Endpoint {
    /// Counters go on where the same version stands behind the same variant as in `before`.
    pub(crate) fn new(
        spec: EndpointSnapshot,
        slots: Slots,
        lasting: &Lasting,
        before: Option<&Endpoint>,
        now: Timestamp,
    ) -> Self {
        let limiter = |id: &ConsumerId| lasting.limiters.get(id).cloned().unwrap_or_default();
        let keys = spec
            .consumers
            .iter()
            .enumerate()
            .map(|(place, consumer)| (consumer.key_hash.clone(), (place, limiter(&consumer.id))))
            .collect();
        Self {
            tallies: tallies(&spec, before, now),
            rule_hash: spec.rule.as_ref().map(|rule| rule.hash()),
            declared: usual::declared(&spec),
            champion: slots.champion,
            challenger: slots.challenger.filter(|_| spec.challenger.is_some()),
            previous: slots.previous,
            keys,
            counters: Arc::clone(&lasting.counters),
            spec,
        }
    }

    /// The same endpoint for one request whose model is out of reach: the fallback answers it.
    pub(crate) fn without_model(&self, spec: EndpointSnapshot, why: &str, now: Timestamp) -> Self {
        let mut endpoint = self.under(spec, now);
        let detail = format!("endpoint `{}`: {why}", self.spec.name);
        endpoint.champion = Err(Refusal::new(Kind::NotReady, detail));
        endpoint.challenger = None;
        endpoint
    }

    /// The same endpoint under another snapshot that names the same versions.
    pub(crate) fn under(&self, spec: EndpointSnapshot, now: Timestamp) -> Self {
        let used = self.keys.values().filter_map(|(place, limiter)| {
            let consumer = self.spec.consumers.get(*place)?;
            Some((consumer.id, Arc::clone(limiter)))
        });
        let lasting = Lasting { counters: Arc::clone(&self.counters), limiters: used.collect() };
        let slots = Slots {
            champion: self.champion.clone(),
            challenger: self.challenger.clone(),
            previous: self.previous.clone(),
        };
        // What was published may name a version that could not be put in service.
        let model = self.spec.model.clone();
        Self::new(EndpointSnapshot { model, ..spec }, slots, &lasting, Some(self), now)
    }

    /// When a run that begins now is stopped. Why the endpoint's own limit and not a caller's: a
    /// model that is stopped has failed, and no caller may make a good one fail.
    pub(crate) fn longest(&self, now: Instant) -> Option<Instant> {
        let longest = u64::from(self.spec.limits.deadline_ms);
        now.checked_add(Duration::from_millis(longest)).filter(|_| longest > 0)
    }

    /// What its consumers with a quota used.
    pub(crate) fn with_quota(&self) -> HashMap<ConsumerId, Arc<Limiter>> {
        let limited = self.keys.values().filter_map(|(place, limiter)| {
            let consumer = self.spec.consumers.get(*place)?;
            consumer.quota_per_day.is_some().then(|| (consumer.id, Arc::clone(limiter)))
        });
        limited.collect()
    }

    pub(crate) fn problem(&self) -> Option<Problem> {
        self.spec.model.as_ref()?;
        let refusal = match &self.champion {
            Ok(slot) => slot.problem()?,
            Err(refusal) => refusal.clone(),
        };
        Some(Problem { endpoint: self.spec.name.to_string(), detail: refusal.detail })
    }

    /// Whether the champion is there and the last load of it did not fail.
    pub(crate) fn can_answer(&self) -> bool {
        self.champion.as_ref().is_ok_and(|slot| slot.problem().is_none())
    }

    /// The model of the champion, loaded if it is not in memory.
    pub(crate) fn model(&self) -> Result<Arc<Model>, Refusal> {
        self.champion.as_ref().map_err(Clone::clone)?.get()
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.champion.iter().chain(&self.challenger).chain(&self.previous)
    }

    /// Whether it would be the same under this snapshot and with these versions.
    pub(crate) fn is_as(&self, spec: &EndpointSnapshot, slots: &Slots) -> bool {
        let same = |a: Option<&Arc<Slot>>, b: Option<&Arc<Slot>>| match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        same(self.champion.as_ref().ok(), slots.champion.as_ref().ok())
            && same(self.challenger.as_ref(), slots.challenger.as_ref())
            && same(self.previous.as_ref(), slots.previous.as_ref())
            && self.spec == *spec
    }

    /// One of its versions.
    pub(crate) fn served(&self, which: Which) -> Option<&ServedModel> {
        let slot = match which {
            Which::Champion => self.champion.as_ref().ok(),
            Which::Challenger => self.challenger.as_ref(),
            Which::Previous => self.previous.as_ref(),
        };
        slot.map(|slot| &slot.served)
    }

    /// Whether a challenger gets copies of what the champion answered.
    pub(crate) fn has_onlooker(&self) -> bool {
        let is_asked = self.spec.killed.is_none() && self.challenger.is_some();
        is_asked && self.spec.challenger.as_ref().is_some_and(|challenger| challenger.shadow)
    }

    pub(crate) fn tallies(&self) -> impl Iterator<Item = &Arc<Tally>> {
        self.tallies.iter()
    }

    /// What counts a variant.
    pub(crate) fn tally(&self, variant: Variant) -> Option<&Arc<Tally>> {
        self.tallies.iter().find(|tally| tally.variant == variant)
    }

    /// Counts a row that the fallback answered.
    pub(crate) fn count_fallback(&self, way: Option<&Way>) {
        let Some(way) = way.filter(|way| way.flags.contains(&Flag::Fallback)) else { return };
        let tally = Variant::from_word(&way.variant).and_then(|variant| self.tally(variant));
        if let Some(tally) = tally {
            counts::add(&tally.fallbacks, 1);
            self.counters.fell_back(tally.variant);
        }
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
pub(crate) fn fields_problem(spec: &EndpointSnapshot, model: &Model) -> Option<String> {
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
