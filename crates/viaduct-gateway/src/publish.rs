//! How a snapshot comes into service: versions are prepared first, then the table is exchanged.
//!
//! What did not change is not prepared again: one change among a thousand endpoints loads one
//! version.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use viaduct_base::{EndpointId, Fault, Kind, Refusal};

use crate::disk;
use crate::endpoint::{Endpoint, Lasting, Problem, Slots, Table};
use crate::gateway::Gateway;
use crate::models::{Models, Slot};
use crate::snapshot::{EndpointSnapshot, ServedModel, Snapshot};

/// Why a bound: a start with a thousand endpoints must not wait for a thousand loads. The rest is
/// loaded when it is asked.
const EAGER_MAX: usize = 16;

/// A source file as it was when it was copied, and its copy.
type Copied = (Option<SystemTime>, u64, PathBuf);

/// What outlives a snapshot.
#[derive(Default)]
pub(crate) struct Kept {
    lasting: HashMap<EndpointId, Lasting>,
    copies: HashMap<PathBuf, Copied>,
    retired: Vec<Retired>,
}

/// A version that left while requests may still hold it.
struct Retired {
    key: Arc<str>,
    file: PathBuf,
    slot: Weak<Slot>,
}

impl Gateway {
    /// Puts a snapshot in service and on disk. Blocks while models are copied and loaded;
    /// requests go on with the snapshot before. An endpoint whose new version cannot be loaded
    /// goes on with the one before it; one that never had any is in service too and says why when
    /// it is asked.
    ///
    /// # Errors
    /// The copy on disk could not be written; the snapshot is in service all the same.
    pub fn publish(&self, mut snapshot: Snapshot) -> Result<Vec<Problem>, Fault> {
        // Why over the whole: memory and disk must not end with different snapshots.
        let mut kept = self.publishing();
        let mut uncopied = Vec::new();
        for endpoint in &mut snapshot.endpoints {
            let name = endpoint.name.to_string();
            for model in endpoint.models_mut().filter(|model| model.onnx.as_os_str() != "") {
                match kept.copy(self.dir(), &model.onnx) {
                    Ok(copy) => model.onnx = copy,
                    Err(error) => uncopied.push(Problem {
                        endpoint: name.clone(),
                        detail: format!("`{}` is not copied: {error}", model.onnx.display()),
                    }),
                }
            }
        }
        let mut problems = self.put_in_service(&mut kept, &mut snapshot);
        problems.extend(uncopied);
        disk::write(self.dir(), &snapshot)?;
        let held = kept.retired.iter().filter(|retired| retired.slot.strong_count() > 0);
        disk::drop_unnamed_models(self.dir(), &snapshot, held.map(|retired| &retired.file));
        Ok(problems)
    }

    pub(crate) fn publishing(&self) -> MutexGuard<'_, Kept> {
        self.0.publishing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prepares and exchanges; `snapshot` then says what is really in service.
    pub(crate) fn put_in_service(&self, kept: &mut Kept, snapshot: &mut Snapshot) -> Vec<Problem> {
        let before = self.0.core.table.load_full();
        let find = |spec: &EndpointSnapshot| {
            let known = before.as_ref()?.endpoints.get(spec.name.as_str())?;
            (known.spec.id == spec.id).then_some(known)
        };
        let models = &self.0.core.models;
        let mut preparation = Preparation { models, eager: EAGER_MAX, problems: Vec::new() };
        let mut slots = HashMap::new();
        for spec in &mut snapshot.endpoints {
            slots.insert(spec.id, preparation.slots(spec, find(spec)));
            kept.keep(spec);
        }
        let mut problems = preparation.problems;
        let named: HashSet<_> = snapshot.endpoints.iter().map(|spec| spec.id).collect();
        kept.lasting.retain(|id, _| named.contains(id));
        problems.extend(self.exchange(kept, snapshot, &mut slots));
        self.forget(kept, before.as_deref());
        if snapshot.endpoints.iter().any(|spec| !spec.guards.is_empty()) {
            self.0.watch.start(&self.0.core);
        }
        problems
    }

    /// The quick part: builds the table from what is prepared, with what happened here laid over.
    fn exchange(
        &self,
        kept: &Kept,
        snapshot: &Snapshot,
        slots: &mut HashMap<EndpointId, Slots>,
    ) -> Vec<Problem> {
        let core = &self.0.core;
        let mut state = core.state();
        let now = core.clock.now();
        let before = core.table.load_full();
        let mut problems = Vec::new();
        let mut order = Vec::with_capacity(snapshot.endpoints.len());
        let nothing = Lasting::default();
        for published in &snapshot.endpoints {
            let Some(slots) = slots.remove(&published.id) else { continue };
            let mut spec = published.clone();
            state.local.apply(&mut spec);
            let known = before.as_ref().and_then(|table| table.endpoints.get(spec.name.as_str()));
            let known = known.filter(|known| known.spec.id == spec.id);
            let endpoint = match known.filter(|known| known.is_as(&spec, &slots)) {
                Some(known) => Arc::clone(known),
                None => {
                    let lasting = kept.lasting.get(&spec.id).unwrap_or(&nothing);
                    let known = known.map(|known| &**known);
                    Arc::new(Endpoint::new(spec, slots, lasting, known, now))
                }
            };
            problems.extend(endpoint.problem());
            order.push(endpoint);
        }
        let table = Table::new(snapshot.workspace_salt.as_str().into(), order);
        let published = snapshot.endpoints.iter();
        state.published = published.map(|spec| (spec.id, spec.clone())).collect();
        core.table.store(Some(Arc::new(table)));
        problems
    }

