//! Sample project pages in their different states.

use super::traffic::{decision_rows, traffic};
use super::{at, id};
use crate::path;
use crate::view::*;

fn person(role: &str, name: &str) -> PersonRole {
    PersonRole { role: role.into(), name: name.into(), problem: None }
}

fn entry(days: i64, kind: HistoryKind, text: &str, actor: Option<&str>) -> HistoryEntry {
    HistoryEntry {
        at: at(days, 10),
        kind,
        text: text.into(),
        actor: actor.map(Into::into),
        href: None,
    }
}

fn history() -> Vec<HistoryEntry> {
    let mut history = vec![
        entry(125, HistoryKind::Trial, "Trial pilot-1 looked at: +€0.42 a lead, grade A", None),
        entry(60, HistoryKind::Trial, "Trial pilot-1 registered", Some("tom")),
        entry(59, HistoryKind::Stage, "G1 opened: concept to pilot", None),
        entry(59, HistoryKind::Review, "Signed as business owner", Some("bea")),
        entry(58, HistoryKind::Review, "Signed as data owner", Some("dan")),
        entry(58, HistoryKind::Evaluation, "G1 evaluated: 15 of 15 met", None),
        entry(
            21,
            HistoryKind::Evaluation,
            "G1 evaluated: M3 failed, duration is known only after",
            None,
        ),
        entry(3, HistoryKind::Change, "Project file applied, baseline frozen", Some("ana")),
    ];
    history[5].href = Some(path::evaluation(&id("evl", 1)));
    history
}

impl Waiver {
    /// In force.
    pub fn sample() -> Self {
        Self {
            id: id("wai", 1),
            criterion: "M4".into(),
            state: WaiverState::Approved,
            reason: "Too few students among the leads to hold the slice to 0.9.".into(),
            compensation: "students are called as before".into(),
            asked_by: "tom".into(),
            approved_by: Some("rita".into()),
            expires_at: at(190, 0),
            may_approve: false,
        }
    }
}

impl ProjectPage {
    /// In pilot, with an analysed trial.
    pub fn sample() -> Self {
        let per_day = traffic(28).buckets.iter().map(|b| b.counts.iter().sum()).collect();
        Self {
            shell: Shell::sample(),
            name: "term-deposit".into(),
            title: "Term deposit call list".into(),
            problem: "Which leads of the day are worth a call?".into(),
            purpose: "marketing".into(),
            stage: Stage::Pilot,
            stage_since: Some(at(59, 11)),
            state: State::Clear,
            end_cause: None,
            tier: "T2".into(),
            tier_reasons: vec![
                "3,000 decisions a month at €4.00 each: €144,000 a year".into(),
                "advisory, about people".into(),
            ],
            endpoint: Some(EndpointRef {
                name: "term-deposit".into(),
                mode: "trial".into(),
                model: Some("term-deposit version 2".into()),
                per_day,
            }),
            effect: Some(Effect::sample()),
            gate: Some(Gate::sample_g2()),
            review: None,
            ask: AskState::NotYet(
                "G2 cannot be asked for: 5 blocking criteria are not met yet.".into(),
            ),
            may_collect: true,
            waivers: vec![
                Waiver::sample(),
                Waiver {
                    criterion: "R1".into(),
                    state: WaiverState::Asked,
                    reason: "Training is still started by hand until the scheduler comes.".into(),
                    compensation: "two people can start it".into(),
                    approved_by: None,
                    may_approve: true,
                    ..Waiver::sample()
                },
            ],
            kpis: vec![Kpi::sample()],
            trial: Some(Trial::sample()),
            decisions: decision_rows(8),
            decision_count: 9_871,
            outcomes_joined: Some(0.957),
            people: vec![
                person("business_owner", "bea"),
                person("technical_owner", "tom"),
                person("successor", "sam"),
                person("data_owner", "dan"),
                person("risk_partner", "rita"),
                person("member", "ana"),
            ],
            departments: vec![Department { name: "call-centre".into(), target_users: Some(12) }],
            history: history(),
        }
    }

    /// In concept, all met, one signature missing.
    pub fn sample_under_review() -> Self {
        let review = FlashLevel::Done;
        let shell = Shell {
            flashes: vec![Flash { level: review, text: "The review of G1 is open.".into() }],
            ..Shell::sample()
        };
        Self {
            shell,
            stage: Stage::Concept,
            stage_since: Some(at(3, 8)),
            state: State::UnderReview,
            effect: Some(Effect {
                grade: "S".into(),
                estimate: 0.38,
                lower: 0.12,
                upper: 0.64,
                method: "paired, shadow against incumbent".into(),
                ..Effect::sample()
            }),
            gate: Some(Gate::sample_g1(false)),
            review: Some(Review::sample()),
            ask: AskState::Hidden,
            trial: None,
            kpis: vec![Kpi::sample_history()],
            endpoint: Self::sample().endpoint.map(|e| EndpointRef { mode: "shadow".into(), ..e }),
            waivers: Vec::new(),
            history: history().split_off(5),
            ..Self::sample()
        }
    }

    /// In pilot, trial running.
    pub fn sample_sealed() -> Self {
        Self {
            effect: None,
            gate: Some(Gate::sample_g2_sealed()),
            trial: Some(Trial::sample_sealed()),
            kpis: vec![Kpi::sample_sealed()],
            waivers: Vec::new(),
            history: history().split_off(1),
            ..Self::sample()
        }
    }

    /// Applied a minute ago on an empty server.
    pub fn sample_new() -> Self {
        let mut bea = person("business_owner", "bea");
        bea.problem = Some("no such user yet".into());
        let shell = Shell {
            user: None,
            open: true,
            clock: None,
            flashes: vec![Flash {
                level: FlashLevel::Note,
                text:
                    "Anyone on this machine may read and write; owning, signing and waiving need \
                       a name."
                        .into(),
            }],
            ..Shell::sample()
        };
        Self {
            shell,
            stage: Stage::Concept,
            stage_since: None,
            endpoint: None,
            effect: None,
            gate: Some(Gate::sample_unmeasured()),
            ask: AskState::NotYet("G1 cannot be asked for: nothing is measured yet.".into()),
            waivers: Vec::new(),
            kpis: vec![Kpi::sample_empty()],
            trial: None,
            decisions: Vec::new(),
            decision_count: 0,
            outcomes_joined: None,
            people: vec![bea],
            history: Vec::new(),
            ..Self::sample()
        }
    }

    /// Ended, with every kind of trouble in its last evaluation.
    pub fn sample_shelved() -> Self {
        Self {
            stage: Stage::Shelved,
            end_cause: Some("No plan could answer the question within 12 weeks.".into()),
            gate: Some(Gate::sample_g1(true)),
            ask: AskState::Hidden,
            trial: None,
            effect: None,
            may_collect: false,
            ..Self::sample()
        }
    }
}
