"""A version that another server answers by the Open Inference Protocol."""

import json
import os
import shutil
import subprocess
import time

import numpy as np
import pytest

from conftest import Server, free_port
from serving_world import endpoint, register, rows, trained  # noqa: F401

MLSERVER = os.environ.get("VIADUCT_MLSERVER") or shutil.which("mlserver")
RUNTIME = '''
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Sum(MLModel):
    """The sum of a row's columns."""

    async def predict(self, payload):
        columns = [NumpyCodec.decode_input(tensor).reshape(-1) for tensor in payload.inputs]
        answer = NumpyCodec.encode_output("value", np.sum(columns, axis=0).astype(np.float64))
        return InferenceResponse(model_name=self.name, outputs=[answer])
'''


def predict(server, name, sent):
    return server.post(f"/api/v1/endpoints/{name}/predict", {"rows": sent})


def wait_for_answer(server, name, sent, limit_s=60):
    end = time.monotonic() + limit_s
    while (answer := predict(server, name, sent)).status != 200:
        assert time.monotonic() < end, f"{answer.text}\n{server.log()}"
        time.sleep(0.1)
    return answer.json()["decisions"]


def test_another_server_answers_and_its_absence_is_said(endpoint, trained, tmp_path):  # noqa: F811
    _, onnx, frame = trained
    # It has no runtime of its own: what it answers comes from over there.
    server = Server(
        tmp_path / "data", VIADUCT__RUNTIME__LIBRARY="/nowhere/libonnxruntime.so",
        VIADUCT__REMOTE__MODELS=f"leads/1={endpoint.url}/v2/models/leads",
    )
    try:
        register(server, onnx, frame, "leads")
        server.run("deploy", "leads@champion").ok()
        sent = rows(200, seed=31)
        found = wait_for_answer(server, "leads", sent)
        numbers = [decision["output"]["probability"] for decision in found]
        assert np.allclose(numbers, endpoint.probabilities(sent), atol=1e-5)
        endpoint.server.kill9()
        gone = predict(server, "leads", sent[:1])
        assert gone.status == 503, gone.text
        assert "does not answer" in gone.text
        endpoint.server.start()
        wait_for_answer(server, "leads", sent[:1])
    finally:
        server.stop()


def test_an_address_that_is_none_stops_the_start(tmp_path):
    from conftest import run

    for bad in ("leads=http://x/v2/models/y", "leads/1=ftp://x/v2/models/y", "leads/1=http://u@x/v2/models/y"):
        ran = run("server", "--data-dir", tmp_path / "data", "--listen", f"127.0.0.1:{free_port()}",
                  VIADUCT__REMOTE__MODELS=bad)
        assert ran.code == 2, ran.err
        assert "MODEL/VERSION=http://HOST:PORT/v2/models/NAME" in ran.err


@pytest.mark.skipif(not MLSERVER, reason="needs `mlserver` (with `uvloop<0.22`) or VIADUCT_MLSERVER")
def test_a_real_mlserver_answers(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    place = tmp_path / "mlserver" / "sum"
    place.mkdir(parents=True)
    (place / "sum_model.py").write_text(RUNTIME)
    (place / "model-settings.json").write_text(
        json.dumps({"name": "sum", "implementation": "sum_model.Sum"})
    )
    http, grpc, metrics = free_port(), free_port(), free_port()
    (place.parent / "settings.json").write_text(json.dumps({
        "host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics,
        "parallel_workers": 0,
    }))
    log = open(tmp_path / "mlserver.log", "wb")
    other = subprocess.Popen(
        [MLSERVER, "start", str(place.parent)], stdout=log, stderr=log, cwd=place,
        env=os.environ | {"PYTHONPATH": str(place)},
    )
    server = Server(
        tmp_path / "data", VIADUCT__REMOTE__MODELS=f"sum/1=http://127.0.0.1:{http}/v2/models/sum",
    )
    try:
        import pandas as pd

        from serving_world import register_model

        # What is registered gives names and types; the numbers come from MLServer.
        graph = helper.make_graph(
            [helper.make_node("Identity", ["a"], ["value"])], "none",
            [helper.make_tensor_value_info("a", TensorProto.FLOAT, [None, 1])],
            [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])],
        )
        nothing = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(nothing)
        frame = pd.DataFrame({"a": [1.5, 2.5], "b": [0.25, 0.5]})
        register_model(server, nothing, frame, "sum")
        server.run("deploy", "sum@champion").ok()
        sent = [{"a": n / 8, "b": n / 2} for n in range(100)]
        found = wait_for_answer(server, "sum", sent, limit_s=90)
        assert [d["output"]["value"] for d in found] == [row["a"] + row["b"] for row in sent]
    finally:
        server.stop()
        other.terminate()
        other.wait(20)
        log.close()
