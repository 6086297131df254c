//! YAML text as plain values that remember where they stood.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};
use viaduct_base::FieldError;

use super::escape;

/// A project file with a long contract has some thousand nodes; a hundred thousand is plenty.
const NODES_MAX: usize = 100_000;
/// Anchors save typing in hand-written files; more replay than this is an attack.
const REPLAY_MAX: usize = 20_000;

/// One document: its value, and where each pointer of it stood.
pub(super) struct Located {
    pub(super) value: Value,
    places: HashMap<String, Place>,
}

#[derive(Clone, Copy)]
struct Place {
    key: Option<(u64, u64)>,
    value: (u64, u64),
    is_container: bool,
}

/// Which end of an entry an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Key,
    Value,
}

impl Located {
    /// Line and column of a pointer, or of its nearest parent that stood in the text.
    ///
    /// Why a container answers with its key: its first line is its first child's.
    pub(super) fn place(&self, pointer: &str, end: End) -> Option<(u64, u64)> {
        let mut pointer = pointer;
        let mut end = end;
        loop {
            if let Some(place) = self.places.get(pointer) {
                let at_key = end == End::Key || place.is_container;
                return Some(if at_key { place.key.unwrap_or(place.value) } else { place.value });
            }
            pointer = &pointer[..pointer.rfind('/')?];
            end = End::Value;
        }
    }
}

/// Reads every document of a text.
pub(super) fn documents(text: &str) -> Result<Vec<Located>, Box<FieldError>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: NODES_MAX,
            max_events: NODES_MAX * 3,
            max_depth: 48,
            max_documents: 4,
            max_anchors: 1_000,
            max_aliases: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: REPLAY_MAX,
            max_replay_stack_depth: 16,
            max_alias_expansions_per_anchor: 1_000,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    };
    let nodes: Vec<Spanned<Node>> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|e| syntax_error(text, e))?;
    Ok(nodes.into_iter().map(locate).collect())
}

fn syntax_error(text: &str, error: serde_saphyr::Error) -> Box<FieldError> {
    if let Some(tabbed) = tabbed(text) {
        return Box::new(tabbed);
    }
    let place = error.location().filter(|at| *at != Location::UNKNOWN);
    let said = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    // Why cut: line and column are fields of their own, a sentence that repeats them reads badly.
    let said = said.split(" at line ").next().unwrap_or_default().trim().to_owned();
    Box::new(FieldError {
        pointer: String::new(),
        detail: format!("this is not YAML that can be read: {said}"),
        line: place.map(|at| at.line()),
        column: place.map(|at| at.column()),
    })
}

/// The first line that is indented by a tab. Why: the parser's own words are about its neighbours.
fn tabbed(text: &str) -> Option<FieldError> {
    let (index, column) = text.lines().enumerate().find_map(|(index, line)| {
        let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        Some((index, indent.find('\t')?))
    })?;
    Some(FieldError {
        pointer: String::new(),
        detail: "this is not YAML that can be read: the line is indented by a tab; use spaces"
            .into(),
        line: Some(index as u64 + 1),
        column: Some(column as u64 + 1),
    })
}

fn locate(root: Spanned<Node>) -> Located {
    let mut places = HashMap::new();
    let value = unfold(root, String::new(), None, &mut places);
    Located { value, places }
}

fn unfold(
    node: Spanned<Node>,
    pointer: String,
    key: Option<(u64, u64)>,
    places: &mut HashMap<String, Place>,
) -> Value {
    let at = |location: Location| (location.line(), location.column());
    let is_container = !matches!(node.value, Node::Scalar(_));
    places.insert(pointer.clone(), Place { key, value: at(node.referenced), is_container });
    match node.value {
        Node::Scalar(value) => value,
        Node::List(items) => {
            let item = |(n, item)| unfold(item, format!("{pointer}/{n}"), None, places);
            Value::Array(items.into_iter().enumerate().map(item).collect())
        }
        Node::Map(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let child = format!("{pointer}/{}", escape(&key.value));
                let value = unfold(value, child, Some(at(key.referenced)), places);
                map.insert(key.value, value);
            }
            Value::Object(map)
        }
    }
}

/// A node of the text, before it becomes a plain value.
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true, false, a list or a mapping")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Bool(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Scalar(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Scalar(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Node, E> {
        let number =
            Number::from_f64(number).ok_or_else(|| E::custom("a number must be finite"))?;
        Ok(Node::Scalar(Value::Number(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Scalar(text.into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Scalar(text.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map: Vec<(Spanned<String>, Spanned<Node>)> = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Spanned<Node>>()? {
            if map.len() >= NODES_MAX {
                return Err(A::Error::custom("a mapping has too many keys"));
            }
            map.push((key, value));
        }
        Ok(Node::Map(map))
    }
}
