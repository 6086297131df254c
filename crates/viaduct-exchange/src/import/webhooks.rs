//! Webhooks of the registry, without their secrets.

use std::collections::BTreeMap;

use viaduct_store::StoreError;
use viaduct_store::mlflow::webhook::{self, WebhookRow};

use super::Work;
use crate::source::{moment, opt_text, text};
use crate::{ExchangeError, Line};

impl Work<'_> {
    pub(super) fn bring_webhooks(&mut self) -> Result<(), ExchangeError> {
        if !self.source.has("webhooks", "webhook_id") {
            return Ok(());
        }
        let only = self.source.ours("webhooks").replace("webhooks.", "");
        let mut events: BTreeMap<String, Vec<String>> = BTreeMap::new();
        self.source.each("SELECT webhook_id, entity, action FROM webhook_events", &[], |row| {
            let event = format!("{}.{}", text(&row, "entity")?, text(&row, "action")?);
            events.entry(text(&row, "webhook_id")?).or_default().push(event);
            Ok(())
        })?;
        let sql = format!(
            "SELECT webhook_id, name, url, description, status, creation_timestamp, \
             last_updated_timestamp, CASE WHEN secret IS NULL THEN 0 ELSE 1 END AS has_secret \
             FROM webhooks WHERE deleted_timestamp IS NULL AND {only}"
        );
        let (mut rows, mut closed) = (Vec::new(), 0_u64);
        self.source.each(&sql, &[], |row| {
            let id = text(&row, "webhook_id")?;
            let mut told = events.remove(&id).unwrap_or_default();
            told.sort();
            // Why disabled: what was signed would arrive unsigned.
            let has_secret = row.int("has_secret")? != 0;
            closed += u64::from(has_secret);
            let status = opt_text(&row, "status")?.filter(|_| !has_secret);
            rows.push(WebhookRow {
                name: text(&row, "name")?,
                url: text(&row, "url")?,
                description: opt_text(&row, "description")?,
                events_json: serde_json::Value::from(told).to_string(),
                status: status.unwrap_or_else(|| "DISABLED".to_owned()),
                sealed_secret: None,
                created_at: moment(&row, "creation_timestamp")?,
                updated_at: moment(&row, "last_updated_timestamp")?,
                webhook_id: id,
            });
            Ok(())
        })?;
        let (found, scope) = (rows.len() as u64, self.scope);
        let brought = self.store.write_blocking("import_webhooks", move |tx| {
            let mut new = 0_u64;
            for row in &rows {
                if webhook::find(tx, &scope, &row.webhook_id)?.is_none() {
                    webhook::insert(tx, &scope, row)?;
                    new += 1;
                }
            }
            Ok::<_, StoreError>(new)
        })?;
        let present = found - brought;
        self.report.add(Line { what: "webhooks", found, brought, present, skipped: 0 });
        if closed > 0 {
            self.report.note(format!(
                "{closed} webhooks sign with a secret, which does not travel: they are disabled; give each its secret and enable it"
            ));
        }
        Ok(())
    }
}
