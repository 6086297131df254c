//! Families of value measurement, one file a group.

pub(crate) mod arms;
pub(crate) mod counts;
pub(crate) mod money;
pub(crate) mod panel;
pub(crate) mod series;
