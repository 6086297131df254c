//! Drift: has a field's distribution moved from its reference?
//!
//! Figures of this kind mean nothing without their binning, and peers bin differently on purpose:
//! the classic PSI by reference deciles, Evidently by Sturges over both samples, NannyML by Doane
//! over the reference. Each convention is a named type here, and each peer's figures can be had.
//!
//! Distances work on shares (counts of bins), tests on counts or on raw samples. Missing values are
//! dropped before; their share is a figure of its own ([`crate::profile`]).

pub mod binning;
pub mod contingency;
pub mod distance;
pub mod evidently;
pub mod features;
pub mod nannyml;
pub mod samples;
