"""Every published MLflow vulnerability that concerns a server, tried here.

Each row is a check: it asks a server as the attacker did and fails when the attack works. The same
checks run against `Naive`, a small server with the old holes, where they must fail: so a check
that holds here is known to fire. What only a client can suffer (loading a pickle, running a
project) has no row: nothing here ever loads an artifact.
"""

import base64
import json
import os
import socket
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conftest import Server

FILES = "/api/2.0/mlflow-artifacts/artifacts"
API = "/api/2.0/mlflow"
SECRET = b"hidden-from-everybody"
SCRIPT = b"<script>alert(1)</script>"


class Naive:
    """A server with the holes of old: paths joined, sources believed, no header checked."""

    request, get, post = Server.request, Server.get, Server.post
    token = None

    def __init__(self, folder: Path):
        self.root = folder / "root"
        (self.root / "0").mkdir(parents=True)
        naive = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status: int, body: bytes, kind: str = "application/json", **headers):
                self.send_response_only(status)
                self.wfile.write(b"HTTP/1.1 %d x\r\n" % status)
                text = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                text += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                self._headers_buffer = []
                self.wfile.write(text.encode("latin-1", "replace") + b"\r\n" + body)

            def do(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                naive.handle(self, self.command, self.path, body)

            do_GET = do_PUT = do_POST = do_DELETE = do

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.sources: dict[str, str] = {}
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def place(self, text: str) -> Path:
        for _ in range(3):
            text = urllib.parse.unquote(text)
        text = text.replace("\\", "/").split(";")[-1]
        return Path(os.path.normpath(os.path.join(self.root, text.lstrip("/") if "//" not in text else "/" + text.lstrip("/"))))

    def fetch(self, source: str, path: str) -> bytes:
        if source.startswith("http"):
            host = urllib.parse.urlsplit(source)
            try:
                with socket.create_connection((host.hostname, host.port or 80), 1) as probe:
                    probe.sendall(b"GET / HTTP/1.0\r\n\r\n")
            except OSError:
                pass
        plain = urllib.parse.unquote(urllib.parse.unquote(source.replace("\\", "/")))
        for start in ("mlflow-artifacts:", "file:", "http:", "https:"):
            plain = plain.removeprefix(start)
        plain = plain.split("#")[-1].split("?")[-1].split(";")[-1]
        for base in ("/", self.root, self.root / "0"):
            found = os.path.normpath(os.path.join(base, plain.lstrip("/"), path))
            if os.path.isfile(found):
                return Path(found).read_bytes()
        return b"{}"

    def handle(self, to, method: str, target: str, body: bytes):
        path, _, query = target.partition("?")
        query = {name: values[0] for name, values in urllib.parse.parse_qs(query).items()}
        if path.startswith(FILES):
            place = self.place(path[len(FILES):].removeprefix("/"))
            if method == "PUT":
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(body)
                return to.answer(200, b"")
            if method == "DELETE":
                os.system(f"rm -rf '{place}'")
                return to.answer(200, b"{}")
            name = urllib.parse.unquote(path.rsplit("/", 1)[-1])
            if not place.is_file():
                return to.answer(404, b"{}")
            kind = "text/html" if name.endswith(("html", "svg")) else "text/plain"
            return to.answer(200, place.read_bytes(), kind, **{"Content-Disposition": f"inline; filename={name}"})
        if path == "/get-artifact":
            place = self.place(query.get("path", ""))
            return to.answer(200, place.read_bytes() if place.is_file() else b"")
        if path == "/model-versions/get-artifact":
            return to.answer(200, self.fetch(self.sources.get(query["name"], ""), query["path"]))
        try:
            said = json.loads(body or b"{}")
        except ValueError:
            said = {}
        if path.endswith("/model-versions/create"):
            self.sources[said["name"]] = said["source"]
            return to.answer(200, b'{"model_version": {"version": "1"}}')
        if "proxy" in path or path.endswith("experiments/create"):
            for value in [said.get("artifact_location", ""), *map(str, said.values())]:
                self.fetch(value, "x")
        kind = to.headers.get("Content-Type") or "application/json"
        run = {"info": {"run_id": "r", "experiment_id": "0", "artifact_uri": "mlflow-artifacts:/0/r/artifacts"}}
        to.answer(200, json.dumps({"run": run, "experiment_id": "1", "echo": kind}).encode(), kind)


class Target:
    """A server under attack, with a secret beside its artifacts."""

    def __init__(self, server, root: Path):
        self.server, self.root = server, root
        self.secret = root.parent / "secret.txt"
        self.secret.write_bytes(SECRET)
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"n{self.count}"

    def run_id(self) -> str:
        made = self.server.post(f"{API}/runs/create", {"experiment_id": "0"})
        return made.json()["run"]["info"]["run_id"]

    def json(self, path: str, body: dict):
        return self.server.post(f"{API}/{path}", body)


class Listener:
    """A place that nobody may be talked into asking."""

    def __enter__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.port = self.socket.getsockname()[1]
        return self

    def __exit__(self, *_):
        self.socket.close()

    def was_asked(self) -> bool:
        self.socket.settimeout(0.3)
        try:
            self.socket.accept()[0].close()
        except TimeoutError:
            return False
        return True


# Ways out of the artifact folder, as the address of an artifact.
ADDRESSES = {
    "dots": "../secret.txt",
    "dots-inside": "0/../../secret.txt",
    "encoded-dots (CVE-2023-6909)": "%2e%2e/secret.txt",
    "encoded-slash (CVE-2023-6977)": "..%2fsecret.txt",
    "double-encoded (CVE-2023-6831, CVE-2024-1560)": "..%252fsecret.txt",
    "triple-encoded": "%25252e%25252e%25252fsecret.txt",
    "backslash (CVE-2023-2780, CVE-2023-6753)": "..%5csecret.txt",
    "backslash-double": "..%255csecret.txt",
    "semicolon (CVE-2024-1593)": "x;../secret.txt",
    "absolute (CVE-2023-1176)": "/{secret}",
    "absolute-encoded": "%2f%2f{secret}",
}

# Sources and locations that are not artifacts of this server; `{up}` is the secret's folder.
SOURCES = {
    "absolute (CVE-2023-1177)": "{up}",
    "file (CVE-2023-1177)": "file://{up}",
    "file-one-slash (CVE-2024-3848)": "file:{up}",
    "proxied-dots (CVE-2023-2356)": "mlflow-artifacts:/../",
    "proxied-encoded (CVE-2023-2356)": "mlflow-artifacts:/%2e%2e/",
    "proxied-double-encoded": "mlflow-artifacts:/%252e%252e/",
    "http-dots (CVE-2023-2356)": "http://127.0.0.1/api/2.0/mlflow-artifacts/artifacts/..#{up}",
    "backslashes (CVE-2023-2780)": "\\..\\..{up}",
    "file-backslashes (CVE-2023-2780)": "file:///x\\..\\..{up}",
    "fragment (CVE-2024-1483, CVE-2024-1558)": "http:///#/../../../..{up}",
    "fragment-proxied (CVE-2024-2928)": "mlflow-artifacts:/0#/../../../../../../../../..{up}",
    "query (CVE-2024-1594)": "mlflow-artifacts:/0?/../../../../../../../../..{up}",
    "semicolon (CVE-2024-3573)": "mlflow-artifacts:/0;/../../../../../../../../..{up}",
    "double-slash (CVE-2023-6977)": "/{up}",
}


def read_by_address(target: Target, way: str):
    way = ADDRESSES[way].format(secret=target.secret)
    answer = target.server.get(f"{FILES}/{way}")
    assert SECRET not in answer.body and answer.status in (400, 404), f"{answer.status} {answer.body[:200]}"


def read_by_run(target: Target, way: str):
    run, way = target.run_id(), ADDRESSES[way].format(secret=target.secret)
    answers = [target.server.get(f"/get-artifact?run_uuid={run}&path={way}")]
    if isinstance(target.server, Server):
        assert answers[0].status in (400, 404)
        listed = target.server.get(f"{API}/artifacts/list?run_id={run}&path={way}")
        assert listed.status == 400 or listed.json().get("files") is None, listed.body
    assert all(SECRET not in answer.body for answer in answers)


def write_by_address(target: Target, way: str):
    """CVE-2023-6015, -6018, -6975, -6976, CVE-2026-2033, CVE-2025-11201."""
    way = ADDRESSES[way].format(secret=target.secret)
    answer = target.server.request("PUT", f"{FILES}/{way}", b"planted")
    assert answer.status in (400, 404), answer.status
    assert target.secret.read_bytes() == SECRET


def delete_by_address(target: Target, way: str):
    way = ADDRESSES[way].format(secret=target.secret)
    answer = target.server.request("DELETE", f"{FILES}/{way}")
    assert answer.status in (400, 404), answer.status
    assert target.secret.exists()


def read_by_source(target: Target, way: str, **more):
    name, source = target.name(), SOURCES[way].format(up=target.secret.parent)
    target.json("registered-models/create", {"name": name})
    made = target.json("model-versions/create", {"name": name, "source": source, **more})
    got = target.server.get(f"/model-versions/get-artifact?name={name}&version=1&path=secret.txt")
    assert SECRET not in got.body, "the secret was read through the version"
    assert made.status == 400, made.body


def read_by_prompt(target: Target, way: str):
    """CVE-2026-2614: a tag that skipped the check of the source."""
    read_by_source(target, way, tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}])


