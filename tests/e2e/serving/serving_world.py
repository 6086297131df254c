"""A server with one model behind an endpoint that answers with it at once.

Test files import its fixtures by name: `from serving_world import endpoint, trained  # noqa`.
"""

import os
import time

import numpy as np
import pytest

from conftest import Server, free_port

COLUMNS = ["age", "balance", "visits", "job"]
JOBS = ["admin", "farmer", "nurse"]


def rows(count, seed=7):
    """Rows whose floats are exactly representable in float32."""
    random = np.random.default_rng(seed)
    return [
        {
            "age": float(random.integers(18, 90)) + 0.5,
            "balance": float(random.integers(-64, 512)) / 8,
            "visits": int(random.integers(0, 20)),
            "job": JOBS[int(random.integers(0, len(JOBS)))],
        }
        for _ in range(count)
    ]


def train():
    """A pipeline with text, numbers and missing values, and its ONNX form."""
    import pandas as pd
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = pd.DataFrame(rows(400))
    labels = np.where(frame["balance"] + 4 * frame["visits"] > frame["age"], "yes", "no")
    parts = ColumnTransformer([
        ("numbers", StandardScaler(), ["age", "balance", "visits"]),
        ("texts", OneHotEncoder(handle_unknown="ignore"), ["job"]),
    ])
    model = make_pipeline(parts, LogisticRegression(max_iter=500)).fit(frame, labels)
    types = [
        ("age", FloatTensorType([None, 1])), ("balance", FloatTensorType([None, 1])),
        ("visits", Int64TensorType([None, 1])), ("job", StringTensorType([None, 1])),
    ]
    onnx = to_onnx(model, initial_types=types, options={"zipmap": False})
    return model, onnx, frame


class Endpoint:
    """A server, the endpoint's name, and the model as Python has it."""

    def __init__(self, server, name, model):
        self.server, self.name, self.model = server, name, model
        self.url, self.address = server.url, f"127.0.0.1:{server.port}"
        self.predict_path = f"/api/v1/endpoints/{name}/predict"
        self.infer_path = f"/v2/models/{name}/infer"

    def probabilities(self, sent):
        """What Python says: the probability of `yes`, row by row."""
        import pandas as pd

        place = list(self.model.classes_).index("yes")
        return self.model.predict_proba(pd.DataFrame(sent)[COLUMNS])[:, place]


def register(server, onnx, frame, name):
    register_model(server, onnx, frame[COLUMNS].head(5), name)


def register_model(server, onnx, sample, name):
    """Logs and registers as a person does, with MLflow's own client; `sample` gives the columns."""
    import mlflow
    import mlflow.onnx
    from mlflow.models import infer_signature

    before = dict(os.environ)
    os.environ.update(MLFLOW_TRACKING_URI=server.url, NO_PROXY="*")
    try:
        mlflow.set_tracking_uri(server.url)
        signature = infer_signature(sample)
        with mlflow.start_run():
            mlflow.onnx.log_model(
                onnx, name="model", signature=signature, pip_requirements=["onnx"],
                registered_model_name=name,
            )
        mlflow.MlflowClient().set_registered_model_alias(name, "champion", "1")
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def trained():
    return train()


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory, runtime_library, trained):
    """`leads`, which belongs to no project and answers with its champion; shared by a file."""
    model, onnx, frame = trained
    grpc = free_port()
    server = Server(
        tmp_path_factory.mktemp("serving") / "data", "--grpc-listen", f"127.0.0.1:{grpc}",
        VIADUCT__RUNTIME__LIBRARY=str(runtime_library), VIADUCT__SERVER__READ_TIMEOUT="PT2S",
    )
    server.grpc_port = grpc
    register(server, onnx, frame, "leads")
    made = server.post("/api/v1/endpoints", {"name": "leads", "model": "leads@champion"})
    assert made.status < 300, made.text
    end = time.monotonic() + 30
    while server.get("/v2/models/leads/ready").status != 200:
        assert time.monotonic() < end, f"`leads` does not answer\n{server.log()}"
        time.sleep(0.05)
    yield Endpoint(server, "leads", model)
    if server.is_up():
        server.stop()
