//! What a project is and what opens a gate. Pure: state, command and time in; new state or a
//! refusal out. No IO, no async, no clock of its own.

pub mod assign;
pub mod columns;
pub mod contract;
pub mod evaluate;
pub mod fact;
pub mod kpi;
pub mod manifest;
pub mod output;
pub mod permission;
pub mod policy;
pub mod review;
pub mod rollout;
pub mod rule;
pub mod stage;
pub mod tier;
pub mod trial;
pub mod waiver;
mod words;
