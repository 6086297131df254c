//! A few points of a long series, picked as MLflow's store picks them.

use super::Point;
use super::chunk::by_value;

/// As `NTILE(wanted)` over (step, time, value): the first point of each of `wanted` buckets of
/// equal size, and the last point of all. `points` is put into that order.
pub fn sample(points: &mut [Point], wanted: usize) -> Vec<Point> {
    points.sort_by(|a, b| (a.step, a.at).cmp(&(b.step, b.at)).then_with(|| by_value(a, b)));
    let (total, wanted) = (points.len(), wanted.max(1));
    let Some(last) = points.last().copied() else { return Vec::new() };
    if total <= wanted {
        return points.to_vec();
    }
    // The first `longer` buckets hold one more.
    let (size, longer) = (total / wanted, total % wanted);
    let first_of = |bucket: usize| bucket * size + bucket.min(longer);
    let mut picked: Vec<Point> =
        (0..wanted).filter_map(|bucket| points.get(first_of(bucket)).copied()).collect();
    // Why never one more than wanted: the last bucket gives its place to the end of the series.
    if first_of(wanted - 1) != total - 1
        && let Some(end) = picked.last_mut()
    {
        *end = last;
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(total: i64, wanted: usize) -> Vec<i64> {
        let mut points: Vec<Point> =
            (0..total).rev().map(|step| Point { at: 0, step, value: 0.0 }).collect();
        sample(&mut points, wanted).iter().map(|p| p.step).collect()
    }

    #[test]
    fn buckets() {
        assert_eq!(steps(0, 3), [0i64; 0]);
        assert_eq!(steps(3, 3), [0, 1, 2]);
        assert_eq!(steps(10, 1), [9]);
        assert_eq!(steps(10, 3), [0, 4, 9]);
        assert_eq!(steps(11, 4), [0, 3, 6, 10]);
        let many = steps(100_000, 320);
        assert_eq!((many.len(), many[0], many[319]), (320, 0, 99_999));
    }
}
