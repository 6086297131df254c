//! Measurements: each fact is there in the healthy case, right, and absent (not zero) when what it
//! rests on is absent.

use std::collections::{BTreeMap, BTreeSet};

use viaduct_base::{ClockKind, Span, Timestamp, TrialId};
use viaduct_domain::assign::Variant;
use viaduct_domain::fact::FactName::{self, *};
use viaduct_domain::fact::{FactValue, Measurement, Provenance, SubjectKind};
use viaduct_domain::manifest::ProjectSpec;
use viaduct_domain::policy::{Operator, Policy};
use viaduct_domain::trial::RegisteredTrial;
use viaduct_stats::{Moments, paired};
use viaduct_work::evidence::cases::Case;
use viaduct_work::evidence::leakage::FeatureAuc;
use viaduct_work::evidence::model::TimeSplit;
use viaduct_work::measure::{
    Frozen, Ground, KpiState, Looked, ModelEvidence, Overlap, OwnerActivity, Owners, Probe,
    Reproduction, Requests, look, measure, reproduction, shadow_estimate,
};

use crate::world::{
    Dice, at, case, population, report, score, settled, spec, spec_without_guardrail, trial,
};

/// Everything that a [`Ground`] borrows, in a state in which all of G1 can be measured.
struct World {
    now: Timestamp,
    clock: ClockKind,
    spec: ProjectSpec,
    without: BTreeSet<SubjectKind>,
    cases: Vec<Case>,
    requests: Requests,
    kpi: KpiState,
    overlap: Option<Overlap>,
    model: Option<ModelEvidence>,
    shadow_window: Option<(Timestamp, Timestamp)>,
    trial: Option<(TrialId, RegisteredTrial)>,
    owners: Owners,
    has_contract: bool,
}

fn owner(name: &str, signed_in_at: &str) -> Option<OwnerActivity> {
    let signed_in_at = Some(at(signed_in_at));
    Some(OwnerActivity { name: name.to_owned(), is_active: true, signed_in_at })
}

fn healthy() -> World {
    let now = at("2026-02-19T00:10:00Z");
    let spec = spec();
    let mut dice = Dice::new(3);
    // 100 leads a day for 40 days; the model would skip a third of them, which lost 4 each.
    let cases = (0..4_000i64).map(|number| {
        let moment = at("2026-01-09") + Span::seconds(864 * number);
        let mut case = case(moment, &format!("lead-{number}"), Variant::Shadow);
        let skip = number % 3 == 0;
        case.output = Some(score(if skip { 0.05 } else { 0.3 }));
        settled(case, if skip { -4.0 } else { 2.0 } + dice.normal(), 7)
    });
    let beats = |mean: f64| paired(&Moments::from_mean_sd(500, mean, 0.2).unwrap(), 0.95).unwrap();
    let inputs: Vec<String> = ["age", "job", "euribor3m"].map(str::to_owned).into();
    World {
        now,
        clock: ClockKind::System,
        without: BTreeSet::new(),
        cases: cases.filter(|case| case.at <= now).collect(),
        requests: Requests { met: 1_400, refused: 14, from: Some(at("2026-02-05")) },
        kpi: KpiState {
            live_days: 27,
            frozen: Some(Frozen {
                at: at("2026-01-02"),
                days: ("2025-07-01".parse().unwrap(), "2025-12-29".parse().unwrap()),
                points: 182,
                weeks: 26,
                hash: "h".into(),
            }),
            units_chosen_at: None,
        },
        overlap: Some(Overlap { entities: 4_000, shared: 40, projects: 1 }),
        model: Some(ModelEvidence {
            version: 1,
            inputs,
            probe: Some(Probe {
                beats: vec![
                    ("constant".into(), beats(0.09)),
                    ("simple".into(), beats(0.05)),
                    ("current_rule".into(), beats(0.04)),
                ],
                split: Some(TimeSplit {
                    train_until: at("2025-11-30"),
                    test_from: at("2025-12-01"),
                }),
                id_overlap: Some(0),
                feature_aucs: vec![
                    FeatureAuc { feature: "euribor3m".into(), auc: 0.74 },
                    FeatureAuc { feature: "age".into(), auc: 0.55 },
                ],
                rows: 500,
                digest: "d".into(),
            }),
        }),
        shadow_window: Some((at("2026-01-09"), at("2026-01-28"))),
        trial: None,
        owners: Owners {
            business: owner("bea", "2026-02-10"),
            technical: owner("tom", "2026-02-11"),
        },
        has_contract: true,
        spec,
    }
}

