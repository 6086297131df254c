#!/usr/bin/env python3
"""Generates the people of the example: leads of a bank's call centre with both potential outcomes.

Every lead carries what happens if it is called (a subscription with probability p(x), a call of some
length, a margin less the cost of that call) and what happens if it is skipped (nothing, 0 EUR). So the
effect of any policy is known exactly, which no real data set can offer.

All distributions are invented here; only the column names follow the well-known bank marketing data.

Files written to --out:
  past_cases.csv   dated cases of the incumbent, which calls everyone; outcome known; for training
  history.csv      the KPI of the incumbent, one row a day: date,value,n
  leads.csv        the stream to come, with the hidden potential outcomes (columns that begin with `hidden_`)
  truth.json       the exact effect of the incumbent, of skipping everyone and of the best policy
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd

from columns import FEATURES

SEED = 20261
START = "2026-01-05"  # a Monday: the day on which the project starts
LEADS_PER_DAY = 120.0
PAST_WEEKS = 42  # training cases, all matured before the start
STREAM_WEEKS = 20
HISTORY_WEEKS = 34  # the last weeks of the past, as a daily KPI
MATURITY_DAYS = 21  # after this every outcome is known
MARGIN_EUR = 60.0  # of one subscription
CALL_BASE_EUR = 3.0  # dialling, wrap-up
CALL_PER_SECOND_EUR = 0.02
UNSEEN_SD = 0.35  # what no column tells

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

JOBS = {
    "admin.": 0.22, "blue-collar": 0.19, "technician": 0.15, "services": 0.10, "management": 0.09,
    "self-employed": 0.06, "entrepreneur": 0.04, "housemaid": 0.03, "unemployed": 0.04,
    "student": 0.04, "unknown": 0.04,
}
JOB_EFFECT = {
    "admin.": 0.15, "blue-collar": -0.35, "technician": 0.05, "services": -0.25, "management": 0.2,
    "self-employed": 0.0, "entrepreneur": -0.2, "housemaid": -0.1, "unemployed": 0.1,
    "student": 0.45, "retired": 0.35, "unknown": 0.0,
}
EDUCATION = {
    "basic": 0.27, "high.school": 0.27, "professional.course": 0.16, "university.degree": 0.26,
    "unknown": 0.04,
}
EDUCATION_EFFECT = {
    "basic": -0.15, "high.school": 0.0, "professional.course": 0.05, "university.degree": 0.25,
    "unknown": 0.05,
}
MONTH_EFFECT = {"mar": 0.25, "may": -0.2, "sep": 0.2, "oct": 0.2, "dec": 0.25, "jul": -0.1}


def pick(rng: np.random.Generator, table: dict[str, float], n: int) -> np.ndarray:
    weights = np.array(list(table.values()))
    return rng.choice(np.array(list(table), dtype=object), size=n, p=weights / weights.sum())


def effect(table: dict[str, float], values: np.ndarray) -> np.ndarray:
    return np.array([table.get(value, 0.0) for value in values])


def people(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Customers: what stays the same from one lead to the next."""
    age = np.where(
        rng.random(n) < 0.16,
        rng.normal(66.0, 6.0, n),
        18.0 + rng.gamma(3.2, 7.0, n),
    )
    age = np.clip(np.round(age), 18, 92)
    job = pick(rng, JOBS, n)
    job[(age >= 61) & (rng.random(n) < 0.75)] = "retired"
    job[(age < 24) & (rng.random(n) < 0.35)] = "student"
    single = np.clip(0.75 - 0.014 * (age - 18), 0.12, 0.75)
    draw = rng.random(n)
    marital = np.where(draw < single, "single", np.where(draw < single + 0.12, "divorced", "married"))
    return {
        "age": age,
        "job": job,
        "marital": marital.astype(object),
        "education": pick(rng, EDUCATION, n),
        "default": pick(rng, {"no": 0.84, "unknown": 0.158, "yes": 0.002}, n),
        "housing": pick(rng, {"yes": 0.52, "no": 0.46, "unknown": 0.02}, n),
        "loan": pick(rng, {"yes": 0.18, "no": 0.80, "unknown": 0.02}, n),
    }


