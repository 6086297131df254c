//! The native routes, one file a noun.

mod decision;
mod endpoint;
mod evaluation;
mod export;
mod gc;
mod history;
mod kpi;
mod ofrep;
mod outcome;
mod people;
mod platform;
mod project;
mod review;
mod rollout;
mod serving;
mod trial;
mod waiver;

pub use platform::metrics_page;

use crate::routes::Routes;

/// All native routes.
pub(crate) fn routes() -> Routes {
    [
        project::routes(),
        kpi::routes(),
        evaluation::routes(),
        gc::routes(),
        history::routes(),
        review::routes(),
        waiver::routes(),
        trial::routes(),
        endpoint::routes(),
        serving::routes(),
        rollout::routes(),
        ofrep::routes(),
        decision::routes(),
        export::routes(),
        outcome::routes(),
        people::routes(),
        platform::routes(),
    ]
    .into_iter()
    .fold(Routes::new(), Routes::merge)
}
