//! Facts: one dated measurement each, made by the platform, never typed by a person.
//!
//! [`FactName`] is a closed table: what a fact is about, its shape, its unit, and which part of
//! the platform makes it. [`Fact::record`] is the only door for a new one. Invariant: a recorded
//! fact has the shape, the subject and the producer of its name, and its numbers are numbers.

mod name;
mod unit;
mod value;

use serde::{Deserialize, Serialize};
use viaduct_base::{Digest, FactId, ProjectId, Span, Timestamp, WorkspaceId};

pub use name::{FactName, Producer, Shape, SubjectKind, UnknownFact};
pub use unit::Unit;
pub use value::FactValue;

/// What one fact is about: a KPI, a model version, an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The kind of thing.
    pub kind: SubjectKind,
    /// Its id as text; a new version or a changed section is a new id.
    pub id: String,
}

impl Subject {
    /// The thing of `kind` with this id.
    pub fn new(kind: SubjectKind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }
}

/// Where the rows behind a fact come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// Real traffic under the machine's clock.
    Live,
    /// Made under the simulated clock.
    Simulated,
    /// A replay of dated history.
    Replayed,
}

impl Provenance {
    /// The word in tables and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Provenance::Live => "live",
            Provenance::Simulated => "simulated",
            Provenance::Replayed => "replayed",
        }
    }
}

/// From when to when the rows behind a fact were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// First moment.
    pub from: Timestamp,
    /// Last moment.
    pub to: Timestamp,
}

impl Window {
    /// The window of this length that ends at `to`.
    pub fn ending(to: Timestamp, length: Span) -> Self {
        Self { from: to - length, to }
    }

    /// How long it is.
    pub fn length(&self) -> Span {
        self.to.since(self.from)
    }
}

/// What a collector hands over; [`Fact::record`] makes a fact of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Which fact.
    pub name: FactName,
    /// About which thing.
    pub subject: Subject,
    /// The measured value.
    pub value: FactValue,
    /// Over how many cases.
    pub n: Option<u64>,
    /// Over which time.
    pub window: Option<Window>,
    /// The hash of everything that was read.
    pub inputs_hash: Digest,
    /// Where the rows come from.
    pub provenance: Provenance,
    /// The currency of a money fact; nothing for the rest.
    pub currency: Option<String>,
    /// One sentence for people: what was counted, what stood in for what.
    pub note: Option<String>,
}

impl Measurement {
    /// A live measurement with no sample size, window or note yet.
    pub fn new(name: FactName, subject: Subject, value: FactValue, inputs_hash: Digest) -> Self {
        Self {
            name,
            subject,
            value,
            n: None,
            window: None,
            inputs_hash,
            provenance: Provenance::Live,
            currency: None,
            note: None,
        }
    }

    /// Over `n` cases.
    #[must_use]
    pub fn n(mut self, n: u64) -> Self {
        self.n = Some(n);
        self
    }

    /// Over this time.
    #[must_use]
    pub fn window(mut self, window: Window) -> Self {
        self.window = Some(window);
        self
    }

    /// From rows of this provenance.
    #[must_use]
    pub fn provenance(mut self, provenance: Provenance) -> Self {
        self.provenance = provenance;
        self
    }

    /// In this currency.
    #[must_use]
    pub fn currency(mut self, currency: impl Into<String>) -> Self {
        self.currency = Some(currency.into());
        self
    }

    /// With a sentence for people.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// Why a measurement does not become a fact. Each is a bug of a collector, not a wish of a user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAFact {
    /// No part of the platform makes this fact yet.
    #[error("nothing in this release produces `{0}`")]
    NoProducer(FactName),
    /// The value's shape is not the name's.
    #[error("`{name}` is {wanted}, and the value is {got}")]
    WrongShape {
        /// The fact.
        name: FactName,
        /// The shape in the table.
        wanted: Shape,
        /// The shape of the value.
        got: Shape,
    },
    /// The subject's kind is not the name's.
    #[error("`{name}` is about a {wanted}, and the subject is a {got}")]
    WrongSubject {
        /// The fact.
        name: FactName,
        /// The kind in the table.
        wanted: SubjectKind,
        /// The kind of the subject.
        got: SubjectKind,
    },
    /// A number is NaN or infinite, or an interval's ends are out of order.
    #[error("`{0}` has a value that is not a finite number in order: leave the fact out instead")]
    NotFinite(FactName),
    /// The window ends before it begins, or after the fact was made.
    #[error("`{0}` has a window that ends before it begins, or in the future")]
    WindowTurned(FactName),
    /// A money fact without a currency, or a currency on another fact.
    #[error("`{0}`: a money fact, and only a money fact, names its currency")]
    Currency(FactName),
}

