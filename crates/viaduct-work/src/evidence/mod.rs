//! Evidence, pure: rows and tables in, numbers out. Nothing here reads a store or a clock.

pub mod cases;
pub mod leakage;
pub mod model;
pub mod plan;
pub mod table;
pub mod trial;
