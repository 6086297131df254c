//! Pure arithmetic behind every gate, monitor and figure of value.
//!
//! Why it exists: people act on these numbers, so each is computed here once, checked against the
//! reference package of its field, and can be recomputed offline by an auditor. No IO, no clock, no
//! async; randomness enters as a seed.
//!
//! Invariant: data without evidence answer [`Insufficient`], never an effect of 0 with p = 1, and
//! nothing in this crate panics on any input.
//!
//! It does not know what a metric, a trial or a model is: those belong to the domain.
//!
//! ```
//! use viaduct_stats::{Moments, welch};
//!
//! let control = Moments::of(&[31.2, 28.9, 40.1, 35.0]);
//! let treated = Moments::of(&[25.1, 22.7, 30.2, 24.4]);
//! let estimate = welch(&control, &treated, 0.95)?;
//! assert!(estimate.effect < 0.0 && estimate.lower < estimate.effect);
//! # Ok::<(), viaduct_stats::Insufficient>(())
//! ```

pub mod calc;
pub mod detectors;
pub mod dist;
pub mod drift;
pub mod estimate;
pub mod insufficient;
mod linear;
pub mod metrics;
pub mod moments;
pub mod profile;
pub mod sketch;
pub mod unlabelled;
pub mod value;

pub use estimate::{Estimate, Method, one_sided_lower};
pub use insufficient::{Insufficient, Reason};
pub use metrics::{auc, brier, quantile};
pub use moments::{Moments, PairMoments};
pub use value::{
    agreement::{Kappa, Mcnemar, cohens_kappa, mcnemar},
    decision,
    intervals::{Interval, clopper_pearson, poisson, poisson_ratio, wilson},
    money,
    multiple::{benjamini_hochberg, bonferroni, holm},
    noninferiority::{
        Direction, NonInferiority, non_inferiority, non_inferiority_mean,
        non_inferiority_proportion,
    },
    paired::{paired, paired_samples, wilcoxon},
    plan,
    proportion::{fisher, newcombe, proportion},
    srm::{SequentialSrm, Srm, SrmLevel, srm},
    welch::welch,
};
