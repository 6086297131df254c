"""What breaks beside a serving gateway: its process, disk, database, models and callers.

No hang, no wrong answer, a clear error, and recovery without help.
"""

import os
import random
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests

from conftest import People

COLUMNS = ["age", "balance"]


def graph(kind):
    """Of two columns. `good` doubles their sum; `old` gives NaN above the age of 500; `slow` works
    the longer the higher the age is."""
    from onnx import TensorProto, helper, numpy_helper

    def constant(name, value, dtype=np.float32):
        return numpy_helper.from_array(np.array(value, dtype=dtype), name)

    node = helper.make_node
    constants = [constant("two", [[2.0]])]
    nodes = [node("Add", COLUMNS, ["sum"]), node("Mul", ["sum", "two"], ["doubled"])]
    if kind == "old":
        constants += [constant("limit", [[500.0]]), constant("zero", [[0.0]])]
        nodes += [node("Sub", ["limit", "age"], ["left"]), node("Sqrt", ["left"], ["root"]),
                  node("Mul", ["root", "zero"], ["nothing"]), node("Add", ["doubled", "nothing"], ["value"])]
    elif kind == "slow":
        body = helper.make_graph(
            [node("Identity", ["go"], ["on"]), node("MatMul", ["state", "unit"], ["next"])], "body",
            [helper.make_tensor_value_info("turn", TensorProto.INT64, []),
             helper.make_tensor_value_info("go", TensorProto.BOOL, []),
             helper.make_tensor_value_info("state", TensorProto.FLOAT, [320, 320])],
            [helper.make_tensor_value_info("on", TensorProto.BOOL, []),
             helper.make_tensor_value_info("next", TensorProto.FLOAT, [320, 320])],
        )
        constants += [constant("unit", np.eye(320)), constant("go", True, np.bool_), constant("zero", [[0.0]])]
        nodes += [node("ReduceMax", ["age"], ["longest"], keepdims=0),
                  node("Cast", ["longest"], ["turns"], to=TensorProto.INT64),
                  node("Loop", ["turns", "go", "unit"], ["worked"], body=body),
                  node("ReduceMax", ["worked"], ["one"], keepdims=0),
                  node("Mul", ["one", "zero"], ["nothing"]), node("Add", ["doubled", "nothing"], ["value"])]
    else:
        nodes += [node("Identity", ["doubled"], ["value"])]
    columns = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, 1]) for n in COLUMNS]
    out = [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])]
    made = helper.make_graph(nodes, kind, columns, out, constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def register(server, name, kind, alias="champion", spoil=None):
    """The next version of a registered model; `spoil` changes the bytes of its file."""
    import mlflow
    import mlflow.onnx
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    signature = ModelSignature(
        inputs=Schema([ColSpec("float", column) for column in COLUMNS]), outputs=Schema([ColSpec("float", "value")]))
    before = dict(os.environ)
    os.environ.update(MLFLOW_TRACKING_URI=server.url, NO_PROXY="*")
    if server.token:
        os.environ["MLFLOW_TRACKING_TOKEN"] = server.token
    try:
        mlflow.set_tracking_uri(server.url)
        client = mlflow.MlflowClient()
        folder = server.data_dir.with_name(f"model-{time.monotonic_ns()}")
        mlflow.onnx.save_model(graph(kind), folder, signature=signature,
                               pip_requirements=["onnx"], save_as_external_data=False)
        if spoil:
            file = folder / "model.onnx"
            file.write_bytes(spoil(file.read_bytes()))
        try:
            client.create_registered_model(name)
        except mlflow.exceptions.MlflowException as error:
            assert error.error_code == "RESOURCE_ALREADY_EXISTS", error
        with mlflow.start_run() as run:
            mlflow.log_artifacts(str(folder), "model")
        source = f"{run.info.artifact_uri}/model"
        version = client.create_model_version(name, source, run.info.run_id).version
        if alias:
            client.set_registered_model_alias(name, alias, version)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return int(version)


def deploy(server, name, **more):
    made = server.post("/api/v1/endpoints", {"name": name, "model": f"{name}@champion", **more})
    assert made.status in (200, 201), made.text
    return made


def row(age=30.0, balance=10.0, **more):
    return {"age": age, "balance": balance, **more}


def ask(server, name, rows, key=None, **more):
    headers = {"X-Api-Key": key} if key else {}
    return server.post(f"/api/v1/endpoints/{name}/predict", {"rows": rows, **more}, headers=headers)


def is_problem(answer, kind):
    return answer.json()["type"].rsplit("/", 1)[-1].endswith(kind)


def eventually(check, limit_s=30):
    """The first truth that `check` answers; its last word when there was none."""
    end = time.monotonic() + limit_s
    while True:
        found = check()
        if found or time.monotonic() > end:
            return found
        time.sleep(0.1)


@pytest.fixture
def make(servers, runtime_library):
    return lambda *args: servers("data", *args, VIADUCT__RUNTIME__LIBRARY=str(runtime_library))


class Load:
    """Callers who ask, report an outcome, and remember what was acknowledged."""

    def __init__(self, server, name, key=None, callers=8, outcomes=True):
        self.server, self.name, self.over = server, name, threading.Event()
        self.headers = {"X-Api-Key": key} if key else {}
        self.decisions, self.outcomes, self.refused, self.outcomes_refused = [], [], [], []
        self.with_outcomes, self.pause = outcomes, 0.0
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(callers)]

    def run(self, number):
        session, count = requests.Session(), 0
        session.trust_env = False
        while not self.over.is_set():
            count += 1
            sent = [row(age=float(n), balance=float(number), customer=f"c-{count}") for n in range(1 + count % 3)]
            try:
                answer = session.post(f"{self.server.url}/api/v1/endpoints/{self.name}/predict", timeout=30,
                                      json={"rows": sent, "entity": "customer"}, headers=self.headers)
                if answer.status_code != 200:
                    self.refused.append(answer.text)
                    continue
                made = answer.json()["decisions"]
                assert [d["output"]["value"] for d in made] == [2 * (r["age"] + r["balance"]) for r in sent]
                self.decisions += [d["decision_id"] for d in made]
                if not self.with_outcomes:
                    continue
                outcome = {"decision_id": made[0]["decision_id"], "label": True, "value": 1.0}
                answer = session.post(f"{self.server.url}/api/v1/outcomes", json=[outcome], timeout=30,
                                      headers=self.headers)
                if answer.status_code < 300:
                    self.outcomes.append(made[0]["decision_id"])
                else:
                    self.outcomes_refused.append(answer.text)
            except (OSError, ValueError):
                time.sleep(0.02)
            time.sleep(self.pause)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(40)
            assert not thread.is_alive(), "a caller hangs"

    def is_all_there(self, server):
        """Every answered decision is in the log under an id of its own, every outcome with it."""
        assert len(set(self.decisions)) == len(self.decisions), "an id was given twice"
        with_outcome = set(self.outcomes)
        with ThreadPoolExecutor(8) as pool:
            shown = pool.map(lambda d: (d, server.get(f"/api/v1/decisions/{d}")), self.decisions)
            for decision, answer in shown:
                assert answer.status == 200, f"{decision} was answered and is gone"
                if decision in with_outcome:
                    assert answer.json()["outcomes"], f"the outcome of {decision} is gone"


