//! One delivery: a job in the queue, signed and sent by the worker.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use viaduct_base::{Error, Fault, JobId, Timestamp};
use viaduct_domain::permission::{Caller, Operation};
use viaduct_outbound::{Answer, SendError, sign};
use viaduct_store::mlflow::webhook::{self, WebhookRow};
use viaduct_store::{Scope, StoreError, Tx, job};
use viaduct_telemetry::Carried;

use super::{ACTIVE, WebhookEvent, events_of, find};
use crate::App;
use crate::mlflow::invalid;

/// The job that sends one delivery.
const DELIVER: &str = "deliver_webhook";
/// Longest part of an answer that a test shows.
const SHOWN_MAX: usize = 4096;
/// Answers after which another try may help; as MLflow's client has them.
const TRY_AGAIN: [u16; 5] = [429, 500, 502, 503, 504];

/// What is to be delivered, and under which id: the same one at every try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    webhook: String,
    id: String,
    event: String,
    at: Timestamp,
    data: Value,
    /// The traced request that it tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<Carried>,
}

/// Why a delivery did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// Another try may succeed.
    #[error("{0}")]
    Later(String),
    /// No try will.
    #[error("{0}")]
    Never(String),
}

/// What a test delivery came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// Whether it was taken.
    pub success: bool,
    /// The status that was answered.
    pub status: Option<u16>,
    /// The beginning of the answer.
    pub body: Option<String>,
    /// Why there is none.
    pub error: Option<String>,
}

impl Delivery {
    pub(super) fn new(webhook: &str, event: &str, data: Value, at: Timestamp) -> Self {
        let id = uuid::Uuid::now_v7().to_string();
        Self { webhook: webhook.to_owned(), id, event: event.to_owned(), at, data, trace: None }
    }

    /// As part of a traced request.
    #[must_use]
    pub(super) fn traced(self, trace: Option<Carried>) -> Self {
        Self { trace, ..self }
    }

    pub(super) fn enqueue(&self, app: &App, tx: &mut Tx) -> Result<(), StoreError> {
        let now = Timestamp::from_system();
        let row = job::NewJob {
            id: JobId::new(now),
            workspace_id: app.workspace(),
            kind: DELIVER.to_owned(),
            payload_json: json!(self).to_string(),
            dedupe_key: Some(format!("{DELIVER}:{}", self.id)),
            created_at: now,
            run_at: now,
            attempts_max: app.webhook_desk().attempts_max,
        };
        job::enqueue(tx, &row).map(|_| ())
    }

    /// The text that is signed and sent.
    fn body(&self) -> String {
        let (entity, action) = self.event.split_once('.').unwrap_or((&self.event, ""));
        json!({
            "entity": entity, "action": action, "timestamp": self.at.to_string(),
            "data": self.data,
        })
        .to_string()
    }
}

impl App {
    /// Sends a delivery of the queue; one whose webhook is gone or disabled is done with.
    ///
    /// # Errors
    /// [`Undelivered`]: whether another try may help.
    pub async fn deliver_webhook(&self, delivery: Delivery) -> Result<(), Undelivered> {
        let scope = self.authorise(&self.system(), Operation::ManageWebhooks);
        let (scope, id) =
            (scope.map_err(|e| Undelivered::Later(e.to_string()))?, delivery.webhook.clone());
        let found = self
            .store()
            .read("find_webhook", move |tx| webhook::find(tx, &scope, &id))
            .await
            .map_err(|e: StoreError| Undelivered::Later(e.to_string()))?;
        let Some(hook) = found.filter(|hook| hook.status == ACTIVE) else { return Ok(()) };
        let answer = self.send(hook, &delivery).await?;
        match answer.status {
            200..=299 => Ok(()),
            status if TRY_AGAIN.contains(&status) => {
                Err(Undelivered::Later(format!("the webhook's address answered {status}")))
            }
            status @ 300..=399 => Err(Undelivered::Never(format!(
                "the webhook's address answered {status}: redirects are not followed"
            ))),
            status => Err(Undelivered::Never(format!("the webhook's address answered {status}"))),
        }
    }

    /// Sends an example of an event now, and tells what was answered.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn test_webhook(
        &self,
        caller: &Caller,
        id: &str,
        event: Option<WebhookEvent>,
    ) -> Result<Tested, Error> {
        let scope = self.authorise(caller, Operation::ManageWebhooks)?;
        let hook = self.find_webhook(scope, id).await?;
        let event = event.or_else(|| events_of(&hook).first().copied());
        let event = event.ok_or_else(|| invalid("the webhook is told of no event"))?;
        let delivery = Delivery::new(id, &event.word(), event.example(), self.now());
        let delivery = delivery.traced(viaduct_telemetry::current().map(|j| j.carried()));
        Ok(match self.send(hook, &delivery).await {
            Ok(answer) => Tested {
                success: (200..300).contains(&answer.status),
                status: Some(answer.status),
                body: Some(answer.body.chars().take(SHOWN_MAX).collect()),
                error: None,
            },
            Err(undelivered) => Tested {
                success: false,
                status: None,
                body: None,
                error: Some(format!("Failed to test webhook: {undelivered}")),
            },
        })
    }

    async fn find_webhook(&self, scope: Scope, id: &str) -> Result<WebhookRow, Error> {
        let id = id.to_owned();
        self.store().read("find_webhook", move |tx| find(tx, &scope, &id)).await
    }

    /// Signs and posts; on a thread that may block.
    async fn send(&self, hook: WebhookRow, delivery: &Delivery) -> Result<Answer, Undelivered> {
        let body = delivery.body();
        let seconds = Timestamp::from_system().as_micros().div_euclid(1_000_000);
        let mut headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("X-MLflow-Delivery-Id", delivery.id.clone()),
            ("X-MLflow-Timestamp", seconds.to_string()),
        ];
        if let Some(sealed) = &hook.sealed_secret {
            let key = self.sealing_key().map_err(|e| Undelivered::Never(e.to_string()))?;
            let secret = key
                .open(&hook.webhook_id, sealed)
                .map_err(|e| Undelivered::Never(e.to_string()))?;
            let signature = sign(secret.expose(), &delivery.id, seconds, &body);
            headers.push(("X-MLflow-Signature", signature));
        }
        let traced = self.telemetry().zip(delivery.trace.as_ref());
        let mut hop = traced.and_then(|(to, trace)| to.resume(trace, "POST webhook"));
        match (&hop, &delivery.trace) {
            (Some(hop), _) => headers.extend(hop.headers()),
            // Nothing is traced any more: what was to be passed on is passed on.
            (None, Some(trace)) => headers.extend(trace.headers()),
            (None, None) => {}
        }
        let outbound = self.webhook_desk().outbound.clone();
        let sending = move || outbound.post(&hook.url, &headers, body.as_bytes());
        let sent = tokio::task::spawn_blocking(sending).await;
        let sent =
            sent.map_err(|e| Undelivered::Later(Fault::caused("send a webhook", e).chain()))?;
        if let Some(hop) = &mut hop {
            hop.note("http.request.method", "POST");
            hop.note("viaduct.webhook", delivery.webhook.clone());
            hop.note("viaduct.event", delivery.event.clone());
            match &sent {
                Ok(answer) => hop.answered(answer.status),
                Err(SendError::Refused(_)) => hop.failed("address_refused"),
                Err(SendError::Unreachable(_)) => hop.failed("no_answer"),
            }
        }
        sent.map_err(|e| match e {
            SendError::Refused(said) => Undelivered::Never(said),
            SendError::Unreachable(said) => Undelivered::Later(said),
        })
    }
}
