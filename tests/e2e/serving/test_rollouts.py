"""Endpoints without a project, rollouts, the kill switch, drills and OFREP, on the built binary."""

import os
import threading
import time

import numpy as np
import pytest


# The shortest plan that still shows every part: one row is enough, and nothing waits.
SHORT = {"min_time": "PT0S", "min_n": 20}
STEPS = [{"shadow": True, **SHORT}, {"share": 0.5, **SHORT}]
HEALTH = [{"what": "error_rate", "max": 0.01, "min_n": 10},
          {"what": "nan_rate", "max": 0, "min_n": 10}]


def graph(kind):
    """A model of two columns: `good`, `other`, one that gives `nan`, one that fails with `error`."""
    from onnx import TensorProto, helper, numpy_helper

    def constant(name, value, dtype=np.float32):
        return numpy_helper.from_array(np.array(value, dtype=dtype), name)

    column = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, 1]) for n in ("age", "balance")]
    out = [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])]
    nodes = [helper.make_node("Add", ["age", "balance"], ["sum"])]
    constants = []
    if kind == "nan":
        constants = [constant("zero", [[0.0]])]
        nodes += [helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
                  helper.make_node("Div", ["nothing", "zero"], ["value"])]
    elif kind == "error":
        # An index that is out of range is told when the graph runs, not when it is loaded.
        constants = [constant("table", [0.0]), constant("far", [[1000.0]])]
        nodes += [helper.make_node("Add", ["sum", "far"], ["place"]),
                  helper.make_node("Cast", ["place"], ["index"], to=TensorProto.INT64),
                  helper.make_node("Gather", ["table", "index"], ["value"])]
    else:
        constants = [constant("scale", [[2.0 if kind == "good" else 3.0]])]
        nodes += [helper.make_node("Mul", ["sum", "scale"], ["value"])]
    made = helper.make_graph(nodes, kind, column, out, constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class World:
    """A server with the registered model `churn` and its endpoint."""

    def __init__(self, server):
        self.server = server

    def register(self, kind, alias=None):
        """The next version of `churn`, logged as a person does it; answers its number."""
        import mlflow
        import mlflow.onnx
        from mlflow.types import ColSpec, Schema
        from mlflow.models import ModelSignature

        signature = ModelSignature(inputs=Schema([ColSpec("float", "age"), ColSpec("float", "balance")]))
        before = dict(os.environ)
        os.environ.update(MLFLOW_TRACKING_URI=self.server.url, NO_PROXY="*")
        try:
            mlflow.set_tracking_uri(self.server.url)
            with mlflow.start_run():
                logged = mlflow.onnx.log_model(
                    graph(kind), name="model", signature=signature, pip_requirements=["onnx"],
                    registered_model_name="churn",
                )
            version = str(logged.registered_model_version)
            if alias:
                mlflow.MlflowClient().set_registered_model_alias("churn", alias, version)
        finally:
            os.environ.clear()
            os.environ.update(before)
        return int(version)

    def alias(self, version, name="champion"):
        body = {"name": "churn", "alias": name, "version": str(version)}
        assert self.server.post("/api/2.0/mlflow/registered-models/alias", body).status == 200

    def deploy(self, **more):
        made = self.server.post("/api/v1/endpoints", {"name": "churn", "model": "churn@champion", **more})
        assert made.status in (200, 201), made.text
        return made.json()

    def predict(self, entity="c-1", age=30.0, balance=10.0):
        rows = [{"age": age, "balance": balance, "customer": entity}]
        return self.server.post("/api/v1/endpoints/churn/predict", {"rows": rows, "entity": "customer"})

    def value(self, **kw):
        answer = self.predict(**kw)
        assert answer.status == 200, answer.text
        return answer.json()["decisions"][0]

    def start(self, to, steps=STEPS, conditions=HEALTH):
        body = {"to": to, "steps": steps, "conditions": conditions}
        return self.server.post("/api/v1/endpoints/churn/rollouts", body)

    def rollout(self, which="churn"):
        answer = self.server.get(f"/api/v1/rollouts/{which}")
        assert answer.status == 200, answer.text
        return answer.json()

    def traffic(self):
        """Requests of many entities until the block ends."""
        return Traffic(self)

    def wait_for(self, phase, limit_s=30, which="churn"):
        end = time.monotonic() + limit_s
        while True:
            found = self.rollout(which)
            if found["phase"] == phase:
                return found
            assert time.monotonic() < end, f"no `{phase}`: {found}\n{self.server.log()}"
            time.sleep(0.1)


class Traffic:
    def __init__(self, world):
        self.world, self.failures, self.sent, self.over = world, [], 0, threading.Event()

    def run(self):
        while not self.over.is_set():
            answer = self.world.predict(entity=f"c-{self.sent % 997}")
            self.sent += 1
            if answer.status != 200:
                self.failures.append(answer.text)
            time.sleep(0.005)

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(20)


@pytest.fixture
def world(servers, runtime_library) -> World:
    server = servers("data", VIADUCT__RUNTIME__LIBRARY=str(runtime_library))
    made = World(server)
    made.register("good", "champion")
    return made


def test_an_endpoint_is_in_service_when_deploy_answers(world):
    shown = world.deploy(fallback="business_as_usual", business_as_usual={"action": "skip"})
    assert shown["unowned"] and shown["version"] == 1
    assert (shown["contract"]["origin"], shown["fallback"]) == ("inferred", "business_as_usual")
    decision = world.value(age=30, balance=10)
    assert decision["output"]["value"] == 80.0
    assert decision["variant"] == "champion" and decision["contract"] == shown["contract"]["hash"]

    refused = world.server.post("/api/v1/endpoints/churn/predict", {"rows": [{"age": 30}]})
    assert refused.status == 400 and "balance" in refused.text

    # The contract is owned from here on: a version of its own, in force at once.
    document = world.server.get("/api/v1/endpoints/churn/contract").json()["items"][0]["document"]
    document["schema"][0]["properties"][1]["required"] = False
    owned = world.server.request("PUT", "/api/v1/endpoints/churn/contract", document)
    assert owned.status == 200, owned.text
    assert [(c["version"], c["origin"]) for c in owned.json()["items"]] == [(2, "owned"), (1, "inferred")]

    # An unowned endpoint follows its alias at once.
    world.alias(world.register("other"))
    assert world.value(age=30, balance=10)["output"]["value"] == 120.0
    versions = world.server.get("/api/v1/endpoints/churn/versions").json()["items"]
    assert [v["version"] for v in versions] == [2, 1]

    assert world.server.request("DELETE", "/api/v1/endpoints/churn").status == 204
    assert world.predict().status == 404


def test_mistakes_are_named(world):
    missing = world.server.post("/api/v1/endpoints", {"model": "nobody@champion"})
    assert missing.status == 404 and "nobody@champion" in missing.text
    bad = world.server.post("/api/v1/endpoints", {"model": "churn@champion", "retenton": "full"})
    assert bad.status == 400 and "did you mean `retention`" in bad.text
    world.deploy()
    assert world.start(1).status == 409
    assert world.start(9).status == 404
    wrong = world.start(1, steps=[{"share": 2}])
    assert wrong.status == 400 and "between 0 and 1" in wrong.text
    assert world.server.get("/api/v1/rollouts/churn").status == 404


def test_files_and_commands(world, tmp_path):
    file = tmp_path / "endpoint.yaml"
    file.write_text(
        "apiVersion: viaduct/v1\nkind: Endpoint\nmetadata: {name: churn}\nspec:\n"
        "  model: churn@champion\n  entity: customer\n  fallback: previous\n"
        "  limits: {rows_max: 3}\n  retention: hashed\n"
    )
    server = world.server
    assert server.run("diff", "-f", file).code == 5
    assert "applied" in server.run("apply", "-f", file).ok().out
    assert server.run("apply", "-f", file).ok().out.strip() == "no changes"
    assert world.value()["output"]["value"] == 80.0
    rows = [{"age": 1.0, "balance": 1.0}] * 4
    assert server.post("/api/v1/endpoints/churn/predict", {"rows": rows}).status == 413
    listed = server.run("get", "endpoints").ok().out
    assert "churn@champion" in listed and "previous" in listed
    other = server.run("deploy", "churn@champion", "--endpoint", "churn-b").ok().out
    assert "churn-b serves churn@champion, version 1" in other and "unowned" in other
    server.run("delete", "endpoint", "churn-b").ok()
    key = server.run(
        "consumer", "add", "churn", "app", "--rate-per-second", "1", "--burst", "2",
    ).ok().out.strip()
    headers = {"Authorization": f"Bearer {key}"}
    one = {"rows": [{"age": 1.0, "balance": 1.0}]}
    codes = [server.post("/api/v1/endpoints/churn/predict", one, headers=headers).status for _ in range(4)]
    assert codes[:2] == [200, 200] and 429 in codes
    server.run("consumer", "revoke", "churn", "app").ok()
    assert server.post("/api/v1/endpoints/churn/predict", one, headers=headers).status == 401


def test_a_clean_rollout_walks_to_full_without_a_failed_request(world):
    world.deploy()
    second = world.register("other")
    assert world.start(second).status == 201
    assert world.start(second).status == 409, "one rollout at a time"
    with world.traffic() as traffic:
        watched = world.server.run("rollout", "watch", "churn")
    assert watched.code == 0, watched.err
    assert not traffic.failures
    full = world.wait_for("full")
    assert [e["event"] for e in full["history"]] == ["started", "advanced", "finished"]
    assert world.value()["model_version"] == second
    aliases = world.server.get("/api/2.0/mlflow/registered-models/alias?name=churn&alias=champion")
    assert aliases.json()["model_version"]["version"] == str(second), "the alias says what serves"
    analysis = world.server.get(f"/api/v1/rollouts/{full['id']}/analysis").json()
    assert (analysis["phase"], analysis["healthy"]) == ("Successful", True)

    # A full rollout can be taken back.
    back = world.server.run("rollout", "rollback", "churn", "--reason", "complaints").ok().out
    assert "rolled back" in back and "complaints" in back
    assert world.value()["model_version"] == 1


def test_one_entity_stays_with_one_version(world):
    world.deploy()
    second = world.register("other")
    steps = [{"share": 0.5, "min_time": "P1D", "min_n": 1}]
    assert world.start(second, steps=steps).status == 201
    seen = {}
    for entity in [f"c-{n}" for n in range(60)] * 2:
        version = world.value(entity=entity)["model_version"]
        assert seen.setdefault(entity, version) == version
    assert set(seen.values()) == {1, second}
    # OFREP says the same as the prediction did.
    for entity, version in list(seen.items())[:10]:
        flag = world.server.post(
            "/ofrep/v1/evaluate/flags/churn", {"context": {"targetingKey": entity}}
        ).json()
        assert flag["metadata"]["modelVersion"] == version
        assert (flag["value"], flag["reason"]) == (flag["variant"], "SPLIT")
    world.server.run("rollout", "rollback", "churn").ok()


@pytest.mark.parametrize("kind", ["nan", "error"])
def test_a_breach_rolls_back_within_ten_seconds(world, kind):
    world.deploy(fallback="previous")
    bad = world.register(kind)
    steps = [{"share": 0.5, "min_time": "PT10M", "min_n": 1000}]
    with world.traffic() as traffic:
        time.sleep(0.3)
        began = time.monotonic()
        assert world.start(bad, steps=steps).status == 201
        ended = world.wait_for("rolled_back", limit_s=15)
        took = time.monotonic() - began
        time.sleep(0.3)
    assert took < 10, took
    measure = "nan_rate" if kind == "nan" else "error_rate"
    last = ended["history"][-1]
    assert last["event"] == "rolled_back" and measure in last["reason"]
    assert world.value()["model_version"] == 1
    analysis = world.server.get(f"/api/v1/rollouts/{ended['id']}/analysis").json()
    assert analysis["phase"] == "Failed" and measure in analysis["message"]
    alerts = world.server.get("/api/v1/alerts").json()["items"]
    assert any(a["kind"] == "rolled_back" and a["subject"] == ended["id"] for a in alerts)
    actions = [row["action"] for row in world.server.get("/api/v1/audit").json()["items"]]
    assert "rollout.rolled_back" in actions
    assert traffic.sent > 50


def test_what_cannot_be_evaluated_holds_the_step(world):
    world.deploy()
    second = world.register("other")
    conditions = HEALTH + [{"what": "fact:calibration.ece", "max": 0.05}]
    assert world.start(second, conditions=conditions).status == 201
    with world.traffic():
        time.sleep(4)
    held = world.rollout()
    assert (held["phase"], held["step"]) == ("running", 1)
    why = "fact:calibration.ece cannot be evaluated: no project owns the endpoint, so it has no facts"
    assert why in held["waits"]
    assert "held" in [e["event"] for e in held["history"]]
    refused = world.server.post("/api/v1/rollouts/churn/advance")
    assert refused.status == 409 and "cannot be evaluated" in refused.text
    analysis = world.server.get("/api/v1/rollouts/churn/analysis").json()
    assert (analysis["phase"], analysis["healthy"]) == ("Inconclusive", False)
    assert world.server.post("/api/v1/rollouts/churn/pause", {"reason": "lunch"}).status == 200
    assert world.rollout()["phase"] == "paused"
    assert world.server.post("/api/v1/rollouts/churn/resume").status == 200
    assert world.server.post("/api/v1/rollouts/churn/rollback", {"reason": "enough"}).status == 200
    assert world.rollout()["reason"] == "enough"


def test_an_alias_move_drives_a_rollout(world):
    world.deploy(rollout={"steps": STEPS, "conditions": HEALTH})
    second = world.register("other")
    world.alias(second)
    begun = world.rollout()
    assert (begun["trigger"], begun["phase"], begun["to"]) == ("alias", "running", second)
    assert world.value()["model_version"] == 1, "the shadow answers nobody"
    with world.traffic() as traffic:
        world.wait_for("full")
    assert not traffic.failures
    assert world.value()["model_version"] == second

    # The alias points at a bad version: it is rolled back, and not started again by itself.
    bad = world.register("nan")
    with world.traffic():
        world.alias(bad)
        ended = world.wait_for("rolled_back")
        time.sleep(2.5)
    assert world.rollout()["id"] == ended["id"]
    assert world.value()["model_version"] == second


def test_the_kill_switch(world):
    world.deploy(fallback={"output": {"value": -1}})
    world.value()
    began = time.monotonic()
    killed = world.server.run("kill", "churn", "--reason", "wrong scores").ok().out
    answer = world.value()
    assert time.monotonic() - began < 1
    assert "is killed" in killed and "constant" in killed
    assert answer["output"] == {"value": -1} and not answer.get("model_version")
    shown = world.server.get("/api/v1/endpoints/churn").json()
    assert shown["killed"]["reason"] == "wrong scores"
    assert world.start(world.register("other")).status == 409

    # It survives a restart.
    world.server.kill9()
    world.server.start()
    assert world.value()["output"] == {"value": -1}
    world.server.run("revive", "churn").ok()
    assert world.value()["output"]["value"] == 80.0
    assert world.server.run("revive", "churn").code != 0
    actions = [row["action"] for row in world.server.get("/api/v1/audit").json()["items"]]
    assert "endpoint.killed" in actions and "endpoint.revived" in actions


def test_drills_end_in_a_truthful_report(world):
    world.deploy(fallback={"output": {"value": -1}})
    for n in range(5):
        world.value(entity=f"c-{n}")
    rollback = world.server.run("drill", "rollback", "churn").ok().out
    assert "passed" in rollback and "the candidate left" in rollback
    assert world.rollout()["trigger"] == "drill" and world.rollout()["phase"] == "rolled_back"
    fallback = world.server.run("drill", "fallback", "churn").ok().out
    assert "5 of 5 by `constant`" in fallback
    schema = world.server.post("/api/v1/endpoints/churn/drills", {"kind": "schema-change"}).json()
    said = {check["what"]: check for check in schema["checks"]}
    assert said["the renamed column was stopped at the contract"]["passed"]
    assert said["an alert names the field"]["passed"], said
    assert not schema["passed"] and "on_violation: fallback" in said["the fallback was served"]["seen"]
    world.deploy(fallback={"output": {"value": -1}}, on_violation="fallback")
    assert "passed" in world.server.run("drill", "schema-change", "churn").ok().out
    sent = {"rows": [{"age": 30.0, "balanse": 10.0}]}
    stopped = world.server.post("/api/v1/endpoints/churn/predict", sent)
    assert stopped.status == 200 and stopped.json()["decisions"][0]["output"] == {"value": -1}
    alerts = world.server.get("/api/v1/alerts").json()["items"]
    assert any(a["drill"] and a["kind"] == "schema_change" for a in alerts)

    # Without a fallback the drill says so, and does not pass.
    world.deploy()
    failed = world.server.run("drill", "fallback", "churn")
    assert failed.code == 5 and "0 of 5" in failed.out and "FAIL" in failed.out
    drills = world.server.get("/api/v1/endpoints/churn/drills").json()["items"]
    assert [d["kind"] for d in drills] == ["fallback", "schema-change", "schema-change", "fallback", "rollback"]
    assert world.value()["output"]["value"] == 80.0, "the live endpoint was never touched"


def test_a_callers_change_of_schema_is_named(world):
    world.deploy()
    world.value()
    for _ in range(3):
        sent = {"rows": [{"age": 30.0, "balanse": 10.0}]}
        assert world.server.post("/api/v1/endpoints/churn/predict", sent).status == 400
    end = time.monotonic() + 10
    while True:
        alerts = [a for a in world.server.get("/api/v1/alerts").json()["items"] if not a["drill"]]
        if alerts and alerts[0]["count"] == 3:
            break
        assert time.monotonic() < end, alerts
        time.sleep(0.2)
    assert (alerts[0]["kind"], alerts[0]["subject"]) == ("schema_change", "balance")
    world.server.run("alert", "close", alerts[0]["id"]).ok()


def test_ofrep_answers_as_its_document_says(world):
    world.deploy()
    ask = lambda key, body: world.server.post(f"/ofrep/v1/evaluate/flags/{key}", body)
    context = {"context": {"targetingKey": "c-1", "country": "DE"}}
    flag = ask("churn", context)
    assert flag.status == 200
    body = flag.json()
    assert (body["key"], body["variant"], body["value"], body["reason"]) == (
        "churn", "champion", "champion", "STATIC")
    unknown = ask("nobody", context)
    assert unknown.status == 404
    assert (unknown.json()["key"], unknown.json()["errorCode"]) == ("nobody", "FLAG_NOT_FOUND")
    for bad, code in [({}, "TARGETING_KEY_MISSING"), ({"context": 1}, "INVALID_CONTEXT"), ("{", "PARSE_ERROR")]:
        answer = ask("churn", bad)
        assert (answer.status, answer.json()["errorCode"]) == (400, code)
    bulk = world.server.post("/ofrep/v1/evaluate/flags", context)
    assert [f["key"] for f in bulk.json()["flags"]] == ["churn"]
    again = world.server.post(
        "/ofrep/v1/evaluate/flags", context, headers={"If-None-Match": bulk.headers["ETag"]})
    assert again.status == 304
    world.server.run("kill", "churn", "--reason", "drill").ok()
    assert ask("churn", context).json()["reason"] == "DISABLED"


def test_the_page_shows_and_moves_a_rollout(world, page):
    world.deploy(fallback={"output": {"value": -1}})
    second = world.register("other")
    assert world.start(second, steps=[{"share": 0.5, "min_time": "P1D", "min_n": 1}]).status == 201
    for n in range(20):
        world.value(entity=f"c-{n}")
    page.goto(f"{world.server.url}/endpoints/churn")
    assert page.locator("h2", has_text=f"Rollout: version 1 to {second}").is_visible()
    page.get_by_role("button", name="Pause").click()
    assert world.rollout()["phase"] == "paused"
    page.get_by_role("button", name="Roll back").click()
    assert world.rollout()["phase"] == "rolled_back"
    page.get_by_role("button", name="Ask").click()
    assert page.locator("h2", has_text="The endpoint answered").is_visible()
    page.goto(f"{world.server.url}/endpoints/churn")
    page.get_by_label("Why").fill("wrong scores")
    page.get_by_role("button", name="Stop the model").click()
    assert page.locator("h2", has_text="Killed").is_visible()
    assert world.value()["output"] == {"value": -1}
    page.get_by_role("button", name="Let the model answer again").click()
    assert world.value()["output"]["value"] == 80.0


def test_the_dashboard_asks_for_metrics_that_exist(world):
    import json
    import re

    from conftest import ROOT

    world.deploy()
    second = world.register("other")
    assert world.start(second, steps=[{"share": 0.5, "min_time": "P1D", "min_n": 1}]).status == 201
    for n in range(20):
        world.value(entity=f"c-{n}")
    exposed = set(re.findall(r"^# TYPE (\S+)", world.server.get("/metrics").text, re.MULTILINE))
    dashboard = json.loads((ROOT / "docs/operations/grafana-viaduct.json").read_text())
    asked = {
        re.sub(r"_(total|bucket)$", "", name)
        for panel in dashboard["panels"] for target in panel["targets"]
        for name in re.findall(r"viaduct_\w+", target["expr"])
    }
    assert len(asked) > 15 and asked <= exposed, asked - exposed
