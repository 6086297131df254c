//! The four stages as dots on a line: where a project is, in a table cell.

use crate::svg::{Markup, coord};
use crate::view::Stage;

/// Draws the small ladder; an ended project has no filled step.
pub fn mini(stage: Stage) -> Markup {
    let here = stage.step();
    let mut m = Markup::default();
    m.raw("<svg class=\"ladder-mini\" role=\"img\" width=\"84\" height=\"18\"><title>");
    m.text(&match here {
        Some(step) => format!("Stage: {} ({} of 4)", stage.label(), step + 1),
        None => format!("Ended: {}", stage.label()),
    });
    m.raw("</title>");
    for step in 0..3usize {
        let class = if here.is_some_and(|h| step < h) { "rail done" } else { "rail" };
        let (from, to) = (9.0 + step as f64 * 22.0, 9.0 + (step + 1) as f64 * 22.0);
        m.raw(format!(
            "<line class=\"{class}\" x1=\"{}\" x2=\"{}\" y1=\"9\" y2=\"9\"/>",
            coord(from),
            coord(to)
        ));
    }
    for step in 0..4usize {
        let (class, radius) = match here {
            Some(h) if step == h => ("step here", 6.0),
            Some(h) if step < h => ("step done", 4.0),
            _ => ("step", 4.0),
        };
        let cx = coord(9.0 + step as f64 * 22.0);
        m.raw(format!("<circle class=\"{class}\" cx=\"{cx}\" cy=\"9\" r=\"{radius}\"/>"));
    }
    m.raw("</svg>");
    m
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn every_stage_has_its_place() {
        for stage in Stage::ALL {
            let drawn = mini(*stage);
            check::svg(&drawn, 1);
            let filled = drawn.as_str().matches("step here").count();
            assert_eq!(filled, usize::from(stage.step().is_some()));
        }
    }
}