def economy(rng: np.random.Generator, day: np.ndarray) -> dict[str, np.ndarray]:
    """Slow indicators, one value a day; they drift a little and never jump."""
    length = int(day.max()) + 1
    t = np.arange(length)
    walk = np.cumsum(rng.normal(0.0, 0.01, length))
    euribor = 2.4 + 0.25 * np.sin(2 * math.pi * t / 290.0) + walk
    prices = 93.4 + 0.0003 * t + np.cumsum(rng.normal(0.0, 0.01, length))
    confidence = -40.0 + 2.5 * np.sin(2 * math.pi * t / 190.0) + rng.normal(0.0, 0.2, length)
    month = t // 30
    return {
        "emp_var_rate": np.round(-0.4 + 0.1 * np.sin(month / 2.0), 1)[day],
        "cons_price_idx": np.round(prices, 3)[day],
        "cons_conf_idx": np.round(confidence, 1)[day],
        "euribor3m": np.round(euribor, 3)[day],
        "nr_employed": np.round(5120.0 + 12.0 * np.sin(month / 3.0), 1)[day],
    }


def subscription_logit(lead: dict[str, np.ndarray]) -> np.ndarray:
    """How likely a called lead subscribes. The strong parts are not linear in the columns."""
    age = lead["age"]
    young, old = age < 28, age >= 60
    cellular = lead["contact"] == "cellular"
    success = lead["poutcome"] == "success"
    failure = lead["poutcome"] == "failure"
    housing, loan = lead["housing"] == "yes", lead["loan"] == "yes"
    fresh = lead["pdays"] < 30
    z = np.zeros(len(age))
    z += 1.15 * young * cellular - 0.25 * young * ~cellular
    z += 1.45 * old * ~cellular + 0.35 * old * cellular
    z += 0.25 * cellular * ~young * ~old
    z += success * np.where(fresh, 2.1, 0.9) + failure * np.where(fresh, -0.5, 0.45)
    z += np.where(housing & loan, -0.7, np.where(housing ^ loan, 0.25, 0.0))
    z += np.where(lead["campaign"] == 2, 0.35, -0.16 * np.minimum(lead["campaign"] - 1, 6))
    z += effect(JOB_EFFECT, lead["job"]) + effect(EDUCATION_EFFECT, lead["education"])
    z += 0.5 * (lead["marital"] == "single") * (lead["education"] == "university.degree")
    z += effect(MONTH_EFFECT, lead["month"])
    z += -0.25 * (lead["euribor3m"] - 2.4) + 0.02 * (lead["cons_conf_idx"] + 40.0)
    return -3.17 + 1.35 * z


def calendar(rng: np.random.Generator, days: int) -> np.ndarray:
    """The day index of every lead: a Poisson number a day, fewer at the weekend."""
    weekday = np.arange(days) % 7
    rate = LEADS_PER_DAY * np.where(weekday < 5, 1.12, 0.70)
    return np.repeat(np.arange(days), rng.poisson(rate))


def stream(seed: int, start: dt.date) -> pd.DataFrame:
    """All leads, past and future, in one table ordered by time."""
    rng = np.random.default_rng(seed)
    past_days = PAST_WEEKS * 7 + MATURITY_DAYS
    day = calendar(rng, past_days + STREAM_WEEKS * 7)
    n = len(day)
    first = start - dt.timedelta(days=past_days)
    dates = np.array([first + dt.timedelta(days=int(d)) for d in range(int(day.max()) + 1)])

    # Six of a hundred leads are a customer seen one to twelve weeks earlier.
    customer = np.arange(n)
    oldest = np.searchsorted(day, day - 84, side="left")
    newest = np.searchsorted(day, day - 7, side="left")
    again = (rng.random(n) < 0.06) & (newest > oldest)
    earlier = oldest + (rng.random(n) * np.maximum(newest - oldest, 1)).astype(int)
    for i in np.flatnonzero(again):
        customer[i] = customer[earlier[i]]
    traits = {name: values[customer] for name, values in people(rng, n).items()}

    known = rng.random(n) < 0.22  # contacted in an earlier campaign
    previous = np.where(known, 1 + rng.poisson(0.5, n), 0)
    poutcome = np.where(known, np.where(rng.random(n) < 0.3, "success", "failure"), "nonexistent")
    recent = known & (rng.random(n) < 0.6)
    pdays = np.where(recent, rng.integers(2, 60, n), 999)
    lead = traits | economy(rng, day) | {
        "contact": np.where(rng.random(n) < 0.62, "cellular", "telephone").astype(object),
        "month": np.array([MONTHS[d.month - 1] for d in dates], dtype=object)[day],
        "day_of_week": np.array([DAYS[d.weekday()] for d in dates], dtype=object)[day],
        "campaign": 1 + np.minimum(rng.geometric(0.48, n) - 1, 11) + again,
        "pdays": pdays,
        "previous": previous,
        "poutcome": poutcome.astype(object),
    }
    p_seen = subscription_logit(lead)
    p = 1.0 / (1.0 + np.exp(-(p_seen + rng.normal(0.0, UNSEEN_SD, n))))
    y = (rng.random(n) < p).astype(int)
    long, short = rng.lognormal(math.log(460.0), 0.65, n), rng.lognormal(math.log(180.0), 0.80, n)
    duration = np.clip(np.round(np.where(y == 1, long, short)), 4, 4000)
    value = np.round(MARGIN_EUR * y - CALL_BASE_EUR - CALL_PER_SECOND_EUR * duration, 2)
    delay = np.clip(np.ceil(rng.gamma(2.1, 2.35, n)), 1, MATURITY_DAYS - 1).astype(int)

    frame = pd.DataFrame({name: lead[name] for name in FEATURES})
    frame.insert(0, "customer_id", [f"C{c:06d}" for c in customer])
    frame.insert(0, "date", [d.isoformat() for d in dates[day]])
    frame.insert(0, "lead_id", [f"L{i:06d}" for i in range(n)])
    frame["day"] = day - past_days
    frame["p"] = p
    frame["y"] = y
    frame["duration"] = duration
    frame["value"] = value
    frame["delay_days"] = delay
    return frame


