//! Permission as a value: what a caller may touch, demanded by every scoped function.

use viaduct_base::WorkspaceId;

use crate::Value;

/// One workspace that a caller may act in. Authorisation makes it; without it there is no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// The workspace that every statement binds.
    pub workspace: WorkspaceId,
}

impl Scope {
    /// The scope of `workspace`.
    pub fn of(workspace: WorkspaceId) -> Self {
        Self { workspace }
    }

    /// What statements bind as `workspace_id`.
    pub(crate) fn bind(&self) -> Value {
        Value::text(self.workspace)
    }
}
