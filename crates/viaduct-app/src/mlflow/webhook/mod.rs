//! Webhooks of the registry: kept, told in the transaction of what happened, tested.

mod deliver;
mod event;

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::json;
use viaduct_auth::SealingKey;
use viaduct_base::{Error, Fault, Secret, Timestamp};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_outbound::{Outbound, Rules, SendError};
use viaduct_store::mlflow::registry;
use viaduct_store::mlflow::webhook::{self, WebhookRow};
use viaduct_store::{Scope, StoreError, Tx};

use super::{Page, PageRequest, VersionChange, invalid, missing};
use crate::App;
use crate::audit::Deed;

pub use deliver::{Delivery, Tested, Undelivered};
pub(super) use event::Happened;
pub use event::WebhookEvent;

const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;
const NAME_MAX: usize = 63;
/// Tries of a delivery where nothing else is said: MLflow's three repetitions.
const ATTEMPTS: i64 = 4;
const ACTIVE: &str = "ACTIVE";
const DISABLED: &str = "DISABLED";
const KEY_FILE: &str = "webhook.key";
/// The tag that makes a prompt of a registered model.
const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";
/// The tag that holds a prompt's text.
const PROMPT_TEXT: &str = "mlflow.prompt.text";

/// How webhooks reach the world, and the key under which their secrets are kept.
#[derive(Debug, Clone)]
pub struct Desk {
    /// The client.
    pub outbound: Outbound,
    /// The key; else the one in the data directory, made when first needed.
    pub key: Option<SealingKey>,
    /// Tries of one delivery.
    pub attempts_max: i64,
}

/// The installation's [`Desk`], strict until told otherwise.
#[derive(Debug, Default)]
pub(crate) struct DeskCell(OnceLock<Desk>);

impl App {
    /// Says how webhooks are sent; once, before the first is.
    pub fn set_webhook_desk(&self, desk: Desk) {
        // Why ignored: the first word counts.
        let _ = self.desk.0.set(desk);
    }

    fn webhook_desk(&self) -> &Desk {
        self.desk.0.get_or_init(|| Desk {
            outbound: Outbound::new(Rules::default()),
            key: None,
            attempts_max: ATTEMPTS,
        })
    }

    fn sealing_key(&self) -> Result<SealingKey, Error> {
        if let Some(key) = &self.webhook_desk().key {
            return Ok(key.clone());
        }
        let path: PathBuf = self.settings().data_dir.join(KEY_FILE);
        SealingKey::in_file(&path)
            .map_err(|e| Fault::caused("take the key of webhook secrets", e).into())
    }
}

/// A webhook to be made.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Its name.
    pub name: String,
    /// Where to.
    pub url: String,
    /// Of what it tells.
    pub events: Vec<WebhookEvent>,
    /// What it is for.
    pub description: Option<String>,
    /// What deliveries are signed with.
    pub secret: Option<Secret<String>>,
    /// `ACTIVE` when absent.
    pub status: Option<String>,
}

/// What is to change of a webhook; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct WebhookChange {
    /// Its name.
    pub name: Option<String>,
    /// Where to.
    pub url: Option<String>,
    /// Of what it tells.
    pub events: Option<Vec<WebhookEvent>>,
    /// What it is for.
    pub description: Option<String>,
    /// What deliveries are signed with; an empty one takes the signature away.
    pub secret: Option<Secret<String>>,
    /// `ACTIVE` or `DISABLED`.
    pub status: Option<String>,
}

/// A webhook as it is shown: without its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where to.
    pub url: String,
    /// Of what it tells.
    pub events: Vec<WebhookEvent>,
    /// What it is for.
    pub description: Option<String>,
    /// `ACTIVE` or `DISABLED`.
    pub status: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
}

impl App {
    /// Makes a webhook, when its address is one that may be told.
    ///
    /// # Errors
    /// `invalid-input`.
    pub async fn create_webhook(
        &self,
        caller: &Caller,
        new: NewWebhook,
    ) -> Result<WebhookView, Error> {
        let scope = self.authorise(caller, Operation::ManageWebhooks)?;
        check_name(&new.name)?;
        self.check_url(&new.url).await?;
        let id = uuid::Uuid::now_v7().to_string();
        let (app, caller, now) = (self.clone(), caller.clone(), self.now());
        let row = WebhookRow {
            sealed_secret: self.seal(&id, new.secret.as_ref())?,
            webhook_id: id,
            name: new.name,
            url: new.url,
            description: new.description.filter(|text| !text.is_empty()),
            events_json: words(&new.events)?,
            status: status(new.status.as_deref().unwrap_or(ACTIVE))?.to_owned(),
            created_at: now,
            updated_at: now,
        };
        self.store()
            .write("create_webhook", move |tx| {
                webhook::insert(tx, &scope, &row)?;
                app.record(tx, &caller, now, &deed("webhook.created", &row))?;
                Ok(view(row.clone()))
            })
            .await
    }

