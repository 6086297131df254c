//! A request on its way through the server, and the calls that it makes elsewhere.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use crate::context::{Carried, TraceContext};
use crate::span::{Attributes, Begun, Side, Span, Value};
use crate::telemetry::Telemetry;

/// Why a bound: `tracestate` is a caller's text, kept as long as the span waits.
const STATE_MAX: usize = 512;

/// One request's place in its trace. A request of a trace that is not kept has one too, so that
/// the next service hears the same trace and that nobody keeps it.
#[derive(Debug)]
pub struct Journey {
    telemetry: Telemetry,
    context: TraceContext,
    parent: Option<u64>,
    state: Option<String>,
    begun: Begun,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    name: Cow<'static, str>,
    attributes: Attributes,
    failed: Option<Cow<'static, str>>,
    has_ended: bool,
}

impl Journey {
    pub(crate) fn begin(telemetry: &Telemetry, parent: Option<&str>, state: Option<&str>) -> Self {
        let sampler = telemetry.options().sampler;
        let parent = parent.and_then(TraceContext::parse);
        let context = parent.map_or_else(TraceContext::root, TraceContext::next);
        let keeps = telemetry.options().traces && sampler.keeps(context, parent.is_some());
        let state = state.map(str::trim).filter(|state| !state.is_empty());
        let state = state.filter(|state| state.len() <= STATE_MAX && parent.is_some());
        Self {
            telemetry: telemetry.clone(),
            // Why as it came where nothing is sent from here: others may keep the trace.
            context: match telemetry.options().traces {
                true => context.sampled(keeps),
                false => parent.unwrap_or(context),
            },
            parent: parent.map(|parent| parent.span),
            state: state.map(str::to_owned),
            begun: Begun::now(),
            notes: Mutex::default(),
        }
    }

    /// Whether this trace is kept; notes of one that is not are lost.
    pub fn is_kept(&self) -> bool {
        self.telemetry.options().traces && self.context.is_sampled()
    }

    /// What this was, in a few words that are the same for all of its kind.
    pub fn name(&self, name: impl Into<Cow<'static, str>>) {
        self.change(|notes| notes.name = name.into());
    }

    /// Adds an attribute; the last word on a key counts.
    pub fn note(&self, key: &'static str, value: impl Into<Value>) {
        self.change(|notes| {
            notes.attributes.retain(|(known, _)| *known != key);
            notes.attributes.push((key, value.into()));
        });
    }

    /// Adds to what was noted: numbers are summed, texts joined without repetition.
    pub fn add(&self, key: &'static str, value: impl Into<Value>) {
        let value = value.into();
        self.change(|notes| {
            let known = notes.attributes.iter_mut().find(|(known, _)| *known == key);
            match (known.map(|(_, known)| known), value) {
                (Some(Value::Int(sum)), Value::Int(more)) => *sum += more,
                (Some(Value::Texts(texts)), Value::Texts(more)) => {
                    let new: Vec<_> = more.into_iter().filter(|t| !texts.contains(t)).collect();
                    texts.extend(new);
                }
                (Some(known), value) => *known = value,
                (None, value) => notes.attributes.push((key, value)),
            }
        });
    }

    /// Says that it failed, and of what kind the failure is.
    pub fn fail(&self, kind: impl Into<Cow<'static, str>>) {
        self.change(|notes| notes.failed = Some(kind.into()));
    }

    /// Says that it did not fail, whatever was feared.
    pub fn well(&self) {
        self.change(|notes| notes.failed = None);
    }

    fn change(&self, change: impl FnOnce(&mut Notes)) {
        if self.is_kept() {
            change(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Ends it; the first word counts.
    pub fn end(&self) {
        if !self.is_kept() {
            return;
        }
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut notes.has_ended, true) {
            return;
        }
        let span = Span {
            context: self.context,
            parent: self.parent,
            is_parent_remote: true,
            state: self.state.clone(),
            side: Side::Server,
            name: std::mem::take(&mut notes.name),
            start_ns: self.begun.unix_ns(),
            end_ns: self.begun.unix_ns_now(),
            attributes: std::mem::take(&mut notes.attributes),
            failed: notes.failed.take(),
        };
        drop(notes);
        self.telemetry.push(span);
    }

    /// What is told to whoever works on for this request.
    pub fn carried(&self) -> Carried {
        Carried { parent: self.context.to_string(), state: self.state.clone() }
    }

    /// Begins a call elsewhere.
    pub fn hop(self: &Arc<Self>, name: impl Into<Cow<'static, str>>) -> Hop {
        Hop::begin(&self.telemetry, self.context, self.state.clone(), false, name.into())
    }
}

/// A call elsewhere; it ends when it is dropped.
#[derive(Debug)]
pub struct Hop {
    telemetry: Option<Telemetry>,
    begun: Begun,
    span: Span,
}

impl Hop {
    /// `parent` is our own span, or one that a journey left for later.
    pub(crate) fn begin(
        telemetry: &Telemetry,
        parent: TraceContext,
        state: Option<String>,
        is_parent_remote: bool,
        name: Cow<'static, str>,
    ) -> Self {
        let is_kept = telemetry.options().traces && parent.is_sampled();
        let begun = Begun::now();
        let span = Span {
            // Why the parent's own where nothing is kept: there is no span of ours to name.
            context: if is_kept { parent.next() } else { parent },
            parent: Some(parent.span),
            is_parent_remote,
            state,
            side: Side::Client,
            name,
            start_ns: begun.unix_ns(),
            end_ns: 0,
            attributes: Vec::new(),
            failed: None,
        };
        Self { telemetry: is_kept.then(|| telemetry.clone()), begun, span }
    }

    /// The headers that tell the other side.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let parent = self.span.context.to_string();
        Carried { parent, state: self.span.state.clone() }.headers()
    }

    /// Adds an attribute.
    pub fn note(&mut self, key: &'static str, value: impl Into<Value>) {
        if self.telemetry.is_some() {
            self.span.attributes.push((key, value.into()));
        }
    }

    /// The other side answered.
    pub fn answered(&mut self, status: u16) {
        self.note("http.response.status_code", i64::from(status));
        if status >= 400 {
            self.span.failed = Some(status.to_string().into());
        }
    }

    /// It did not.
    pub fn failed(&mut self, kind: &'static str) {
        self.span.failed = Some(kind.into());
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        if let Some(telemetry) = self.telemetry.take() {
            let span = Span { end_ns: self.begun.unix_ns_now(), ..self.span.clone() };
            telemetry.push(span);
        }
    }
}