def read_by_location(target: Target, way: str):
    """CVE-2024-1483 and its family: the location of an experiment leads the run out."""
    location, name = SOURCES[way].format(up=target.secret.parent), target.name()
    made = target.json("experiments/create", {"name": f"e{name}", "artifact_location": location})
    assert made.status == 400, made.body


def delete_the_root(target: Target, way: str):
    """Stock lets the root itself be deleted."""
    (target.root / "0").mkdir(parents=True, exist_ok=True)
    (target.root / "0/kept").write_text("kept")
    for address in (FILES, f"{FILES}/", f"{FILES}/.", f"{FILES}//", f"{FILES}/%2f", f"{FILES}/0/.."):
        assert target.server.request("DELETE", address).status in (400, 404, 405), address
        assert (target.root / "0/kept").exists(), address


def follow_links(target: Target, way: str):
    """#18964: a link inside the folder that points out."""
    target.root.mkdir(parents=True, exist_ok=True)
    for name, to in (("link.txt", target.secret), ("way", target.secret.parent)):
        if not (target.root / name).is_symlink():
            (target.root / name).symlink_to(to)
    for path in ("link.txt", "way/secret.txt"):
        assert SECRET not in target.server.get(f"{FILES}/{path}").body, path
    target.server.request("PUT", f"{FILES}/way/planted.txt", b"x")
    assert not (target.secret.parent / "planted.txt").exists()
    target.server.request("DELETE", f"{FILES}/way/secret.txt")
    assert target.secret.exists()


