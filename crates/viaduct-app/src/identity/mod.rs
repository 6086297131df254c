//! People: who they are, how they prove it, their tokens and sessions.
//!
//! People and tokens are also kept in memory, so that a request is authenticated without the
//! database: predictions go on while it is away.

mod authenticate;
pub(crate) mod kept;
mod session;
mod token;
mod user;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use viaduct_base::{Digest, Error, Kind, Refusal, Secret, Timestamp, UserId};
use viaduct_domain::permission::Role;

use crate::App;

pub use session::SignedIn;
pub use token::{NewToken, TokenView};
pub use user::{AddUser, UserView};

/// What a request brought to prove who sent it.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Nothing.
    None,
    /// An API token.
    Token(Secret<String>),
    /// A name and a password.
    Password {
        /// The user's name.
        name: String,
        /// The password.
        password: Secret<String>,
    },
    /// The secret of a browser session.
    Session(Secret<String>),
    /// A consumer's key; it names no person.
    ConsumerKey(Secret<String>),
}

/// A person in memory.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: UserId,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) password_hash: Option<String>,
    pub(crate) is_active: bool,
    pub(crate) signed_in_at: Option<Timestamp>,
}

/// A token in memory.
#[derive(Debug, Clone)]
pub(crate) struct KnownToken {
    pub(crate) user: UserId,
    pub(crate) expires_at: Option<Timestamp>,
}

/// Everybody, at one moment.
#[derive(Debug, Default)]
pub(crate) struct People {
    pub(crate) by_id: HashMap<UserId, Person>,
    pub(crate) by_name: HashMap<String, UserId>,
    pub(crate) tokens: HashMap<String, KnownToken>,
}

/// People in memory, replaced as a whole after each change.
#[derive(Default)]
pub(crate) struct Directory {
    pub(crate) people: ArcSwap<People>,
    /// One reload at a time: of two, the one that read earlier must not be stored later, or a
    /// person just disabled would be let in again.
    pub(crate) reloading: tokio::sync::Mutex<()>,
    /// Passwords that were right a moment ago, by the digest of name, password and stored hash:
    /// argon2 costs tens of milliseconds, and MLflow's clients send Basic with every call.
    pub(crate) proven: Mutex<HashMap<Digest, std::time::Instant>>,
    /// True while the database has not been reached since the start: nobody is known then.
    pub(crate) is_unread: AtomicBool,
    /// Whether there were people when the database was last reached.
    pub(crate) had_users: AtomicBool,
}

impl App {
    /// Reads everybody from the database again.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reload_directory(&self) -> Result<(), Error> {
        let _turn = self.directory.reloading.lock().await;
        let workspace = self.workspace;
        let people = self
            .store()
            .read("list_people", move |tx| -> Result<People, Error> {
                let scope = viaduct_store::Scope::of(workspace);
                let mut people = People::default();
                for row in viaduct_store::user::list(tx, &scope)? {
                    for token in viaduct_store::token::list(tx, &scope, row.id)? {
                        if token.revoked_at.is_none() {
                            let known = KnownToken { user: row.id, expires_at: token.expires_at };
                            people.tokens.insert(token.secret_hash, known);
                        }
                    }
                    people.by_name.insert(row.name.clone(), row.id);
                    let person = Person {
                        id: row.id,
                        name: row.name,
                        // Why the weakest: a word that this program does not know grants nothing more.
                        role: Role::parse(&row.role).unwrap_or(Role::Viewer),
                        password_hash: row.password_hash,
                        is_active: row.disabled_at.is_none(),
                        signed_in_at: row.signed_in_at,
                    };
                    people.by_id.insert(row.id, person);
                }
                Ok(people)
            })
            .await?;
        let has_users = !people.by_id.is_empty();
        self.directory.people.store(std::sync::Arc::new(people));
        let was_unread = self.directory.is_unread.swap(false, Ordering::SeqCst);
        let had_users = self.directory.had_users.swap(has_users, Ordering::SeqCst);
        if was_unread || had_users != has_users {
            kept::write(&self.settings().data_dir, kept::Kept { workspace, has_users })?;
        }
        Ok(())
    }

    /// Whether anybody was ever added.
    pub fn has_users(&self) -> bool {
        self.directory.had_users.load(Ordering::SeqCst)
    }

    /// Whether the database was reached since the start, so that people can be told apart.
    ///
    /// # Errors
    /// `database-away` when it was not.
    pub(crate) fn people_are_known(&self) -> Result<(), Refusal> {
        if !self.directory.is_unread.load(Ordering::SeqCst) {
            return Ok(());
        }
        let detail = "the database has not answered since the server started, so nobody can sign \
                      in: predictions with a consumer's key go on";
        Err(Refusal::new(Kind::DatabaseAway, detail))
    }
}
