//! Criteria over facts: what passes, what does not, and how far away it is.
