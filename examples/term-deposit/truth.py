"""The true effect of a policy, from the hidden potential outcomes. Asks no server."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from columns import CATEGORICAL, FEATURES


def policy(onnx: Path, leads: pd.DataFrame, threshold: float) -> np.ndarray:
    """Which leads the model calls, by running the ONNX file here."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    feed = {
        name: leads[[name]].to_numpy(dtype=object if name in CATEGORICAL else np.float32)
        for name in FEATURES
    }
    (probabilities,) = session.run(["probabilities"], feed)
    return probabilities[:, 1] >= threshold


def of_trial(data: Path, onnx: Path, threshold: float, log: dict[str, list]) -> dict:
    """The truth over the leads of the trial, added to truth.json.

    `log` is the replay's: lead id -> [day, variant, action]. The effect over exactly these leads is
    what the trial estimates: each lead has both outcomes, so nothing is left to chance. The unit is the
    customer, as in the trial: who comes twice counts once, with the mean.
    """
    leads = pd.read_csv(data / "leads.csv", keep_default_na=False)
    leads = leads[leads["lead_id"].isin(log)]
    calls = policy(onnx, leads, threshold)
    actions = leads["lead_id"].map(lambda lead: log[lead][2]).to_numpy()
    champion = leads["lead_id"].map(lambda lead: log[lead][1] == "champion").to_numpy()
    agree = np.where(calls, "call", "skip")[champion] == actions[champion]
    value, expected = leads["hidden_value_if_called"], leads["hidden_expected_value_if_called"]

    def effect(worth) -> float:
        gain = pd.Series(np.where(calls, 0.0, -worth), index=leads["customer_id"])
        return round(float(gain.groupby(level=0).mean().mean()), 4)

    found = {
        "leads": len(leads),
        "customers": int(leads["customer_id"].nunique()),
        "called_share": round(float(calls.mean()), 4),
        "effect": effect(value),
        "effect_expected": effect(expected),
        "champion_leads": int(champion.sum()),
        "actions_that_differ_from_onnx": int((~agree).sum()),
    }
    path = data / "truth.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"trial": found}, indent=2) + "\n")
    return found
