"""Every family of models that people bring: what Viaduct answers is what Python answers.

Each model is trained, exported by its own converter, registered with MLflow's client, deployed by the
command, and asked for 10,000 rows. The floats of the rows are exact in float32, so both sides see the
same numbers: labels are equal, numbers within 1e-5.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
import tritonclient.http as triton

from conftest import Server
from serving_world import register_model

ROWS = 10_000
PART = 2_500
CLOSE = 1e-5
COLUMNS = ["a", "b", "c", "d", "e"]
TEXTS = ["the parcel is late", "where is my parcel", "the bill is wrong", "thanks a lot", "wrong bill again"]


class Case:
    """A model as ONNX, the rows to ask it for, and what Python says of them."""

    def __init__(self, onnx, frame, label=None, probabilities=None, value=None, named=None):
        self.onnx, self.frame = onnx, frame
        self.label, self.probabilities, self.value = label, probabilities, value
        self.named = named or {}


def exact(rows, columns=5, seed=11):
    """Multiples of 1/8: exact in float32."""
    random = np.random.default_rng(seed)
    return (random.integers(-80, 80, size=(rows, columns)) / 8).astype(np.float32)


def targets(matrix, seed=5):
    noise = np.random.default_rng(seed).normal(size=len(matrix))
    return np.nan_to_num(matrix) @ np.array([1.0, -2.0, 0.5, 0.0, 1.5]) + noise


def wide(matrix):
    return pd.DataFrame(matrix, columns=COLUMNS)


def skl(model, types, **options):
    from skl2onnx import to_onnx

    is_classifier = hasattr(model, "predict_proba")
    return to_onnx(
        model, initial_types=types, options={"zipmap": False} if is_classifier else None, **options
    )


def matrix_type():
    from skl2onnx.common.data_types import FloatTensorType

    return [("X", FloatTensorType([None, 5]))]


def classifier(model, onnx, matrix, frame=None):
    return Case(
        onnx, wide(matrix) if frame is None else frame,
        label=model.predict(matrix), probabilities=model.predict_proba(matrix),
    )


def mixed(rows, seed=3):
    """Texts with gaps filled by the pipeline's own imputer, numbers with NaN, integers, booleans."""
    random = np.random.default_rng(seed)
    income = (random.integers(0, 4000, size=rows) / 8).astype(np.float32)
    income[random.random(rows) < 0.1] = np.nan
    return pd.DataFrame({
        "job": random.choice(["admin", "farmer", "nurse", ""], size=rows),
        "city": random.choice(["Ulm", "Köln", "Graz"], size=rows),
        "income": income,
        "visits": random.integers(0, 20, size=rows),
        "active": random.random(rows) < 0.5,
    })


def pipeline():
    """Strings (an empty one is a gap), imputers, one-hot, scaler, integers: a linear model behind."""
    from skl2onnx.common.data_types import (
        FloatTensorType, Int64TensorType, StringTensorType,
    )
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = mixed(600).drop(columns="active")
    label = np.where(frame["income"].fillna(250) + 20 * frame["visits"] > 400, "stays", "leaves")
    texts = make_pipeline(
        SimpleImputer(missing_values="", strategy="most_frequent"),
        OneHotEncoder(handle_unknown="ignore"),
    )
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    model = make_pipeline(
        ColumnTransformer([
            ("texts", texts, ["job", "city"]), ("income", numbers, ["income"]),
            ("visits", StandardScaler(), ["visits"]),
        ]),
        LogisticRegression(max_iter=500),
    ).fit(frame, label)
    types = [
        ("job", StringTensorType([None, 1])), ("city", StringTensorType([None, 1])),
        ("income", FloatTensorType([None, 1])), ("visits", Int64TensorType([None, 1])),
    ]
    asked = mixed(ROWS, seed=4).drop(columns="active")
    return Case(skl(model, types), asked, model.predict(asked), model.predict_proba(asked))


def ordinal_with_boolean():
    """Categories by number and a boolean column, a forest behind."""
    from skl2onnx.common.data_types import BooleanTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    frame = mixed(600)[["job", "city", "active"]]
    label = ((frame["job"] == "nurse") ^ frame["active"]).astype(np.int64)
    model = make_pipeline(
        ColumnTransformer([
            ("texts", OrdinalEncoder(), ["job", "city"]), ("flag", "passthrough", ["active"]),
        ]),
        RandomForestClassifier(20, random_state=1),
    ).fit(frame, label)
    types = [
        ("job", StringTensorType([None, 1])), ("city", StringTensorType([None, 1])),
        ("active", BooleanTensorType([None, 1])),
    ]
    asked = mixed(ROWS, seed=4)[["job", "city", "active"]]
    return Case(skl(model, types), asked, model.predict(asked), model.predict_proba(asked))


