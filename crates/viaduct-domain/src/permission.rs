//! Operations, callers, roles, scope.
