"""Writes the model of the gateway's tests as ONNX: models.py DIRECTORY"""

import pathlib
import pickle
import sys

import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

directory = pathlib.Path(sys.argv[1])
random = np.random.default_rng(3)
frame = pd.DataFrame(
    {
        "age": random.integers(18, 90, size=500).astype(float),
        "job": random.choice(["admin.", "retired", "student"], size=500),
    }
)
label = (frame["age"] + random.normal(scale=5, size=500) > 50).astype(int)
model = make_pipeline(
    ColumnTransformer(
        [("age", StandardScaler(), ["age"]), ("job", OneHotEncoder(handle_unknown="ignore"), ["job"])]
    ),
    LogisticRegression(),
).fit(frame, label)
onnx = to_onnx(
    model,
    initial_types=[("age", FloatTensorType([None, 1])), ("job", StringTensorType([None, 1]))],
    options={id(model): {"zipmap": False}},
)
(directory / "model.onnx").write_bytes(onnx.SerializeToString())
(directory / "model.pkl").write_bytes(pickle.dumps(model))
