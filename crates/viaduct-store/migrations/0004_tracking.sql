-- MLflow in full: what searching, datasets, webhooks, history and garbage collection need.

-- Search. What a run's parts belong to stands beside them, so that one index finds the runs of an
-- experiment by a value, or walks them in its order.
ALTER TABLE latest_metric ADD COLUMN experiment_id TEXT NOT NULL DEFAULT '';
UPDATE latest_metric SET experiment_id =
    (SELECT run.experiment_id FROM run WHERE run.run_id = latest_metric.run_id);
DROP INDEX latest_metric_by_value;
CREATE INDEX latest_metric_in_order ON latest_metric (experiment_id, key, is_nan, value, run_id);

ALTER TABLE param ADD COLUMN experiment_id TEXT NOT NULL DEFAULT '';
UPDATE param SET experiment_id = (SELECT run.experiment_id FROM run WHERE run.run_id = param.run_id);
-- The start of the value alone: PostgreSQL refuses long keys of an index.
CREATE INDEX param_by_value ON param (experiment_id, key, substr(value, 1, 80), run_id);

ALTER TABLE run_tag ADD COLUMN experiment_id TEXT NOT NULL DEFAULT '';
UPDATE run_tag SET experiment_id =
    (SELECT run.experiment_id FROM run WHERE run.run_id = run_tag.run_id);
CREATE INDEX run_tag_by_value ON run_tag (experiment_id, key, substr(value, 1, 80), run_id);

-- The tag `mlflow.data.context` of a dataset's use.
ALTER TABLE run_input ADD COLUMN context TEXT;
CREATE INDEX run_input_by_name ON run_input (name, digest, run_id);

-- Points of `metric` that wait to be packed.
ALTER TABLE latest_metric ADD COLUMN open_points BIGINT NOT NULL DEFAULT 0;

-- Points of a metric packed together: a long history is a few rows. The points in `metric` and in
-- the chunks are one set; a point that stands in both is one point.
CREATE TABLE metric_chunk (
    run_id TEXT NOT NULL REFERENCES run (run_id),
    workspace_id TEXT NOT NULL,
    key TEXT NOT NULL,
    chunk BIGINT NOT NULL,
    points BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    packed BYTEA NOT NULL,
    PRIMARY KEY (run_id, key, chunk)
);

-- Metrics of a logged model: what a run measured of it, on which dataset.
CREATE TABLE logged_model_metric (
    model_id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    experiment_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    key TEXT NOT NULL,
    step BIGINT NOT NULL,
    at BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL,
    dataset_name TEXT,
    dataset_digest TEXT,
    PRIMARY KEY (model_id, key, at, step, run_id)
);
CREATE INDEX logged_model_metric_by_dataset ON logged_model_metric (dataset_name, model_id);
CREATE INDEX logged_model_pair_by_value ON logged_model_pair (kind, key, substr(value, 1, 80));
CREATE INDEX model_version_in_order ON model_version (workspace_id, updated_at, name, version);

ALTER TABLE experiment ADD COLUMN deleted_at BIGINT;

-- Who changed what on a run, model, alias or tag. A call writes one row however much it changes;
-- calls that only log points of metrics write none: each point says its own time.
CREATE TABLE change (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    verb TEXT NOT NULL,
    change_json TEXT NOT NULL
);
CREATE INDEX change_by_subject ON change (workspace_id, subject, id);

-- Webhooks of the registry. The secret is sealed under a key that is not in the database.
CREATE TABLE webhook (
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    webhook_id TEXT NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    description TEXT,
    events_json TEXT NOT NULL,
    status TEXT NOT NULL,
    sealed_secret TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, webhook_id)
);
