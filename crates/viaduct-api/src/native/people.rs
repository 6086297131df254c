//! Users and tokens.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use viaduct_app::App;
use viaduct_app::identity::{AddUser, NewToken, UserView};
use viaduct_base::{Kind, Name, Refusal, Secret, Span, TokenId};
use viaduct_domain::permission::{Operation, Role, Who as WhoIs};

use crate::extract::{Body, Who, id};
use crate::problem::Problem;
use crate::routes::{Routes, doc};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/api/v1/users", Operation::ListUsers, list, doc("people", "List users"))
        .post(
            "/api/v1/users",
            Operation::AddUser,
            add,
            doc("people", "Add a user; the first one is an admin and shuts the open door").body(
                || {
                    json!({ "type": "object", "required": ["name", "password"], "properties": {
                    "name": { "type": "string" },
                    "role": { "enum": Role::ALL.map(Role::as_str) },
                    "password": { "type": "string", "minLength": 8 } } })
                },
            ),
        )
        .post(
            "/api/v1/users/{user}/disable",
            Operation::DisableUser,
            disable,
            doc("people", "Disable a user; their history stays"),
        )
        .get("/api/v1/who", Operation::ReadWho, who, doc("people", "Who the server takes you for"))
        .post(
            "/api/v1/tokens",
            Operation::CreateToken,
            create_token,
            doc("people", "Make a token of one's own; it is shown this once").body(|| {
                json!({ "type": "object", "required": ["name"], "properties": {
                    "name": { "type": "string" }, "lasts": { "type": "string" } } })
            }),
        )
        .delete(
            "/api/v1/tokens/{token}",
            Operation::RevokeToken,
            revoke_token,
            doc("people", "Revoke a token"),
        )
}

async fn list(State(app): State<App>, Who(caller): Who) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": app.list_users(&caller).await? })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    name: Name,
    role: Option<String>,
    password: String,
}

async fn add(
    State(app): State<App>,
    Who(caller): Who,
    Body(body): Body<NewUser>,
) -> Result<(StatusCode, Json<UserView>), Problem> {
    let role = match &body.role {
        None => Role::Member,
        Some(text) => Role::parse(text).ok_or_else(|| {
            let words = Role::ALL.map(Role::as_str).join("`, `");
            Refusal::new(Kind::InvalidInput, format!("`{text}` is no role: use `{words}`"))
        })?,
    };
    let new = AddUser { name: body.name, role, password: Secret::new(body.password) };
    Ok((StatusCode::CREATED, Json(app.add_user(&caller, new).await?)))
}

async fn disable(
    State(app): State<App>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Result<Json<UserView>, Problem> {
    Ok(Json(app.disable_user(&caller, &name).await?))
}

async fn who(Who(caller): Who) -> Json<Value> {
    Json(match &caller.who {
        WhoIs::User { id, name, role } => json!({ "id": id, "name": name, "role": role }),
        WhoIs::Anonymous | WhoIs::System => json!({ "name": null }),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskToken {
    name: String,
    lasts: Option<Span>,
}

async fn create_token(
    State(app): State<App>,
    Who(caller): Who,
    Body(body): Body<AskToken>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let new = NewToken { name: body.name, lasts: body.lasts };
    let (made, secret) = app.create_token(&caller, new).await?;
    let mut view = json!(made);
    view["token"] = json!(secret.expose());
    Ok((StatusCode::CREATED, Json(view)))
}

async fn revoke_token(
    State(app): State<App>,
    Who(caller): Who,
    Path(token): Path<String>,
) -> Result<StatusCode, Problem> {
    app.revoke_token(&caller, id::<TokenId>(&token)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
