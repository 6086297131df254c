//! A sparkline: the shape of the last days, no axes.

use super::scale::Scale;
use crate::svg::{Markup, coord};

const WIDTH: f64 = 96.0;
const HEIGHT: f64 = 24.0;

/// Draws `values`; empty with fewer than two numbers. `title` says what it shows.
pub fn line(values: &[f64], title: &str) -> Markup {
    let mut m = Markup::default();
    let numbers: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let (Some(scale), Some(last)) = (Scale::covering(numbers.iter().copied()), numbers.last())
    else {
        return m;
    };
    if numbers.len() < 2 {
        return m;
    }
    let y = |value: f64| coord(3.0 + (HEIGHT - 6.0) * (1.0 - scale.at(value)));
    let step = (WIDTH - 6.0) / (numbers.len() - 1) as f64;
    let points: Vec<String> = numbers
        .iter()
        .enumerate()
        .map(|(i, v)| format!("{},{}", coord(3.0 + step * i as f64), y(*v)))
        .collect();
    m.raw(format!(
        "<svg class=\"spark\" role=\"img\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         viewBox=\"0 0 {WIDTH} {HEIGHT}\"><title>"
    ));
    m.text(title).raw("</title>");
    m.raw(format!("<polyline class=\"stroke\" points=\"{}\"/>", points.join(" ")));
    m.raw(format!(
        "<circle class=\"dot\" cx=\"{}\" cy=\"{}\" r=\"2.5\"/></svg>",
        WIDTH - 3.0,
        y(*last)
    ));
    m
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn a_shape_needs_two_numbers() {
        check::svg(&line(&[1.0, f64::NAN, 3.0, 2.0], "a & b"), 1);
        check::svg(&line(&[2.0, 2.0], "flat"), 1);
        assert!(line(&[1.0, f64::INFINITY], "x").is_empty());
        assert!(line(&[], "x").is_empty());
    }
}
