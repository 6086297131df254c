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
ASSIGNMENTS = 200  # of customers to arms, for each seed
SHADOW_DAYS, TRIAL_START, TRIAL_DAYS = 42, 64, 42
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
    # The unit is the customer, as in the trial: who comes twice counts once, with the mean.
    names, index = np.unique(leads["customer_id"].to_numpy()[trial], return_inverse=True)
    share = np.bincount(index)
    if_held_out = np.bincount(index, value[trial]) / share
    if_champion = np.bincount(index, np.where(calls[trial], value[trial], 0.0)) / share
    truth = float((if_champion - if_held_out).mean())
    rng = np.random.default_rng(seed + 1_000_000)
    draws = [rng.random(len(names)) < 0.5 for _ in range(ASSIGNMENTS)]
    real = [interval(if_held_out, if_champion, draw) for draw in draws]
    null = [interval(if_held_out, if_held_out, draw) for draw in draws]
    effect, lower, upper = real[0]
    return {
        "seed": seed, "auc": trained.metric["value"], "calls": calls.mean(),
        "calls_per_day": calls.sum() / (day.max() + 1),
        "m1_lower": min(beats.values()), "s1_effect": d.mean(), "s1_lower": paired_lower(d),
        "a3_power": power, "a4_npv_lower80": projected,
        "customers": len(names), "truth": truth, "effect": effect, "lower": lower, "upper": upper,
        "covers": np.mean([low <= truth <= up for _, low, up in real]),
        "better": np.mean([low > 0 for _, low, _ in real]),
        "above_break_even": np.mean([low > break_even for _, low, _ in real]),
        "false_alarm": np.mean([low > 0 or up < 0 for _, low, up in null]),
    }


def interval(control: np.ndarray, treated: np.ndarray, is_treated: np.ndarray) -> tuple[float, ...]:
    """Welch's 95 % interval of one assignment (normal quantile: the arms have thousands of units)."""
    a, b = control[~is_treated], treated[is_treated]
    effect = float(b.mean() - a.mean())
    half = 1.96 * math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    return effect, effect - half, effect + half


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
        f"first trial better {(rows.lower > 0).sum()}, first interval covers "
        f"{((rows.lower <= rows.truth) & (rows.truth <= rows.upper)).sum()}\n"
        f"of {len(rows) * ASSIGNMENTS} assignments: better {rows.better.mean():.2%}, above break-even "
        f"{rows.above_break_even.mean():.2%}, interval covers {rows.covers.mean():.2%}; "
        f"alarm where nothing differs {rows.false_alarm.mean():.2%}"
    )


if __name__ == "__main__":
    main()
