//! Commands run in groups, all acknowledged after one shared commit.
//!
//! Why: a commit costs a trip to the disk. Many small commands that share one cost little more
//! than one of them. A command that is refused has mostly changed nothing yet; when one has, or
//! when a statement fails, the group is undone and its commands run each on its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::engine::{Class, Failure};
use crate::foresight::{self, Foresight, Question};
use crate::queue::{Owned, Queue};
use crate::tx::Mode;
use crate::{Row, StoreError, Tx};

/// Questions of a command with their answers.
type Foreseen = Vec<(Question, Vec<Row>)>;

/// Enough to make the commit's cost small; few enough that the first does not wait long.
const GROUP_MAX: usize = 256;
/// Tries of a command on its own before it is told to come again.
const TRIES: u32 = 6;

/// Whether a command's changes stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    Undo,
}

/// A unit of work with somebody waiting for its answer.
pub(crate) trait Command: Send {
    fn name(&self) -> &'static str;
    /// What it will ask first, if that is known.
    fn foresight(&self) -> Option<&Foresight>;
    /// Runs the work and keeps its answer; may be called again after a rollback.
    fn run(&mut self, tx: &mut Tx) -> Verdict;
    /// Gives the kept answer.
    fn answer(self: Box<Self>);
    /// Gives `error` instead.
    fn fail(self: Box<Self>, error: StoreError);
}

impl Owned for Box<dyn Command> {
    fn owner(&self) -> Option<&str> {
        self.foresight().map(Foresight::owner)
    }
}

/// The one implementation of [`Command`]: a closure and the way back to its caller.
pub(crate) struct Asked<T, E, F, R> {
    pub(crate) name: &'static str,
    pub(crate) foresight: Option<Foresight>,
    pub(crate) work: F,
    pub(crate) answer: Option<Result<T, E>>,
    pub(crate) reply: R,
}

impl<T, E, F, R> Command for Asked<T, E, F, R>
where
    T: Send,
    E: From<StoreError> + Send,
    F: Fn(&mut Tx) -> Result<T, E> + Send,
    R: FnOnce(Result<T, E>) + Send,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn foresight(&self) -> Option<&Foresight> {
        self.foresight.as_ref()
    }

    fn run(&mut self, tx: &mut Tx) -> Verdict {
        let name = self.name;
        let work = &self.work;
        let answer = catch_unwind(AssertUnwindSafe(|| work(tx)))
            .unwrap_or_else(|_| Err(StoreError::Panicked { name }.into()));
        let verdict = if answer.is_ok() { Verdict::Keep } else { Verdict::Undo };
        self.answer = Some(answer);
        verdict
    }

    fn answer(self: Box<Self>) {
        let Self { name, answer, reply, .. } = *self;
        reply(answer.unwrap_or_else(|| Err(StoreError::Panicked { name }.into())));
    }

    fn fail(self: Box<Self>, error: StoreError) {
        (self.reply)(Err(error.into()));
    }
}

/// Counters that `/metrics` shows.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commands: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) reads: AtomicU64,
}

/// The life of a writer thread.
pub(crate) fn write_all(
    mut tx: Tx,
    queue: &Queue<Box<dyn Command>>,
    writers: usize,
    counters: &Arc<Counters>,
) {
    while let Some(taken) = queue.take(GROUP_MAX, writers) {
        let mut group = taken.work;
        counters.commands.fetch_add(group.len() as u64, Ordering::Relaxed);
        match commit_group(&mut tx, &mut group) {
            Some(Ok(())) => {
                counters.commits.fetch_add(1, Ordering::Relaxed);
                group.into_iter().for_each(Command::answer);
            }
            Some(Err(error)) => group.into_iter().for_each(|c| c.fail(error.clone())),
            None => {
                for command in group {
                    commit_alone(&mut tx, command, counters);
                }
            }
        }
        queue.release(&taken.owners);
    }
}

/// The life of a reader thread.
pub(crate) fn read_all(mut tx: Tx, queue: &Queue<Box<dyn Command>>, counters: &Arc<Counters>) {
    while let Some(taken) = queue.take(1, 1) {
        for command in taken.work {
            counters.reads.fetch_add(1, Ordering::Relaxed);
            alone(&mut tx, command, Mode::Read, counters);
        }
    }
}

enum Ended {
    Committed,
    Failed(StoreError),
    /// Nothing was committed; the same command may run again.
    Again(Failure),
}

