//! Experiments and their tags.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use viaduct_store::StoreError;
use viaduct_store::mlflow::experiment::{self, ExperimentRow};
use viaduct_store::mlflow::{Lifecycle, Pair, pair};

use super::Work;
use crate::source::{moment, pair as read_pair, text};
use crate::{ExchangeError, Line};

/// The experiment that every server makes by itself.
const DEFAULT: &str = "0";

/// An experiment with its tags.
pub(super) struct Experiment {
    row: ExperimentRow,
    tags: Vec<Pair>,
}

impl Work<'_> {
    /// Reads the source's experiments and refuses those that clash with ours.
    pub(super) fn read_experiments(&mut self) -> Result<Vec<Experiment>, ExchangeError> {
        let sql = format!(
            "SELECT CAST(e.experiment_id AS TEXT) AS experiment_id, e.name, e.artifact_location, \
             e.lifecycle_stage, {}, {} FROM experiments e WHERE {} ORDER BY e.experiment_id",
            self.source.maybe("experiments", "creation_time").replace("experiments.", "e."),
            self.source.maybe("experiments", "last_update_time").replace("experiments.", "e."),
            self.source.ours("experiments").replace("experiments.", "e."),
        );
        let mut tags: BTreeMap<String, Vec<Pair>> = BTreeMap::new();
        self.source.each(
            "SELECT CAST(experiment_id AS TEXT) AS experiment_id, key, value FROM experiment_tags",
            &[],
            |row| {
                tags.entry(text(&row, "experiment_id")?).or_default().push(read_pair(&row)?);
                Ok(())
            },
        )?;
        let files = self.files.clone();
        let mut found = Vec::new();
        self.source.each(&sql, &[], |row| {
            let experiment_id = text(&row, "experiment_id")?;
            let lifecycle = match text(&row, "lifecycle_stage")?.as_str() {
                "deleted" => Lifecycle::Deleted,
                _ => Lifecycle::Active,
            };
            let updated_at = moment(&row, "last_update_time")?;
            found.push(Experiment {
                tags: tags.remove(&experiment_id).unwrap_or_default(),
                row: ExperimentRow {
                    name: text(&row, "name")?,
                    artifact_location: files.uri(&text(&row, "artifact_location")?),
                    lifecycle,
                    created_at: moment(&row, "creation_time")?,
                    updated_at,
                    deleted_at: (lifecycle == Lifecycle::Deleted).then_some(updated_at),
                    experiment_id,
                },
            });
            Ok(())
        })?;
        self.refuse_other_experiments(&found)?;
        self.experiments = found.iter().map(|e| e.row.experiment_id.clone()).collect();
        Ok(found)
    }

    fn refuse_other_experiments(&self, found: &[Experiment]) -> Result<(), ExchangeError> {
        let scope = self.scope;
        let ours =
            self.store.read_blocking("list_experiments", move |tx| experiment::list(tx, &scope))?;
        let by_id: HashMap<&str, &ExperimentRow> =
            ours.iter().map(|row| (row.experiment_id.as_str(), row)).collect();
        let by_name: HashMap<&str, &str> =
            ours.iter().map(|row| (row.name.as_str(), row.experiment_id.as_str())).collect();
        let clash = found.iter().map(|e| &e.row).find_map(|row| {
            match by_id.get(row.experiment_id.as_str()) {
                Some(here) if here.created_at == row.created_at || here.name == row.name => None,
                Some(here) => Some(format!(
                    "experiment `{}` is `{}` there and `{}` here",
                    row.experiment_id, row.name, here.name
                )),
                None => by_name.get(row.name.as_str()).map(|id| {
                    format!(
                        "the experiment `{}` has the id {} there and {id} here",
                        row.name, row.experiment_id
                    )
                }),
            }
        });
        match clash {
            None => Ok(()),
            Some(clash) => Err(ExchangeError::Refused(format!(
                "{clash}: ids survive an import, so import into a new `--data-dir` or rename it"
            ))),
        }
    }

    pub(super) fn write_experiments(
        &mut self,
        found: Vec<Experiment>,
    ) -> Result<(), ExchangeError> {
        self.watch.begin("experiments", found.len() as u64);
        let all = self.source.count("experiments", "1 = 1")?;
        let mut line = Line { what: "experiments", found: all, ..Line::default() };
        line.skipped = all - found.len() as u64;
        let mut tag_line = Line { what: "experiment tags", ..Line::default() };
        let found = Arc::new(found);
        for start in (0..found.len()).step_by(500) {
            let (batch, scope) = (Arc::clone(&found), self.scope);
            let written = self.store.write_blocking("import_experiments", move |tx| {
                let (mut new, mut tags) = (0_u64, 0_u64);
                for Experiment { row, tags: pairs } in batch.iter().skip(start).take(500) {
                    let id = &row.experiment_id;
                    if experiment::find(tx, &scope, id)?.is_none() {
                        experiment::insert(tx, &scope, row)?;
                        new += 1;
                    }
                    let here = pair::list_experiment_tags(tx, &scope, id)?;
                    for tag in pairs.iter().filter(|tag| here.iter().all(|h| h.key != tag.key)) {
                        pair::set_experiment_tag(tx, &scope, id, tag)?;
                        tags += 1;
                    }
                }
                Ok::<_, StoreError>((new, tags))
            })?;
            line.brought += written.0;
            tag_line.brought += written.1;
            self.watch.advance(500.min(found.len() - start) as u64);
        }
        line.present = found.len() as u64 - line.brought;
        tag_line.found = found.iter().map(|e| e.tags.len() as u64).sum();
        tag_line.present = tag_line.found - tag_line.brought;
        if line.skipped > 0 {
            self.report.note(format!(
                "{} experiments belong to other workspaces than `default` and were left with their runs",
                line.skipped
            ));
        }
        let kept = found.iter().any(|e| e.row.experiment_id == DEFAULT) && line.present > 0;
        if kept {
            self.report.note(
                "experiments that are here already keep their name, place and stage; new runs of them go where they go here",
            );
        }
        self.report.add(line);
        self.report.add(tag_line);
        Ok(())
    }
}
