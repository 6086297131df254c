"""The Open Inference Protocol over REST, by the unmodified client and by hand."""

import asyncio
import gzip
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import requests
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
import yaml

from conftest import run_async
from serving_world import COLUMNS, endpoint, rows, trained  # noqa: F401

HERE = Path(__file__).resolve().parent


def tensors(sent, module=triton, binary=True):
    """The rows as one tensor a column, in the types that numpy gives them."""
    out = []
    for name, kind, datatype in [("age", np.float32, "FP32"), ("balance", np.float64, "FP64"),
                                 ("visits", np.int64, "INT64"), ("job", np.object_, "BYTES")]:
        cells = np.array([[row[name]] for row in sent], dtype=kind)
        tensor = module.InferInput(name, list(cells.shape), datatype)
        tensor.set_data_from_numpy(cells, binary_data=binary)
        out.append(tensor)
    return out


@pytest.fixture
def client(endpoint):
    client = triton.InferenceServerClient(endpoint.address)
    yield client
    client.close()


def test_what_the_server_says_of_itself(client, endpoint):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("leads") and client.is_model_ready("leads", "1")
    assert not client.is_model_ready("nobody")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    model = client.get_model_metadata("leads")
    assert [tensor["name"] for tensor in model["inputs"]] == COLUMNS
    config = client.get_model_config("leads")
    assert {t["name"]: t["data_type"] for t in config["input"]}["job"] == "TYPE_STRING"
    before = client.get_inference_statistics("leads")["model_stats"][0]
    client.infer("leads", tensors(rows(3)))
    after = client.get_inference_statistics("leads")["model_stats"][0]
    assert after["inference_count"] - before["inference_count"] == 3
    assert after["inference_stats"]["success"]["count"] - before["inference_stats"]["success"]["count"] == 1
    assert "leads" in [m["name"] for m in client.get_inference_statistics()["model_stats"]]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("packing", [None, "gzip", "deflate"])
def test_numbers_are_those_of_python(client, endpoint, binary_in, binary_out, packing):
    sent = rows(300)
    wanted = [triton.InferRequestedOutput(name, binary_data=binary_out)
              for name in ("probability", "label", "viaduct.decision_id", "viaduct.variant")]
    answer = client.infer(
        "leads", tensors(sent, binary=binary_in), outputs=wanted, request_id="mine",
        request_compression_algorithm=packing, response_compression_algorithm=packing,
    )
    assert answer.get_response()["id"] == "mine"
    found = answer.as_numpy("probability").reshape(-1).astype(float)
    expected = endpoint.probabilities(sent)
    labels = answer.as_numpy("label").reshape(-1)
    labels = [label.decode() if isinstance(label, bytes) else label for label in labels]
    assert labels == ["yes" if p >= 0.5 else "no" for p in expected]
    yes = np.array([p if label == "yes" else 1 - p for p, label in zip(expected, labels)])
    assert np.allclose(found, expected, atol=1e-5) or np.allclose(found, yes, atol=1e-5)
    ids = answer.as_numpy("viaduct.decision_id").reshape(-1)
    ids = [i.decode() if isinstance(i, bytes) else i for i in ids]
    assert len(set(ids)) == 300
    logged = endpoint.server.get(f"/api/v1/decisions/{ids[17]}").json()
    assert json.dumps(sent[17]["job"]) in json.dumps(logged)


def test_all_outputs_when_none_are_named(client):
    answer = client.infer("leads", tensors(rows(2)))
    names = {output["name"] for output in answer.get_response()["outputs"]}
    assert {"label", "probability", "probabilities"} <= names
    assert not any(name.startswith("viaduct.") for name in names)
    assert answer.as_numpy("probabilities").shape == (2, 2)


def test_asynchronous_clients(endpoint):
    sent = rows(20)
    with triton.InferenceServerClient(endpoint.address, concurrency=4) as client:
        asked = [client.async_infer("leads", tensors([row])) for row in sent]
        found = [request.get_result().as_numpy("probability").item() for request in asked]

    async def ask():
        async with triton_aio.InferenceServerClient(endpoint.address) as client:
            asked = [client.infer("leads", tensors([row])) for row in sent]
            return [answer.as_numpy("probability").item() for answer in await asyncio.gather(*asked)]

    assert run_async(ask()) == found


NUMBERS = {
    "FP16": np.float16, "FP32": np.float32, "FP64": np.float64, "INT8": np.int8, "INT16": np.int16,
    "INT32": np.int32, "INT64": np.int64, "UINT8": np.uint8, "UINT16": np.uint16,
    "UINT32": np.uint32, "UINT64": np.uint64,
}


