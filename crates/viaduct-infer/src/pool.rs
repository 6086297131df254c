//! A few sessions of one model: a call takes one out and puts it back.
//!
//! Why not one session behind a lock: `run` needs it alone, and two calls at a time on two
//! sessions are two to three times as fast as taking turns.

use std::sync::{Condvar, Mutex, PoisonError};

use ort::session::Session;

#[derive(Debug)]
pub(crate) struct Pool {
    /// Each is locked by the one call that holds its number: nobody ever waits here.
    sessions: Vec<Mutex<Session>>,
    free: Mutex<Vec<usize>>,
    returned: Condvar,
}

impl Pool {
    pub(crate) fn new(sessions: Vec<Session>) -> Self {
        let free = Mutex::new((0..sessions.len()).collect());
        let sessions = sessions.into_iter().map(Mutex::new).collect();
        Self { sessions, free, returned: Condvar::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Uses every session once; stops at the first error.
    pub(crate) fn each<E>(&self, work: impl Fn(&mut Session) -> Result<(), E>) -> Result<(), E> {
        self.sessions
            .iter()
            .try_for_each(|one| work(&mut one.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Waits for a session, uses it and gives it back, also when `work` panics.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Session) -> T) -> T {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let number = loop {
            match free.pop() {
                Some(number) => break number,
                None => free = self.returned.wait(free).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(free);
        let _loan = Loan { pool: self, number };
        work(&mut self.sessions[number].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Loan<'a> {
    pool: &'a Pool,
    number: usize,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.pool.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
        self.pool.returned.notify_one();
    }
}
