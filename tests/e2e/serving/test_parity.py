"""A version that is registered as ONNX is compared with the model that it was made of."""

import json
import os
import sys
import time

import numpy as np
import pytest

from conftest import Server
from serving_world import COLUMNS, train


@pytest.fixture(scope="module")
def server(tmp_path_factory, runtime_library):
    server = Server(
        tmp_path_factory.mktemp("parity") / "data",
        VIADUCT__RUNTIME__LIBRARY=str(runtime_library), VIADUCT__SIDECAR__PYTHON=sys.executable,
    )
    yield server
    server.stop()


def register(server, name, original, onnx, sample):
    """Both models in one run, as people log them; the ONNX is registered."""
    import mlflow
    import mlflow.onnx
    import mlflow.sklearn
    from mlflow.models import infer_signature

    before = dict(os.environ)
    os.environ.update(MLFLOW_TRACKING_URI=server.url, NO_PROXY="*")
    try:
        mlflow.set_tracking_uri(server.url)
        signature = infer_signature(sample)
        with mlflow.start_run():
            if original is not None:
                mlflow.sklearn.log_model(
                    original, name="original", signature=signature, input_example=sample,
                    pip_requirements=["scikit-learn"], serialization_format="cloudpickle",
                )
            mlflow.onnx.log_model(
                onnx, name="model", signature=signature, pip_requirements=["onnx"],
                registered_model_name=name,
            )
    finally:
        os.environ.clear()
        os.environ.update(before)


def report(server, name, limit_s=90):
    end = time.monotonic() + limit_s
    while (ran := server.run("parity", f"{name}/1", "--output", "json")).code != 0:
        assert time.monotonic() < end, f"{ran.err}\n{server.log()}"
        time.sleep(0.2)
    return json.loads(ran.out)


def test_the_same_numbers_are_equal(server):
    model, onnx, frame = train()
    register(server, "same", model, onnx, frame[COLUMNS].head(200))
    found = report(server, "same")
    assert (found["verdict"], found["rows"], found["original"]) == ("equal", 200, "original")
    assert 0 <= found["largest_difference"] < 1e-5
    shown = server.run("parity", "same/1").ok().out
    assert "equal: 0 of 200 rows differ from `original`" in shown


def test_another_model_differs(server):
    model, onnx, frame = train()
    model.steps[-1][1].coef_ = -model.steps[-1][1].coef_
    register(server, "other", model, onnx, frame[COLUMNS].head(200))
    found = report(server, "other")
    assert found["verdict"] == "differs"
    assert found["labels_that_differ"] > 20
    assert np.isclose(found["share_that_differs"], found["rows_that_differ"] / 200)


def test_without_an_original_nothing_is_claimed(server):
    _, onnx, frame = train()
    register(server, "alone", None, onnx, frame[COLUMNS].head(20))
    found = report(server, "alone")
    assert found["verdict"] == "not_checked"
    assert "log the original in the same run" in found["reason"]
