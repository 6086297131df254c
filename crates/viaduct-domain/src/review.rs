//! A review of one evaluation, and the only way a gate opens.