def ask_a_source(target: Target, way: str):
    """CVE-2023-6974, #23500: no source and no location is ever fetched."""
    with Listener() as listener:
        for scheme in ("http", "https", "ftp", "hdfs", "mlflow-artifacts"):
            url, name = f"{scheme}://127.0.0.1:{listener.port}/x", target.name()
            target.json("registered-models/create", {"name": name})
            target.json("model-versions/create", {"name": name, "source": url})
            target.server.get(f"/model-versions/get-artifact?name={name}&version=1&path=x")
            made = target.json("experiments/create", {"name": f"ssrf {name}", "artifact_location": url})
            if made.status == 200:
                run = target.json("runs/create", {"experiment_id": made.json()["experiment_id"]})
                run = run.json()["run"]["info"]["run_id"]
                target.server.get(f"{API}/artifacts/list?run_id={run}")
                target.server.get(f"/get-artifact?run_id={run}&path=x")
        assert not listener.was_asked()


def ask_through_the_gateway(target: Target, way: str):
    """CVE-2025-52967; CVE-2026-71211 (GHSA-h7x2-h6g9-p789): `api_base` of an AI gateway."""
    with Listener() as listener:
        base = f"http://127.0.0.1:{listener.port}"
        for path, body in (
            ("/ajax-api/2.0/mlflow/gateway-proxy", {"gateway_path": f"@127.0.0.1:{listener.port}/x", "request_type": "GET"}),
            ("/ajax-api/2.0/mlflow/gateway-proxy", {"gateway_path": base}),
            ("/api/3.0/mlflow/gateway/model-definitions/create", {"name": "m", "provider": "openai", "api_base": base}),
            ("/gateway/mlflow/v1/chat/completions", {"model": "m", "api_base": base}),
            ("/gateway/proxy/e/x", {"api_base": base}),
        ):
            target.server.post(path, body)
        target.server.get(f"/ajax-api/2.0/mlflow/gateway-proxy?gateway_path={base}")
        assert not listener.was_asked()


def run_a_page(target: Target, way: str):
    """CVE-2023-6568, CVE-2026-33865: no artifact runs in a browser."""
    for name in ("page.html", "image.svg", "MLmodel"):
        assert target.server.request("PUT", f"{FILES}/0/{name}", SCRIPT).status == 200
        headers = target.server.get(f"{FILES}/0/{name}").headers
        assert headers["Content-Disposition"].startswith("attachment"), headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in headers["Content-Security-Policy"]


def reflect_a_type(target: Target, way: str):
    """CVE-2023-6568: the content type of a request comes back as a page."""
    answer = target.server.request(
        "POST", f"{API}/experiments/search", "{}", headers={"Content-Type": "text/html;<script>alert(1)</script>"})
    assert "html" not in answer.headers["Content-Type"] and b"<script>" not in answer.body


