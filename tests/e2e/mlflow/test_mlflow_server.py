"""What no client shows: memory, interrupted uploads, logins, kill -9."""

import base64
import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

FILES = "/api/2.0/mlflow-artifacts/artifacts"
API = "/api/2.0/mlflow"
PIECE = bytes(range(256)) * 4096  # 1 MiB


def pieces(count):
    for _ in range(count):
        yield PIECE


def test_a_big_artifact_in_constant_memory(server):
    size_mib = 300
    before = server.resident_mib()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    headers = {"Content-Length": str(size_mib << 20)}
    connection.request("PUT", f"{FILES}/0/run/artifacts/big.bin", body=pieces(size_mib), headers=headers)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    connection.request("GET", f"{FILES}/0/run/artifacts/big.bin")
    answer = connection.getresponse()
    assert answer.status == 200
    read, most = 0, before
    while piece := answer.read(1 << 20):
        assert piece[:256] == PIECE[:256]
        read += len(piece)
        if read % (50 << 20) == 0:
            most = max(most, server.resident_mib())
    assert read == size_mib << 20
    assert most < before + 60, f"{before:.0f} MiB before, {most:.0f} MiB while {size_mib} MiB went by"


def test_an_upload_that_breaks_off_leaves_nothing(server):
    with socket.create_connection(("127.0.0.1", server.port)) as half:
        half.sendall(
            f"PUT {FILES}/0/run/artifacts/half.bin HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Length: {10 << 20}\r\n\r\n".encode() + PIECE * 3
        )
        time.sleep(0.2)
        uploads = server.data_dir / "blobs/.uploads"
        assert list(uploads.iterdir()), "the upload is on its way"
        assert server.get(f"{FILES}/0/run/artifacts/half.bin").status == 404
    end = time.monotonic() + 10
    while list(uploads.iterdir()) and time.monotonic() < end:
        time.sleep(0.05)
    assert list(uploads.iterdir()) == []
    assert server.get(f"{FILES}?path=0/run/artifacts").json() == {}


def test_an_upload_cut_by_kill_9_leaves_nothing(server):
    with socket.create_connection(("127.0.0.1", server.port)) as half:
        half.sendall(
            f"PUT {FILES}/0/run/artifacts/half.bin HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Length: {10 << 20}\r\n\r\n".encode() + PIECE * 3
        )
        time.sleep(0.2)
        server.kill9()
    server.start()
    assert list((server.data_dir / "blobs/.uploads").iterdir()) == []
    assert server.get(f"{FILES}/0/run/artifacts/half.bin").status == 404


def test_acknowledged_points_survive_kill_9(servers, database):
    server = servers("data", *database)
    run = server.post(f"{API}/runs/create", {"experiment_id": "0"}).json()["run"]["info"]["run_id"]
    acknowledged = []

    def log(writer):
        for step in range(10_000):
            body = {"run_id": run, "key": f"w{writer}", "value": step, "timestamp": step, "step": step}
            try:
                if server.post(f"{API}/runs/log-metric", body).status != 200:
                    return
            except (OSError, http.client.HTTPException):
                return
            acknowledged.append((writer, step))

    with ThreadPoolExecutor(8) as pool:
        writers = [pool.submit(log, writer) for writer in range(8)]
        time.sleep(1.5)
        server.kill9()
        for writer in writers:
            writer.result()
    assert len(acknowledged) > 50
    server.start()
    kept = set()
    for writer in range(8):
        page = server.get(f"{API}/metrics/get-history?run_id={run}&metric_key=w{writer}").json()
        kept |= {(writer, point["step"]) for point in page.get("metrics", [])}
    assert set(acknowledged) <= kept


def test_a_login_is_demanded_once_there_is_a_user(server, people):
    run = server.post(f"{API}/runs/create", {"experiment_id": "0"}).json()["run"]["info"]["run_id"]
    people.add("tom", "admin")
    server.token = None
    for method, path in [
        ("GET", f"{API}/runs/get?run_id={run}"),
        ("POST", f"{API}/experiments/search"),
        ("GET", f"{FILES}?path="),
        ("GET", f"{FILES}/0/x"),
        ("PUT", f"{FILES}/0/x"),
        ("DELETE", f"{FILES}/0/x"),
        ("GET", "/ajax-api/2.0/mlflow/logged-models/m-1/artifacts/directories"),
    ]:
        refused = server.request(method, path, {} if method == "POST" else None)
        assert refused.status == 401, path
        assert refused.json()["error_code"] == "UNAUTHENTICATED", path
    people.become("tom")
    assert server.get(f"{API}/runs/get?run_id={run}").status == 200
    basic = base64.b64encode(f"tom:{people.PASSWORD}".encode()).decode()
    server.token = None
    for word, status in ((basic, 200), (base64.b64encode(b"tom:wrong").decode(), 401)):
        answer = server.get(f"{API}/runs/get?run_id={run}", headers={"Authorization": f"Basic {word}"})
        assert answer.status == status
    people.become("tom")
    people.add("vera", "viewer")
    people.become("vera")
    assert server.get(f"{API}/runs/get?run_id={run}").status == 200
    refused = server.post(f"{API}/runs/create", {"experiment_id": "0"})
    assert (refused.status, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert server.request("PUT", f"{FILES}/0/x", "text").status == 403


def test_foreign_pages_are_refused(server):
    evil = {"Origin": "https://evil.example", "Content-Type": "application/json"}
    refused = server.request("POST", f"{API}/experiments/create", json.dumps({"name": "x"}), headers=evil)
    assert (refused.status, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
    refused = server.get(f"{API}/experiments/search", headers={"Host": "evil.example"})
    assert refused.status == 403 and "Invalid Host header" in refused.json()["message"]
    unknown = server.get("/api/3.0/mlflow/traces/tr-1")
    assert (unknown.status, unknown.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")
