//! Registers a route, its operation and its document in one act.
//!
//! Invariant: a handler can only be mounted together with an [`Operation`]; the check of the
//! authorisation table runs before the handler does.

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use serde_json::Value;
use viaduct_app::App;
use viaduct_base::Refusal;
use viaduct_domain::permission::{Access, Caller, Operation, Who, check};

use crate::problem;

/// What the OpenAPI document says of a route beyond its path and operation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Doc {
    /// The group on the page.
    pub tag: &'static str,
    /// One line for people; the operation's summary when empty.
    pub summary: &'static str,
    /// Query parameters by name.
    pub query: &'static [&'static str],
    /// JSON Schema of the request body.
    pub body: Option<fn() -> Value>,
    /// JSON Schema of the answer.
    pub answer: Option<fn() -> Value>,
    /// Media type of the request body; JSON when empty.
    pub takes: &'static str,
    /// Media type of the answer; JSON when empty.
    pub gives: &'static str,
}

/// A document row in the group `tag`.
pub const fn doc(tag: &'static str, summary: &'static str) -> Doc {
    Doc { tag, summary, query: &[], body: None, answer: None, takes: "", gives: "" }
}

impl Doc {
    /// With query parameters.
    #[must_use]
    pub const fn query(mut self, names: &'static [&'static str]) -> Self {
        self.query = names;
        self
    }

    /// With a request body.
    #[must_use]
    pub const fn body(mut self, schema: fn() -> Value) -> Self {
        self.body = Some(schema);
        self
    }

    /// With a request body of another media type than JSON.
    #[must_use]
    pub const fn takes(mut self, media_type: &'static str) -> Self {
        self.takes = media_type;
        self
    }

    /// With an answer of another media type than JSON.
    #[must_use]
    pub const fn gives(mut self, media_type: &'static str) -> Self {
        self.gives = media_type;
        self
    }
}

/// One row of the API: what a test walks over and the OpenAPI document is made from.
#[derive(Debug, Clone)]
pub struct Row {
    /// The HTTP method.
    pub method: Method,
    /// The path with `{parameters}`.
    pub path: String,
    /// The operation whose authorisation row guards it.
    pub operation: Operation,
    /// Its document.
    pub doc: Doc,
}

/// Routes under construction.
#[derive(Default)]
pub struct Routes {
    router: Router<App>,
    rows: Vec<Row>,
}

macro_rules! methods {
    ($($name:ident $method:ident;)+) => {$(
        /// Mounts a handler for this method at `path`.
        #[must_use]
        pub fn $name<H, T>(self, path: &str, operation: Operation, handler: H, doc: Doc) -> Self
        where
            H: Handler<T, App>,
            T: 'static,
        {
            self.mount(Method::$method, MethodFilter::$method, path, operation, handler, doc)
        }
    )+};
}

impl Routes {
    /// No routes yet.
    pub fn new() -> Self {
        Self::default()
    }

    methods! {
        get GET;
        post POST;
        put PUT;
        patch PATCH;
        delete DELETE;
        head HEAD;
        options OPTIONS;
    }

    fn mount<H, T>(
        mut self,
        method: Method,
        filter: MethodFilter,
        path: &str,
        operation: Operation,
        handler: H,
        doc: Doc,
    ) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let guarded: MethodRouter<App> =
            on(filter, handler).layer(middleware::from_fn_with_state(operation, guard));
        self.router = self.router.route(path, guarded);
        self.rows.push(Row { method, path: path.to_owned(), operation, doc });
        self
    }

    /// Adds another group of routes.
    #[must_use]
    pub fn merge(mut self, other: Routes) -> Self {
        self.router = self.router.merge(other.router);
        self.rows.extend(other.rows);
        self
    }

    /// The router and its rows.
    pub fn finish(self) -> (Router<App>, Vec<Row>) {
        (self.router, self.rows)
    }
}

/// Checks the authorisation row before the handler runs. A consumer's key passes the roof where
/// the row says so; the data plane then holds it against the endpoint.
async fn guard(State(operation): State<Operation>, request: Request, next: Next) -> Response {
    let Some(caller) = request.extensions().get::<Caller>() else {
        return problem::fault_response(&viaduct_base::Fault::new("no caller on the request"));
    };
    let has_key = request.extensions().get::<crate::authenticate::ConsumerKey>().is_some();
    if let Err(refusal) = allowed(caller, has_key, operation) {
        return problem::refusal_response(request.uri().path(), &refusal);
    }
    next.run(request).await.into_response()
}

/// Checks the authorisation row of an operation.
///
/// # Errors
/// The caller may not.
pub fn allowed(caller: &Caller, has_key: bool, operation: Operation) -> Result<(), Refusal> {
    let key_suffices = has_key
        && caller.who == Who::Anonymous
        && matches!(operation.access(), Access::ConsumerOr(_));
    if key_suffices { Ok(()) } else { check(caller, operation) }
}
