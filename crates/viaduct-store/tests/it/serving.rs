//! Rollouts, versions behind endpoints, kill switches, drills, alerts.

use viaduct_base::*;
use viaduct_store::StoreError;
use viaduct_store::endpoint::{self, EndpointRow};
use viaduct_store::rollout::{self, RolloutEventRow, RolloutRow};
use viaduct_store::serving::{
    self, AlertRow, DrillRow, EndpointContractRow, EndpointVersionRow, KillRow,
};

use crate::world::{World, at, store_contract};

store_contract!(rollouts, versions_and_contracts, kill_switches, drills_and_alerts);

fn an_endpoint(world: &World) -> EndpointId {
    let id = EndpointId::new(at(0));
    let row = EndpointRow {
        id,
        workspace_id: world.scope.workspace,
        project_id: None,
        name: "churn".to_owned(),
        spec_json: "{}".to_owned(),
        model_name: "churn".to_owned(),
        model_alias: "champion".to_owned(),
        contract_id: None,
        created_at: at(0),
        updated_at: at(0),
        removed_at: None,
        revision: 1,
    };
    world.write(move |tx| endpoint::insert(tx, &row)).unwrap();
    id
}

fn a_rollout(world: &World, endpoint_id: EndpointId, seconds: i64) -> RolloutRow {
    RolloutRow {
        id: RolloutId::new(at(seconds)),
        workspace_id: world.scope.workspace,
        endpoint_id,
        project_id: None,
        model_name: "churn".to_owned(),
        from_version: 1,
        to_version: 2,
        trigger_kind: "person".to_owned(),
        plan_json: "{}".to_owned(),
        phase: "running".to_owned(),
        is_open: true,
        step: 0,
        step_since: at(seconds),
        baseline_json: "{}".to_owned(),
        judged_json: "[]".to_owned(),
        reason: "asked for".to_owned(),
        salt: "s".to_owned(),
        clock: "system".to_owned(),
        started_at: at(seconds),
        started_by: "bea".to_owned(),
        ended_at: None,
        revision: 1,
    }
}

fn rollouts(world: World) {
    let (scope, endpoint) = (world.scope, an_endpoint(&world));
    let (first, twin) = (a_rollout(&world, endpoint, 1), a_rollout(&world, endpoint, 2));
    let (put, second) = (first.clone(), twin.clone());
    world.write(move |tx| rollout::insert(tx, &put)).unwrap();
    let taken = world.write(move |tx| rollout::insert(tx, &second)).unwrap_err();
    assert!(taken.is_unique("rollout", "endpoint_id"), "{taken:?}");
    let open = world.read(move |tx| rollout::find_open(tx, &scope, endpoint)).unwrap();
    assert_eq!(open.as_ref(), Some(&first));

    let mut ended = first.clone();
    ended.phase = "rolled_back".to_owned();
    (ended.is_open, ended.ended_at, ended.step) = (false, Some(at(9)), 1);
    let (put, again) = (ended.clone(), ended.clone());
    world.write(move |tx| rollout::update(tx, &scope, &put)).unwrap();
    let lost = world.write(move |tx| rollout::update(tx, &scope, &again));
    assert!(matches!(lost, Err(StoreError::Conflict { noun: "rollout", .. })), "{lost:?}");
    ended.revision = 2;
    let id = first.id;
    assert_eq!(world.read(move |tx| rollout::find(tx, &scope, id)), Ok(Some(ended.clone())));
    assert_eq!(world.read(move |tx| rollout::list_open(tx, &scope)), Ok(vec![]));

    let put = twin.clone();
    world.write(move |tx| rollout::insert(tx, &put)).unwrap();
    assert_eq!(world.read(move |tx| rollout::list_open(tx, &scope)), Ok(vec![twin.clone()]));
    let latest = world.read(move |tx| rollout::latest(tx, &scope, endpoint));
    assert_eq!(latest, Ok(Some(twin.clone())));
    let all = vec![twin, ended];
    assert_eq!(world.read(move |tx| rollout::list(tx, &scope, 9)), Ok(all.clone()));
    let of_endpoint = world.read(move |tx| rollout::list_by_endpoint(tx, &scope, endpoint, 9));
    assert_eq!(of_endpoint, Ok(all));

    for reason in ["asked for", "one of 9 rows failed"] {
        let row = RolloutEventRow {
            rollout_id: id,
            seq: 0,
            workspace_id: scope.workspace,
            at: at(3),
            event: "held".to_owned(),
            step: 0,
            phase: "running".to_owned(),
            reason: reason.to_owned(),
            actor: "system".to_owned(),
            evidence_json: "{}".to_owned(),
        };
        world.write(move |tx| rollout::tell(tx, &scope, &row)).unwrap();
    }
    let history = world.read(move |tx| rollout::history(tx, &scope, id)).unwrap();
    let told: Vec<_> = history.iter().map(|row| (row.seq, row.reason.as_str())).collect();
    assert_eq!(told, [(1, "asked for"), (2, "one of 9 rows failed")]);
}