def minute_of_day(frame: pd.DataFrame) -> list[str]:
    """A time of the day for each case, in order within its day (09:00 to 17:00)."""
    rank = frame.groupby("date").cumcount()
    size = frame.groupby("date")["date"].transform("size")
    minutes = (540 + rank * 480 // size).astype(int)
    return [f"{d}T{m // 60:02d}:{m % 60:02d}:00Z" for d, m in zip(frame["date"], minutes)]


def mean_call_cost() -> tuple[float, float]:
    """Expected cost of a call that ends without and with a subscription (log-normal lengths)."""
    short = 180.0 * math.exp(0.80**2 / 2)
    long = 460.0 * math.exp(0.65**2 / 2)
    return (CALL_BASE_EUR + CALL_PER_SECOND_EUR * short, CALL_BASE_EUR + CALL_PER_SECOND_EUR * long)


def break_even_probability() -> float:
    """The probability of a subscription from which a call earns money."""
    without, with_ = mean_call_cost()
    return without / (MARGIN_EUR - with_ + without)


def write(out: Path, seed: int, start: dt.date) -> dict:
    frame = stream(seed, start)
    out.mkdir(parents=True, exist_ok=True)
    past = frame[frame["day"] < -MATURITY_DAYS].copy()
    past["decided_at"] = minute_of_day(past)
    columns = ["lead_id", "customer_id", "decided_at", *FEATURES, "duration", "y", "value"]
    past[columns].to_csv(out / "past_cases.csv", index=False)

    recent = past[past["day"] >= -MATURITY_DAYS - HISTORY_WEEKS * 7]
    daily = recent.groupby("date")["value"].agg(["mean", "size"]).reset_index()
    daily.columns = ["date", "value", "n"]
    daily["value"] = daily["value"].round(4)
    daily.to_csv(out / "history.csv", index=False)

    leads = frame[frame["day"] >= 0].copy()
    without, with_ = mean_call_cost()
    leads["hidden_expected_value_if_called"] = (
        leads["p"] * (MARGIN_EUR - with_) - (1 - leads["p"]) * without
    ).round(5)
    leads["hidden_value_if_called"] = leads["value"]
    leads["hidden_value_if_skipped"] = 0.0
    leads["hidden_y_if_called"] = leads["y"]
    leads["hidden_duration_if_called"] = leads["duration"]
    columns = [
        "lead_id", "customer_id", "date", *FEATURES, "delay_days",
        *[c for c in leads.columns if c.startswith("hidden_")],
    ]
    leads[columns].to_csv(out / "leads.csv", index=False)

    expected = leads["hidden_expected_value_if_called"]
    truth = {
        "seed": seed,
        "start": start.isoformat(),
        "leads": int(len(leads)),
        "days": STREAM_WEEKS * 7,
        "maturity_days": MATURITY_DAYS,
        "call_everyone": round(float(expected.mean()), 4),
        "skip_everyone": 0.0,
        "best_policy": round(float(expected.clip(lower=0).mean()), 4),
        "best_effect": round(float(-expected.clip(upper=0).mean()), 4),
        "break_even_probability": round(break_even_probability(), 4),
        "note": "EUR per lead, expected over the stream; the effect of a policy against calling "
        "everyone is minus the mean of `hidden_value_if_called` over the leads that it skips.",
    }
    (out / "truth.json").write_text(json.dumps(truth, indent=2) + "\n")
    return truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--start", type=dt.date.fromisoformat, default=dt.date.fromisoformat(START))
    args = parser.parse_args()
    truth = write(args.out, args.seed, args.start)
    print(f"wrote {args.out}: {truth['leads']} leads from {truth['start']} on, seed {truth['seed']}")


if __name__ == "__main__":
    main()
