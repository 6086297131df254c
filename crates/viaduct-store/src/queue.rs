//! Work waiting for a connection.

use std::collections::{HashSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::StoreError;

/// Work that may belong to somebody.
pub(crate) trait Owned {
    /// Whose; two takers never have work of one owner at the same time.
    fn owner(&self) -> Option<&str>;
}

struct State<T> {
    waiting: VecDeque<T>,
    /// Owners of what was taken and is not done.
    held: HashSet<String>,
    closed: bool,
}

/// Work that was taken, in the order in which it came.
pub(crate) struct Taken<T> {
    pub(crate) work: Vec<T>,
    /// Given back with [`Queue::release`].
    pub(crate) owners: HashSet<String>,
}

impl<T: Owned> State<T> {
    /// At most `most` of what nobody else has to end first.
    fn pick(&mut self, most: usize) -> Taken<T> {
        let mut taken = Taken { work: Vec::new(), owners: HashSet::new() };
        let mut place = 0;
        while taken.work.len() < most
            && let Some(next) = self.waiting.get(place)
        {
            let owner = next.owner().filter(|owner| !taken.owners.contains(*owner));
            if owner.is_some_and(|owner| self.held.contains(owner)) {
                place += 1;
                continue;
            }
            taken.owners.extend(owner.map(str::to_owned));
            taken.work.extend(self.waiting.remove(place));
        }
        self.held.extend(taken.owners.iter().cloned());
        taken
    }
}

/// A bounded queue between many askers and a few connection threads.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    limit: usize,
}

impl<T: Owned> Queue<T> {
    pub(crate) fn new(limit: usize) -> Self {
        let state = State { waiting: VecDeque::new(), held: HashSet::new(), closed: false };
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
    pub(crate) fn take(&self, most: usize, sharers: usize) -> Option<Taken<T>> {
        let mut state = self.lock();
        let taken = loop {
            let share = state.waiting.len().div_ceil(sharers.max(1)).min(most);
            let taken = state.pick(share);
            if !taken.work.is_empty() {
                break taken;
            }
            if state.closed && state.waiting.is_empty() {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        let more = !state.waiting.is_empty();
        drop(state);
        if more {
            self.filled.notify_one();
        }
        Some(taken)
    }

    /// The work of these owners is done.
    pub(crate) fn release(&self, owners: &HashSet<String>) {
        if owners.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.held.retain(|owner| !owners.contains(owner));
        drop(state);
        // Why all: each may wait for an owner of its own, or for the end of a closed queue.
        self.filled.notify_all();
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Work(u32, Option<&'static str>);

    impl Owned for Work {
        fn owner(&self) -> Option<&str> {
            self.1
        }
    }

    #[test]
    fn work_of_one_owner_is_with_one_taker_and_in_its_order() {
        let queue = Queue::new(100);
        let all = [Some("a"), Some("b"), None, Some("a"), Some("c"), Some("b"), Some("a")];
        for (number, owner) in all.into_iter().enumerate() {
            queue.push(Work(number as u32, owner)).unwrap();
        }
        let take = |most| {
            let taken = queue.take(most, 1).unwrap();
            let numbers: Vec<u32> = taken.work.iter().map(|work| work.0).collect();
            (numbers, taken.owners)
        };
        let (first, owners) = take(2);
        assert_eq!(first, [0, 1]);
        let (second, others) = take(9);
        assert_eq!(second, [2, 4]);
        queue.release(&others);
        queue.release(&owners);
        assert_eq!(take(9).0, [3, 5, 6]);
        queue.close();
        assert!(queue.take(9, 1).is_none());
    }
}
