-- Tracking and registry: MLflow's objects under MLflow's own ids. Moments are microseconds here
-- and milliseconds on MLflow's wire. A metric's NaN has a column of its own.

CREATE TABLE experiment (
    experiment_id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    name TEXT NOT NULL,
    artifact_location TEXT NOT NULL,
    lifecycle_stage TEXT NOT NULL CHECK (lifecycle_stage IN ('active', 'deleted')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX experiment_by_name ON experiment (workspace_id, name);

CREATE TABLE experiment_tag (
    experiment_id TEXT NOT NULL REFERENCES experiment (experiment_id),
    workspace_id TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (experiment_id, key)
);

CREATE TABLE run (
    run_id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    experiment_id TEXT NOT NULL REFERENCES experiment (experiment_id),
    name TEXT NOT NULL,
    user_name TEXT NOT NULL,
    status TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    lifecycle_stage TEXT NOT NULL CHECK (lifecycle_stage IN ('active', 'deleted')),
    artifact_uri TEXT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX run_by_experiment ON run (experiment_id, started_at, run_id);

-- A point logged twice is one point: clients retry.
CREATE TABLE metric (
    run_id TEXT NOT NULL REFERENCES run (run_id),
    workspace_id TEXT NOT NULL,
    key TEXT NOT NULL,
    step BIGINT NOT NULL,
    at BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL,
    PRIMARY KEY (run_id, key, step, at, value, is_nan)
);

-- The point with the greatest (step, at, value): what searches and run pages show.
CREATE TABLE latest_metric (
    run_id TEXT NOT NULL REFERENCES run (run_id),
    workspace_id TEXT NOT NULL,
    key TEXT NOT NULL,
    step BIGINT NOT NULL,
    at BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL,
    PRIMARY KEY (run_id, key)
);
CREATE INDEX latest_metric_by_value ON latest_metric (workspace_id, key, value, run_id);

CREATE TABLE param (
    run_id TEXT NOT NULL REFERENCES run (run_id),
    workspace_id TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_id, key)
);

CREATE TABLE run_tag (
    run_id TEXT NOT NULL REFERENCES run (run_id),
    workspace_id TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_id, key)
);

-- Datasets that a run read, as the client described them.
CREATE TABLE run_input (
    run_id TEXT NOT NULL REFERENCES run (run_id),
    workspace_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    dataset_json TEXT NOT NULL,
    tags_json TEXT NOT NULL,
    PRIMARY KEY (run_id, name, digest)
);

CREATE TABLE logged_model (
    model_id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    experiment_id TEXT NOT NULL REFERENCES experiment (experiment_id),
    name TEXT NOT NULL,
    artifact_uri TEXT NOT NULL,
    status TEXT NOT NULL,
    status_message TEXT,
    model_type TEXT,
    source_run_id TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX logged_model_by_experiment ON logged_model (experiment_id, created_at, model_id);
CREATE INDEX logged_model_by_run ON logged_model (source_run_id);

-- Params and tags of a logged model; `kind` is `param` or `tag`.
CREATE TABLE logged_model_pair (
    model_id TEXT NOT NULL REFERENCES logged_model (model_id),
    workspace_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('param', 'tag')),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model_id, kind, key)
);

-- Models that a run made (`output`) or read (`input`).
CREATE TABLE run_model (
    run_id TEXT NOT NULL REFERENCES run (run_id),
    workspace_id TEXT NOT NULL,
    model_id TEXT NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('input', 'output')),
    step BIGINT NOT NULL,
    PRIMARY KEY (run_id, direction, model_id)
);

CREATE TABLE registered_model (
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    name TEXT NOT NULL,
    description TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- The number of the next version: a deleted version's number is never given again.
    next_version BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, name)
);

CREATE TABLE registered_model_tag (
    workspace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (workspace_id, name, key)
);

CREATE TABLE registered_model_alias (
    workspace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    alias TEXT NOT NULL,
    version BIGINT NOT NULL,
    set_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, name, alias)
);

CREATE TABLE model_version (
    workspace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    description TEXT,
    user_name TEXT NOT NULL,
    current_stage TEXT NOT NULL,
    source TEXT NOT NULL,
    -- Where the files really are, below the artifact folder; resolved once, at registration.
    storage_path TEXT NOT NULL,
    run_id TEXT,
    run_link TEXT,
    model_id TEXT,
    status TEXT NOT NULL,
    status_message TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, name, version)
);
CREATE INDEX model_version_by_run ON model_version (run_id);

CREATE TABLE model_version_tag (
    workspace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (workspace_id, name, version, key)
);
