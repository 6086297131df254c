//! Facts, evaluations, reviews, signatures, waivers, trials, estimates, audit.

use viaduct_base::*;
use viaduct_store::audit::{self, AuditRow};
use viaduct_store::chain::{self, ChainName};
use viaduct_store::estimate::{self, EstimateRow};
use viaduct_store::evaluation::{self, EvaluationRow};
use viaduct_store::review::{self, ReviewRow};
use viaduct_store::signature::{self, SignatureRow};
use viaduct_store::trial::{self, TrialRow};
use viaduct_store::waiver::{self, WaiverRow};
use viaduct_store::{Scope, StoreError, fact};

use crate::chains::fact as new_fact;
use crate::world::{World, at, store_contract};

store_contract!(
    latest_facts,
    facts_in_pages,
    evaluations,
    reviews_and_signatures,
    waivers,
    trials,
    estimates,
    audit_entries,
);

fn latest_facts(world: World) {
    let scope = world.scope;
    let (one, two) = (ProjectId::new(at(0)), ProjectId::new(at(0)));
    let rows: Vec<_> = (0..9).map(|i| new_fact(&scope, one, i)).collect();
    let mut elsewhere = new_fact(&scope, one, 6);
    elsewhere.id = FactId::new(at(50));
    elsewhere.subject_id = "kpi_2".to_owned();
    let other = new_fact(&scope, two, 3);
    let (wanted, apart) = (rows.clone(), elsewhere.clone());
    world
        .write(move |tx| {
            rows.iter().chain([&elsewhere, &other]).try_for_each(|row| fact::append(tx, row))
        })
        .unwrap();
    let latest = world.read(move |tx| fact::latest(tx, &scope, one)).unwrap();
    let expected = [&wanted[6], &apart, &wanted[7], &wanted[8]].map(Clone::clone);
    assert_eq!(latest, expected);
    let of = world
        .read(move |tx| fact::latest_of(tx, &scope, one, "kpi.live_days1", "kpi", "kpi_1"))
        .unwrap();
    assert_eq!(of, Some(wanted[7].clone()));
    let id = wanted[2].id;
    assert_eq!(world.read(move |tx| fact::find(tx, &scope, id)), Ok(Some(wanted[2].clone())));
    let stranger = Scope::of(WorkspaceId::new(at(0)));
    assert_eq!(world.read(move |tx| fact::latest(tx, &stranger, one)), Ok(vec![]));
}

fn facts_in_pages(world: World) {
    let (scope, project) = (world.scope, ProjectId::new(at(0)));
    let rows: Vec<_> = (0..10).map(|i| new_fact(&scope, project, i)).collect();
    world.write(move |tx| rows.iter().try_for_each(|row| fact::append(tx, row))).unwrap();
    let first = world.read(move |tx| fact::list(tx, &scope, project, None, 4)).unwrap();
    assert_eq!(first.iter().map(|f| f.seq).collect::<Vec<_>>(), [10, 9, 8, 7]);
    let next = world.read(move |tx| fact::list(tx, &scope, project, Some(7), 4)).unwrap();
    assert_eq!(next.iter().map(|f| f.seq).collect::<Vec<_>>(), [6, 5, 4, 3]);
    let named = world
        .read(move |tx| fact::list_named(tx, &scope, project, "kpi.live_days0", None, 9))
        .unwrap();
    assert_eq!(named.iter().map(|f| f.seq).collect::<Vec<_>>(), [10, 7, 4, 1]);
}

fn new_evaluation(scope: &Scope, project: ProjectId, i: i64) -> EvaluationRow {
    EvaluationRow {
        id: EvaluationId::new(at(i)),
        workspace_id: scope.workspace,
        project_id: project,
        gate: "G1".to_owned(),
        policy_version: 1,
        policy_hash: "p".to_owned(),
        tier: "T2".to_owned(),
        opens: i % 2 == 0,
        evaluation_hash: format!("e{i}"),
        reason: "schedule".to_owned(),
        body_json: "{}".to_owned(),
        evaluated_at: at(i),
    }
}

fn evaluations(world: World) {
    let (scope, project) = (world.scope, ProjectId::new(at(0)));
    let rows: Vec<_> = (0..3).map(|i| new_evaluation(&scope, project, i)).collect();
    let wanted = rows.clone();
    world.write(move |tx| rows.iter().try_for_each(|row| evaluation::append(tx, row))).unwrap();
    let latest = world.read(move |tx| evaluation::latest(tx, &scope, project, "G1"));
    assert_eq!(latest, Ok(Some(wanted[2].clone())));
    assert_eq!(world.read(move |tx| evaluation::latest(tx, &scope, project, "G2")), Ok(None));
    let listed = world.read(move |tx| evaluation::list(tx, &scope, project, 2));
    assert_eq!(listed, Ok(vec![wanted[2].clone(), wanted[1].clone()]));
    let id = wanted[0].id;
    let found = world.read(move |tx| evaluation::find(tx, &scope, id));
    assert_eq!(found, Ok(Some(wanted[0].clone())));
    let report = world.read(|tx| Ok(chain::verify(tx, ChainName::Evaluations))).unwrap();
    assert_eq!(report.unwrap().entries, 3);
}

