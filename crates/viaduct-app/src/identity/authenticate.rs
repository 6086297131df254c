//! From a credential to a caller.

use std::time::{Duration, Instant};

use viaduct_auth::{Credential as Form, spend_like_verify, verify_password};
use viaduct_base::{Digest, Error, Kind, Refusal, Secret, Span, UserId};
use viaduct_domain::permission::{Caller, Door, Who};
use viaduct_store::{Scope, session, user};

use super::{Credential, Person};
use crate::App;

/// How long a password that was right is not hashed again.
const PROVEN_FOR: Duration = Duration::from_secs(300);
/// More proven passwords than this are forgotten at once.
const PROVEN_MAX: usize = 10_000;
/// A sign-in is noted at most this often.
const NOTED_EVERY: Span = Span::hours(1);

impl App {
    /// Who sent this credential.
    ///
    /// # Errors
    /// `login-required` for a credential that is wrong, expired, revoked, or of a disabled user.
    pub async fn authenticate(&self, credential: Credential) -> Result<Caller, Error> {
        if matches!(credential, Credential::Token(_) | Credential::Password { .. }) {
            self.people_are_known()?;
        }
        let person = match credential {
            Credential::None | Credential::ConsumerKey(_) => None,
            Credential::Token(token) => Some(self.by_token(&token)?),
            Credential::Password { name, password } => {
                Some(self.by_password(name, password).await?)
            }
            Credential::Session(secret) => self.by_session(&secret).await?,
        };
        let Some(person) = person else { return Ok(self.anonymous()) };
        self.note_sign_in(&person).await;
        let who = Who::User { id: person.id, name: person.name, role: person.role };
        Ok(Caller { who, workspace: self.workspace(), door: self.door() })
    }

    fn anonymous(&self) -> Caller {
        Caller { who: Who::Anonymous, workspace: self.workspace(), door: self.door() }
    }

    fn door(&self) -> Door {
        if self.settings().is_loopback && !self.has_users() { Door::Open } else { Door::Locked }
    }

    fn by_token(&self, token: &Secret<String>) -> Result<Person, Error> {
        let wrong = || {
            refused(
                "the token is unknown, revoked or expired: make one with `viaduct token create`",
            )
        };
        let hash = Form::Token.hash(token.expose()).ok_or_else(wrong)?;
        let people = self.directory.people.load();
        let known = people.tokens.get(hash.as_str()).ok_or_else(wrong)?;
        if known.expires_at.is_some_and(|at| at <= viaduct_base::Timestamp::from_system()) {
            return Err(wrong().into());
        }
        people.by_id.get(&known.user).filter(|p| p.is_active).cloned().ok_or_else(|| wrong().into())
    }

    /// Checks a name and a password; the time of the answer does not tell which was wrong.
    ///
    /// # Errors
    /// `login-required` when they do not fit.
    pub(super) async fn by_password(
        &self,
        name: String,
        password: Secret<String>,
    ) -> Result<Person, Error> {
        let person = {
            let people = self.directory.people.load();
            let id = people.by_name.get(&name).copied();
            id.and_then(|id| people.by_id.get(&id)).filter(|p| p.is_active).cloned()
        };
        let stored = person.as_ref().and_then(|p| p.password_hash.clone());
        let proof = proof(&name, &password, stored.as_deref());
        let fits = self.is_proven(&proof) || {
            let params = self.settings().password_params;
            let checked = tokio::task::spawn_blocking(move || match stored {
                Some(stored) => verify_password(&password, &stored),
                None => {
                    spend_like_verify(&password, params);
                    false
                }
            });
            checked.await.unwrap_or(false)
        };
        match person.filter(|_| fits) {
            Some(person) => {
                self.set_proven(proof);
                Ok(person)
            }
            None => Err(refused("the name or the password is wrong").into()),
        }
    }

    fn is_proven(&self, proof: &Digest) -> bool {
        let proven = self.directory.proven.lock().unwrap_or_else(|e| e.into_inner());
        proven.get(proof).is_some_and(|at| at.elapsed() < PROVEN_FOR)
    }

    fn set_proven(&self, proof: Digest) {
        let mut proven = self.directory.proven.lock().unwrap_or_else(|e| e.into_inner());
        if proven.len() >= PROVEN_MAX {
            proven.clear();
        }
        proven.insert(proof, Instant::now());
    }

    /// `None` for a session that has ended: its cookie is then as good as none.
    async fn by_session(&self, secret: &Secret<String>) -> Result<Option<Person>, Error> {
        let Some(hash) = Form::Session.hash(secret.expose()) else { return Ok(None) };
        let hash = hash.to_string();
        let row = self
            .store()
            .read("find_session", move |tx| session::find_by_secret(tx, &hash))
            .await
            .map_err(Error::from)?;
        let now = viaduct_base::Timestamp::from_system();
        let live = row.filter(|row| row.ended_at.is_none() && row.expires_at > now);
        let people = self.directory.people.load();
        let person = live.and_then(|row| people.by_id.get(&row.user_id).cloned());
        Ok(person.filter(|p| p.is_active))
    }

    /// Notes that the person was here; O1 reads it. A database that is away is no reason to refuse.
    async fn note_sign_in(&self, person: &Person) {
        let now = self.now();
        if person.signed_in_at.is_some_and(|at| now.since(at) < NOTED_EVERY) {
            return;
        }
        let (id, workspace) = (person.id, self.workspace());
        let noted = self
            .store()
            .write("note_sign_in", move |tx| {
                user::set_signed_in(tx, &Scope::of(workspace), id, now)
            })
            .await;
        match noted {
            Ok(()) => self.set_signed_in(id, now),
            Err(error) => tracing::warn!(%error, "a sign-in was not noted"),
        }
    }

    fn set_signed_in(&self, id: UserId, at: viaduct_base::Timestamp) {
        self.directory.people.rcu(|people| {
            let mut by_id = people.by_id.clone();
            if let Some(person) = by_id.get_mut(&id) {
                person.signed_in_at = Some(at);
            }
            super::People { by_id, by_name: people.by_name.clone(), tokens: people.tokens.clone() }
        });
    }
}

fn proof(name: &str, password: &Secret<String>, stored: Option<&str>) -> Digest {
    let text = format!("{name}\0{}\0{}", password.expose(), stored.unwrap_or_default());
    Digest::of(text.as_bytes())
}

fn refused(detail: &str) -> Refusal {
    Refusal::new(Kind::LoginRequired, detail)
}
