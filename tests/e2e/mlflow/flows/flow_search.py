"""Every search of the client, page by page, each thing exactly once."""

import uuid

import mlflow
import pytest
from conftest import IS_3
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

COUNT = 23


@pytest.fixture(scope="module")
def filled():
    """An experiment of runs that no flow changes."""
    client = mlflow.MlflowClient()
    experiment = client.create_experiment(f"search-{uuid.uuid4().hex[:8]}")
    runs = []
    for i in range(COUNT):
        run = client.create_run(experiment, start_time=1_700_000_000_000 + i // 4, run_name=f"r{i:02}").info.run_id
        metrics = [Metric("acc", i / 10, 1, 0), Metric("loss", (i * 7 % 5) / 5, 1, 0)]
        if i % 6 == 5:
            metrics = [Metric("acc", float("nan"), 1, 0)]
        client.log_batch(run, metrics, [Param("depth", str(i % 4))], [RunTag("team", "ab"[i % 2])])
        client.set_terminated(run, "FAILED" if i % 5 == 4 else "FINISHED", 1_700_000_100_000 + i)
        runs.append(run)
    return experiment, runs


def walk(search, size):
    """All pages of a search; no page is larger than asked."""
    token, seen = None, []
    while True:
        page = search(max_results=size, page_token=token)
        assert len(page) <= size
        seen += page
        token = page.token
        if not token:
            return seen


@pytest.mark.parametrize("order", [
    [], ["attributes.start_time ASC"], ["metrics.acc DESC"], ["metrics.acc ASC"], ["metrics.loss ASC", "params.depth DESC"],
    ["params.depth", "attributes.run_name DESC"], ["tags.team DESC"], ["metrics.nothing"], ["attributes.end_time DESC"],
])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_pages_of_runs(client, filled, order, size):
    experiment, runs = filled
    pages = walk(lambda **page: client.search_runs([experiment], order_by=order, **page), size)
    whole = client.search_runs([experiment], order_by=order, max_results=1000)
    assert [r.info.run_id for r in pages] == [r.info.run_id for r in whole]
    assert sorted(r.info.run_id for r in pages) == sorted(runs)


def test_an_order_of_metrics_puts_nan_and_none_last(client, filled):
    experiment, runs = filled
    for order in (["metrics.acc ASC"], ["metrics.acc DESC"]):
        found = [runs.index(r.info.run_id) for r in client.search_runs([experiment], order_by=order)]
        numbers = [i for i in range(COUNT) if i % 6 != 5]
        expected = numbers if order[0].endswith("ASC") else numbers[::-1]
        assert found[: len(numbers)] == expected
        assert set(found[len(numbers):]) == {i for i in range(COUNT) if i % 6 == 5}
    found = [runs.index(r.info.run_id) for r in client.search_runs([experiment], order_by=["metrics.loss DESC"])]
    assert set(found[-3:]) == {5, 11, 17}


@pytest.mark.parametrize("text, expected", [
    ("metrics.acc > 1.9", [20, 21, 22]),
    ("metrics.acc >= 0.2 and metrics.acc <= 0.4", [2, 3, 4]),
    ("metrics.acc = 0.3", [3]),
    ("metrics.acc != 0.3 and metrics.acc < 0.5", [0, 1, 2, 4]),
    ("params.depth = '3' AND tags.team = 'b' AND attributes.status = 'FINISHED'", [3, 7, 11, 15]),
    ("params.depth LIKE '%2' and metrics.loss < 0.3", [10, 18]),
    ("attributes.start_time >= 1700000000005", [20, 21, 22]),
    ("attributes.end_time < 1700000100002", [0, 1]),
    ("attributes.run_name ILIKE 'R0%' and tags.team != 'a'", [1, 3, 5, 7, 9]),
    ("attributes.status != 'FINISHED' and metrics.acc > 0", [4, 9, 14, 19]),
    ("tags.nothing = 'x'", []),
    ("", list(range(COUNT))),
])
def test_filters_of_runs(client, filled, text, expected):
    experiment, runs = filled
    found = [runs.index(r.info.run_id) for r in client.search_runs([experiment], text, order_by=["attributes.run_name"])]
    assert found == expected


def test_runs_named_by_id(client, filled):
    experiment, runs = filled
    found = client.search_runs([experiment], f"run_id IN ('{runs[3]}', '{runs[8]}')", order_by=["attributes.run_name"])
    assert [runs.index(r.info.run_id) for r in found] == [3, 8]
    found = client.search_runs([experiment], f"attributes.run_id NOT IN ('{runs[0]}', '{runs[1]}') and metrics.acc < 0.4")
    assert sorted(runs.index(r.info.run_id) for r in found) == [2, 3]


@pytest.mark.parametrize("bad", [
    "metrics.acc = 'x'", "params.depth > 3", "attributes.start_time = 'x'", "metrics.acc >", "foo.bar = 'x'",
    "attributes.nothing = 'x'", "tags.team IN 'a'", "run_id > 'x'", "'x' = metrics.acc",
])
def test_bad_filters_are_refused(client, filled, bad):
    with pytest.raises(MlflowException) as refused:
        client.search_runs([filled[0]], bad)
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_view_types_and_the_frame(client, experiment):
    runs = [client.create_run(experiment.experiment_id).info.run_id for _ in range(4)]
    client.delete_run(runs[0])
    count = lambda kind: len(client.search_runs([experiment.experiment_id], run_view_type=kind))  # noqa: E731
    assert [count(k) for k in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL)] == [3, 1, 4]
    frame = mlflow.search_runs(experiment_names=[experiment.name], max_results=2)
    assert len(frame) == 2
    listed = mlflow.search_runs(experiment_names=[experiment.name], output_format="list")
    assert {r.info.run_id for r in listed} == set(runs[1:])