    /// Webhooks, newest first.
    ///
    /// # Errors
    /// `invalid-input` for a page that is none.
    pub async fn list_webhooks(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Page<WebhookView>, Error> {
        let scope = self.authorise(caller, Operation::ManageWebhooks)?;
        let window = page.check(PAGE, PAGE_MAX)?;
        self.store()
            .read("list_webhooks", move |tx| {
                let rows = webhook::list(tx, &scope)?;
                let part = rows.into_iter().skip(window.offset).take(window.limit + 1);
                Ok::<_, Error>(window.of_found(part.map(view).collect()))
            })
            .await
    }

    /// A webhook.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn get_webhook(&self, caller: &Caller, id: &str) -> Result<WebhookView, Error> {
        let scope = self.authorise(caller, Operation::ManageWebhooks)?;
        let id = id.to_owned();
        self.store().read("get_webhook", move |tx| find(tx, &scope, &id).map(view)).await
    }

    /// Changes a webhook.
    ///
    /// # Errors
    /// `not-found`; `invalid-input`.
    pub async fn update_webhook(
        &self,
        caller: &Caller,
        id: &str,
        change: WebhookChange,
    ) -> Result<WebhookView, Error> {
        let scope = self.authorise(caller, Operation::ManageWebhooks)?;
        change.name.as_deref().map_or(Ok(()), check_name)?;
        if let Some(url) = &change.url {
            self.check_url(url).await?;
        }
        let events = change.events.as_deref().map(words).transpose()?;
        let wanted = change.status.as_deref().map(status).transpose()?;
        let sealed = match &change.secret {
            Some(secret) => Some(self.seal(id, Some(secret))?),
            None => None,
        };
        let (app, caller, now, id) = (self.clone(), caller.clone(), self.now(), id.to_owned());
        self.store()
            .write("update_webhook", move |tx| {
                let mut row = find(tx, &scope, &id)?;
                let change = change.clone();
                row.name = change.name.unwrap_or(row.name);
                row.url = change.url.unwrap_or(row.url);
                row.description = change.description.or(row.description).filter(|t| !t.is_empty());
                row.events_json = events.clone().unwrap_or(row.events_json);
                row.status = wanted.map_or(row.status, str::to_owned);
                row.sealed_secret = sealed.clone().unwrap_or(row.sealed_secret);
                row.updated_at = now;
                webhook::update(tx, &scope, &row)?;
                app.record(tx, &caller, now, &deed("webhook.changed", &row))?;
                Ok::<_, Error>(view(row))
            })
            .await
    }

    /// Forgets a webhook; what was to be delivered to it is not.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_webhook(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::ManageWebhooks)?;
        let (app, caller, now, id) = (self.clone(), caller.clone(), self.now(), id.to_owned());
        self.store()
            .write("delete_webhook", move |tx| {
                let row = find(tx, &scope, &id)?;
                webhook::delete(tx, &scope, &id)?;
                app.record(tx, &caller, now, &deed("webhook.deleted", &row))?;
                Ok::<_, Error>(())
            })
            .await
    }

    /// Checks where an address leads; off the reactor, because a name is looked up.
    async fn check_url(&self, url: &str) -> Result<(), Error> {
        let (outbound, url) = (self.webhook_desk().outbound.clone(), url.to_owned());
        if url.trim().is_empty() {
            return Err(invalid("Webhook URL cannot be empty or just whitespace"));
        }
        let checked = tokio::task::spawn_blocking(move || outbound.check(&url)).await;
        match checked.map_err(|e| Fault::caused("check a webhook's address", e))? {
            Ok(()) => Ok(()),
            Err(SendError::Refused(said) | SendError::Unreachable(said)) => {
                Err(invalid(format!("Webhook URL: {said}")))
            }
        }
    }

    fn seal(&self, id: &str, secret: Option<&Secret<String>>) -> Result<Option<String>, Error> {
        let Some(secret) = secret.filter(|secret| !secret.expose().is_empty()) else {
            return Ok(None);
        };
        let sealed = self.sealing_key()?.seal(id, secret);
        sealed.map(Some).map_err(|e| Fault::caused("seal a webhook's secret", e).into())
    }
}