@pytest.mark.parametrize("datatype", NUMBERS)
def test_every_datatype_in_both_forms(client, datatype):
    answers = []
    for binary in (True, False):
        # FP16 exists in bytes only: so says tritonclient.
        if datatype == "FP16" and not binary:
            continue
        inputs = tensors(rows(1))
        cells = np.array([[42]], dtype=NUMBERS[datatype])
        inputs[0] = triton.InferInput("age", [1, 1], datatype)
        inputs[0].set_data_from_numpy(cells, binary_data=binary)
        answers.append(client.infer("leads", inputs).as_numpy("probability").item())
    plain = client.infer("leads", tensors([rows(1)[0] | {"age": 42.0}]))
    assert set(answers) == {plain.as_numpy("probability").item()}


def infer(endpoint, body, **kw):
    return requests.post(endpoint.url + endpoint.infer_path, json=body, timeout=30, **kw)


def columns(sent):
    kinds = {"age": "FP32", "balance": "FP64", "visits": "INT64", "job": "BYTES"}
    return [{"name": name, "shape": [len(sent), 1], "datatype": kind,
             "data": [row[name] for row in sent]} for name, kind in kinds.items()]


def test_rows_carry_entity_keys_and_incumbent(endpoint):
    sent = rows(3)
    beside = [
        {"name": "viaduct.entity", "shape": [3], "datatype": "BYTES", "data": ["a", "b", "c"]},
        {"name": "viaduct.keys", "shape": [3], "datatype": "BYTES",
         "data": [json.dumps({"order": f"o-{n}"}) for n in range(3)]},
        {"name": "viaduct.incumbent", "shape": [3], "datatype": "BYTES", "data": ["call"] * 3},
    ]
    wanted = [{"name": "viaduct.decision_id"}, {"name": "viaduct.variant"}]
    answer = infer(endpoint, {"id": "7", "inputs": columns(sent) + beside, "outputs": wanted})
    assert answer.status_code == 200, answer.text
    ids, variants = (output["data"] for output in answer.json()["outputs"])
    assert variants == ["champion"] * 3 and answer.json()["id"] == "7"
    logged = endpoint.server.get(f"/api/v1/decisions/{ids[1]}").json()
    assert "o-1" in json.dumps(logged)


def raw(name, shape, datatype, size, **more):
    return {"name": name, "shape": shape, "datatype": datatype,
            "parameters": {"binary_data_size": size}} | more


def binary_post(endpoint, head, tail, length=None, **headers):
    head = json.dumps(head).encode()
    headers["Inference-Header-Content-Length"] = str(len(head) if length is None else length)
    return requests.post(endpoint.url + endpoint.infer_path, data=head + tail, headers=headers, timeout=30)


BAD_JSON = [
    ({"shape": [2, 1]}, "age"), ({"shape": [-1, 1]}, "age"), ({"shape": [2**62, 4]}, "age"),
    ({"shape": [2**63]}, ""), ({"shape": []}, "age"), ({"shape": [1, 1, 1]}, "age"),
    ({"datatype": "FP8"}, "age"), ({"datatype": "INT64", "data": [1.5]}, "age"),
    ({"datatype": "INT8", "data": [300]}, "age"), ({"datatype": "UINT64", "data": [2**64 - 1]}, "age"),
    ({"datatype": "INT32", "data": [None]}, "age"), ({"datatype": "BOOL", "data": [1]}, "age"),
    ({"datatype": "BYTES", "data": ["x"]}, "age"), ({"data": ["x"]}, "age"), ({"data": None}, "age"),
    ({"data": [[]]}, "age"), ({"data": {"a": 1}}, "age"), ({"name": 3}, ""), ({"data": [1, 2]}, "age"),
]


@pytest.mark.parametrize("change, named", BAD_JSON)
def test_a_malformed_tensor_is_named(endpoint, change, named):
    inputs = columns(rows(1))
    inputs[0] |= change
    answer = infer(endpoint, {"inputs": inputs})
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) == {"error"} and named in answer.json()["error"], answer.text


@pytest.mark.parametrize("shape, datatype, tail, said", [
    ([1, 1], "FP32", b"\0" * 3, "age"), ([1, 1], "FP32", b"\0" * 8, "age"),
    ([1, 1], "FP32", struct.pack("<f", float("inf")), "infinite"),
    ([-1], "FP32", b"\0" * 4, "age"), ([2**63 - 1, 2**63 - 1], "FP32", b"\0" * 4, "age"),
    ([1, 1], "BYTES", b"\xff\xff\xff\xff", "age"), ([1, 1], "BYTES", b"\1\0\0\0\xff", "age"),
    ([1, 1], "BOOL", b"\7", "age"),
])
def test_malformed_bytes_are_named(endpoint, shape, datatype, tail, said):
    inputs = columns(rows(1))
    inputs[0] = raw("age", shape, datatype, len(tail))
    answer = binary_post(endpoint, {"inputs": inputs}, tail)
    assert answer.status_code == 400 and said in answer.json()["error"], answer.text


def test_nan_is_null_and_a_model_without_an_answer_is_told(endpoint):
    inputs = columns(rows(1))
    inputs[0] = raw("age", [1, 1], "FP32", 4)
    answer = binary_post(endpoint, {"inputs": inputs}, struct.pack("<f", float("nan")))
    assert answer.status_code == 422 and "/rows/0" in answer.json()["error"], answer.text
    inputs = columns(rows(1))
    inputs[2] = {"name": "visits", "shape": [1, 1], "datatype": "FP64"} | {"data": [None]}
    answer = infer(endpoint, {"inputs": inputs})
    assert answer.status_code == 400 and "visits" in answer.json()["error"], answer.text


