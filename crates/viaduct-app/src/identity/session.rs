//! Browser sessions.

use serde_json::json;
use viaduct_auth::{Credential as Form, form_secret};
use viaduct_base::{Error, Secret, SessionId, Span, Timestamp};
use viaduct_domain::permission::{Caller, Door, Who};
use viaduct_store::session::{self, SessionRow};

use crate::App;
use crate::audit::Deed;

/// How long a session lasts, by the machine's clock.
const LASTS: Span = Span::hours(12);

/// A session just opened.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The cookie's value.
    pub secret: Secret<String>,
    /// How long it lasts.
    pub lasts: Span,
    /// The name of who signed in.
    pub name: String,
}

impl App {
    /// Opens a session for a name and password.
    ///
    /// # Errors
    /// `login-required` when they do not fit.
    pub async fn login(&self, name: String, password: Secret<String>) -> Result<SignedIn, Error> {
        let person = self.by_password(name, password).await?;
        let issued = Form::Session.issue();
        let now = Timestamp::from_system();
        let row = SessionRow {
            id: SessionId::new(now),
            workspace_id: self.workspace(),
            user_id: person.id,
            secret_hash: issued.hash.to_string(),
            csrf: form_secret(issued.secret.expose()),
            created_at: now,
            expires_at: now + LASTS,
            ended_at: None,
        };
        let who = Who::User { id: person.id, name: person.name.clone(), role: person.role };
        let caller = Caller { who, workspace: self.workspace(), door: Door::Locked };
        let (app, at) = (self.clone(), self.now());
        self.store()
            .write("login", move |tx| -> Result<(), Error> {
                session::insert(tx, &row)?;
                let deed = Deed {
                    action: "session.opened",
                    object_kind: "session",
                    object_id: &row.id.to_string(),
                    project: None,
                    detail: json!({}),
                };
                Ok(app.record(tx, &caller, at, &deed)?)
            })
            .await?;
        Ok(SignedIn { secret: issued.secret, lasts: LASTS, name: person.name })
    }

    /// Ends the session of this cookie; an unknown one is already ended.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn logout(&self, secret: &Secret<String>) -> Result<(), Error> {
        let Some(hash) = Form::Session.hash(secret.expose()) else { return Ok(()) };
        let hash = hash.to_string();
        self.store()
            .write("logout", move |tx| -> Result<(), Error> {
                if let Some(row) = session::find_by_secret(tx, &hash)? {
                    session::end(tx, row.id, Timestamp::from_system())?;
                }
                Ok(())
            })
            .await
    }
}
