//! Remote commands.
