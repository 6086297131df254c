"""Experiments and runs as data scientists log them."""

import math
import time

import mlflow
import pytest
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException


def test_the_default_experiment_is_there(client):
    assert client.get_experiment("0").name == "Default"
    assert client.get_experiment_by_name("Default").experiment_id == "0"
    assert "Default" in [e.name for e in client.search_experiments()]


def test_an_experiment_lives_and_dies(client, name):
    made = client.create_experiment(name, tags={"team": "a"})
    client.set_experiment_tag(made, "stage", "try")
    seen = client.get_experiment(made)
    assert seen.tags == {"team": "a", "stage": "try"} and seen.lifecycle_stage == "active"
    assert seen.creation_time > 1_600_000_000_000
    with pytest.raises(MlflowException) as refused:
        client.create_experiment(name)
    assert refused.value.error_code == "RESOURCE_ALREADY_EXISTS"
    client.rename_experiment(made, name + "-2")
    assert client.get_experiment_by_name(name) is None
    run = client.create_run(made)
    client.delete_experiment(made)
    assert client.get_experiment(made).lifecycle_stage == "deleted"
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "deleted"
    with pytest.raises(MlflowException) as refused:
        client.create_run(made)
    assert "must be in the 'active' state" in str(refused.value)
    client.restore_experiment(made)
    assert client.get_experiment(made).lifecycle_stage == "active"
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "active"


def test_experiments_are_found(client, name):
    ids = [client.create_experiment(f"{name}-{i}", tags={"n": str(i)}) for i in range(5)]
    found = client.search_experiments(filter_string=f"name LIKE '{name}%'", order_by=["name ASC"])
    assert [e.experiment_id for e in found] == ids
    found = client.search_experiments(filter_string=f"name LIKE '{name}%' AND tags.n = '3'")
    assert [e.experiment_id for e in found] == [ids[3]]
    first = client.search_experiments(filter_string=f"name ILIKE '{name.upper()}%'", max_results=2)
    rest = client.search_experiments(
        filter_string=f"name ILIKE '{name.upper()}%'", max_results=10, page_token=first.token
    )
    assert [e.experiment_id for e in [*first, *rest]] == ids[::-1] and not rest.token
    client.delete_experiment(ids[0])
    gone = client.search_experiments(view_type=ViewType.DELETED_ONLY, filter_string=f"name = '{name}-0'")
    assert [e.experiment_id for e in gone] == [ids[0]]


def test_a_run_logs_everything(client, experiment):
    with mlflow.start_run(run_name="all", tags={"a": "1"}) as run:
        mlflow.log_metric("one", 0.5, step=1)
        mlflow.log_metrics({"two": 2.0, "three": 3.0}, step=2)
        mlflow.log_param("p", 1)
        mlflow.log_params({"q": "x", "long": "y" * 5000})
        mlflow.set_tag("t", "ü")
        mlflow.set_tags({"u": "v"})
        mlflow.delete_tag("a")
        for step in range(4):
            mlflow.log_metric("one", step / 10, step=step)
    seen = client.get_run(run.info.run_id)
    assert seen.info.status == "FINISHED" and seen.info.run_name == "all"
    assert seen.info.end_time >= seen.info.start_time
    assert seen.data.metrics == {"one": 0.3, "two": 2.0, "three": 3.0}
    assert seen.data.params == {"p": "1", "q": "x", "long": "y" * 5000}
    assert seen.data.tags["t"] == "ü" and seen.data.tags["u"] == "v" and "a" not in seen.data.tags
    assert seen.data.tags["mlflow.runName"] == "all"
    history = client.get_metric_history(run.info.run_id, "one")
    assert sorted((m.step, m.value) for m in history) == [(0, 0.0), (1, 0.1), (1, 0.5), (2, 0.2), (3, 0.3)]


def test_numbers_without_a_number(client, experiment):
    with mlflow.start_run() as run:
        mlflow.log_metric("nan", float("nan"))
        mlflow.log_metric("up", float("inf"))
        mlflow.log_metric("down", float("-inf"))
    metrics = client.get_run(run.info.run_id).data.metrics
    assert math.isnan(metrics["nan"])
    assert metrics["up"] > 1e308 and metrics["down"] < -1e308


def test_a_batch_is_all_or_nothing(client, experiment):
    run = client.create_run(experiment.experiment_id).info.run_id
    now = int(time.time() * 1000)
    metrics = [Metric(f"m{i}", float(i), now, 0) for i in range(900)]
    client.log_batch(run, metrics, [Param("a", "1")], [RunTag("t", "1")])
    client.log_batch(run, metrics, [Param("a", "1")], [RunTag("t", "2")])
    seen = client.get_run(run)
    assert len(seen.data.metrics) == 900 and seen.data.tags["t"] == "2"
    assert len(client.get_metric_history(run, "m7")) == 1, "a point logged twice is one"
    with pytest.raises(MlflowException) as refused:
        client.log_batch(run, [Metric("late", 1.0, now, 0)], [Param("b", "1"), Param("a", "2")])
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    assert "Changing param values is not allowed" in str(refused.value)
    seen = client.get_run(run)
    assert "late" not in seen.data.metrics and "b" not in seen.data.params


