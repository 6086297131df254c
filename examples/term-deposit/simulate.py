#!/usr/bin/env python3
"""Checks without a server that the example answers its own questions, over many seeds.

For each seed: new people, the honest model, nine weeks of shadow (six of them matured), a six-week
trial with half of the customers held out. Prints what G1 and the verdict would be by plain numpy, so
that the server's numbers have something independent to be compared with.
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import tempfile
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd

import generate
import train

THRESHOLD = 0.15
RUN_PER_MONTH, BUILD, DECISIONS_PER_MONTH, UNIT_VALUE_LOW = 4500.0, 25000.0, 3650, 0.9
SHADOW_DAYS, TRIAL_START, TRIAL_DAYS = 42, 63, 42
NORMAL = NormalDist()


def npv(monthly: float, months: int = 24, yearly: float = 0.10) -> float:
    step = (1 + yearly) ** (1 / 12)
    return sum(monthly / step**month for month in range(1, months + 1))


def loss(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    p = np.clip(p, 1e-9, 1 - 1e-9)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def paired_lower(d: np.ndarray, z: float = 1.96) -> float:
    return float(d.mean() - z * d.std(ddof=1) / math.sqrt(len(d)))


def one(seed: int, start: dt.date) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        generate.write(out, seed, start)
        trained = train.fit(out / "past_cases.csv", leaky=False)
        leads = pd.read_csv(out / "leads.csv", keep_default_na=False)
    y = trained.test["y"].to_numpy()
    p = trained.model.predict_proba(trained.test[trained.features])[:, 1]
    model_loss = loss(y, p)
    beats = {
        name: paired_lower(loss(y, trained.baselines[name].to_numpy()) - model_loss)
        for name in ("constant", "simple", "current_rule")
    }
    day = (pd.to_datetime(leads["date"]) - pd.Timestamp(start)).dt.days.to_numpy()
    calls = trained.model.predict_proba(leads[trained.features].astype(
        {name: "float32" for name in train.NUMERIC}))[:, 1] >= THRESHOLD
    value = leads["hidden_value_if_called"].to_numpy()

    shadow = day < SHADOW_DAYS
    d = np.where(calls, 0.0, -value)[shadow]
    break_even = RUN_PER_MONTH / DECISIONS_PER_MONTH
    arm = shadow.sum() / SHADOW_DAYS * 84 / 2
    variance = value[shadow].var(ddof=1) + np.where(calls, value, 0)[shadow].var(ddof=1)
    power = NORMAL.cdf(break_even / math.sqrt(variance / arm) - 1.96)
    lower80 = paired_lower(d, 1.2816)
    projected = npv(DECISIONS_PER_MONTH * lower80 * UNIT_VALUE_LOW - RUN_PER_MONTH) - BUILD

    trial = (day >= TRIAL_START) & (day < TRIAL_START + TRIAL_DAYS)
    rng = np.random.default_rng(seed + 1_000_000)
    customers = leads["customer_id"].to_numpy()[trial]
    names, index = np.unique(customers, return_inverse=True)
    treated = (rng.random(len(names)) < 0.5)[index]
    outcome = np.where(treated & ~calls[trial], 0.0, value[trial])
    a, b = outcome[~treated], outcome[treated]
    effect = b.mean() - a.mean()
    se = math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    truth = float(np.where(calls[trial], 0.0, -value[trial]).mean())
    return {
        "seed": seed, "auc": trained.metric["value"], "calls": calls.mean(),
        "calls_per_day": calls.sum() / (day.max() + 1),
        "m1_lower": min(beats.values()), "s1_effect": d.mean(), "s1_lower": paired_lower(d),
        "a3_power": power, "a4_npv_lower80": projected,
        "trial_n": int(trial.sum()), "effect": effect, "lower": effect - 1.96 * se,
        "upper": effect + 1.96 * se, "truth": truth,
        "covers": abs(effect - truth) <= 1.96 * se, "above_break_even": effect - 1.645 * se > break_even,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--start", type=dt.date.fromisoformat, default=dt.date.fromisoformat(generate.START))
    args = parser.parse_args()
    rows = pd.DataFrame([one(generate.SEED + i, args.start) for i in range(args.seeds)])
    print(rows.round(3).to_string(index=False))
    print(
        f"\nof {len(rows)} seeds: M1 {(rows.m1_lower > 0).sum()}, S1 {(rows.s1_lower >= 0).sum()}, "
        f"A3 {(rows.a3_power >= 0.8).sum()}, A4 {(rows.a4_npv_lower80 > 0).sum()}, "
        f"V1 better {(rows.lower > 0).sum()}, above break-even {rows.above_break_even.sum()}, "
        f"interval covers the truth {rows.covers.sum()}"
    )


if __name__ == "__main__":
    main()
