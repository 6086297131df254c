//! Many models in little memory: loaded when asked for, the least recently used leaves.
//!
//! However many threads ask for a model that is not here, one loads it and the others wait. A model
//! that leaves is freed when the last call on it ends.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use viaduct_base::Refusal;

use crate::error::LoadError;
use crate::model::{LoadOptions, Model};
use crate::runtime::Runtime;

/// Why: a broken file asked for a thousand times a second is read every now and then only.
const FAILED_FOR: Duration = Duration::from_secs(2);
/// What a session takes for each byte of the file, at least: the parsed graph and its tables.
const GROWTH_MIN: u64 = 2;

/// Where a model is and what its file does not say.
#[derive(Debug, Clone)]
pub struct ModelSource {
    /// Names the content: the file's digest, so that equal models are loaded once.
    pub key: Arc<str>,
    /// The file.
    pub path: PathBuf,
    /// What the file itself does not say; part of the content that `key` names.
    pub options: LoadOptions,
}

/// What the cache holds and what it did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Models in memory.
    pub models: u64,
    /// Their estimated bytes.
    pub bytes: u64,
    /// What they may take together.
    pub budget: u64,
    /// Files that were loaded.
    pub loads: u64,
    /// Files that could not be loaded.
    pub failures: u64,
    /// Models that left for others.
    pub evictions: u64,
}

#[derive(Debug)]
enum Entry {
    Loading,
    Failed { refusal: Refusal, at: Instant },
    Ready { model: Arc<Model>, bytes: u64, used: u64 },
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Arc<str>, Entry>,
    /// The most that a model was seen to take; kept when it leaves, because a later load into
    /// memory that another one left behind grows nothing.
    seen: HashMap<Arc<str>, u64>,
    turn: u64,
    loading: u64,
    /// Rises with every load that begins: tells a load whether it was alone.
    begun: u64,
    stats: CacheStats,
}

/// Models by content, within a budget of memory.
#[derive(Debug)]
pub struct ModelCache {
    runtime: Runtime,
    state: Mutex<State>,
    done: Condvar,
}

impl ModelCache {
    /// A cache that holds about `budget` bytes of models. One model is always held, however large.
    pub fn new(runtime: Runtime, budget: u64) -> Self {
        let stats = CacheStats { budget, ..CacheStats::default() };
        let state = Mutex::new(State { stats, ..State::default() });
        Self { runtime, state, done: Condvar::new() }
    }

