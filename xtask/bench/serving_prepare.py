"""Models, bodies and registration for `cargo xtask bench serving`.

serving_prepare.py train DIR            both models for every side, and the bodies of the requests
serving_prepare.py register URL DIR     registers both with MLflow's own client, alias `champion`;
                                        `trees` gets a second version from other data
serving_prepare.py many URL DIR N       N registered models `m0`…, each a file of its own
serving_prepare.py floor DIR            the bare onnxruntime call of one row and of 1000, as JSON
"""

import json
import os
import struct
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = [f"f{place}" for place in range(30)]
JOBS = ["admin", "farmer", "nurse"]


def matrix(rows, seed):
    """Multiples of 1/8: exact in float32."""
    random = np.random.default_rng(seed)
    return (random.integers(-80, 80, size=(rows, len(COLUMNS))) / 8).astype(np.float32)


def people(count, seed=7):
    random = np.random.default_rng(seed)
    return pd.DataFrame({
        "age": random.integers(18, 90, count) + 0.5,
        "balance": random.integers(-64, 512, count) / 8,
        "visits": random.integers(0, 20, count),
        "job": random.choice(JOBS, count),
    })


def train_trees(folder, name, seed):
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType
    from xgboost import XGBClassifier

    cells = matrix(20_000, seed)
    noise = np.random.default_rng(5).normal(size=len(cells)) * 8
    labels = (cells[:, :6] @ np.array([1, -2, 0.5, 1.5, -1, 3]) + cells[:, 7] * cells[:, 8] / 4 + noise > 0)
    model = XGBClassifier(n_estimators=500, max_depth=6, n_jobs=1).fit(cells, labels.astype(int))
    onnx = onnxmltools.convert_xgboost(model, initial_types=[("X", FloatTensorType([None, 30]))])
    (folder / f"{name}.onnx").write_bytes(onnx.SerializeToString())
    asked = matrix(5, 9)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"))
    found = session.run(None, {"X": asked})[1]
    assert np.abs(found - model.predict_proba(asked)).max() < 1e-5
    return model


def train_people(folder):
    import joblib
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = people(2000)
    labels = np.where(frame["balance"] + 4 * frame["visits"] > frame["age"], "yes", "no")
    parts = ColumnTransformer([
        ("numbers", StandardScaler(), ["age", "balance", "visits"]),
        ("texts", OneHotEncoder(handle_unknown="ignore"), ["job"]),
    ])
    model = make_pipeline(parts, LogisticRegression(max_iter=500)).fit(frame, labels)
    place = settings("people", "mlserver_sklearn.SKLearnModel", "model.joblib", folder)
    joblib.dump(model, place / "model.joblib")
    types = [
        ("age", FloatTensorType([None, 1])), ("balance", FloatTensorType([None, 1])),
        ("visits", Int64TensorType([None, 1])), ("job", StringTensorType([None, 1])),
    ]
    onnx = to_onnx(model, initial_types=types, options={"zipmap": False})
    (folder / "people.onnx").write_bytes(onnx.SerializeToString())


def settings(name, implementation, file, folder):
    place = folder / "mlserver" / name
    place.mkdir(parents=True, exist_ok=True)
    text = {"name": name, "implementation": implementation, "parameters": {"uri": f"./{file}"}}
    (place / "model-settings.json").write_text(json.dumps(text))
    return place


