//! Sample gates: G1 under review and G2 half way.

use super::{at, id};
use crate::view::*;

/// A row with one check.
struct Row {
    id: &'static str,
    title: &'static str,
    trigger: &'static str,
    fact: &'static str,
    measure: Measure,
    unit: &'static str,
    bound: Bound,
    threshold: &'static str,
    n: Option<i64>,
    min_n: Option<i64>,
    window: &'static str,
    status: Status,
    producer: &'static str,
}

impl Row {
    fn check(&self) -> Check {
        let seen = self.measure != Measure::Missing;
        Check {
            fact: self.fact.into(),
            fact_id: seen.then(|| id("fct", self.fact.len() as u64)),
            status: self.status,
            measure: self.measure.clone(),
            unit: self.unit.into(),
            bound: self.bound.clone(),
            threshold: self.threshold.into(),
            n: self.n,
            min_n: self.min_n,
            window: (!self.window.is_empty()).then(|| self.window.into()),
            subject: None,
            observed_at: seen.then(|| at(131, 6)),
            provenance: Provenance::Simulated,
            note: None,
        }
    }

    fn criterion(&self, distance: &str, fix: &str) -> Criterion {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Criterion {
            id: self.id.into(),
            title: self.title.into(),
            trigger: some(self.trigger),
            status: self.status,
            blocking: true,
            checks: vec![self.check()],
            producer: self.producer.into(),
            distance: some(distance),
            fix: some(fix),
        }
    }
}

const BLANK: Row = Row {
    id: "",
    title: "",
    trigger: "",
    fact: "",
    measure: Measure::Missing,
    unit: "share",
    bound: Bound::Other,
    threshold: "",
    n: None,
    min_n: None,
    window: "",
    status: Status::Pass,
    producer: "the platform",
};

fn interval(estimate: f64, lower: f64, upper: f64) -> Measure {
    Measure::Interval { estimate, lower, upper, level: 0.95 }
}

fn alignment() -> Vec<Criterion> {
    let share = Row { trigger: "alignment", ..BLANK };
    vec![
        Row {
            id: "A1",
            title: "KPI is alive",
            fact: "kpi.live_days",
            measure: Measure::Scalar(0.964),
            bound: Bound::AtLeast(0.9),
            threshold: "≥ 90 %",
            n: Some(28),
            min_n: Some(28),
            window: "28 days",
            producer: "the daily KPI job",
            ..share
        }
        .criterion("", ""),
        Row {
            id: "A2",
            title: "Baseline frozen",
            fact: "kpi.baseline_weeks",
            measure: Measure::Scalar(26.0),
            unit: "weeks",
            bound: Bound::AtLeast(8.0),
            threshold: "≥ 8 weeks",
            n: Some(182),
            producer: "the baseline freezer",
            ..share
        }
        .criterion("", ""),
        Row {
            id: "A3",
            title: "The plan can answer",
            fact: "plan.power",
            measure: Measure::Scalar(0.87),
            bound: Bound::AtLeast(0.8),
            threshold: "≥ 80 %",
            window: "12 weeks",
            producer: "the trial planner",
            ..share
        }
        .criterion("", ""),
        Row {
            id: "A4",
            title: "Projected value pays",
            fact: "value.npv24_lower80",
            measure: Measure::Scalar(18_420.0),
            unit: "EUR",
            bound: Bound::AtLeast(0.0),
            threshold: "> €0",
            producer: "the value projection",
            ..share
        }
        .criterion("", ""),
        Row {
            id: "A5",
            title: "No double claim",
            fact: "kpi.overlap",
            measure: Measure::Scalar(0.0),
            bound: Bound::AtMost(0.05),
            threshold: "< 5 %",
            n: Some(9_871),
            producer: "the overlap job",
            ..share
        }
        .criterion("", ""),
    ]
}

fn data(open: bool) -> Vec<Criterion> {
    let share = Row { trigger: "data", ..BLANK };
    let (health, status) = if open { (0.912, Status::Fail) } else { (0.991, Status::Pass) };
    vec![
        Row {
            id: "D1",
            title: "Contract covers the model's inputs",
            fact: "contract.columns_covered",
            measure: Measure::Scalar(1.0),
            bound: Bound::AtLeast(1.0),
            threshold: "= 100 %",
            n: Some(12),
            producer: "the contract check",
            ..share
        }
        .criterion("", ""),
        Row {
            id: "D2",
            title: "Contract health",
            fact: "requests.contract_share",
            measure: Measure::Scalar(health),
            bound: Bound::AtLeast(0.95),
            threshold: "≥ 95 %",
            n: Some(12_480),
            min_n: Some(200),
            window: "14 days",
            status,
            producer: "the endpoint's decision log",
            ..share
        }
        .criterion(
            if open {
                "3.8 points to go: 474 more of 12,480 requests must meet the contract."
            } else {
                ""
            },
            "See which field is refused at the endpoint, then mend the caller or the contract: \
             `viaduct apply -f viaduct.yaml`",
        ),
        Row {
            id: "D3",
            title: "Purpose and classification",
            fact: "contract.classified_share",
            measure: Measure::Scalar(1.0),
            bound: Bound::AtLeast(1.0),
            threshold: "= 100 %",
            n: Some(12),
            producer: "the contract check",
            ..share
        }
        .criterion("", ""),
        Row {
            id: "D4",
            title: "The label arrives",
            fact: "outcomes.joined_share",
            measure: Measure::Scalar(0.934),
            bound: Bound::AtLeast(0.8),
            threshold: "≥ 80 %",
            n: Some(8_210),
            min_n: Some(200),
            producer: "the outcome join",
            ..share
        }
        .criterion("", ""),
    ]
}

