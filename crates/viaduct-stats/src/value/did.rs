//! Difference-in-differences with two-way fixed effects, clustered by unit.

use std::collections::BTreeMap;

use nalgebra::{DMatrix, DVector};

use crate::{
    dist::student,
    estimate::{Estimate, Method},
    insufficient::{Insufficient, Reason, require_level},
    linear::ols,
    value::panel::{Panel, TwoWay},
};

/// All assignments are tried only where there are at most this many.
pub const ARRANGEMENTS_MAX: u64 = 1000;

/// Means of the four cells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FourMeans {
    /// Units never treated, before.
    pub control_pre: f64,
    /// Units never treated, from the first treated period on.
    pub control_post: f64,
    /// Units ever treated, before.
    pub treated_pre: f64,
    /// Units ever treated, from the first treated period on.
    pub treated_post: f64,
}

/// Do treated units already drift apart before the model?
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PreTrend {
    /// Slope of treated less slope of control, per period.
    pub slope_difference: f64,
    /// Standard error: CR0 times `sqrt(G/(G-1) * (N-1)/(N-4))`.
    pub se: f64,
    /// Two-sided p by t with G - 1 degrees of freedom.
    pub p: f64,
}

/// Randomisation inference over the assignment of units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Permutation {
    /// Share of assignments with an effect at least as large in absolute value.
    pub p: f64,
    /// Assignments tried, the actual one among them.
    pub arrangements: u64,
}

/// A difference-in-differences with everything a reviewer asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Did {
    /// Effect of the treatment.
    pub effect: f64,
    /// Cluster-robust standard error without small-sample correction.
    pub se_cr0: f64,
    /// CR0 with `G/(G-1) * (N-1)/(N-(1+T))`: unit effects are nested in the clusters and do not
    /// count (fixest, reghdfe, pyfixest).
    pub se: f64,
    /// CR0 with `G/(G-1) * (N-1)/(N-(G+T))`: every dummy counts (plain OLS).
    pub se_all_dummies: Option<f64>,
    /// Standard error that takes rows as independent; for comparison only, it rejects far too often
    /// where outcomes are autocorrelated.
    pub se_iid: Option<f64>,
    /// G - 1.
    pub dof: f64,
    /// Rows.
    pub n: u64,
    /// Units G.
    pub clusters: u64,
    /// Cell means.
    pub means: FourMeans,
    /// Absent with fewer than two periods before treatment, or where its error does not exist.
    pub pretrend: Option<PreTrend>,
    /// Absent above [`ARRANGEMENTS_MAX`] assignments or where units start at different times.
    pub permutation: Option<Permutation>,
}

/// Estimates `y = unit + period + effect * treated` (`value.md` §1.5.10).
///
/// # Errors
/// No treated or no untreated units, no period before treatment, or a panel that fits perfectly.
pub fn did(panel: &Panel) -> Result<Did, Insufficient> {
    let all = TwoWay::new(panel, (0..panel.rows.len()).collect())?;
    let y = panel.outcomes();
    let (residual_y, residual_d) = (all.residuals(&y), all.residuals(&panel.treatment()));
    let square: f64 = residual_d.iter().map(|d| d * d).sum();
    if square < 1e-9 {
        return Err(Reason::Singular("treatment and unit or period effects").into());
    }
    let effect = dot(&residual_d, &residual_y) / square;
    let u: Vec<f64> = residual_y.iter().zip(&residual_d).map(|(y, d)| y - effect * d).collect();
    let mut scores = vec![0.0; panel.units.len()];
    for (row, unit) in panel.unit.iter().enumerate() {
        scores[*unit] += residual_d[row] * u[row];
    }
    let se_cr0 = scores.iter().map(|score| score * score).sum::<f64>().sqrt() / square;
    let scale = y.iter().fold(0.0_f64, |largest, y| largest.max(y.abs()));
    if se_cr0 <= 16.0 * f64::EPSILON * scale {
        return Err(Reason::NoVariation("the outcome beyond unit and period effects").into());
    }
    let (n, g, t) = (y.len() as f64, panel.units.len() as f64, panel.times.len() as f64);
    let corrected = |k: f64| (n > k).then(|| se_cr0 * (g / (g - 1.0) * (n - 1.0) / (n - k)).sqrt());
    let se = corrected(1.0 + t).ok_or(Reason::TooFewRows {
        what: "panel",
        needed: t as u64 + 2,
        got: n as u64,
    })?;
    let start = panel.rows.iter().filter(|row| row.is_treated).map(|row| row.time).min();
    let start = start.ok_or(Reason::TooFewRows { what: "treated", needed: 1, got: 0 })?;
    let is_treated_unit = treated_units(panel);
    let means = four_means(panel, &is_treated_unit, start)?;
    Ok(Did {
        effect,
        se_cr0,
        se,
        se_all_dummies: corrected(g + t),
        se_iid: (n > g + t).then(|| (dot(&u, &u) / (n - g - t) / square).sqrt()),
        dof: g - 1.0,
        n: y.len() as u64,
        clusters: panel.units.len() as u64,
        means,
        pretrend: pretrend(panel, &is_treated_unit, start),
        permutation: permutation(panel, &all, &is_treated_unit, start, (effect, &residual_y)),
    })
}

