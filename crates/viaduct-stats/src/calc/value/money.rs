//! Families of money and adoption: finance, ledger, adoption.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::{
    calc::input::{Answer, Fields, Refusal, whole},
    value::{
        adoption,
        ledger::{self, Column},
        money,
    },
};

pub(crate) fn finance(fields: &Fields<'_>) -> Answer {
    if fields.has("effect") {
        let found = money::annual_value(
            fields.number("effect")?,
            fields.number("se")?,
            fields.number("units_per_year")?,
            fields.number("value_per_unit")?,
            fields.number("annual_cost")?,
        )?;
        return Ok(json!({
            "annual_gross": found.gross, "annual_net": found.net, "sd": found.sd,
            "ci90": [found.lower, found.upper], "lower_95_one_sided": found.lower,
            "prob_net_positive": found.probability_positive,
            "break_even_effect": found.break_even_effect,
        }));
    }
    let flows = fields.numbers("monthly_net_flows")?;
    let rate = fields.number_or("annual_discount_rate", 0.1)?;
    let irr = money::irr(&flows)?;
    Ok(json!({
        "monthly_rate": money::monthly_rate(rate)?, "npv": money::npv(&flows, rate)?,
        "irr_monthly": irr, "irr_annual": irr.map(money::annual_rate),
        "payback_months": money::payback(&flows)?,
        "discounted_payback_months": money::payback_discounted(&flows, rate)?,
        "roi": money::roi(&flows)?,
    }))
}

pub(crate) fn ledger(fields: &Fields<'_>) -> Answer {
    if fields.has("node") {
        return node(fields);
    }
    if fields.has("projects") {
        return portfolio(fields);
    }
    if fields.has("entries") {
        return roll_up(fields);
    }
    let total = decimal("total", fields.raw("total")?)?;
    let weights: Vec<Decimal> = fields
        .array("weights")?
        .iter()
        .map(|weight| decimal("weights", weight))
        .collect::<Result<_, _>>()?;
    let parts: Vec<String> =
        ledger::split_cents(total, &weights)?.iter().map(Decimal::to_string).collect();
    Ok(json!({"parts": parts}))
}

/// A decimal from a string or a JSON number, exactly as written.
fn decimal(name: &str, value: &Value) -> Result<Decimal, Refusal> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let parsed = Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text));
    parsed.map_err(|_| Refusal::Invalid(format!("`{name}` must be a decimal number")))
}

fn node(fields: &Fields<'_>) -> Answer {
    let given = fields.object("node")?;
    let node = ledger::Node {
        cpu_cores: given.number("cpu_cores")?,
        ram_gb: given.number("ram_gb")?,
        gpus: given.number_or("gpus", 0.0)?,
        hours: given.number("hours")?,
        cpu_rate: given.number("cpu_rate")?,
        ram_rate: given.number("ram_rate")?,
        gpu_rate: given.number_or("gpu_rate", 0.0)?,
    };
    let mut workloads = Vec::new();
    for entry in fields.array("workloads")? {
        let entry = Fields::of_value("workloads", entry)?;
        workloads.push(ledger::Workload {
            name: entry.text("name")?.to_owned(),
            cpu_req: entry.number_or("cpu_req", 0.0)?,
            cpu_use: entry.number_or("cpu_use", 0.0)?,
            ram_req: entry.number_or("ram_req", 0.0)?,
            ram_use: entry.number_or("ram_use", 0.0)?,
            gpu_req: entry.number_or("gpu_req", 0.0)?,
            gpu_use: entry.number_or("gpu_use", 0.0)?,
            hours: entry.number("hours")?,
        });
    }
    let split = ledger::split_node(&node, &workloads)?;
    let allocations: Vec<Value> = split
        .allocations
        .iter()
        .map(|allocation| {
            json!({
                "name": allocation.name, "cpu": allocation.own.cpu, "ram": allocation.own.ram,
                "gpu": allocation.own.gpu, "idle_share": allocation.idle_share,
                "total": allocation.total,
            })
        })
        .collect();
    Ok(json!({
        "node_cost": split.node, "idle": split.idle, "allocations": allocations,
        "sum_equals_node": split.adds_up(),
    }))
}