def test_kill9_under_load_loses_nothing_answered(make):
    server = make()
    register(server, "leads", "good")
    deploy(server, "leads")
    with Load(server, "leads") as load:
        for _ in range(2):
            seen = len(load.decisions)
            assert eventually(lambda: len(load.decisions) > seen + 100), load.refused[:3]
            server.kill9()
            server.start()
        seen = len(load.decisions)
        assert eventually(lambda: len(load.decisions) > seen + 50), "it goes on without help"
    assert load.outcomes
    load.is_all_there(server)


@pytest.mark.parametrize("what", ["the log", "everything"])
def test_full_disk_is_told_and_over_when_there_is_room(make, tmp_path, what):
    place = tmp_path / "data" if what == "everything" else tmp_path / "data" / "decisions"
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    server = None
    try:
        server = make()
        register(server, "leads", "good")
        deploy(server, "leads")
        # Keys without a pattern, so that the log cannot pack them.
        chance, answered = random.Random(3), []
        end = time.monotonic() + 60
        while True:
            assert time.monotonic() < end, "the disk was never full"
            sent = [row(order=chance.randbytes(400).hex()) for _ in range(200)]
            answer = ask(server, "leads", sent, keys=["order"])
            if answer.status != 200:
                break
            answered += [decision["decision_id"] for decision in answer.json()["decisions"]]
        assert answer.status == 503 and is_problem(answer, "log-full"), answer.text
        assert "disk" in answer.json()["detail"], answer.text
        assert len(answered) > 1000
        infer = {"inputs": [{"name": n, "shape": [200, 1], "datatype": "FP32", "data": [1.0] * 200} for n in COLUMNS]}
        while (refused := server.post("/v2/models/leads/infer", infer)).status == 200:
            assert time.monotonic() < end
        assert refused.status == 503 and "disk" in refused.json()["error"], refused.text
        acknowledged = {}
        for number in range(2000 if what == "everything" else 1):
            outcome = {"decision_id": answered[number % 50], "label": True, "value": float(number)}
            told = server.post("/api/v1/outcomes", [outcome])
            assert told.status in (201, 503), told.text
            if told.status == 503:
                break
            acknowledged[outcome["decision_id"]] = outcome["value"]
        assert told.status == (503 if what == "everything" else 201), "the database's disk was never full"
        subprocess.run(["mount", "-o", "remount,size=32m", str(place)], check=True)
        sent = [row(order=chance.randbytes(400).hex()) for _ in range(200)]
        again = eventually(lambda: (a := ask(server, "leads", sent, keys=["order"])).status == 200 and a, 10)
        assert again, f"no recovery\n{server.log()}"
        answered += [decision["decision_id"] for decision in again.json()["decisions"]]
        server.kill9()
        server.start()
        for decision in [*answered[::97], answered[-1]]:
            assert server.get(f"/api/v1/decisions/{decision}").status == 200
        assert server.post("/api/v1/outcomes", [{"decision_id": answered[-1], "label": True}]).status == 201
        for decision, value in acknowledged.items():
            assert str(value) in server.get(f"/api/v1/decisions/{decision}").text
    finally:
        if server and server.is_up():
            server.stop()
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def own_postgres():
    """A PostgreSQL of the test's own, because it is killed."""
    from postgres import Postgres

    cluster = Postgres()
    yield cluster
    cluster.close()


