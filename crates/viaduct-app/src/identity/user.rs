//! Adding, disabling and listing people.

use serde::Serialize;
use serde_json::json;
use viaduct_auth::hash_password;
use viaduct_base::{Error, Kind, Name, Refusal, Secret, Timestamp, UserId};
use viaduct_domain::permission::{Caller, Operation, Role, Who};
use viaduct_store::session;
use viaduct_store::user::{self, UserRow};

use crate::App;
use crate::audit::Deed;

/// A new person.
#[derive(Debug, Clone)]
pub struct AddUser {
    /// The name that charters use.
    pub name: Name,
    /// What they may do in the workspace.
    pub role: Role,
    /// Their password; without one they can only use tokens that an admin makes.
    pub password: Secret<String>,
}

/// A person as lists show them.
#[derive(Debug, Clone, Serialize)]
pub struct UserView {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub name: String,
    /// Their role.
    pub role: Role,
    /// When they were added.
    pub created_at: Timestamp,
    /// When they were last here.
    pub signed_in_at: Option<Timestamp>,
    /// When they were disabled.
    pub disabled_at: Option<Timestamp>,
}

impl App {
    /// Adds a person. The first one shuts the open door and is therefore an admin.
    ///
    /// # Errors
    /// A weak password, a name that exists, a first user who is no admin.
    pub async fn add_user(&self, caller: &Caller, new: AddUser) -> Result<UserView, Error> {
        let scope = self.authorise(caller, Operation::AddUser)?;
        let params = self.settings().password_params;
        let password = new.password.clone();
        let hashed = tokio::task::spawn_blocking(move || hash_password(&password, params));
        let hash = hashed
            .await
            .map_err(|e| viaduct_base::Fault::caused("hash a password", e))?
            .map_err(|refused| Refusal::new(Kind::InvalidInput, refused.to_string()))?;
        let now = self.now();
        let created_by = match &caller.who {
            Who::User { id, .. } => Some(*id),
            Who::Anonymous | Who::System => None,
        };
        let row = UserRow {
            id: UserId::new(now),
            workspace_id: scope.workspace,
            name: new.name.to_string(),
            role: new.role.as_str().to_owned(),
            password_hash: Some(hash),
            created_at: now,
            created_by,
            signed_in_at: None,
            disabled_at: None,
            revision: 1,
        };
        let view = view(&row, new.role);
        let (app, caller) = (self.clone(), caller.clone());
        self.store()
            .write("add_user", move |tx| -> Result<(), Error> {
                if user::count(tx)? == 0 && row.role != Role::Admin.as_str() {
                    return Err(Refusal::new(
                        Kind::InvalidInput,
                        format!("`{}` would be the first user and lock everybody out: add an admin first (`--role admin`)", row.name),
                    )
                    .into());
                }
                user::insert(tx, &row).map_err(|error| {
                    if error.is_unique("user_account", "name") {
                        let detail = format!("a user named `{}` exists already", row.name);
                        return Refusal::new(Kind::AlreadyExists, detail).into();
                    }
                    Error::from(error)
                })?;
                let deed = Deed {
                    action: "user.added",
                    object_kind: "user",
                    object_id: &row.id.to_string(),
                    project: None,
                    detail: json!({ "name": row.name, "role": row.role }),
                };
                app.record(tx, &caller, now, &deed)?;
                Ok(())
            })
            .await?;
        self.reload_directory().await?;
        Ok(view)
    }

    /// Disables a person: tokens and sessions of theirs stop at once, their history stays.
    ///
    /// # Errors
    /// An unknown name; the last active admin.
    pub async fn disable_user(&self, caller: &Caller, name: &str) -> Result<UserView, Error> {
        let scope = self.authorise(caller, Operation::DisableUser)?;
        let (app, caller, name, now) = (self.clone(), caller.clone(), name.to_owned(), self.now());
        let row = self
            .store()
            .write("disable_user", move |tx| -> Result<UserRow, Error> {
                let mut row = user::find_by_name(tx, &name)?.ok_or_else(|| no_user(&name))?;
                if row.disabled_at.is_some() {
                    return Ok(row);
                }
                let others = user::list(tx, &scope)?.into_iter().any(|other| {
                    other.id != row.id
                        && other.disabled_at.is_none()
                        && other.role == Role::Admin.as_str()
                });
                if row.role == Role::Admin.as_str() && !others {
                    let detail = format!("`{name}` is the last admin: add another one first");
                    return Err(Refusal::new(Kind::Conflict, detail).into());
                }
                user::set_disabled(tx, &scope, row.id, row.revision, Some(now))?;
                session::end_all(tx, row.id, Timestamp::from_system())?;
                row.disabled_at = Some(now);
                let deed = Deed {
                    action: "user.disabled",
                    object_kind: "user",
                    object_id: &row.id.to_string(),
                    project: None,
                    detail: json!({ "name": name }),
                };
                app.record(tx, &caller, now, &deed)?;
                Ok(row)
            })
            .await?;
        self.reload_directory().await?;
        let role = Role::parse(&row.role).unwrap_or(Role::Viewer);
        Ok(view(&row, role))
    }

    /// Everybody by name.
    ///
    /// # Errors
    /// The table's refusal; a database that does not answer.
    pub async fn list_users(&self, caller: &Caller) -> Result<Vec<UserView>, Error> {
        let scope = self.authorise(caller, Operation::ListUsers)?;
        let rows = self.store().read("list_users", move |tx| user::list(tx, &scope)).await;
        let rows = rows.map_err(Error::from)?;
        Ok(rows.iter().map(|r| view(r, Role::parse(&r.role).unwrap_or(Role::Viewer))).collect())
    }
}

/// The refusal for a name that nobody has.
pub(crate) fn no_user(name: &str) -> Refusal {
    Refusal::new(
        Kind::NotFound,
        format!("there is no user `{name}`: `viaduct user list` shows who there is"),
    )
}

fn view(row: &UserRow, role: Role) -> UserView {
    UserView {
        id: row.id,
        name: row.name.clone(),
        role,
        created_at: row.created_at,
        signed_in_at: row.signed_in_at,
        disabled_at: row.disabled_at,
    }
}
