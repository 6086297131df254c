//! The rule that turns an output into an action.
