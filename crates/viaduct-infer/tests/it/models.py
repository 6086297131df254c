"""Trains small models, writes them as ONNX and says what Python answers: models.py DIRECTORY"""

import json
import pathlib
import pickle
import sys
import warnings

import numpy as np
import pandas as pd
import sklearn.compose
import sklearn.ensemble
import sklearn.linear_model
import sklearn.neural_network
import sklearn.pipeline
import sklearn.preprocessing
from skl2onnx import to_onnx
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)

warnings.simplefilter("ignore")
directory = pathlib.Path(sys.argv[1])
random = np.random.default_rng(7)
count = 400
# Multiples of 1/8 are exact in float32, so Python and the runtime see the same numbers.
matrix = (random.integers(-40, 40, size=(count, 3)) / 8).astype(np.float32)
score = matrix @ np.array([1.0, -2.0, 0.5]) + random.normal(size=count)
target = (score > 0).astype(np.int64)
words = np.where(target == 1, "yes", "no")
three = np.where(score > 3, "high", np.where(score < -3, "low", "middle"))
features = ["a", "b", "c"]
expected = {}


def rows_of(frame):
    return json.loads(frame.head(20).to_json(orient="records", double_precision=15))


def save(name, model, inputs, onnx, frame=None, number=None):
    (directory / f"{name}.onnx").write_bytes(onnx.SerializeToString())
    frame = pd.DataFrame(matrix, columns=features) if frame is None else frame
    entry = {"rows": rows_of(frame)}
    head = inputs[:20]
    if number == "score":
        entry["label"] = model.predict(head).tolist()
        entry["scores"] = model.decision_function(head).tolist()
    elif hasattr(model, "predict_proba"):
        entry["label"] = model.predict(head).tolist()
        entry["classes"] = [str(c) for c in model.classes_.tolist()]
        entry["probabilities"] = model.predict_proba(head).tolist()
    else:
        entry["value"] = model.predict(head).tolist()
    expected[name] = entry


plain = {"zipmap": False}
float_input = [("X", FloatTensorType([None, 3]))]

model = sklearn.linear_model.LogisticRegression().fit(matrix, target)
save("logistic", model, matrix, to_onnx(model, initial_types=float_input, options={id(model): plain}))

model = sklearn.ensemble.RandomForestClassifier(20, random_state=1).fit(matrix, words)
save("forest_zipmap", model, matrix, to_onnx(model, initial_types=float_input, options={id(model): {"zipmap": True}}))
save("forest_strings", model, matrix, to_onnx(model, initial_types=float_input, options={id(model): plain}))

model = sklearn.ensemble.RandomForestClassifier(20, random_state=1).fit(matrix, target)
save("forest_int_zipmap", model, matrix, to_onnx(model, initial_types=float_input, options={id(model): {"zipmap": True}}))

model = sklearn.neural_network.MLPClassifier((8,), max_iter=400, random_state=1).fit(matrix, three)
save("mlp_three_classes", model, matrix, to_onnx(model, initial_types=float_input, options={id(model): plain}))

model = sklearn.ensemble.RandomForestRegressor(20, random_state=1).fit(matrix, score)
save("regressor", model, matrix, to_onnx(model, initial_types=float_input))

double = matrix.astype(np.float64)
model = sklearn.linear_model.LinearRegression().fit(double, score)
save("double", model, double, to_onnx(model, initial_types=[("X", DoubleTensorType([None, 3]))]))

model = sklearn.ensemble.IsolationForest(n_estimators=20, random_state=1).fit(matrix)
save("isolation", model, matrix, to_onnx(model, initial_types=float_input, target_opset={"": 15, "ai.onnx.ml": 3}), number="score")

gaps = matrix.copy()
gaps[random.random(gaps.shape) < 0.2] = np.nan
model = sklearn.ensemble.HistGradientBoostingClassifier(max_iter=20).fit(gaps, target)
save("gaps", model, gaps, to_onnx(model, initial_types=float_input, options={id(model): plain}), pd.DataFrame(gaps, columns=features))

frame = pd.DataFrame(
    {
        "job": random.choice(["admin.", "blue-collar", "retired"], size=count),
        "age": random.integers(18, 90, size=count),
        "emp.var.rate": random.integers(-30, 14, size=count) / 8,
        "contacted": random.random(count) < 0.3,
    }
)
label = ((frame["age"] > 50) | (frame["job"] == "retired")).astype(np.int64)
model = sklearn.pipeline.make_pipeline(
    sklearn.compose.ColumnTransformer(
        [
            ("text", sklearn.preprocessing.OneHotEncoder(handle_unknown="ignore"), ["job"]),
            ("number", sklearn.preprocessing.StandardScaler(), ["age", "emp.var.rate"]),
        ]
    ),
    sklearn.linear_model.LogisticRegression(),
).fit(frame, label)
onnx = to_onnx(
    model,
    initial_types=[
        ("job", StringTensorType([None, 1])),
        ("age", Int64TensorType([None, 1])),
        ("emp.var.rate", FloatTensorType([None, 1])),
        ("contacted", BooleanTensorType([None, 1])),
    ],
    options={id(model): plain},
)
save("columns", model, frame, onnx, frame)

(directory / "expected.json").write_text(json.dumps(expected))
(directory / "model.pkl").write_bytes(pickle.dumps(model))
