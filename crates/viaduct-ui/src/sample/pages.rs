//! Samples of every page but the project's.

use super::traffic::{decision_rows, traffic};
use super::{at, hash, id, wobble};
use crate::view::*;

impl WelcomePage {
    /// One of three steps seen.
    pub fn sample() -> Self {
        Self {
            shell: Shell::sample_open(),
            server: "http://127.0.0.1:7878".into(),
            has_user: false,
            has_run: true,
            has_model: false,
        }
    }
}

impl PortfolioPage {
    /// Projects on every step.
    pub fn sample() -> Self {
        Self { shell: Shell::sample(), projects: ProjectRow::samples() }
    }

    /// A search that finds nothing.
    pub fn sample_without_match() -> Self {
        let shell = Shell { query: "<churn & co>".into(), ..Shell::sample() };
        Self { shell, ..Self::sample() }
    }
}

impl ProjectRow {
    fn samples() -> Vec<Self> {
        let per_day = |seed: i64| (0..28).map(|i| 40.0 + 30.0 * wobble(i + seed)).collect();
        let pilot = Self {
            name: "term-deposit".into(),
            title: "Term deposit call list".into(),
            owner: Some("bea".into()),
            stage: Stage::Pilot,
            state: State::Clear,
            tier: "T2".into(),
            gate: Some("G2".into()),
            met: 3,
            total: 8,
            blocker: Some(blocker("I2", "Used by someone else", Status::NotEnoughData)),
            blockers: 5,
            effect: Some(Effect::sample()),
            per_day: per_day(1),
        };
        let concept = Self {
            name: "invoice-category".into(),
            title: "Invoice categorisation".into(),
            owner: None,
            stage: Stage::Concept,
            tier: "T3".into(),
            gate: Some("G1".into()),
            met: 11,
            total: 15,
            blocker: Some(Blocker {
                distance: Some(
                    "3.8 points to go: 474 more requests must meet the contract.".into(),
                ),
                fix: Some("See the refused fields at the endpoint".into()),
                ..blocker("D2", "Contract health", Status::Fail)
            }),
            blockers: 3,
            effect: None,
            per_day: per_day(50),
            ..pilot.clone()
        };
        let ready = Self {
            name: "email-triage".into(),
            title: "E-mail triage".into(),
            owner: Some("olu".into()),
            state: State::UnderReview,
            met: 15,
            total: 15,
            blocker: None,
            blockers: 0,
            effect: Some(Effect {
                grade: "S".into(),
                estimate: 0.061,
                lower: 0.044,
                upper: 0.078,
                unit: "share".into(),
                per: None,
                provenance: Provenance::Replayed,
                ..Effect::sample()
            }),
            per_day: per_day(90),
            ..concept.clone()
        };
        let department = Self {
            name: "fraud-review".into(),
            title: "Fraud review band".into(),
            owner: Some("fay".into()),
            stage: Stage::Department,
            tier: "T1".into(),
            gate: Some("G3".into()),
            met: 9,
            total: 14,
            blocker: Some(blocker(
                "E1",
                "Repeatable value in three departments",
                Status::NotEnoughData,
            )),
            blockers: 5,
            effect: Some(Effect {
                estimate: 1_240.0,
                lower: 410.0,
                upper: 2_070.0,
                per: Some("1,000 transactions".into()),
                provenance: Provenance::Live,
                ..Effect::sample()
            }),
            per_day: per_day(140),
            ..pilot.clone()
        };
        let shelved = Self {
            name: "churn-offer".into(),
            title: "Churn offers".into(),
            stage: Stage::Shelved,
            gate: None,
            met: 0,
            total: 0,
            blocker: None,
            effect: Some(Effect {
                estimate: -0.31,
                lower: -0.58,
                upper: -0.04,
                ..Effect::sample()
            }),
            per_day: Vec::new(),
            ..pilot.clone()
        };
        vec![pilot, concept, ready, department, shelved]
    }
}

fn blocker(criterion: &str, title: &str, status: Status) -> Blocker {
    Blocker {
        criterion: criterion.into(),
        title: title.into(),
        status,
        distance: Some("6 of 10 days with calls by another application.".into()),
        fix: Some("Give the consuming application its own key".into()),
    }
}

impl DecisionsPage {
    /// A page of a longer list.
    pub fn sample() -> Self {
        Self {
            shell: Shell::sample(),
            project: "term-deposit".into(),
            project_title: "Term deposit call list".into(),
            rows: decision_rows(24),
            total: 9_871,
            variant: "champion".into(),
            variants: vec!["champion".into(), "holdout".into()],
            key: String::new(),
            older_href: Some("/projects/term-deposit/decisions?before=x".into()),
            newest_href: None,
        }
    }
}

