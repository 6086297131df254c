//! Runs with all that hangs on them but the points of their metrics.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value as Json};
use viaduct_store::mlflow::run::{self, RunInputRow, RunModelRow, RunRow};
use viaduct_store::mlflow::run_parts;
use viaduct_store::mlflow::{Lifecycle, Pair, pair};
use viaduct_store::{Scope, StoreError, Tx, Value};

use super::Work;
use super::metrics::Points;
use crate::files::Lies;
use crate::source::{moment, opt_moment, opt_text, pair as read_pair, text};
use crate::{ExchangeError, Line};

/// Runs of one transaction.
const BATCH: i64 = 200;

/// A run with its parts.
#[derive(Debug, Clone)]
struct Run {
    row: RunRow,
    params: Vec<Pair>,
    tags: Vec<Pair>,
    inputs: Vec<RunInputRow>,
    models: Vec<RunModelRow>,
}

/// What a batch wrote.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    runs: u64,
    params: u64,
    tags: u64,
    inputs: u64,
    models: u64,
}

/// Lines of the report, filled batch by batch.
struct Lines {
    runs: Line,
    params: Line,
    tags: Line,
    inputs: Line,
    models: Line,
}

impl Lines {
    fn new(all: u64) -> Self {
        let line = |what| Line { what, ..Line::default() };
        Self {
            runs: Line { found: all, ..line("runs") },
            params: line("params"),
            tags: line("tags"),
            inputs: line("dataset inputs"),
            models: line("model in/outputs"),
        }
    }

    fn count(&mut self, batch: &[Run], written: Written) {
        let add = |line: &mut Line, found: usize, brought: u64| {
            line.found += found as u64;
            line.brought += brought;
            line.present += (found as u64).saturating_sub(brought);
        };
        self.runs.brought += written.runs;
        self.runs.present += batch.len() as u64 - written.runs;
        let sum = |count: fn(&Run) -> usize| batch.iter().map(count).sum();
        add(&mut self.params, sum(|r| r.params.len()), written.params);
        add(&mut self.tags, sum(|r| r.tags.len()), written.tags);
        add(&mut self.inputs, sum(|r| r.inputs.len()), written.inputs);
        add(&mut self.models, sum(|r| r.models.len()), written.models);
    }
}

