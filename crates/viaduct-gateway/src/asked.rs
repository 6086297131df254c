//! One request, whichever form it had, and what each of its rows brings beside the inputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use viaduct_base::{FieldError, Kind, Refusal};
use viaduct_domain::columns::{Column, Columns};

use crate::call::PredictCall;
use crate::endpoint::Endpoint;
use crate::place;
use crate::usual::{self, Usual};

/// Why: a wholly wrong batch is one mistake; its first rows tell it.
pub(crate) const REFUSED_MAX: usize = 1_000;

/// The inputs as they came.
#[derive(Debug, Clone)]
pub(crate) enum Inputs {
    /// JSON objects.
    Rows(Vec<Map<String, Value>>),
    /// Typed columns.
    Columns(Columns),
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) rows: usize,
    pub(crate) inputs: Inputs,
    /// The row field of the entity that the caller names.
    pub(crate) entity_field: Option<String>,
    /// The row fields of the business keys that the caller names.
    pub(crate) key_fields: Option<Vec<String>>,
    /// The row field of the incumbent's answer.
    pub(crate) incumbent_field: Option<String>,
    /// What tensors of ours bring, in place of row fields.
    pub(crate) entities: Option<Vec<Option<String>>>,
    pub(crate) keys: Option<Vec<BTreeMap<String, String>>>,
    pub(crate) incumbents: Option<Vec<Option<Value>>>,
    pub(crate) replayed: bool,
}

impl From<PredictCall> for Asked {
    fn from(call: PredictCall) -> Self {
        Self {
            rows: call.rows.len(),
            inputs: Inputs::Rows(call.rows),
            entity_field: call.entity,
            key_fields: call.keys,
            incumbent_field: call.incumbent,
            entities: None,
            keys: None,
            incumbents: None,
            replayed: call.replayed,
        }
    }
}

/// Where a field's cells are.
enum Source<'a> {
    Rows(&'a [Map<String, Value>], &'a str),
    Column(Option<&'a Column>, &'a str),
}

/// Where the rows' sides are.
struct Sources<'a> {
    entity: Option<Source<'a>>,
    keys: Vec<Source<'a>>,
    incumbent: Option<Source<'a>>,
}

impl Source<'_> {
    fn name(&self) -> &str {
        match self {
            Source::Rows(_, name) | Source::Column(_, name) => name,
        }
    }

    fn value(&self, row: usize) -> Option<Value> {
        match self {
            Source::Rows(rows, name) => rows.get(row)?.get(*name).cloned(),
            Source::Column(column, _) => column.map(|column| column.json(row)),
        }
    }

    /// The cell as an entity or key.
    fn text(&self, row: usize) -> Result<Option<String>, String> {
        match self {
            Source::Rows(rows, name) => {
                let value = rows.get(row).and_then(|row| row.get(*name));
                value.map_or(Ok(None), scalar_text)
            }
            Source::Column(..) => self.value(row).as_ref().map_or(Ok(None), scalar_text),
        }
    }
}

/// What one row brings beside its inputs.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) entity: Option<String>,
    pub(crate) keys: BTreeMap<String, String>,
    pub(crate) sent: Option<Value>,
    pub(crate) usual: Option<Arc<Usual>>,
}

