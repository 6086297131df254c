//! A document held against the schema: every error it has, or the steps that answer it.

use std::collections::BTreeMap;

use graphql_parser::query::{
    self, Definition, Directive, Field, FragmentDefinition, OperationDefinition, Selection,
    SelectionSet, Type as WrittenType, VariableDefinition,
};
use serde_json::{Map, Value};

use super::run::{Shape, Step};
use super::schema::{self, Holds, Root, TYPE_NAME, Takes, Type, VIEWS};

/// A document's parts by name.
pub(super) struct Document<'a> {
    pub(super) operations: Vec<Operation<'a>>,
    pub(super) fragments: BTreeMap<&'a str, &'a FragmentDefinition<'a, String>>,
}

/// A query or mutation.
pub(super) struct Operation<'a> {
    name: Option<&'a str>,
    mutates: bool,
    supported: bool,
    variables: &'a [VariableDefinition<'a, String>],
    directives: &'a [Directive<'a, String>],
    pub(super) set: &'a SelectionSet<'a, String>,
}

impl<'a> Document<'a> {
    pub(super) fn of(read: &'a query::Document<'a, String>) -> Self {
        let mut document = Self { operations: Vec::new(), fragments: BTreeMap::new() };
        for definition in &read.definitions {
            match definition {
                Definition::Operation(operation) => {
                    document.operations.push(Operation::of(operation));
                }
                Definition::Fragment(fragment) => {
                    document.fragments.insert(&fragment.name, fragment);
                }
            }
        }
        document
    }

    /// The steps of the operation of that name, or of the only one.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the words of GraphQL's reference implementation.
    pub(super) fn plan(
        &self,
        named: Option<&str>,
        given: &Map<String, Value>,
    ) -> Result<Vec<Step>, Vec<String>> {
        let operation = match named.filter(|name| !name.is_empty()) {
            Some(name) => self
                .operations
                .iter()
                .find(|operation| operation.name == Some(name))
                .ok_or_else(|| vec![format!("Unknown operation named '{name}'.")])?,
            None => match self.operations.as_slice() {
                [only] => only,
                [] => return Err(vec!["Must provide an operation.".into()]),
                _ => {
                    let said = "Must provide operation name if query contains multiple operations.";
                    return Err(vec![said.into()]);
                }
            },
        };
        let mut check = Check { document: self, variables: Map::new(), errors: Vec::new() };
        if !operation.supported {
            check.errors.push("Schema is not configured to execute subscription operation.".into());
        }
        for directive in operation.directives.iter().filter(|d| d.name != "component") {
            check.errors.push(format!("Unknown directive '@{}'.", directive.name));
        }
        check.take_variables(operation.variables, given);
        let steps = check.roots(operation);
        if check.errors.is_empty() { Ok(steps) } else { Err(check.errors) }
    }
}

impl<'a> Operation<'a> {
    fn of(operation: &'a OperationDefinition<'a, String>) -> Self {
        let (name, variables, directives, set): (_, &[_], &[_], _) = match operation {
            OperationDefinition::SelectionSet(set) => (None, &[], &[], set),
            OperationDefinition::Query(q) => {
                (q.name.as_deref(), &q.variable_definitions, &q.directives, &q.selection_set)
            }
            OperationDefinition::Mutation(m) => {
                (m.name.as_deref(), &m.variable_definitions, &m.directives, &m.selection_set)
            }
            OperationDefinition::Subscription(s) => {
                (s.name.as_deref(), &s.variable_definitions, &s.directives, &s.selection_set)
            }
        };
        let mutates = matches!(operation, OperationDefinition::Mutation(_));
        let supported = !matches!(operation, OperationDefinition::Subscription(_));
        Self { name, mutates, supported, variables, directives, set }
    }
}

struct Check<'d, 'a> {
    document: &'d Document<'a>,
    variables: Map<String, Value>,
    errors: Vec<String>,
}

