-- Serving in full: rollouts, kill switches, drills, consumers' limits.

ALTER TABLE consumer ADD COLUMN rate_per_second DOUBLE PRECISION;
ALTER TABLE consumer ADD COLUMN burst BIGINT;
ALTER TABLE consumer ADD COLUMN quota_per_day BIGINT;

-- Every version that came to stand behind an endpoint.
CREATE TABLE endpoint_version (
    endpoint_id TEXT NOT NULL REFERENCES endpoint (id),
    seq BIGINT NOT NULL,
    workspace_id TEXT NOT NULL,
    model_name TEXT NOT NULL,
    version BIGINT NOT NULL,
    bound_at BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (endpoint_id, seq)
);

-- Contracts of endpoints that no project owns; a version never changes.
CREATE TABLE endpoint_contract (
    endpoint_id TEXT NOT NULL REFERENCES endpoint (id),
    version BIGINT NOT NULL,
    workspace_id TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('inferred', 'owned')),
    document_json TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (endpoint_id, version)
);

CREATE TABLE rollout (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL REFERENCES endpoint (id),
    project_id TEXT,
    model_name TEXT NOT NULL,
    from_version BIGINT NOT NULL,
    to_version BIGINT NOT NULL,
    trigger_kind TEXT NOT NULL CHECK (trigger_kind IN ('person', 'alias', 'drill')),
    plan_json TEXT NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('running', 'paused', 'full', 'rolled_back')),
    is_open BIGINT NOT NULL,
    step BIGINT NOT NULL,
    step_since BIGINT NOT NULL,
    baseline_json TEXT NOT NULL,
    judged_json TEXT NOT NULL,
    reason TEXT NOT NULL,
    salt TEXT NOT NULL,
    clock TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    started_by TEXT NOT NULL,
    ended_at BIGINT,
    revision BIGINT NOT NULL DEFAULT 1
);
-- One rollout of an endpoint at a time: two starters race, one gets a refusal.
CREATE UNIQUE INDEX rollout_open ON rollout (endpoint_id) WHERE is_open = 1;
CREATE INDEX rollout_by_endpoint ON rollout (endpoint_id, started_at);
CREATE INDEX rollout_by_start ON rollout (workspace_id, started_at);

CREATE TABLE rollout_event (
    rollout_id TEXT NOT NULL REFERENCES rollout (id),
    seq BIGINT NOT NULL,
    workspace_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    event TEXT NOT NULL,
    step BIGINT NOT NULL,
    phase TEXT NOT NULL,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    evidence_json TEXT NOT NULL,
    PRIMARY KEY (rollout_id, seq)
);

-- A row is a thrown switch; the audit trail keeps who threw it and took it back.
CREATE TABLE kill_switch (
    endpoint_id TEXT PRIMARY KEY REFERENCES endpoint (id),
    workspace_id TEXT NOT NULL,
    killed_at BIGINT NOT NULL,
    killed_by TEXT NOT NULL,
    reason TEXT NOT NULL
);

CREATE TABLE drill (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL REFERENCES endpoint (id),
    project_id TEXT,
    kind TEXT NOT NULL CHECK (kind IN ('schema-change', 'rollback', 'fallback')),
    run_by TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    passed BIGINT NOT NULL,
    report_json TEXT NOT NULL
);
CREATE INDEX drill_by_endpoint ON drill (endpoint_id, started_at);

CREATE TABLE alert (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    project_id TEXT,
    endpoint_id TEXT,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    advice TEXT NOT NULL,
    for_whom TEXT NOT NULL,
    is_drill BIGINT NOT NULL,
    raised_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    seen_count BIGINT NOT NULL,
    closed_at BIGINT
);
-- The same thing again is the same open alert.
CREATE UNIQUE INDEX alert_open ON alert (workspace_id, endpoint_id, kind, subject, is_drill)
    WHERE closed_at IS NULL;
CREATE INDEX alert_by_time ON alert (workspace_id, raised_at);