/// `None`: nothing was committed, and the commands are to run again, each on its own.
fn commit_group(tx: &mut Tx, group: &mut [Box<dyn Command>]) -> Option<Result<(), StoreError>> {
    tx.begin(Mode::Write).ok()?;
    let Ok(foreseen) = ask_ahead(tx, group) else {
        tx.rollback();
        return None;
    };
    let mut foreseen = foreseen.into_iter();
    for command in group.iter_mut() {
        tx.next_command(foreseen.next().unwrap_or_default());
        let verdict = command.run(tx);
        if tx.take_failure().is_some() || (verdict == Verdict::Undo && tx.wrote()) {
            tx.rollback();
            return None;
        }
    }
    match commit(tx) {
        Ended::Committed => Some(Ok(())),
        Ended::Failed(error) => Some(Err(error)),
        Ended::Again(_) => None,
    }
}

/// Questions and answers of each command of which they are known; of the others none.
fn ask_ahead(tx: &mut Tx, group: &[Box<dyn Command>]) -> Result<Vec<Foreseen>, Failure> {
    let told = foresight::answerable(group.iter().map(|command| command.foresight()));
    let all: Vec<&Question> = told.iter().copied().flatten().collect();
    let mut answers = tx.ask_ahead(&all)?.into_iter();
    let each = told.iter().map(|own| own.iter().cloned().zip(answers.by_ref()).collect());
    Ok(each.collect())
}

fn commit(tx: &mut Tx) -> Ended {
    match tx.commit() {
        Ok(()) => Ended::Committed,
        Err(failure) => {
            tx.rollback();
            match failure.class {
                // Why `Earlier`: a transaction with a failed statement is never committed.
                Class::Retry | Class::Earlier => Ended::Again(failure),
                // Why: a lost connection hides whether the commit happened, so the work must not
                // run twice; the caller learns that the database is away.
                _ => Ended::Failed(failure.error),
            }
        }
    }
}

fn commit_alone(tx: &mut Tx, command: Box<dyn Command>, counters: &Arc<Counters>) {
    alone(tx, command, Mode::Write, counters);
}

fn alone(tx: &mut Tx, mut command: Box<dyn Command>, mode: Mode, counters: &Arc<Counters>) {
    let mut last = StoreError::Contended { name: command.name() };
    for attempt in 0..TRIES {
        match once(tx, command.as_mut(), mode) {
            Ended::Committed => {
                if mode == Mode::Write {
                    counters.commits.fetch_add(1, Ordering::Relaxed);
                    return command.answer();
                }
                // Why answered first: nobody needs to wait for the end of a snapshot.
                command.answer();
                return end(tx);
            }
            Ended::Failed(error) => return command.fail(error),
            // Why once more: another writer may have come between its question and its change.
            Ended::Again(failure) if failure.class == Class::Earlier && attempt > 0 => {
                return command.fail(failure.error);
            }
            Ended::Again(failure) => {
                counters.retries.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(name = command.name(), attempt, error = %failure.error, "again");
                if failure.class == Class::Lost {
                    last = failure.error;
                    // Why: one try on a fresh connection; more would make everybody wait.
                    if attempt > 0 {
                        break;
                    }
                } else {
                    last = StoreError::Contended { name: command.name() };
                    let most = 4u64 << attempt;
                    std::thread::sleep(Duration::from_millis(rand::random_range(1..=most)));
                }
            }
        }
    }
    command.fail(last);
}

/// Ends a transaction that changed nothing.
fn end(tx: &mut Tx) {
    if let Err(failure) = tx.commit() {
        tracing::debug!(error = %failure.error, "a read did not end well");
        tx.rollback();
    }
}

/// One try of one command in a transaction of its own; a read's stays open if it went well.
fn once(tx: &mut Tx, command: &mut dyn Command, mode: Mode) -> Ended {
    if let Err(failure) = tx.begin(mode) {
        return Ended::Again(failure);
    }
    let verdict = command.run(tx);
    let failure = tx.take_failure();
    match (failure, verdict) {
        (None, Verdict::Keep) if mode == Mode::Read => Ended::Committed,
        (None, Verdict::Keep) => commit(tx),
        // The answer is the command's own refusal; nothing is to be kept.
        (None, Verdict::Undo) => {
            tx.rollback();
            Ended::Committed
        }
        (Some(failure), verdict) => {
            tx.rollback();
            match (failure.class, verdict) {
                (Class::Retry | Class::Lost, _) => Ended::Again(failure),
                (_, Verdict::Undo) => Ended::Committed,
                // A failed statement that the work did not report must not look like success.
                (_, Verdict::Keep) => {
                    Ended::Failed(StoreError::Aborted { detail: failure.error.to_string() })
                }
            }
        }
    }
}
