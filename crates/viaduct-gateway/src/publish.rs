//! How a snapshot comes into service: models are loaded first, then the table is exchanged.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use serde_json::Value;
use viaduct_base::{Digest, EndpointId, Fault, Kind, Refusal};
use viaduct_infer::{LoadOptions, Model, Runtime};

use crate::disk;
use crate::endpoint::{self, Endpoint, Loaded, Problem, Table};
use crate::gateway::{Gateway, State};
use crate::metrics::Counters;
use crate::snapshot::{EndpointSnapshot, ServedModel, Snapshot};

type ModelKey = (Digest, Option<Vec<String>>, String);
type Models = HashMap<ModelKey, Arc<Model>>;

/// What outlives a snapshot.
#[derive(Default)]
pub(crate) struct Kept {
    models: Models,
    counters: HashMap<EndpointId, Arc<Counters>>,
}

impl Gateway {
    /// Puts a snapshot in service and on disk. Blocks while models are copied and loaded;
    /// requests go on with the snapshot before. An endpoint whose model cannot be loaded is in
    /// service too and says why when it is asked.
    ///
    /// # Errors
    /// The copy on disk could not be written; the snapshot is in service all the same.
    pub fn publish(&self, mut snapshot: Snapshot) -> Result<Vec<Problem>, Fault> {
        // Why over the whole: memory and disk must not end with different snapshots.
        let mut kept = self.publishing();
        let mut uncopied = Vec::new();
        for endpoint in &mut snapshot.endpoints {
            let name = endpoint.name.to_string();
            for model in endpoint.models_mut() {
                match disk::keep_model(self.dir(), &model.onnx) {
                    Ok(kept) => model.onnx = kept,
                    Err(error) => uncopied.push(Problem {
                        endpoint: name.clone(),
                        detail: format!("`{}` is not copied: {error}", model.onnx.display()),
                    }),
                }
            }
        }
        let mut problems = self.put_in_service(&mut kept, snapshot.clone());
        problems.extend(uncopied);
        disk::write(self.dir(), &snapshot)?;
        disk::drop_unnamed_models(self.dir(), &snapshot);
        Ok(problems)
    }

    pub(crate) fn publishing(&self) -> MutexGuard<'_, Kept> {
        self.0.publishing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put_in_service(&self, kept: &mut Kept, snapshot: Snapshot) -> Vec<Problem> {
        let mut models = HashMap::new();
        let mut counters = HashMap::new();
        let mut loaded = HashMap::new();
        for spec in &snapshot.endpoints {
            loaded.insert(spec.id, self.load_all(spec, &kept.models, &mut models));
            let counted = kept.counters.get(&spec.id).cloned().unwrap_or_default();
            counters.insert(spec.id, counted);
        }
        // Models that nobody names any more leave when the last request with them has ended.
        *kept = Kept { models, counters };
        self.exchange(kept, snapshot, &mut loaded)
    }

    /// The quick part: builds the table from what is loaded, with what happened here laid over.
    fn exchange(
        &self,
        kept: &Kept,
        snapshot: Snapshot,
        loaded: &mut HashMap<EndpointId, Loaded>,
    ) -> Vec<Problem> {
        let mut state = self.state();
        let now = self.0.clock.now();
        let before = self.0.table.load_full();
        let mut problems = Vec::new();
        let mut order = Vec::with_capacity(snapshot.endpoints.len());
        for published in &snapshot.endpoints {
            let Some(loaded) = loaded.remove(&published.id) else { continue };
            let mut spec = published.clone();
            state.local.apply(&mut spec);
            let counted = kept.counters.get(&spec.id).cloned().unwrap_or_default();
            let known = before.as_ref().and_then(|table| table.endpoints.get(spec.name.as_str()));
            let known = known.filter(|known| known.spec.id == spec.id).map(|known| &**known);
            let endpoint = Endpoint::new(spec, loaded, counted, known, now);
            problems.extend(endpoint.problem());
            order.push(Arc::new(endpoint));
        }
        let table = Table::new(snapshot.workspace_salt.into(), order);
        state.published = snapshot.endpoints.into_iter().map(|spec| (spec.id, spec)).collect();
        self.0.table.store(Some(Arc::new(table)));
        problems
    }

    /// Lays what happened here over one endpoint again and exchanges it.
    pub(crate) fn apply_local(&self, state: &State, endpoint: EndpointId) {
        let Some(table) = self.0.table.load_full() else { return };
        let Some(published) = state.published.get(&endpoint) else { return };
        let mut spec = published.clone();
        state.local.apply(&mut spec);
        let now = self.0.clock.now();
        let exchanged = table.order.iter().map(|known| match known.spec.id == endpoint {
            true => Arc::new(known.under(spec.clone(), now)),
            false => Arc::clone(known),
        });
        let table = Table::new(Arc::clone(&table.salt), exchanged.collect());
        self.0.table.store(Some(Arc::new(table)));
    }

    fn load_all(&self, spec: &EndpointSnapshot, known: &Models, models: &mut Models) -> Loaded {
        let champion = match &spec.model {
            Some(served) => self.load(spec, served, known, models),
            None => Err(Refusal::new(
                Kind::NotReady,
                format!(
                    "endpoint `{}` has no model yet: register one and set its alias",
                    spec.name
                ),
            )),
        };
        let mut load = |served| self.load(spec, served, known, models);
        Loaded {
            champion,
            challenger: spec.challenger.as_ref().map(|c| load(&c.model)),
            previous: spec.previous.as_ref().map(load),
        }
    }

    /// A version for one question, from those that are loaded where it is among them.
    pub(crate) fn load_alone(
        &self,
        spec: &EndpointSnapshot,
        served: &ServedModel,
    ) -> Result<Arc<Model>, Refusal> {
        self.load(spec, served, &HashMap::new(), &mut HashMap::new())
    }

    /// A version: the one that is loaded already, when the bytes and options are the same.
    fn load(
        &self,
        spec: &EndpointSnapshot,
        served: &ServedModel,
        known: &Models,
        models: &mut Models,
    ) -> Result<Arc<Model>, Refusal> {
        let name = &spec.name;
        let prefix = |refusal: Refusal| {
            let detail = format!(
                "endpoint `{name}` cannot serve `{}` version {}: {}",
                served.name, served.version, refusal.detail
            );
            Refusal { detail, ..refusal }
        };
        let bytes = std::fs::read(&served.onnx).map_err(|error| {
            let detail = format!("`{}` cannot be read: {error}", served.onnx.display());
            prefix(Refusal::new(Kind::ModelNotServable, detail))
        })?;
        let features = endpoint::features(spec, Some(served));
        let classes = served.classes.as_deref().map(text).unwrap_or_default();
        let key = (Digest::of(&bytes), features.clone(), classes);
        if let Some(model) = models.get(&key).or_else(|| known.get(&key)).cloned() {
            models.insert(key, Arc::clone(&model));
            return Ok(model);
        }
        let runtime = Runtime::find(&self.0.config.runtime).map_err(|e| prefix(e.into()))?;
        let file = served.onnx.file_name().unwrap_or_default().to_string_lossy();
        let options = LoadOptions { features, classes: served.classes.clone() };
        let model = runtime.load_bytes(&file, &bytes, options).map_err(|e| prefix(e.into()))?;
        let model = Arc::new(model);
        models.insert(key, Arc::clone(&model));
        Ok(model)
    }
}

fn text(classes: &[Value]) -> String {
    classes.iter().map(|class| format!("{class}\u{1f}")).collect()
}
