//! What the corridor costs over the bare model, measured in one run:
//! `cargo run --release --example corridor -p viaduct-gateway -- MODEL.onnx [LIBRARY_DIR] [ROWS] [CELLS]`
//! with any model of named columns or of one matrix. The last line is JSON for programs.
//!
//! CELLS is a file that ends with the batch's cells as little-endian 32-bit floats, row by row, as
//! a binary inference request does: what trees cost depends on their rows (rows that repeat are
//! foreseen by the processor), so whoever compares the batch with requests gives the same rows.
//!
//! The contract check and the decision log are on. Bare means: the same typed columns into
//! `viaduct_infer::Model`, nothing else. Both take turns, so that a busy machine hits both.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use viaduct_base::{EndpointId, SystemClock, WorkspaceId};
use viaduct_decisions::{DecisionLog, Durability};
use viaduct_domain::columns::Columns;
use viaduct_domain::contract::Contract;
use viaduct_gateway::{
    CallKey, EndpointSnapshot, Engine, Gateway, GatewayConfig, InferCall, InputTensor, PredictCall,
    ServedModel, Snapshot, TensorData,
};
use viaduct_infer::{LoadOptions, Model, Runtime, RuntimeConfig};

type Failure = Box<dyn Error>;

/// A model's columns: name and whether it is text.
struct Shape {
    columns: Vec<(String, bool)>,
    /// The name of its only matrix, where it has one.
    matrix: Option<String>,
}

impl Shape {
    fn of(model: &Model) -> Self {
        let inputs = &model.signature().inputs;
        match inputs.as_slice() {
            [only] if only.shape.len() == 2 && only.shape[1] > 1 => Self {
                columns: (0..only.shape[1]).map(|n| (format!("f{n}"), false)).collect(),
                matrix: Some(only.name.clone()),
            },
            _ => Self {
                columns: inputs.iter().map(|i| (i.name.clone(), i.datatype == "BYTES")).collect(),
                matrix: None,
            },
        }
    }

    fn contract(&self) -> Result<Contract, Failure> {
        let fields: Vec<_> = self
            .columns
            .iter()
            .map(|(name, is_text)| match is_text {
                true => json!({ "name": name, "logicalType": "string", "required": true }),
                false => json!({
                    "name": name, "logicalType": "number", "physicalType": "float",
                    "required": true,
                }),
            })
            .collect();
        let document = json!({
            "apiVersion": "v3.1.0", "kind": "DataContract", "id": "rows", "version": "1.0.0",
            "status": "active",
            "schema": [{ "name": "rows", "logicalType": "object", "properties": fields }],
        });
        Contract::from_value(document).map_err(|errors| format!("{errors:?}").into())
    }

    fn row(&self, number: usize) -> Map<String, Value> {
        let cell = |place: usize, is_text: bool| match is_text {
            true => json!("admin."),
            false => json!(((number * 31 + place * 17) % 97) as f64 / 4.0),
        };
        let fields = self.columns.iter().enumerate();
        let mut row: Map<_, _> =
            fields.map(|(place, (name, text))| (name.clone(), cell(place, *text))).collect();
        row.insert("customer_id".into(), number.into());
        row
    }

    /// The rows of CELLS.
    fn read(&self, file: &Path, rows: usize) -> Result<Vec<Map<String, Value>>, Failure> {
        let bytes = std::fs::read(file)?;
        let width = self.columns.len();
        let start = bytes.len().checked_sub(4 * width * rows).ok_or("CELLS holds too few cells")?;
        let cells: Vec<_> = bytes[start..]
            .as_chunks::<4>()
            .0
            .iter()
            .map(|word| f32::from_le_bytes(*word))
            .collect();
        let row = |cells: &[f32]| {
            let named = self.columns.iter().zip(cells);
            named.map(|((name, _), cell)| (name.clone(), json!(cell))).collect()
        };
        Ok(cells.chunks(width).map(row).collect())
    }

    fn tensors(&self, rows: &[Map<String, Value>]) -> Vec<InputTensor> {
        let number = |row: &Map<String, Value>, name: &str| {
            row.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
        };
        let text = |row: &Map<String, Value>, name: &str| {
            row.get(name).and_then(Value::as_str).map(str::to_owned)
        };
        let count = rows.len() as i64;
        if let Some(name) = &self.matrix {
            let cells = rows
                .iter()
                .flat_map(|row| self.columns.iter().map(|(name, _)| number(row, name)))
                .collect();
            let shape = vec![count, self.columns.len() as i64];
            return vec![InputTensor { name: name.clone(), shape, data: TensorData::Float(cells) }];
        }
        let columns = self.columns.iter().map(|(name, is_text)| {
            let data = match is_text {
                true => TensorData::Text(rows.iter().map(|row| text(row, name)).collect()),
                false => TensorData::Float(rows.iter().map(|row| number(row, name)).collect()),
            };
            InputTensor { name: name.clone(), shape: vec![count, 1], data }
        });
        columns.collect()
    }
}

fn endpoint(shape: &Shape, onnx: PathBuf) -> Result<EndpointSnapshot, Failure> {
    let (name, version, classes) = ("rows".into(), 1, None);
    let features = Some(shape.columns.iter().map(|(name, _)| name.clone()).collect());
    let bare = EndpointSnapshot::bare(
        EndpointId::from_u128(7),
        "rows".parse()?,
        WorkspaceId::from_u128(1),
    );
    Ok(EndpointSnapshot {
        model: Some(ServedModel { name, version, onnx, features, classes, engine: Engine::Onnx }),
        contract: Some(shape.contract()?),
        entity_field: Some("customer_id".into()),
        open: true,
        ..bare
    })
}