impl<'a> Check<'_, 'a> {
    fn take_variables(
        &mut self,
        defined: &[VariableDefinition<'a, String>],
        given: &Map<String, Value>,
    ) {
        for variable in defined {
            let name = &variable.name;
            let value = match (given.get(name), &variable.default_value) {
                (Some(value), _) => value.clone(),
                (None, Some(default)) => self.literal(default),
                (None, None) => Value::Null,
            };
            if value.is_null() && matches!(variable.var_type, WrittenType::NonNullType(_)) {
                let kind = &variable.var_type;
                self.errors.push(format!(
                    "Variable '${name}' of required type '{kind}' was not provided."
                ));
            }
            self.variables.insert(name.clone(), value);
        }
    }

    /// A written value with its variables filled in.
    fn literal(&mut self, written: &query::Value<'a, String>) -> Value {
        match written {
            query::Value::Variable(name) => {
                self.variables.get(name).cloned().unwrap_or_else(|| {
                    self.errors.push(format!("Variable '${name}' is not defined."));
                    Value::Null
                })
            }
            query::Value::Int(number) => number.as_i64().into(),
            query::Value::Float(number) => (*number).into(),
            query::Value::String(text) | query::Value::Enum(text) => text.as_str().into(),
            query::Value::Boolean(flag) => (*flag).into(),
            query::Value::Null => Value::Null,
            query::Value::List(items) => items.iter().map(|item| self.literal(item)).collect(),
            query::Value::Object(members) => {
                let members =
                    members.iter().map(|(name, value)| (name.clone(), self.literal(value)));
                Value::Object(members.collect())
            }
        }
    }

    /// Whether `@skip` and `@include` leave it in.
    fn is_wanted(&mut self, directives: &[Directive<'a, String>]) -> bool {
        let mut wanted = true;
        for directive in directives {
            let condition = directive.arguments.iter().find(|(name, _)| name == "if");
            let condition = condition.map(|(_, written)| self.literal(written));
            match (directive.name.as_str(), condition.and_then(|value| value.as_bool())) {
                ("skip", Some(skip)) => wanted &= !skip,
                ("include", Some(include)) => wanted &= include,
                ("skip" | "include", None) => self.errors.push(format!(
                    "Directive '@{}' argument 'if' of type 'Boolean!' is required.",
                    directive.name
                )),
                (other, _) => self.errors.push(format!("Unknown directive '@{other}'.")),
            }
        }
        wanted
    }

    /// Fields by the name they are answered under, in order; those of one name are one.
    fn collect(
        &mut self,
        sets: &[&'a SelectionSet<'a, String>],
        on: &str,
    ) -> Vec<(String, Vec<&'a Field<'a, String>>)> {
        let mut found: Vec<(String, Vec<&Field<'a, String>>)> = Vec::new();
        let mut spread: Vec<&str> = Vec::new();
        let mut open: Vec<&'a Selection<'a, String>> =
            sets.iter().rev().flat_map(|set| set.items.iter().rev()).collect();
        while let Some(selection) = open.pop() {
            match selection {
                Selection::Field(field) => {
                    if self.is_wanted(&field.directives) {
                        let key = field.alias.clone().unwrap_or_else(|| field.name.clone());
                        self.join(&mut found, key, field);
                    }
                }
                Selection::InlineFragment(inline) => {
                    let fits = self.fits(inline.type_condition.as_ref(), on);
                    if self.is_wanted(&inline.directives) && fits {
                        open.extend(inline.selection_set.items.iter().rev());
                    }
                }
                Selection::FragmentSpread(named) => {
                    let name = named.fragment_name.as_str();
                    let Some(fragment) = self.document.fragments.get(name).copied() else {
                        self.errors.push(format!("Unknown fragment '{name}'."));
                        continue;
                    };
                    let fits = self.fits(Some(&fragment.type_condition), on);
                    if self.is_wanted(&named.directives) && fits && !spread.contains(&name) {
                        spread.push(name);
                        open.extend(fragment.selection_set.items.iter().rev());
                    }
                }
            }
        }
        found
    }

    fn join(
        &mut self,
        found: &mut Vec<(String, Vec<&'a Field<'a, String>>)>,
        key: String,
        field: &'a Field<'a, String>,
    ) {
        let Some((_, same)) = found.iter_mut().find(|(known, _)| *known == key) else {
            found.push((key, vec![field]));
            return;
        };
        if same.iter().any(|f| f.name != field.name || f.arguments != field.arguments) {
            self.errors.push(format!(
                "Fields '{key}' conflict. Use different aliases on the fields to fetch both if \
                 this was intentional."
            ));
        }
        same.push(field);
    }

    fn fits(&mut self, condition: Option<&query::TypeCondition<'a, String>>, on: &str) -> bool {
        let Some(query::TypeCondition::On(name)) = condition else { return true };
        if name != on {
            self.errors.push(format!(
                "Fragment cannot be spread here as objects of type '{on}' can never be of type \
                 '{name}'."
            ));
        }
        name == on
    }

    fn roots(&mut self, operation: &Operation<'a>) -> Vec<Step> {
        let on = if operation.mutates { "Mutation" } else { "Query" };
        let mut steps = Vec::new();
        for (key, fields) in self.collect(&[operation.set], on) {
            let Some(first) = fields.first() else { continue };
            if first.name == TYPE_NAME {
                steps.push(Step::Name { key, name: on });
                continue;
            }
            let Some(root) = schema::root(&first.name, operation.mutates) else {
                self.errors.push(format!("Cannot query field '{}' on type '{on}'.", first.name));
                continue;
            };
            let asked = self.arguments(root, first);
            let shape = self.shape(&first.name, root.answer, &fields);
            steps.push(if root.name == schema::TEST_FIELD {
                Step::Echo { key, said: asked.get("output").cloned().unwrap_or_default(), shape }
            } else {
                Step::Ask { key, root, asked, shape }
            });
        }
        steps
    }

    fn arguments(&mut self, root: &'static Root, field: &Field<'a, String>) -> Map<String, Value> {
        let wanted = if root.name == schema::TEST_FIELD { "inputString" } else { "input" };
        let mut asked = Map::new();
        for (name, written) in &field.arguments {
            let value = self.literal(written);
            match value {
                _ if name != wanted => {
                    self.errors.push(format!("Unknown argument '{name}' on field '{}'.", root.name))
                }
                Value::String(text) if wanted == "inputString" => {
                    asked.insert("output".into(), text.into());
                }
                Value::Object(members) if wanted == "input" => {
                    for (name, value) in members {
                        self.member(root, &name, value, &mut asked);
                    }
                }
                Value::Null => {}
                other => self
                    .errors
                    .push(format!("Expected value of type '{}', found {other}.", root.input.0)),
            }
        }
        asked
    }

    fn member(
        &mut self,
        root: &'static Root,
        name: &str,
        value: Value,
        asked: &mut Map<String, Value>,
    ) {
        let (kind, members) = root.input;
        let Some((_, takes)) = members.iter().find(|(known, _)| *known == name) else {
            self.errors.push(format!("Field '{name}' is not defined by type '{kind}'."));
            return;
        };
        let read = match (takes, value) {
            (_, Value::Null) => return,
            (Takes::Text, Value::String(text)) => Ok(Value::String(text)),
            (Takes::Text, other) => {
                Err(format!("String cannot represent a non string value: {other}"))
            }
            (Takes::View, Value::String(word)) if VIEWS.contains(&word.as_str()) => Ok(word.into()),
            (Takes::View, other) => {
                Err(format!("Value {other} does not exist in 'MlflowViewType' enum."))
            }
            (Takes::Int, Value::Number(number)) if number.is_i64() => Ok(Value::Number(number)),
            (Takes::Int, Value::String(text)) if text.parse::<i64>().is_ok() => Ok(text.into()),
            (Takes::Int, other) => Err(format!("Int cannot represent non-integer value: {other}")),
            (Takes::Texts, Value::String(text)) => Ok(Value::Array(vec![text.into()])),
            (Takes::Texts, Value::Array(items)) if items.iter().all(Value::is_string) => {
                Ok(Value::Array(items))
            }
            (Takes::Texts, other) => {
                Err(format!("String cannot represent a non string value: {other}"))
            }
        };
        match read {
            Ok(value) => drop(asked.insert(schema::snake(name), value)),
            Err(said) => self.errors.push(said),
        }
    }

    /// What is to be shown of an object.
    fn shape(&mut self, field: &str, of: &'static Type, fields: &[&'a Field<'a, String>]) -> Shape {
        let sets: Vec<&SelectionSet<'a, String>> =
            fields.iter().map(|field| &field.selection_set).collect();
        if sets.iter().all(|set| set.items.is_empty()) {
            self.errors.push(format!(
                "Field '{field}' of type '{}' must have a selection of subfields. Did you mean \
                 '{field} {{ ... }}'?",
                of.name
            ));
        }
        let mut shape = Shape { of, fields: Vec::new() };
        for (key, fields) in self.collect(&sets, of.name) {
            let Some(first) = fields.first() else { continue };
            let Some(holds) = of.field(&first.name) else {
                let said = format!("Cannot query field '{}' on type '{}'.", first.name, of.name);
                self.errors.push(said);
                continue;
            };
            if let Some((name, _)) = first.arguments.first() {
                let said =
                    format!("Unknown argument '{name}' on field '{}.{}'.", of.name, first.name);
                self.errors.push(said);
            }
            let inner = self.inner(&first.name, holds, &fields);
            shape.fields.push((key, first.name.clone(), holds, inner));
        }
        shape
    }

    fn inner(
        &mut self,
        name: &str,
        holds: Holds,
        fields: &[&'a Field<'a, String>],
    ) -> Option<Shape> {
        let Some(of) = holds.object() else {
            if fields.iter().any(|field| !field.selection_set.items.is_empty()) {
                self.errors.push(format!(
                    "Field '{name}' must not have a selection since it has no subfields."
                ));
            }
            return None;
        };
        Some(self.shape(name, of, fields))
    }
}
