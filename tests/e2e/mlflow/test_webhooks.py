"""Webhooks of the registry: who is told, how it is signed, and where a delivery may not go."""

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

API = "/api/2.0/mlflow"
RELAXED = {"MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true", "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https"}
SECRET = "hush-hush-7"


class Receiver:
    """An address that notes what it is told; `answers` are the statuses it gives, then 200."""

    def __init__(self):
        self.told, self.answers, self.redirect = [], [], None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.told.append((self.headers, body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                if receiver.redirect:
                    self.send_header("Location", receiver.redirect)
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"taken")

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/hook"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def wait(self, count: int, limit_s: float = 20):
        end = time.monotonic() + limit_s
        while len(self.told) < count and time.monotonic() < end:
            time.sleep(0.02)
        assert len(self.told) >= count, f"told {len(self.told)} times, not {count}"
        return [json.loads(body) for _, body in self.told]


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.http.shutdown()


@pytest.fixture
def relaxed(servers, database):
    return servers("hooks", *database, **RELAXED)


def post(server, path, status=200, **body):
    answer = server.post(f"{API}/{path}", body)
    assert answer.status == status, answer.text
    return answer.json()


def events(*words):
    return [dict(zip(("entity", "action"), word.upper().split("."))) for word in words]


def hook(server, url, *words, **more):
    return post(server, "webhooks", name="told", url=url, events=events(*words), **more)["webhook"]


def test_every_event_arrives_signed(relaxed, receiver):
    hook(relaxed, receiver.url, "registered_model.created", "model_version.created", "model_version_tag.set",
         "model_version_tag.deleted", "model_version_alias.created", "model_version_alias.deleted", secret=SECRET)
    post(relaxed, "registered-models/create", name="apples", description="red", tags=[{"key": "a", "value": "b"}])
    assert receiver.wait(1)[0]["data"] == {"name": "apples", "description": "red", "tags": {"a": "b"}}
    post(relaxed, "model-versions/create", name="apples", source="mlflow-artifacts:/0/x")
    post(relaxed, "model-versions/set-tag", name="apples", version="1", key="k", value="v")
    relaxed.request("DELETE", f"{API}/model-versions/delete-tag", {"name": "apples", "version": "1", "key": "k"})
    post(relaxed, "registered-models/alias", name="apples", alias="best", version="1")
    relaxed.request("DELETE", f"{API}/registered-models/alias", {"name": "apples", "alias": "best"})
    post(relaxed, "registered-models/set-tag", name="apples", key="not", value="told")
    told = {f"{said['entity']}.{said['action']}": said["data"] for said in receiver.wait(6)}
    assert told["model_version.created"]["version"] == "1"
    assert told["model_version_tag.set"] == {"name": "apples", "version": "1", "key": "k", "value": "v"}
    assert told["model_version_tag.deleted"] == {"name": "apples", "version": "1", "key": "k"}
    assert told["model_version_alias.created"] == {"name": "apples", "alias": "best", "version": "1"}
    assert told["model_version_alias.deleted"] == {"name": "apples", "alias": "best"}
    time.sleep(0.5)
    assert len(receiver.told) == 6
    for headers, body in receiver.told:
        signed = f"{headers['X-MLflow-Delivery-Id']}.{headers['X-MLflow-Timestamp']}.{body.decode()}"
        digest = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest()
        assert headers["X-MLflow-Signature"] == "v1," + base64.b64encode(digest).decode()


def test_a_failed_delivery_is_tried_again_under_its_id(relaxed, receiver):
    receiver.answers = [503, 500]
    hook(relaxed, receiver.url, "registered_model.created")
    post(relaxed, "registered-models/create", name="pears")
    receiver.wait(3)
    assert len({headers["X-MLflow-Delivery-Id"] for headers, _ in receiver.told}) == 1
    assert not any("X-MLflow-Signature" in headers for headers, _ in receiver.told)


def test_a_prompt_is_told_as_one(relaxed, receiver):
    hook(relaxed, receiver.url, "prompt.created", "registered_model.created")
    post(relaxed, "registered-models/create", name="ask", tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}])
    assert [said["entity"] for said in receiver.wait(1)] == ["prompt"]