def bodies(folder):
    """The same request in every form; MLServer and Viaduct get the same bytes."""
    for rows in (1, 100, 1000):
        cells = matrix(rows, 21)
        tensor = {"name": "X", "shape": list(cells.shape), "datatype": "FP32",
                  "data": cells.ravel().tolist()}
        (folder / f"trees-oip-{rows}.json").write_text(json.dumps({"inputs": [tensor]}))
        records = [dict(zip(COLUMNS, row.tolist())) for row in cells]
        (folder / f"trees-rows-{rows}.json").write_text(json.dumps({"rows": records}))
        head = dict(tensor, parameters={"binary_data_size": cells.nbytes})
        del head["data"]
        text = json.dumps({"inputs": [head], "parameters": {"binary_data_output": True}}).encode()
        (folder / f"trees-binary-{rows}.bin").write_bytes(text + cells.tobytes())
        (folder / f"trees-binary-{rows}.head").write_text(str(len(text)))
        (folder / f"trees-grpc-{rows}.bin").write_bytes(grpc_frame(cells))
    frame = people(1, 3)
    kinds = [("age", "FP32"), ("balance", "FP32"), ("visits", "INT64"), ("job", "BYTES")]
    tensors = [
        {"name": name, "shape": [1, 1], "datatype": kind, "data": frame[name].tolist()}
        for name, kind in kinds
    ]
    # Why the content types: MLServer makes the frame of a pipeline with them.
    for tensor in tensors:
        if tensor["datatype"] == "BYTES":
            tensor["parameters"] = {"content_type": "str"}
    body = {"parameters": {"content_type": "pd"}, "inputs": tensors}
    (folder / "people-oip-1.json").write_text(json.dumps(body))
    (folder / "people-rows-1.json").write_text(json.dumps({"rows": frame.to_dict("records")}))


def grpc_frame(cells):
    """One gRPC message with its prefix, for h2load."""
    from tritonclient.grpc import service_pb2 as pb

    asked = pb.ModelInferRequest(model_name="trees")
    asked.inputs.add(name="X", datatype="FP32", shape=list(cells.shape))
    asked.raw_input_contents.append(cells.tobytes())
    message = asked.SerializeToString()
    return b"\0" + struct.pack(">I", len(message)) + message


def train(folder):
    folder.mkdir(parents=True, exist_ok=True)
    model = train_trees(folder, "trees", 3)
    place = settings("trees", "mlserver_xgboost.XGBoostModel", "model.json", folder)
    model.save_model(place / "model.json")
    train_trees(folder, "trees2", 4)
    train_people(folder)
    bodies(folder)
    (folder / "done.stamp").write_text("")


def log(model, name, frame):
    import mlflow
    import mlflow.onnx
    from mlflow.models import infer_signature

    with mlflow.start_run():
        mlflow.onnx.log_model(
            model, name="model", pip_requirements=["onnx"], signature=infer_signature(frame),
            registered_model_name=name,
        )


def register(url, folder):
    import mlflow
    import onnx

    mlflow.set_tracking_uri(url)
    trees = pd.DataFrame(matrix(50, 1), columns=COLUMNS)
    for name, file, frame in [
        ("trees", "trees", trees), ("trees", "trees2", trees), ("people", "people", people(50)),
    ]:
        log(onnx.load(str(folder / f"{file}.onnx")), name, frame)
    for name in ("trees", "people"):
        mlflow.MlflowClient().set_registered_model_alias(name, "champion", "1")


def many(url, folder, count):
    import mlflow
    import onnx

    mlflow.set_tracking_uri(url)
    trees = pd.DataFrame(matrix(50, 1), columns=COLUMNS)
    model = onnx.load(str(folder / "trees.onnx"))
    for number in range(count):
        # Why: equal files are loaded once; these differ, and so each takes its own memory.
        model.doc_string = f"model {number}"
        log(model, f"m{number}", trees)
        mlflow.MlflowClient().set_registered_model_alias(f"m{number}", "champion", "1")


def floor(folder):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "trees.onnx"), options)
    found = {}
    for rows, turns in ((1, 3000), (1000, 60)):
        cells, times = matrix(rows, 21), []
        cpu = time.process_time()
        for _ in range(turns):
            began = time.perf_counter()
            session.run(None, {"X": cells})
            times.append(time.perf_counter() - began)
        cpu = (time.process_time() - cpu) / turns
        found[f"p50_us_{rows}"] = float(np.median(times) * 1e6)
        found[f"cpu_us_{rows}"] = cpu * 1e6
    print(json.dumps(found))


if __name__ == "__main__":
    os.environ["NO_PROXY"] = "*"
    verb, *rest = sys.argv[1:]
    if verb == "train":
        train(Path(rest[0]))
    elif verb == "register":
        register(rest[0], Path(rest[1]))
    elif verb == "many":
        many(rest[0], Path(rest[1]), int(rest[2]))
    elif verb == "floor":
        floor(Path(rest[0]))
    else:
        sys.exit(f"no `{verb}`")
