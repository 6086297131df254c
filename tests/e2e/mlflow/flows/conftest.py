"""What the flows share; runs inside the client's own interpreter."""

import os
import uuid

import mlflow
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

IS_3 = int(mlflow.__version__.split(".")[0]) >= 3
ROWS = np.random.default_rng(7).random((60, 3)).astype("float32")


@pytest.fixture
def client():
    return mlflow.MlflowClient()


@pytest.fixture
def experiment():
    """A fresh experiment that is the active one."""
    return mlflow.set_experiment(f"flow-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def name():
    return f"model-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def onnx_model():
    from skl2onnx import to_onnx

    model = LogisticRegression().fit(ROWS, (ROWS[:, 0] > 0.5).astype(int))
    return to_onnx(model, ROWS[:1], options={"zipmap": False})


@pytest.fixture(scope="session")
def log_onnx(onnx_model):
    """Logs the ONNX model in the active run, as that generation does, and answers its URI."""
    import mlflow.onnx
    from mlflow.models import infer_signature

    signature = infer_signature(ROWS, np.zeros(len(ROWS), dtype="int64"))
    pins = ["onnx"]

    def log(name: str = "model") -> str:
        if IS_3:
            logged = mlflow.onnx.log_model(onnx_model, name=name, signature=signature, pip_requirements=pins)
        else:
            logged = mlflow.onnx.log_model(onnx_model, name, signature=signature, pip_requirements=pins)
        return logged.model_uri

    return log


assert os.environ.get("MLFLOW_TRACKING_URI"), "the flows need a server"
