//! Reading rows in the order they were written, with constant memory.

use std::sync::Arc;

use viaduct_base::{EndpointId, Timestamp};

use crate::LogError;
use crate::frame;
use crate::row::Record;
use crate::segment::{Index, Segment, Step, Walk};

/// Rows of a span of time, oldest append first. A damaged place is one `Err` that names it; the
/// scan goes on behind it.
#[derive(Debug)]
pub struct Scan {
    segments: std::vec::IntoIter<Arc<Segment>>,
    endpoint: Option<u128>,
    from: Timestamp,
    to: Timestamp,
    current: Option<(Arc<Segment>, Walk)>,
}

impl Scan {
    pub(crate) fn new(
        segments: Vec<Arc<Segment>>,
        endpoint: Option<EndpointId>,
        from: Timestamp,
        to: Timestamp,
    ) -> Self {
        let endpoint = endpoint.map(|id| id.as_u128());
        Self { segments: segments.into_iter(), endpoint, from, to, current: None }
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
            let segment = self.segments.next()?;
            if self.wants(&segment) {
                let end = segment.end();
                return Some(segment.open_file().map(|file| {
                    let walk = Walk::new(file, crate::segment::SEGMENT_HEADER, end);
                    (segment, walk)
                }));
            }
        }
    }
}

impl Iterator for Scan {
    type Item = Result<Record, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
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
                    wanted.then(|| {
                        frame::decode(&entry, walk.body())
                            .map_err(|e| segment.corrupt(offset, format!("not readable: {e}")))
                    })
                }
            };
            self.current = Some((segment, walk));
            if item.is_some() {
                return item;
            }
        }
    }
}
