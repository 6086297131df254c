//! Projects and what a project file declares.

use viaduct_base::*;
use viaduct_store::consumer::{self, ConsumerRow};
use viaduct_store::contract::{self, ContractRow};
use viaduct_store::endpoint::{self, EndpointRow};
use viaduct_store::kpi::{self, Freeze, KpiRow};
use viaduct_store::kpi_history::{self, HistoryRow};
use viaduct_store::kpi_point::{self, PointRow};
use viaduct_store::project::{self, SpecChange, StageChange};
use viaduct_store::{Scope, StoreError};

use crate::world::{World, at, new_project, store_contract};

store_contract!(projects, stages, kpis, history_and_points, contracts, endpoints, consumers);

fn projects(world: World) {
    let (scope, id) = (world.scope, world.project("term-deposit"));
    let row = world.read(move |tx| project::find_by_name(tx, &scope, "term-deposit"));
    let row = row.unwrap().unwrap();
    assert_eq!((row.id, row.revision, row.workspace_id), (id, 1, scope.workspace));
    assert_eq!((row.stage.as_str(), row.state.as_str()), ("concept", "clear"));
    assert_eq!(row.title, new_project("x").title);

    let change = SpecChange {
        title: "New".to_owned(),
        tier: "T1".to_owned(),
        spec_json: "{}".to_owned(),
        manifest: String::new(),
        at: at(9),
    };
    let (first, again) = (change.clone(), change);
    let stale = row.at();
    world.write(move |tx| project::update_spec(tx, &scope, stale, &first)).unwrap();
    let lost = world.write(move |tx| project::update_spec(tx, &scope, stale, &again));
    assert!(matches!(lost, Err(StoreError::Conflict { noun: "project", .. })), "{lost:?}");
    match Error::from(lost.unwrap_err()) {
        Error::Refused(refusal) => assert_eq!(refusal.kind, Kind::Conflict),
        Error::Fault(fault) => panic!("{fault}"),
    }

    let other = Scope::of(WorkspaceId::new(at(1)));
    assert_eq!(world.read(move |tx| project::find(tx, &other, id)), Ok(None));
    assert_eq!(world.read(project::list_all).unwrap().len(), 1);

    // Removed, it gives its name free and is still found by id.
    let fresh = world.read(move |tx| project::find(tx, &scope, id)).unwrap().unwrap();
    let now = fresh.at();
    world.write(move |tx| project::remove(tx, &scope, now, at(10))).unwrap();
    assert_eq!(world.read(move |tx| project::list(tx, &scope)), Ok(vec![]));
    world.project("term-deposit");
    let gone = world.read(move |tx| project::find(tx, &scope, id)).unwrap().unwrap();
    assert_eq!(gone.removed_at, Some(at(10)));
}

fn stages(world: World) {
    let (scope, id) = (world.scope, world.project("p"));
    let stages = ["concept", "pilot", "department", "enterprise", "shelved", "retired"];
    for (i, stage) in stages.iter().enumerate() {
        let change = StageChange {
            stage: (*stage).to_owned(),
            state: ["clear", "under_review", "frozen"][i % 3].to_owned(),
            cause: (*stage == "shelved").then(|| "no_value".to_owned()),
            note: None,
            at: at(i as i64),
        };
        let now = project::At { id, revision: 1 + i as i64 };
        let put = change.clone();
        world.write(move |tx| project::change_stage(tx, &scope, now, &put)).unwrap();
        let row = world.read(move |tx| project::find(tx, &scope, id)).unwrap().unwrap();
        assert_eq!((row.stage, row.state), (change.stage, change.state));
        assert_eq!((row.cause, row.stage_since), (change.cause, change.at));
    }
    let bad = StageChange {
        stage: "production".to_owned(),
        state: "clear".to_owned(),
        cause: None,
        note: None,
        at: at(0),
    };
    let now = project::At { id, revision: 1 + stages.len() as i64 };
    let refused = world.write(move |tx| project::change_stage(tx, &scope, now, &bad));
    assert!(matches!(refused, Err(StoreError::Engine { .. })), "{refused:?}");
}

fn new_kpi(project: ProjectId) -> KpiRow {
    KpiRow {
        id: KpiId::new(at(0)),
        project_id: project,
        name: "margin".to_owned(),
        is_primary: true,
        spec_json: "{}".to_owned(),
        created_at: at(0),
        updated_at: at(0),
        removed_at: None,
        frozen_at: None,
        frozen_by: None,
        frozen_hash: None,
        frozen_first_day: None,
        frozen_last_day: None,
        frozen_points: None,
        revision: 1,
    }
}

