//! Rows into a Parquet file.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value};
use viaduct_decisions::{DecisionRow, LogError, Record};

use crate::LakeError;
use crate::plan::{Kind, Plan, fields};

/// Rows that are turned into columns at once.
const BATCH: usize = 2_048;
/// Why: a reader's unit, and what is held in memory of the file.
const GROUP_ROWS: usize = 100_000;
const GROUP_BYTES: usize = 32 * 1024 * 1024;

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Decisions in the file.
    pub decisions: u64,
    /// Records that are no decisions (refused rows, rows beside a decision) and not in the file.
    pub skipped: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Writes the decisions among `rows`. Memory stays that of one row group.
///
/// # Errors
/// A row that cannot be read (the file is then without its foot, and no reader takes it for whole),
/// or `writer` failed.
pub fn export(
    plan: &Plan,
    rows: impl Iterator<Item = Result<Record, LogError>>,
    writer: impl Write + Send,
) -> Result<Report, LakeError> {
    let mut columns = Columns::new(plan);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_created_by("viaduct".into())
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .build();
    let schema = Arc::clone(&columns.schema);
    let mut file = ArrowWriter::try_new(writer, schema, Some(properties))?;
    let mut report = Report::default();
    let mut waiting = 0;
    for record in rows {
        match record? {
            Record::Decision(row) => {
                columns.push(&row);
                report.decisions += 1;
                waiting += 1;
            }
            Record::Refused(_) | Record::Beside(_) => report.skipped += 1,
        }
        if waiting == BATCH {
            file.write(&columns.take()?)?;
            waiting = 0;
            if file.in_progress_size() > GROUP_BYTES {
                file.flush()?;
            }
        }
    }
    if waiting > 0 {
        file.write(&columns.take()?)?;
    }
    file.finish()?;
    report.bytes = file.bytes_written() as u64;
    Ok(report)
}

enum Builder {
    Text(StringBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
}

impl Builder {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Int => Builder::Int(Int64Builder::new()),
            Kind::Float => Builder::Float(Float64Builder::new()),
            Kind::Bool => Builder::Bool(BooleanBuilder::new()),
            Kind::Text | Kind::Json => Builder::Text(StringBuilder::new()),
        }
    }

    fn take(&mut self) -> ArrayRef {
        match self {
            Builder::Text(cells) => Arc::new(cells.finish()),
            Builder::Int(cells) => Arc::new(cells.finish()),
            Builder::Float(cells) => Arc::new(cells.finish()),
            Builder::Bool(cells) => Arc::new(cells.finish()),
            Builder::Time(cells) => Arc::new(cells.finish()),
        }
    }

    fn text(&mut self, value: Option<&str>) {
        if let Builder::Text(cells) = self {
            cells.append_option(value);
        }
    }

    fn int(&mut self, value: Option<i64>) {
        if let Builder::Int(cells) = self {
            cells.append_option(value);
        }
    }

    fn value(&mut self, kind: Kind, value: Option<&Value>) {
        let value = value.filter(|value| !value.is_null());
        match self {
            Builder::Text(cells) if kind == Kind::Json => {
                cells.append_option(value.map(Value::to_string));
            }
            Builder::Text(cells) => cells.append_option(value.and_then(Value::as_str)),
            Builder::Int(cells) => cells.append_option(value.and_then(Value::as_i64)),
            Builder::Float(cells) => cells.append_option(value.and_then(Value::as_f64)),
            Builder::Bool(cells) => cells.append_option(value.and_then(Value::as_bool)),
            Builder::Time(cells) => cells.append_null(),
        }
    }
}

struct FieldColumn {
    kind: Kind,
    builder: Builder,
}

/// The file's columns while rows come.
struct Columns {
    schema: Arc<Schema>,
    fixed: Vec<Builder>,
    fields: BTreeMap<String, FieldColumn>,
    other: Builder,
}