impl DecisionPage {
    /// A call with a corrected outcome.
    pub fn sample() -> Self {
        let outcome = |days, label: &str, value, status: &str, current| Outcome {
            observed_at: at(days, 15),
            occurred_at: Some(at(days - 1, 11)),
            status: status.into(),
            label: Some(label.into()),
            value: Some(value),
            unit: "EUR".into(),
            source: Some("call-centre-app".into()),
            current,
        };
        Self {
            shell: Shell::sample(),
            id: id("dec", 9_001),
            project: Some("term-deposit".into()),
            endpoint: "term-deposit".into(),
            at: at(80, 9),
            provenance: Provenance::Simulated,
            stage: "pilot".into(),
            consumer: Some("call-centre-app".into()),
            entity_hash: hash(31),
            keys: vec![Field::new("lead_id", "lead-10481")],
            variant: "champion".into(),
            assignment: Some("bucket 4,812 of trial pilot-1".into()),
            flags: Vec::new(),
            model: "term-deposit".into(),
            model_version: "2".into(),
            contract_hash: hash(32),
            rule_hash: Some(hash(33)),
            latency_us: 642,
            inputs: vec![
                Field::new("age", "41"),
                Field::new("job", "technician"),
                Field::new("balance", "1,204.50"),
                Field::new("housing", "true"),
                Field::new("previous_contacts", "2"),
                Field::new("note", "<script>alert('no')</script>"),
            ],
            output: vec![Field::new("probability", "0.183"), Field::new("label", "yes")],
            incumbent: Some("call".into()),
            model_action: Some("call".into()),
            action: "call".into(),
            action_reason: None,
            outcomes: vec![
                outcome(101, "subscribed", 11.4, "corrected", true),
                outcome(94, "subscribed", 12.6, "final", false),
                outcome(82, "interested", 0.0, "partial", false),
            ],
            outcome_due: Some("final 21 days after the decision".into()),
        }
    }
}

impl EndpointPage {
    /// In a trial.
    pub fn sample() -> Self {
        Self {
            shell: Shell::sample(),
            name: "term-deposit".into(),
            project: Some("term-deposit".into()),
            mode: "trial".into(),
            mode_meaning: "Half of the customers get the champion, half business as usual.".into(),
            frozen: false,
            model: Some("term-deposit version 2".into()),
            model_problem: None,
            rule: Some("call when probability ≥ 0.12, otherwise skip".into()),
            settings: vec![
                Field::new("entity", "customer_id"),
                Field::new("keys", "lead_id"),
                Field::new("business as usual", "call"),
            ],
            traffic: traffic(28),
            bucket: "day".into(),
            requests: 2_716,
            accepted: Some(0.991),
            latency_p50_us: Some(612.0),
            latency_p99_us: Some(2_140.0),
            refused: vec![
                RefusedField {
                    field: "age".into(),
                    reason: "text `forty` where a whole number is wanted".into(),
                    count: 18,
                    last_at: at(129, 16),
                },
                RefusedField {
                    field: "balance".into(),
                    reason: "missing, and the contract requires it".into(),
                    count: 7,
                    last_at: at(120, 11),
                },
            ],
            curl: "curl -s http://127.0.0.1:7878/api/v1/endpoints/term-deposit/predict \\\n  \
                   -H \"authorization: Bearer $KEY\" \\\n  -H 'content-type: application/json' \\\n  \
                   -d '{\"rows\": [{\"customer_id\": \"c-1\", \"lead_id\": \"lead-1\", \"age\": 41}]}'"
                .into(),
            consumers: vec![
                Consumer {
                    name: "call-centre-app".into(),
                    limits: "50 rows a second, 1000 a day".into(),
                    created_at: at(20, 9),
                    last_call_at: Some(at(131, 8)),
                    calls_7d: 612,
                },
                Consumer {
                    name: "reporting".into(),
                    limits: String::new(),
                    created_at: at(90, 9),
                    last_call_at: None,
                    calls_7d: 0,
                },
            ],
            new_key: Some(NewKey { consumer: "reporting".into(), key: "vdk_sample_0000_not_a_key".into() }),
            may_create_key: true,
            decisions: decision_rows(6),
            variants: super::serving::variants(),
            phases: super::serving::phases(),
            rollout: Some(super::serving::rollout()),
            may_roll: true,
            killed: None,
            may_kill: true,
            fallback: "business_as_usual".into(),
            alerts: super::serving::alerts(),
            drills: super::serving::drills(),
            try_fields: super::serving::try_fields(),
            may_try: true,
            tried: None,
        }
    }

