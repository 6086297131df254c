//! Tests of the whole house, in one binary: one module a subject.

mod tidy;
