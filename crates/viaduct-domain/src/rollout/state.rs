//! Where a rollout stands and what follows.

use serde::{Deserialize, Serialize};
use viaduct_base::{Kind, Refusal, Span, Timestamp};

use super::condition::{Judged, Reading, Verdict};
use super::plan::{Plan, Step};
use crate::words::words;

words! {
    /// What is going on.
    Phase, "a phase of a rollout" {
        /// A step is under way.
        Running = "running",
        /// A person has stopped it for now; the challenger keeps its share.
        Paused = "paused",
        /// The challenger has become the champion.
        Full = "full",
        /// The champion answers everybody again.
        RolledBack = "rolled_back",
    }
}

impl Phase {
    /// Whether the challenger is still in service beside the champion.
    pub const fn is_open(self) -> bool {
        matches!(self, Phase::Running | Phase::Paused)
    }
}

/// Where a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// What is going on.
    pub phase: Phase,
    /// The step, from 0.
    pub step: usize,
    /// Since when it is in this step.
    pub since: Timestamp,
    /// Why it is where it is, as a sentence.
    pub reason: String,
}

impl State {
    /// Where every rollout begins.
    pub fn begin(now: Timestamp, reason: impl Into<String>) -> Self {
        Self { phase: Phase::Running, step: 0, since: now, reason: reason.into() }
    }
}

/// What was measured in the step under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Rows that the challenger answered or saw.
    pub n: u64,
    /// One reading for each condition of the plan, in its order.
    pub readings: Vec<Reading>,
    /// Why the step may not pass, whatever is measured: a trial runs, the endpoint is killed.
    pub held: Option<String>,
}

words! {
    /// What happened.
    Event, "an event of a rollout" {
        /// It began.
        Started = "started",
        /// Nothing moves.
        Held = "held",
        /// The next step began.
        Advanced = "advanced",
        /// The challenger became the champion.
        Finished = "finished",
        /// The champion answers everybody again.
        RolledBack = "rolled_back",
        /// A person stopped it for now.
        Paused = "paused",
        /// A person let it go on.
        Resumed = "resumed",
    }
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Move {
    /// What happened.
    pub event: Event,
    /// Where it stands then.
    pub state: State,
    /// What each condition says.
    pub judged: Vec<Judged>,
    /// What the step waits for, a sentence each.
    pub waits: Vec<String>,
}

/// What follows from what was measured, at `now`.
pub fn next(plan: &Plan, state: &State, evidence: &Evidence, now: Timestamp) -> Move {
    let judged = judge(plan, evidence);
    let held = |waits: Vec<String>, judged| Move {
        event: Event::Held,
        state: state.clone(),
        judged,
        waits,
    };
    if !state.phase.is_open() {
        return held(Vec::new(), judged);
    }
    if let Some(breach) = judged.iter().find(|j| j.verdict == Verdict::Breached) {
        let reason = breach.reason.clone();
        return ended(state, Event::RolledBack, Phase::RolledBack, reason, judged, now);
    }
    let mut waits = waits(plan, state, evidence, &judged, now);
    if state.phase == Phase::Paused {
        waits.insert(0, format!("it is paused: {}", state.reason));
    }
    if waits.is_empty() { onward(plan, state, judged, now) } else { held(waits, judged) }
}

fn judge(plan: &Plan, evidence: &Evidence) -> Vec<Judged> {
    let none = Reading::missing("it was not measured");
    plan.conditions
        .iter()
        .enumerate()
        .map(|(n, condition)| condition.judge(evidence.readings.get(n).unwrap_or(&none)))
        .collect()
}

/// Everything that keeps the step from passing.
fn waits(
    plan: &Plan,
    state: &State,
    evidence: &Evidence,
    judged: &[Judged],
    now: Timestamp,
) -> Vec<String> {
    let mut waits: Vec<String> = evidence.held.iter().cloned().collect();
    if let Some(step) = plan.steps.get(state.step) {
        let lasted = now.since(state.since);
        if lasted < step.min_time {
            let left = whole_seconds(Span::micros(step.min_time.as_micros() - lasted.as_micros()));
            waits.push(format!("the step lasts at least {}: {left} to go", step.min_time));
        }
        if evidence.n < step.min_n {
            waits.push(format!("{} of {} rows are in", evidence.n, step.min_n));
        }
        if step.manual {
            waits.push("the step ends when a person lets it go on".to_owned());
        }
    }
    let unknown = judged.iter().filter(|j| j.verdict == Verdict::Unknown);
    waits.extend(unknown.map(|j| j.reason.clone()));
    waits
}

/// Whole seconds, rounded up: nobody reads microseconds.
fn whole_seconds(span: Span) -> Span {
    Span::seconds(span.as_micros().div_euclid(1_000_000) + 1)
}

/// The next step, or the end.
fn onward(plan: &Plan, state: &State, judged: Vec<Judged>, now: Timestamp) -> Move {
    match plan.steps.get(state.step + 1) {
        Some(step) => {
            let reason = format!("the step before passed; now {}", step.label());
            let state = State { phase: Phase::Running, step: state.step + 1, since: now, reason };
            Move { event: Event::Advanced, state, judged, waits: Vec::new() }
        }
        None => {
            let reason = "every step passed".to_owned();
            ended(state, Event::Finished, Phase::Full, reason, judged, now)
        }
    }
}

fn ended(
    state: &State,
    event: Event,
    phase: Phase,
    reason: String,
    judged: Vec<Judged>,
    now: Timestamp,
) -> Move {
    let state = State { phase, step: state.step, since: now, reason };
    Move { event, state, judged, waits: Vec::new() }
}

/// What a person may ask of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// End the step now: its time, its number of rows and a person's word are not waited for.
    Advance,
    /// Stop here for now.
    Pause {
        /// Why.
        reason: String,
    },
    /// Go on.
    Resume,
    /// Back to the champion; also of a full one.
    RollBack {
        /// Why.
        reason: String,
    },
}

