//! Nothing here: the tests are the binary `it`.