def test_a_deleted_run_is_not_written(client, experiment):
    run = client.create_run(experiment.experiment_id).info.run_id
    client.delete_run(run)
    for write in (
        lambda: client.log_metric(run, "m", 1.0),
        lambda: client.log_param(run, "p", "1"),
        lambda: client.set_tag(run, "t", "1"),
        lambda: client.set_terminated(run),
    ):
        with pytest.raises(MlflowException) as refused:
            write()
        assert "must be in the 'active' state" in str(refused.value)
    assert client.search_runs([experiment.experiment_id]) == []
    found = client.search_runs([experiment.experiment_id], run_view_type=ViewType.DELETED_ONLY)
    assert [r.info.run_id for r in found] == [run]
    client.restore_run(run)
    client.log_metric(run, "m", 1.0)


def test_runs_are_found(client, experiment):
    made = []
    for i in range(6):
        with mlflow.start_run(run_name=f"run-{i}") as run:
            mlflow.log_metric("acc", i / 10)
            mlflow.log_param("kind", "even" if i % 2 == 0 else "odd")
            mlflow.set_tag("note.Key", f"N{i}")
        made.append(run.info.run_id)

    def found(text, **more):
        return [made.index(r.info.run_id) for r in client.search_runs([experiment.experiment_id], text, **more)]

    order = {"order_by": ["metrics.acc DESC"]}
    assert found("metrics.acc >= 0.2 and params.kind = 'even'", **order) == [4, 2]
    assert found("metrics.acc < 0.2", order_by=["metrics.acc ASC"]) == [0, 1]
    assert found("tags.`note.Key` LIKE 'N%' and tags.\"note.Key\" != 'N3'", **order) == [5, 4, 2, 1, 0]
    assert found("tags.`note.Key` LIKE 'n%'") == []
    assert found("tags.`note.Key` ILIKE 'n3'") == [3]
    assert found("attributes.run_name = 'run-1'") == [1]
    assert found("run_id = '%s'" % made[2]) == [2]
    assert found("attributes.status = 'FINISHED' and attributes.start_time > 0", **order) == [5, 4, 3, 2, 1, 0]
    assert found("metrics.nothing > 0") == []
    first = client.search_runs([experiment.experiment_id], order_by=["params.kind", "metrics.acc"], max_results=4)
    assert [made.index(r.info.run_id) for r in first] == [0, 2, 4, 1]
    second = client.search_runs(
        [experiment.experiment_id], order_by=["params.kind", "metrics.acc"], max_results=4, page_token=first.token
    )
    assert [made.index(r.info.run_id) for r in second] == [3, 5] and not second.token
    frame = mlflow.search_runs([experiment.experiment_id], "metrics.acc > 0.35")
    assert sorted(frame["metrics.acc"]) == [0.4, 0.5]
    for bad in ("metrics.acc > 'x'", "nothing = 'x'", "metrics.acc > 1 XOR metrics.acc < 0"):
        with pytest.raises(MlflowException) as refused:
            client.search_runs([experiment.experiment_id], bad)
        assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_nested_and_resumed_runs(client, experiment):
    with mlflow.start_run() as parent:
        with mlflow.start_run(nested=True) as child:
            mlflow.log_metric("m", 1)
    assert client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == parent.info.run_id
    with mlflow.start_run(run_id=child.info.run_id):
        mlflow.log_metric("m", 2, step=1)
    assert client.get_run(child.info.run_id).data.metrics == {"m": 2.0}
    client.update_run(child.info.run_id, name="other")
    assert client.get_run(child.info.run_id).info.run_name == "other"


def test_a_dataset_is_an_input(client, experiment):
    import pandas as pd

    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(frame, name="leads"), context="training")
    used = client.get_run(run.info.run_id).inputs.dataset_inputs[0]
    assert used.dataset.name == "leads" and used.tags[0].value == "training"
    assert "mlflow_colspec" in used.dataset.schema


def test_logging_in_the_background(client, experiment):
    with mlflow.start_run() as run:
        for step in range(20):
            mlflow.log_metric("m", step, step=step, synchronous=False)
        mlflow.log_params({"a": 1}, synchronous=False)
        mlflow.flush_async_logging()
    seen = client.get_run(run.info.run_id)
    assert seen.data.metrics["m"] == 19 and seen.data.params == {"a": "1"}
    assert len(client.get_metric_history(run.info.run_id, "m")) == 20


def test_a_long_history_comes_in_pages(client, experiment):
    run = client.create_run(experiment.experiment_id).info.run_id
    for start in range(0, 3000, 1000):
        points = [Metric("m", float(i), 1_700_000_000_000 + i, i) for i in range(start, start + 1000)]
        client.log_batch(run, points)
    store = client._tracking_client.store
    token, seen = None, []
    while True:
        page = store.get_metric_history(run, "m", max_results=700, page_token=token)
        seen += [m.step for m in page]
        token = page.token
        if not token:
            break
    assert seen == list(range(3000))


def test_what_is_not_there(client):
    for ask in (
        lambda: client.get_run("0" * 32),
        lambda: client.get_experiment("987654"),
        lambda: client.log_metric("0" * 32, "m", 1.0),
    ):
        with pytest.raises(MlflowException) as refused:
            ask()
        assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
