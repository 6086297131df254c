"""Writes the model of the gateway's tests as ONNX: models.py DIRECTORY"""

import pathlib
import pickle
import sys

import numpy as np
import pandas as pd
from onnx import TensorProto, helper, numpy_helper
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

# The same question, answered the other way round.
other = make_pipeline(
    ColumnTransformer(
        [("age", StandardScaler(), ["age"]), ("job", OneHotEncoder(handle_unknown="ignore"), ["job"])]
    ),
    LogisticRegression(),
).fit(frame, 1 - label)
onnx = to_onnx(
    other,
    initial_types=[("age", FloatTensorType([None, 1])), ("job", StringTensorType([None, 1]))],
    options={id(other): {"zipmap": False}},
)
(directory / "other.onnx").write_bytes(onnx.SerializeToString())


def write(name, nodes, constants=()):
    """A regressor of `age` alone."""
    age = helper.make_tensor_value_info("age", TensorProto.FLOAT, [None, 1])
    value = helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])
    constants = [numpy_helper.from_array(array, key) for key, array in constants]
    graph = helper.make_graph(nodes, name, [age], [value], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (directory / f"{name}.onnx").write_bytes(model.SerializeToString())


node = helper.make_node
# The root of 50 - age: no number for the older ones.
write(
    "nan",
    [node("Sub", ["fifty", "age"], ["left"]), node("Sqrt", ["left"], ["value"])],
    [("fifty", np.array([50], dtype=np.float32))],
)
# A table of fifty entries: the run fails on whoever is older.
write(
    "fails",
    [
        node("Cast", ["age"], ["place"], to=TensorProto.INT64),
        node("Gather", ["table", "place"], ["value"], axis=0),
    ],
    [("table", np.arange(50, dtype=np.float32))],
)
# Products of large matrices that depend on the input: a tenth of a second, and some seconds.
size = 700
for name, products in (("slow", 8), ("long", 160)):
    chain = [node("ReduceSum", ["age"], ["sum"], keepdims=0), node("Add", ["big", "sum"], ["m0"])]
    chain += [node("MatMul", [f"m{n}", "big"], [f"m{n + 1}"]) for n in range(products)]
    chain += [
        node("ReduceMean", [f"m{products}"], ["mean"], keepdims=0),
        node("Mul", ["mean", "zero"], ["nothing"]),
        node("Add", ["age", "nothing"], ["value"]),
    ]
    write(
        name,
        chain,
        [
            ("big", np.full((size, size), 1e-3, dtype=np.float32)),
            ("zero", np.array([0], dtype=np.float32)),
        ],
    )