fn kpis(world: World) {
    let (scope, project_id) = (world.scope, world.project("p"));
    let row = new_kpi(project_id);
    let (id, put) = (row.id, row.clone());
    world.write(move |tx| kpi::insert(tx, &scope, &put)).unwrap();
    assert_eq!(world.read(move |tx| kpi::find(tx, &scope, id)), Ok(Some(row.clone())));
    let freeze = Freeze {
        at: at(5),
        by: "bea".to_owned(),
        hash: "h".to_owned(),
        first_day: Day::from_number(-3),
        last_day: Day::from_number(180),
        points: 183,
    };
    let (first, second) = (freeze.clone(), freeze);
    world.write(move |tx| kpi::freeze(tx, &scope, id, 1, &first)).unwrap();
    let again = world.write(move |tx| kpi::freeze(tx, &scope, id, 2, &second));
    assert!(matches!(again, Err(StoreError::Conflict { noun: "KPI", .. })), "{again:?}");
    let mut found =
        world.read(move |tx| kpi::find_by_name(tx, &scope, project_id, "margin")).unwrap().unwrap();
    assert_eq!((found.frozen_at, found.frozen_points), (Some(at(5)), Some(183)));
    assert_eq!(found.frozen_first_day, Some(Day::from_number(-3)));
    assert_eq!(world.read(move |tx| kpi::list_named(tx, &scope, "margin")).unwrap().len(), 1);
    found.removed_at = Some(at(7));
    world.write(move |tx| kpi::update_spec(tx, &scope, &found)).unwrap();
    assert_eq!(world.read(move |tx| kpi::list(tx, &scope, project_id)), Ok(vec![]));
}

fn history_and_points(world: World) {
    let (scope, project_id) = (world.scope, world.project("p"));
    let row = new_kpi(project_id);
    let kpi_id = row.id;
    let history = move |day: i32, value: f64| HistoryRow {
        project_id,
        kpi_id,
        day: Day::from_number(day),
        arm: String::new(),
        value,
        n: 3,
        source: "upload".to_owned(),
        recorded_at: at(1),
    };
    world
        .write(move |tx| {
            kpi::insert(tx, &scope, &row)?;
            for (day, value) in [(2, 2.0), (-1, 0.1), (1, -0.0), (2, 2.5)] {
                kpi_history::put(tx, &scope, &history(day, value))?;
            }
            Ok(())
        })
        .unwrap();
    let listed = world.read(move |tx| kpi_history::list(tx, &scope, kpi_id)).unwrap();
    let values: Vec<_> = listed.iter().map(|h| (h.day.number(), h.value)).collect();
    assert_eq!(values, [(-1, 0.1), (1, 0.0), (2, 2.5)]);

    let point = move |day: i32, value: Option<f64>| PointRow {
        project_id,
        kpi_id,
        day: Day::from_number(day),
        arm: "all".to_owned(),
        value,
        n: 0,
        clock: "simulated".to_owned(),
        computed_at: at(2),
    };
    world
        .write(move |tx| {
            for (day, value) in [(1, None), (2, Some(1.0)), (3, Some(2.0)), (1, Some(4.0))] {
                kpi_point::put(tx, &scope, &point(day, value))?;
            }
            Ok(())
        })
        .unwrap();
    let (first, last) = (Day::from_number(1), Day::from_number(2));
    let listed = world.read(move |tx| kpi_point::list(tx, &scope, kpi_id, first, last)).unwrap();
    assert_eq!(listed.iter().map(|p| p.value).collect::<Vec<_>>(), [Some(4.0), Some(1.0)]);
}

