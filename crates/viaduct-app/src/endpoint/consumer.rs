//! Gives a consumer of an endpoint its key.

use serde::Serialize;
use serde_json::json;
use viaduct_auth::Credential as Form;
use viaduct_base::{ConsumerId, Error, Kind, Name, Refusal, Secret};
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

impl App {
    /// Makes a consumer; its key is shown this once and works as soon as this answers.
    ///
    /// # Errors
    /// `not-found`; a name that the endpoint's consumers have already.
    pub async fn create_consumer(
        &self,
        caller: &Caller,
        endpoint_name: &str,
        name: Name,
    ) -> Result<NewConsumer, Error> {
        let scope = self.authorise(caller, Operation::CreateConsumer)?;
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
