//! Group fsync: many appends wait for one `fdatasync`.

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::LogError;

#[derive(Debug, Default)]
struct State {
    wanted: u64,
    synced: u64,
    file: Option<Arc<File>>,
    /// Why sticky: after a failed fsync the kernel may have dropped the pages, so a later success
    /// would prove nothing about them.
    failed: Option<String>,
    stopping: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    done: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that syncs. It never waits on purpose: what arrives during one sync is the next
/// group, so the delay is at most two syncs.
#[derive(Debug)]
pub(crate) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    pub(crate) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("decision-fsync".into())
            .spawn(move || run(&theirs))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Asks for `file` to be on the disk; called in write order, under the writer's lock.
    pub(crate) fn want(&self, file: &Arc<File>) -> u64 {
        let mut state = self.shared.lock();
        state.wanted += 1;
        state.file = Some(Arc::clone(file));
        self.shared.wake.notify_one();
        state.wanted
    }

    /// Waits until everything up to `ticket` is on the disk.
    pub(crate) fn wait(&self, ticket: u64) -> Result<(), LogError> {
        let mut state = self.shared.lock();
        while state.synced < ticket && state.failed.is_none() {
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match &state.failed {
            Some(reason) if state.synced < ticket => {
                Err(LogError::Stopped { reason: reason.clone() })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn check(&self) -> Result<(), LogError> {
        match &self.shared.lock().failed {
            Some(reason) => Err(LogError::Stopped { reason: reason.clone() }),
            None => Ok(()),
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to sync.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared) {
    let mut state = shared.lock();
    loop {
        while state.wanted == state.synced && !state.stopping {
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.wanted == state.synced || state.failed.is_some() {
            return;
        }
        let (target, file) = (state.wanted, state.file.clone());
        drop(state);
        let result = file.map_or(Ok(()), |file| file.sync_data());
        state = shared.lock();
        match result {
            Ok(()) => state.synced = target,
            Err(error) => state.failed = Some(error.to_string()),
        }
        shared.done.notify_all();
    }
}
