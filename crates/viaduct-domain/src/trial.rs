//! Trials and their registered plan.
