//! Group fsync: many appends wait for one `fdatasync`.

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::LogError;

#[derive(Debug, Default)]
struct State {
    wanted: u64,
    synced: u64,
    file: Option<Arc<File>>,
    /// Why sticky: after a failed fsync the kernel may have dropped the pages, so a later success
    /// on the same file would prove nothing about them. A new file mends it.
    broken: Option<String>,
    /// Tickets whose rows were never proven to be on the disk, first to last.
    failed: Vec<(u64, u64, String)>,
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

    /// Waits until everything up to `ticket` is on the disk, but not for ever.
    pub(crate) fn wait(&self, ticket: u64, patience: Duration) -> Result<(), LogError> {
        let start = Instant::now();
        let mut state = self.shared.lock();
        loop {
            let failed = state.failed.iter().find(|(from, to, _)| (*from..=*to).contains(&ticket));
            if let Some((_, _, reason)) = failed {
                return Err(LogError::Stopped { reason: reason.clone() });
            }
            if state.synced >= ticket {
                return Ok(());
            }
            let Some(left) = patience.checked_sub(start.elapsed()) else {
                return Err(LogError::Stalled { after: patience });
            };
            let waited = self.shared.done.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(crate) fn check(&self) -> Result<(), LogError> {
        match &self.shared.lock().broken {
            Some(reason) => Err(LogError::Stopped { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Goes on with a file that was begun and synced after the failure.
    pub(crate) fn mend(&self) {
        self.shared.lock().broken = None;
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
        while (state.wanted == state.synced || state.broken.is_some()) && !state.stopping {
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.wanted == state.synced || state.broken.is_some() {
            return;
        }
        let (target, file) = (state.wanted, state.file.clone());
        drop(state);
        let result = file.map_or(Ok(()), |file| file.sync_data());
        state = shared.lock();
        match result {
            Ok(()) => state.synced = target,
            Err(error) => {
                // What was asked for meanwhile lies in the same file.
                let (from, to) = (state.synced + 1, state.wanted);
                state.failed.push((from, to, error.to_string()));
                state.broken = Some(error.to_string());
                state.synced = to;
            }
        }
        shared.done.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn a_failed_fsync_fails_its_rows_for_ever_and_a_new_file_goes_on() {
        let syncer = Syncer::start().unwrap();
        // A device that has nothing to sync says so with an error.
        let broken = Arc::new(File::open("/dev/null").unwrap());
        let lost = syncer.want(&broken);
        assert!(matches!(syncer.wait(lost, PATIENCE), Err(LogError::Stopped { .. })));
        assert!(syncer.check().is_err());
        syncer.mend();
        assert!(syncer.check().is_ok());
        let good = Arc::new(tempfile::tempfile().unwrap());
        let kept = syncer.want(&good);
        syncer.wait(kept, PATIENCE).unwrap();
        assert!(syncer.wait(lost, PATIENCE).is_err(), "what was lost stays lost");
    }

    #[test]
    fn a_sync_that_does_not_end_is_not_waited_for_for_ever() {
        let syncer = Syncer::start().unwrap();
        let good = Arc::new(tempfile::tempfile().unwrap());
        let ticket = syncer.want(&good);
        syncer.wait(ticket, PATIENCE).unwrap();
        let later = syncer.wait(ticket + 1, Duration::from_millis(20));
        assert!(matches!(later, Err(LogError::Stalled { .. })));
    }
}
