"""The Open Inference Protocol over gRPC, by the unmodified client and by bare messages."""

import asyncio
import json
import queue

import grpc
import numpy as np
import pytest
import requests
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as stubs
from tritonclient.utils import InferenceServerException

from conftest import run_async
from serving_world import COLUMNS, endpoint, rows, trained  # noqa: F401
from test_protocol_rest import NUMBERS, columns


@pytest.fixture(params=["main port", "own port"])
def address(request, endpoint):
    return endpoint.address if request.param == "main port" else f"127.0.0.1:{endpoint.server.grpc_port}"


@pytest.fixture
def client(address):
    with triton.InferenceServerClient(address) as client:
        yield client


@pytest.fixture
def stub(endpoint):
    with grpc.insecure_channel(f"127.0.0.1:{endpoint.server.grpc_port}") as channel:
        yield stubs.GRPCInferenceServiceStub(channel)



def tensors_of(sent):
    out = []
    for name, kind, datatype in [("age", np.float32, "FP32"), ("balance", np.float64, "FP64"),
                                 ("visits", np.int64, "INT64"), ("job", np.object_, "BYTES")]:
        cells = np.array([[row[name]] for row in sent], dtype=kind)
        tensor = triton.InferInput(name, list(cells.shape), datatype)
        tensor.set_data_from_numpy(cells)
        out.append(tensor)
    return out


def test_what_the_server_says_of_itself(client, endpoint):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("leads") and client.is_model_ready("leads", "1")
    assert "binary_tensor_data" in client.get_server_metadata().extensions
    assert [tensor.name for tensor in client.get_model_metadata("leads").inputs] == COLUMNS
    config = client.get_model_config("leads", as_json=True)["config"]
    assert {t["name"]: t["data_type"] for t in config["input"]}["job"] == "TYPE_STRING"
    before = client.get_inference_statistics("leads").model_stats[0].inference_count
    client.infer("leads", tensors_of(rows(3)))
    assert client.get_inference_statistics("leads").model_stats[0].inference_count - before == 3
    for call in (client.is_model_ready, client.get_model_metadata, client.get_model_config):
        with pytest.raises(InferenceServerException) as caught:
            call("nobody")
        assert caught.value.status() == "StatusCode.NOT_FOUND" and "nobody" in caught.value.message()


@pytest.mark.parametrize("packing", [None, "gzip", "deflate"])
def test_the_same_numbers_as_over_rest(client, endpoint, packing):
    sent = rows(300)
    wanted = [triton.InferRequestedOutput(n) for n in ("probability", "label", "viaduct.decision_id")]
    answer = client.infer("leads", tensors_of(sent), outputs=wanted, request_id="mine",
                          compression_algorithm=packing)
    assert answer.get_response().id == "mine"
    rest = requests.post(endpoint.url + endpoint.predict_path, json={"rows": sent}, timeout=30).json()
    found = answer.as_numpy("probability").reshape(-1).tolist()
    assert found == [d["output"]["probability"] for d in rest["decisions"]]
    labels = [label.decode() for label in answer.as_numpy("label").reshape(-1)]
    assert labels == [d["output"]["label"] for d in rest["decisions"]]
    identity = answer.as_numpy("viaduct.decision_id").reshape(-1)[7].decode()
    assert endpoint.server.get(f"/api/v1/decisions/{identity}").status == 200


def test_asynchronous_and_streaming_clients(endpoint, address):
    sent = rows(20)
    with triton.InferenceServerClient(address) as client:
        answers = queue.Queue()
        for number, row in enumerate(sent):
            client.async_infer("leads", tensors_of([row]), request_id=str(number),
                               callback=lambda result, error: answers.put((result, error)))
        by_id = {}
        for _ in sent:
            result, error = answers.get(timeout=20)
            assert error is None, error
            by_id[int(result.get_response().id)] = result.as_numpy("probability").item()
        client.start_stream(callback=lambda result, error: answers.put((result, error)))
        for row in sent:
            client.async_stream_infer("leads", tensors_of([row]))
        client.async_stream_infer("nobody", tensors_of(sent[:1]))
        client.async_stream_infer("leads", tensors_of(sent[:1]))
        streamed = [answers.get(timeout=20) for _ in range(22)]
        client.stop_stream()
    found = [by_id[number] for number in range(20)]
    assert [result.as_numpy("probability").item() for result, _ in streamed[:20]] == found
    assert "nobody" in str(streamed[20][1]), "a refusal is an answer and the stream goes on"
    assert streamed[21][0].as_numpy("probability").item() == found[0]

    async def ask():
        async with triton_aio.InferenceServerClient(address) as client:
            asked = [client.infer("leads", tensors_of([row])) for row in sent]
            return [answer.as_numpy("probability").item() for answer in await asyncio.gather(*asked)]

    assert run_async(ask()) == found