    /// Before the first request.
    pub fn sample_new() -> Self {
        let mut shell = Shell::sample();
        shell.clock = None;
        Self {
            shell,
            mode: "shadow".into(),
            mode_meaning: "The caller's own answer is given back; the model is logged beside it."
                .into(),
            model: None,
            model_problem: Some(
                "No model answers: `term-deposit@champion` does not exist yet. Register a version \
                 and set the alias."
                    .into(),
            ),
            traffic: crate::chart::bars::Bars::default(),
            requests: 0,
            accepted: None,
            latency_p50_us: None,
            latency_p99_us: None,
            refused: Vec::new(),
            consumers: Vec::new(),
            new_key: None,
            decisions: Vec::new(),
            variants: Vec::new(),
            phases: Vec::new(),
            rollout: None,
            killed: Some(super::serving::killed()),
            alerts: Vec::new(),
            drills: Vec::new(),
            try_fields: Vec::new(),
            tried: Some(super::serving::tried()),
            ..Self::sample()
        }
    }
}

impl UsersPage {
    /// Five people, one of them gone.
    pub fn sample() -> Self {
        let user = |name: &str, role: &str, charter: &str| UserRow {
            name: name.into(),
            role: role.into(),
            created_at: at(0, 9),
            signed_in_at: Some(at(130, 9)),
            disabled_at: None,
            charters: if charter.is_empty() { Vec::new() } else { vec![charter.into()] },
        };
        let mut gone = user("kim", "member", "");
        gone.disabled_at = Some(at(88, 9));
        Self {
            shell: Shell {
                user: Some(Person { name: "ana".into(), role: "admin".into() }),
                ..Shell::sample()
            },
            users: vec![
                user("ana", "admin", ""),
                user("bea", "member", "business owner of term-deposit"),
                user("dan", "viewer", "data owner of term-deposit"),
                user("tom", "member", "technical owner of term-deposit"),
                gone,
            ],
            missing: vec!["sam".into(), "rita".into()],
            roles: vec!["viewer".into(), "member".into(), "admin".into()],
            may_manage: true,
        }
    }
}

impl LoginPage {
    /// After a wrong password.
    pub fn sample() -> Self {
        Self {
            shell: Shell { user: None, clock: None, ..Shell::sample() },
            next: "/projects/term-deposit".into(),
            name: "bea".into(),
            problem: Some("Name and password do not fit together.".into()),
        }
    }
}

impl EvaluationPage {
    /// G1 with one signature and three changes.
    pub fn sample() -> Self {
        let change = |criterion: &str, before, after| StatusChange {
            criterion: criterion.into(),
            before,
            after,
        };
        Self {
            shell: Shell::sample(),
            id: id("evl", 1),
            hash: hash(7),
            previous_hash: Some(hash(6)),
            policy_hash: hash(5),
            at: at(58, 6),
            project: "term-deposit".into(),
            project_title: "Term deposit call list".into(),
            tier: "T2".into(),
            gate: Gate::sample_g1(true),
            changes: vec![
                change("S1", Status::Stale, Status::NotEnoughData),
                change("D2", Status::Pass, Status::Fail),
            ],
            signatures: Signature::samples(),
        }
    }
}

impl ApiPage {
    /// The frame of the browser.
    pub fn sample() -> Self {
        Self { shell: Shell { clock: None, ..Shell::sample() } }
    }
}

impl ErrorPage {
    /// Nothing there.
    pub fn sample() -> Self {
        Self {
            shell: Shell::sample(),
            status: 404,
            heading: "There is no such thing".into(),
            detail: "No project is called `term-depositt`. Did you mean `term-deposit`?".into(),
            problem: Some("not-found".into()),
            request_id: id("req", 1),
        }
    }

    /// Not allowed.
    pub fn sample_forbidden() -> Self {
        Self {
            status: 403,
            heading: "This needs a named person".into(),
            detail:
                "`sign_review` needs a named person: sign in, or add one with `viaduct user add`."
                    .into(),
            problem: Some("name-needed".into()),
            ..Self::sample()
        }
    }

    /// Something broke.
    pub fn sample_fault() -> Self {
        Self {
            status: 500,
            heading: "Something broke on our side".into(),
            detail: "It is written down under the id below; nothing you sent was lost silently."
                .into(),
            problem: None,
            ..Self::sample()
        }
    }
}
