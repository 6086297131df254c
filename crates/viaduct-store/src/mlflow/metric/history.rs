//! A series read back: rows and chunks as one.

use viaduct_base::Timestamp;

use super::chunk::{self, Point};
use super::{LIST_OPEN, MetricRow};
use crate::{Cells, Scope, StoreError, Tx, Value, statement};

statement!(
    LIST_CHUNKS,
    scoped,
    "SELECT chunk, points, first_at, last_at FROM metric_chunk \
     WHERE workspace_id = $1 AND run_id = $2 AND key = $3 ORDER BY first_at, chunk"
);
statement!(
    READ_CHUNK,
    scoped,
    "SELECT packed FROM metric_chunk \
     WHERE workspace_id = $1 AND run_id = $2 AND key = $3 AND chunk = $4"
);
statement!(
    READ_CHUNKS,
    scoped,
    "SELECT packed FROM metric_chunk \
     WHERE workspace_id = $1 AND run_id = $2 AND key = $3 ORDER BY first_at, chunk"
);

/// A part of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its points in the order of time, step and value.
    pub points: Vec<Point>,
    /// Whether more follow.
    pub more: bool,
}

pub(super) fn open_point(cells: &dyn Cells) -> Result<Point, StoreError> {
    let is_nan = cells.int(3)? == Some(1);
    Ok(Point {
        at: cells.int(0)?.unwrap_or_default(),
        step: cells.int(1)?.unwrap_or_default(),
        value: if is_nan { f64::NAN } else { cells.real(2)?.unwrap_or_default() },
    })
}

fn open_points(tx: &mut Tx, values: &[Value], points: &mut Vec<Point>) -> Result<(), StoreError> {
    tx.visit(&LIST_OPEN, values, |cells| {
        points.push(open_point(cells)?);
        Ok(())
    })
}

/// Every point of a metric of a run in the order of time, step and value.
pub fn points(
    tx: &mut Tx,
    scope: &Scope,
    (run_id, key): (&str, &str),
) -> Result<Vec<Point>, StoreError> {
    let values = [scope.bind(), run_id.into(), key.into()];
    let mut points = Vec::new();
    tx.visit(&READ_CHUNKS, &values, |cells| {
        chunk::unpack(cells.bytes(0)?.unwrap_or_default(), &mut points)
    })?;
    open_points(tx, &values, &mut points)?;
    chunk::settle(&mut points);
    Ok(points)
}

/// What stands together in time: chunks whose spans meet, and the open points among them.
#[derive(Default)]
struct Stretch {
    chunks: Vec<i64>,
    points: usize,
    last_at: i64,
    open: Vec<Point>,
}

/// A page of a metric's points in the order of time, step and value. Chunks before and behind the
/// page are not read.
pub fn history(
    tx: &mut Tx,
    scope: &Scope,
    (run_id, key): (&str, &str),
    (limit, offset): (usize, usize),
) -> Result<Part, StoreError> {
    let series = [scope.bind(), run_id.into(), key.into()];
    let mut skip = offset;
    let mut part = Part { points: Vec::new(), more: false };
    for stretch in stretches(tx, &series)? {
        if part.points.len() >= limit {
            part.more = true;
            break;
        }
        // A chunk alone holds each point once, so it can be left out unread.
        if stretch.chunks.len() == 1 && stretch.open.is_empty() && stretch.points <= skip {
            skip -= stretch.points;
            continue;
        }
        let mut points = stretch.open;
        for number in stretch.chunks {
            let [workspace, run, key] = series.clone();
            tx.visit(&READ_CHUNK, &[workspace, run, key, number.into()], |cells| {
                chunk::unpack(cells.bytes(0)?.unwrap_or_default(), &mut points)
            })?;
        }
        chunk::settle(&mut points);
        let left_out = skip.min(points.len());
        skip -= left_out;
        let room = limit - part.points.len();
        part.more = points.len() - left_out > room;
        part.points.extend(points.into_iter().skip(left_out).take(room));
        if part.more {
            break;
        }
    }
    Ok(part)
}

fn stretches(tx: &mut Tx, series: &[Value]) -> Result<Vec<Stretch>, StoreError> {
    let mut open = Vec::new();
    open_points(tx, series, &mut open)?;
    chunk::settle(&mut open);
    let mut open = open.into_iter().peekable();
    let mut all: Vec<Stretch> = Vec::new();
    tx.visit(&LIST_CHUNKS, series, |cells| {
        let number = |at| cells.int(at).map(Option::unwrap_or_default);
        let (chunk, points, first_at, last_at) = (number(0)?, number(1)?, number(2)?, number(3)?);
        let before: Vec<Point> = std::iter::from_fn(|| open.next_if(|p| p.at < first_at)).collect();
        if !before.is_empty() {
            push_open(&mut all, before);
        }
        let stretch = match all.last_mut() {
            Some(last) if first_at <= last.last_at => last,
            _ => {
                all.push(Stretch { last_at, ..Stretch::default() });
                let end = all.len() - 1;
                &mut all[end]
            }
        };
        stretch.chunks.push(chunk);
        stretch.points += usize::try_from(points).unwrap_or_default();
        stretch.last_at = stretch.last_at.max(last_at);
        stretch.open.extend(std::iter::from_fn(|| open.next_if(|p| p.at <= stretch.last_at)));
        Ok(())
    })?;
    let rest: Vec<Point> = open.collect();
    if !rest.is_empty() {
        push_open(&mut all, rest);
    }
    Ok(all)
}

/// Open points behind all chunks so far, or within the last one's span.
fn push_open(all: &mut Vec<Stretch>, points: Vec<Point>) {
    let last_at = points.last().map_or(i64::MIN, |p| p.at);
    match all.last_mut() {
        Some(last) if points.first().is_some_and(|p| p.at <= last.last_at) => {
            last.last_at = last.last_at.max(last_at);
            last.open.extend(points);
        }
        _ => all.push(Stretch { last_at, open: points, ..Stretch::default() }),
    }
}

impl Point {
    /// The point with its key.
    pub fn of(self, key: &str) -> MetricRow {
        let at = Timestamp::from_micros(self.at);
        MetricRow { key: key.to_owned(), value: self.value, at, step: self.step }
    }
}
