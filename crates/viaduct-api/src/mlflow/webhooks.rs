//! `webhooks…`: admins say who is told of changes in the registry.

use axum::extract::{Path, State};
use serde_json::{Map, Value, json};
use viaduct_app::App;
use viaduct_app::mlflow::{NewWebhook, WebhookChange, WebhookEvent, WebhookView};
use viaduct_base::Secret;
use viaduct_domain::permission::Operation::ManageWebhooks;
use viaduct_wire::mlflow::{Fields, One};

use super::answer::{Done, Reply, Shown, Trouble, done};
use super::input::{self, Input};
use super::{BODY, DOC};
use crate::extract::Who;
use crate::routes::Routes;

/// Routes below `…/2.0/mlflow`.
pub(super) fn routes(prefix: &str) -> Routes {
    let all = format!("{prefix}/webhooks");
    let one = format!("{all}/{{webhook_id}}");
    Routes::new()
        .post(&all, ManageWebhooks, create, BODY)
        .get(&all, ManageWebhooks, list, DOC.query(&["max_results", "page_token"]))
        .get(&one, ManageWebhooks, get, DOC)
        .patch(&one, ManageWebhooks, update, BODY)
        .delete(&one, ManageWebhooks, delete, DOC)
        .post(&format!("{one}/test"), ManageWebhooks, test, BODY)
}

fn event(fields: &Fields<'_>) -> Result<WebhookEvent, Trouble> {
    Ok(WebhookEvent::parse(&fields.required("entity")?, &fields.required("action")?)?)
}

fn events(fields: &Fields<'_>) -> Result<Vec<WebhookEvent>, Trouble> {
    fields.objects("events")?.iter().map(event).collect()
}

fn show(seen: WebhookView) -> Value {
    let millis = |at: viaduct_base::Timestamp| at.as_micros().div_euclid(1000);
    let events: Vec<Value> = seen
        .events
        .iter()
        .map(|event| {
            let (entity, action) = (event.entity.to_uppercase(), event.action.to_uppercase());
            json!({ "entity": entity, "action": action })
        })
        .collect();
    let mut shown = Map::from_iter([
        ("webhook_id".to_owned(), Value::from(seen.id)),
        ("name".to_owned(), seen.name.into()),
        ("url".to_owned(), seen.url.into()),
        ("events".to_owned(), events.into()),
        ("status".to_owned(), seen.status.into()),
        ("creation_timestamp".to_owned(), millis(seen.created_at).into()),
        ("last_updated_timestamp".to_owned(), millis(seen.updated_at).into()),
    ]);
    if let Some(description) = seen.description {
        shown.insert("description".to_owned(), description.into());
    }
    Value::Object(shown)
}

async fn create(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<One<Value>> {
    let fields = input.fields();
    let new = NewWebhook {
        name: fields.required("name")?,
        url: fields.required("url")?,
        events: events(&fields)?,
        description: fields.text("description")?,
        secret: fields.text("secret")?.map(Secret::new),
        status: input::word(&fields, "status")?,
    };
    Ok(Shown(One("webhook", show(app.create_webhook(&caller, new).await?))))
}

async fn list(State(app): State<App>, Who(caller): Who, input: Input) -> Reply<Value> {
    let page = app.list_webhooks(&caller, input::page(&input.fields())?).await?;
    let mut shown = Map::new();
    if !page.items.is_empty() {
        shown.insert("webhooks".to_owned(), page.items.into_iter().map(show).collect());
    }
    if let Some(token) = page.next {
        shown.insert("next_page_token".to_owned(), token.into());
    }
    Ok(Shown(Value::Object(shown)))
}

async fn get(
    State(app): State<App>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply<One<Value>> {
    Ok(Shown(One("webhook", show(app.get_webhook(&caller, &id).await?))))
}

async fn update(
    State(app): State<App>,
    Who(caller): Who,
    Path(id): Path<String>,
    input: Input,
) -> Reply<One<Value>> {
    let fields = input.fields();
    let told = events(&fields)?;
    let change = WebhookChange {
        name: fields.text("name")?.filter(|name| !name.is_empty()),
        url: fields.text("url")?.filter(|url| !url.is_empty()),
        events: (!told.is_empty()).then_some(told),
        description: fields.text("description")?,
        secret: fields.text("secret")?.map(Secret::new),
        status: input::word(&fields, "status")?,
    };
    Ok(Shown(One("webhook", show(app.update_webhook(&caller, &id, change).await?))))
}

async fn delete(State(app): State<App>, Who(caller): Who, Path(id): Path<String>) -> Reply<Done> {
    Ok(done(app.delete_webhook(&caller, &id).await?))
}

async fn test(
    State(app): State<App>,
    Who(caller): Who,
    Path(id): Path<String>,
    input: Input,
) -> Reply<One<Value>> {
    let wanted = input.fields().object("event")?.map(|fields| event(&fields)).transpose()?;
    let tested = app.test_webhook(&caller, &id, wanted).await?;
    let mut shown = Map::from_iter([("success".to_owned(), Value::from(tested.success))]);
    if let Some(status) = tested.status {
        shown.insert("response_status".to_owned(), status.into());
    }
    if let Some(body) = tested.body {
        shown.insert("response_body".to_owned(), body.into());
    }
    if let Some(error) = tested.error {
        shown.insert("error_message".to_owned(), error.into());
    }
    Ok(Shown(One("result", Value::Object(shown))))
}
