//! What was changed on a run, an experiment or a model, by whom and when.

use viaduct_base::Timestamp;

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// What, such as `stage` or a tag's key; empty where the sentence says it all.
    pub what: String,
    /// What it was.
    pub before: Option<String>,
    /// What it is.
    pub after: Option<String>,
}

/// One call that changed something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// What was done, in words.
    pub verb: String,
    /// What changed.
    pub changed: Vec<Changed>,
}
