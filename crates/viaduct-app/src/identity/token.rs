//! API tokens of people.

use serde::Serialize;
use serde_json::json;
use viaduct_auth::Credential as Form;
use viaduct_base::{Error, Kind, Refusal, Secret, Span, Timestamp, TokenId};
use viaduct_domain::permission::{Caller, Operation, Role, Who};
use viaduct_store::token::{self, TokenRow};

use crate::App;
use crate::audit::Deed;

/// A token to be made for the caller.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What it is for.
    pub name: String,
    /// How long it works; for ever without.
    pub lasts: Option<Span>,
}

/// A token as lists show it.
#[derive(Debug, Clone, Serialize)]
pub struct TokenView {
    /// Its id.
    pub id: TokenId,
    /// What it is for.
    pub name: String,
    /// When it was made, by the machine's clock.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

impl App {
    /// Makes a token for the caller; the secret is shown this once.
    ///
    /// # Errors
    /// For a caller without a name.
    pub async fn create_token(
        &self,
        caller: &Caller,
        new: NewToken,
    ) -> Result<(TokenView, Secret<String>), Error> {
        let scope = self.authorise(caller, Operation::CreateToken)?;
        let Who::User { id: user, .. } = caller.who else {
            return Err(Refusal::new(Kind::NameNeeded, "a token belongs to a named person").into());
        };
        let issued = Form::Token.issue();
        // Why the machine's clock: tokens never follow the simulated one.
        let now = Timestamp::from_system();
        let row = TokenRow {
            id: TokenId::new(now),
            workspace_id: scope.workspace,
            user_id: user,
            name: new.name,
            secret_hash: issued.hash.to_string(),
            created_at: now,
            expires_at: new.lasts.map(|span| now + span),
            used_at: None,
            revoked_at: None,
        };
        let view = TokenView {
            id: row.id,
            name: row.name.clone(),
            created_at: row.created_at,
            expires_at: row.expires_at,
        };
        let (app, caller, at) = (self.clone(), caller.clone(), self.now());
        self.store()
            .write("create_token", move |tx| -> Result<(), Error> {
                token::insert(tx, &row)?;
                let deed = Deed {
                    action: "token.created",
                    object_kind: "token",
                    object_id: &row.id.to_string(),
                    project: None,
                    detail: json!({ "name": row.name }),
                };
                Ok(app.record(tx, &caller, at, &deed)?)
            })
            .await?;
        self.reload_directory().await?;
        Ok((view, issued.secret))
    }

    /// Revokes a token: one's own, or as an admin anybody's.
    ///
    /// # Errors
    /// A token that does not exist or is somebody else's.
    pub async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::RevokeToken)?;
        let (app, caller, at) = (self.clone(), caller.clone(), self.now());
        self.store()
            .write("revoke_token", move |tx| -> Result<(), Error> {
                let row = token::find(tx, &scope, id)?.filter(|row| match &caller.who {
                    Who::User { id, role, .. } => *role == Role::Admin || *id == row.user_id,
                    Who::System => true,
                    Who::Anonymous => false,
                });
                let row = row.ok_or_else(|| {
                    Refusal::new(Kind::NotFound, format!("there is no token `{id}` of yours"))
                })?;
                token::revoke(tx, &scope, id, Timestamp::from_system())?;
                let deed = Deed {
                    action: "token.revoked",
                    object_kind: "token",
                    object_id: &id.to_string(),
                    project: None,
                    detail: json!({ "name": row.name }),
                };
                Ok(app.record(tx, &caller, at, &deed)?)
            })
            .await?;
        self.reload_directory().await
    }
}