def inject_a_header(target: Target, way: str):
    """#10584: what a file is called becomes a header."""
    for name in ("a%0d%0aX-Injected:%20yes.txt", "a%22;%20x=%22.txt", "a%0aX-Injected:%20yes"):
        target.server.request("PUT", f"{FILES}/0/{name}", b"x")
        headers = target.server.get(f"{FILES}/0/{name}").headers
        assert headers.get("X-Injected") is None
        said = headers.get("Content-Disposition") or 'attachment; filename="x"; filename*=x'
        assert said.count('"') == 2 and said.count(";") == 2, said


def post_plain_text(target: Target, way: str):
    """CVE-2023-43472: a foreign page posts without asking."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        body = json.dumps({"name": f"csrf {target.name()}"})
        answer = target.server.request("POST", f"{API}/experiments/create", body, headers={"Content-Type": kind})
        assert answer.status in (400, 415), kind


def name_another_host(target: Target, way: str):
    """CVE-2025-14279: DNS rebinding."""
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:5000"):
        for path in (f"{API}/experiments/get?experiment_id=0", FILES, "/get-artifact?run_id=r&path=x", "/health"):
            assert target.server.get(path, headers={"Host": host}).status == 403, (host, path)


def come_from_another_origin(target: Target, way: str):
    for method, path in (("POST", f"{API}/experiments/create"), ("PUT", f"{FILES}/0/x"), ("DELETE", f"{FILES}/0/x"),
                         ("POST", "/ajax-api/2.0/mlflow/upload-artifact?run_uuid=r&path=x")):
        for origin in ("https://evil.example", "null"):
            headers = {"Origin": origin, "Content-Type": "application/json"}
            assert target.server.request(method, path, "{}", headers=headers).status == 403, path


def be_framed(target: Target, way: str):
    for path in (f"{API}/experiments/get?experiment_id=0", "/health", FILES):
        assert target.server.get(path).headers.get("X-Frame-Options") in ("SAMEORIGIN", "DENY"), path


def be_huge(target: Target, way: str):
    """CVE-2024-6838, and 10 MB of tags that stock takes."""
    huge = "x" * (2 << 20)
    tags = [{"key": f"k{n}", "value": "v" * 19_000} for n in range(550)]
    for body in ({"name": huge}, {"name": "a", "artifact_location": f"mlflow-artifacts:/{huge}"},
                 {"name": "b", "tags": tags}, {"name": "c", "tags": [{"key": huge, "value": "v"}]}):
        assert target.json("experiments/create", body).status in (400, 413)
    assert target.json("registered-models/create", {"name": huge}).status in (400, 413)
    for tag in tags[:60]:
        answer = target.json("experiments/set-experiment-tag", {"experiment_id": "0", **tag})
    assert answer.status == 400, "tags add up, one by one"
    for path in (f"{FILES}/{'a' * 5000}", f"{FILES}/{'a/' * 3000}b"):
        assert target.server.request("PUT", path, b"x").status in (400, 414)


def use_names_that_decode(target: Target, way: str):
    """CVE-2024-3099: names that differ by their encoding only are different, or refused."""
    one = target.json("registered-models/create", {"name": "a%2fb"})
    other = target.json("registered-models/create", {"name": "a/b"})
    assert other.status == 400, other.body
    if one.status == 200:
        assert target.server.get(f"{API}/registered-models/get?name=a%2fb").status in (400, 404)


EACH = [
    *((check, way) for check in (read_by_address, read_by_run, write_by_address, delete_by_address) for way in ADDRESSES),
    *((check, way) for check in (read_by_source, read_by_prompt, read_by_location) for way in SOURCES),
    *((check, "") for check in (
        delete_the_root, follow_links, ask_a_source, ask_through_the_gateway, run_a_page, reflect_a_type,
        inject_a_header, post_plain_text, name_another_host, come_from_another_origin, be_framed, be_huge,
        use_names_that_decode)),
]
NAMES = [f"{check.__name__} {way}".strip() for check, way in EACH]


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("attacked") / "data")
    yield Target(server, server.data_dir / "blobs")
    server.stop()


@pytest.mark.parametrize("check, way", EACH, ids=NAMES)
def test_it_holds(target, check, way):
    check(target, way)
    assert target.server.is_up()


@pytest.mark.parametrize("check, way", EACH, ids=NAMES)
def test_the_check_fires(tmp_path, check, way):
    naive = Naive(tmp_path)
    try:
        with pytest.raises(AssertionError):
            check(Target(naive, naive.root), way)
    finally:
        naive.close()


# Routes that answer without a login: nothing in them is anybody's.
PUBLIC = {"/health", "/healthz", "/livez", "/readyz", "/version", "/login", "/logout",
          "/api/3.0/mlflow/server-info", "/ajax-api/3.0/mlflow/server-info"}


def test_every_route_denies_without_a_login(server, people):
    document = server.get("/api/openapi.json").json()
    people.add("tom", "admin")
    server.token = None
    asked, open_routes = 0, set()
    for path, methods in document["paths"].items():
        for method in methods:
            if method.upper() not in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                continue
            address = path
            while "{" in address:
                start, end = address.index("{"), address.index("}")
                address = address[:start] + "1" + address[end + 1:]
            status = server.request(method.upper(), address, {} if method != "get" else None).status
            asked += 1
            if status not in (401, 303):
                open_routes.add((path, status))
    assert asked > 200
    assert {path for path, _ in open_routes if path.startswith(("/api/2.0", "/api/3.0", "/ajax-api", "/get-artifact", "/model-versions", "/graphql", "/v1"))} <= PUBLIC, open_routes
    for method, path in (
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/0/r/artifacts"),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/complete/0/r/artifacts"),
        ("POST", "/ajax-api/2.0/mlflow-artifacts/mpu/abort/0/r/artifacts"),
        ("GET", "/ajax-api/2.0/mlflow-artifacts/presigned/0/x"),
        ("GET", "/ajax-api/2.0/mlflow/logged-models/m-1/artifacts/files?artifact_file_path=x"),
        ("GET", "/get-artifact?run_id=r&path=x"),
        ("GET", "/model-versions/get-artifact?name=m&version=1&path=x"),
        ("POST", "/ajax-api/2.0/mlflow/upload-artifact?run_uuid=r&path=x"),
    ):
        assert server.request(method, path, {} if method == "POST" else None).status == 401, path


def test_unknown_paths_give_nothing_away(server, people):
    people.add("tom", "admin")
    server.token = None
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        for path in ("/ajax-api/3.0/jobs", "/ajax-api/3.0/jobs/1", "/api/3.0/mlflow/traces/search", "/v1/traces",
                     "/api/2.0/mlflow/nothing", "/api/9.9/mlflow/experiments/search", "/ajax-api/3.0/mlflow/users/current",
                     f"/{API}/experiments/search", f"{API}//experiments/search", f"{API}/experiments/search/", "/signup"):
            status = server.request(method, path, {} if method != "GET" else None).status
            assert status in (401, 403, 404, 405), (method, path, status)


def test_accounts_are_not_made_by_strangers(server, people):
    """CVE-2023-6014, CVE-2025-1473, CVE-2026-2635, CVE-2025-1474."""
    people.add("tom", "admin")
    server.token = None
    for path in (f"{API}/users/create", f"{API}/users/create-ui", "/signup", "/api/v1/users"):
        answer = server.post(path, {"username": "eve", "password": "correct horse", "name": "eve", "role": "admin"})
        assert answer.status in (401, 404, 405), path
    for pair in ("admin:password1234", "admin:password", "tom:", "tom:tom", ":"):
        word = base64.b64encode(pair.encode()).decode()
        assert server.get(f"{API}/experiments/get?experiment_id=0", headers={"Authorization": f"Basic {word}"}).status == 401
    people.become("tom")
    for password in ("", "a", "1234567"):
        assert server.run("user", "add", "eve", "--role", "member", "--password-stdin", stdin=password).code != 0


def test_a_viewer_writes_nothing(server, people):
    """CVE-2024-4263, CVE-2026-2651: artifacts are written and deleted by those who may."""
    people.add("tom", "admin")
    people.become("tom")
    people.add("vera", "viewer")
    assert server.request("PUT", f"{FILES}/0/kept", b"kept").status == 200
    people.become("vera")
    for method, path in (
        ("PUT", f"{FILES}/0/kept"), ("DELETE", f"{FILES}/0/kept"), ("DELETE", f"{FILES}/0"),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/0"), ("POST", "/api/2.0/mlflow-artifacts/mpu/complete/0"),
        ("POST", "/ajax-api/2.0/mlflow/upload-artifact?run_uuid=r&path=x"),
        ("POST", f"{API}/artifacts/presigned-upload-url"),
    ):
        assert server.request(method, path, {} if method == "POST" else None).status == 403, path
    assert server.get(f"{FILES}/0/kept").body == b"kept"