/// What follows from a person's word, at `now`.
///
/// # Errors
/// `conflict` when the rollout has ended or is not paused; when a condition is breached or cannot be
/// evaluated, and somebody wants to go on all the same.
pub fn command(
    plan: &Plan,
    state: &State,
    command: Command,
    evidence: &Evidence,
    now: Timestamp,
) -> Result<Move, Refusal> {
    let refuse = |detail: String| Err(Refusal::new(Kind::Conflict, detail));
    let judged = judge(plan, evidence);
    let phase = state.phase;
    let kept = |event, phase, reason: String| Move {
        event,
        state: State { phase, reason, ..state.clone() },
        judged: judged.clone(),
        waits: Vec::new(),
    };
    match command {
        Command::RollBack { reason } if phase != Phase::RolledBack => {
            Ok(ended(state, Event::RolledBack, Phase::RolledBack, reason, judged, now))
        }
        _ if !phase.is_open() => refuse(format!("the rollout has ended: it is `{phase}`")),
        Command::RollBack { .. } => refuse("the rollout has ended: it is `rolled_back`".to_owned()),
        Command::Pause { .. } if phase == Phase::Paused => {
            refuse("the rollout is paused already: `viaduct rollout resume` lets it go on".into())
        }
        Command::Pause { reason } => Ok(kept(Event::Paused, Phase::Paused, reason)),
        Command::Resume if phase == Phase::Running => {
            refuse("the rollout is not paused".to_owned())
        }
        Command::Resume => Ok(kept(Event::Resumed, Phase::Running, "it goes on".to_owned())),
        Command::Advance => {
            let bar = judged.iter().find(|j| j.verdict != Verdict::Met).map(|j| j.reason.clone());
            match evidence.held.clone().or(bar) {
                Some(why) => refuse(format!("the step cannot pass: {why}")),
                None => Ok(onward(plan, state, judged, now)),
            }
        }
    }
}

/// How much longer the step under way needs at the pace so far; nothing while no row has come.
pub fn forecast(step: &Step, n: u64, since: Timestamp, now: Timestamp) -> Option<Span> {
    let lasted = now.since(since).as_micros().max(0);
    let time_left = (step.min_time.as_micros() - lasted).max(0);
    let rows_left = step.min_n.saturating_sub(n);
    if rows_left == 0 {
        return Some(Span::micros(time_left));
    }
    if n == 0 || lasted == 0 {
        return None;
    }
    let wait = (rows_left as f64 * lasted as f64 / n as f64).min(1e18) as i64;
    Some(Span::micros(wait.max(time_left)))
}
