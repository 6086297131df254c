//! The policy file: gates, criteria, signatures.
