//! A few sessions of one model: a call takes one out and puts it back.
//!
//! Why not one session behind a lock: `run` needs it alone, and two calls at a time on two
//! sessions are two to three times as fast as taking turns.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use ort::session::{NoSelectedOutputs, RunOptions, Session};

use crate::deadline::Watched;

#[derive(Debug)]
pub(crate) struct Pool {
    /// Each is locked by the one call that holds its number: nobody ever waits here.
    sessions: Vec<(Mutex<Session>, Arc<Watched>)>,
    free: Mutex<Vec<usize>>,
    returned: Condvar,
}

impl Pool {
    pub(crate) fn new(sessions: Vec<Session>) -> ort::Result<Self> {
        let free = Mutex::new((0..sessions.len()).collect());
        let watched = |session| Ok((Mutex::new(session), Watched::new()?));
        let sessions = sessions.into_iter().map(watched).collect::<ort::Result<_>>()?;
        Ok(Self { sessions, free, returned: Condvar::new() })
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Uses every session once; stops at the first error.
    pub(crate) fn each<E>(&self, work: impl Fn(&mut Session) -> Result<(), E>) -> Result<(), E> {
        self.sessions
            .iter()
            .try_for_each(|(one, _)| work(&mut one.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Waits for a session, uses it and gives it back, also when `work` panics. At `until` the run
    /// is stopped, which the answer tells too.
    pub(crate) fn with<T>(
        &self,
        until: Option<Instant>,
        work: impl FnOnce(&mut Session, &RunOptions<NoSelectedOutputs>) -> T,
    ) -> (T, bool) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let number = loop {
            match free.pop() {
                Some(number) => break number,
                None => free = self.returned.wait(free).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(free);
        let _loan = Loan { pool: self, number };
        let (session, watched) = &self.sessions[number];
        let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
        watched.until(until, |options| work(&mut session, options))
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
