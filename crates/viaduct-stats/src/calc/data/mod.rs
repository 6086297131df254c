//! Families of data: drift, profiles, performance without labels, detectors.

pub(crate) mod detectors;
pub(crate) mod drift;
pub(crate) mod profile;
pub(crate) mod unlabelled;
