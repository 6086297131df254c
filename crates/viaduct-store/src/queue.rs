//! Work waiting for a connection.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::StoreError;

struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

/// A bounded queue between many askers and a few connection threads.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    limit: usize,
}

impl<T> Queue<T> {
    pub(crate) fn new(limit: usize) -> Self {
        let state = State { waiting: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new(), limit }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds work, or tells why not.
    pub(crate) fn push(&self, work: T) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        if state.waiting.len() >= self.limit {
            return Err(StoreError::Overloaded);
        }
        state.waiting.push_back(work);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for work and takes a `sharers`-th of it, at most `most`; `None` once closed and empty.
    pub(crate) fn take(&self, most: usize, sharers: usize) -> Option<Vec<T>> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let share = state.waiting.len().div_ceil(sharers.max(1)).min(most);
        let taken = state.waiting.drain(..share).collect();
        let more = !state.waiting.is_empty();
        drop(state);
        if more {
            self.filled.notify_one();
        }
        Some(taken)
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Refuses new work; what waits is still taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }
}
