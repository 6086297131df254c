//! The OpenAPI 3.1 document, made from the rows that the router was made from.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use viaduct_domain::permission::Access;

use crate::routes::Row;

/// The whole document. Rows that differ only in MLflow's `ajax-api` prefix are all listed.
pub fn document(rows: &[Row]) -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for row in rows {
        let item = paths.entry(openapi_path(&row.path)).or_default();
        item.insert(row.method.as_str().to_ascii_lowercase(), operation(row));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Viaduct",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "From model to measured business value: tracking, serving, decisions, gates.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "basic": { "type": "http", "scheme": "basic" },
                "consumer_key": { "type": "apiKey", "in": "header", "name": "X-Api-Key" },
            },
            "schemas": { "Problem": problem_schema() },
        },
    })
}

/// axum's `{*rest}` is `{rest}` in OpenAPI.
fn openapi_path(path: &str) -> String {
    path.replace("{*", "{")
}

fn operation(row: &Row) -> Value {
    let summary =
        if row.doc.summary.is_empty() { row.operation.summary() } else { row.doc.summary };
    let mut parameters: Vec<Value> = path_parameters(&row.path)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    parameters.extend(row.doc.query.iter().map(
        |name| json!({ "name": name, "in": "query", "required": false, "schema": { "type": "string" } }),
    ));
    let gives = if row.doc.gives.is_empty() { "application/json" } else { row.doc.gives };
    let answer = row.doc.answer.map_or_else(|| json!({}), |schema| schema());
    let mut out = json!({
        "operationId": operation_id(row),
        "x-operation": row.operation.name(),
        "x-access": row.operation.access(),
        "tags": [row.doc.tag],
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": "done", "content": { gives: { "schema": answer } } },
            "4XX": { "description": "refused", "content": {
                "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } },
        },
    });
    if row.doc.body.is_some() || !row.doc.takes.is_empty() {
        let takes = if row.doc.takes.is_empty() { "application/json" } else { row.doc.takes };
        let schema = row.doc.body.map_or_else(|| json!({}), |schema| schema());
        out["requestBody"] =
            json!({ "required": true, "content": { takes: { "schema": schema } } });
    }
    out["security"] = match row.operation.access() {
        Access::Public => json!([]),
        Access::ConsumerOr(_) => json!([{ "token": [] }, { "basic": [] }, { "consumer_key": [] }]),
        Access::AtLeast(_) | Access::Named(_) => json!([{ "token": [] }, { "basic": [] }]),
    };
    out
}

/// Unique a document: operations that several paths share get the path's words.
fn operation_id(row: &Row) -> String {
    let words: Vec<&str> = row
        .path
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty() && *word != "api")
        .collect();
    format!(
        "{}_{}_{}",
        row.operation.name(),
        row.method.as_str().to_ascii_lowercase(),
        words.join("_")
    )
}

fn path_parameters(path: &str) -> impl Iterator<Item = String> + '_ {
    path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(name.trim_start_matches('*').to_owned())
    })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "instance": { "type": "string" },
            "errors": { "type": "array", "items": { "type": "object", "properties": {
                "pointer": { "type": "string" }, "detail": { "type": "string" },
                "line": { "type": "integer" }, "column": { "type": "integer" } } } },
        },
    })
}
