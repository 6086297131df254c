-- The spine: people, projects, evidence, endpoints, queue.
-- Column types: TEXT, BIGINT, DOUBLE PRECISION, BYTEA. Moments are microseconds, days are days
-- since 1970-01-01, booleans are 0 or 1, JSON is text. `revision` guards compare-and-set.
-- Tables with chain_seq, prev_hash and hash are append-only and hash-chained.

CREATE TABLE workspace (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    title TEXT NOT NULL,
    salt TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX workspace_by_name ON workspace (name);

-- Installation-wide notes such as the kind of clock and the simulated time.
CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- People sign in without naming a workspace, so names are unique on the platform.
CREATE TABLE user_account (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    password_hash TEXT,
    created_at BIGINT NOT NULL,
    created_by TEXT,
    signed_in_at BIGINT,
    disabled_at BIGINT,
    revision BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX user_account_by_name ON user_account (name);

CREATE TABLE api_token (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES user_account (id),
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    used_at BIGINT,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX api_token_by_secret ON api_token (secret_hash);
CREATE INDEX api_token_by_user ON api_token (user_id);

CREATE TABLE session (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES user_account (id),
    secret_hash TEXT NOT NULL,
    csrf TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE UNIQUE INDEX session_by_secret ON session (secret_hash);
CREATE INDEX session_by_user ON session (user_id);

-- The default of `stage` is the only other place beside one statement that gives it a value.
CREATE TABLE project (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    name TEXT NOT NULL,
    title TEXT NOT NULL,
    tier TEXT NOT NULL CHECK (tier IN ('T1', 'T2', 'T3')),
    stage TEXT NOT NULL DEFAULT 'concept' CHECK (stage IN
        ('concept', 'pilot', 'department', 'enterprise', 'shelved', 'retired')),
    stage_since BIGINT NOT NULL,
    state TEXT NOT NULL DEFAULT 'clear' CHECK (state IN ('clear', 'under_review', 'frozen')),
    cause TEXT,
    note TEXT,
    spec_json TEXT NOT NULL,
    manifest TEXT NOT NULL,
    clock TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT,
    updated_at BIGINT NOT NULL,
    removed_at BIGINT,
    revision BIGINT NOT NULL DEFAULT 1
);
-- A removed project keeps its evidence and gives its name free.
CREATE UNIQUE INDEX project_by_name ON project (workspace_id, name) WHERE removed_at IS NULL;

CREATE TABLE kpi (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    project_id TEXT NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    is_primary BIGINT NOT NULL,
    spec_json TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    removed_at BIGINT,
    frozen_at BIGINT,
    frozen_by TEXT,
    frozen_hash TEXT,
    frozen_first_day BIGINT,
    frozen_last_day BIGINT,
    frozen_points BIGINT,
    revision BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX kpi_by_name ON kpi (project_id, name);

-- What people bring: dated values from before the platform, and from other systems.
CREATE TABLE kpi_history (
    workspace_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    kpi_id TEXT NOT NULL REFERENCES kpi (id),
    day BIGINT NOT NULL,
    arm TEXT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    n BIGINT NOT NULL,
    source TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (kpi_id, arm, day)
);

-- What the platform computes every day; a day without a value has a row with NULL.
CREATE TABLE kpi_point (
    workspace_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    kpi_id TEXT NOT NULL REFERENCES kpi (id),
    day BIGINT NOT NULL,
    arm TEXT NOT NULL,
    value DOUBLE PRECISION,
    n BIGINT NOT NULL,
    clock TEXT NOT NULL,
    computed_at BIGINT NOT NULL,
    PRIMARY KEY (kpi_id, arm, day)
);

CREATE TABLE contract (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    project_id TEXT NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    document_json TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT
);
CREATE UNIQUE INDEX contract_by_version ON contract (project_id, name, version);

CREATE TABLE endpoint (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    project_id TEXT,
    name TEXT NOT NULL,
    spec_json TEXT NOT NULL,
    model_name TEXT NOT NULL,
    model_alias TEXT NOT NULL,
    contract_id TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    removed_at BIGINT,
    revision BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX endpoint_by_name ON endpoint (workspace_id, name) WHERE removed_at IS NULL;
CREATE INDEX endpoint_by_project ON endpoint (project_id);

CREATE TABLE consumer (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL REFERENCES endpoint (id),
    name TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX consumer_by_name ON consumer (endpoint_id, name) WHERE revoked_at IS NULL;
CREATE UNIQUE INDEX consumer_by_key ON consumer (key_hash);

CREATE TABLE trial (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    project_id TEXT NOT NULL REFERENCES project (id),
    endpoint_id TEXT NOT NULL,
    kpi_id TEXT NOT NULL,
    name TEXT NOT NULL,
    plan_json TEXT NOT NULL,
    plan_hash TEXT NOT NULL,
    salt TEXT NOT NULL,
    clock TEXT NOT NULL,
    registered_at BIGINT NOT NULL,
    registered_by TEXT,
    starts_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    looks_at BIGINT NOT NULL,
    stopped_at BIGINT,
    stopped_why TEXT,
    revision BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX trial_by_name ON trial (project_id, name);

CREATE TABLE estimate (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    kpi_id TEXT,
    trial_id TEXT,
    design TEXT NOT NULL,
    grade TEXT NOT NULL CHECK (grade IN ('A', 'B', 'C', 'S', 'D')),
    verdict TEXT,
    effect DOUBLE PRECISION,
    lower DOUBLE PRECISION,
    upper DOUBLE PRECISION,
    level DOUBLE PRECISION NOT NULL,
    n_model BIGINT NOT NULL,
    n_control BIGINT NOT NULL,
    unit TEXT NOT NULL,
    provenance TEXT NOT NULL,
    window_from BIGINT,
    window_to BIGINT,
    body_json TEXT NOT NULL,
    computed_at BIGINT NOT NULL
);
CREATE INDEX estimate_by_project ON estimate (project_id, computed_at, id);

CREATE TABLE fact (
    chain_seq BIGINT PRIMARY KEY,
    id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    value_json TEXT NOT NULL,
    unit TEXT NOT NULL,
    n BIGINT,
    window_from BIGINT,
    window_to BIGINT,
    observed_at BIGINT NOT NULL,
    producer TEXT NOT NULL,
    inputs_hash TEXT NOT NULL,
    provenance TEXT NOT NULL,
    note TEXT,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE UNIQUE INDEX fact_by_id ON fact (id);
-- The latest of each name and subject is one index step away.
CREATE INDEX fact_by_subject ON fact (project_id, name, subject_kind, subject_id, chain_seq);
CREATE INDEX fact_by_project ON fact (project_id, chain_seq);

CREATE TABLE evaluation (
    chain_seq BIGINT PRIMARY KEY,
    id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    gate TEXT NOT NULL,
    policy_version BIGINT NOT NULL,
    policy_hash TEXT NOT NULL,
    tier TEXT NOT NULL,
    opens BIGINT NOT NULL,
    evaluation_hash TEXT NOT NULL,
    reason TEXT NOT NULL,
    body_json TEXT NOT NULL,
    evaluated_at BIGINT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE UNIQUE INDEX evaluation_by_id ON evaluation (id);
CREATE INDEX evaluation_by_project ON evaluation (project_id, chain_seq);

CREATE TABLE review (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    project_id TEXT NOT NULL REFERENCES project (id),
    gate TEXT NOT NULL,
    evaluation_id TEXT NOT NULL,
    evaluation_hash TEXT NOT NULL,
    state TEXT NOT NULL,
    is_open BIGINT NOT NULL,
    body_json TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    opened_by TEXT NOT NULL,
    due_at BIGINT,
    closed_at BIGINT,
    revision BIGINT NOT NULL DEFAULT 1
);
-- One review at a time: two askers race, one gets a refusal.
CREATE UNIQUE INDEX review_open ON review (project_id) WHERE is_open = 1;
CREATE INDEX review_by_project ON review (project_id, opened_at);

CREATE TABLE signature (
    chain_seq BIGINT PRIMARY KEY,
    id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    review_id TEXT NOT NULL,
    evaluation_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_name TEXT NOT NULL,
    statement TEXT NOT NULL,
    signed_at BIGINT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE UNIQUE INDEX signature_by_id ON signature (id);
-- Signers are distinct people.
CREATE UNIQUE INDEX signature_by_signer ON signature (review_id, user_id);

CREATE TABLE waiver (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    project_id TEXT NOT NULL REFERENCES project (id),
    criterion TEXT NOT NULL,
    reason TEXT NOT NULL,
    compensation TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    requested_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    approved_by TEXT,
    approved_at BIGINT,
    ended_at BIGINT,
    revision BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX waiver_by_project ON waiver (project_id, requested_at);

-- A history per decision: late, partial and corrected outcomes are further rows.
CREATE TABLE outcome (
    decision_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    project_id TEXT,
    decided_at BIGINT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('final', 'partial', 'corrected')),
    label_json TEXT,
    value DOUBLE PRECISION,
    occurred_at BIGINT,
    observed_at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    source TEXT,
    clock TEXT NOT NULL,
    PRIMARY KEY (decision_id, seq)
);
CREATE INDEX outcome_by_decided ON outcome (endpoint_id, decided_at, decision_id, seq);
CREATE INDEX outcome_by_received ON outcome (endpoint_id, received_at, decision_id, seq);

CREATE TABLE audit (
    chain_seq BIGINT PRIMARY KEY,
    id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    project_id TEXT,
    at BIGINT NOT NULL,
    clock TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT,
    actor_name TEXT NOT NULL,
    action TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    detail_json TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE UNIQUE INDEX audit_by_id ON audit (id);
CREATE INDEX audit_by_project ON audit (project_id, chain_seq);
CREATE INDEX audit_by_object ON audit (object_id, chain_seq);

-- Where each chain ends; without it a cut tail would not show.
CREATE TABLE chain_head (
    chain TEXT PRIMARY KEY,
    seq BIGINT NOT NULL,
    head TEXT NOT NULL
);
INSERT INTO chain_head (chain, seq, head) VALUES
    ('facts', 0, ''), ('evaluations', 0, ''), ('signatures', 0, ''), ('audit', 0, '');

-- The outbox: written in the transaction of what it announces, published afterwards.
CREATE TABLE event (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    project_id TEXT,
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    body_json TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    lease_token TEXT,
    lease_until BIGINT,
    published_at BIGINT
);
CREATE INDEX event_waiting ON event (id) WHERE published_at IS NULL;
CREATE INDEX event_by_project ON event (project_id, id);

CREATE TABLE job (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload_json TEXT NOT NULL,
    dedupe_key TEXT,
    -- 1: asked for again while it was running, so it runs once more.
    again BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    run_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    attempts_max BIGINT NOT NULL,
    lease_token TEXT,
    lease_until BIGINT,
    last_error TEXT,
    completed_at BIGINT,
    parked_at BIGINT
);
CREATE INDEX job_waiting ON job (run_at, id) WHERE completed_at IS NULL AND parked_at IS NULL;
CREATE UNIQUE INDEX job_open ON job (dedupe_key) WHERE completed_at IS NULL AND parked_at IS NULL;
CREATE INDEX job_parked ON job (parked_at) WHERE parked_at IS NOT NULL;

CREATE TABLE schedule (
    name TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    project_id TEXT,
    kind TEXT NOT NULL,
    payload_json TEXT NOT NULL,
    every TEXT NOT NULL,
    next_due BIGINT NOT NULL,
    last_due BIGINT
);
CREATE INDEX schedule_by_due ON schedule (next_due, name);
