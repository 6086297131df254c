//! Tracking and registry: MLflow's verbs.