fn new_review(scope: &Scope, project: ProjectId, i: i64) -> ReviewRow {
    ReviewRow {
        id: ReviewId::new(at(i)),
        workspace_id: scope.workspace,
        project_id: project,
        gate: "G1".to_owned(),
        evaluation_id: EvaluationId::new(at(0)),
        evaluation_hash: "e0".to_owned(),
        state: "open".to_owned(),
        is_open: true,
        body_json: "{}".to_owned(),
        opened_at: at(i),
        opened_by: "ana".to_owned(),
        due_at: Some(at(100)),
        closed_at: None,
        revision: 1,
    }
}

fn reviews_and_signatures(world: World) {
    let (scope, project) = (world.scope, world.project("p"));
    let (first, second) = (new_review(&scope, project, 0), new_review(&scope, project, 1));
    let (id, put, again) = (first.id, first.clone(), second.clone());
    world.write(move |tx| review::insert(tx, &put)).unwrap();
    let raced = world.write(move |tx| review::insert(tx, &again)).unwrap_err();
    assert!(raced.is_unique("review", "project_id"), "{raced:?}");
    let open = world.read(move |tx| review::find_open(tx, &scope, project));
    assert_eq!(open, Ok(Some(first.clone())));
    assert_eq!(world.read(|tx| review::list_due(tx, at(99))), Ok(vec![]));
    assert_eq!(world.read(|tx| review::list_due(tx, at(100))).unwrap().len(), 1);

    let signature = move |user: UserId, role: &str| SignatureRow {
        id: SignatureId::new(at(2)),
        workspace_id: scope.workspace,
        project_id: project,
        review_id: id,
        evaluation_hash: "e0".to_owned(),
        role: role.to_owned(),
        user_id: user,
        user_name: "bea".to_owned(),
        statement: "The holdout is small, so the interval stays wide.".to_owned(),
        signed_at: at(2),
    };
    let bea = UserId::new(at(0));
    let (one, two) = (signature(bea, "business_owner"), signature(bea, "data_owner"));
    let kept = one.clone();
    world.write(move |tx| signature::append(tx, &one)).unwrap();
    let twice = world.write(move |tx| signature::append(tx, &two)).unwrap_err();
    assert!(twice.is_unique("signature", "review_id, user_id"), "{twice:?}");
    assert_eq!(world.read(move |tx| signature::list(tx, &scope, id)), Ok(vec![kept]));
    let report = world.read(|tx| Ok(chain::verify(tx, ChainName::Signatures))).unwrap();
    assert_eq!(report.unwrap().entries, 1);

    let mut closed = first;
    closed.state = "opened".to_owned();
    closed.is_open = false;
    closed.closed_at = Some(at(3));
    let late = closed.clone();
    world.write(move |tx| review::update(tx, &scope, &closed)).unwrap();
    let lost = world.write(move |tx| review::update(tx, &scope, &late));
    assert!(matches!(lost, Err(StoreError::Conflict { noun: "review", .. })));
    world.write(move |tx| review::insert(tx, &second)).unwrap();
    let listed = world.read(move |tx| review::list(tx, &scope, project)).unwrap();
    assert_eq!(listed.iter().map(|r| r.is_open).collect::<Vec<_>>(), [true, false]);
    let found = world.read(move |tx| review::find(tx, &scope, id)).unwrap().unwrap();
    assert_eq!((found.closed_at, found.revision), (Some(at(3)), 2));
}

fn waivers(world: World) {
    let (scope, project) = (world.scope, world.project("p"));
    let row = WaiverRow {
        id: WaiverId::new(at(0)),
        project_id: project,
        criterion: "A5".to_owned(),
        reason: "r".to_owned(),
        compensation: "c".to_owned(),
        requested_by: "ana".to_owned(),
        requested_at: at(0),
        expires_at: at(90),
        approved_by: None,
        approved_at: None,
        ended_at: None,
        revision: 1,
    };
    let id = row.id;
    world.write(move |tx| waiver::insert(tx, &scope, &row)).unwrap();
    world.write(move |tx| waiver::approve(tx, &scope, id, 1, "rita", at(1))).unwrap();
    let twice = world.write(move |tx| waiver::approve(tx, &scope, id, 2, "tom", at(2)));
    assert!(matches!(twice, Err(StoreError::Conflict { noun: "waiver", .. })));
    world.write(move |tx| waiver::end(tx, &scope, id, 2, at(3))).unwrap();
    let found = world.read(move |tx| waiver::find(tx, &scope, id)).unwrap().unwrap();
    assert_eq!((found.approved_by.as_deref(), found.ended_at), (Some("rita"), Some(at(3))));
    assert_eq!(world.read(move |tx| waiver::list(tx, &scope, project)), Ok(vec![found.clone()]));
    assert_eq!(world.read(move |tx| waiver::list_all(tx, &scope)), Ok(vec![found]));
}