fn roll_up(fields: &Fields<'_>) -> Answer {
    let mut rows = Vec::new();
    for entry in fields.array("entries")? {
        let entry = Fields::of_value("entries", entry)?;
        let amount = decimal("amount", entry.raw("amount")?)?;
        let column = match entry.text("kind")? {
            "cost" => Column::Cost,
            "value" => match entry.text("status")? {
                // Why: value without a linked measurement is a claim, whatever its row says.
                "realised" if entry.has("evidence") || entry.has("evidence_ref") => {
                    Column::Realised
                }
                "realised" | "claimed" => Column::Claimed,
                "projected" => Column::Projected,
                _ => {
                    let rule = "`status` must be `realised`, `projected` or `claimed`";
                    return Err(Refusal::Invalid(rule.to_owned()));
                }
            },
            "correction" => corrected(entry.text("corrects")?)?,
            _ => {
                let rule = "`kind` must be `cost`, `value` or `correction`";
                return Err(Refusal::Invalid(rule.to_owned()));
            }
        };
        rows.push((entry.text("month")?.to_owned(), column, amount));
    }
    let found = ledger::roll_up(&rows)?;
    let sums = |sums: &ledger::Sums| {
        json!({
            "cost": sums.cost.to_string(), "realised": sums.realised.to_string(),
            "projected": sums.projected.to_string(), "claimed": sums.claimed.to_string(),
        })
    };
    let months: Map<String, Value> =
        found.months.iter().map(|(month, of)| (month.clone(), sums(of))).collect();
    Ok(json!({
        "months": months, "totals": sums(&found.totals),
        "net_realised": found.net_realised.to_string(),
        "realisation_rate": found.realisation_rate.map(|rate| rate.to_string()),
    }))
}

/// The column that a correction belongs to, by the words that name the corrected row.
fn corrected(row: &str) -> Result<Column, Refusal> {
    let has = |word: &str| row.split_whitespace().any(|other| other == word);
    match () {
        () if has("cost") => Ok(Column::Cost),
        () if has("realised") => Ok(Column::Realised),
        () if has("projected") => Ok(Column::Projected),
        () if has("claimed") => Ok(Column::Claimed),
        () => Err(Refusal::Invalid("`corrects` must name what it corrects".to_owned())),
    }
}

fn portfolio(fields: &Fields<'_>) -> Answer {
    let mut rows = Vec::new();
    let mut order: Vec<(f64, String)> = Vec::new();
    for entry in fields.array("projects")? {
        let given = Fields::of_value("projects", entry)?;
        let project = ledger::Project {
            name: given.text("name")?.to_owned(),
            npv: given.number("npv")?,
            se: given.number("se")?,
            invest: given.number("invest")?,
        };
        let found = ledger::rank(&project)?;
        let mut row: Map<String, Value> =
            given.entries().map(|(name, value)| (name.clone(), value.clone())).collect();
        row.insert("prob_positive".to_owned(), json!(found.prob_positive));
        row.insert("lower_80".to_owned(), json!(found.lower_80));
        row.insert("score".to_owned(), json!(found.score));
        rows.push(Value::Object(row));
        order.push((found.score, project.name));
    }
    crate::insufficient::require_rows("projects", rows.len() as u64, 1)?;
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let order: Vec<String> = order.into_iter().map(|(_, name)| name).collect();
    Ok(json!({"rows": rows, "order": order}))
}

pub(crate) fn adoption(fields: &Fields<'_>) -> Answer {
    let mut events = Vec::new();
    for entry in fields.array("events")? {
        let entry = Fields::of_value("events", entry)?;
        events.push(adoption::DecisionEvent {
            day: whole("day", entry.raw("day")?)?,
            user: if entry.has("user") { Some(entry.text("user")?.to_owned()) } else { None },
            eligible: entry.flag_or("eligible", true)?,
            scored: entry.flag_or("scored", false)?,
            automated: entry.flag_or("automated", false)?,
            human_changed: entry.flag_or("human_changed", false)?,
            seconds_to_action: entry.number_opt("seconds_to_action")?,
        });
    }
    let window = whole("window_days", fields.raw("window_days")?)?;
    let found = adoption::adoption(&events, window, fields.count("licensed_users")?)?;
    let wilson = found.override_interval.map(|interval| [interval.lower, interval.upper]);
    Ok(json!({
        "eligible": found.eligible, "coverage": found.coverage,
        "automation_rate": found.automation_rate, "override_rate": found.override_rate,
        "override_n": found.override_n, "override_wilson95": wilson,
        "wau_last_week": found.active_last_week, "mau": found.active,
        "stickiness": found.stickiness,
        "median_seconds_to_action": found.median_seconds_to_action,
        "seat_activation": found.seat_activation,
    }))
}