impl Did {
    /// Two-sided interval by t with G - 1 degrees of freedom.
    pub fn interval(&self, se: f64, level: f64) -> (f64, f64) {
        let half = student::upper_quantile(0.5 * (1.0 - level), self.dof) * se;
        (self.effect - half, self.effect + half)
    }

    /// The effect as an estimate; p is the permutation p below ten clusters where it exists.
    ///
    /// # Errors
    /// A level outside of (0, 1).
    pub fn estimate(&self, panel: &Panel, level: f64) -> Result<Estimate, Insufficient> {
        require_level(level)?;
        let (lower, upper) = self.interval(self.se, level);
        let by_t = student::two_sided(self.effect / self.se, self.dof);
        let p_value = match self.permutation {
            Some(permutation) if self.clusters < 10 => permutation.p,
            _ => by_t,
        };
        let treated = treated_units(panel).iter().filter(|treated| **treated).count() as u64;
        Ok(Estimate {
            method: Method::DifferenceInDifferences,
            effect: self.effect,
            se: self.se,
            dof: Some(self.dof),
            lower,
            upper,
            level,
            p_value: Some(p_value),
            n_control: self.clusters - treated,
            n_treated: treated,
            mean_control: self.means.treated_post - self.effect,
            mean_treated: self.means.treated_post,
            formula: "did-twfe-cr-nested/1".into(),
            parameters: BTreeMap::new(),
        })
    }
}

fn treated_units(panel: &Panel) -> Vec<bool> {
    let mut treated = vec![false; panel.units.len()];
    for (row, unit) in panel.unit.iter().enumerate() {
        treated[*unit] |= panel.rows[row].is_treated;
    }
    treated
}

fn four_means(panel: &Panel, treated: &[bool], start: i64) -> Result<FourMeans, Insufficient> {
    let cell = |is_treated: bool, is_post: bool| {
        let values: Vec<f64> = panel
            .rows
            .iter()
            .zip(&panel.unit)
            .filter(|(row, unit)| treated[**unit] == is_treated && (row.time >= start) == is_post)
            .map(|(row, _)| row.y)
            .collect();
        if values.is_empty() {
            return Err(Insufficient::from(Reason::TooFewRows {
                what: "a cell of units and periods",
                needed: 1,
                got: 0,
            }));
        }
        Ok(values.iter().sum::<f64>() / values.len() as f64)
    };
    Ok(FourMeans {
        control_pre: cell(false, false)?,
        control_post: cell(false, true)?,
        treated_pre: cell(true, false)?,
        treated_post: cell(true, true)?,
    })
}

