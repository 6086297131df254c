"""The built binary as a test sees it: a server on a free port with a throw-away data directory.

`viaduct` runs a command; `server` is a running server; `Server` starts more of them. Every server
is asked to stop at the end of its test, and killed when it does not.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def find_binary() -> Path:
    """VIADUCT_BIN, else the dev build (built when it is missing)."""
    named = os.environ.get("VIADUCT_BIN")
    if named:
        return Path(named)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    binary = target / "debug" / "viaduct"
    if not binary.is_file():
        subprocess.run(["cargo", "build", "--package", "viaduct"], cwd=ROOT, check=True)
    return binary


BINARY = find_binary()


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without what would steer the binary."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VIADUCT")}
    return kept | {"NO_COLOR": "1"} | more


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Ran:
    """What a command printed and how it ended."""

    def __init__(self, done: subprocess.CompletedProcess):
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    def ok(self) -> "Ran":
        assert self.code == 0, f"exit {self.code}\n{self.out}\n{self.err}"
        return self

    def json(self):
        return json.loads(self.ok().out)


def run(*args: str, stdin: str = "", cwd: Path | None = None, timeout: float = 120, **env: str) -> Ran:
    return Ran(
        subprocess.run(
            [str(BINARY), *map(str, args)],
            input=stdin, capture_output=True, text=True, cwd=cwd, timeout=timeout,
            env=clean_environment(**env),
        )
    )


class Reply:
    """Status, headers and body of an HTTP answer."""

    def __init__(self, status: int, headers, body: bytes):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


class Server:
    """A running `viaduct server`."""

    def __init__(self, data_dir: Path, *args: str, port: int | None = None, **env: str):
        self.data_dir = Path(data_dir)
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.args, self.env = list(map(str, args)), env
        self.log_path = self.data_dir.with_name(self.data_dir.name + ".log")
        self.token: str | None = None
        self.listen = "127.0.0.1"
        self.start()

    def start(self) -> None:
        """Starts, or starts again on the same directory and port, and waits until it is ready."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(BINARY), "server", "--data-dir", str(self.data_dir),
                 "--listen", f"{self.listen}:{self.port}", *self.args],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.data_dir.parent, env=clean_environment(**self.env),
            )
        self.wait_for("/readyz")

    def wait_for(self, path: str, limit_s: float = 30) -> None:
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended ({self.process.returncode})\n{self.log()}")
            try:
                if self.request("GET", path).status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"no 200 from {path}\n{self.log()}")

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")[-8000:]

    def request(self, method: str, path: str, body=None, headers: dict | None = None) -> Reply:
        """One request; a status of 400 and above is an answer too."""
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        elif isinstance(body, str):
            body = body.encode()
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect())
        try:
            with opener.open(request, timeout=120) as answer:
                return Reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.headers, error.read())

    def get(self, path: str, **kw) -> Reply:
        return self.request("GET", path, **kw)

    def post(self, path: str, body=None, **kw) -> Reply:
        return self.request("POST", path, body if body is not None else {}, **kw)

    def wait_for_endpoint(self, name: str, limit_s: float = 15) -> None:
        """Waits until the data plane knows an endpoint that was just applied."""
        end = time.monotonic() + limit_s
        while self.get(f"/v2/models/{name}").status == 404:
            assert time.monotonic() < end, f"the endpoint `{name}` is not published\n{self.log()}"
            time.sleep(0.02)

    def run(self, *args: str, stdin: str = "", **env: str) -> Ran:
        """A remote command against this server."""
        if self.token:
            env.setdefault("VIADUCT_TOKEN", self.token)
        return run(*args, stdin=stdin, VIADUCT_SERVER=self.url, **env)

    def is_up(self) -> bool:
        return self.process.poll() is None

    def kill9(self) -> None:
        """The process ends at once, without a chance to write anything."""
        if self.is_up():
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        """Asks it to stop and answers its exit status."""
        if self.is_up():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError(f"the server did not stop when asked\n{self.log()}") from None

    def resident_mib(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in text.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer to look at, not one to follow."""

    def redirect_request(self, *_):
        return None


@pytest.fixture(scope="session")
def runtime_library(tmp_path_factory) -> Path:
    """libonnxruntime, brought in once by the command that users run."""
    place = tmp_path_factory.mktemp("runtime") / "data"
    run("setup", "runtime", "--data-dir", place, timeout=600).ok()
    return next((place / "runtime").glob("libonnxruntime.so*"))


@pytest.fixture
def servers(tmp_path):
    """Makes servers: `servers("name", "--clock", "simulated")`; all are stopped at the end."""
    made: list[Server] = []

    def make(name: str = "data", *args: str, **kw) -> Server:
        made.append(Server(tmp_path / name, *args, **kw))
        return made[-1]

    yield make
    for server in made:
        if server.is_up():
            server.stop()


@pytest.fixture
def server(servers) -> Server:
    """A server on an empty data directory and the machine's clock."""
    return servers()


@pytest.fixture(scope="session")
def postgres():
    """One PostgreSQL for the run; `postgres.database()` makes a fresh database."""
    from postgres import Postgres

    cluster = Postgres()
    yield cluster
    cluster.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request) -> list[str]:
    """The flags that name a fresh database, on each engine in turn."""
    if request.param == "sqlite":
        return []
    return ["--database", request.getfixturevalue("postgres").database()]


class People:
    """Adds people to a server and keeps a token of each."""

    PASSWORD = "correct horse battery"

    def __init__(self, server: Server):
        self.server, self.tokens = server, {}

    def add(self, name: str, role: str = "member") -> str:
        self.server.run("user", "add", name, "--role", role, "--password-stdin", stdin=self.PASSWORD).ok()
        made = self.server.run("token", "create", "test", "--user", name, "--password-stdin", stdin=self.PASSWORD)
        self.tokens[name] = made.ok().out.strip()
        return self.tokens[name]

    def become(self, name: str) -> None:
        self.server.token = self.tokens[name]


@pytest.fixture
def people(server) -> People:
    return People(server)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser that Debian ships; `cargo xtask setup` installs it."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    pytest.fail("no Chromium: run `cargo xtask setup`")


def run_async(coroutine):
    """What a coroutine returns. On a thread of its own: the browser's loop runs on this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


@pytest.fixture(scope="session")
def browser(chromium):
    """One headless browser for the whole run."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A fresh page; a script error on it fails the test."""
    context = browser.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors, errors