impl Asked {
    /// A field, looked up once for all rows; `checked` holds what the contract took.
    fn source<'a>(&'a self, checked: &'a Columns, name: &'a str) -> Source<'a> {
        match &self.inputs {
            Inputs::Rows(rows) => Source::Rows(rows, name),
            Inputs::Columns(rest) => {
                Source::Column(rest.get(name).or_else(|| checked.get(name)), name)
            }
        }
    }

    /// Whether the caller named another field as the entity than the endpoint's own: a trial's
    /// units are the registered ones.
    pub(crate) fn is_foreign(&self, endpoint: &Endpoint) -> bool {
        let own = endpoint.spec.entity_field.as_deref();
        own.is_some()
            && self.entities.is_none()
            && self.entity_field.as_deref().is_some_and(|named| Some(named) != own)
    }

    /// The field of the row's entity, where entities come as one.
    fn entity_source<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        checked: &'a Columns,
    ) -> Option<Source<'a>> {
        let own = endpoint.spec.entity_field.as_deref();
        let named = self.entity_field.as_deref().or(own).filter(|_| self.entities.is_none());
        named.map(|field| self.source(checked, field))
    }

    /// One row's entity as it sticks; `None` without one, or where it is none.
    pub(crate) fn entity(&self, endpoint: &Endpoint, row: usize) -> Option<String> {
        let nothing = Columns::default();
        match &self.entities {
            Some(entities) => entities.get(row).cloned().flatten(),
            None => self.entity_source(endpoint, &nothing)?.text(row).ok().flatten(),
        }
    }

    /// Reads entity, keys and incumbent of every row.
    ///
    /// # Errors
    /// A cell that cannot be one of them; business as usual is needed and a row has none.
    pub(crate) fn sides(
        &self,
        endpoint: &Endpoint,
        checked: &Columns,
    ) -> Result<Vec<Side>, Refusal> {
        let needs_usual = place::needs_usual(&endpoint.spec);
        let sources = self.sources(endpoint, checked);
        let (mut sides, mut errors) = (Vec::with_capacity(self.rows), Vec::new());
        let mut lacks_usual = Vec::new();
        for row in 0..self.rows {
            let side = self.side(endpoint, &sources, row, &mut errors);
            if needs_usual && side.usual.is_none() {
                lacks_usual.push(problem(row, "incumbent", "the row has none".into()));
            }
            sides.push(side);
        }
        if let Some(first) = errors.first() {
            let detail = first.detail.clone();
            errors.truncate(REFUSED_MAX);
            return Err(Refusal::new(Kind::InvalidInput, detail).with_errors(errors));
        }
        if !lacks_usual.is_empty() {
            let detail = format!(
                "endpoint `{}` answers business as usual and the request brings none: name the \
                 row field of the incumbent's answer with `incumbent`, or declare \
                 `business_as_usual` in the project file",
                endpoint.spec.name
            );
            lacks_usual.truncate(REFUSED_MAX);
            return Err(Refusal::new(Kind::IncumbentMissing, detail).with_errors(lacks_usual));
        }
        Ok(sides)
    }

    fn sources<'a>(&'a self, endpoint: &'a Endpoint, checked: &'a Columns) -> Sources<'a> {
        let keys = self.key_fields.as_deref().unwrap_or(&endpoint.spec.key_fields);
        let keys = keys.iter().filter(|_| self.keys.is_none());
        let incumbent = self.incumbent_field.as_deref().filter(|_| self.incumbents.is_none());
        Sources {
            entity: self.entity_source(endpoint, checked),
            keys: keys.map(|field| self.source(checked, field)).collect(),
            incumbent: incumbent.map(|field| self.source(checked, field)),
        }
    }

    fn side(
        &self,
        endpoint: &Endpoint,
        sources: &Sources<'_>,
        row: usize,
        errors: &mut Vec<FieldError>,
    ) -> Side {
        let given = self.keys.as_ref().and_then(|keys| keys.get(row));
        let mut keys = given.cloned().unwrap_or_default();
        for source in &sources.keys {
            match source.text(row) {
                Ok(text) => keys.extend(text.map(|text| (source.name().to_owned(), text))),
                Err(detail) => errors.push(problem(row, source.name(), detail)),
            }
        }
        let entity = match (&self.entities, &sources.entity) {
            (Some(entities), _) => entities.get(row).cloned().flatten(),
            (None, Some(source)) => source.text(row).unwrap_or_else(|detail| {
                errors.push(problem(row, source.name(), detail));
                None
            }),
            (None, None) => None,
        };
        let sent = match (&self.incumbents, &sources.incumbent) {
            (Some(sent), _) => sent.get(row).cloned().flatten(),
            (None, Some(source)) => source.value(row).filter(|value| !value.is_null()),
            (None, None) => None,
        };
        let usual = usual::usual(endpoint, sent.as_ref()).unwrap_or_else(|detail| {
            let field = self.incumbent_field.as_deref().unwrap_or("incumbent");
            errors.push(problem(row, field, detail));
            None
        });
        Side { entity, keys, sent, usual }
    }

    /// Names of fields that are logged at a place of their own, or not at all.
    pub(crate) fn hidden<'a>(&'a self, endpoint: &'a Endpoint) -> [Option<&'a str>; 2] {
        let entity = self.entity_field.as_deref().or(endpoint.spec.entity_field.as_deref());
        [entity, self.incumbent_field.as_deref()]
    }
}

/// The text of an entity or a key; `None` for null and for an empty text.
pub(crate) fn scalar_text(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok((!text.is_empty()).then(|| text.clone())),
        Value::Number(_) | Value::Bool(_) => Ok(Some(value.to_string())),
        _ => Err("an entity or a key is a text or a number".into()),
    }
}

pub(crate) fn problem(row: usize, field: &str, detail: String) -> FieldError {
    let field = field.replace('~', "~0").replace('/', "~1");
    FieldError { pointer: format!("/rows/{row}/{field}"), detail, line: None, column: None }
}

/// The field at the end of a pointer.
pub(crate) fn field_of(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or_default()
}
