//! Cost allocation and the ledger: amounts that are booked, hence decimals.

use std::collections::BTreeMap;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use crate::{
    dist::normal,
    insufficient::{Insufficient, Reason, finite, require, require_finite, require_rows},
};

/// Capacity and rates of a node over its hours (OpenCost spec 0.1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Cores.
    pub cpu_cores: f64,
    /// Memory in GiB.
    pub ram_gb: f64,
    /// Accelerators.
    pub gpus: f64,
    /// Hours that the node was up.
    pub hours: f64,
    /// Price of a core-hour.
    pub cpu_rate: f64,
    /// Price of a GiB-hour.
    pub ram_rate: f64,
    /// Price of an accelerator-hour.
    pub gpu_rate: f64,
}

/// What a workload asked for and what it used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    /// Name.
    pub name: String,
    /// Cores requested.
    pub cpu_req: f64,
    /// Cores used.
    pub cpu_use: f64,
    /// GiB requested.
    pub ram_req: f64,
    /// GiB used.
    pub ram_use: f64,
    /// Accelerators requested.
    pub gpu_req: f64,
    /// Accelerators used.
    pub gpu_use: f64,
    /// Hours that it ran.
    pub hours: f64,
}

/// An amount per resource.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PerResource {
    /// Cores.
    pub cpu: f64,
    /// Memory.
    pub ram: f64,
    /// Accelerators.
    pub gpu: f64,
}

impl PerResource {
    fn sum(&self) -> f64 {
        self.cpu + self.ram + self.gpu
    }
}

/// A workload's share of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    /// Name of the workload.
    pub name: String,
    /// Own cost: the larger of request and use, times hours, times rate.
    pub own: PerResource,
    /// Its share of idle, by own cost per resource.
    pub idle_share: f64,
    /// Own cost and idle.
    pub total: f64,
}

/// A node's cost, split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeSplit {
    /// Cost of the node.
    pub node: PerResource,
    /// Node less workloads.
    pub idle: PerResource,
    /// Workloads in the order given.
    pub allocations: Vec<Allocation>,
}

impl NodeSplit {
    /// Whether the totals add up to the node's cost within rounding of doubles.
    ///
    /// False where a resource is idle altogether, because nobody carries it then.
    pub fn adds_up(&self) -> bool {
        let total: f64 = self.allocations.iter().map(|allocation| allocation.total).sum();
        let node = self.node.sum();
        (total - node).abs() <= 1e-9 * node.abs().max(1.0)
    }
}

/// Splits a node's cost over its workloads (`value.md` §1.8).
///
/// # Errors
/// No workloads, or figures that are negative or not finite.
pub fn split_node(node: &Node, workloads: &[Workload]) -> Result<NodeSplit, Insufficient> {
    require_rows("workloads", workloads.len() as u64, 1)?;
    let rule = "0 or more and finite";
    let is_amount = |value: f64| value >= 0.0 && value.is_finite();
    for value in [
        node.cpu_cores,
        node.ram_gb,
        node.gpus,
        node.hours,
        node.cpu_rate,
        node.ram_rate,
        node.gpu_rate,
    ] {
        require(is_amount(value), "node", rule)?;
    }
    let whole = PerResource {
        cpu: node.cpu_cores * node.hours * node.cpu_rate,
        ram: node.ram_gb * node.hours * node.ram_rate,
        gpu: node.gpus * node.hours * node.gpu_rate,
    };
    let mut used = PerResource::default();
    let mut own = Vec::with_capacity(workloads.len());
    for w in workloads {
        for value in [w.cpu_req, w.cpu_use, w.ram_req, w.ram_use, w.gpu_req, w.gpu_use, w.hours] {
            require(is_amount(value), "workload", rule)?;
        }
        let cost = PerResource {
            cpu: w.cpu_req.max(w.cpu_use) * w.hours * node.cpu_rate,
            ram: w.ram_req.max(w.ram_use) * w.hours * node.ram_rate,
            gpu: w.gpu_req.max(w.gpu_use) * w.hours * node.gpu_rate,
        };
        used.cpu += cost.cpu;
        used.ram += cost.ram;
        used.gpu += cost.gpu;
        own.push(cost);
    }
    let idle = PerResource {
        cpu: whole.cpu - used.cpu,
        ram: whole.ram - used.ram,
        gpu: whole.gpu - used.gpu,
    };
    let share = |idle: f64, part: f64, total: f64| {
        if total > 0.0 { idle * (part / total) } else { 0.0 }
    };
    let allocations = workloads
        .iter()
        .zip(own)
        .map(|(workload, own)| {
            let idle_share = share(idle.cpu, own.cpu, used.cpu)
                + share(idle.ram, own.ram, used.ram)
                + share(idle.gpu, own.gpu, used.gpu);
            let name = workload.name.clone();
            Allocation { name, own, idle_share, total: own.sum() + idle_share }
        })
        .collect();
    let split = NodeSplit { node: whole, idle, allocations };
    finite("cost", split.allocations.iter().map(|a| a.total).sum::<f64>() + split.node.sum())?;
    Ok(split)
}

