//! `/graphql`: the queries of MLflow's pages.
//!
//! A field of a query is answered by the REST route that knows the same, asked within the process
//! as the same caller: one place decides what is shown and who may see it.

mod document;
mod limits;
mod run;
mod schema;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use viaduct_app::App;
use viaduct_domain::permission::Operation::ReadTracking;

use super::DOC;
use super::answer::Trouble;
use super::input::Input;
use crate::extract::Who;
use crate::routes::Routes;
use document::Document;

/// Longest request: the pages' own are about 2 kB.
const BYTES_MAX: usize = 256 << 10;

/// The REST routes by which fields are answered; built when first asked.
type Rest = Arc<OnceLock<Router>>;

pub(super) fn routes() -> Routes {
    let rest = Rest::default();
    let answering = move |State(app): State<App>, Who(caller): Who, input: Input| {
        let rest = Arc::clone(&rest);
        async move {
            let rest =
                rest.get_or_init(|| super::routes_below("/api").finish().0.with_state(app)).clone();
            answer(rest, caller, &input).await
        }
    };
    let page = DOC.query(&["query", "variables", "operationName"]);
    Routes::new().get("/graphql", ReadTracking, answering.clone(), page).post(
        "/graphql",
        ReadTracking,
        answering,
        super::BODY,
    )
}

async fn answer(
    rest: Router,
    caller: viaduct_domain::permission::Caller,
    input: &Input,
) -> Response {
    let fields = input.fields();
    let asked = fields.required("query").map(|query| {
        (query, fields.text("operationName").unwrap_or_default(), input.member("variables"))
    });
    let (query, operation, variables) = match asked {
        Ok(asked) => asked,
        Err(malformed) => return Trouble::from(malformed).into_response(),
    };
    if input.bytes > BYTES_MAX || query.len() > BYTES_MAX {
        let said = format!("A GraphQL request has at most {BYTES_MAX} bytes.");
        return Trouble::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", said).into_response();
    }
    let variables = match variables {
        Some(Value::Object(variables)) => variables.clone(),
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => Map::new(),
    };
    match prepare(&query, operation.as_deref(), &variables) {
        Ok(plan) => {
            let (data, errors) = run::run(&rest, &caller, plan).await;
            shown(data, errors)
        }
        Err(errors) => shown(Value::Null, errors),
    }
}

/// Reads, bounds and checks a document: what is left to do when all of it is in order.
fn prepare(
    query: &str,
    operation: Option<&str>,
    variables: &Map<String, Value>,
) -> Result<Vec<run::Step>, Vec<String>> {
    let read = graphql_parser::parse_query::<String>(query)
        .map_err(|e| vec![format!("Syntax Error: {e}")])?;
    let document = Document::of(&read);
    limits::check(&document).map_err(|said| vec![said])?;
    document.plan(operation, variables)
}

/// An answer as MLflow's server writes it: errors are texts, and absent ones are null.
fn shown(data: Value, errors: Vec<String>) -> Response {
    let errors = if errors.is_empty() { Value::Null } else { json!(errors) };
    Json(json!({ "data": data, "errors": errors })).into_response()
}
