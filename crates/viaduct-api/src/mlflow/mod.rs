//! MLflow's REST API under its own paths: what the unmodified clients call.
//!
//! Invariant: every answer here, refusals and faults included, is MLflow's own JSON.

mod answer;
mod artifacts;
mod experiments;
mod genai;
mod graphql;
mod input;
mod logged_models;
mod metrics;
mod registered_models;
mod runs;
#[cfg(test)]
mod search_tests;
mod send;
mod server;
mod show;
#[cfg(test)]
mod tests;
mod transfers;
pub mod ui;
mod versions;
mod webhooks;
pub(crate) mod workspaces;

pub(crate) use server::{speaks, unknown_endpoint};

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
    let bare = server::routes()
        .merge(artifacts::routes())
        .merge(genai::routes_bare())
        .merge(graphql::routes())
        .merge(ui::routes());
    let pages = format!("{}/2.0/mlflow", PREFIXES[1]);
    let bare =
        bare.merge(experiments::routes_of_pages(&pages)).merge(metrics::routes_of_pages(&pages));
    PREFIXES.iter().fold(bare, |all, prefix| all.merge(routes_below(prefix)))
}

/// The routes of one prefix.
fn routes_below(prefix: &str) -> Routes {
    let tracking = format!("{prefix}/2.0/mlflow");
    experiments::routes(&tracking)
        .merge(runs::routes(&tracking))
        .merge(metrics::routes(&tracking))
        .merge(logged_models::routes(&tracking))
        .merge(registered_models::routes(&tracking))
        .merge(versions::routes(&tracking))
        .merge(artifacts::routes_below(prefix))
        .merge(transfers::routes_below(prefix))
        .merge(webhooks::routes(&tracking))
        .merge(genai::routes(prefix))
        .merge(workspaces::routes(prefix))
        .merge(server::routes_below(prefix))
}
