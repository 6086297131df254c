-- What is logged most, kept once: the primary key is the table. Before, SQLite kept a table by a
-- number of its own and beside it an index of nearly the same text, and wrote both.
-- No REFERENCES: whoever writes here has found the run in the same transaction, of which SQLite
-- runs one at a time; looking for the run again at each row cost as much as the row.
CREATE TABLE metric_new (
    run_id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    key TEXT NOT NULL,
    step BIGINT NOT NULL,
    at BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL,
    PRIMARY KEY (run_id, key, step, at, value, is_nan)
) WITHOUT ROWID;
INSERT INTO metric_new (run_id, workspace_id, key, step, at, value, is_nan)
    SELECT run_id, workspace_id, key, step, at, value, is_nan FROM metric
    ORDER BY run_id, key, step, at, value, is_nan;
DROP TABLE metric;
ALTER TABLE metric_new RENAME TO metric;

CREATE TABLE latest_metric_new (
    run_id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    experiment_id TEXT NOT NULL,
    key TEXT NOT NULL,
    step BIGINT NOT NULL,
    at BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL,
    open_points BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, key)
) WITHOUT ROWID;
INSERT INTO latest_metric_new
    (run_id, workspace_id, experiment_id, key, step, at, value, is_nan, open_points)
    SELECT run_id, workspace_id, experiment_id, key, step, at, value, is_nan, open_points
    FROM latest_metric ORDER BY run_id, key;
DROP TABLE latest_metric;
ALTER TABLE latest_metric_new RENAME TO latest_metric;
CREATE INDEX latest_metric_in_order ON latest_metric (experiment_id, key, is_nan, value, run_id);

CREATE TABLE param_new (
    run_id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    experiment_id TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_id, key)
) WITHOUT ROWID;
INSERT INTO param_new (run_id, workspace_id, experiment_id, key, value)
    SELECT run_id, workspace_id, experiment_id, key, value FROM param ORDER BY run_id, key;
DROP TABLE param;
ALTER TABLE param_new RENAME TO param;
CREATE INDEX param_by_value ON param (experiment_id, key, substr(value, 1, 80), run_id);

CREATE TABLE run_tag_new (
    run_id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    experiment_id TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_id, key)
) WITHOUT ROWID;
INSERT INTO run_tag_new (run_id, workspace_id, experiment_id, key, value)
    SELECT run_id, workspace_id, experiment_id, key, value FROM run_tag ORDER BY run_id, key;
DROP TABLE run_tag;
ALTER TABLE run_tag_new RENAME TO run_tag;
CREATE INDEX run_tag_by_value ON run_tag (experiment_id, key, substr(value, 1, 80), run_id);

-- Nobody looks for a change but by its subject.
CREATE TABLE change_new (
    workspace_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    id TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    verb TEXT NOT NULL,
    change_json TEXT NOT NULL,
    PRIMARY KEY (workspace_id, subject, id)
) WITHOUT ROWID;
INSERT INTO change_new (workspace_id, subject, id, at, actor_kind, actor_name, verb, change_json)
    SELECT workspace_id, subject, id, at, actor_kind, actor_name, verb, change_json FROM change
    ORDER BY workspace_id, subject, id;
DROP TABLE change;
ALTER TABLE change_new RENAME TO change;