fn pretrend(panel: &Panel, treated: &[bool], start: i64) -> Option<PreTrend> {
    let rows: Vec<usize> =
        (0..panel.rows.len()).filter(|row| panel.rows[*row].time < start).collect();
    let periods = panel.times.iter().filter(|time| **time < start).count();
    if periods < 2 || rows.len() < 5 {
        return None;
    }
    let mut design = DMatrix::zeros(rows.len(), 4);
    for (i, row) in rows.iter().enumerate() {
        let time = (panel.rows[*row].time - panel.times[0]) as f64;
        let arm = if treated[panel.unit[*row]] { 1.0 } else { 0.0 };
        for (j, value) in [1.0, arm, time, arm * time].into_iter().enumerate() {
            design[(i, j)] = value;
        }
    }
    let y = DVector::from_iterator(rows.len(), rows.iter().map(|row| panel.rows[*row].y));
    let fit = ols(&design, &y).ok()?;
    let weights = &design * fit.inverse.column(3);
    let mut scores = vec![0.0; panel.units.len()];
    for (i, row) in rows.iter().enumerate() {
        scores[panel.unit[*row]] += weights[i] * fit.residuals[i];
    }
    let g = {
        let mut units: Vec<usize> = rows.iter().map(|row| panel.unit[*row]).collect();
        units.sort_unstable();
        units.dedup();
        units.len() as f64
    };
    let n = rows.len() as f64;
    let cr0 = scores.iter().map(|score| score * score).sum::<f64>().sqrt();
    let se = cr0 * (g / (g - 1.0) * (n - 1.0) / (n - 4.0)).sqrt();
    let slope_difference = fit.beta[3];
    let p = student::two_sided(slope_difference / se, g - 1.0);
    (se > 0.0 && p.is_finite()).then_some(PreTrend { slope_difference, se, p })
}

fn permutation(
    panel: &Panel,
    all: &TwoWay<'_>,
    treated: &[bool],
    start: i64,
    (effect, residual_y): (f64, &[f64]),
) -> Option<Permutation> {
    let is_common_start = panel
        .rows
        .iter()
        .zip(&panel.unit)
        .all(|(row, unit)| row.is_treated == (treated[*unit] && row.time >= start));
    let units = panel.units.len();
    let chosen = treated.iter().filter(|treated| **treated).count();
    let arrangements = combinations(units as u64, chosen as u64)?;
    if !is_common_start || arrangements > ARRANGEMENTS_MAX {
        return None;
    }
    let mut at_least = 0_u64;
    let mut pick: Vec<usize> = (0..chosen).collect();
    loop {
        let mut is_picked = vec![false; units];
        pick.iter().for_each(|unit| is_picked[*unit] = true);
        let d: Vec<f64> = panel
            .rows
            .iter()
            .zip(&panel.unit)
            .map(|(row, unit)| if is_picked[*unit] && row.time >= start { 1.0 } else { 0.0 })
            .collect();
        let residual_d = all.residuals(&d);
        let square: f64 = residual_d.iter().map(|d| d * d).sum();
        let other = dot(&residual_d, residual_y) / square;
        // Why the slack: mirrored assignments give the same effect up to rounding.
        if other.abs() >= effect.abs() * (1.0 - 1e-10) {
            at_least += 1;
        }
        if !next_combination(&mut pick, units) {
            break;
        }
    }
    Some(Permutation { p: at_least as f64 / arrangements as f64, arrangements })
}

fn combinations(n: u64, k: u64) -> Option<u64> {
    let k = k.min(n - k);
    let mut ways = 1_u64;
    for i in 0..k {
        ways = ways.checked_mul(n - i)? / (i + 1);
        if ways > 1 << 40 {
            return None;
        }
    }
    Some(ways)
}

fn next_combination(pick: &mut [usize], n: usize) -> bool {
    let k = pick.len();
    for i in (0..k).rev() {
        if pick[i] < n - k + i {
            pick[i] += 1;
            for j in i + 1..k {
                pick[j] = pick[j - 1] + 1;
            }
            return true;
        }
    }
    false
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
