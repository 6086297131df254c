//! Distribution functions, accurate in both tails.
//!
//! Error function and log-gamma come from `libm`, the inverse error function from `statrs`. The
//! incomplete beta and gamma functions are computed here: those of `statrs` 0.19 form their leading
//! factor from differences of log-gammas and lose digits once a parameter is large (about nine
//! digits are left at 10^6 degrees of freedom), and their complements are taken as `1 - p`, which
//! is zero in the far tail. Here the leading factor is Loader's saddle-point form ("Fast and
//! accurate computation of binomial probabilities", 2000) and each tail is computed directly.
//!
//! Conventions: `sf` is the upper tail P(X > x) (P(X >= x) is said where it is meant), `cdf` the
//! lower one P(X <= x); quantile functions take a probability in (0, 1) and return NaN outside.
//! Nothing here knows of samples.

pub mod beta;
pub mod binomial;
pub mod chi_squared;
pub mod gamma;
pub mod kolmogorov;
pub mod normal;
pub(crate) mod root;
pub mod student;

#[cfg(test)]
mod tests;
