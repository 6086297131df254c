//! Gives a consumer of an endpoint its key.

use serde::{Deserialize, Serialize};
use serde_json::json;
use viaduct_auth::Credential as Form;
use viaduct_base::{ConsumerId, Error, Kind, Name, Refusal, Secret, Timestamp};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_store::consumer::{self, ConsumerRow};
use viaduct_store::endpoint;

use crate::App;
use crate::audit::Deed;

/// A consumer just made.
#[derive(Debug, Clone, Serialize)]
pub struct NewConsumer {
    /// Its id.
    pub id: ConsumerId,
    /// Its name.
    pub name: String,
    /// The endpoint.
    pub endpoint: String,
    /// The key, shown this once.
    #[serde(skip)]
    pub key: Secret<String>,
}

/// How much a consumer may ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsumerLimits {
    /// Rows a second, lastingly; `None` for no limit.
    pub rate_per_second: Option<f64>,
    /// Rows at once; `None` for one second's.
    pub burst: Option<u32>,
    /// Rows a UTC day; `None` for no limit.
    pub quota_per_day: Option<u64>,
}

impl ConsumerLimits {
    fn check(&self) -> Result<(), Refusal> {
        let refuse = |detail: &str| Err(Refusal::new(Kind::InvalidInput, detail));
        if self.rate_per_second.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
            return refuse("`rate_per_second` must be above 0: leave it out for no limit");
        }
        if self.burst == Some(0) || self.quota_per_day == Some(0) {
            return refuse(
                "`burst` and `quota_per_day` must be at least 1: revoke the consumer to shut it out",
            );
        }
        if self.burst.is_some() && self.rate_per_second.is_none() {
            return refuse(
                "`burst` needs `rate_per_second`: it is how far above the rate one may go",
            );
        }
        if self.quota_per_day.is_some_and(|quota| i64::try_from(quota).is_err()) {
            return refuse("`quota_per_day` is too large: leave it out for no limit");
        }
        Ok(())
    }
}

/// A consumer as people see it; its key is not kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConsumerView {
    /// Its id.
    pub id: ConsumerId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: Option<String>,
    /// How much it may ask for.
    #[serde(flatten)]
    pub limits: ConsumerLimits,
}

/// What a row allows.
pub(super) fn limits_of(row: &ConsumerRow) -> ConsumerLimits {
    ConsumerLimits {
        rate_per_second: row.rate_per_second,
        burst: row.burst.and_then(|n| u32::try_from(n).ok()),
        quota_per_day: row.quota_per_day.and_then(|n| u64::try_from(n).ok()),
    }
}

impl App {
    /// An endpoint's consumers by name.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn list_consumers(
        &self,
        caller: &Caller,
        endpoint_name: &str,
    ) -> Result<Vec<ConsumerView>, Error> {
        let scope = self.authorise(caller, Operation::ReadEndpoint)?;
        let name = endpoint_name.to_owned();
        self.store()
            .read("list_consumers", move |tx| -> Result<Vec<ConsumerView>, Error> {
                let found = endpoint::find_by_name(tx, &scope, &name)?
                    .ok_or_else(|| super::list::no_endpoint(&name))?;
                let view = |row: ConsumerRow| ConsumerView {
                    limits: limits_of(&row),
                    id: row.id,
                    name: row.name,
                    created_at: row.created_at,
                    created_by: row.created_by,
                };
                Ok(consumer::list(tx, &scope, found.id)?.into_iter().map(view).collect())
            })
            .await
    }

    /// Revokes a consumer's key; it no longer works as soon as this answers.
    ///
    /// # Errors
    /// `not-found` for the endpoint or the consumer.
    pub async fn revoke_consumer(
        &self,
        caller: &Caller,
        endpoint_name: &str,
        name: &str,
    ) -> Result<(), Error> {
        let scope = self.authorise(caller, Operation::CreateConsumer)?;
        let (app, caller, now) = (self.clone(), caller.clone(), self.now());
        let (endpoint_name, name) = (endpoint_name.to_owned(), name.to_owned());
        self.store()
            .write("revoke_consumer", move |tx| -> Result<(), Error> {
                let found = endpoint::find_by_name(tx, &scope, &endpoint_name)?
                    .ok_or_else(|| super::list::no_endpoint(&endpoint_name))?;
                let all = consumer::list(tx, &scope, found.id)?;
                let row = all
                    .iter()
                    .find(|row| row.name == name || row.id.to_string() == name)
                    .ok_or_else(|| {
                        let detail = format!("`{endpoint_name}` has no consumer `{name}`");
                        Refusal::new(Kind::NotFound, detail)
                    })?;
                consumer::revoke(tx, &scope, row.id, now)?;
                let deed = Deed {
                    action: "consumer.revoked",
                    object_kind: "consumer",
                    object_id: &row.id.to_string(),
                    project: found.project_id,
                    detail: json!({ "endpoint": endpoint_name, "name": row.name }),
                };
                app.record(tx, &caller, now, &deed)?;
                Ok(())
            })
            .await?;
        self.publish_snapshot().await
    }

    /// Makes a consumer; its key is shown this once and works as soon as this answers.
    ///
    /// # Errors
    /// `not-found`; a name that the endpoint's consumers have already.
    pub async fn create_consumer(
        &self,
        caller: &Caller,
        endpoint_name: &str,
        name: Name,
        limits: ConsumerLimits,
    ) -> Result<NewConsumer, Error> {
        let scope = self.authorise(caller, Operation::CreateConsumer)?;
        limits.check()?;
        let issued = Form::ConsumerKey.issue();
        let (app, caller, now) = (self.clone(), caller.clone(), self.now());
        let (endpoint_name, key_hash) = (endpoint_name.to_owned(), issued.hash.to_string());
        let made = self
            .store()
            .write("create_consumer", move |tx| -> Result<(ConsumerId, String, String), Error> {
                let found = endpoint::find_by_name(tx, &scope, &endpoint_name)?
                    .ok_or_else(|| super::list::no_endpoint(&endpoint_name))?;
                let row = ConsumerRow {
                    id: ConsumerId::new(now),
                    workspace_id: scope.workspace,
                    endpoint_id: found.id,
                    name: name.to_string(),
                    key_hash: key_hash.clone(),
                    created_at: now,
                    created_by: caller.user_name().map(str::to_owned),
                    revoked_at: None,
                    rate_per_second: limits.rate_per_second,
                    burst: limits.burst.map(i64::from),
                    quota_per_day: limits.quota_per_day.and_then(|n| i64::try_from(n).ok()),
                };
                consumer::insert(tx, &row).map_err(|error| {
                    if error.is_unique("consumer", "endpoint_id, name") {
                        let detail = format!("`{endpoint_name}` has a consumer `{name}` already");
                        return Error::from(Refusal::new(Kind::AlreadyExists, detail));
                    }
                    error.into()
                })?;
                let deed = Deed {
                    action: "consumer.created",
                    object_kind: "consumer",
                    object_id: &row.id.to_string(),
                    project: found.project_id,
                    detail: json!({ "endpoint": endpoint_name, "name": row.name }),
                };
                app.record(tx, &caller, now, &deed)?;
                Ok((row.id, row.name, endpoint_name.clone()))
            })
            .await?;
        self.publish_snapshot().await?;
        let (id, name, endpoint) = made;
        Ok(NewConsumer { id, name, endpoint, key: issued.secret })
    }
}