fn leakage(open: bool) -> Criterion {
    let row = Row {
        id: "M3",
        title: "No leakage",
        trigger: "data",
        producer: "the leakage probe",
        ..BLANK
    };
    let mut criterion = row.criterion(
        if open { "1 feature is known only after the decision: duration." } else { "" },
        "Train without `duration`, or mark it at_decision in the contract if it truly is known: \
         `viaduct describe project term-deposit`",
    );
    let late = Row {
        fact: "model.after_decision_features",
        measure: Measure::Scalar(if open { 1.0 } else { 0.0 }),
        unit: "count",
        bound: Bound::AtMost(0.0),
        threshold: "= 0",
        status: if open { Status::Fail } else { Status::Pass },
        n: Some(12),
        ..BLANK
    };
    let auc = Row {
        fact: "model.single_feature_auc",
        measure: Measure::Scalar(0.817),
        unit: "",
        bound: Bound::AtMost(0.98),
        threshold: "≤ 0.98",
        n: Some(3_000),
        ..BLANK
    };
    let overlap = Row {
        fact: "model.id_overlap",
        measure: Measure::Scalar(0.0),
        unit: "count",
        bound: Bound::AtMost(0.0),
        threshold: "= 0",
        n: Some(12_000),
        ..BLANK
    };
    criterion.status = if open { Status::Fail } else { Status::Pass };
    criterion.checks = vec![late.check(), auc.check(), overlap.check()];
    if open {
        criterion.checks[0].note = Some("duration: viaduct.available = after_decision".into());
        criterion.checks[0].subject = Some("term-deposit version 1".into());
    }
    criterion
}

fn model(open: bool) -> Vec<Criterion> {
    vec![
        Row {
            id: "M1",
            title: "Beats the simple thing",
            fact: "model.gain_over_baselines",
            measure: interval(0.042, 0.019, 0.066),
            unit: "",
            bound: Bound::AtLeast(0.0),
            threshold: "lower end > 0",
            n: Some(3_000),
            min_n: Some(300),
            producer: "the platform's own scoring of viaduct/test.csv",
            ..BLANK
        }
        .criterion("", ""),
        Row {
            id: "M2",
            title: "Reproducible",
            fact: "model.reproduced",
            bound: Bound::Holds,
            threshold: "within ±1 %",
            status: if open { Status::NotEnoughData } else { Status::Pass },
            measure: if open { Measure::Missing } else { Measure::Flag(true) },
            producer: "the reproduction job",
            ..BLANK
        }
        .criterion(
            if open { "Never measured: no interpreter is configured." } else { "" },
            "Set `[reproduce] python` in viaduct.toml, then ask: `viaduct reproduce term-deposit`",
        ),
        leakage(open),
    ]
}

fn integration(open: bool) -> Vec<Criterion> {
    let row = Row { trigger: "integration", ..BLANK };
    vec![
        Row {
            id: "S1",
            title: "Shadow result",
            fact: "shadow.difference",
            measure: if open { interval(0.21, -0.08, 0.5) } else { interval(0.38, 0.12, 0.64) },
            unit: "EUR",
            bound: Bound::AtLeast(0.0),
            threshold: "lower end ≥ €0",
            n: Some(if open { 212 } else { 1_912 }),
            min_n: Some(300),
            window: "≥ 7 days",
            status: if open { Status::NotEnoughData } else { Status::Pass },
            producer: "the shadow comparison",
            ..row
        }
        .criterion(
            if open { "88 matured cases to go, about 2 days at the present traffic." } else { "" },
            "Keep the shadow running; outcomes come by `POST /api/v1/outcomes`",
        ),
        Row {
            id: "I1",
            title: "A named action exists",
            fact: "rule.capacity_use",
            measure: Measure::Scalar(0.62),
            bound: Bound::AtMost(1.0),
            threshold: "≤ 100 %",
            n: Some(7),
            window: "7 days",
            status: if open { Status::Stale } else { Status::Pass },
            producer: "the rule's dry-run",
            ..row
        }
        .criterion(
            if open { "Measured for rule 41c0…; the rule changed on 14 May." } else { "" },
            "Measure again: `viaduct collect term-deposit`",
        ),
        Row {
            id: "O1",
            title: "Owner pair",
            trigger: "ownership",
            fact: "owners.active",
            measure: Measure::Flag(true),
            bound: Bound::Holds,
            threshold: "two distinct, active",
            producer: "the people table",
            ..row
        }
        .criterion("", ""),
    ]
}

