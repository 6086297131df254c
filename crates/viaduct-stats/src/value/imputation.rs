//! Imputation difference-in-differences for staggered adoption.
//!
//! Plain two-way fixed effects compare late adopters with early ones and can even turn the sign;
//! here unit and period effects are fitted on rows without the model only (Borusyak, Jaravel and
//! Spiess; Gardner's two-stage estimator, whose analytic standard error is used).

use std::collections::BTreeMap;

use crate::{
    dist::normal,
    estimate::{Estimate, Method},
    insufficient::{Insufficient, Reason, require_level, require_rows, require_same_length},
    value::panel::{Panel, TwoWay},
};

/// Result of the imputation estimator.
#[derive(Debug, Clone, PartialEq)]
pub struct Imputation {
    /// Mean gap between outcome and imputed outcome over treated rows.
    pub att: f64,
    /// Gardner's two-stage standard error, clustered by unit, without small-sample correction.
    pub se: f64,
    /// Mean gap by periods since the unit's start.
    pub by_periods_since_start: BTreeMap<i64, f64>,
    /// What plain two-way fixed effects would have said, for comparison only.
    pub twfe_effect: Option<f64>,
    /// Treated rows.
    pub treated_rows: u64,
}

/// Estimates the effect on the treated; `starts` gives each row's unit's first treated period
/// (`value.md` §1.5.11).
///
/// # Errors
/// No treated rows, a unit or period without any untreated row, or a panel that fits perfectly.
pub fn imputation(panel: &Panel, starts: &[i64]) -> Result<Imputation, Insufficient> {
    require_same_length("rows and starts", panel.rows.len(), starts.len())?;
    let (treated, untreated): (Vec<usize>, Vec<usize>) =
        (0..panel.rows.len()).partition(|row| panel.rows[*row].is_treated);
    require_rows("treated", treated.len() as u64, 1)?;
    let first = TwoWay::new(panel, untreated.clone())?;
    let y = panel.outcomes();
    let centre = y.iter().sum::<f64>() / y.len() as f64;
    let y: Vec<f64> = y.iter().map(|y| y - centre).collect();
    let (unit, period) = first.fit(&y);
    let gap: Vec<f64> =
        (0..y.len()).map(|row| y[row] - unit[panel.unit[row]] - period[panel.time[row]]).collect();
    let count = treated.len() as f64;
    let att = treated.iter().map(|row| gap[*row]).sum::<f64>() / count;

    let mut profile: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for row in &treated {
        let since = panel.rows[*row].time.saturating_sub(starts[*row]);
        let cell = profile.entry(since).or_default();
        cell.0 += gap[*row];
        cell.1 += 1.0;
    }

    // How the first stage's coefficients enter the mean gap, solved on the untreated rows.
    let mut by_unit = vec![0.0; panel.units.len()];
    let mut by_time = vec![0.0; panel.times.len()];
    for row in &treated {
        by_unit[panel.unit[*row]] += 1.0;
        by_time[panel.time[*row]] += 1.0;
    }
    let (lever_unit, lever_time) = first.solve(&by_unit, &by_time);
    let mut scores = vec![0.0; panel.units.len()];
    for row in &treated {
        scores[panel.unit[*row]] += gap[*row] - att;
    }
    for row in &untreated {
        let lever = lever_unit[panel.unit[*row]] + lever_time[panel.time[*row]];
        scores[panel.unit[*row]] -= lever * gap[*row];
    }
    let se = scores.iter().map(|score| score * score).sum::<f64>().sqrt() / count;
    let scale = panel.rows.iter().fold(0.0_f64, |largest, row| largest.max(row.y.abs()));
    if se <= 64.0 * f64::EPSILON * scale {
        return Err(Reason::NoVariation("the outcome beyond unit and period effects").into());
    }
    Ok(Imputation {
        att,
        se,
        by_periods_since_start: profile
            .into_iter()
            .map(|(since, (sum, rows))| (since, sum / rows))
            .collect(),
        twfe_effect: two_way_effect(panel),
        treated_rows: treated.len() as u64,
    })
}

impl Imputation {
    /// The effect on the treated as an estimate with a normal interval.
    ///
    /// # Errors
    /// A level outside of (0, 1).
    pub fn estimate(&self, panel: &Panel, level: f64) -> Result<Estimate, Insufficient> {
        require_level(level)?;
        let half = -normal::quantile(0.5 * (1.0 - level)) * self.se;
        let mean = panel.rows.iter().filter(|row| row.is_treated).map(|row| row.y).sum::<f64>()
            / self.treated_rows as f64;
        Ok(Estimate {
            method: Method::ImputationDid,
            effect: self.att,
            se: self.se,
            dof: None,
            lower: self.att - half,
            upper: self.att + half,
            level,
            p_value: Some(normal::two_sided(self.att / self.se)),
            n_control: panel.rows.len() as u64 - self.treated_rows,
            n_treated: self.treated_rows,
            mean_control: mean - self.att,
            mean_treated: mean,
            formula: "did-imputation-two-stage/1".into(),
            parameters: BTreeMap::new(),
        })
    }
}

fn two_way_effect(panel: &Panel) -> Option<f64> {
    let all = TwoWay::new(panel, (0..panel.rows.len()).collect()).ok()?;
    let (d, y) = (all.residuals(&panel.treatment()), all.residuals(&panel.outcomes()));
    let square: f64 = d.iter().map(|d| d * d).sum();
    let effect = d.iter().zip(&y).map(|(d, y)| d * y).sum::<f64>() / square;
    effect.is_finite().then_some(effect)
}
