//! People: listed, added, disabled.

use std::sync::Arc;

use viaduct_app::identity::AddUser;
use viaduct_base::{Kind, Refusal};
use viaduct_domain::permission::{Operation, Role};

use super::Answered;
use super::answer::Answer;
use super::visit::Visit;
use crate::path;
use crate::view::{UserRow, UsersPage};

/// Everybody with their roles in charters.
pub(super) async fn show(visit: Arc<Visit>) -> Answered {
    let mut people = visit.app.list_users(&visit.caller).await?;
    people.sort_by_key(|person| (person.disabled_at.is_some(), person.name.clone()));
    let projects = visit.app.list_projects(&visit.caller).await?;
    let named: Vec<(String, String)> = projects
        .iter()
        .filter(|project| project.standing.stage.is_live())
        .flat_map(|project| {
            project.spec.charter.people().map(|(role, name)| {
                let role = role.trim_end_matches('s').replace('_', " ");
                (name.to_string(), format!("{role} of {}", project.name()))
            })
        })
        .collect();
    let mut missing: Vec<String> = named.iter().map(|(name, _)| name.clone()).collect();
    missing.retain(|name| !people.iter().any(|person| person.name == *name));
    missing.sort();
    missing.dedup();
    let users = people
        .into_iter()
        .map(|person| UserRow {
            role: person.role.as_str().to_owned(),
            created_at: person.created_at,
            signed_in_at: person.signed_in_at,
            disabled_at: person.disabled_at,
            charters: named
                .iter()
                .filter(|(name, _)| *name == person.name)
                .map(|(_, role)| role.clone())
                .collect(),
            name: person.name,
        })
        .collect();
    visit.page(&UsersPage {
        shell: visit.shell(),
        users,
        missing,
        roles: Role::ALL.iter().map(|role| role.as_str().to_owned()).collect(),
        may_manage: visit.may(Operation::AddUser),
    })
}

/// Adds a person.
pub(super) async fn add(visit: Arc<Visit>) -> Answered {
    let word = visit.field("role");
    let role = Role::parse(word).ok_or_else(|| {
        let detail = format!("`{word}` is not a role: use `viewer`, `member` or `admin`");
        Refusal::new(Kind::InvalidInput, detail)
    })?;
    let new = AddUser { name: visit.name_field("name")?, role, password: visit.password() };
    let was_open = !visit.app.has_users();
    let added = visit.app.add_user(&visit.caller, new).await?;
    let done = format!("`{}` was added as {}.", added.name, role.as_str());
    // Why there: the first person shuts the open door, so the next page asks for a login.
    let to = if was_open { path::LOGIN } else { path::USERS };
    Ok(Answer::done(to, done))
}

/// Disables a person.
pub(super) async fn disable(visit: Arc<Visit>) -> Answered {
    let disabled = visit.app.disable_user(&visit.caller, visit.param("user")).await?;
    let done = format!("`{}` was disabled: their sessions and tokens have ended.", disabled.name);
    Ok(Answer::done(path::USERS, done))
}