type Facts = BTreeMap<FactName, Measurement>;

impl World {
    fn with<T>(&self, read: impl FnOnce(&Ground<'_>) -> T) -> T {
        let subjects =
            |kind: SubjectKind| (!self.without.contains(&kind)).then(|| format!("the {kind}"));
        read(&Ground {
            now: self.now,
            clock: self.clock,
            spec: &self.spec,
            contract: self.spec.contract.as_ref().filter(|_| self.has_contract),
            subjects: &subjects,
            cases: &self.cases,
            requests: self.requests,
            kpi: self.kpi.clone(),
            overlap: self.overlap,
            model: self.model.as_ref(),
            shadow_window: self.shadow_window,
            trial: self.trial.as_ref().map(|(id, trial)| (*id, trial)),
            owners: self.owners.clone(),
        })
    }

    fn facts(&self) -> Facts {
        let made = self.with(measure);
        let count = made.len();
        let facts: Facts = made.into_iter().map(|made| (made.name, made)).collect();
        assert_eq!(facts.len(), count, "a fact was made twice");
        facts
    }

    fn look(&self) -> Option<Looked> {
        self.with(look)
    }
}

fn scalar(facts: &Facts, name: FactName) -> f64 {
    match facts.get(&name).unwrap_or_else(|| panic!("no `{name}`")).value {
        FactValue::Scalar { value } => value,
        other => panic!("`{name}` is {other:?}"),
    }
}

fn flag(facts: &Facts, name: FactName) -> bool {
    match facts.get(&name).unwrap_or_else(|| panic!("no `{name}`")).value {
        FactValue::Flag { value } => value,
        other => panic!("`{name}` is {other:?}"),
    }
}

/// The facts that G1 reads, without those of the rerun.
fn g1() -> BTreeSet<FactName> {
    let policy = Policy::shipped().unwrap();
    let checks = policy.gates()[0].criteria.iter().flat_map(|criterion| &criterion.checks);
    let rerun = [ModelReproduced, ModelReproducedMetricGap];
    checks.map(|check| check.fact).filter(|fact| !rerun.contains(fact)).collect()
}

#[test]
fn the_healthy_project_has_every_fact_of_the_first_gate() {
    let world = healthy();
    let facts = world.facts();
    for name in g1() {
        let made = facts.get(&name).unwrap_or_else(|| panic!("no `{name}`"));
        assert_eq!(made.value.shape(), name.shape(), "{name}");
        assert_eq!(made.subject.kind, name.subject_kind(), "{name}");
        assert_eq!(made.subject.id, format!("the {}", name.subject_kind()), "{name}");
        assert!(made.value.is_sound(), "{name}");
        assert_eq!(made.provenance, Provenance::Live, "{name}");
    }
    assert!(facts.keys().all(|name| g1().contains(name)), "a fact that no criterion reads");
}

#[test]
fn the_figures_are_those_of_the_rows() {
    let facts = healthy().facts();
    assert!((scalar(&facts, KpiLiveShare) - 27.0 / 28.0).abs() < 1e-12);
    assert!((scalar(&facts, KpiBaselineWeeks) - 26.0).abs() < 1e-12);
    assert!(flag(&facts, KpiBaselineFrozenBeforeSelection));
    assert!((scalar(&facts, KpiDoubleClaimOverlap) - 0.01).abs() < 1e-12);
    assert!((scalar(&facts, ContractRequestPassShare) - 1_400.0 / 1_414.0).abs() < 1e-12);
    assert_eq!(facts[&ContractRequestPassShare].n, Some(1_414));
    assert_eq!(scalar(&facts, ContractSignatureCoverage), 1.0);
    assert_eq!(scalar(&facts, ContractClassifiedShare), 1.0);
    assert!(flag(&facts, ContractPurposeApproved));
    assert_eq!(scalar(&facts, OutcomeJoinedShare), 1.0);
    assert!((scalar(&facts, OutcomeDelayP90Days) - 7.0).abs() < 1e-9);
    assert!(flag(&facts, OutcomeDelayWithinPlan));
    assert!(flag(&facts, ModelTimeSplit));
    assert_eq!(scalar(&facts, LeakageAfterDecisionFeatures), 0.0);
    assert_eq!(scalar(&facts, LeakageMaxFeatureAuc), 0.74);
    assert_eq!(scalar(&facts, LeakageIdOverlap), 0.0);
    assert_eq!(scalar(&facts, ShadowDays), 19.0);
    // Two thirds of 100 leads a day are called; the team can do 400.
    let busy = scalar(&facts, RuleDailyVolumeShareOfCapacity);
    assert!((busy - 67.0 / 400.0).abs() < 0.01, "{busy}");
    assert!(flag(&facts, RuleDryRunOk) && flag(&facts, OwnerPairActive));
    let FactValue::Interval { estimate, lower, upper, level } =
        facts[&ShadowPairedDifference].value
    else {
        panic!("no interval")
    };
    assert!((estimate - 4.0 / 3.0).abs() < 0.1 && lower > 1.0 && upper < 1.6, "{estimate}");
    assert_eq!((level, facts[&ShadowPairedDifference].n), (0.95, Some(1_900)));
    assert!(scalar(&facts, PlanPowerAtBreakEven) > 0.8);
    assert!(scalar(&facts, PlanWeeksNeeded) < 12.0);
    assert!(scalar(&facts, ValueNpv24Lower80) > 0.0);
    assert_eq!(facts[&ValueNpv24Lower80].currency.as_deref(), Some("EUR"));
}

#[test]
fn windows_are_those_that_the_policy_asks_for_at_any_hour() {
    let policy = Policy::shipped().unwrap();
    for hour in ["T00:00:00Z", "T00:10:00Z", "T12:00:00Z", "T23:59:59Z"] {
        let mut world = healthy();
        world.now = at(&format!("2026-02-19{hour}"));
        let facts = world.facts();
        let asked = g1().into_iter().filter_map(|name| Some((name, policy.window_of(name)?)));
        let mut seen = 0;
        for (name, asked) in asked {
            let window = facts[&name].window.unwrap_or_else(|| panic!("`{name}` has no window"));
            let off = window.length().as_micros().abs_diff(asked.as_micros());
            assert!(off <= Span::days(1).as_micros() as u64, "{name} at {hour}: {off}");
            assert!(window.to <= world.now, "{name} at {hour}");
            seen += 1;
        }
        assert_eq!(seen, 3, "A1, D2 and I1 ask for windows");
    }
}

/// An edit that takes something away, and the facts that must then be gone. All others stay.
type Loss = (&'static str, fn(&mut World), &'static [FactName]);

const OF_SHADOW: &[FactName] =
    &[ShadowPairedDifference, ShadowDays, PlanPowerAtBreakEven, PlanWeeksNeeded, ValueNpv24Lower80];
const OF_MODEL: &[FactName] = &[
    ModelBeatsConstant,
    ModelBeatsSimple,
    ModelBeatsCurrentRule,
    ModelTimeSplit,
    LeakageMaxFeatureAuc,
    LeakageIdOverlap,
];
const OF_CONTRACT: &[FactName] = &[
    ContractSignatureCoverage,
    ContractClassifiedShare,
    ContractPurposeApproved,
    ContractRequestPassShare,
    LeakageAfterDecisionFeatures,
];

const LOSSES: &[Loss] = &[
    (
        "no frozen history",
        |w| w.kpi.frozen = None,
        &[KpiBaselineWeeks, KpiBaselineFrozenBeforeSelection],
    ),
    ("no overlap known", |w| w.overlap = None, &[KpiDoubleClaimOverlap]),
    (
        "no entities",
        |w| w.overlap = Some(Overlap { entities: 0, shared: 0, projects: 0 }),
        &[KpiDoubleClaimOverlap],
    ),
    ("no requests", |w| w.requests = Requests::default(), &[ContractRequestPassShare]),
    (
        "a window without requests",
        |w| w.requests = Requests { met: 0, refused: 0, from: Some(at("2026-02-05")) },
        &[ContractRequestPassShare],
    ),
    ("no contract", |w| w.has_contract = false, OF_CONTRACT),
    (
        "no costs",
        |w| w.spec.costs = None,
        &[PlanPowerAtBreakEven, PlanWeeksNeeded, ValueNpv24Lower80],
    ),
    (
        "no unit value",
        |w| w.spec.kpis[0].unit_value = None,
        &[PlanPowerAtBreakEven, PlanWeeksNeeded, ValueNpv24Lower80],
    ),
    ("no plan", |w| w.spec.trial = None, &[PlanPowerAtBreakEven, PlanWeeksNeeded]),
    ("nothing is bound", |w| w.shadow_window = None, OF_SHADOW),
    (
        "the shadow goes on",
        |w| w.shadow_window = Some((at("2026-01-09"), at("2026-03-01"))),
        &[ShadowPairedDifference, ValueNpv24Lower80],
    ),
    (
        "the shadow has ended and not matured",
        |w| w.shadow_window = Some((at("2026-01-09"), at("2026-01-29T00:10:01Z"))),
        &[ShadowPairedDifference, ValueNpv24Lower80],
    ),
    (
        "more than 5 % cannot be known",
        |w| {
            for case in w.cases.iter_mut().step_by(18) {
                case.outcomes.clear();
            }
        },
        &[ShadowPairedDifference, ValueNpv24Lower80],
    ),
    (
        "no outcome ever",
        |w| w.cases.iter_mut().for_each(|case| case.outcomes.clear()),
        &[
            OutcomeJoinedShare,
            OutcomeDelayP90Days,
            OutcomeDelayWithinPlan,
            ShadowPairedDifference,
            ShadowDays,
            PlanPowerAtBreakEven,
            PlanWeeksNeeded,
            ValueNpv24Lower80,
        ],
    ),
    (
        "no recent scores",
        |w| w.cases.retain(|case| case.at < at("2026-02-01")),
        &[RuleDryRunOk, RuleDailyVolumeShareOfCapacity],
    ),
    (
        "no queue",
        |w| {
            if let Some(rule) = &mut w.spec.rule {
                rule.queue = None;
            }
        },
        &[RuleDailyVolumeShareOfCapacity],
    ),
    ("no business owner", |w| w.owners.business = None, &[OwnerPairActive]),
    ("no technical owner", |w| w.owners.technical = None, &[OwnerPairActive]),
    (
        "a run without tables",
        |w| {
            if let Some(model) = &mut w.model {
                model.probe = None;
            }
        },
        OF_MODEL,
    ),
    (
        "no baseline column of the current rule",
        |w| probe(w).beats.retain(|(name, _)| name != "current_rule"),
        &[ModelBeatsCurrentRule],
    ),
    ("tables without times", |w| probe(w).split = None, &[ModelTimeSplit]),
    ("tables without ids", |w| probe(w).id_overlap = None, &[LeakageIdOverlap]),
    ("no feature could be probed", |w| probe(w).feature_aucs.clear(), &[LeakageMaxFeatureAuc]),
    (
        "an input that the contract says nothing about",
        |w| model(w).inputs.push("mystery".into()),
        &[LeakageAfterDecisionFeatures],
    ),
    (
        "a model without named inputs",
        |w| model(w).inputs.clear(),
        &[ContractSignatureCoverage, LeakageAfterDecisionFeatures],
    ),
    (
        "callers name no entity",
        |w| w.cases.iter_mut().for_each(|c| c.entity.clear()),
        &[PlanPowerAtBreakEven, PlanWeeksNeeded, ValueNpv24Lower80],
    ),
];

fn model(world: &mut World) -> &mut ModelEvidence {
    world.model.as_mut().unwrap()
}

fn probe(world: &mut World) -> &mut Probe {
    model(world).probe.as_mut().unwrap()
}

#[test]
fn what_cannot_be_measured_is_absent_and_not_zero() {
    let all: BTreeSet<FactName> = healthy().facts().into_keys().collect();
    for (what, take, gone) in LOSSES {
        let mut world = healthy();
        take(&mut world);
        let left: BTreeSet<FactName> = world.facts().into_keys().collect();
        let lost: Vec<_> = all.difference(&left).map(|name| name.as_str()).collect();
        let mut wanted: Vec<_> = gone.iter().map(|name| name.as_str()).collect();
        wanted.sort_by_key(|name| name.parse::<FactName>().unwrap());
        assert_eq!(lost, wanted, "{what}");
        assert!(left.is_subset(&all), "{what}");
    }
}

#[test]
fn an_empty_project_has_no_figures() {
    let mut world = healthy();
    world.cases.clear();
    world.model = None;
    world.kpi = KpiState::default();
    world.requests = Requests::default();
    world.overlap = None;
    world.shadow_window = None;
    world.owners = Owners::default();
    let made: Vec<_> = world.facts().into_keys().collect();
    // A KPI without a single day is measured: it is dead. The contract can be read at once.
    assert_eq!(made, [KpiLiveShare, ContractClassifiedShare, ContractPurposeApproved]);
    assert_eq!(scalar(&world.facts(), KpiLiveShare), 0.0);
}

#[test]
fn a_fact_needs_its_subject() {
    for kind in SubjectKind::ALL {
        let mut world = healthy();
        world.without.insert(*kind);
        let facts = world.facts();
        assert!(facts.keys().all(|name| name.subject_kind() != *kind), "{kind}");
    }
}

#[test]
fn red_facts_are_red() {
    let changed = |change: fn(&mut World)| {
        let mut world = healthy();
        change(&mut world);
        world.facts()
    };
    let facts = changed(|w| model(w).inputs.push("duration".into()));
    assert_eq!(scalar(&facts, LeakageAfterDecisionFeatures), 1.0);
    assert!(facts[&LeakageAfterDecisionFeatures].note.as_ref().unwrap().contains("duration"));
    // A known leak is told, even when another input says nothing.
    let facts = changed(|w| model(w).inputs.extend(["duration".into(), "mystery".into()]));
    assert_eq!(scalar(&facts, LeakageAfterDecisionFeatures), 1.0);
    let facts = changed(|w| model(w).inputs.push("mystery".into()));
    assert_eq!(scalar(&facts, ContractSignatureCoverage), 0.75);
    let facts = changed(|w| w.spec.charter.purpose = "scoring".into());
    assert!(!flag(&facts, ContractPurposeApproved));
    let facts = changed(|w| {
        probe(w).split =
            Some(TimeSplit { train_until: at("2025-12-01"), test_from: at("2025-12-01") });
    });
    assert!(!flag(&facts, ModelTimeSplit));
    let facts = changed(|w| w.kpi.units_chosen_at = Some(at("2026-01-01")));
    assert!(!flag(&facts, KpiBaselineFrozenBeforeSelection), "frozen after the choice");
    let facts = changed(|w| w.kpi.units_chosen_at = Some(at("2026-01-03")));
    assert!(flag(&facts, KpiBaselineFrozenBeforeSelection));
    let facts = changed(|w| w.owners.technical = owner("bea", "2026-02-10"));
    assert!(!flag(&facts, OwnerPairActive), "one person is no pair");
    let facts = changed(|w| w.owners.technical = owner("tom", "2026-01-19"));
    assert!(!flag(&facts, OwnerPairActive), "31 days away");
    let facts = changed(|w| w.owners.technical = owner("tom", "2026-01-21"));
    assert!(flag(&facts, OwnerPairActive), "29 days away");
    let facts = changed(|w| w.owners.business.as_mut().unwrap().is_active = false);
    assert!(!flag(&facts, OwnerPairActive), "disabled");
    let facts = changed(|w| w.owners.business.as_mut().unwrap().signed_in_at = None);
    assert!(!flag(&facts, OwnerPairActive), "never here");
    let facts =
        changed(|w| w.spec.rule.as_mut().unwrap().queue.as_mut().unwrap().daily_capacity = 50);
    assert!(scalar(&facts, RuleDailyVolumeShareOfCapacity) > 1.0);
    let facts = changed(|w| w.cases.last_mut().unwrap().output = Some(score(f64::NAN)));
    assert!(!flag(&facts, RuleDryRunOk), "one score that the rule cannot read");
}

#[test]
fn a_capacity_of_nothing_is_no_capacity() {
    let mut world = healthy();
    world.spec.rule.as_mut().unwrap().queue.as_mut().unwrap().daily_capacity = 0;
    assert!(!world.facts().contains_key(&RuleDailyVolumeShareOfCapacity));
}

#[test]
fn facts_say_where_their_rows_come_from() {
    let mut world = healthy();
    world.clock = ClockKind::Simulated;
    assert!(world.facts().values().all(|made| made.provenance == Provenance::Simulated));
    world.cases[700].replayed = true;
    assert_eq!(world.facts()[&ShadowPairedDifference].provenance, Provenance::Replayed);
    assert_eq!(world.facts()[&OutcomeJoinedShare].provenance, Provenance::Replayed);
}

#[test]
fn the_shadow_has_one_look() {
    let mut world = healthy();
    let first = world.facts()[&ShadowPairedDifference].clone();
    assert!(shadow_in(&world).is_some());
    // Corrections that come after the registered end change nothing that was seen.
    for case in world.cases.iter_mut().step_by(2) {
        let late = at("2026-02-18T00:00:01Z");
        case.outcomes.push(report(-900.0, late, viaduct_domain::kpi::OutcomeStatus::Corrected));
    }
    world.now = at("2026-02-25");
    let again = &world.facts()[&ShadowPairedDifference];
    assert_eq!((again.value, again.n), (first.value, first.n));
    world.shadow_window = Some((at("2026-01-09"), at("2026-03-01")));
    assert!(shadow_in(&world).is_none());
}

fn shadow_in(world: &World) -> Option<f64> {
    world.with(|ground| shadow_estimate(ground).map(|found| found.estimate.effect))
}

#[test]
fn a_rerun_that_failed_is_red_and_has_no_gap() {
    let subjects = |kind: SubjectKind| Some(kind.to_string());
    let done = |again: f64, failed: Option<&str>| Reproduction {
        metric: "brier".into(),
        recorded: 0.2,
        again,
        failed: failed.map(str::to_owned),
        asked_by: "ana".into(),
        digest: "d".into(),
    };
    let facts = |done: &Reproduction| -> Facts {
        let made = reproduction(done, &subjects, ClockKind::System);
        made.into_iter().map(|made| (made.name, made)).collect()
    };
    let same = facts(&done(0.2019, None));
    assert!(flag(&same, ModelReproduced));
    assert!((scalar(&same, ModelReproducedMetricGap) - 0.0095).abs() < 1e-9);
    let other = facts(&done(0.21, None));
    assert!(!flag(&other, ModelReproduced));
    for broken in [done(0.2, Some("timed out")), done(f64::NAN, None), done(f64::INFINITY, None)] {
        let made = facts(&broken);
        assert!(!flag(&made, ModelReproduced), "{broken:?}");
        assert!(!made.contains_key(&ModelReproducedMetricGap), "{broken:?}");
    }
}

fn in_trial(effect: f64) -> World {
    let mut world = healthy();
    world.spec = spec_without_guardrail();
    let (id, registered) = trial(&world.spec);
    world.cases = population(id, 4_000, 5.0, effect);
    world.trial = Some((id, registered));
    world.now = at("2026-05-04T00:10:00Z");
    world
}

fn looked(world: &World) -> (char, Facts) {
    let looked = world.look().unwrap();
    let facts = looked.measurements.into_iter().map(|made| (made.name, made)).collect();
    (looked.grade, facts)
}

const OF_TRIAL: [FactName; 7] = [
    TrialVerdictPass,
    TrialGrade,
    TrialEffect,
    TrialSrmOk,
    TrialContaminationOk,
    TrialMissingOutcomesBalanced,
    TrialRegisteredBeforeExposure,
];

#[test]
fn a_good_trial_has_grade_a_and_seven_facts() {
    let (grade, facts) = looked(&in_trial(3.0));
    assert_eq!(grade, 'A');
    assert_eq!(facts.keys().copied().collect::<Vec<_>>(), OF_TRIAL);
    assert_eq!(scalar(&facts, TrialGrade), 4.0);
    for name in OF_TRIAL {
        assert_eq!(facts[&name].n, Some(4_000), "{name}");
        if name.shape() == viaduct_domain::fact::Shape::Flag {
            assert!(flag(&facts, name), "{name}");
        }
    }
    // The policy's own thresholds let it through.
    let policy = Policy::shipped().unwrap();
    let gate = &policy.gates()[1];
    let grades = gate.criterion("V1").unwrap().checks.iter().filter(|c| c.fact == TrialGrade);
    assert_eq!(grades.filter(|check| check.op == Operator::AtLeast).count(), 2);
}

#[test]
fn before_the_end_there_is_not_one_fact() {
    let mut world = in_trial(3.0);
    for now in ["2026-03-01", "2026-04-13", "2026-05-03T23:59:59Z"] {
        world.now = at(now);
        assert!(world.look().is_none(), "{now}");
    }
    world.now = at("2026-05-04");
    assert!(world.look().is_some());
    world.trial = None;
    assert!(world.look().is_none(), "no trial");
    let mut world = in_trial(3.0);
    world.without.insert(SubjectKind::Trial);
    assert!(world.look().unwrap().measurements.is_empty(), "no subject");
    let mut world = in_trial(3.0);
    world.cases.retain(|case| case.variant == Variant::Champion);
    assert!(world.look().is_none(), "one arm is no comparison");
}

#[test]
fn a_replay_is_never_better_than_s_and_an_invalid_trial_is_d() {
    let mut world = in_trial(3.0);
    world.cases.iter_mut().for_each(|case| case.replayed = true);
    let (grade, facts) = looked(&world);
    assert_eq!((grade, scalar(&facts, TrialGrade)), ('S', 1.0));
    assert!(facts.values().all(|made| made.provenance == Provenance::Replayed));
    // Replayed and invalid at once: still no better.
    world.cases.retain(|case| case.variant == Variant::Champion || case.at > at("2026-03-10"));
    assert!(scalar(&looked(&world).1, TrialGrade) <= 1.0);
    let mut world = in_trial(3.0);
    world.cases.retain(|case| case.variant == Variant::Champion || case.at > at("2026-03-10"));
    let (grade, facts) = looked(&world);
    assert_eq!((grade, scalar(&facts, TrialGrade)), ('D', 0.0));
    assert!(!flag(&facts, TrialVerdictPass) && !flag(&facts, TrialSrmOk));
    let mut world = in_trial(3.0);
    world.cases[0].at = at("2026-02-20");
    let (_, facts) = looked(&world);
    assert!(!flag(&facts, TrialRegisteredBeforeExposure) && !flag(&facts, TrialVerdictPass));
}