/// Tells every webhook that wants to know, in the transaction of what happened.
pub(super) fn announce(
    app: &App,
    tx: &mut Tx,
    scope: &Scope,
    happened: &Happened,
) -> Result<(), StoreError> {
    let hooks = webhook::list(tx, scope)?;
    if hooks.iter().all(|hook| hook.status != ACTIVE) {
        return Ok(());
    }
    let tags = registry::list_tags(tx, scope, registry::Tagged::Model(&happened.name))?;
    let is_prompt =
        tags.iter().any(|tag| tag.key == PROMPT_TAG && tag.value.eq_ignore_ascii_case("true"));
    let word = if is_prompt { Some(happened.of_prompt) } else { happened.of_model };
    let Some(word) = word else { return Ok(()) };
    let mut data = happened.data.clone();
    data["name"] = happened.name.as_str().into();
    if matches!(word, "registered_model.created" | "prompt.created") {
        let tags = tags.iter().filter(|tag| tag.key != PROMPT_TAG);
        data["tags"] = tags.map(|tag| (tag.key.clone(), tag.value.clone())).collect();
    }
    if word == "prompt_version.created" {
        data["template"] = data["tags"][PROMPT_TEXT].clone();
    }
    let wants = |hook: &&WebhookRow| {
        hook.status == ACTIVE && events_of(hook).iter().any(|event| event.word() == word)
    };
    for hook in hooks.iter().filter(wants) {
        let delivery = Delivery::new(&hook.webhook_id, word, data.clone(), app.now());
        delivery.traced(app.told_by().cloned()).enqueue(app, tx)?;
    }
    Ok(())
}

/// Tells of a version's tag that was set or deleted; MLflow tells of nothing else that changes.
pub(super) fn announce_tag(
    app: &App,
    tx: &mut Tx,
    scope: &Scope,
    version: (&str, i64),
    change: &VersionChange,
) -> Result<(), StoreError> {
    let told = match change {
        VersionChange::SetTag(tag) => Happened::version_tag(version, &tag.key, Some(&tag.value)),
        VersionChange::DeleteTag(key) => Happened::version_tag(version, key, None),
        VersionChange::Description(_) | VersionChange::Stage { .. } => return Ok(()),
    };
    announce(app, tx, scope, &told)
}

fn deed<'a>(action: &'static str, row: &'a WebhookRow) -> Deed<'a> {
    // Why no more of the address: many a service's secret stands in its path.
    let host = row.url.split('/').take(3).collect::<Vec<_>>().join("/");
    let detail = json!({
        "name": row.name, "host": host, "events": row.events_json, "status": row.status,
        "signed": row.sealed_secret.is_some(),
    });
    Deed { action, object_kind: "webhook", object_id: &row.webhook_id, project: None, detail }
}

fn find(tx: &mut Tx, scope: &Scope, id: &str) -> Result<WebhookRow, Error> {
    webhook::find(tx, scope, id)?.ok_or_else(|| missing(format!("Webhook with ID {id} not found.")))
}

fn view(row: WebhookRow) -> WebhookView {
    WebhookView {
        events: events_of(&row),
        id: row.webhook_id,
        name: row.name,
        url: row.url,
        description: row.description,
        status: row.status,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn events_of(row: &WebhookRow) -> Vec<WebhookEvent> {
    let words: Vec<String> = serde_json::from_str(&row.events_json).unwrap_or_default();
    words.iter().filter_map(|word| WebhookEvent::of_word(word)).collect()
}

fn words(events: &[WebhookEvent]) -> Result<String, Error> {
    if events.is_empty() {
        return Err(invalid(
            "Webhook events must be a non-empty list of WebhookEvent objects: [].",
        ));
    }
    let mut words: Vec<String> = events.iter().map(|event| event.word()).collect();
    words.dedup();
    Ok(json!(words).to_string())
}

fn status(text: &str) -> Result<&'static str, Error> {
    match text {
        "ACTIVE" | "1" => Ok(ACTIVE),
        "DISABLED" | "2" => Ok(DISABLED),
        other => Err(invalid(format!("Invalid webhook status '{other}'. Use ACTIVE or DISABLED."))),
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let ends = |end: Option<char>| end.is_some_and(|c| c.is_ascii_alphanumeric());
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = name.len() <= NAME_MAX
        && ends(name.chars().next())
        && ends(name.chars().next_back())
        && name.chars().all(inside);
    if fits {
        return Ok(());
    }
    Err(invalid(format!(
        "Webhook name '{name}' is invalid. It must start and end with a letter or digit, be less \
         than 63 characters long, and contain only letters, digits, dots (.), underscores (_), \
         and hyphens (-)."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "My-hook_1.2", &"a".repeat(63)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "ä", &"a".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