fn trials(world: World) {
    let (scope, project) = (world.scope, world.project("p"));
    let row = TrialRow {
        id: TrialId::new(at(0)),
        workspace_id: scope.workspace,
        project_id: project,
        endpoint_id: EndpointId::new(at(0)),
        kpi_id: KpiId::new(at(0)),
        name: "pilot-1".to_owned(),
        plan_json: "{}".to_owned(),
        plan_hash: "h".to_owned(),
        salt: "s".to_owned(),
        clock: "simulated".to_owned(),
        registered_at: at(0),
        registered_by: None,
        starts_at: at(1),
        ends_at: at(2),
        looks_at: at(3),
        stopped_at: None,
        stopped_why: None,
        revision: 1,
    };
    let (id, put, twin) = (row.id, row.clone(), row.clone());
    world.write(move |tx| trial::insert(tx, &put)).unwrap();
    assert!(world.write(move |tx| trial::insert(tx, &twin)).is_err());
    assert_eq!(world.read(move |tx| trial::find(tx, &scope, id)), Ok(Some(row.clone())));
    let found = world.read(move |tx| trial::find_by_name(tx, &scope, project, "pilot-1"));
    assert_eq!(found, Ok(Some(row.clone())));
    assert_eq!(world.read(trial::list_all), Ok(vec![row]));
    world.write(move |tx| trial::stop(tx, &scope, id, 1, "guardrail", at(2))).unwrap();
    assert!(world.write(move |tx| trial::stop(tx, &scope, id, 2, "again", at(2))).is_err());
    assert_eq!(world.read(trial::list_all), Ok(vec![]));
    let listed = world.read(move |tx| trial::list(tx, &scope, project)).unwrap();
    assert_eq!(listed[0].stopped_why.as_deref(), Some("guardrail"));
}

fn estimates(world: World) {
    let (scope, project, trial) = (world.scope, ProjectId::new(at(0)), TrialId::new(at(0)));
    let estimate = move |i: i64, design: &str| EstimateRow {
        id: EstimateId::new(at(i)),
        project_id: project,
        kpi_id: None,
        trial_id: (design == "trial").then_some(trial),
        design: design.to_owned(),
        grade: "S".to_owned(),
        verdict: None,
        effect: (i > 0).then_some(i as f64 / 7.0),
        lower: Some(f64::MIN_POSITIVE),
        upper: Some(f64::INFINITY),
        level: 0.95,
        n_model: 10,
        n_control: 9,
        unit: "EUR".to_owned(),
        provenance: "replayed".to_owned(),
        window_from: None,
        window_to: Some(at(i)),
        body_json: "{}".to_owned(),
        computed_at: at(i),
    };
    let rows = [estimate(0, "shadow"), estimate(1, "shadow"), estimate(2, "trial")];
    let wanted = rows.clone();
    world
        .write(move |tx| rows.iter().try_for_each(|row| estimate::insert(tx, &scope, row)))
        .unwrap();
    let latest = world.read(move |tx| estimate::latest(tx, &scope, project, "shadow"));
    assert_eq!(latest, Ok(Some(wanted[1].clone())));
    let of_trial = world.read(move |tx| estimate::latest_by_trial(tx, &scope, project, trial));
    assert_eq!(of_trial, Ok(Some(wanted[2].clone())));
    let listed = world.read(move |tx| estimate::list(tx, &scope, project, 2)).unwrap();
    assert_eq!(listed, [wanted[2].clone(), wanted[1].clone()]);
    let id = wanted[0].id;
    assert_eq!(world.read(move |tx| estimate::find(tx, &scope, id)), Ok(Some(wanted[0].clone())));
}

fn audit_entries(world: World) {
    let (scope, project) = (world.scope, ProjectId::new(at(0)));
    let entry = move |i: i64| AuditRow {
        id: AuditId::new(at(i)),
        workspace_id: scope.workspace,
        project_id: (i % 2 == 0).then_some(project),
        at: at(i),
        clock: "system".to_owned(),
        actor_kind: "user".to_owned(),
        actor_id: None,
        actor_name: "bea".to_owned(),
        action: "project.applied".to_owned(),
        object_kind: "project".to_owned(),
        object_id: format!("o{}", i % 3),
        detail_json: "{}".to_owned(),
    };
    world.write(move |tx| (0..6).try_for_each(|i| audit::append(tx, &entry(i)))).unwrap();
    let all = world.read(move |tx| audit::list(tx, &scope, None, 4)).unwrap();
    assert_eq!(all.iter().map(|a| a.seq).collect::<Vec<_>>(), [6, 5, 4, 3]);
    let of = world.read(move |tx| audit::list_by_project(tx, &scope, project, None, 9)).unwrap();
    assert_eq!(of.iter().map(|a| a.seq).collect::<Vec<_>>(), [5, 3, 1]);
    let of = world.read(move |tx| audit::list_by_object(tx, &scope, "o1", Some(5), 9)).unwrap();
    assert_eq!(of.iter().map(|a| a.seq).collect::<Vec<_>>(), [2]);
    let report = world.read(|tx| Ok(chain::verify(tx, ChainName::Audit))).unwrap();
    assert_eq!(report.unwrap().entries, 6);
}
