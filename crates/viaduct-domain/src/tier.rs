//! Tier: exposure x purpose.