    /// The model, warmed up. Blocks while it is loaded; a call on a model that is here costs a
    /// look into a table.
    ///
    /// # Errors
    /// The file cannot be loaded; all who wait for it get the same answer.
    pub fn get(&self, source: &ModelSource) -> Result<Arc<Model>, Refusal> {
        let mut state = self.lock();
        loop {
            state.turn += 1;
            let turn = state.turn;
            match state.entries.get_mut(&source.key) {
                Some(Entry::Ready { model, used, .. }) => {
                    *used = turn;
                    return Ok(Arc::clone(model));
                }
                Some(Entry::Failed { refusal, at }) if at.elapsed() < FAILED_FOR => {
                    return Err(refusal.clone());
                }
                Some(Entry::Loading) => {
                    state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                Some(Entry::Failed { .. }) | None => break,
            }
        }
        state.entries.insert(Arc::clone(&source.key), Entry::Loading);
        state.loading += 1;
        state.begun += 1;
        let alone = (state.loading == 1).then_some(state.begun);
        drop(state);
        let begun = Begun { cache: self, key: &source.key };
        let before = resident();
        let loaded = self.load(source);
        let growth = resident().saturating_sub(before);
        std::mem::forget(begun);
        self.finish(source, loaded, alone, growth)
    }

    /// The model if it is in memory; loads nothing.
    pub fn peek(&self, key: &str) -> Option<Arc<Model>> {
        match self.lock().entries.get(key) {
            Some(Entry::Ready { model, .. }) => Some(Arc::clone(model)),
            _ => None,
        }
    }

    /// Lets go of a model that nobody will ask for again, or of the memory that it failed to load.
    pub fn remove(&self, key: &str) {
        let mut state = self.lock();
        match state.entries.get(key) {
            Some(Entry::Ready { .. }) => state.leave(key),
            Some(Entry::Failed { .. }) => drop(state.entries.remove(key)),
            Some(Entry::Loading) | None => {}
        }
        state.seen.remove(key);
    }

    /// What the cache holds and what it did.
    pub fn stats(&self) -> CacheStats {
        self.lock().stats
    }

    /// Estimated bytes of each model in memory, the most recently used first.
    pub fn held(&self) -> Vec<(Arc<str>, u64)> {
        let state = self.lock();
        let mut held: Vec<_> = state
            .entries
            .iter()
            .filter_map(|(key, entry)| match entry {
                Entry::Ready { bytes, used, .. } => Some((*used, Arc::clone(key), *bytes)),
                _ => None,
            })
            .collect();
        held.sort_unstable_by_key(|(used, _, _)| std::cmp::Reverse(*used));
        held.into_iter().map(|(_, key, bytes)| (key, bytes)).collect()
    }

    fn load(&self, source: &ModelSource) -> Result<(Model, u64), LoadError> {
        let name = source.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read(&source.path)
            .map_err(|e| LoadError::Unreadable { path: source.path.clone(), source: e })?;
        let model = self.runtime.load_bytes(&name, &bytes, source.options.clone())?;
        // Why an error is nothing: zeros and empty texts may be what this graph refuses, and a
        // real row need not be.
        let _ = model.warm_up();
        let floor = bytes.len() as u64 * model.sessions() as u64 * GROWTH_MIN;
        Ok((model, floor))
    }

    fn finish(
        &self,
        source: &ModelSource,
        loaded: Result<(Model, u64), LoadError>,
        alone: Option<u64>,
        growth: u64,
    ) -> Result<Arc<Model>, Refusal> {
        let mut state = self.lock();
        state.loading -= 1;
        let answer = match loaded {
            Ok((model, floor)) => {
                let model = Arc::new(model);
                // Growth of the process counts only for a load that no other ran beside.
                let measured = if alone == Some(state.begun) { growth } else { 0 };
                let seen = state.seen.entry(Arc::clone(&source.key)).or_default();
                *seen = (*seen).max(measured).max(floor);
                let (bytes, used) = (*seen, state.turn);
                let ready = Entry::Ready { model: Arc::clone(&model), bytes, used };
                state.entries.insert(Arc::clone(&source.key), ready);
                state.stats.loads += 1;
                state.stats.models += 1;
                state.stats.bytes += bytes;
                state.make_room(&source.key);
                Ok(model)
            }
            Err(error) => {
                let refusal = Refusal::from(error);
                let failed = Entry::Failed { refusal: refusal.clone(), at: Instant::now() };
                state.entries.insert(Arc::clone(&source.key), failed);
                state.stats.failures += 1;
                Err(refusal)
            }
        };
        drop(state);
        self.done.notify_all();
        answer
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn leave(&mut self, key: &str) {
        if let Some(Entry::Ready { bytes, .. }) = self.entries.remove(key) {
            self.stats.bytes -= bytes;
            self.stats.models -= 1;
        }
    }

    /// The longest unused leave until the rest fits; `newest` stays.
    fn make_room(&mut self, newest: &str) {
        while self.stats.bytes > self.stats.budget {
            let oldest = self
                .entries
                .iter()
                .filter_map(|(key, entry)| match entry {
                    Entry::Ready { used, .. } if **key != *newest => Some((*used, key)),
                    _ => None,
                })
                .min_by_key(|(used, _)| *used)
                .map(|(_, key)| Arc::clone(key));
            let Some(oldest) = oldest else { return };
            self.leave(&oldest);
            self.stats.evictions += 1;
        }
    }
}

/// Lets the others try when the one who loads panics.
struct Begun<'a> {
    cache: &'a ModelCache,
    key: &'a str,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.lock();
        state.loading -= 1;
        state.entries.remove(self.key);
        drop(state);
        self.cache.done.notify_all();
    }
}

/// The process's resident bytes; 0 where the system does not say.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}
