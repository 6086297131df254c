"""A small client of a Viaduct server (standard library only), and a progress bar."""

from __future__ import annotations

import base64
import http.client
import json
import sys
import time
import urllib.parse


class ServerSays(Exception):
    """The server declined; carries its problem document."""

    def __init__(self, status: int, method: str, path: str, problem: object):
        self.status = status
        self.problem = problem if isinstance(problem, dict) else {"detail": str(problem)}
        detail = self.problem.get("detail") or self.problem.get("title") or self.problem
        errors = "".join(
            f"\n    {e.get('pointer', '')} line {e.get('line', '-')}: {e.get('detail', e)}"
            for e in self.problem.get("errors") or []
        )
        super().__init__(f"{method} {path}: {status} {detail}{errors}")


class Server:
    """One caller of one server, over one connection that is kept open."""

    def __init__(self, url: str, authorization: str | None = None, timeout: float = 300.0):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SystemExit(f"`{url}` is no server address: use one like http://127.0.0.1:7878")
        self.url = url.rstrip("/")
        self.authorization = authorization
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self.connection = kind(parts.hostname, parts.port, timeout=timeout)

    @classmethod
    def as_user(cls, url: str, name: str, password: str) -> Server:
        pair = base64.b64encode(f"{name}:{password}".encode()).decode()
        return cls(url, f"Basic {pair}")

    @classmethod
    def with_key(cls, url: str, key: str) -> Server:
        return cls(url, f"Bearer {key}")

    def get(self, path: str) -> object:
        return self.send("GET", path)

    def post(self, path: str, body: object = None) -> object:
        return self.send("POST", path, json.dumps({} if body is None else body).encode())

    def post_text(self, path: str, text: str, kind: str) -> object:
        return self.send("POST", path, text.encode(), kind)

    def send(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> object:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = kind
        if self.authorization:
            headers["Authorization"] = self.authorization
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            raw = answer.read()
        except (ConnectionError, http.client.HTTPException, OSError) as error:
            # Not sent again: a prediction that was answered unheard would be logged twice.
            self.connection.close()
            raise SystemExit(f"{method} {self.url}{path}: {error}: is the server running?") from error
        try:
            value = json.loads(raw) if raw else None
        except ValueError:
            value = raw.decode(errors="replace")
        if answer.status >= 400:
            raise ServerSays(answer.status, method, path, value)
        return value


class Progress:
    """A bar on a terminal; a line at every quarter elsewhere."""

    def __init__(self, title: str, total: int):
        self.title, self.total = title, max(total, 1)
        self.began, self.shown, self.is_tty = time.monotonic(), 0, sys.stdout.isatty()

    def update(self, done: int, note: str = "") -> None:
        share = min(done / self.total, 1.0)
        if self.is_tty:
            filled = int(share * 28)
            bar = "█" * filled + "·" * (28 - filled)
            print(f"\r  {self.title} {bar} {share:4.0%} {note:<44.44}", end="", flush=True)
            if share >= 1.0:
                print(f"\r  {self.title} {bar} done {self.seconds():<48.48}")
        elif int(share * 4) > self.shown:
            self.shown = int(share * 4)
            print(f"  {self.title} {share:4.0%} {note}", flush=True)

    def seconds(self) -> str:
        return f"in {time.monotonic() - self.began:.1f} s"


def items(answer: object, *names: str) -> list:
    """The list in an answer: the answer itself, or under one of `names`."""
    if isinstance(answer, list):
        return answer
    if isinstance(answer, dict):
        for name in names:
            if isinstance(answer.get(name), list):
                return answer[name]
    return []