impl Gate {
    /// G1, with every blocking criterion met, or with every kind of trouble.
    pub(super) fn sample_g1(open: bool) -> Self {
        let criteria = [alignment(), data(open), model(open), integration(open)].concat();
        let opens = criteria.iter().all(|c| !c.stands_in_the_way());
        Self {
            name: "G1".into(),
            from: Stage::Concept,
            to: Stage::Pilot,
            opens,
            policy_version: "default 1".into(),
            evaluated_at: Some(at(131, 6)),
            evaluation_id: Some(id("evl", 1)),
            criteria,
            signatures: vec!["business owner".into(), "data owner".into()],
        }
    }

    /// G1 of a project that was applied a minute ago: nothing is measured.
    pub(super) fn sample_unmeasured() -> Self {
        let mut gate = Self::sample_g1(true);
        for criterion in &mut gate.criteria {
            criterion.status = Status::NotEnoughData;
            criterion.distance = Some("Never measured.".into());
            criterion.fix = Some("Measure: `viaduct collect term-deposit`".into());
            for check in &mut criterion.checks {
                check.status = Status::NotEnoughData;
                check.measure = Measure::Missing;
                check.observed_at = None;
                check.n = None;
                check.note = None;
                check.provenance = Provenance::Live;
            }
        }
        gate.evaluation_id = None;
        gate.opens = false;
        gate
    }

    /// G2 with most producers still to come.
    pub(super) fn sample_g2() -> Self {
        let mut criteria = vec![
            Row {
                id: "V1",
                title: "Verdict of the registered plan",
                trigger: "alignment",
                fact: "trial.effect",
                measure: interval(0.42, 0.05, 0.79),
                unit: "EUR",
                bound: Bound::AtLeast(0.15),
                threshold: "lower end > 0, grade A or B",
                n: Some(5_904),
                min_n: Some(200),
                producer: "the trial's one look",
                ..BLANK
            }
            .criterion("", ""),
            Row {
                id: "V3",
                title: "The trial is valid",
                trigger: "alignment",
                fact: "trial.srm_p",
                measure: Measure::Scalar(0.41),
                unit: "",
                bound: Bound::AtLeast(0.001),
                threshold: "p ≥ 0.001",
                n: Some(5_904),
                min_n: Some(200),
                producer: "the trial's checks",
                ..BLANK
            }
            .criterion("", ""),
        ];
        for (name, title, trigger, threshold) in [
            ("V2", "Money", "alignment", "lower end ≥ €0"),
            ("D6", "Training and serving agree", "data", "PSI ≤ 0.2"),
            ("I2", "Used by someone else", "integration", "≥ 10 of 14 days"),
            ("I6", "Rollback and fallback drills", "integration", "≤ 5 min"),
            ("R1", "Hands-off", "", "≥ 4 runs"),
        ] {
            let row = Row {
                id: name,
                title,
                trigger,
                threshold,
                status: Status::NotEnoughData,
                fact: "not.measured.yet",
                ..BLANK
            };
            criteria.push(row.criterion("No part of the platform measures this yet.", ""));
        }
        let mut slices = Row {
            id: "M4",
            title: "Slices",
            fact: "slices.worst_ratio",
            measure: Measure::Scalar(0.84),
            unit: "",
            bound: Bound::AtLeast(0.9),
            threshold: "≥ 0.9 of overall",
            n: Some(412),
            min_n: Some(200),
            status: Status::Waived,
            ..BLANK
        }
        .criterion("", "");
        slices.blocking = false;
        criteria.push(slices);
        Self {
            name: "G2".into(),
            from: Stage::Pilot,
            to: Stage::Department,
            opens: false,
            policy_version: "default 1".into(),
            evaluated_at: Some(at(131, 6)),
            evaluation_id: Some(id("evl", 2)),
            criteria,
            signatures: vec!["business owner".into(), "receiving ops lead".into()],
        }
    }
}

impl Gate {
    /// G2 while the trial runs: its verdict does not exist yet.
    pub(super) fn sample_g2_sealed() -> Self {
        let mut gate = Self::sample_g2();
        for criterion in gate.criteria.iter_mut().filter(|c| c.id.starts_with('V')) {
            criterion.status = Status::NotEnoughData;
            criterion.distance = Some("The registered look is on 10 May 2026.".into());
            for check in &mut criterion.checks {
                check.status = Status::NotEnoughData;
                check.measure = Measure::Missing;
                check.observed_at = None;
            }
        }
        gate
    }
}
