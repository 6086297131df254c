//! Rollouts: the controlled change of what stands behind an endpoint, as a pure state machine.
//!
//! `shadow ➜ canary steps ➜ full`, or paused, or rolled back. [`next`] takes the plan, the state, what
//! was measured and the time, and says what follows. Invariants: a breach always rolls back, also
//! while paused; a condition that cannot be evaluated holds the step and never passes it; an ended
//! rollout never moves again but by a person who takes a full one back.

mod condition;
mod plan;
mod read;
mod state;

pub use condition::{Condition, Judged, Reading, Verdict, Watched, Word};
pub use plan::{Plan, Step};
pub use read::{conditions, plan};
pub use state::{Command, Event, Evidence, Move, Phase, State, command, forecast, next};

#[cfg(test)]
mod tests;