fn contracts(world: World) {
    let (scope, project_id) = (world.scope, world.project("p"));
    let version = move |version: i64| ContractRow {
        id: ContractId::new(at(version)),
        project_id,
        name: "calls".to_owned(),
        version,
        document_json: "{}".to_owned(),
        hash: "h".to_owned(),
        created_at: at(version),
        created_by: None,
    };
    let (a, b, c) = (version(1), version(2), version(2));
    let newest = b.clone();
    world
        .write(move |tx| [&a, &b].into_iter().try_for_each(|v| contract::insert(tx, &scope, v)))
        .unwrap();
    let raced = world.write(move |tx| contract::insert(tx, &scope, &c)).unwrap_err();
    assert!(raced.is_unique("contract", "project_id, name, version"), "{raced:?}");
    let id = newest.id;
    let found = world.read(move |tx| contract::latest(tx, &scope, project_id, "calls"));
    assert_eq!(found, Ok(Some(newest.clone())));
    assert_eq!(world.read(move |tx| contract::find(tx, &scope, id)), Ok(Some(newest)));
    let listed = world.read(move |tx| contract::list(tx, &scope, project_id, "calls")).unwrap();
    assert_eq!(listed.iter().map(|c| c.version).collect::<Vec<_>>(), [2, 1]);
}

fn new_endpoint(scope: &Scope, project: Option<ProjectId>) -> EndpointRow {
    EndpointRow {
        id: EndpointId::new(at(0)),
        workspace_id: scope.workspace,
        project_id: project,
        name: "calls".to_owned(),
        spec_json: "{}".to_owned(),
        model_name: "m".to_owned(),
        model_alias: "champion".to_owned(),
        contract_id: None,
        created_at: at(0),
        updated_at: at(0),
        removed_at: None,
        revision: 1,
    }
}

fn endpoints(world: World) {
    let (scope, project_id) = (world.scope, world.project("p"));
    let row = new_endpoint(&scope, Some(project_id));
    let (id, put, twin) = (row.id, row.clone(), new_endpoint(&scope, None));
    world.write(move |tx| endpoint::insert(tx, &put)).unwrap();
    let taken = world.write(move |tx| endpoint::insert(tx, &twin)).unwrap_err();
    assert!(taken.is_unique("endpoint", "workspace_id, name"), "{taken:?}");
    assert_eq!(world.read(move |tx| endpoint::find(tx, &scope, id)), Ok(Some(row.clone())));
    let mut changed = row;
    changed.model_alias = "next".to_owned();
    changed.contract_id = Some(ContractId::new(at(1)));
    let (first, second) = (changed.clone(), changed.clone());
    world.write(move |tx| endpoint::update(tx, &scope, &first)).unwrap();
    let lost = world.write(move |tx| endpoint::update(tx, &scope, &second));
    assert!(matches!(lost, Err(StoreError::Conflict { noun: "endpoint", .. })));
    changed.revision = 2;
    let found = world.read(move |tx| endpoint::find_by_name(tx, &scope, "calls"));
    assert_eq!(found, Ok(Some(changed.clone())));
    let of_project = world.read(move |tx| endpoint::list_by_project(tx, &scope, project_id));
    assert_eq!(of_project, Ok(vec![changed.clone()]));
    assert_eq!(world.read(endpoint::list_all), Ok(vec![changed]));
    assert_eq!(world.read(move |tx| endpoint::list(tx, &scope)).unwrap().len(), 1);
}

fn consumers(world: World) {
    let scope = world.scope;
    let endpoint_row = new_endpoint(&scope, None);
    let endpoint_id = endpoint_row.id;
    world.write(move |tx| endpoint::insert(tx, &endpoint_row)).unwrap();
    let consumer = move |key: &str| ConsumerRow {
        id: ConsumerId::new(at(0)),
        workspace_id: scope.workspace,
        endpoint_id,
        name: "call-centre".to_owned(),
        key_hash: key.to_owned(),
        created_at: at(0),
        created_by: Some("bea".to_owned()),
        revoked_at: None,
        rate_per_second: Some(2.5),
        burst: None,
        quota_per_day: Some(1_000),
    };
    let (a, b, c) = (consumer("k1"), consumer("k2"), consumer("k2"));
    let (id, kept) = (a.id, c.clone());
    world.write(move |tx| consumer::insert(tx, &a)).unwrap();
    assert!(world.write(move |tx| consumer::insert(tx, &b)).is_err());
    assert_eq!(world.write(move |tx| consumer::revoke(tx, &scope, id, at(1))), Ok(true));
    assert_eq!(world.write(move |tx| consumer::revoke(tx, &scope, id, at(1))), Ok(false));
    world.write(move |tx| consumer::insert(tx, &c)).unwrap();
    let listed = world.read(move |tx| consumer::list(tx, &scope, endpoint_id));
    assert_eq!(listed, Ok(vec![kept.clone()]));
    assert_eq!(world.read(consumer::list_all), Ok(vec![kept]));
}
