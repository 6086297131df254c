//! What a model answers.
