//! Decisions as Parquet.
