"""Artifacts on disk and in a bucket: parts, tags, the same bytes once, memory, a full disk."""

import base64
import hashlib
import hmac
import http.client
import os
import subprocess
import time
import urllib.request
import venv
from email.utils import formatdate
from pathlib import Path

import pytest

from conftest import ROOT, free_port

FILES = "/api/2.0/mlflow-artifacts/artifacts"
API = "/api/2.0/mlflow"
HERE = Path(__file__).resolve().parent
PIECE = bytes(range(256)) * 4096  # 1 MiB


def put(server, path: str, body: bytes, status: int = 200):
    answer = server.request("PUT", f"{FILES}/{path}", body)
    assert answer.status == status, answer.body
    return answer


def new_run(server) -> dict:
    return server.post(f"{API}/runs/create", {"experiment_id": "0"}).json()["run"]["info"]


def objects(root: Path) -> list[Path]:
    return [path for path in (root / ".objects").rglob("*") if path.is_file()]


def test_parts_and_tags(server):
    put(server, "0/a.bin", b"0123456789")
    whole = server.get(f"{FILES}/0/a.bin")
    assert whole.headers["Accept-Ranges"] == "bytes"
    tag = whole.headers["ETag"]
    for asked, status, body in (
        ("bytes=2-4", 206, b"234"), ("bytes=7-", 206, b"789"), ("bytes=-3", 206, b"789"), ("bytes=5-99", 206, b"56789"),
        ("bytes=0-0", 206, b"0"), ("bytes=10-", 416, b""), ("bytes=1-2,4-5", 200, b"0123456789"), ("lines=1", 200, b"0123456789"),
    ):
        part = server.get(f"{FILES}/0/a.bin", headers={"Range": asked})
        assert (part.status, part.body) == (status, body), asked
    part = server.get(f"{FILES}/0/a.bin", headers={"Range": "bytes=2-4"})
    assert part.headers["Content-Range"] == "bytes 2-4/10"
    assert server.get(f"{FILES}/0/a.bin", headers={"If-None-Match": tag}).status == 304
    assert server.get(f"{FILES}/0/a.bin", headers={"If-None-Match": '"x"'}).status == 200
    assert server.get(f"{FILES}/0/a.bin", headers={"Range": "bytes=2-4", "If-Range": tag}).status == 206
    put(server, "0/a.bin", b"abcdefghij")
    assert server.get(f"{FILES}/0/a.bin", headers={"If-None-Match": tag}).status == 200
    stale = server.get(f"{FILES}/0/a.bin", headers={"Range": "bytes=2-4", "If-Range": tag})
    assert (stale.status, stale.body) == (200, b"abcdefghij")
    head = server.request("HEAD", f"{FILES}/0/a.bin")
    assert (head.status, head.headers["Content-Length"], head.body) == (200, "10", b"")


def test_the_same_bytes_are_stored_once(server):
    for name in ("0/a", "0/b", "1/c"):
        put(server, name, b"same bytes")
    root = server.data_dir / "blobs"
    assert len(objects(root)) == 1
    assert {(root / name).stat().st_ino for name in ("0/a", "0/b", "1/c")} == {objects(root)[0].stat().st_ino}
    assert server.request("DELETE", f"{FILES}/0").status == 200
    assert server.get(f"{FILES}/1/c").body == b"same bytes"


def test_a_folder_of_before_is_served_and_strays_go(servers, tmp_path):
    (tmp_path / "data/blobs/0/r/artifacts").mkdir(parents=True)
    (tmp_path / "data/blobs/0/r/artifacts/old.txt").write_text("old")
    (tmp_path / "data/blobs/.uploads").mkdir()
    (tmp_path / "data/blobs/.uploads/stray").write_text("half")
    server = servers()
    assert server.get(f"{FILES}/0/r/artifacts/old.txt").body == b"old"
    assert list((server.data_dir / "blobs/.uploads").iterdir()) == []