def test_lengths_that_do_not_fit(endpoint):
    inputs = columns(rows(1))
    inputs[0] = raw("age", [1, 1], "FP32", 4)
    good = struct.pack("<f", 41.5)
    assert binary_post(endpoint, {"inputs": inputs}, good).status_code == 200
    for tail in (b"", good[:3], good + b"x"):
        answer = binary_post(endpoint, {"inputs": inputs}, tail)
        assert answer.status_code == 400, answer.text
    for length in (10**9, -1, "x"):
        answer = binary_post(endpoint, {"inputs": inputs}, good, length=length)
        assert answer.status_code == 400, answer.text
    for size in (-1, 1.5, "4", 10**30):
        inputs[0]["parameters"] = {"binary_data_size": size}
        assert binary_post(endpoint, {"inputs": inputs}, good).status_code == 400
    inputs[0] = raw("age", [1, 1], "FP32", 4, data=[1.0])
    assert binary_post(endpoint, {"inputs": inputs}, good).status_code == 400
    # A raw request is one tensor, and this endpoint takes four.
    answer = requests.post(endpoint.url + endpoint.infer_path, data=good,
                           headers={"Inference-Header-Content-Length": "0"}, timeout=30)
    assert answer.status_code == 400 and "one tensor" in answer.json()["error"]


def test_a_bomb_is_too_large_and_garbage_is_not_a_package(endpoint):
    bomb = gzip.compress(b" " * (80 << 20), 9)
    deflated = zlib.compress(b" " * (80 << 20), 9)
    assert len(bomb) < 100_000
    url = endpoint.url + endpoint.infer_path
    for packing, body, status in [("gzip", bomb, 413), ("deflate", deflated, 413),
                                  ("gzip", b"nothing", 400), ("br", b"nothing", 400)]:
        headers = {"Content-Encoding": packing, "Content-Type": "application/json"}
        answer = requests.post(url, data=body, headers=headers, timeout=60)
        assert answer.status_code == status and "error" in answer.json(), answer.text
        answer = requests.post(endpoint.url + endpoint.predict_path, data=body, headers=headers, timeout=60)
        assert answer.status_code == status, answer.text
    body = gzip.compress(json.dumps({"rows": rows(2)}).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = requests.post(endpoint.url + endpoint.predict_path, data=body, headers=headers, timeout=30)
    assert answer.status_code == 200 and len(answer.json()["decisions"]) == 2


def test_status_codes(endpoint):
    body = {"inputs": columns(rows(1))}
    base = f"{endpoint.url}/v2/models"
    assert requests.post(f"{base}/nobody/infer", json=body, timeout=9).status_code == 404
    assert requests.post(f"{base}/leads/versions/9/infer", json=body, timeout=9).status_code == 404
    assert requests.post(f"{base}/leads/versions/1/infer", json=body, timeout=9).status_code == 200
    assert requests.get(f"{base}/leads/infer", timeout=9).status_code == 405
    refused = infer(endpoint, body, headers={"X-Api-Key": "vdk_wrong"})
    assert refused.status_code == 401 and "error" in refused.json()
    late = infer(endpoint, body, headers={"X-Request-Timeout": "0"})
    assert late.status_code == 504 and "error" in late.json()
    assert infer(endpoint, body, headers={"X-Request-Timeout": "soon"}).status_code == 400
    unknown = infer(endpoint, body | {"outputs": [{"name": "nothing"}]})
    assert unknown.status_code == 400 and "nothing" in unknown.json()["error"]


def test_answers_are_as_the_published_document_says(endpoint):
    """`open_inference_rest.yaml` is the protocol's own file; its licence stands in its head."""
    import jsonschema_rs

    document = yaml.safe_load((HERE / "open_inference_rest.yaml").read_text())
    answered = 0
    for path, item in document["paths"].items():
        url = endpoint.url + path.replace("${MODEL_NAME}", "leads").replace("${MODEL_VERSION}", "1")
        for method in ("get", "post"):
            if method not in item:
                continue
            body = {"id": "1", "inputs": columns(rows(2))} if method == "post" else None
            answer = requests.request(method, url, json=body, timeout=30)
            assert answer.status_code == 200, f"{method} {path}: {answer.text}"
            found = item[method]["responses"]["200"].get("content")
            if found:
                schema = found["application/json"]["schema"] | {"components": document["components"]}
                jsonschema_rs.validate(schema, answer.json())
            answered += 1
    assert answered == len([1 for item in document["paths"].values() for m in ("get", "post") if m in item])
    errors = document["components"]["schemas"]["inference_error_response"]
    jsonschema_rs.validate(errors, infer(endpoint, {"inputs": []}).json())
