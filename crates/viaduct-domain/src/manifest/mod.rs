//! The project file: text in, checked specification out.
