//! Writes what follows: the row, its history, the audit trail, and at the end the binding.

use serde_json::{Value, json};
use viaduct_base::{Error, Fault, Timestamp};
use viaduct_domain::manifest::{EndpointSpec, ModelRef, Pick};
use viaduct_domain::permission::{Caller, Who};
use viaduct_domain::rollout::{Event, Move, Phase};
use viaduct_store::endpoint;
use viaduct_store::mlflow::registry::{self, AliasRow};
use viaduct_store::rollout::{self, RolloutEventRow, RolloutRow};
use viaduct_store::{Scope, Tx};

use super::evidence::Baseline;
use crate::App;
use crate::alert::NewAlert;
use crate::audit::Deed;
use crate::mlflow::resolve::resolve_version;

impl App {
    /// Writes one event of the history, with its audit entry and event.
    pub(super) fn tell_rollout(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        row: &RolloutRow,
        (event, reason): (Event, &str),
        caller: &Caller,
        evidence: &Value,
    ) -> Result<(), Error> {
        let now = self.now();
        let told = RolloutEventRow {
            rollout_id: row.id,
            seq: 0,
            workspace_id: scope.workspace,
            at: now,
            event: event.to_string(),
            step: row.step,
            phase: row.phase.clone(),
            reason: reason.to_owned(),
            actor: caller.actor().to_owned(),
            evidence_json: evidence.to_string(),
        };
        rollout::tell(tx, scope, &told)?;
        let action = match event {
            Event::Started => "rollout.started",
            Event::Held => "rollout.held",
            Event::Advanced => "rollout.advanced",
            Event::Finished => "rollout.finished",
            Event::RolledBack => "rollout.rolled_back",
            Event::Paused => "rollout.paused",
            Event::Resumed => "rollout.resumed",
        };
        let deed = Deed {
            action,
            object_kind: "rollout",
            object_id: &row.id.to_string(),
            project: row.project_id,
            detail: json!({ "model": row.model_name, "from": row.from_version,
                "to": row.to_version, "step": row.step, "phase": row.phase, "reason": reason }),
        };
        Ok(self.record(tx, caller, now, &deed)?)
    }

    /// Writes a move of the state machine; `row` was read at its revision.
    pub(super) fn write_move(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        mut row: RolloutRow,
        moved: &Move,
        baseline: Baseline,
        caller: &Caller,
    ) -> Result<(), Error> {
        let now = self.now();
        let was_full = row.phase == Phase::Full.as_str();
        row.phase = moved.state.phase.to_string();
        row.is_open = moved.state.phase.is_open();
        row.step = i64::try_from(moved.state.step).unwrap_or_default();
        row.reason.clone_from(&moved.state.reason);
        row.judged_json = "[]".to_owned();
        if moved.event == Event::Advanced {
            row.baseline_json =
                serde_json::to_string(&baseline).map_err(|e| Fault::caused("write counters", e))?;
        }
        row.step_since = moved.state.since;
        row.ended_at = (!row.is_open).then_some(now);
        rollout::update(tx, scope, &row)?;
        let evidence = json!(moved.judged);
        let said = (moved.event, moved.state.reason.as_str());
        self.tell_rollout(tx, scope, &row, said, caller, &evidence)?;
        match moved.event {
            Event::Finished => self.rebind(tx, scope, &row, row.to_version, now),
            Event::RolledBack => {
                if was_full {
                    self.rebind(tx, scope, &row, row.from_version, now)?;
                }
                // A person who asked for it needs no alert.
                if caller.who == Who::System {
                    self.alert_of_rollback(tx, scope, &row)
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }

    /// Rolls an open rollout back for a reason that nobody measured.
    pub(crate) fn end_rollout(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        mut row: RolloutRow,
        caller: &Caller,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        row.phase = Phase::RolledBack.to_string();
        row.is_open = false;
        row.reason = reason.to_owned();
        row.step_since = now;
        row.ended_at = Some(now);
        rollout::update(tx, scope, &row)?;
        self.tell_rollout(tx, scope, &row, (Event::RolledBack, reason), caller, &Value::Null)
    }

    /// Puts a version behind the endpoint, and lets the alias that it follows say so too.
    fn rebind(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        row: &RolloutRow,
        version: i64,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(mut found) = endpoint::find(tx, scope, row.endpoint_id)? else { return Ok(()) };
        let mut spec: EndpointSpec = serde_json::from_str(&found.spec_json)
            .map_err(|e| Fault::caused(format!("endpoint `{}`", found.name), e))?;
        let number = u64::try_from(version).unwrap_or_default();
        let reference = ModelRef { name: row.model_name.clone(), pick: Pick::Version(number) };
        let Some(resolved) = resolve_version(tx, scope, &reference)? else { return Ok(()) };
        match &spec.model.pick {
            Pick::Alias(alias) if spec.model.name == row.model_name => {
                let aliases = registry::list_aliases(tx, scope, &row.model_name)?;
                if aliases.iter().find(|a| a.alias == *alias).map(|a| a.version) != Some(version) {
                    let moved = AliasRow { alias: alias.clone(), version, set_at: now };
                    registry::set_alias(tx, scope, &row.model_name, &moved)?;
                    let deed = Deed {
                        action: "model_alias.set",
                        object_kind: "model_alias",
                        object_id: &format!("{}@{alias}", row.model_name),
                        project: None,
                        detail: json!({ "version": version, "rollout": row.id }),
                    };
                    self.record(tx, &self.system(), now, &deed)?;
                }
            }
            _ => {
                spec.model = reference;
                found.model_name.clone_from(&row.model_name);
                found.model_alias = version.to_string();
                found.spec_json = serde_json::to_string(&spec)
                    .map_err(|e| Fault::caused("write an endpoint as JSON", e))?;
                found.updated_at = now;
                endpoint::update(tx, scope, &found)?;
            }
        }
        self.put_binding(tx, scope, &found, &spec, &resolved, now)
    }

    fn alert_of_rollback(&self, tx: &mut Tx, scope: &Scope, row: &RolloutRow) -> Result<(), Error> {
        if row.trigger_kind == "drill" {
            return Ok(());
        }
        let Some(found) = endpoint::find(tx, scope, row.endpoint_id)? else { return Ok(()) };
        let alert = NewAlert {
            kind: "rolled_back",
            subject: row.id.to_string(),
            detail: format!(
                "version {} of `{}` was rolled back on `{}`: {}",
                row.to_version, row.model_name, found.name, row.reason
            ),
            advice: format!("viaduct rollout get {}", row.id),
            for_whom: row.started_by.clone(),
            is_drill: false,
            count: 1,
        };
        self.raise_alert(tx, scope, &found, alert)
    }
}
