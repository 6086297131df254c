//! Group-sequential bounds: a fixed number of looks at known shares of the planned information.

use serde::{Deserialize, Serialize};

use crate::{
    dist::normal,
    insufficient::{Insufficient, Reason, require, require_rows},
    value::plan::Sides,
};

/// Bounds at each look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// The z that must be exceeded (in absolute value where two-sided).
    pub z: Vec<f64>,
    /// The p-value, with the same sides, that this z has at a single look.
    pub nominal_alpha: Vec<f64>,
}

/// No bound is wider than this; the alpha left out is below 1e-15 (as `ldbounds`).
const Z_MAX: f64 = 8.0;
/// Looks beyond which the integration is refused.
const LOOKS_MAX: usize = 100;
/// Step of the integration grid in standard deviations of the look's increment.
///
/// Why this coarse: it is the step of `ldbounds` and of the packages that descend from it, whose
/// published bounds are reproduced here. A finer grid moves the bound of a look that follows its
/// predecessor within one per cent of the information by up to 0.0007; all others agree to 1e-4.
const STEP: f64 = 0.05;
/// Most points of a grid; reached when a look adds almost no information.
const POINTS_MAX: f64 = 2_000.0;

/// Lan and DeMets' bounds with the spending function `alpha t^power` (Kim and DeMets).
///
/// `fractions` are shares of the planned information, increasing, in (0, 1]. The joint density of
/// the running score is integrated look by look (Armitage, McPherson and Rowe 1969) by the
/// trapezoidal rule on the grid of `ldbounds`.
///
/// # Errors
/// No looks or too many, fractions out of order, alpha outside of (0, 1).
pub fn bounds(
    fractions: &[f64],
    alpha: f64,
    sides: Sides,
    power: f64,
) -> Result<Bounds, Insufficient> {
    require_rows("looks", fractions.len() as u64, 1)?;
    if fractions.len() > LOOKS_MAX {
        return Err(Reason::TooLarge { what: "looks", limit: LOOKS_MAX as u64 }.into());
    }
    require(alpha > 0.0 && alpha < 1.0, "alpha", "between 0 and 1")?;
    require(power > 0.0 && power <= 20.0, "spending power", "above 0 and at most 20")?;
    let mut before = 0.0;
    for fraction in fractions {
        require(
            *fraction > before && *fraction <= 1.0,
            "information fractions",
            "increasing in (0, 1]",
        )?;
        before = *fraction;
    }
    let share = match sides {
        Sides::One => 1.0,
        Sides::Two => 0.5,
    };
    // The score process S = z sqrt(t) has independent normal increments of variance dt.
    let mut state: Option<Grid> = None;
    let mut spent = 0.0;
    let mut time = 0.0;
    let mut z = Vec::with_capacity(fractions.len());
    for fraction in fractions {
        let target = share * alpha * fraction.powf(power);
        let step = target - spent;
        let root = fraction.sqrt();
        let delta = (fraction - time).sqrt();
        let crossing = |bound: f64| match &state {
            None => normal::sf(bound),
            Some(grid) => grid.beyond(bound * root, delta),
        };
        let bound = search(step, crossing);
        let next = Grid::advance(state.as_ref(), bound * root, root, delta, sides);
        z.push(bound);
        state = Some(next);
        spent += if bound >= Z_MAX { 0.0 } else { step };
        time = *fraction;
    }
    let nominal_alpha = z
        .iter()
        .map(|z| match sides {
            Sides::One => normal::sf(*z),
            Sides::Two => normal::two_sided(*z),
        })
        .collect();
    Ok(Bounds { z, nominal_alpha })
}

/// The bound whose upper crossing probability is `step`.
fn search(step: f64, crossing: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (-Z_MAX, Z_MAX);
    if crossing(high) >= step {
        return Z_MAX;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if crossing(middle) > step {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// Density of the score among trials that have not crossed yet, with the rule's weights folded in.
struct Grid {
    at: Vec<f64>,
    mass: Vec<f64>,
}

impl Grid {
    fn advance(before: Option<&Self>, bound: f64, root: f64, delta: f64, sides: Sides) -> Self {
        let low = match sides {
            Sides::Two => -bound,
            Sides::One => -Z_MAX * root,
        };
        let points = ((bound - low) / (STEP * delta)).ceil().clamp(1.0, POINTS_MAX);
        let width = (bound - low) / points;
        let points = points as usize;
        let at: Vec<f64> = (0..=points).map(|i| low + width * i as f64).collect();
        let mass = at
            .iter()
            .enumerate()
            .map(|(i, s)| {
                let density = match before {
                    None => normal::pdf(s / root) / root,
                    Some(grid) => grid.density(*s, delta),
                };
                let weight = if i == 0 || i == points { 0.5 } else { 1.0 };
                density * weight * width
            })
            .collect();
        Self { at, mass }
    }

    fn density(&self, s: f64, delta: f64) -> f64 {
        self.at
            .iter()
            .zip(&self.mass)
            .map(|(u, mass)| mass * normal::pdf((s - u) / delta) / delta)
            .sum()
    }

    fn beyond(&self, s: f64, delta: f64) -> f64 {
        self.at.iter().zip(&self.mass).map(|(u, mass)| mass * normal::sf((s - u) / delta)).sum()
    }
}
