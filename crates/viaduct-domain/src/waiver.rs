//! Waivers and the debt list.