def test_every_door_to_a_run_s_artifacts(server):
    run = new_run(server)
    up = server.request("POST", f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run['run_id']}&path=notes/a.md", b"# hello")
    assert (up.status, up.json()) == (200, {})
    for path in (f"/get-artifact?run_uuid={run['run_id']}&path=notes/a.md", f"/get-artifact?run_id={run['run_id']}&path=notes/a.md",
                 f"{FILES}/0/{run['run_id']}/artifacts/notes/a.md", f"/ajax-api/2.0/mlflow-artifacts/artifacts/0/{run['run_id']}/artifacts/notes/a.md"):
        answer = server.get(path)
        assert (answer.status, answer.body) == (200, b"# hello"), path
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="a.md"')
    listed = server.get(f"/ajax-api/2.0/mlflow/artifacts/list?run_id={run['run_id']}&path=notes").json()
    assert listed == {"root_uri": run["artifact_uri"], "files": [{"path": "notes/a.md", "is_dir": False, "file_size": 7}]}
    model = server.post(f"{API}/logged-models", {"experiment_id": "0", "name": "m"}).json()["model"]["info"]
    put(server, model["artifact_uri"].removeprefix("mlflow-artifacts:/") + "/MLmodel", b"flavors: {}")
    for prefix in ("/api", "/ajax-api"):
        files = f"{prefix}/2.0/mlflow/logged-models/{model['model_id']}/artifacts"
        assert server.get(f"{files}/directories").json()["files"][0]["path"] == "MLmodel"
        assert server.get(f"{files}/files?artifact_file_path=MLmodel").body == b"flavors: {}"
    server.post(f"{API}/registered-models/create", {"name": "m"})
    server.post(f"{API}/model-versions/create", {"name": "m", "source": f"models:/{model['model_id']}", "model_id": model["model_id"]})
    got = server.get("/model-versions/get-artifact?name=m&version=1&path=MLmodel")
    assert (got.status, got.body, got.headers["Content-Type"]) == (200, b"flavors: {}", "text/plain; charset=utf-8")
    absent = server.get("/model-versions/get-artifact?name=m&version=1&path=none")
    assert (absent.status, absent.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    for path, body in ((f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run['run_id']}", b"x"),
                       (f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run['run_id']}&path=e", b""),
                       (f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run['run_id']}&path=big", b"x" * (11 << 20))):
        assert server.request("POST", path, body).status == 400, path
    assert server.get(f"/get-artifact?run_id={run['run_id']}&path=big").status == 404
    assert server.get(f"/get-artifact?run_id={run['run_id']}&path=e").status == 404


def test_a_local_store_has_no_parts_and_no_signed_addresses(server):
    info = server.get("/api/3.0/mlflow/server-info").json()
    assert (info["multipart_uploads_enabled"], info["multipart_downloads_enabled"]) == (False, False)
    for verb in ("create", "complete", "abort"):
        body = {"path": "f", "num_parts": 2, "upload_id": "u", "parts": [{"part_number": 1, "etag": "e"}]}
        answer = server.post(f"/api/2.0/mlflow-artifacts/mpu/{verb}/0/r/artifacts", body)
        assert (answer.status, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED"), verb
    answer = server.get("/api/2.0/mlflow-artifacts/presigned/0/x")
    assert (answer.status, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
    answer = server.post(f"{API}/artifacts/presigned-download-url", {"run_id": new_run(server)["run_id"], "path": "x"})
    assert (answer.status, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_a_hundred_megabytes_in_constant_memory(server):
    size_mib, path = 100, f"{FILES}/0/run/artifacts/big.bin"
    put(server, "0/warm", PIECE)
    server.get(f"{FILES}/0/warm")
    before = most = server.resident_mib()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)

    def pieces():
        nonlocal most
        for _ in range(size_mib):
            most = max(most, server.resident_mib())
            yield PIECE

    connection.request("PUT", path, body=pieces(), headers={"Content-Length": str(size_mib << 20)})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    connection.request("GET", path)
    answer, read = connection.getresponse(), 0
    while piece := answer.read(1 << 20):
        read += len(piece)
        most = max(most, server.resident_mib())
    assert read == size_mib << 20
    assert most - before < 32, f"{before:.0f} MiB before, {most:.0f} MiB at most"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MiB; where none may be mounted there is nothing to see."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"mounting needs root: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_told_and_leaves_nothing(servers, small_disk):
    server = servers("data", "--artifacts-destination", small_disk)
    put(server, "0/kept", b"kept")
    answer = put(server, "0/large", PIECE * 12, status=503)
    assert answer.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
    assert server.get(f"{FILES}/0/large").status == 404
    assert list((small_disk / ".uploads").iterdir()) == []
    assert server.get(f"{FILES}/0/kept").body == b"kept"
    put(server, "0/fits", PIECE)


def test_relative_folders_start_where_the_server_was_started(servers, tmp_path):
    server = servers("data", "--artifacts-destination", "./mlartifacts")
    put(server, "0/a", b"a")
    assert (tmp_path / "mlartifacts/0/a").read_bytes() == b"a"
    local = servers("other", "--default-artifact-root", f"file://{tmp_path}/mlruns")
    run = new_run(local)
    assert run["artifact_uri"] == f"{tmp_path}/mlruns/0/{run['run_id']}/artifacts"
    place = Path(run["artifact_uri"])
    place.mkdir(parents=True)
    (place / "by-client.txt").write_text("mine")
    assert local.get(f"{API}/artifacts/list?run_id={run['run_id']}").json()["files"][0]["path"] == "by-client.txt"
    assert local.get(f"/get-artifact?run_id={run['run_id']}&path=by-client.txt").body == b"mine"
    local.post(f"{API}/registered-models/create", {"name": "m"})
    for source in (f"{tmp_path}/mlruns/0", f"file://{tmp_path}/mlruns/0"):
        assert local.post(f"{API}/model-versions/create", {"name": "m", "source": source}).status == 400
    below = servers("third", "--default-artifact-root", "mlflow-artifacts:/team")
    assert new_run(below)["artifact_uri"].startswith("mlflow-artifacts:/team/0/")


def interpreter() -> Path:
    """The environment with a server that speaks S3 and a client of MLflow; brought in on first use."""
    wanted = (HERE.parent / "requirements-moto.txt").read_text()
    place = ROOT / ".venv-moto"
    python, stamp = place / "bin/python", place / "requirements.stamp"
    if not (stamp.is_file() and stamp.read_text() == wanted):
        if not python.is_file():
            venv.create(place, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE.parent / "requirements-moto.txt"], check=True)
        stamp.write_text(wanted)
    return python


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """A server that speaks S3, with a bucket."""
    python, port = interpreter(), free_port()
    log = open(tmp_path_factory.mktemp("moto") / "log", "wb")
    process = subprocess.Popen([python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
    endpoint, end = f"http://127.0.0.1:{port}", time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(f"{endpoint}/bucket", method="PUT"), timeout=5).close()
            break
        except OSError:
            assert time.monotonic() < end and process.poll() is None, Path(log.name).read_text()
            time.sleep(0.2)
    yield endpoint
    process.terminate()
    process.wait(10)


def store(endpoint: str) -> dict[str, str]:
    return {"MLFLOW_S3_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": "*"}


@pytest.mark.parametrize("how, flag", [("proxied", "--artifacts-destination"), ("direct", "--default-artifact-root")])
@pytest.mark.parametrize("parts", ["", "true"])
def test_the_client_against_a_bucket(servers, s3, tmp_path, how, flag, parts):
    server = servers("data", flag, "s3://bucket/some/prefix", **store(s3))
    info = server.get("/api/3.0/mlflow/server-info").json()
    assert info["multipart_uploads_enabled"] is (how == "proxied")
    work = tmp_path / "work"
    work.mkdir()
    more = {}
    if parts:
        more = {"MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": parts, "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": str(6 << 20),
                "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": parts, "MLFLOW_MULTIPART_DOWNLOAD_MINIMUM_FILE_SIZE": str(6 << 20)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "AWS"))}
    environment = kept | store(s3) | more | {"MLFLOW_TRACKING_URI": server.url, "HOME": str(tmp_path)}
    done = subprocess.run([interpreter(), HERE / "flows/s3_client.py", "bucket", how], cwd=work, env=environment,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}\n{server.log()}"
    run, tag = done.stdout.split()
    # A tag of S3 ends with the number of parts: 8 MiB each when we send them, 10 MiB when the client does.
    if how == "proxied":
        assert tag.strip('"').endswith("-3" if parts else "-4"), tag
    assert server.get(f"/get-artifact?run_id={run}&path=model/small.txt").body == b"small"
    part = server.get(f"/get-artifact?run_id={run}&path=model/small.txt", headers={"Range": "bytes=1-2"})
    assert (part.status, part.body) == (206, b"ma")
    if how == "direct":
        signed = server.post(f"{API}/artifacts/presigned-download-url", {"run_id": run, "path": "model/small.txt"}).json()
        assert signed["file_size"] == 5
        assert urllib.request.urlopen(signed["presigned_url"]).read() == b"small"
        up = server.post(f"{API}/artifacts/presigned-upload-url", {"run_id": run, "path": "up.txt"}).json()["presigned_url"]
        kind = {"Content-Type": "application/octet-stream"}
        urllib.request.urlopen(urllib.request.Request(up, data=b"up", method="PUT", headers=kind)).close()
        assert server.get(f"/get-artifact?run_id={run}&path=up.txt").body == b"up"
    else:
        uri = server.get(f"{API}/runs/get?run_id={run}").json()["run"]["info"]["artifact_uri"]
        path = uri.removeprefix("mlflow-artifacts:/") + "/model/small.txt"
        signed = server.get(f"/api/2.0/mlflow-artifacts/presigned/{path}").json()
        assert (signed["file_size"], urllib.request.urlopen(signed["url"]).read()) == (5, b"small")
        experiment = path.split("/")[0]
        assert server.request("DELETE", f"{FILES}/{experiment}").status == 200
        assert server.get(f"{API}/artifacts/list?run_id={run}").json().get("files") is None


ACCOUNT = "devstoreaccount1"
# Published with the emulator; no secret.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.fixture
def azurite(tmp_path):
    """Microsoft's emulator of a blob store, with a container."""
    program = os.environ.get("VIADUCT_TEST_AZURITE")
    if not program:
        pytest.skip("VIADUCT_TEST_AZURITE names no `azurite-blob` (npm install azurite)")
    port = free_port()
    command = [program, "--blobPort", str(port), "--location", str(tmp_path / "azurite"), "--skipApiVersionCheck"]
    log = open(tmp_path / "azurite.log", "wb")
    process = subprocess.Popen(command, stdout=log, stderr=log)
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + 30
    while True:
        date = formatdate(usegmt=True)
        signed = f"PUT{chr(10) * 12}x-ms-date:{date}\nx-ms-version:2021-08-06\n/{ACCOUNT}/{ACCOUNT}/tracking\nrestype:container"
        digest = hmac.new(base64.b64decode(ACCOUNT_KEY), signed.encode(), hashlib.sha256).digest()
        headers = {"x-ms-date": date, "x-ms-version": "2021-08-06", "Content-Length": "0",
                   "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"}
        try:
            path = f"{url}/{ACCOUNT}/tracking?restype=container"
            urllib.request.urlopen(urllib.request.Request(path, method="PUT", headers=headers), timeout=5).close()
            break
        except urllib.error.URLError as error:
            assert not isinstance(error, urllib.error.HTTPError), error.read()
            assert time.monotonic() < end and process.poll() is None, (tmp_path / "azurite.log").read_text()
            time.sleep(0.2)
    yield url
    process.terminate()
    process.wait(10)


def test_a_container_of_azure(servers, azurite):
    server = servers("data", "--artifacts-destination", f"wasbs://tracking@{ACCOUNT}.blob.core.windows.net/some/prefix",
                     AZURITE_BLOB_STORAGE_URL=azurite, AZURE_STORAGE_USE_EMULATOR="true", AZURE_STORAGE_ACCOUNT_NAME=ACCOUNT,
                     AZURE_STORAGE_ACCOUNT_KEY=ACCOUNT_KEY, NO_PROXY="*")
    big = os.urandom(25 << 20)
    put(server, "0/r/small.txt", b"small")
    put(server, "0/r/dir/big.bin", big)
    assert server.get(f"{FILES}/0/r/dir/big.bin").body == big
    part = server.get(f"{FILES}/0/r/small.txt", headers={"Range": "bytes=1-2"})
    assert (part.status, part.body) == (206, b"ma")
    names = [file["path"] for file in server.get(f"{FILES}?path=0/r").json()["files"]]
    assert names == ["dir", "small.txt"]
    signed = server.get("/api/2.0/mlflow-artifacts/presigned/0/r/small.txt").json()
    assert (signed["file_size"], urllib.request.urlopen(signed["url"]).read()) == (5, b"small")
    assert server.get(f"{FILES}/0/r/none").status == 404
    assert server.request("DELETE", f"{FILES}/0/r").status == 200
    assert server.get(f"{FILES}?path=0/r").json().get("files") is None
