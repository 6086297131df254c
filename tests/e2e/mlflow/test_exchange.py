"""Whole databases of real MLflow servers come in, survive a kill, and go back out."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from clients import HERE, environment, settings
from conftest import BINARY, clean_environment, run

SCRIPTS = HERE / "exchange"
# Runs that are alike; the script adds four that are not.
MANY = 200
RUNS = MANY + 4


def client(generation: int, tracking_uri: str, home: Path, script: str, *args) -> None:
    done = subprocess.run(
        [environment(generation), "-W", "ignore", SCRIPTS / script, *map(str, args)],
        cwd=home, capture_output=True, text=True, timeout=300, env=settings(tracking_uri, home),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def dump(generation: int, tracking_uri: str, home: Path, name: str) -> dict:
    client(generation, tracking_uri, home, "dump.py", home / name)
    return json.loads((home / name).read_text())


@pytest.fixture(scope="module")
def databases(tmp_path_factory):
    """`databases(2)`: the folder of a database that the client of that generation made, and what it shows."""
    made = {}

    def make(generation: int) -> tuple[Path, dict]:
        if generation not in made:
            home = tmp_path_factory.mktemp(f"mlflow{generation}")
            uri = f"sqlite:///{home}/mlflow.db"
            client(generation, uri, home, "fill.py", home / "mlruns", MANY)
            made[generation] = home, dump(generation, uri, home, "source.json")
        return made[generation]

    return make


def same(there: dict, here: dict) -> None:
    """Compares part by part, so that a difference is named and not printed as two books."""
    assert there.keys() == here.keys()
    for part in there:
        assert len(there[part]) == len(here[part]), part
        for one, other in zip(there[part], here[part], strict=True):
            if isinstance(one, dict):
                for name in one:
                    assert other[name] == one[name], f"{part} {one['info'][0]} {name}"
            else:
                assert other == one, part


def counts(report: str) -> dict[str, list[int]]:
    """`runs  254  254  0  0` as `{"runs": [found, brought, present, skipped]}`."""
    lines = [line.split() for line in report.splitlines() if line and not line.startswith(("-", " "))]
    return {" ".join(words[:-4]): list(map(int, words[-4:])) for words in lines if words[-1].isdigit()}


@pytest.mark.parametrize("generation", [2, 3])
def test_a_database_comes_in(servers, database, databases, tmp_path, generation):
    home, there = databases(generation)
    place = ["--data-dir", tmp_path / "data", *database]
    report = run("import", "mlflow", *place, "--from", f"sqlite:///{home}/mlflow.db",
                 "--artifacts", home / "mlruns", "--copy").ok()
    first = counts(report.out)
    assert first["runs"] == [RUNS, RUNS, 0, 0] and first["params"][0] == first["params"][1] == RUNS
    assert first["metric points"][0] == first["metric points"][1] >= MANY * 20
    server = servers("data", *database)
    same(there, dump(generation, server.url, tmp_path, "here.json"))
    made = server.post("/api/2.0/mlflow/experiments/create", {"name": "after"}).json()
    assert int(made["experiment_id"]) > max(int(e[0]) for e in there["experiments"]), "ids go on"
    server.stop()
    report = run("import", "mlflow", *place, "--from", f"sqlite:///{home}/mlflow.db",
                 "--artifacts", home / "mlruns", "--copy").ok()
    again = counts(report.out)
    assert all(line[1] == 0 for line in again.values()), f"a second import brings nothing: {report.out}"
    assert again["runs"] == [RUNS, 0, RUNS, 0]


def test_an_import_that_was_killed_goes_on(servers, databases, tmp_path):
    home, there = databases(3)
    words = ["import", "mlflow", "--data-dir", tmp_path / "data", "--from", f"sqlite:///{home}/mlflow.db",
             "--artifacts", home / "mlruns", "--copy"]
    start = time.monotonic()
    run("import", "mlflow", "--data-dir", tmp_path / "whole", *words[4:]).ok()
    whole = time.monotonic() - start
    kills = 0
    # Why shares of a whole import: how long one takes differs tenfold between machines.
    for share in (0.5, 0.2, 0.3, 0.4, 0.5, 0.7):
        process = subprocess.Popen([BINARY, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=clean_environment())
        time.sleep(share * whole)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills > 0, "it was never caught at work"
    report = run(*words).ok()
    assert sum(counts(report.out)["runs"][1:3]) == RUNS
    server = servers()
    same(there, dump(3, server.url, tmp_path, "here.json"))


def test_artifacts_stay_in_place(servers, databases, tmp_path):
    home, there = databases(3)
    report = run("import", "mlflow", "--data-dir", tmp_path / "data", "--from", f"sqlite:///{home}/mlflow.db",
                 "--artifacts", home / "mlruns").ok()
    assert "--default-artifact-root" in report.err and "lie below the `--artifacts`" in report.out
    server = servers("data", "--default-artifact-root", home / "mlruns")
    same(there, dump(3, server.url, tmp_path, "here.json"))
    assert not (tmp_path / "data/blobs/1").exists(), "nothing was copied"


def test_from_postgres_to_postgres(postgres, servers, tmp_path):
    # Why the driver's name: SQLAlchemy 2.1 takes another one by default.
    source, home = postgres.database().replace("postgres://", "postgresql+psycopg2://"), tmp_path / "mlflow"
    home.mkdir()
    client(3, source, home, "fill.py", home / "mlruns", 30)
    there = dump(3, source, home, "source.json")
    ours = ["--database", postgres.database()]
    report = run("import", "mlflow", "--data-dir", tmp_path / "data", *ours, "--from", source,
                 "--artifacts", home / "mlruns", "--copy").ok()
    assert counts(report.out)["runs"] == [34, 34, 0, 0]
    same(there, dump(3, servers("data", *ours).url, tmp_path, "here.json"))


def test_what_is_refused(servers, databases, tmp_path):
    home, _ = databases(3)
    words = ["import", "mlflow", "--data-dir", tmp_path / "data"]
    (tmp_path / "not.db").write_bytes(b"")
    for source, said in [
        (f"sqlite:///{tmp_path}/none.db", "none.db"), (f"sqlite:///{tmp_path}/not.db", "no database of an MLflow server"),
        ("mysql://root:secret@h/x", "postgres://"),
    ]:
        refused = run(*words, "--from", source)
        assert refused.code == 2 and said in refused.err and "secret" not in refused.err, refused.err
        assert not (tmp_path / "data").exists(), "nothing is made for a source that is none"
    server = servers()
    made = server.post("/api/2.0/mlflow/experiments/create", {"name": "mine"}).json()
    assert made["experiment_id"] == "1"
    refused = run(*words, "--from", f"sqlite:///{home}/mlflow.db")
    assert refused.code == 2 and "in use" in refused.err, "the server holds the directory"
    server.stop()
    refused = run(*words, "--from", f"sqlite:///{home}/mlflow.db")
    assert refused.code == 2 and "experiment `1` is `first` there and `mine` here" in refused.err
    server.start()
    runs = server.post("/api/2.0/mlflow/runs/search", {"experiment_ids": ["0", "1"]}).json()
    assert runs == {}, "nothing was brought"


@pytest.mark.parametrize("generation", [2, 3])
def test_a_database_goes_out_to_a_stock_server(databases, tmp_path, generation):
    home, there = databases(generation)
    data = ["--data-dir", tmp_path / "data"]
    run("import", "mlflow", *data, "--from", f"sqlite:///{home}/mlflow.db", "--artifacts", home / "mlruns", "--copy").ok()
    target = tmp_path / "out.db"
    mlflow = environment(3).with_name("mlflow")
    refused = run("export", "mlflow", *data, "--to", f"sqlite:///{target}")
    assert refused.code == 2 and "mlflow db upgrade" in refused.err
    subprocess.run([mlflow, "db", "upgrade", f"sqlite:///{target}"], check=True, capture_output=True, timeout=120,
                   env=settings("", tmp_path))
    report = run("export", "mlflow", *data, "--to", f"sqlite:///{target}").ok()
    assert counts(report.out)["runs"][1] == RUNS
    refused = run("export", "mlflow", *data, "--to", f"sqlite:///{target}")
    assert refused.code == 2 and "not empty" in refused.err
    with sqlite3.connect(target) as db:
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(tmp_path / "stock.log", "wb") as log:
        stock = subprocess.Popen(
            [mlflow, "server", "--port", str(port), "--workers", "1", "--backend-store-uri", f"sqlite:///{target}",
             "--artifacts-destination", tmp_path / "data/blobs"],
            stdout=log, stderr=log, cwd=tmp_path, start_new_session=True,
            env=settings("", tmp_path) | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                                          "PATH": f"{mlflow.parent}:{os.environ['PATH']}"},
        )
    try:
        url, end = f"http://127.0.0.1:{port}", time.monotonic() + 90
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while True:
            try:
                opener.open(f"{url}/health", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < end and stock.poll() is None, (tmp_path / "stock.log").read_text()[-3000:]
                time.sleep(0.3)
        same(there, dump(generation, url, tmp_path, "stock.json"))
    finally:
        os.killpg(stock.pid, signal.SIGTERM)
        stock.wait(20)