    /// Lets go of versions that nobody names any more; they leave when the last request with them
    /// has ended.
    fn forget(&self, kept: &mut Kept, before: Option<&Table>) {
        let current = self.0.core.table.load();
        let named: HashSet<_> = current
            .iter()
            .flat_map(|table| &table.order)
            .flat_map(|endpoint| {
                endpoint.slots().filter_map(|slot| slot.key().cloned()).collect::<Vec<_>>()
            })
            .collect();
        kept.retired.retain(|retired| {
            let is_held = retired.slot.strong_count() > 0;
            if !is_held && !named.contains(&retired.key) {
                // A request may have brought it back into memory.
                self.0.core.models.forget(&retired.key);
            }
            is_held
        });
        let Some(before) = before else { return };
        for slot in before.order.iter().flat_map(|endpoint| endpoint.slots()) {
            if let Some(key) = slot.key().filter(|key| !named.contains(*key)) {
                slot.retire();
                let (key, file) = (Arc::clone(key), slot.served.onnx.clone());
                kept.retired.push(Retired { key, file, slot: Arc::downgrade(slot) });
            }
        }
    }
}

/// The slow part of a publication.
struct Preparation<'a> {
    models: &'a Arc<Models>,
    /// Loads that may still be done now.
    eager: usize,
    problems: Vec<Problem>,
}

impl Preparation<'_> {
    /// The versions of one endpoint: those that it has already, or new ones, loaded and warmed up
    /// before they take traffic.
    fn slots(&mut self, spec: &mut EndpointSnapshot, before: Option<&Arc<Endpoint>>) -> Slots {
        // Under another contract the same file may be filled in another order.
        let before = before.filter(|known| known.spec.contract == spec.contract);
        let champion = self.champion(spec, before.and_then(|known| known.champion.as_ref().ok()));
        let known = before.and_then(|known| known.challenger.as_ref());
        let challenger = spec.challenger.as_ref().and_then(|challenger| {
            let (slot, ready) = self.slot(spec, &challenger.model, known, true);
            // A candidate that cannot be loaded gets no traffic.
            self.note(spec, ready).then_some(slot)
        });
        let known = before.and_then(|known| known.previous.as_ref());
        let previous = spec.previous.as_ref().map(|served| {
            let (slot, ready) = self.slot(spec, served, known, false);
            self.note(spec, ready);
            slot
        });
        Slots { champion, challenger, previous }
    }

    fn champion(
        &mut self,
        spec: &mut EndpointSnapshot,
        old: Option<&Arc<Slot>>,
    ) -> Result<Arc<Slot>, Refusal> {
        let Some(served) = spec.model.clone() else { return Err(no_model(spec)) };
        // Why only a loaded one: what stays in service must be known to serve.
        let old_in_service = old.filter(|old| old.is_loaded());
        let (slot, ready) = self.slot(spec, &served, old, old_in_service.is_some());
        match (ready, old_in_service) {
            (Err(refusal), Some(old)) => {
                let detail =
                    format!("{}; version {} stays in service", refusal.detail, old.served.version);
                self.problems.push(Problem { endpoint: spec.name.to_string(), detail });
                spec.model = Some(old.served.clone());
                Ok(Arc::clone(old))
            }
            _ => Ok(slot),
        }
    }

    /// The slot that is known, or a new one, loaded where it takes traffic or loads are left.
    fn slot(
        &mut self,
        spec: &EndpointSnapshot,
        served: &ServedModel,
        known: Option<&Arc<Slot>>,
        is_hot: bool,
    ) -> (Arc<Slot>, Result<(), Refusal>) {
        if let Some(slot) = known.filter(|slot| slot.served == *served) {
            return (Arc::clone(slot), Ok(()));
        }
        let slot = Arc::new(Slot::new(self.models, spec, served.clone()));
        if !is_hot && !slot.is_loaded() {
            if self.eager == 0 {
                return (slot, Ok(()));
            }
            self.eager -= 1;
        }
        let ready = slot.prepare(spec);
        (slot, ready)
    }

    /// Whether it is ready; what is not is said.
    fn note(&mut self, spec: &EndpointSnapshot, ready: Result<(), Refusal>) -> bool {
        let refused = ready.err();
        let is_ready = refused.is_none();
        self.problems.extend(
            refused
                .map(|refusal| Problem { endpoint: spec.name.to_string(), detail: refusal.detail }),
        );
        is_ready
    }
}

impl Kept {
    /// The copy of a model file; one that did not change is not read again.
    fn copy(&mut self, dir: &std::path::Path, source: &PathBuf) -> std::io::Result<PathBuf> {
        let met = std::fs::metadata(source)?;
        let (changed, length) = (met.modified().ok(), met.len());
        if let Some((at, bytes, copy)) = self.copies.get(source)
            && changed.is_some()
            && (*at, *bytes) == (changed, length)
            && copy.exists()
        {
            return Ok(copy.clone());
        }
        let copy = disk::keep_model(dir, source)?;
        self.copies.insert(source.clone(), (changed, length, copy.clone()));
        Ok(copy)
    }

    /// Makes room for what lasts of an endpoint and its consumers.
    fn keep(&mut self, spec: &EndpointSnapshot) {
        let lasting = self.lasting.entry(spec.id).or_default();
        let limiters = spec.consumers.iter().map(|consumer| {
            (consumer.id, lasting.limiters.get(&consumer.id).cloned().unwrap_or_default())
        });
        lasting.limiters = limiters.collect();
    }
}

fn no_model(spec: &EndpointSnapshot) -> Refusal {
    let detail =
        format!("endpoint `{}` has no model yet: register one and set its alias", spec.name);
    Refusal::new(Kind::NotReady, detail)
}
