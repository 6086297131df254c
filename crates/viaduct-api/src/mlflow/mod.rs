//! MLflow's REST API under its own paths: what the unmodified clients call.
//!
//! Invariant: every answer here, refusals and faults included, is MLflow's own JSON.

mod answer;
mod artifacts;
mod experiments;
mod input;
mod logged_models;
mod registered_models;
mod runs;
mod send;
mod server;
mod show;
#[cfg(test)]
mod tests;
mod transfers;
mod versions;

pub(crate) use server::unknown_endpoint;

use crate::routes::{Doc, Routes, doc};

/// MLflow's version whose API this is.
const VERSION: &str = "3.17.2";

/// Every route is served for clients and, under the second prefix, for pages.
const PREFIXES: [&str; 2] = ["/api", "/ajax-api"];

const DOC: Doc = doc("MLflow", "");
/// The document of a route that takes a JSON object.
const BODY: Doc = DOC.takes("application/json");

/// All of MLflow's routes.
pub fn routes() -> Routes {
    PREFIXES.iter().fold(server::routes().merge(artifacts::routes()), |all, prefix| {
        let tracking = format!("{prefix}/2.0/mlflow");
        all.merge(experiments::routes(&tracking))
            .merge(runs::routes(&tracking))
            .merge(logged_models::routes(&tracking))
            .merge(registered_models::routes(&tracking))
            .merge(versions::routes(&tracking))
            .merge(artifacts::routes_below(prefix))
            .merge(transfers::routes_below(prefix))
            .merge(server::routes_below(prefix))
    })
}