def test_they_are_kept_changed_and_forgotten(relaxed, receiver):
    made = hook(relaxed, receiver.url, "registered_model.created", description="first", secret=SECRET)
    place = f"{API}/webhooks/{made['webhook_id']}"
    assert made["status"] == "ACTIVE" and made["events"] == events("registered_model.created")
    changed = relaxed.request("PATCH", place, {"name": "other", "status": "DISABLED"}).json()["webhook"]
    assert (changed["name"], changed["status"], changed["description"]) == ("other", "DISABLED", "first")
    post(relaxed, "registered-models/create", name="quinces")
    tested = relaxed.post(f"{place}/test", {"event": events("model_version.created")[0]}).json()["result"]
    assert tested == {"success": True, "response_status": 200, "response_body": "taken"}
    assert [json.loads(body)["entity"] for _, body in receiver.told] == ["model_version"]
    receiver.answers = [404]
    assert relaxed.post(f"{place}/test", {}).json()["result"]["success"] is False
    listed = relaxed.get(f"{API}/webhooks?max_results=1").json()
    assert [seen["webhook_id"] for seen in listed["webhooks"]] == [made["webhook_id"]]
    assert relaxed.request("DELETE", place).status == 200
    gone = relaxed.get(place)
    assert (gone.status, gone.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert relaxed.get(f"{API}/webhooks").json() == {}


def test_a_secret_is_nowhere_to_be_read(relaxed, receiver):
    made = hook(relaxed, receiver.url, "registered_model.created", secret=SECRET)
    relaxed.post(f"{API}/webhooks/{made['webhook_id']}/test", {})
    receiver.wait(1)
    shown = [relaxed.get(path).text for path in (f"{API}/webhooks", f"{API}/webhooks/{made['webhook_id']}",
                                                 "/api/v1/audit", "/api/v1/jobs")]
    assert not any(SECRET in text for text in shown)
    assert SECRET not in relaxed.log()
    kept = [path for path in relaxed.data_dir.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert kept == []
    key = relaxed.data_dir / "webhook.key"
    assert key.stat().st_mode & 0o777 == 0o600


def test_only_admins_see_them_once_there_are_people(server, people):
    people.add("tom", "admin")
    people.become("tom")
    people.add("mia", "member")
    people.become("mia")
    for method, path in (("GET", "webhooks"), ("POST", "webhooks"), ("GET", "webhooks/x"), ("PATCH", "webhooks/x"),
                         ("DELETE", "webhooks/x"), ("POST", "webhooks/x/test")):
        for prefix in ("/api", "/ajax-api"):
            refused = server.request(method, f"{prefix}/2.0/mlflow/{path}", {} if method in ("POST", "PATCH") else None)
            assert (refused.status, refused.json()["error_code"]) == (403, "PERMISSION_DENIED"), path
    people.become("tom")
    assert server.get(f"{API}/webhooks").status == 200


@pytest.mark.parametrize("url", [
    "https://127.0.0.1/", "https://localhost/", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/",
    "https://127.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:a9fe:a9fe]/",
    "https://[64:ff9b::a9fe:a9fe]/", "https://169.254.169.254/latest/meta-data/", "https://10.0.0.1/", "https://0.0.0.0/",
    "http://example.org/", "file:///etc/passwd", "gopher://127.0.0.1/", "https://user@127.0.0.1/", "", " ",
])
def test_nothing_inside_can_be_reached(server, url):
    refused = server.post(f"{API}/webhooks", {"name": "evil", "url": url, "events": events("registered_model.created")})
    assert (refused.status, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), refused.text


def test_the_check_is_made_when_connecting_too(servers, receiver):
    """A name that was public when it was registered leads inside later: here the relaxation is taken back."""
    server = servers("rebound", **RELAXED)
    made = hook(server, receiver.url, "registered_model.created")
    server.stop()
    server.env = {"MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http"}
    server.start()
    tested = server.post(f"{API}/webhooks/{made['webhook_id']}/test", {}).json()["result"]
    assert tested["success"] is False and "not a public IP address" in tested["error_message"]
    post(server, "registered-models/create", name="plums")
    time.sleep(1)
    assert receiver.told == []


def test_redirects_are_not_followed(relaxed, receiver):
    inside = Receiver()
    receiver.answers, receiver.redirect = [307], inside.url
    made = hook(relaxed, receiver.url, "registered_model.created")
    tested = relaxed.post(f"{API}/webhooks/{made['webhook_id']}/test", {}).json()["result"]
    assert tested["success"] is False and tested["response_status"] == 307
    assert inside.told == []
    inside.http.shutdown()


def test_what_is_no_webhook_is_refused(relaxed, receiver):
    good = {"name": "a", "url": receiver.url, "events": events("registered_model.created")}
    for change in ({"name": "-a"}, {"name": ""}, {"events": []}, {"events": events("registered_model.deleted")},
                   {"events": events("nothing.created")}, {"status": "ASLEEP"}, {"url": None}):
        refused = relaxed.post(f"{API}/webhooks", good | change)
        assert (refused.status, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), change
