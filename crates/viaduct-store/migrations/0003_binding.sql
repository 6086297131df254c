-- What stands behind a name since when: a fact measured before that is stale.

-- A section of a project's file and the hash that it has had since a moment.
CREATE TABLE project_section (
    project_id TEXT NOT NULL REFERENCES project (id),
    workspace_id TEXT NOT NULL,
    section TEXT NOT NULL,
    hash TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (project_id, section)
);

-- The model version behind an endpoint. `shadow_until` is the registered end of its shadow time:
-- the one look at shadow cases comes after it. A trial pins the version until it has matured.
CREATE TABLE binding (
    endpoint_id TEXT PRIMARY KEY REFERENCES endpoint (id),
    workspace_id TEXT NOT NULL,
    model_name TEXT NOT NULL,
    version BIGINT NOT NULL,
    bound_at BIGINT NOT NULL,
    shadow_until BIGINT NOT NULL,
    pinned_by TEXT
);
CREATE INDEX binding_by_model ON binding (workspace_id, model_name);