fn versions_and_contracts(world: World) {
    let (scope, endpoint_id) = (world.scope, an_endpoint(&world));
    for version in 1..=2 {
        let row = EndpointVersionRow {
            endpoint_id,
            seq: 0,
            workspace_id: scope.workspace,
            model_name: "churn".to_owned(),
            version,
            bound_at: at(version),
            reason: "the alias points there".to_owned(),
        };
        world.write(move |tx| serving::put_version(tx, &scope, &row)).unwrap();
        let row = EndpointContractRow {
            endpoint_id,
            version,
            workspace_id: scope.workspace,
            origin: "inferred".to_owned(),
            document_json: "{}".to_owned(),
            hash: "h".to_owned(),
            created_at: at(0),
            created_by: "system".to_owned(),
        };
        world.write(move |tx| serving::put_contract(tx, &row)).unwrap();
    }
    let versions = world.read(move |tx| serving::versions(tx, &scope, endpoint_id, 9)).unwrap();
    let found: Vec<_> = versions.iter().map(|row| (row.seq, row.version)).collect();
    assert_eq!(found, [(2, 2), (1, 1)]);
    let contracts = world.read(move |tx| serving::contracts(tx, &scope, endpoint_id)).unwrap();
    let latest = world.read(move |tx| serving::latest_contract(tx, &scope, endpoint_id)).unwrap();
    assert_eq!((contracts.len(), latest.as_ref()), (2, contracts.first()));
    let twin = contracts[0].clone();
    assert!(world.write(move |tx| serving::put_contract(tx, &twin)).is_err());
}

fn kill_switches(world: World) {
    let (scope, endpoint_id) = (world.scope, an_endpoint(&world));
    for by in ["bea", "tom"] {
        let row = KillRow {
            endpoint_id,
            workspace_id: scope.workspace,
            killed_at: at(1),
            killed_by: by.to_owned(),
            reason: "wrong scores".to_owned(),
        };
        world.write(move |tx| serving::put_kill(tx, &row)).unwrap();
    }
    let found = world.read(move |tx| serving::find_kill(tx, &scope, endpoint_id)).unwrap();
    assert_eq!(found.unwrap().killed_by, "tom");
    for was_thrown in [true, false] {
        let taken = world.write(move |tx| serving::delete_kill(tx, &scope, endpoint_id));
        assert_eq!(taken, Ok(was_thrown));
    }
}

fn drills_and_alerts(world: World) {
    let (scope, endpoint_id) = (world.scope, an_endpoint(&world));
    let drill = DrillRow {
        id: DrillId::new(at(1)),
        workspace_id: scope.workspace,
        endpoint_id,
        project_id: None,
        kind: "fallback".to_owned(),
        run_by: "bea".to_owned(),
        started_at: at(1),
        ended_at: at(2),
        passed: true,
        report_json: "{}".to_owned(),
    };
    let put = drill.clone();
    world.write(move |tx| serving::put_drill(tx, &put)).unwrap();
    assert_eq!(world.read(move |tx| serving::drills(tx, &scope, endpoint_id, 9)), Ok(vec![drill]));

    let alert = move |seconds| AlertRow {
        id: AlertId::new(at(seconds)),
        workspace_id: scope.workspace,
        project_id: None,
        endpoint_id: Some(endpoint_id),
        kind: "schema_change".to_owned(),
        subject: "age".to_owned(),
        detail: format!("`age` is missing ({seconds})"),
        advice: "send it again".to_owned(),
        for_whom: "call-centre".to_owned(),
        is_drill: false,
        raised_at: at(seconds),
        seen_at: at(seconds),
        seen_count: 2,
        closed_at: None,
    };
    for seconds in [1, 2] {
        let row = alert(seconds);
        world.write(move |tx| serving::raise(tx, &row)).unwrap();
    }
    let open = world.read(move |tx| serving::open_alerts(tx, &scope, endpoint_id)).unwrap();
    let [one] = open.as_slice() else { panic!("{open:?}") };
    assert_eq!((one.raised_at, one.seen_at, one.seen_count), (at(1), at(2), 4));
    let id = one.id;
    assert_eq!(world.write(move |tx| serving::close_alert(tx, &scope, id, at(3))), Ok(true));
    let row = alert(4);
    world.write(move |tx| serving::raise(tx, &row)).unwrap();
    assert_eq!(world.read(move |tx| serving::alerts(tx, &scope, 9)).unwrap().len(), 2);
}