/// Splits an amount in whole cents by largest remainder, so that the parts add up exactly.
///
/// Each part is first cut towards zero; the cents left go to the largest remainders, ties to the
/// lowest index.
///
/// # Errors
/// No weights, a negative weight, weights that are all zero, an amount finer than a cent, or one
/// that is too large for exact arithmetic.
pub fn split_cents(total: Decimal, weights: &[Decimal]) -> Result<Vec<Decimal>, Insufficient> {
    require_rows("weights", weights.len() as u64, 1)?;
    require(
        weights.iter().all(|weight| !weight.is_sign_negative() || weight.is_zero()),
        "weights",
        "0 or more",
    )?;
    let too_large = Reason::OutOfRange { what: "amount or weights", rule: "smaller" };
    let sum = weights
        .iter()
        .try_fold(Decimal::ZERO, |sum, weight| sum.checked_add(*weight))
        .ok_or(too_large.clone())?;
    if sum.is_zero() {
        return Err(Reason::ZeroDenominator("the sum of weights").into());
    }
    let mut cents = total;
    cents.rescale(2);
    require(cents == total, "amount", "in whole cents")?;
    let sign: i128 = if cents.is_sign_negative() { -1 } else { 1 };
    let cents = cents.mantissa().abs();
    // Whole numbers from here on: weights on their common scale.
    let scale = weights.iter().map(|weight| weight.scale()).max().unwrap_or(0);
    let whole = |weight: &Decimal| -> Option<i128> {
        let factor = 10_i128.checked_pow(scale - weight.scale())?;
        weight.mantissa().checked_mul(factor)
    };
    let parts: Option<Vec<i128>> = weights.iter().map(whole).collect();
    let parts = parts.ok_or(too_large.clone())?;
    let sum: i128 = parts
        .iter()
        .try_fold(0_i128, |sum, part| sum.checked_add(*part))
        .ok_or(too_large.clone())?;
    let mut shares = Vec::with_capacity(parts.len());
    let mut remainders = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let product = part.checked_mul(cents).ok_or(too_large.clone())?;
        shares.push(product / sum);
        remainders.push((product % sum, index));
    }
    let mut left = cents - shares.iter().sum::<i128>();
    remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, index) in remainders {
        if left == 0 {
            break;
        }
        shares[index] += 1;
        left -= 1;
    }
    shares
        .into_iter()
        .map(|share| {
            Decimal::try_from_i128_with_scale(sign * share, 2)
                .map_err(|_| Insufficient::from(too_large.clone()))
        })
        .collect()
}

/// What kind of figure a ledger row books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// Money spent (negative amounts).
    Cost,
    /// Value with a linked measurement.
    Realised,
    /// Value that a plan or a shadow run promises.
    Projected,
    /// Value that someone states without measurement.
    Claimed,
}

/// Sums per column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sums {
    /// Money spent.
    pub cost: Decimal,
    /// Measured value.
    pub realised: Decimal,
    /// Promised value.
    pub projected: Decimal,
    /// Stated value; never added to anything.
    pub claimed: Decimal,
}

impl Sums {
    fn add(&mut self, column: Column, amount: Decimal) -> Option<()> {
        let cell = match column {
            Column::Cost => &mut self.cost,
            Column::Realised => &mut self.realised,
            Column::Projected => &mut self.projected,
            Column::Claimed => &mut self.claimed,
        };
        *cell = cell.checked_add(amount)?;
        Some(())
    }
}

/// Profit and loss per month and in total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollup {
    /// Sums by month, `YYYY-MM`.
    pub months: BTreeMap<String, Sums>,
    /// Sums over all months.
    pub totals: Sums,
    /// Realised value and cost; claimed and projected value never enter.
    pub net_realised: Decimal,
    /// Realised over projected to four decimals; absent without projection.
    pub realisation_rate: Option<Decimal>,
}

/// Sums ledger rows `(month, column, amount)`; corrections are rows like any other.
///
/// # Errors
/// No rows, or sums beyond the range of a decimal.
pub fn roll_up(rows: &[(String, Column, Decimal)]) -> Result<Rollup, Insufficient> {
    require_rows("ledger", rows.len() as u64, 1)?;
    let too_large = Reason::OutOfRange { what: "sum of amounts", rule: "smaller" };
    let mut months: BTreeMap<String, Sums> = BTreeMap::new();
    let mut totals = Sums::default();
    for (month, column, amount) in rows {
        months
            .entry(month.clone())
            .or_default()
            .add(*column, *amount)
            .and_then(|()| totals.add(*column, *amount))
            .ok_or(too_large.clone())?;
    }
    let net_realised = totals.realised.checked_add(totals.cost).ok_or(too_large)?;
    let realisation_rate = totals
        .realised
        .checked_div(totals.projected)
        .map(|rate| rate.round_dp_with_strategy(4, RoundingStrategy::MidpointNearestEven));
    Ok(Rollup { months, totals, net_realised, realisation_rate })
}

/// A project of the portfolio: net present value with its uncertainty, and what is still to invest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Name.
    pub name: String,
    /// Net present value.
    pub npv: f64,
    /// Its standard error.
    pub se: f64,
    /// Remaining investment.
    pub invest: f64,
}

/// Rank of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// Probability that the net present value is above zero.
    pub prob_positive: f64,
    /// Lower end of its two-sided 80 % interval.
    pub lower_80: f64,
    /// Lower end over remaining investment, so that a wide interval ranks low.
    pub score: f64,
}

/// z of the lower end of a two-sided 80 % interval, in the four decimals that the ranking is
/// published with.
const Z_80: f64 = 1.2816;

/// Scores a project (`value.md` §1.8).
///
/// # Errors
/// A standard error or an investment that is not above zero.
pub fn rank(project: &Project) -> Result<Ranked, Insufficient> {
    require_finite("project", &[project.npv, project.se, project.invest])?;
    require(project.se > 0.0, "standard error", "above 0")?;
    require(project.invest > 0.0, "remaining investment", "above 0")?;
    let lower_80 = project.npv - Z_80 * project.se;
    Ok(Ranked {
        prob_positive: normal::cdf(project.npv / project.se),
        lower_80,
        score: finite("score", lower_80 / project.invest)?,
    })
}