TYPED = {"FP32": "fp32_contents", "FP64": "fp64_contents", "INT8": "int_contents", "INT16": "int_contents",
         "INT32": "int_contents", "INT64": "int64_contents", "UINT8": "uint_contents",
         "UINT16": "uint_contents", "UINT32": "uint_contents", "UINT64": "uint64_contents"}


def request_of(sent, **more):
    """Typed contents, as a client without tritonclient sends them."""
    kinds = {"FP32": "fp32_contents", "FP64": "fp64_contents", "INT64": "int64_contents",
             "BYTES": "bytes_contents"}
    request = pb.ModelInferRequest(model_name="leads", **more)
    for column in columns(sent):
        tensor = request.inputs.add(name=column["name"], datatype=column["datatype"], shape=column["shape"])
        cells = [c.encode() if isinstance(c, str) else c for c in column["data"]]
        getattr(tensor.contents, kinds[column["datatype"]]).extend(cells)
    return request


def number(answer, name="probability"):
    place = [output.name for output in answer.outputs].index(name)
    return np.frombuffer(answer.raw_output_contents[place], dtype="<f8")[0]


@pytest.mark.parametrize("datatype", NUMBERS)
def test_every_datatype_in_both_forms(stub, datatype):
    plain = number(stub.ModelInfer(request_of([rows(1)[0] | {"age": 42.0}])))
    cell = np.array([42], dtype=NUMBERS[datatype])
    if datatype in TYPED:
        request = request_of(rows(1))
        request.inputs[0].datatype = datatype
        request.inputs[0].contents.Clear()
        getattr(request.inputs[0].contents, TYPED[datatype]).append(cell.item())
        assert number(stub.ModelInfer(request)) == plain
    inputs = tensors_of(rows(1))
    inputs[0] = triton.InferInput("age", [1, 1], datatype)
    inputs[0].set_data_from_numpy(cell.reshape(1, 1))
    request = pb.ModelInferRequest(model_name="leads")
    for tensor in inputs:
        request.inputs.append(tensor._get_tensor())
        request.raw_input_contents.append(tensor._get_content())
    assert number(stub.ModelInfer(request)) == plain


def test_parameters_and_rows_of_ours(stub, endpoint):
    request = request_of(rows(1))
    request.parameters["entity"].string_param = "customer-1"
    request.parameters["keys"].string_param = json.dumps({"order": "g-1"})
    request.outputs.add(name="viaduct.decision_id")
    answer = stub.ModelInfer(request)
    assert answer.parameters["variant"].string_param == "champion"
    identity = answer.parameters["decision_id"].string_param
    assert identity.encode() in answer.raw_output_contents[0]
    assert "g-1" in endpoint.server.get(f"/api/v1/decisions/{identity}").text


def change_shape(request, shape):
    request.inputs[0].ClearField("shape")
    request.inputs[0].shape.extend(shape)


BAD = {
    "wrong length": lambda r: change_shape(r, [2, 1]),
    "negative": lambda r: change_shape(r, [-1, 1]),
    "overflow": lambda r: change_shape(r, [2**62, 4]),
    "no datatype": lambda r: setattr(r.inputs[0], "datatype", "FP8"),
    "another list": lambda r: setattr(r.inputs[0], "datatype", "INT64"),
    "infinite": lambda r: r.inputs[0].contents.fp32_contents.__setitem__(0, float("inf")),
}


@pytest.mark.parametrize("what", BAD)
def test_a_malformed_tensor_is_named(stub, what):
    request = request_of(rows(1))
    BAD[what](request)
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT, caught.value
    assert "age" in caught.value.details()


