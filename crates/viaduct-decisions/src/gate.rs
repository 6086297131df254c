//! One writer at a time, and nobody waits for ever: behind a disk that does not answer a queue of
//! requests would grow without end.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The door to the one writer.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    busy: Mutex<bool>,
    freed: Condvar,
}

impl Gate {
    /// Waits for the turn; `None` when it did not come in time.
    pub(crate) fn enter(&self, patience: Duration) -> Option<Turn<'_>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if *busy {
            let start = Instant::now();
            while *busy {
                let left = patience.checked_sub(start.elapsed())?;
                let waited = self.freed.wait_timeout(busy, left);
                busy = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        *busy = true;
        Some(Turn(self))
    }
}

/// One writer's turn; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Gate);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.busy.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.freed.notify_one();
    }
}
