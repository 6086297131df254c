//! What the corridor costs over the bare model:
//! `cargo run --release --example corridor -p viaduct-gateway -- MODEL.onnx [LIBRARY_DIR]`
//! with the model that `tests/it/models.py DIRECTORY` writes.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use viaduct_base::{EndpointId, SystemClock, TrialId, WorkspaceId};
use viaduct_decisions::{DecisionLog, Durability};
use viaduct_domain::contract::Contract;
use viaduct_domain::manifest::BusinessAsUsual;
use viaduct_gateway::{
    CallKey, EndpointSnapshot, Engine, Gateway, GatewayConfig, Mode, PredictCall, ServedModel,
    Snapshot,
};
use viaduct_infer::{LoadOptions, Runtime, RuntimeConfig};

fn contract() -> Result<Contract, Box<dyn Error>> {
    let document = json!({
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "leads", "version": "1.0.0",
        "status": "active", "name": "Leads",
        "schema": [{ "name": "leads", "logicalType": "object", "properties": [
            { "name": "age", "logicalType": "number", "physicalType": "float", "required": true },
            { "name": "job", "logicalType": "string", "physicalType": "text", "required": true },
        ] }],
    });
    Contract::from_value(document).map_err(|errors| format!("{errors:?}").into())
}

fn endpoint(onnx: PathBuf) -> Result<EndpointSnapshot, Box<dyn Error>> {
    let rule = json!({
        "name": "call-list", "when": {"field": "probability", "op": ">=", "threshold": 0.5},
        "action": "call", "otherwise": "skip", "mode": "auto",
    });
    let (name, version, features, classes) = ("leads".into(), 1, None, None);
    Ok(EndpointSnapshot {
        id: EndpointId::from_u128(7),
        name: "leads".parse()?,
        workspace: WorkspaceId::from_u128(1),
        project: None,
        department: None,
        stage: "pilot".into(),
        mode: Mode::Trial {
            trial: TrialId::from_u128(1),
            salt: "s".into(),
            holdout_bp: 0,
            score_holdout: false,
        },
        model: Some(ServedModel { name, version, onnx, features, classes, engine: Engine::Onnx }),
        contract: Some(contract()?),
        rule: Some(serde_json::from_value(rule)?),
        entity_field: Some("customer_id".into()),
        key_fields: vec!["lead_id".into()],
        business_as_usual: Some(BusinessAsUsual { action: "call".into(), output: None }),
        open: true,
        ..EndpointSnapshot::bare(
            EndpointId::from_u128(7),
            "leads".parse()?,
            WorkspaceId::from_u128(1),
        )
    })
}

fn row(number: usize) -> Map<String, Value> {
    let fields = json!({
        "age": 20 + number % 60, "job": "admin.", "customer_id": number, "lead_id": number,
    });
    fields.as_object().cloned().unwrap_or_default()
}

fn call(rows: Vec<Map<String, Value>>) -> PredictCall {
    PredictCall {
        endpoint: "leads".into(),
        key: CallKey::Trusted,
        rows,
        entity: None,
        keys: None,
        incumbent: None,
        replayed: false,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let onnx = arguments.next().ok_or("usage: corridor MODEL.onnx [LIBRARY_DIR]")?;
    let dir = tempfile::tempdir()?;
    let runtime = RuntimeConfig { library: arguments.next(), ..RuntimeConfig::new(dir.path()) };
    let model = Runtime::find(&runtime)?.load(&onnx, LoadOptions::default())?;
    let typed = contract()?.check_row(&row(1)).map_err(|e| format!("{e:?}"))?;
    let typed = std::slice::from_ref(&typed);
    println!(
        "bare model, one row: p50 {:.1?}",
        p50(20_000, |_| Ok(model.predict(typed).map(drop)?))?
    );

    for durability in [Durability::Os, Durability::Fsync] {
        let home = tempfile::tempdir()?;
        let (log, _) = DecisionLog::open(&home.path().join("decisions"), durability)?;
        let config = GatewayConfig { dir: home.path().join("gateway"), runtime: runtime.clone() };
        let (gateway, _) = Gateway::open(config, log, Arc::new(SystemClock))?;
        let endpoints = vec![endpoint(onnx.clone())?];
        gateway.publish(Snapshot { workspace_salt: "salt".into(), endpoints })?;
        let count = if durability == Durability::Os { 20_000 } else { 300 };
        let one = p50(count, |n| Ok(gateway.predict(call(vec![row(n)])).map(drop)?))?;
        println!("{durability:?}: corridor, one row: p50 {one:.1?}");
        for threads in [1, 2, 8] {
            let start = Instant::now();
            std::thread::scope(|scope| {
                let all: Vec<_> = (0..threads)
                    .map(|_| {
                        scope.spawn(|| {
                            (0..count)
                                .try_for_each(|n| gateway.predict(call(vec![row(n)])).map(drop))
                        })
                    })
                    .collect();
                all.into_iter().try_for_each(|thread| match thread.join() {
                    Ok(result) => result.map_err(|e| e.to_string()),
                    Err(_) => Err("a thread failed".into()),
                })
            })?;
            let rate = (count * threads) as f64 / start.elapsed().as_secs_f64();
            println!("{durability:?}: {threads} threads, one row a call: {rate:.0} predictions/s");
        }
        let batch: Vec<_> = (0..1_000).map(row).collect();
        let whole = p50(50, |_| Ok(gateway.predict(call(batch.clone())).map(drop)?))?;
        let rate = 1_000.0 / whole.as_secs_f64();
        println!("{durability:?}: batches of 1000: p50 {whole:.1?}, {rate:.0} rows/s");
    }
    Ok(())
}

fn p50(
    count: usize,
    mut work: impl FnMut(usize) -> Result<(), Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    let mut times = Vec::with_capacity(count);
    for number in 0..count {
        let start = Instant::now();
        work(number)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[count / 2])
}
