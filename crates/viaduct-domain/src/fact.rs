//! Facts: the closed list of names, and one measurement.
