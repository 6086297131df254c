"""Clients that are slow, huge, many or gone. The server of these tests waits two seconds."""

import json
import os
import socket
import threading
import time
from pathlib import Path

import pytest
import requests

from serving_world import endpoint, rows, trained  # noqa: F401

WAIT_S = 2


def connect(endpoint):
    made = socket.create_connection(("127.0.0.1", endpoint.server.port), timeout=20)
    made.settimeout(20)
    return made


def head(endpoint, *more, path=None):
    lines = [f"POST {path or endpoint.predict_path} HTTP/1.1", f"Host: {endpoint.address}",
             "Content-Type: application/json", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def read_all(connection):
    got = b""
    try:
        while piece := connection.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


def drip(connection, data, until):
    """One byte every tenth of a second, until the other side has had enough."""
    for byte in data:
        if time.monotonic() > until:
            raise AssertionError("nobody cut the slow client")
        try:
            connection.sendall(bytes([byte]))
        except OSError:
            return
        time.sleep(0.1)


def is_quick(endpoint):
    start = time.monotonic()
    answer = requests.post(endpoint.url + endpoint.predict_path, json={"rows": rows(1)}, timeout=10)
    assert answer.status_code == 200, answer.text
    return time.monotonic() - start


@pytest.mark.parametrize("what", ["nothing", "half a preface", "a slow head", "a slow body", "idle"])
def test_a_slow_client_is_cut(endpoint, what):
    with connect(endpoint) as slow:
        start = time.monotonic()
        if what == "half a preface":
            slow.sendall(b"PRI * HT")
        if what == "a slow head":
            threading.Thread(target=drip, args=(slow, head(endpoint) * 9, start + 15), daemon=True).start()
        if what == "a slow body":
            slow.sendall(head(endpoint, "Content-Length: 4000"))
            threading.Thread(target=drip, args=(slow, b" " * 4000, start + 15), daemon=True).start()
        if what == "idle":
            slow.sendall(f"GET /v2/health/live HTTP/1.1\r\nHost: {endpoint.address}\r\n\r\n".encode())
        got = read_all(slow)
        took = time.monotonic() - start
    assert WAIT_S * 0.9 <= took < WAIT_S * 4, f"{what}: {took:.1f} s, {got[:200]}"
    if what == "a slow body":
        assert b"408" in got.split(b"\r\n")[0] and b"too-slow" in got, got
    is_quick(endpoint)


def test_a_large_body_that_flows_is_not_cut(endpoint):
    sent = json.dumps({"rows": rows(400)}).encode()
    with connect(endpoint) as steady:
        steady.sendall(head(endpoint, f"Content-Length: {len(sent)}", "Connection: close"))
        step = len(sent) // 30 + 1
        for place in range(0, len(sent), step):
            steady.sendall(sent[place:place + step])
            time.sleep(0.12)
        got = read_all(steady)
    assert got.startswith(b"HTTP/1.1 200"), got[:300]


@pytest.mark.parametrize("path", ["predict", "infer", "invocations"])
def test_two_gigabytes_are_refused_at_once(endpoint, path):
    paths = {"predict": endpoint.predict_path, "infer": endpoint.infer_path,
             "invocations": "/endpoints/leads/invocations"}
    before = endpoint.server.resident_mib()
    with connect(endpoint) as huge:
        start = time.monotonic()
        huge.sendall(head(endpoint, f"Content-Length: {2 << 30}", path=paths[path]) + b" " * 1000)
        got = huge.recv(65536)
        assert got.startswith(b"HTTP/1.1 413"), got[:300]
        assert time.monotonic() - start < 1
    with connect(endpoint) as huge:
        huge.sendall(head(endpoint, "Transfer-Encoding: chunked", path=paths[path]))
        sent, piece = 0, b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
        try:
            while sent < 2 << 10:
                huge.sendall(piece)
                sent += 1
        except OSError:
            pass
        assert sent < 200, f"{sent} MiB were taken"
    assert endpoint.server.resident_mib() < before + 150
    is_quick(endpoint)


def restart(server, read_timeout):
    server.stop()
    server.env["VIADUCT__SERVER__READ_TIMEOUT"] = read_timeout
    server.start()


def test_ten_thousand_idle_connections(endpoint):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 10_000
    if hard < wanted + 200:
        pytest.fail(f"this machine allows {hard} open files: raise the limit")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 200), hard))
    idle = []
    try:
        restart(endpoint.server, "PT2M")
        is_quick(endpoint)
        before = endpoint.server.resident_mib()
        for _ in range(wanted):
            idle.append(socket.create_connection(("127.0.0.1", endpoint.server.port), timeout=20))
        held = Path(f"/proc/{endpoint.server.process.pid}/fd")
        end = time.monotonic() + 30
        while len(os.listdir(held)) < wanted:
            assert time.monotonic() < end, f"the server holds {len(os.listdir(held))}"
            time.sleep(0.2)
        assert min(is_quick(endpoint) for _ in range(5)) < 1
        assert endpoint.server.resident_mib() < before + 200
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    is_quick(endpoint)
    restart(endpoint.server, f"PT{WAIT_S}S")


def test_a_burst_of_connections_finds_room(endpoint):
    """The kernel's answer to a full queue is silence, and the client tries again after a second."""
    burst, slow = [], 0
    for _ in range(3000):
        began = time.monotonic()
        burst.append(socket.create_connection(("127.0.0.1", endpoint.server.port), timeout=20))
        slow += time.monotonic() - began > 0.9
    for connection in burst:
        connection.close()
    # One is the machine's own pause.
    assert slow <= 1, f"{slow} were not let in at once"


def test_no_more_connections_than_allowed_and_none_is_lost(servers):
    server = servers("few", VIADUCT__SERVER__CONNECTIONS_MAX="3", VIADUCT__SERVER__READ_TIMEOUT="PT1S")
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(20)]
    assert server.get("/v2/health/live").status == 200, "it waits until idle ones are cut"
    for connection in idle:
        connection.close()


def test_requests_under_way_end_when_the_server_stops(servers):
    server = servers("stopping")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as late:
        late.sendall(f"POST /v2/models/x/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{{".encode())
        time.sleep(0.3)
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        time.sleep(0.3)
        late.sendall(b"}")
        assert read_all(late).startswith(b"HTTP/1.1 400")
        stopper.join(20)
    assert not server.is_up()