impl Work<'_> {
    pub(super) fn bring_runs(&mut self) -> Result<(), ExchangeError> {
        let all = self.source.count("runs", "1 = 1")?;
        self.watch.begin("runs", all);
        let mut lines = Lines::new(all);
        let mut points = Points::default();
        let mut places: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut last = String::new();
        loop {
            let (batch, read) = self.read_runs(&last)?;
            let Some(end) = read else { break };
            for run in &batch {
                *places.entry(place(&self.files.lies(&run.row.artifact_uri))).or_default() += 1;
            }
            let batch = self.with_our_uris(batch);
            let owners: Vec<(String, String)> = batch
                .iter()
                .map(|run| (run.row.run_id.clone(), run.row.experiment_id.clone()))
                .collect();
            let (batch, scope) = (Arc::new(batch), self.scope);
            let shared = Arc::clone(&batch);
            let written = self
                .store
                .write_blocking("import_runs", move |tx| write_runs(tx, &scope, &shared))?;
            lines.count(&batch, written);
            self.bring_points((&last, &end.last), &owners, &mut points)?;
            lines.runs.skipped += end.count - batch.len() as u64;
            self.watch.advance(end.count);
            last = end.last;
        }
        for (what, n) in places {
            self.report.note(format!("artifacts of {n} runs {what}"));
        }
        for line in
            [lines.runs, lines.params, lines.tags, points.line(), lines.inputs, lines.models]
        {
            self.report.add(line);
        }
        Ok(())
    }

    fn with_our_uris(&self, mut batch: Vec<Run>) -> Vec<Run> {
        for run in &mut batch {
            run.row.artifact_uri = self.files.uri(&run.row.artifact_uri);
        }
        batch
    }

    /// The runs after `last` that are brought, and what was read in all; `None` at the end.
    fn read_runs(&mut self, last: &str) -> Result<(Vec<Run>, Option<End>), ExchangeError> {
        let rows = self.source.query(
            &format!(
                "SELECT run_uuid, name, user_id, status, start_time, end_time, lifecycle_stage, \
                 artifact_uri, CAST(experiment_id AS TEXT) AS experiment_id, {} FROM runs \
                 WHERE run_uuid > $1 ORDER BY run_uuid LIMIT {BATCH}",
                self.source.maybe("runs", "deleted_time")
            ),
            &[last.into()],
        )?;
        let mut batch = Vec::with_capacity(rows.len());
        let mut end = None;
        for row in &rows {
            let row = read_run(row)?;
            end = Some(End { last: row.run_id.clone(), count: rows.len() as u64 });
            if self.experiments.contains(&row.experiment_id) {
                batch.push(Run {
                    row,
                    params: Vec::new(),
                    tags: Vec::new(),
                    inputs: Vec::new(),
                    models: Vec::new(),
                });
            }
        }
        if let Some(end) = &end {
            self.read_parts(&mut batch, [last.into(), (&end.last).into()])?;
        }
        Ok((batch, end))
    }

    fn read_parts(&mut self, batch: &mut [Run], range: [Value; 2]) -> Result<(), ExchangeError> {
        let places: HashMap<String, usize> =
            batch.iter().enumerate().map(|(at, run)| (run.row.run_id.clone(), at)).collect();
        let at =
            |row: &viaduct_store::Row| Ok::<_, StoreError>(places.get(&text(row, "run_uuid")?));
        for (table, is_param) in [("params", true), ("tags", false)] {
            let sql = format!(
                "SELECT run_uuid, key, value FROM {table} WHERE run_uuid > $1 AND run_uuid <= $2"
            );
            self.source.each(&sql, &range, |row| {
                if let Some(run) = at(&row)?.and_then(|at| batch.get_mut(*at)) {
                    let pairs = if is_param { &mut run.params } else { &mut run.tags };
                    pairs.push(read_pair(&row)?);
                }
                Ok(())
            })?;
        }
        if self.source.has("inputs", "input_uuid") && self.source.has("datasets", "dataset_uuid") {
            let mut tags = self.read_input_tags(&range)?;
            self.source.each(INPUTS, &range, |row| {
                if let Some(run) = at(&row)?.and_then(|at| batch.get_mut(*at)) {
                    let tags = tags.remove(&text(&row, "input_uuid")?).unwrap_or_default();
                    run.inputs.push(read_input(&row, tags)?);
                }
                Ok(())
            })?;
            let step = if self.source.has("inputs", "step") { "step" } else { "0" };
            let sql = format!(
                "SELECT source_id AS run_uuid, source_type, destination_id, \
                 CAST({step} AS BIGINT) AS step FROM inputs \
                 WHERE source_type IN ('RUN_INPUT', 'RUN_OUTPUT') \
                 AND source_id > $1 AND source_id <= $2"
            );
            self.source.each(&sql, &range, |row| {
                if let Some(run) = at(&row)?.and_then(|at| batch.get_mut(*at)) {
                    let is_input = text(&row, "source_type")? == "RUN_INPUT";
                    run.models.push(RunModelRow {
                        model_id: text(&row, "destination_id")?,
                        direction: if is_input { "input" } else { "output" }.to_owned(),
                        step: row.opt_int("step")?.unwrap_or_default(),
                    });
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn read_input_tags(
        &mut self,
        range: &[Value],
    ) -> Result<HashMap<String, Map<String, Json>>, ExchangeError> {
        let mut tags: HashMap<String, Map<String, Json>> = HashMap::new();
        if !self.source.has("input_tags", "input_uuid") {
            return Ok(tags);
        }
        self.source.each(
            "SELECT t.input_uuid, t.name, t.value FROM input_tags t \
             JOIN inputs i ON i.input_uuid = t.input_uuid \
             WHERE i.destination_type = 'RUN' AND i.destination_id > $1 AND i.destination_id <= $2",
            range,
            |row| {
                let own = tags.entry(text(&row, "input_uuid")?).or_default();
                own.insert(text(&row, "name")?, Json::String(text(&row, "value")?));
                Ok(())
            },
        )?;
        Ok(tags)
    }
}

const INPUTS: &str = "SELECT i.destination_id AS run_uuid, i.input_uuid, d.name, d.digest, \
     d.dataset_source_type, d.dataset_source, d.dataset_schema, d.dataset_profile \
     FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id \
     WHERE i.source_type = 'DATASET' AND i.destination_type = 'RUN' \
     AND i.destination_id > $1 AND i.destination_id <= $2 ORDER BY i.destination_id, d.name, d.digest";

/// Where a reading of runs ended.
struct End {
    last: String,
    count: u64,
}

fn place(lies: &Lies) -> &'static str {
    match lies {
        Lies::Proxied(_) => {
            "are named `mlflow-artifacts:/…`: this server's artifact folder has them"
        }
        Lies::Below(_) => "lie below the `--artifacts` that was named",
        Lies::Elsewhere => {
            "lie elsewhere: their URIs stay as they are, clients read them themselves"
        }
    }
}

fn read_run(row: &viaduct_store::Row) -> Result<RunRow, StoreError> {
    let is_deleted = text(row, "lifecycle_stage")? == "deleted";
    let deleted_at = opt_moment(row, "deleted_time")?.filter(|_| is_deleted);
    let started_at = moment(row, "start_time")?;
    Ok(RunRow {
        run_id: text(row, "run_uuid")?,
        experiment_id: text(row, "experiment_id")?,
        name: text(row, "name")?,
        user_name: text(row, "user_id")?,
        status: opt_text(row, "status")?.unwrap_or_else(|| "FINISHED".to_owned()),
        started_at,
        ended_at: opt_moment(row, "end_time")?,
        lifecycle: if is_deleted { Lifecycle::Deleted } else { Lifecycle::Active },
        artifact_uri: text(row, "artifact_uri")?,
        // Why the start: without a moment, retention could not tell when to take it away.
        deleted_at: if is_deleted { deleted_at.or(Some(started_at)) } else { None },
    })
}

fn read_input(
    row: &viaduct_store::Row,
    tags: Map<String, Json>,
) -> Result<RunInputRow, StoreError> {
    let mut described = Map::new();
    for (name, column) in [
        ("source_type", "dataset_source_type"),
        ("source", "dataset_source"),
        ("schema", "dataset_schema"),
        ("profile", "dataset_profile"),
    ] {
        if let Some(value) = opt_text(row, column)? {
            described.insert(name.to_owned(), Json::String(value));
        }
    }
    Ok(RunInputRow {
        name: text(row, "name")?,
        digest: text(row, "digest")?,
        dataset_json: Json::Object(described).to_string(),
        tags_json: Json::Object(tags).to_string(),
    })
}

fn write_runs(tx: &mut Tx, scope: &Scope, batch: &[Run]) -> Result<Written, StoreError> {
    let mut written = Written::default();
    let ids: Vec<String> = batch.iter().map(|run| run.row.run_id.clone()).collect();
    let here = run_parts::of_runs(tx, scope, &ids)?;
    for (run, here) in batch.iter().zip(here) {
        let id = &run.row.run_id;
        let owner = (id.as_str(), run.row.experiment_id.as_str());
        if run::find(tx, scope, id)?.is_none() {
            run::insert(tx, scope, &run.row)?;
            written.runs += 1;
        }
        let params = missing(&run.params, &here.params);
        pair::insert_params(tx, scope, owner, &params)?;
        written.params += params.len() as u64;
        let tags = missing(&run.tags, &here.tags);
        pair::set_run_tags(tx, scope, owner, &tags)?;
        written.tags += tags.len() as u64;
        let known: HashSet<(&str, &str)> =
            here.inputs.iter().map(|i| (i.name.as_str(), i.digest.as_str())).collect();
        for input in &run.inputs {
            if !known.contains(&(input.name.as_str(), input.digest.as_str())) {
                run::insert_input(tx, scope, id, input)?;
                written.inputs += 1;
            }
        }
        for model in &run.models {
            let is_known = here
                .models
                .iter()
                .any(|m| m.model_id == model.model_id && m.direction == model.direction);
            if !is_known {
                run::insert_model(tx, scope, id, model)?;
                written.models += 1;
            }
        }
    }
    Ok(written)
}

/// Those of `wanted` whose key is not here.
pub(super) fn missing(wanted: &[Pair], here: &[Pair]) -> Vec<Pair> {
    let known: HashSet<&str> = here.iter().map(|pair| pair.key.as_str()).collect();
    wanted.iter().filter(|pair| !known.contains(pair.key.as_str())).cloned().collect()
}