def test_many_deployed_at_once_on_postgres(make, own_postgres):
    """The callers and the queue's job bind the same endpoints at the same time."""
    server = make("--database", own_postgres.database())
    register(server, "leads", "good")

    def put(number):
        return server.post("/api/v1/endpoints", {"name": f"leads-{number}", "model": "leads@champion"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(put, range(40)))
    assert [a.text for a in answers if a.status not in (200, 201)] == []
    for number in range(40):
        assert ask(server, f"leads-{number}", [row()]).status == 200


def away(answer):
    return answer.status == 503 and is_problem(answer, "database-away")


def test_database_away_under_load_and_a_restart_meanwhile(make, own_postgres):
    server = make("--database", own_postgres.database())
    people = People(server)
    people.add("ada", "admin")
    people.become("ada")
    register(server, "leads", "good")
    deploy(server, "leads")
    key = server.run("consumer", "add", "leads", "shop").ok().out.strip()
    server.token = None
    with Load(server, "leads", key, callers=4) as load:
        assert eventually(lambda: len(load.outcomes) > 20), (load.refused[:2], load.outcomes_refused[:2])
        own_postgres.stop()
        assert eventually(lambda: len(load.outcomes_refused) > 3), "outcomes are refused, and soon"
        seen = len(load.decisions)
        assert eventually(lambda: len(load.decisions) > seen + 50), "predictions go on"
        assert not load.refused, load.refused[:2]

        server.kill9()
        server.start()
        seen = len(load.decisions)
        assert eventually(lambda: len(load.decisions) > seen + 50), "they go on after a restart"
        one = {"decision_id": load.decisions[-1], "label": True}
        refused = server.post("/api/v1/outcomes", [one], headers={"X-Api-Key": key})
        assert away(refused), refused.text
        assert server.get("/readyz").json()["degraded"], "ready, and it says what is missing"
        # Nobody can be told apart: the door stays shut.
        token = {"Authorization": f"Bearer {people.tokens['ada']}"}
        assert away(server.get("/api/v1/endpoints", headers=token))
        for path in ("/api/v1/endpoints", "/api/v1/audit", f"/api/v1/decisions/{load.decisions[0]}"):
            assert server.get(path).status in (401, 503), path
        assert ask(server, "leads", [row()]).status in (401, 503)
        assert ask(server, "leads", [row()], key="vdk_wrong").status == 401

        own_postgres.start()
        seen = len(load.outcomes)
        assert eventually(lambda: len(load.outcomes) > seen + 10), f"outcomes flow again\n{server.log()}"
        assert eventually(lambda: server.get("/api/v1/endpoints", headers=token).status == 200)
    assert not load.refused, load.refused[:2]
    people.become("ada")
    load.is_all_there(server)
    assert server.get("/readyz").json()["degraded"] == []


def signal_all(cluster, which):
    """A signal to the postmaster and to every process of its own."""
    postmaster = int((cluster.dir / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, which)
    found = subprocess.run(["pgrep", "-P", str(postmaster)], capture_output=True, text=True)
    for child in found.stdout.split():
        os.kill(int(child), which)


def test_a_database_that_is_silent_hangs_nobody(make, own_postgres):
    server = make("--database", own_postgres.database())
    register(server, "leads", "good")
    deploy(server, "leads")
    decision = ask(server, "leads", [row()]).json()["decisions"][0]["decision_id"]
    outcome = {"decision_id": decision, "label": True, "value": 5.0}
    signal_all(own_postgres, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(40) as pool:
            began = time.monotonic()
            waiting = [pool.submit(server.post, "/api/v1/outcomes", [outcome]) for _ in range(40)]
            with Load(server, "leads", callers=2, outcomes=False) as load:
                assert eventually(lambda: len(load.decisions) > 100, 20), "predictions do not wait for it"
            answers = [one.result(90) for one in waiting]
            took = time.monotonic() - began
        assert not load.refused, load.refused[:2]
        assert all(away(answer) for answer in answers), [a.text for a in answers][:2]
        assert took < 45, took
    finally:
        signal_all(own_postgres, signal.SIGCONT)
    came = eventually(lambda: server.post("/api/v1/outcomes", [outcome]).status < 300, 30)
    assert came, f"no recovery\n{server.log()}"
    assert "5.0" in server.get(f"/api/v1/decisions/{decision}").text


def test_a_rollout_is_rolled_back_while_the_database_is_away(make, own_postgres):
    server = make("--database", own_postgres.database())
    register(server, "leads", "good")
    deploy(server, "leads", fallback="previous")
    second = register(server, "leads", "old", alias=None)
    plan = {"to": second, "steps": [{"share": 0.5, "min_time": "P1D", "min_n": 1000}],
            "conditions": [{"what": "nan_rate", "max": 0, "min_n": 5}]}
    assert server.post("/api/v1/endpoints/leads/rollouts", plan).status == 201

    def versions(age):
        made = [ask(server, "leads", [row(age=age, customer=f"c-{n}")], entity="customer") for n in range(30)]
        assert all(answer.status == 200 for answer in made), [a.text for a in made if a.status != 200][:1]
        return {answer.json()["decisions"][0]["model_version"] for answer in made}

    assert versions(30.0) == {1, second}
    own_postgres.stop()
    began = time.monotonic()
    assert eventually(lambda: versions(600.0) and versions(30.0) == {1}, 10), "no rollback"
    assert time.monotonic() - began < 10
    server.kill9()
    server.start()
    assert versions(30.0) == {1}, "the rollback survives a restart"
    own_postgres.start()
    told = eventually(lambda: (a := server.get("/api/v1/rollouts/leads")).status == 200
                      and a.json()["phase"] == "rolled_back" and a.json())
    assert told and "nan_rate" in told["history"][-1]["reason"], server.get("/api/v1/rollouts/leads").text
    assert versions(30.0) == {1}


SPOILED = {
    "cut in half": lambda data: data[:len(data) // 2],
    "noise": lambda data: random.Random(1).randbytes(len(data)),
    "empty": lambda data: b"",
}


def test_a_spoiled_file_leaves_the_old_version_in_service(make):
    server = make()
    register(server, "leads", "good")
    deploy(server, "leads")
    with Load(server, "leads", callers=2, outcomes=False) as load:
        for how, spoil in SPOILED.items():
            bad = register(server, "leads", "good", spoil=spoil)
            for _ in range(5):
                decision = ask(server, "leads", [row()])
                assert decision.status == 200, f"{how}: {decision.text}"
                assert decision.json()["decisions"][0]["model_version"] == 1, how
            assert bad > 1
        server.kill9()
        server.start()
        assert ask(server, "leads", [row()]).json()["decisions"][0]["model_version"] == 1
        good = register(server, "leads", "good")
        serves = lambda: ask(server, "leads", [row()]).json()["decisions"][0]["model_version"] == good
        assert eventually(serves, 10), f"a good file takes over\n{server.log()}"
    assert not load.refused, load.refused[:2]
    # An endpoint that never had a model says why.
    register(server, "fresh", "good", spoil=SPOILED["noise"])
    made = server.post("/api/v1/endpoints", {"name": "fresh", "model": "fresh@champion"})
    answer = ask(server, "fresh", [row()]) if made.status < 300 else made
    assert answer.status in (409, 503) and "fresh" in answer.text, (made.text, answer.text)
    assert "panicked" not in server.log()


def test_nan_does_not_decide(make):
    server = make()
    register(server, "leads", "old")
    deploy(server, "leads")
    answer = ask(server, "leads", [row(), row(age=600.0)])
    assert answer.status == 422 and is_problem(answer, "no-answer"), answer.text
    assert "1" in answer.json()["errors"][0]["pointer"], answer.text
    tensors = {"inputs": [{"name": n, "shape": [1, 1], "datatype": "FP32", "data": [600.0]} for n in COLUMNS]}
    refused = server.post("/v2/models/leads/infer", tensors)
    assert refused.status == 422 and "finite" in refused.json()["error"], refused.text
    deploy(server, "leads", fallback={"output": {"value": -1}, "action": "by hand"})
    first, second = ask(server, "leads", [row(), row(age=600.0)]).json()["decisions"]
    assert first["output"]["value"] == 80.0
    assert second["output"] == {"value": -1} and second["action"] == "by hand"
    logged = server.get(f"/api/v1/decisions/{second['decision_id']}").json()
    assert {"fallback", "not_finite"} <= set(logged["flags"]), logged


def test_a_slow_model_holds_up_nobody_else(make):
    server = make()
    register(server, "slow", "slow")
    register(server, "quick", "good")
    deploy(server, "slow", limits={"deadline_ms": 1500, "queue": 3})
    deploy(server, "quick")
    first = ask(server, "slow", [row(age=1.0)])
    assert first.status == 200, first.text

    def timed(rounds):
        began = time.monotonic()
        answer = ask(server, "slow", [row(age=rounds)])
        return answer, time.monotonic() - began

    # Why measured: machines differ, and each call shall take longer than its deadline.
    each = min(timed(200.0)[1] for _ in range(3)) / 200
    rounds = round(3 / each)

    with ThreadPoolExecutor(24) as pool:
        asked = [pool.submit(timed, rounds) for _ in range(24)]
        took = []
        while not all(one.done() for one in asked):
            began = time.monotonic()
            assert ask(server, "quick", [row()]).status == 200
            took.append(time.monotonic() - began)
        answers = [one.result() for one in asked]
    late = [(answer, took_s) for answer, took_s in answers if answer.status == 504]
    full = [answer for answer, _ in answers if answer.status == 429]
    assert len(late) + len(full) == 24 and late and full, [answer.text for answer, _ in answers]
    assert all(is_problem(answer, "deadline-passed") and 1 < took_s < 6 for answer, took_s in late)
    assert all(is_problem(answer, "queue-full") and answer.headers["Retry-After"] for answer in full)
    assert len(took) > 5 and sorted(took)[len(took) // 2] < 0.5, took
    again = lambda: ask(server, "slow", [row(age=1.0)]).status == 200
    assert eventually(again, 60), f"it answers again when the work is done\n{server.log()}"
    began = time.monotonic()
    timed(rounds)
    server.stop()
    assert time.monotonic() - began < 20, "work that nobody waits for does not hold the end up"


def test_malformed_tensors_never_break_it(make):
    server = make()
    register(server, "leads", "good")
    deploy(server, "leads")
    header = (b'{"inputs":[{"name":"age","shape":[2,1],"datatype":"FP32","parameters":{"binary_data_size":8}},'
              b'{"name":"balance","shape":[2,1],"datatype":"FP32","parameters":{"binary_data_size":8}}]}')
    tail = np.array([30, 31, 10, 11], np.float32).tobytes()
    chance, session = random.Random(11), requests.Session()
    session.trust_env = False

    def send(body, length):
        return session.post(f"{server.url}/v2/models/leads/infer", data=body, timeout=30,
                            headers={"Inference-Header-Content-Length": str(length)})

    assert send(header + tail, len(header)).status_code == 200
    swaps = [(b"8", b"9"), (b"8", b"-1"), (b"8", b"18446744073709551616"), (b"[2,1]", b"[2,1,1]"), (b"[2,1]", b"[]"),
             (b"[2,1]", b"[9223372036854775807,2]"), (b"FP32", b"BYTES"), (b"FP32", b"INT64"), (b"FP32", b"BOOL"),
             (b"age", b"\xff\xfe"), (b"age", b"balance"), (b"[2,1]", b"[2.5]"), (b"inputs", b"outputs")]
    codes = set()
    for number in range(400):
        body, length = bytearray(header + tail), len(header)
        if number < len(swaps):
            changed = header.replace(*swaps[number])
            body, length = bytearray(changed + tail), len(changed)
        elif number % 3 == 0:
            length = chance.choice([0, 1, -1, length - 1, length + 1, len(body), len(body) + 1, 10**20])
        else:
            for _ in range(chance.randint(1, 4)):
                place = chance.randrange(len(body))
                body[place] = chance.randrange(256)
            if number % 3 == 1:
                del body[chance.randrange(len(body)):]
        answer = send(bytes(body), length)
        codes.add(answer.status_code)
        assert answer.status_code < 500, (number, bytes(body), length, answer.text)
        if answer.status_code != 200:
            assert set(answer.json()) == {"error"} and answer.json()["error"], answer.text
        elif number < len(swaps):
            raise AssertionError(f"{swaps[number]} was taken: {answer.text}")
    assert {400} <= codes
    assert ask(server, "leads", [row()]).status == 200 and "panicked" not in server.log()
