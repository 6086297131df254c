"""Models that stay Python: a supervised process answers them, and its faults stay its own."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import Server

MODEL = '''
import os
import time

import mlflow


class Odd(mlflow.pyfunc.PythonModel):
    """No ONNX: it counts letters, and dies or sleeps when it is asked to."""

    def predict(self, context, model_input, params=None):
        if (model_input["age"] == 666).any():
            os._exit(7)
        if (model_input["age"] == 999).any():
            time.sleep(30)
        return (model_input["age"] * 2 + model_input["job"].str.len()).to_numpy()


mlflow.models.set_model(Odd())
'''
JOBS = ["admin", "farmer", "nurse"]


def register(server, folder):
    import mlflow
    import mlflow.pyfunc
    from mlflow.models import infer_signature

    code = folder / "odd.py"
    code.write_text(MODEL)
    sample = pd.DataFrame({"age": [1.5, 2.5], "job": ["admin", "nurse"]})
    before = dict(os.environ)
    os.environ.update(MLFLOW_TRACKING_URI=server.url, NO_PROXY="*")
    try:
        mlflow.set_tracking_uri(server.url)
        with mlflow.start_run():
            mlflow.pyfunc.log_model(
                name="model", python_model=str(code), pip_requirements=["mlflow-skinny"],
                signature=infer_signature(sample, np.array([1.0, 2.0])), registered_model_name="odd",
            )
        mlflow.MlflowClient().set_registered_model_alias("odd", "champion", "1")
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    place = tmp_path_factory.mktemp("side")
    server = Server(place / "data", VIADUCT__SIDECAR__PYTHON=sys.executable)
    register(server, place)
    made = server.post("/api/v1/endpoints", {
        "name": "odd", "model": "odd@champion", "limits": {"deadline_ms": 3000},
    })
    assert made.status < 300, made.text
    made = server.post("/api/v1/endpoints", {
        "name": "odd-safe", "model": "odd@champion", "fallback": {"action": "call"},
    })
    assert made.status < 300, made.text
    wait_for_answer(server)
    yield server
    if server.is_up():
        server.stop()


def predict(server, rows, name="odd"):
    return server.post(f"/api/v1/endpoints/{name}/predict", {"rows": rows})


def wait_for_answer(server, limit_s=90):
    end = time.monotonic() + limit_s
    while (answer := predict(server, [{"age": 1.5, "job": "nurse"}])).status != 200:
        assert time.monotonic() < end, f"{answer.text}\n{server.log()}"
        time.sleep(0.2)


def sidecars(server):
    """Processes that serve a socket of this server."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        mine = any(word.startswith(f"{server.data_dir}/sidecar/".encode()) for word in words)
        if mine and b"serve" in words:
            found.append(int(entry.name))
    return found


def test_a_python_model_answers(server):
    rows = [{"age": n / 8, "job": JOBS[n % 3]} for n in range(500)]
    answer = predict(server, rows)
    assert answer.status == 200, answer.text
    found = [decision["output"]["value"] for decision in answer.json()["decisions"]]
    assert found == [row["age"] * 2 + len(row["job"]) for row in rows]
    # One process serves both endpoints.
    assert len(sidecars(server)) == 1


def test_one_that_takes_too_long_is_504_and_stops_nobody(server):
    started = time.monotonic()
    slow = predict(server, [{"age": 999, "job": "nurse"}])
    assert slow.status == 504, slow.text
    assert time.monotonic() - started < 15
    assert predict(server, [{"age": 2, "job": "nurse"}]).status == 200


def test_one_that_crashes_is_said_and_started_again(server):
    before = sidecars(server)
    crashed = predict(server, [{"age": 666, "job": "nurse"}])
    assert crashed.status == 503, crashed.text
    assert "does not answer" in crashed.text
    wait_for_answer(server)
    assert sidecars(server) != before
    assert "a sidecar ended: it ended with exit status: 7" in server.log()


def test_the_fallback_answers_for_one_that_crashes(server):
    answer = predict(server, [{"age": 666, "job": "nurse"}], name="odd-safe")
    assert answer.status == 200, answer.text
    assert answer.json()["decisions"][0]["action"] == "call"
    wait_for_answer(server)


def test_it_does_not_outlive_a_killed_server(server):
    assert sidecars(server)
    server.kill9()
    end = time.monotonic() + 10
    while sidecars(server):
        assert time.monotonic() < end, "a sidecar outlives its server"
        time.sleep(0.1)
    server.start()
    wait_for_answer(server)


def test_without_an_interpreter_the_refusal_says_what_to_do(servers, tmp_path):
    server = servers()
    register(server, tmp_path)
    made = server.post("/api/v1/endpoints", {"name": "odd", "model": "odd@champion"})
    assert made.status in (409, 422), made.text
    assert "sidecar.python" in made.text
