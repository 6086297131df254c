//! The pages as routes: handlers that ask the use cases as the caller and fill [`crate::view`].
//!
//! Invariants: a handler is mounted together with its row of the authorisation table, which is
//! checked before it runs; a form is read only with the secret of the cookie it was shown under;
//! every page carries the content security policy.

mod answer;
mod api;
mod asset;
mod cookie;
mod csv;
mod decision;
mod endpoint;
mod evaluation;
mod experiments;
mod login;
mod map;
mod models;
mod portfolio;
mod project;
mod review;
mod run;
mod runs;
mod serve;
mod serving;
mod users;
mod visit;
mod waiver;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, get, on};
use viaduct_app::App;
use viaduct_base::{Error, Kind, Refusal};
use viaduct_domain::permission::Operation;

use answer::Answer;
use visit::Visit;

/// One page or form: what a test walks over and the API's document lists.
#[derive(Debug, Clone)]
pub struct PageRow {
    /// The HTTP method.
    pub method: Method,
    /// The path with `{parameters}`.
    pub path: &'static str,
    /// The operation whose authorisation row guards it.
    pub operation: Operation,
}

/// What a handler answers.
type Answered = Result<Answer, Error>;

/// Every page and form, guarded, with its rows. The caller must be on the request as an extension.
pub fn router() -> (Router<App>, Vec<PageRow>) {
    let pages = Pages::default()
        .get("/", Operation::ReadProject, portfolio::show)
        .get("/login", Operation::Login, login::form)
        .post("/login", Operation::Login, login::enter)
        .post("/logout", Operation::Logout, login::leave)
        .get("/projects/{project}", Operation::ReadProject, project::show)
        .post("/projects/{project}/collect", Operation::CollectFacts, project::collect)
        .post("/projects/{project}/reviews", Operation::RequestGate, review::ask)
        .post("/projects/{project}/waivers", Operation::RequestWaiver, waiver::ask)
        .get("/projects/{project}/decisions", Operation::ReadDecision, decision::list)
        .get("/projects/{project}/kpis/{kpi}/points.csv", Operation::ReadProject, csv::kpi)
        .post("/reviews/{review}/signatures", Operation::SignReview, review::sign)
        .post("/reviews/{review}/withdraw", Operation::WithdrawReview, review::withdraw)
        .post("/waivers/{waiver}/approve", Operation::ApproveWaiver, waiver::approve)
        .get("/evaluations/{evaluation}", Operation::ReadProject, evaluation::show)
        .get("/decisions/{decision}", Operation::ReadDecision, decision::show)
        .get("/endpoints/{endpoint}", Operation::ReadEndpoint, endpoint::show)
        .get("/endpoints/{endpoint}/traffic.csv", Operation::ReadEndpoint, csv::traffic)
        .post("/endpoints/{endpoint}/consumers", Operation::CreateConsumer, endpoint::consumer)
        .post("/endpoints/{endpoint}/revoke", Operation::CreateConsumer, serving::revoke)
        .post("/endpoints/{endpoint}/kill", Operation::KillEndpoint, serving::kill)
        .post("/endpoints/{endpoint}/revive", Operation::KillEndpoint, serving::revive)
        .post("/endpoints/{endpoint}/try", Operation::Predict, serving::try_it)
        .post("/rollouts/{rollout}/move", Operation::ControlRollout, serving::move_rollout)
        .get("/experiments", Operation::ReadTracking, experiments::show)
        .get("/experiments/{experiment}", Operation::ReadTracking, runs::show)
        .get("/experiments/{experiment}/compare", Operation::ReadTracking, runs::compare)
        .post("/experiments/{experiment}/restore", Operation::WriteTracking, experiments::restore)
        .get("/runs/{run}", Operation::ReadTracking, run::show)
        .post("/runs/{run}/restore", Operation::WriteTracking, run::restore)
        .get("/models", Operation::ReadRegistry, models::list)
        .get("/models/{model}", Operation::ReadRegistry, models::show)
        .get("/users", Operation::ListUsers, users::show)
        .post("/users", Operation::AddUser, users::add)
        .post("/users/{user}/disable", Operation::DisableUser, users::disable)
        .get("/api", Operation::ReadOpenApi, api::show)
        .get("/static/{file}", Operation::ReadAsset, asset::show);
    (pages.router, pages.rows)
}

/// The page at an address where nothing is; open to everybody, as it says nothing.
pub fn lost() -> MethodRouter<App> {
    get(|State(app): State<App>, request: Request| async move {
        let handler = |visit: Arc<Visit>| async move {
            let path = visit.target.split('?').next().unwrap_or_default();
            let detail = format!("There is no page at `{path}`.");
            Err(Refusal::new(Kind::NotFound, detail).into())
        };
        serve::serve(app, Operation::Login, request, handler).await
    })
}

/// Routes under construction.
#[derive(Default)]
struct Pages {
    router: Router<App>,
    rows: Vec<PageRow>,
}

impl Pages {
    /// A page; it answers HEAD too.
    fn get<H, F>(self, path: &'static str, operation: Operation, handler: H) -> Self
    where
        H: Fn(Arc<Visit>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answered> + Send + 'static,
    {
        self.mount((Method::GET, MethodFilter::GET), path, operation, handler)
    }

    /// A form's target.
    fn post<H, F>(self, path: &'static str, operation: Operation, handler: H) -> Self
    where
        H: Fn(Arc<Visit>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answered> + Send + 'static,
    {
        self.mount((Method::POST, MethodFilter::POST), path, operation, handler)
    }

    fn mount<H, F>(
        mut self,
        (method, filter): (Method, MethodFilter),
        path: &'static str,
        operation: Operation,
        handler: H,
    ) -> Self
    where
        H: Fn(Arc<Visit>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answered> + Send + 'static,
    {
        let guarded = move |State(app): State<App>, request: Request| async move {
            serve::serve(app, operation, request, handler).await
        };
        self.router = self.router.route(path, on(filter, guarded));
        self.rows.push(PageRow { method, path, operation });
        self
    }
}
