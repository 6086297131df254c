//! Panels: one outcome per unit and period, and the removal of unit and period effects.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

use crate::insufficient::{Insufficient, Reason, require_finite, require_rows};

/// One row of a panel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// Unit (team, store, department).
    pub unit: i64,
    /// Period; later periods have larger numbers.
    pub time: i64,
    /// Whether the unit has the model in this period.
    pub is_treated: bool,
    /// Outcome.
    pub y: f64,
}

/// Largest number of periods and of rows that the exact solution runs over.
const PERIODS_MAX: usize = 1500;

/// A checked panel with units and periods numbered from zero.
#[derive(Debug, Clone)]
pub struct Panel {
    pub(crate) rows: Vec<Observation>,
    pub(crate) unit: Vec<usize>,
    pub(crate) time: Vec<usize>,
    pub(crate) units: Vec<i64>,
    pub(crate) times: Vec<i64>,
}

impl Panel {
    /// Checks and indexes rows in any order.
    ///
    /// # Errors
    /// Fewer than two units or periods, two rows for one unit and period, outcomes that are not
    /// finite.
    pub fn new(rows: Vec<Observation>) -> Result<Self, Insufficient> {
        let distinct = |pick: fn(&Observation) -> i64| {
            let mut values: Vec<i64> = rows.iter().map(pick).collect();
            values.sort_unstable();
            values.dedup();
            values
        };
        let (units, times) = (distinct(|row| row.unit), distinct(|row| row.time));
        require_rows("units", units.len() as u64, 2)?;
        require_rows("periods", times.len() as u64, 2)?;
        if times.len() > PERIODS_MAX {
            return Err(Reason::TooLarge { what: "periods", limit: PERIODS_MAX as u64 }.into());
        }
        let index = |values: &[i64], value: i64| values.partition_point(|other| *other < value);
        let unit: Vec<usize> = rows.iter().map(|row| index(&units, row.unit)).collect();
        let time: Vec<usize> = rows.iter().map(|row| index(&times, row.time)).collect();
        let mut cells: Vec<(usize, usize)> =
            unit.iter().copied().zip(time.iter().copied()).collect();
        cells.sort_unstable();
        if cells.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(
                Reason::OutOfRange { what: "rows", rule: "one for each unit and period" }.into()
            );
        }
        let outcomes: Vec<f64> = rows.iter().map(|row| row.y).collect();
        require_finite("outcome", &outcomes)?;
        Ok(Self { rows, unit, time, units, times })
    }

    pub(crate) fn outcomes(&self) -> Vec<f64> {
        self.rows.iter().map(|row| row.y).collect()
    }

    pub(crate) fn treatment(&self) -> Vec<f64> {
        self.rows.iter().map(|row| if row.is_treated { 1.0 } else { 0.0 }).collect()
    }
}

/// The least-squares problem of unit and period effects on some rows of a panel.
pub(crate) struct TwoWay<'a> {
    panel: &'a Panel,
    rows: Vec<usize>,
    /// Rows per unit.
    counts: Vec<f64>,
    /// Rows per unit and period, units first; 0 or 1.
    present: DMatrix<f64>,
    /// Normal equations of the period effects once units are removed, without the first period.
    factor: Option<Cholesky<f64, Dyn>>,
}

impl<'a> TwoWay<'a> {
    pub(crate) fn new(panel: &'a Panel, rows: Vec<usize>) -> Result<Self, Insufficient> {
        let (units, times) = (panel.units.len(), panel.times.len());
        const CELLS_MAX: usize = 20_000_000;
        if units.saturating_mul(times) > CELLS_MAX {
            return Err(Reason::TooLarge { what: "panel", limit: CELLS_MAX as u64 }.into());
        }
        let mut present = DMatrix::zeros(units, times);
        for row in &rows {
            present[(panel.unit[*row], panel.time[*row])] = 1.0;
        }
        let counts: Vec<f64> = (0..units).map(|unit| present.row(unit).sum()).collect();
        let is_complete = counts.iter().all(|count| *count == times as f64);
        let factor = if is_complete {
            None
        } else {
            if counts.contains(&0.0) {
                return Err(Reason::Singular("unit effects").into());
            }
            let mut weighted = present.clone();
            for (mut row, count) in weighted.row_iter_mut().zip(&counts) {
                row /= *count;
            }
            let cross = present.tr_mul(&weighted);
            let mut normal = DMatrix::zeros(times - 1, times - 1);
            for a in 1..times {
                for b in 1..times {
                    let own = if a == b { present.column(a).sum() } else { 0.0 };
                    normal[(a - 1, b - 1)] = own - cross[(a, b)];
                }
            }
            let factor =
                Cholesky::new(normal).ok_or(Reason::Singular("unit and period effects"))?;
            if factor.l_dirty().diagonal().min() < 1e-6 {
                return Err(Reason::Singular("unit and period effects").into());
            }
            Some(factor)
        };
        Ok(Self { panel, rows, counts, present, factor })
    }

    /// Effects of units and periods that solve the normal equations for sums per unit and period.
    pub(crate) fn solve(&self, by_unit: &[f64], by_time: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (units, times) = self.present.shape();
        let means: Vec<f64> =
            by_unit.iter().zip(&self.counts).map(|(sum, count)| sum / count).collect();
        let period: Vec<f64> = match &self.factor {
            None => {
                let grand = means.iter().sum::<f64>() / units as f64;
                by_time.iter().map(|sum| sum / units as f64 - grand).collect()
            }
            Some(factor) => {
                let right = DVector::from_iterator(
                    times - 1,
                    (1..times).map(|time| {
                        by_time[time]
                            - (0..units).map(|u| self.present[(u, time)] * means[u]).sum::<f64>()
                    }),
                );
                let solved = factor.solve(&right);
                std::iter::once(0.0).chain(solved.iter().copied()).collect()
            }
        };
        let unit = (0..units)
            .map(|u| {
                let shift: f64 = (0..times).map(|t| self.present[(u, t)] * period[t]).sum();
                means[u] - shift / self.counts[u]
            })
            .collect();
        (unit, period)
    }

    /// Fits a variable given for every row of the panel.
    pub(crate) fn fit(&self, values: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut by_unit = vec![0.0; self.panel.units.len()];
        let mut by_time = vec![0.0; self.panel.times.len()];
        for row in &self.rows {
            by_unit[self.panel.unit[*row]] += values[*row];
            by_time[self.panel.time[*row]] += values[*row];
        }
        self.solve(&by_unit, &by_time)
    }

    /// Residuals of a variable on the rows of this problem, in their order.
    pub(crate) fn residuals(&self, values: &[f64]) -> Vec<f64> {
        // Why centred first: outcomes far from zero keep their digits.
        let n = self.rows.len() as f64;
        let centre = self.rows.iter().map(|row| values[*row]).sum::<f64>() / n;
        let centred: Vec<f64> = values.iter().map(|value| value - centre).collect();
        let (unit, period) = self.fit(&centred);
        self.rows
            .iter()
            .map(|row| centred[*row] - unit[self.panel.unit[*row]] - period[self.panel.time[*row]])
            .collect()
    }
}
