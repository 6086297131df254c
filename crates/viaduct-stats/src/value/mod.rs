//! Value measurement: from two arms to an effect, a verdict and an amount of money.
//!
//! One file a method. Formulas are those of the product's value design; every method answers an
//! [`crate::Estimate`] or a type of its own, or [`crate::Insufficient`].

pub mod adoption;
pub mod agreement;
pub mod bayes;
pub mod cuped;
pub mod decision;
pub mod did;
pub mod group_sequential;
pub mod imputation;
pub mod intervals;
pub mod ledger;
pub mod local_level;
pub mod meta;
pub mod money;
pub mod multiple;
pub mod noninferiority;
pub mod paired;
pub mod panel;
pub mod plan;
pub mod proportion;
pub mod ratio;
pub mod segmented;
pub mod sequential;
pub mod srm;
pub mod synthetic;
pub mod welch;
