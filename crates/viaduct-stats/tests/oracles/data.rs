//! The families of data: drift, profiles, performance without labels, detectors.
