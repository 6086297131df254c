//! How a snapshot comes into service: versions are prepared first, then the table is exchanged.
//!
//! What did not change is not prepared again: one change among a thousand endpoints loads one
//! version.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::SystemTime;

use viaduct_base::{EndpointId, Fault, Kind, Refusal};

use crate::disk;
use crate::endpoint::{Endpoint, Lasting, Problem, Slots, Table};
use crate::gateway::Gateway;
use crate::models::Slot;
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
        disk::drop_unnamed_models(self.dir(), &snapshot);
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
        let mut eager = EAGER_MAX;
        let mut problems = Vec::new();
        let mut slots = HashMap::new();
        for spec in &mut snapshot.endpoints {
            let prepared = self.prepare(spec, find(spec), &mut eager, &mut problems);
            slots.insert(spec.id, prepared);
            kept.keep(spec);
        }
        let named: HashSet<_> = snapshot.endpoints.iter().map(|spec| spec.id).collect();
        kept.lasting.retain(|id, _| named.contains(id));
        problems.extend(self.exchange(kept, snapshot, &mut slots));
        self.forget(before.as_deref());
        if snapshot.endpoints.iter().any(|spec| !spec.guards.is_empty()) {
            self.0.watch.start(&self.0.core);
        }
        problems
    }

    /// The versions of one endpoint: those that it has already, or new ones, loaded and warmed up
    /// before they take traffic.
    fn prepare(
        &self,
        spec: &mut EndpointSnapshot,
        before: Option<&Arc<Endpoint>>,
        eager: &mut usize,
        problems: &mut Vec<Problem>,
    ) -> Slots {
        let same_contract = before.is_some_and(|known| known.spec.contract == spec.contract);
        let same = |slot: Option<&Arc<Slot>>, served: &ServedModel| {
            slot.filter(|slot| same_contract && slot.served == *served).cloned()
        };
        let name = spec.name.to_string();
        let made = |served: &ServedModel, spec: &EndpointSnapshot| {
            Arc::new(Slot::new(&self.0.core.models, spec, served.clone()))
        };
        let mut ready = |slot: &Slot, spec: &EndpointSnapshot, is_hot: bool| {
            if !is_hot && !slot.is_loaded() {
                if *eager == 0 {
                    return Ok(());
                }
                *eager -= 1;
            }
            slot.prepare(spec)
        };
        let old = before.and_then(|known| known.champion.as_ref().ok());
        let champion = match &spec.model {
            None => Err(no_model(spec)),
            Some(served) => match same(old, served) {
                Some(slot) => Ok(slot),
                None => {
                    let slot = made(served, spec);
                    let is_hot = old.is_some_and(|old| old.is_loaded());
                    match (ready(&slot, spec, is_hot), old) {
                        // Why only a loaded one: what stays in service must be known to serve.
                        (Err(refusal), Some(old)) if is_hot && same_contract => {
                            let detail = format!(
                                "{}; version {} stays in service",
                                refusal.detail, old.served.version
                            );
                            problems.push(Problem { endpoint: name.clone(), detail });
                            spec.model = Some(old.served.clone());
                            Ok(Arc::clone(old))
                        }
                        _ => Ok(slot),
                    }
                }
            },
        };
        let known = before.and_then(|known| known.challenger.as_ref());
        let challenger = spec.challenger.as_ref().and_then(|challenger| {
            let slot =
                same(known, &challenger.model).unwrap_or_else(|| made(&challenger.model, spec));
            match ready(&slot, spec, true) {
                Ok(()) => Some(slot),
                // A candidate that cannot be loaded gets no traffic.
                Err(refusal) => {
                    problems.push(Problem { endpoint: name.clone(), detail: refusal.detail });
                    None
                }
            }
        });
        let known = before.and_then(|known| known.previous.as_ref());
        let previous = spec.previous.as_ref().map(|served| {
            let slot = same(known, served).unwrap_or_else(|| made(served, spec));
            if let Err(refusal) = ready(&slot, spec, false) {
                problems.push(Problem { endpoint: name.clone(), detail: refusal.detail });
            }
            slot
        });
        Slots { champion, challenger, previous }
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
    fn forget(&self, before: Option<&Table>) {
        let Some(before) = before else { return };
        let current = self.0.core.table.load();
        let named: HashSet<_> = current
            .iter()
            .flat_map(|table| &table.order)
            .flat_map(|endpoint| {
                endpoint.slots().filter_map(|slot| slot.key().cloned()).collect::<Vec<_>>()
            })
            .collect();
        for slot in before.order.iter().flat_map(|endpoint| endpoint.slots()) {
            if let Some(key) = slot.key().filter(|key| !named.contains(*key)) {
                self.0.core.models.forget(key);
            }
        }
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
