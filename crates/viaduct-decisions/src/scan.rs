//! Reading rows in the order they were written, with constant memory.

use std::sync::Arc;

use viaduct_base::{EndpointId, Timestamp};

use crate::LogError;
use crate::batch::DecisionBatch;
use crate::frame::{self, Decoded};
use crate::row::Record;
use crate::segment::{Index, Segment, Step, Walk};
use crate::segments::Segments;

/// Rows of a span of time, oldest append first. A damaged place is one `Err` that names it; the
/// scan goes on behind it.
#[derive(Debug)]
pub struct Scan {
    all: Arc<Segments>,
    segments: std::vec::IntoIter<Arc<Segment>>,
    endpoint: Option<u128>,
    from: Timestamp,
    to: Timestamp,
    current: Option<(Arc<Segment>, Walk)>,
    /// A batch that was read, and its next row.
    batch: Option<(Box<DecisionBatch>, usize)>,
}

impl Scan {
    pub(crate) fn new(
        all: Arc<Segments>,
        endpoint: Option<EndpointId>,
        from: Timestamp,
        to: Timestamp,
    ) -> Self {
        let endpoint = endpoint.map(|id| id.as_u128());
        let segments = all.list().into_iter();
        Self { all, segments, endpoint, from, to, current: None, batch: None }
    }

    /// Whether the segment can hold a wanted row.
    fn wants(&self, segment: &Segment) -> bool {
        let range = match (&*segment.index(), self.endpoint) {
            (Index::Memory(index), None) => Some(index.range),
            (Index::Memory(index), Some(id)) => index.endpoints.get(&id).map(|rows| rows.range),
            (Index::Disk(index), None) => Some(index.directory.range),
            (Index::Disk(index), Some(id)) => index.endpoint(id).map(|part| part.range),
        };
        range.is_some_and(|range| range.touches(self.from, self.to))
    }

    fn open_next(&mut self) -> Option<Result<(Arc<Segment>, Walk), LogError>> {
        loop {
            let listed = self.segments.next()?;
            // Why asked again: it may have been packed or rewritten since the scan began.
            let opened = self.all.with_current(&listed, |segment| {
                if self.wants(segment) { segment.walk().map(Some) } else { Ok(None) }
            });
            match opened {
                Ok((segment, Some(walk))) => return Some(Ok((segment, walk))),
                Ok((_, None)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Iterator for Scan {
    type Item = Result<Record, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((batch, next)) = &mut self.batch {
                if let Some(row) = batch.row(*next) {
                    *next += 1;
                    return Some(Ok(row.into()));
                }
                self.batch = None;
            }
            let (segment, mut walk) = match self.current.take() {
                Some(current) => current,
                None => match self.open_next()? {
                    Ok(opened) => opened,
                    Err(error) => return Some(Err(error)),
                },
            };
            let item = match walk.step() {
                Ok(None) => continue,
                Err(error) => return Some(Err(LogError::io(&segment.path, error))),
                Ok(Some(Step::Bad { offset, detail, .. })) => {
                    Some(Err(segment.corrupt(offset, detail)))
                }
                Ok(Some(Step::Row { offset, entry })) => {
                    let wanted = self.endpoint.is_none_or(|id| id == entry.endpoint)
                        && (self.from..self.to).contains(&entry.at);
                    let decoded = wanted.then(|| {
                        frame::decode(&entry, walk.body())
                            .map_err(|e| segment.corrupt(offset, format!("not readable: {e}")))
                    });
                    match decoded {
                        Some(Ok(Decoded::Many(batch))) => {
                            self.batch = Some((batch, 0));
                            None
                        }
                        Some(Ok(Decoded::One(record))) => Some(Ok(record)),
                        Some(Err(error)) => Some(Err(error)),
                        None => None,
                    }
                }
            };
            self.current = Some((segment, walk));
            if item.is_some() {
                return item;
            }
        }
    }
}
