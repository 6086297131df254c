//! How long what was deleted can be restored for certain.

use std::sync::OnceLock;

use viaduct_base::Span;

use crate::App;

/// The installation's retention, 30 days until told otherwise.
#[derive(Debug, Default)]
pub(crate) struct RetentionCell(OnceLock<Span>);

impl App {
    /// Says how long deleted runs and experiments are kept; once, before the first is collected.
    pub fn set_tracking_retention(&self, retention: Span) {
        // Why ignored: the first word counts.
        let _ = self.retention.0.set(retention);
    }

    /// How long deleted runs and experiments are kept: nothing younger is ever collected.
    pub fn tracking_retention(&self) -> Span {
        *self.retention.0.get_or_init(|| Span::days(30))
    }
}
