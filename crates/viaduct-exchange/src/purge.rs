//! What was deleted long ago leaves for good, with its files; the audit trail says what it was.

use serde_json::json;
use viaduct_base::{AuditId, Timestamp};
use viaduct_blob::{BlobPath, Blobs};
use viaduct_store::audit::{self, AuditRow};
use viaduct_store::mlflow::purge::{self, PurgeableRow, Purged};
use viaduct_store::{Scope, Store, StoreError};

use crate::files::Files;
use crate::{ExchangeError, Line, Report, Watch};

/// Things of one transaction.
const BATCH: i64 = 200;

/// What to purge.
#[derive(Clone)]
pub struct Purge {
    /// Our database.
    pub store: Store,
    /// The workspace.
    pub scope: Scope,
    /// Where artifacts are.
    pub blobs: Blobs,
    /// What was deleted then or earlier goes.
    pub before: Timestamp,
    /// Now, by the machine.
    pub now: Timestamp,
    /// Only count.
    pub is_dry: bool,
}

/// Purges runs, logged models, and experiments that are left empty, in this order.
///
/// # Errors
/// When the database or a file cannot be written: what is done is done, run it again.
pub fn purge(wanted: &Purge, watch: &mut dyn Watch) -> Result<Report, ExchangeError> {
    let mut report = Report::default();
    for (kind, what) in [
        (Purged::Run, "deleted runs"),
        (Purged::LoggedModel, "deleted models"),
        (Purged::Experiment, "empty experiments"),
    ] {
        watch.begin(what, 0);
        let mut line = Line { what, ..Line::default() };
        let mut last = String::new();
        loop {
            let (scope, after, before) = (wanted.scope, last.clone(), wanted.before);
            let rows = wanted.store.read_blocking("list_purgeable", move |tx| {
                purge::list(tx, &scope, (kind, before), (&after, BATCH))
            })?;
            let Some(end) = rows.last() else { break };
            last.clone_from(&end.id);
            line.found += rows.len() as u64;
            if !wanted.is_dry {
                line.brought += take(wanted, kind, rows.clone(), &mut report)?;
            }
            watch.advance(rows.len() as u64);
        }
        report.add(line);
    }
    if wanted.is_dry {
        report.note("nothing was taken away: this was a rehearsal");
    } else {
        let of = |source| ExchangeError::file("artifacts", source);
        let freed = wanted.blobs.gc().map_err(of)?;
        report.note(format!(
            "{} objects that nothing names freed {} bytes",
            freed.objects, freed.bytes
        ));
    }
    report.note("runs and logged models that a model version came from stay");
    Ok(report)
}

/// Why files first: a row without files is found and finished by the next purge, a file without its
/// row by nobody.
fn take(
    wanted: &Purge,
    kind: Purged,
    rows: Vec<PurgeableRow>,
    report: &mut Report,
) -> Result<u64, ExchangeError> {
    for row in &rows {
        let path = Files::storage_path(&row.artifact_uri).and_then(|p| p.parse::<BlobPath>().ok());
        let deleted = path.map(|path| wanted.blobs.delete(&path));
        match deleted {
            Some(Err(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                report.note(format!(
                    "the files of `{}` lie elsewhere: `{}`",
                    row.id, row.artifact_uri
                ));
            }
            Some(Err(error)) => return Err(ExchangeError::file(&row.artifact_uri, error)),
            Some(Ok(_)) | None => {}
        }
    }
    let (scope, now, count) = (wanted.scope, wanted.now, rows.len() as u64);
    wanted.store.write_blocking("purge", move |tx| {
        for row in &rows {
            purge::delete(tx, &scope, kind, &row.id)?;
        }
        // Why last: an entry holds the head of its chain until the commit.
        rows.iter().try_for_each(|row| audit::append(tx, &entry(&scope, kind, row, now)))?;
        Ok::<_, StoreError>(())
    })?;
    Ok(count)
}

fn entry(scope: &Scope, kind: Purged, row: &PurgeableRow, now: Timestamp) -> AuditRow {
    let kind = match kind {
        Purged::Run => "run",
        Purged::LoggedModel => "logged_model",
        Purged::Experiment => "experiment",
    };
    AuditRow {
        id: AuditId::new(now),
        workspace_id: scope.workspace,
        project_id: None,
        at: now,
        clock: "system".to_owned(),
        actor_kind: "system".to_owned(),
        actor_id: None,
        actor_name: "viaduct gc".to_owned(),
        action: format!("{kind}.purged"),
        object_kind: kind.to_owned(),
        object_id: row.id.clone(),
        detail_json: json!({
            "artifact_uri": row.artifact_uri,
            "deleted_at": row.deleted_at.to_string(),
        })
        .to_string(),
    }
}
