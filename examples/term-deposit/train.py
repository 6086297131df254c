#!/usr/bin/env python3
"""Trains the call list's model on past cases, and leaves the evidence that the platform checks.

With a tracking server (MLFLOW_TRACKING_URI) it logs a run with parameters, metrics and the ONNX model,
registers the model, moves the alias, and stores under the run's artifacts:

  viaduct/train.csv, viaduct/test.csv   row_id, decided_at, y, then the model's features
  viaduct/baselines.csv                 row_id and a column of probabilities for each baseline
  viaduct/source/**                     this script and what it imports
  viaduct/inputs/**                     the files that it reads
  viaduct/train.json                    command, inputs with sha256, metric, seed: how to do it again

The platform scores test.csv itself with the registered ONNX model: no number logged here is evidence.

With --offline nothing is sent: the script trains and writes metric.json. That is the command in
train.json, so anybody can run it again in an empty directory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

# One thread: the trees are small, and on a busy machine waiting threads cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from columns import AFTER_DECISION, CATEGORICAL, FEATURES, NUMERIC

SEED = 7
TEST_SHARE = 0.2  # the last days of the past cases
HERE = Path(__file__).resolve().parent
PARAMS = {
    "learning_rate": 0.05,
    "max_iter": 140,
    "max_leaf_nodes": 10,
    "min_samples_leaf": 80,
    "l2_regularization": 10.0,
    "random_state": SEED,
}


@dataclass
class Trained:
    model: Pipeline
    features: list[str]
    train: pd.DataFrame
    test: pd.DataFrame
    baselines: pd.DataFrame
    metric: dict
    others: dict


def read_cases(path: Path, features: list[str]) -> pd.DataFrame:
    cases = pd.read_csv(path, keep_default_na=False, parse_dates=["decided_at"])
    # The model is served in float32; training on the same numbers keeps both equal.
    for name in set(features) - set(CATEGORICAL):
        cases[name] = cases[name].astype("float32")
    return cases.sort_values("decided_at", kind="stable").reset_index(drop=True)


def split(cases: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """By time, at a midnight: every test case was decided after every training case."""
    at = cases["decided_at"].iloc[int(len(cases) * (1 - TEST_SHARE))].normalize()
    return cases[cases["decided_at"] < at], cases[cases["decided_at"] >= at]


def preprocessing(features: list[str], numbers) -> ColumnTransformer:
    texts = [name for name in features if name in CATEGORICAL]
    rest = [name for name in features if name not in CATEGORICAL]
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer([("text", encoder, texts), ("number", numbers, rest)])


def desk_rate(cases: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """What the desk expects of any lead today: it calls everyone, so its probability is the share of
    subscriptions among the four weeks of cases whose outcome it knows (older than three weeks)."""
    daily = cases.groupby(cases["decided_at"].dt.normalize())["y"].agg(["sum", "count"])
    rates = {}
    for day in test["decided_at"].dt.normalize().unique():
        age = (day - daily.index).days
        known = daily[(age > 21) & (age <= 49)]
        if known["count"].sum() == 0:
            known = daily[daily.index < day]
        rates[day] = known["sum"].sum() / known["count"].sum()
    return test["decided_at"].dt.normalize().map(rates).to_numpy()


def auc_interval(auc: float, y: np.ndarray) -> tuple[float, float]:
    """95 % interval of the area under the curve (Hanley and McNeil 1982)."""
    pos, neg = int(y.sum()), int(len(y) - y.sum())
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    var = (auc * (1 - auc) + (pos - 1) * (q1 - auc**2) + (neg - 1) * (q2 - auc**2)) / (pos * neg)
    return auc - 1.96 * math.sqrt(var), auc + 1.96 * math.sqrt(var)


def fit(path: Path, leaky: bool) -> Trained:
    features = FEATURES + [AFTER_DECISION] if leaky else FEATURES
    cases = read_cases(path, features)
    train, test = split(cases)
    model = Pipeline([
        ("columns", preprocessing(features, "passthrough")),
        ("trees", HistGradientBoostingClassifier(**PARAMS)),
    ]).fit(train[features], train["y"])
    simple = Pipeline([
        ("columns", preprocessing(features, StandardScaler())),
        ("line", LogisticRegression(max_iter=1000)),
    ]).fit(train[features], train["y"])
    y = test["y"].to_numpy()
    p = model.predict_proba(test[features])[:, 1]
    p_simple = simple.predict_proba(test[features])[:, 1]
    auc = float(roc_auc_score(y, p))
    lower, upper = auc_interval(auc, y)
    baselines = pd.DataFrame({
        "row_id": test["lead_id"],
        "constant": train["y"].mean(),
        "simple": p_simple,
        "current_rule": desk_rate(cases, test),
    })
    metric = {
        "name": "test_roc_auc", "value": round(auc, 6), "lower": round(lower, 6),
        "upper": round(upper, 6), "n": len(test), "higher_is_better": True,
    }
    others = {
        "test_log_loss": float(log_loss(y, p)),
        "simple_roc_auc": float(roc_auc_score(y, p_simple)),
        "simple_log_loss": float(log_loss(y, p_simple)),
        "train_rows": len(train),
        "test_rows": len(test),
    }
    return Trained(model, features, train, test, baselines, metric, others)


def to_onnx(trained: Trained):
    """One input a column: text columns are strings, numbers float32. Outputs: label, probabilities."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    inputs = [
        (name, StringTensorType([None, 1]) if name in CATEGORICAL else FloatTensorType([None, 1]))
        for name in trained.features
    ]
    return convert_sklearn(
        trained.model, name="term-deposit", initial_types=inputs,
        options={id(trained.model): {"zipmap": False}}, target_opset={"": 17, "ai.onnx.ml": 3},
    )


