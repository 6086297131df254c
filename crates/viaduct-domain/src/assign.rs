//! Sticky assignment of entities to variants.