fn rows_call(rows: Vec<Map<String, Value>>) -> PredictCall {
    PredictCall {
        endpoint: "rows".into(),
        key: CallKey::Trusted,
        rows,
        entity: None,
        keys: None,
        incumbent: None,
        replayed: false,
    }
}

fn tensors_call(inputs: Vec<InputTensor>) -> InferCall {
    InferCall {
        endpoint: "rows".into(),
        key: CallKey::Trusted,
        inputs,
        outputs: Vec::new(),
        entity: None,
        keys: None,
        replayed: false,
    }
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args_os().skip(1);
    let usage = "usage: corridor MODEL.onnx [LIBRARY_DIR] [ROWS] [CELLS]";
    let onnx = PathBuf::from(arguments.next().ok_or(usage)?);
    let library = arguments.next().map(PathBuf::from).filter(|path| path.as_os_str() != "");
    let batch = match arguments.next() {
        Some(text) => text.to_string_lossy().parse()?,
        None => 1_000,
    };
    let cells = arguments.next().map(PathBuf::from);
    let home = tempfile::tempdir()?;
    let runtime = RuntimeConfig { library, ..RuntimeConfig::new(home.path()) };
    let loaded = Runtime::find(&runtime)?.load(&onnx, LoadOptions::default())?;
    let shape = Shape::of(&loaded);
    let features = Some(shape.columns.iter().map(|(name, _)| name.clone()).collect());
    let options = LoadOptions { features, ..LoadOptions::default() };
    let bare = Runtime::find(&runtime)?.load(&onnx, options)?;
    let (log, _) = DecisionLog::open(&home.path().join("decisions"), Durability::Os)?;
    let config = GatewayConfig::new(home.path().join("gateway"), runtime);
    let (gateway, _) = Gateway::open(config, log, Arc::new(SystemClock))?;
    let endpoints = vec![endpoint(&shape, onnx)?];
    let problems = gateway.publish(Snapshot { workspace_salt: "salt".into(), endpoints })?;
    if let Some(problem) = problems.first() {
        return Err(problem.detail.clone().into());
    }
    let contract = shape.contract()?;
    let typed = |rows: &[Map<String, Value>]| -> Result<Columns, Failure> {
        let rows: Result<Vec<_>, _> = rows.iter().map(|row| contract.check_row(row)).collect();
        Ok(contract.columns_of(&rows.map_err(|errors| format!("{errors:?}"))?))
    };

    let single = typed(&[shape.row(1)])?;
    let [floor, corridor] = alternate(
        20_000,
        |_| Ok(bare.predict_columns(&single).map(drop)?),
        |n| rows_call(vec![shape.row(n)]),
        |call| Ok(gateway.predict(call).map(drop)?),
    )?;
    let overhead = corridor.p50.saturating_sub(floor.p50);
    println!(
        "one row: bare {:.1?}, JSON corridor {:.1?}: {overhead:.1?} over it (p50)",
        floor.p50, corridor.p50
    );

    let rows = match &cells {
        Some(file) => shape.read(file, batch)?,
        None => (0..batch).map(|n| shape.row(n)).collect(),
    };
    let (columns, tensors) = (typed(&rows)?, shape.tensors(&rows));
    let [bare_batch, corridor_batch] = alternate(
        200,
        |_| Ok(bare.predict_columns(&columns).map(drop)?),
        |_| tensors_call(tensors.clone()),
        |call| Ok(gateway.infer(call).map(drop)?),
    )?;
    let share = bare_batch.p50.as_secs_f64() / corridor_batch.p50.as_secs_f64();
    let best = bare_batch.best.as_secs_f64() / corridor_batch.best.as_secs_f64();
    println!(
        "{batch} rows x {} columns: bare {:.1?}, tensors through the corridor {:.1?}: {:.0} % of \
         the bare loop (p50), {:.0} % (fastest runs)",
        shape.columns.len(),
        bare_batch.p50,
        corridor_batch.p50,
        share * 100.0,
        best * 100.0
    );
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!(
        "{}",
        json!({
            "one_row_bare_us": micros(floor.p50),
            "one_row_corridor_us": micros(corridor.p50),
            "one_row_overhead_us": micros(overhead),
            "batch_rows": batch,
            "batch_columns": shape.columns.len(),
            "batch_bare_us": micros(bare_batch.p50),
            "batch_corridor_us": micros(corridor_batch.p50),
            "batch_share": share,
            "batch_bare_best_us": micros(bare_batch.best),
            "batch_corridor_best_us": micros(corridor_batch.best),
            "batch_share_best": best,
        })
    );
    Ok(())
}

/// The median, and the fastest run: what a busy machine disturbs least.
#[derive(Clone, Copy)]
struct Timing {
    p50: Duration,
    best: Duration,
}

/// Times of two pieces of work that take turns; `make` prepares a call outside the time.
fn alternate<T>(
    count: usize,
    mut bare: impl FnMut(usize) -> Result<(), Failure>,
    mut make: impl FnMut(usize) -> T,
    mut corridor: impl FnMut(T) -> Result<(), Failure>,
) -> Result<[Timing; 2], Failure> {
    let (mut floor, mut whole) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for number in 0..count {
        let call = make(number);
        let start = Instant::now();
        bare(number)?;
        floor.push(start.elapsed());
        let start = Instant::now();
        corridor(call)?;
        whole.push(start.elapsed());
    }
    Ok([floor, whole].map(|mut times| {
        times.sort_unstable();
        Timing { p50: times[times.len() / 2], best: times[0] }
    }))
}