def test_nan_is_null_and_a_model_without_an_answer_is_told(stub):
    request = request_of(rows(1))
    request.inputs[0].contents.fp32_contents[0] = float("nan")
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request)
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "not finite" in caught.value.details()


def test_raw_contents_that_do_not_fit(stub):
    request = request_of(rows(1))
    request.raw_input_contents.append(b"\0" * 4)
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    for tensor in request.inputs:
        tensor.contents.Clear()
    del request.raw_input_contents[:]
    request.raw_input_contents.extend([b"\0" * 3, b"\0" * 8, b"\0" * 8, b"\1\0\0\0x"])
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request)
    assert "age" in caught.value.details()


def test_credentials_hosts_and_statuses(endpoint, address):
    def code(metadata=(), request=None, options=(), timeout=10):
        with grpc.insecure_channel(address, options=options) as channel:
            try:
                stubs.GRPCInferenceServiceStub(channel).ModelInfer(
                    request or request_of(rows(1)), metadata=metadata, timeout=timeout)
                return grpc.StatusCode.OK, ""
            except grpc.RpcError as error:
                return error.code(), error.details()

    made = endpoint.server.post("/api/v1/endpoints/leads/consumers", {"name": f"app-{address[-5:]}"})
    assert made.status < 300, made.text
    key = made.json()["key"]
    assert code([("authorization", f"Bearer {key}")])[0] == grpc.StatusCode.OK
    assert code([("x-api-key", key)])[0] == grpc.StatusCode.OK
    assert code([("x-viaduct-key", key)])[0] == grpc.StatusCode.OK
    for bad in ([("authorization", "Bearer vdk_wrong")], [("x-api-key", "vdk_wrong")],
                [("authorization", "Bearer nothing")]):
        assert code(bad)[0] == grpc.StatusCode.UNAUTHENTICATED, bad
    refused = code(options=[("grpc.default_authority", "evil.example")])
    assert refused[0] == grpc.StatusCode.PERMISSION_DENIED and "Host" in refused[1], refused
    other = request_of(rows(1))
    other.model_name = "nobody"
    assert code(request=other)[0] == grpc.StatusCode.NOT_FOUND
    other = request_of(rows(1), model_version="9")
    assert code(request=other)[0] == grpc.StatusCode.NOT_FOUND
    huge = pb.ModelInferRequest(model_name="leads", raw_input_contents=[b"\0" * (65 << 20)])
    unlimited = [("grpc.max_send_message_length", -1)]
    status = code(request=huge, options=unlimited, timeout=60)[0]
    assert status in (grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.RESOURCE_EXHAUSTED), status


@pytest.mark.parametrize("packing", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_bytes_that_are_no_message(address, packing):
    with grpc.insecure_channel(address, compression=packing) as channel:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.RpcError) as caught:
            infer(b"\xff" * 64, timeout=10)
        assert caught.value.code() == grpc.StatusCode.INTERNAL, caught.value
        with pytest.raises(grpc.RpcError) as caught:
            infer(b"", timeout=10)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND, caught.value


def test_what_is_not_there_is_unimplemented(endpoint, address):
    with grpc.insecure_channel(address) as channel:
        stub = stubs.GRPCInferenceServiceStub(channel)
        for call, request in [(stub.SystemSharedMemoryStatus, pb.SystemSharedMemoryStatusRequest()),
                              (stub.RepositoryModelLoad, pb.RepositoryModelLoadRequest())]:
            with pytest.raises(grpc.RpcError) as caught:
                call(request)
            assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
        unknown = channel.unary_unary("/inference.Nothing/Nothing")
        with pytest.raises(grpc.RpcError) as caught:
            unknown(b"")
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_the_health_service(endpoint, address):
    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"") == b"\x08\x01", "SERVING"
        with pytest.raises(grpc.RpcError) as caught:
            check(b"\x0a\x07nothing")
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_the_port_of_grpc_has_no_pages(endpoint):
    for path in ("/", "/v2", "/api/v1/endpoints"):
        answer = requests.get(f"http://127.0.0.1:{endpoint.server.grpc_port}{path}", timeout=10)
        assert answer.status_code == 404, path
    assert requests.get(endpoint.url + "/v2", timeout=10).json()["name"] == "viaduct"