/// One measurement, as it is stored. Append-only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Its id.
    pub id: FactId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The project whose gates may read it.
    pub project: ProjectId,
    /// Which fact.
    pub name: FactName,
    /// About which thing.
    pub subject: Subject,
    /// The measured value.
    pub value: FactValue,
    /// The unit as text; a money fact's currency.
    pub unit: String,
    /// Over how many cases.
    pub n: Option<u64>,
    /// Over which time.
    pub window: Option<Window>,
    /// When it was made.
    pub observed_at: Timestamp,
    /// Which part of the platform made it.
    pub producer: Producer,
    /// The hash of everything that was read.
    pub inputs_hash: Digest,
    /// Where the rows come from.
    pub provenance: Provenance,
    /// One sentence for people.
    pub note: Option<String>,
}

/// Whose fact it is, and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactKey {
    /// The new fact's id.
    pub id: FactId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The project.
    pub project: ProjectId,
}

impl Fact {
    /// Makes a fact of a measurement taken at `now`.
    ///
    /// # Errors
    /// When the measurement does not fit the row of its name.
    pub fn record(key: FactKey, made: Measurement, now: Timestamp) -> Result<Fact, NotAFact> {
        let name = made.name;
        let producer = name.producer().ok_or(NotAFact::NoProducer(name))?;
        if made.value.shape() != name.shape() {
            let (wanted, got) = (name.shape(), made.value.shape());
            return Err(NotAFact::WrongShape { name, wanted, got });
        }
        if made.subject.kind != name.subject_kind() {
            let (wanted, got) = (name.subject_kind(), made.subject.kind);
            return Err(NotAFact::WrongSubject { name, wanted, got });
        }
        if !made.value.is_sound() {
            return Err(NotAFact::NotFinite(name));
        }
        if made.window.is_some_and(|w| w.from > w.to || w.to > now) {
            return Err(NotAFact::WindowTurned(name));
        }
        if (name.unit() == Unit::Money) != made.currency.is_some() {
            return Err(NotAFact::Currency(name));
        }
        Ok(Fact {
            id: key.id,
            workspace: key.workspace,
            project: key.project,
            name,
            subject: made.subject,
            value: made.value,
            unit: made.currency.unwrap_or_else(|| name.unit().as_str().to_owned()),
            n: made.n,
            window: made.window,
            observed_at: now,
            producer,
            inputs_hash: made.inputs_hash,
            provenance: made.provenance,
            note: made.note,
        })
    }

    /// The value as people read it: `82 %`, `0.4 (0.1 to 0.7)`, `yes`.
    pub fn value_text(&self) -> String {
        self.value.text(self.name.unit(), &self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);

    fn key() -> FactKey {
        FactKey {
            id: FactId::from_u128(1),
            workspace: WorkspaceId::from_u128(2),
            project: ProjectId::from_u128(3),
        }
    }

    fn measure(name: FactName, value: FactValue) -> Measurement {
        Measurement::new(name, Subject::new(name.subject_kind(), "x"), value, Digest::of(b""))
    }

    #[test]
    fn a_fact_takes_unit_and_producer_from_its_name() {
        let made = measure(FactName::KpiLiveShare, FactValue::scalar(0.82)).n(28);
        let fact = Fact::record(key(), made, NOW).unwrap();
        assert_eq!((fact.unit.as_str(), fact.producer), ("share", Producer::KpiCollector));
        assert_eq!(fact.value_text(), "82 %");
        let json = serde_json::to_string(&fact).unwrap();
        assert_eq!(serde_json::from_str::<Fact>(&json).unwrap(), fact);
    }

    #[test]
    fn what_does_not_fit_its_row_is_refused() {
        let record = |made| Fact::record(key(), made, NOW).unwrap_err().to_string();
        assert_eq!(
            record(measure(FactName::KpiLiveShare, FactValue::flag(true))),
            "`kpi.live_share` is a number, and the value is a yes or no"
        );
        let mut wrong = measure(FactName::KpiLiveShare, FactValue::scalar(1.0));
        wrong.subject.kind = SubjectKind::Trial;
        assert_eq!(record(wrong), "`kpi.live_share` is about a kpi, and the subject is a trial");
        for bad in [f64::NAN, f64::INFINITY] {
            let error = record(measure(FactName::KpiLiveShare, FactValue::scalar(bad)));
            assert!(error.contains("not a finite number"), "{error}");
        }
        let error = record(measure(FactName::AutomationHandsOffRuns, FactValue::scalar(4.0)));
        assert_eq!(error, "nothing in this release produces `automation.hands_off_runs`");
        let error = record(measure(FactName::ValueNpv24Lower80, FactValue::scalar(4.0)));
        assert!(error.contains("names its currency"), "{error}");
        let future = Window::ending(NOW + Span::days(1), Span::days(2));
        let error = record(measure(FactName::KpiLiveShare, FactValue::scalar(1.0)).window(future));
        assert!(error.contains("in the future"), "{error}");
    }
}