/// The columns that every file has: name, whether it can be null, builder.
fn fixed() -> Vec<(&'static str, bool, Builder)> {
    let text = |name, nullable| (name, nullable, Builder::new(Kind::Text));
    let time = TimestampMicrosecondBuilder::new().with_data_type(time());
    vec![
        text("id", false),
        ("at", false, Builder::Time(time)),
        text("clock", false),
        ("replayed", false, Builder::new(Kind::Bool)),
        text("workspace", false),
        text("endpoint", false),
        text("endpoint_name", false),
        text("project", true),
        text("stage", false),
        text("department", true),
        text("consumer", true),
        text("entity_hash", true),
        text("keys", false),
        text("trial", true),
        text("variant", false),
        ("bucket", true, Builder::new(Kind::Int)),
        text("flags", false),
        text("model", true),
        ("model_version", true, Builder::new(Kind::Int)),
        text("contract_hash", true),
        text("rule_hash", true),
        text("answered", true),
        text("incumbent", true),
        text("model_action", true),
        text("action", true),
        ("latency_us", false, Builder::new(Kind::Int)),
    ]
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn data_type(builder: &Builder) -> DataType {
    match builder {
        Builder::Text(_) => DataType::Utf8,
        Builder::Int(_) => DataType::Int64,
        Builder::Float(_) => DataType::Float64,
        Builder::Bool(_) => DataType::Boolean,
        Builder::Time(_) => time(),
    }
}

impl Columns {
    fn new(plan: &Plan) -> Self {
        let mut schema = Vec::new();
        let mut builders = Vec::new();
        for (name, nullable, builder) in fixed() {
            schema.push(Field::new(name, data_type(&builder), nullable));
            builders.push(builder);
        }
        let mut fields = BTreeMap::new();
        for (name, kind) in plan.columns() {
            let builder = Builder::new(kind);
            schema.push(Field::new(name, data_type(&builder), true));
            fields.insert(name.to_owned(), FieldColumn { kind, builder });
        }
        schema.push(Field::new("other", DataType::Utf8, true));
        let (schema, other) = (Arc::new(Schema::new(schema)), Builder::new(Kind::Text));
        Self { schema, fixed: builders, fields, other }
    }

    fn push(&mut self, row: &DecisionRow) {
        self.push_fixed(row);
        let mut found: BTreeMap<String, &Value> = BTreeMap::new();
        fields(row, &mut |name, value| {
            found.insert(name, value);
        });
        for (name, column) in &mut self.fields {
            let value = match found.get(name) {
                Some(value) if column.kind.holds(value) => found.remove(name),
                _ => None,
            };
            column.builder.value(column.kind, value);
        }
        let mut other: Map<String, Value> =
            found.into_iter().map(|(name, value)| (name, value.clone())).collect();
        if let Some(output) = row.output.as_ref().filter(|output| !output.is_object()) {
            other.insert("output".into(), output.clone());
        }
        let other = (!other.is_empty()).then(|| Value::Object(other).to_string());
        self.other.text(other.as_deref());
    }

    /// In the order of [`fixed`].
    fn push_fixed(&mut self, row: &DecisionRow) {
        let json = |value: &Value| (!value.is_null()).then(|| value.to_string());
        let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let word = |value: Result<Value, serde_json::Error>| match value {
            Ok(Value::String(text)) => text,
            Ok(other) => other.to_string(),
            Err(_) => String::new(),
        };
        let texts = [
            Some(row.id.to_string()),
            None,
            Some(word(serde_json::to_value(row.clock))),
            None,
            Some(row.workspace.to_string()),
            Some(row.endpoint.to_string()),
            Some(row.endpoint_name.clone()),
            row.project.map(|id| id.to_string()),
            Some(row.stage.clone()),
            row.department.clone(),
            row.consumer.map(|id| id.to_string()),
            filled(&row.entity_hash),
            Some(word(serde_json::to_value(&row.keys))),
            row.trial.map(|id| id.to_string()),
            Some(row.variant.clone()),
            None,
            Some(word(serde_json::to_value(&row.flags))),
            filled(&row.model),
            None,
            row.contract_hash.as_ref().map(|hash| hash.as_str().to_owned()),
            row.rule_hash.as_ref().map(|hash| hash.as_str().to_owned()),
            json(&row.answered),
            row.incumbent.as_ref().and_then(json),
            row.model_action.clone(),
            filled(&row.action),
            None,
        ];
        let version = (row.model_version != 0).then_some(row.model_version);
        let latency = i64::try_from(row.latency_us).unwrap_or(i64::MAX);
        let mut ints = [row.bucket.map(i64::from), version, Some(latency)].into_iter();
        for (builder, text) in self.fixed.iter_mut().zip(texts) {
            match builder {
                Builder::Text(_) => builder.text(text.as_deref()),
                Builder::Int(_) => builder.int(ints.next().flatten()),
                Builder::Bool(cells) => cells.append_value(row.replayed),
                Builder::Time(cells) => cells.append_value(row.at.as_micros()),
                Builder::Float(cells) => cells.append_null(),
            }
        }
    }

    fn take(&mut self) -> Result<RecordBatch, LakeError> {
        let fixed = self.fixed.iter_mut().map(Builder::take);
        let fields = self.fields.values_mut().map(|column| column.builder.take());
        let mut arrays: Vec<ArrayRef> = fixed.chain(fields).collect();
        arrays.push(self.other.take());
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), arrays)?)
    }
}
