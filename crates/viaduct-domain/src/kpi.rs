//! KPIs: definition and points.