def test_pages_of_experiments(client, name):
    ids = [client.create_experiment(f"{name}-{i}") for i in range(9)]
    mine = f"name LIKE '{name}-%'"
    found = walk(lambda **page: client.search_experiments(filter_string=mine, order_by=["name"], **page), 4)
    assert [e.experiment_id for e in found] == ids
    found = walk(lambda **page: client.search_experiments(filter_string=mine, **page), 2)
    assert sorted(int(e.experiment_id) for e in found) == sorted(map(int, ids))
    client.delete_experiment(ids[0])
    found = walk(lambda **page: client.search_experiments(ViewType.ALL, filter_string=mine, **page), 3)
    assert len(found) == 9
    assert {e.name for e in mlflow.search_experiments(filter_string=mine)} == {f"{name}-{i}" for i in range(1, 9)}


def test_pages_of_the_registry(client, name):
    for i in range(7):
        client.create_registered_model(f"{name}-{i}", tags={"even": str(i % 2 == 0)})
    mine = f"name LIKE '{name}-%'"
    found = walk(lambda **page: client.search_registered_models(mine, order_by=["name DESC"], **page), 3)
    assert [m.name for m in found] == [f"{name}-{i}" for i in range(6, -1, -1)]
    found = walk(lambda **page: client.search_registered_models(f"{mine} and tags.even = 'True'", **page), 2)
    assert [m.name for m in found] == [f"{name}-{i}" for i in (0, 2, 4, 6)]
    run = client.create_run("0")
    for i in range(5):
        source = f"{run.info.artifact_uri}/model"
        client.create_model_version(f"{name}-0", source, run.info.run_id, tags={"i": str(i % 2)})
    mine = f"name = '{name}-0'"
    found = walk(lambda **page: client.search_model_versions(mine, **page), 2)
    assert sorted(int(v.version) for v in found) == [1, 2, 3, 4, 5]
    found = client.search_model_versions(f"{mine} and tags.i = '1'", order_by=["version_number ASC"])
    assert [int(v.version) for v in found] == [2, 4]
    found = client.search_model_versions(f"run_id = '{run.info.run_id}' and version_number > 3")
    assert sorted(int(v.version) for v in found) == [4, 5]


@pytest.mark.skipif(not IS_3, reason="logged models came with MLflow 3")
def test_pages_of_logged_models(client, experiment):
    run = client.create_run(experiment.experiment_id).info.run_id
    made = []
    for i in range(7):
        model = mlflow.initialize_logged_model(
            name=f"m{i}", source_run_id=run, params={"depth": str(i)}, tags={"odd": str(i % 2)}
        )
        client.log_metric(run, "acc", i / 10, model_id=model.model_id, dataset_name="d", dataset_digest="x")
        made.append(model.model_id)

    def search(text=None, order=None, **page):
        return client.search_logged_models(
            [experiment.experiment_id], text, order_by=order or [{"field_name": "name"}], **page
        )

    found = walk(lambda **page: search(order=[{"field_name": "name", "ascending": True}], **page), 3)
    assert [m.model_id for m in found] == made
    found = search("params.depth = '3'")
    assert [m.model_id for m in found] == [made[3]]
    found = search("tags.odd = '1'", order=[{"field_name": "metrics.acc", "ascending": False}])
    assert [m.model_id for m in found] == [made[5], made[3], made[1]]
    found = search("metrics.acc > 0.35", order=[{"field_name": "metrics.acc", "dataset_name": "d", "dataset_digest": "x"}])
    assert {m.model_id for m in found} == set(made[4:])
    assert found[0].metrics[0].key == "acc"
