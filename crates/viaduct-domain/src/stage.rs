//! Stage and state of a project.
