//! Value measurement: from two arms to an effect, a verdict and an amount of money.
//!
//! One file a method. Formulas are those of the product's value design; every method answers an
//! [`crate::Estimate`] or a type of its own, or [`crate::Insufficient`].

pub mod agreement;
pub mod decision;
pub mod intervals;
pub mod money;
pub mod multiple;
pub mod noninferiority;
pub mod paired;
pub mod plan;
pub mod proportion;
pub mod srm;
pub mod welch;
