//! Points packed together: numbers as differences, most of them in a byte or two.

use std::cmp::Ordering;

use crate::StoreError;

/// A point without its key. `value` may be NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When, in microseconds.
    pub at: i64,
    /// At which step.
    pub step: i64,
    /// The value.
    pub value: f64,
}

/// The first byte of every chunk.
const FORMAT: u8 = 1;

impl Point {
    /// As the tables keep it: NaN is a flag beside 0, and what is infinite is clamped.
    pub(super) fn kept(&self) -> (f64, bool) {
        if self.value.is_nan() {
            (0.0, true)
        } else {
            // Why the sum: minus zero and zero are one point.
            (self.value.clamp(f64::MIN, f64::MAX) + 0.0, false)
        }
    }
}

/// Puts points in the order of time, step and value, and leaves each there once.
pub(super) fn settle(points: &mut Vec<Point>) {
    let key = |p: &Point| (p.at, p.step);
    points.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| by_value(a, b)));
    points.dedup_by(|a, b| key(a) == key(b) && a.kept() == b.kept());
}

/// Points of one moment: those of a number by it, then those of none.
pub(super) fn by_value(a: &Point, b: &Point) -> Ordering {
    let ((x, x_nan), (y, y_nan)) = (a.kept(), b.kept());
    x.total_cmp(&y).then(x_nan.cmp(&y_nan))
}

/// The points as bytes.
pub(super) fn pack(points: &[Point]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + points.len() * 13);
    out.push(FORMAT);
    let (mut at, mut step) = (0i64, 0i64);
    for point in points {
        put(&mut out, point.at.wrapping_sub(at));
        put(&mut out, point.step.wrapping_sub(step));
        let (value, is_nan) = point.kept();
        let bits = if is_nan { f64::NAN.to_bits() } else { value.to_bits() };
        out.extend_from_slice(&bits.to_le_bytes());
        (at, step) = (point.at, point.step);
    }
    out
}

/// Adds a chunk's points to `points`.
pub(super) fn unpack(packed: &[u8], points: &mut Vec<Point>) -> Result<(), StoreError> {
    let broken = || StoreError::Column {
        column: "packed".to_owned(),
        detail: "the chunk of points does not read: restore it from a backup".to_owned(),
    };
    let (format, mut rest) = packed.split_first().ok_or_else(broken)?;
    if *format != FORMAT {
        return Err(broken());
    }
    let (mut at, mut step) = (0i64, 0i64);
    while !rest.is_empty() {
        at = at.wrapping_add(take(&mut rest).ok_or_else(broken)?);
        step = step.wrapping_add(take(&mut rest).ok_or_else(broken)?);
        let (bits, after) = rest.split_first_chunk::<8>().ok_or_else(broken)?;
        rest = after;
        points.push(Point { at, step, value: f64::from_bits(u64::from_le_bytes(*bits)) });
    }
    Ok(())
}

/// A number in groups of seven bits, small ones of either sign in one.
fn put(out: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    while rest >= 0x80 {
        out.push((rest as u8) | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn take(rest: &mut &[u8]) -> Option<i64> {
    let mut number = 0u64;
    for shift in (0..70).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(((number >> 1) as i64) ^ -((number & 1) as i64));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_come_back() {
        let points: Vec<Point> = [
            (0, 0, 0.5),
            (1_700_000_000_000_000, 1, f64::NAN),
            (1_700_000_000_000_001, -5, -1e300),
            (i64::MIN, i64::MAX, f64::MAX),
            (i64::MAX, i64::MIN, 0.0),
        ]
        .map(|(at, step, value)| Point { at, step, value })
        .to_vec();
        let mut read = Vec::new();
        unpack(&pack(&points), &mut read).unwrap();
        assert_eq!(format!("{read:?}"), format!("{points:?}"));
        for broken in [&[][..], &[2], &[1, 0x80], &[1, 0, 0, 1, 2], &[1; 40]] {
            assert!(unpack(broken, &mut Vec::new()).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn the_same_point_is_one() {
        let point = |at, value| Point { at, step: 0, value };
        let mut points = vec![
            point(2, 1.0),
            point(1, f64::NAN),
            point(2, 1.0),
            point(1, f64::NAN),
            point(1, 0.0),
        ];
        settle(&mut points);
        assert_eq!(points.len(), 3);
        assert!(points[0].value == 0.0 && points[1].value.is_nan() && points[2].at == 2);
        let mut points = vec![point(1, f64::INFINITY), point(1, f64::MAX), point(1, -0.0)];
        settle(&mut points);
        assert_eq!(points.len(), 2);
    }
}