def forest():
    """Text labels, probabilities as a sequence of maps (ZipMap)."""
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier

    train = exact(600)
    # Why odd: at a vote of one half ONNX Runtime says the second class and scikit-learn the first.
    model = RandomForestClassifier(41, random_state=1).fit(train, np.where(targets(train) > 0, "yes", "no"))
    return classifier(model, to_onnx(model, initial_types=matrix_type()), exact(ROWS, seed=12))


def histogram():
    """Histogram boosting with missing values, three classes."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    def gaps(rows, seed):
        matrix = exact(rows, seed=seed)
        matrix[np.random.default_rng(seed).random(matrix.shape) < 0.2] = np.nan
        return matrix

    train = gaps(800, 1)
    label = np.digitize(targets(train), [-5, 5])
    model = HistGradientBoostingClassifier(max_iter=15, max_leaf_nodes=15).fit(train, label)
    return classifier(model, skl(model, matrix_type()), gaps(ROWS, 2))


def isolation():
    from sklearn.ensemble import IsolationForest

    model = IsolationForest(n_estimators=20, random_state=1).fit(exact(600))
    asked = exact(ROWS, seed=12)
    onnx = skl(model, matrix_type(), target_opset={"": 15, "ai.onnx.ml": 3})
    return Case(onnx, wide(asked), label=model.predict(asked),
                named={"scores": model.decision_function(asked)})


def tfidf():
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import StringTensorType
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    random = np.random.default_rng(2)
    words = sorted({word for text in TEXTS for word in text.split()})
    texts = [" ".join(random.choice(words, size=random.integers(2, 9))) for _ in range(ROWS)]
    label = np.array(["parcel" if "parcel" in t else "bill" if "bill" in t else "other" for t in texts])
    model = make_pipeline(
        TfidfVectorizer(token_pattern="[a-zA-Z]+"), LogisticRegression(max_iter=300),
    ).fit(texts[:800], label[:800])
    # Why: the operator asks the system for its locale, and not every machine has `en_US`.
    options = {TfidfVectorizer: {"locale": "C"}, LogisticRegression: {"zipmap": False}}
    types = [("text", StringTensorType([None, 1]))]
    onnx = to_onnx(model, initial_types=types, options=options)
    return Case(onnx, pd.DataFrame({"text": texts}), model.predict(texts), model.predict_proba(texts))


def perceptron():
    from sklearn.neural_network import MLPClassifier

    train = exact(600)
    model = MLPClassifier((16, 8), max_iter=200, random_state=1)
    model.fit(train, np.where(targets(train) > 0, 1, 0))
    return classifier(model, skl(model, matrix_type()), exact(ROWS, seed=12))


def xgboost_classifier():
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType
    from xgboost import XGBClassifier

    train = exact(800)
    train[np.random.default_rng(6).random(train.shape) < 0.1] = np.nan
    model = XGBClassifier(n_estimators=60, max_depth=4, n_jobs=1).fit(train, np.digitize(targets(train), [-5, 5]))
    onnx = onnxmltools.convert_xgboost(model, initial_types=[("X", FloatTensorType([None, 5]))])
    asked = exact(ROWS, seed=12)
    asked[np.random.default_rng(7).random(asked.shape) < 0.1] = np.nan
    return classifier(model, onnx, asked)


def xgboost_regressor():
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType
    from xgboost import XGBRegressor

    train, asked = exact(800), exact(ROWS, seed=12)
    model = XGBRegressor(n_estimators=60, max_depth=4, n_jobs=1).fit(train, targets(train))
    onnx = onnxmltools.convert_xgboost(model, initial_types=[("X", FloatTensorType([None, 5]))])
    return Case(onnx, wide(asked), value=model.predict(asked))


def lightgbm():
    import onnxmltools
    from lightgbm import LGBMClassifier
    from onnxmltools.convert.common.data_types import FloatTensorType

    train = exact(800)
    model = LGBMClassifier(n_estimators=40, verbose=-1, n_jobs=1)
    model.fit(train, np.where(targets(train) > 0, 1, 0))
    onnx = onnxmltools.convert_lightgbm(model, initial_types=[("X", FloatTensorType([None, 5]))])
    return classifier(model, onnx, exact(ROWS, seed=12))


def catboost(tmp_path):
    import onnx
    from catboost import CatBoostClassifier

    train = exact(800)
    model = CatBoostClassifier(iterations=40, depth=4, verbose=0, allow_writing_files=False)
    model.fit(train, np.where(targets(train) > 0, 1, 0))
    path = tmp_path / "catboost.onnx"
    model.save_model(str(path), format="onnx")
    return classifier(model, onnx.load(str(path)), exact(ROWS, seed=12))


def net():
    """A net written down node by node: one matrix in, one number out."""
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(8)
    first = random.normal(size=(5, 8)).astype(np.float32)
    second = random.normal(size=(8, 1)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["X", "first"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["kept"]),
            helper.make_node("MatMul", ["kept", "second"], ["sum"]),
            helper.make_node("Tanh", ["sum"], ["value"]),
        ],
        "net",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 5])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    asked = exact(ROWS, seed=12)
    value = np.tanh(np.maximum(asked.astype(np.float64) @ first, 0) @ second).reshape(-1)
    return Case(model, wide(asked), value=value)


CASES = {
    "pipeline": pipeline, "ordinal": ordinal_with_boolean, "forest": forest, "histogram": histogram,
    "isolation": isolation, "tfidf": tfidf, "perceptron": perceptron, "xgboost": xgboost_classifier,
    "xgboost-regressor": xgboost_regressor, "lightgbm": lightgbm, "catboost": catboost, "net": net,
}
DATATYPES = {"f": "FP32", "d": "FP64", "i": "INT64", "b": "BOOL", "O": "BYTES"}


@pytest.fixture(scope="module")
def server(tmp_path_factory, runtime_library):
    server = Server(
        tmp_path_factory.mktemp("models") / "data", VIADUCT__RUNTIME__LIBRARY=str(runtime_library)
    )
    yield server
    server.stop()


def tensors(frame):
    """A binary tensor a column, in the type that the column has."""
    for name in frame.columns:
        cells = frame[[name]].to_numpy()
        if frame[name].dtype.kind not in "fib":
            cells = cells.astype(np.object_)
        datatype = "FP64" if cells.dtype == np.float64 else DATATYPES[cells.dtype.kind]
        tensor = triton.InferInput(name, list(cells.shape), datatype)
        tensor.set_data_from_numpy(cells, binary_data=True)
        yield tensor


def ask(server, name, frame):
    """All rows in parts; the outputs by name."""
    found = {}
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}", network_timeout=60) as client:
        for start in range(0, len(frame), PART):
            answer = client.infer(name, list(tensors(frame.iloc[start:start + PART])))
            for output in answer.get_response()["outputs"]:
                found.setdefault(output["name"], []).append(answer.as_numpy(output["name"]))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def as_text(cells):
    return [c.decode() if isinstance(c, bytes) else str(c) for c in cells.reshape(-1)]


def off(found, wanted):
    """The largest difference, where it counts; a value above 1 is measured against itself."""
    found, wanted = np.asarray(found, dtype=float), np.asarray(wanted, dtype=float)
    apart = np.abs(found.reshape(wanted.shape) - wanted) / np.maximum(np.abs(wanted), 1)
    assert not np.isnan(apart).any()
    return f"largest difference {apart.max():.2e}" if apart.max() >= CLOSE else ""


@pytest.mark.parametrize("family", CASES)
def test_numbers_are_those_of_python(server, tmp_path, family):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make = CASES[family]
        case = make(tmp_path) if family == "catboost" else make()
        register_model(server, case.onnx, case.frame.head(50), family)
    server.run("deploy", f"{family}@champion").ok()
    server.wait_for(f"/v2/models/{family}/ready")
    found = ask(server, family, case.frame)
    if case.label is not None:
        assert as_text(found["label"]) == [str(label) for label in np.ravel(case.label)]
    if case.probabilities is not None:
        assert not off(found["probabilities"], case.probabilities)
    if case.value is not None:
        assert not off(found["value"], case.value)
    for name, wanted in case.named.items():
        assert not off(found[name], wanted), sorted(found)