def check_parity(trained: Trained, onnx_model) -> float:
    """The ONNX graph must answer what scikit-learn answers; returns the largest difference."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        onnx_model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    rows = trained.test[trained.features]
    feed = {
        name: rows[[name]].to_numpy(dtype=object if name in CATEGORICAL else np.float32)
        for name in trained.features
    }
    label, probabilities = session.run(["label", "probabilities"], feed)
    difference = float(np.abs(probabilities - trained.model.predict_proba(rows)).max())
    same = bool((label == trained.model.predict(rows)).all())
    if difference > 1e-4 or not same:
        raise SystemExit(
            f"the ONNX graph differs from scikit-learn: labels equal {same}, "
            f"largest difference of a probability {difference:.2g}"
        )
    return difference


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def evidence(trained: Trained, folder: Path, cases: Path, leaky: bool) -> None:
    """Writes the files that the platform reads, under `folder`/viaduct."""
    root = folder / "viaduct"
    source, inputs = root / "source", root / "inputs" / "data"
    source.mkdir(parents=True)
    inputs.mkdir(parents=True)
    for name, rows in (("train", trained.train), ("test", trained.test)):
        table = rows[["lead_id", "decided_at", "y", *trained.features]].copy()
        table = table.rename(columns={"lead_id": "row_id"})
        table["decided_at"] = table["decided_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        table.to_csv(root / f"{name}.csv", index=False)
    trained.baselines.to_csv(root / "baselines.csv", index=False, float_format="%.6f")
    for name in ("train.py", "columns.py", "requirements.txt"):
        (source / name).write_bytes((HERE / name).read_bytes())
    (inputs / "past_cases.csv").write_bytes(cases.read_bytes())
    command = ["python", "train.py", "--offline", "--cases", "data/past_cases.csv"]
    recipe = {
        "command": command + (["--leaky"] if leaky else []),
        "inputs": [{"path": "data/past_cases.csv", "sha256": sha256(cases)}],
        "metric": trained.metric | {"file": "metric.json"},
        "seed": SEED,
    }
    (root / "train.json").write_text(json.dumps(recipe, indent=2) + "\n")


def log(trained: Trained, args: argparse.Namespace) -> dict:
    import mlflow
    import mlflow.onnx
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    onnx_model = to_onnx(trained)
    difference = check_parity(trained, onnx_model)
    if args.onnx:
        args.onnx.write_bytes(onnx_model.SerializeToString())
    signature = ModelSignature(
        inputs=Schema([
            ColSpec("string" if name in CATEGORICAL else "float", name) for name in trained.features
        ]),
        outputs=Schema([
            TensorSpec(np.dtype("int64"), (-1,), "label"),
            TensorSpec(np.dtype("float32"), (-1, 2), "probabilities"),
        ]),
    )
    mlflow.set_experiment(args.model_name)
    with mlflow.start_run(run_name="leaky" if args.leaky else "honest") as run:
        mlflow.log_params(PARAMS | {"features": len(trained.features), "leaky": args.leaky})
        mlflow.log_metrics(
            {trained.metric["name"]: trained.metric["value"], "onnx_difference": difference}
            | trained.others
        )
        with tempfile.TemporaryDirectory() as folder:
            evidence(trained, Path(folder), args.cases, args.leaky)
            mlflow.log_artifacts(folder)
        # Requirements are named: guessing them would start a process and import the model again.
        info = mlflow.onnx.log_model(
            onnx_model, name="model", signature=signature,
            pip_requirements=str(HERE / "requirements.txt"),
        )
    client = mlflow.MlflowClient()
    version = mlflow.register_model(info.model_uri, args.model_name, await_registration_for=30)
    if args.alias:
        client.set_registered_model_alias(args.model_name, args.alias, version.version)
    return {"run_id": run.info.run_id, "version": int(version.version), "onnx_difference": difference}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=Path, default=HERE / "data" / "past_cases.csv")
    parser.add_argument("--leaky", action="store_true", help="use `duration` (known after the call)")
    parser.add_argument("--offline", action="store_true", help="train and write metric.json, no server")
    parser.add_argument("--model-name", default="term-deposit")
    parser.add_argument("--alias", default="champion", help="alias to set; empty for none")
    parser.add_argument("--onnx", type=Path, help="also write the ONNX model to this file")
    parser.add_argument("--report", type=Path, help="write what happened to this JSON file")
    args = parser.parse_args()

    began = time.monotonic()
    trained = fit(args.cases, args.leaky)
    metric = trained.metric
    print(
        f"{'leaky' if args.leaky else 'honest'} model: {metric['name']} {metric['value']:.4f} "
        f"[{metric['lower']:.4f}, {metric['upper']:.4f}] on {metric['n']} later cases, "
        f"logistic regression {trained.others['simple_roc_auc']:.4f}"
    )
    if args.offline:
        Path("metric.json").write_text(json.dumps(metric, indent=2) + "\n")
        return
    report = log(trained, args) | {"metric": metric, "seconds": round(time.monotonic() - began, 1)}
    print(
        f"registered `{args.model_name}` version {report['version']} (run {report['run_id']}), "
        f"alias `{args.alias}`; ONNX equals scikit-learn within {report['onnx_difference']:.1e}"
    )
    if args.report:
        args.report.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
