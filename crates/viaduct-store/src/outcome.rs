//! Outcomes of decisions: an append-only history each, the last row counts.

use std::collections::BTreeMap;

use viaduct_base::{DecisionId, EndpointId, OutcomeId, ProjectId, Timestamp};

use crate::columns::{columns, read_all, scoped};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// One report about one decision.
    pub struct OutcomeRow {
        /// The decision.
        decision_id: DecisionId,
        /// Its id.
        id: OutcomeId,
        /// The endpoint that decided.
        endpoint_id: EndpointId,
        /// The project of the endpoint at that time.
        project_id: Option<ProjectId>,
        /// When the decision was made, copied so that windows need no join.
        decided_at: Timestamp,
        /// `final`, `partial` or `corrected`.
        status: String,
        /// The label as JSON.
        label_json: Option<String>,
        /// The value.
        value: Option<f64>,
        /// When it happened.
        occurred_at: Option<Timestamp>,
        /// When it became known to whoever reported it.
        observed_at: Timestamp,
        /// When the platform received it.
        received_at: Timestamp,
        /// Who reported it.
        source: Option<String>,
        /// The clock it was received under.
        clock: String,
    }
}

// The next position of the decision's history. Two writers at once meet at the primary key.
statement!(
    APPEND,
    scoped,
    "INSERT INTO outcome (workspace_id, decision_id, id, endpoint_id, project_id, decided_at, \
     status, label_json, value, occurred_at, observed_at, received_at, source, clock, seq) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
     (SELECT coalesce(max(seq), 0) + 1 FROM outcome WHERE decision_id = $2))"
);
statement!(
    HISTORY,
    scoped,
    "SELECT * FROM outcome WHERE workspace_id = $1 AND decision_id = $2 ORDER BY seq"
);
// A fixed number of places, the unused ones filled up with the last id: one text, one plan.
statement!(
    LATEST_BY_DECISIONS,
    scoped,
    "SELECT * FROM outcome o WHERE workspace_id = $1 AND decision_id IN ($2, $3, $4, $5, $6, $7, \
     $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, \
     $27, $28, $29, $30, $31, $32, $33) AND seq = \
     (SELECT max(seq) FROM outcome l WHERE l.decision_id = o.decision_id)"
);
// Walks the index over (endpoint, moment of the decision) in its order.
statement!(
    PAGE,
    scoped,
    "SELECT * FROM outcome WHERE workspace_id = $1 AND endpoint_id = $2 \
     AND decided_at >= $3 AND decided_at < $4 AND (decided_at, decision_id, seq) > ($5, $6, $7) \
     ORDER BY decided_at, decision_id, seq LIMIT $8"
);
statement!(
    LATEST_IN,
    scoped,
    "SELECT * FROM outcome o WHERE workspace_id = $1 AND endpoint_id = $2 \
     AND decided_at >= $3 AND decided_at < $4 AND seq = \
     (SELECT max(seq) FROM outcome l WHERE l.decision_id = o.decision_id) \
     ORDER BY decided_at, decision_id"
);
statement!(
    COUNT_SINCE,
    scoped,
    "SELECT count(*) AS n FROM outcome WHERE workspace_id = $1 AND endpoint_id = $2 \
     AND received_at >= $3"
);

/// Places in [`LATEST_BY_DECISIONS`].
const PLACES: usize = 32;

/// Appends a report to the decision's history.
///
/// # Errors
/// [`StoreError::Conflict`] when another report about the same decision came at the same moment.
pub fn append(tx: &mut Tx, scope: &Scope, row: &OutcomeRow) -> Result<(), StoreError> {
    match tx.execute(&APPEND, &scoped(scope, row.values())) {
        Err(error) if error.is_unique("outcome", "decision_id, seq") => Err(StoreError::Conflict {
            noun: "outcome of decision",
            id: row.decision_id.to_string(),
        }),
        other => other.map(|_| ()),
    }
}

/// All reports about a decision, oldest first.
pub fn history(
    tx: &mut Tx,
    scope: &Scope,
    decision: DecisionId,
) -> Result<Vec<OutcomeRow>, StoreError> {
    read_all(tx.query(&HISTORY, &[scope.bind(), Value::text(decision)])?, OutcomeRow::read)
}

/// The last report about each of the decisions that has one.
pub fn latest_by_decisions(
    tx: &mut Tx,
    scope: &Scope,
    decisions: &[DecisionId],
) -> Result<BTreeMap<DecisionId, OutcomeRow>, StoreError> {
    let mut latest = BTreeMap::new();
    for chunk in decisions.chunks(PLACES) {
        let last = chunk.last().into_iter().cycle();
        let ids = chunk.iter().chain(last).take(PLACES).map(Value::text);
        let values = scoped(scope, ids.collect());
        for row in tx.query(&LATEST_BY_DECISIONS, &values)? {
            let row = OutcomeRow::read(&row)?;
            latest.insert(row.decision_id, row);
        }
    }
    Ok(latest)
}

/// Where a page of outcomes ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    decided_at: Timestamp,
    decision_id: DecisionId,
    seq: i64,
}

/// The reports about decisions of an endpoint made from `from` until before `to`, in order of the
/// decisions, after `after`; with the place to go on from, `None` after the last page.
pub fn page(
    tx: &mut Tx,
    scope: &Scope,
    endpoint: EndpointId,
    window: (Timestamp, Timestamp),
    after: Option<&Place>,
    limit: usize,
) -> Result<(Vec<OutcomeRow>, Option<Place>), StoreError> {
    let (decided_at, decision, seq) = match after {
        Some(place) => (place.decided_at, Value::text(place.decision_id), place.seq),
        // Below every row: no decision id is the empty text.
        None => (window.0, "".into(), 0),
    };
    let values = [
        scope.bind(),
        Value::text(endpoint),
        window.0.into(),
        window.1.into(),
        decided_at.into(),
        decision,
        seq.into(),
        (limit as i64).into(),
    ];
    let rows = tx.query(&PAGE, &values)?;
    let place = match rows.last() {
        Some(last) if rows.len() == limit => Some(Place {
            decided_at: last.time("decided_at")?,
            decision_id: last.parse("decision_id")?,
            seq: last.int("seq")?,
        }),
        _ => None,
    };
    Ok((read_all(rows, OutcomeRow::read)?, place))
}

/// Hands over the last report about each decision of an endpoint made from `from` until before
/// `to`, in order of the decisions and in constant memory.
pub fn each_latest(
    tx: &mut Tx,
    scope: &Scope,
    endpoint: EndpointId,
    window: (Timestamp, Timestamp),
    mut each: impl FnMut(OutcomeRow) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let values = [scope.bind(), Value::text(endpoint), window.0.into(), window.1.into()];
    tx.query_each(&LATEST_IN, &values, |row| each(OutcomeRow::read(&row)?))
}

/// How many reports of an endpoint came since `since`.
pub fn count_since(
    tx: &mut Tx,
    scope: &Scope,
    endpoint: EndpointId,
    since: Timestamp,
) -> Result<i64, StoreError> {
    let values = [scope.bind(), Value::text(endpoint), since.into()];
    tx.query_one(&COUNT_SINCE, &values)?.map_or(Ok(0), |row| row.int("n"))
}
