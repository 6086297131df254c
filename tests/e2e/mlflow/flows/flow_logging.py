"""Everything a run can be given: text, dicts, figures, tables, images, datasets, bad numbers."""

import math

import matplotlib
import mlflow
import numpy as np
import pandas as pd
import pytest
from conftest import IS_3, ROWS
from mlflow.exceptions import MlflowException

matplotlib.use("Agg")
PICTURE = (np.arange(32 * 16 * 3).reshape(32, 16, 3) % 255).astype("uint8")


def test_text_dict_and_yaml(client, experiment):
    with mlflow.start_run() as run:
        mlflow.log_text("grüße\n", "notes/hello.txt")
        mlflow.log_dict({"a": [1, 2], "b": {"c": None}}, "a.json")
        mlflow.log_dict({"a": 1}, "a.yaml")
    root = f"runs:/{run.info.run_id}"
    assert mlflow.artifacts.load_text(f"{root}/notes/hello.txt") == "grüße\n"
    assert mlflow.artifacts.load_dict(f"{root}/a.json") == {"a": [1, 2], "b": {"c": None}}
    assert mlflow.artifacts.load_text(f"{root}/a.yaml").strip() == "a: 1"


def test_figures_and_images(client, experiment):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([0, 1], [1, 0])
    with mlflow.start_run() as run:
        mlflow.log_figure(figure, "plots/line.png")
        mlflow.log_figure(figure, "plots/line.svg")
        mlflow.log_image(PICTURE, "picture.png")
        for step in range(3):
            mlflow.log_image(PICTURE, key="sample", step=step)
        mlflow.flush_artifact_async_logging()
    run_id = run.info.run_id
    assert [f.path for f in client.list_artifacts(run_id, "plots")] == ["plots/line.png", "plots/line.svg"]
    seen = np.asarray(mlflow.artifacts.load_image(f"runs:/{run_id}/picture.png"))
    assert (seen == PICTURE).all(), "a picture comes back as it went"
    names = [f.path for f in client.list_artifacts(run_id, "images")]
    assert len([n for n in names if "sample" in n]) == 6, names  # the picture and its small copy
    assert client.get_run(run_id).data.tags["mlflow.loggedImages"].lower() == "true"


def test_tables_grow(client, experiment):
    with mlflow.start_run() as run:
        mlflow.log_table({"question": ["a", "b"], "answer": [1, 2]}, "table.json")
        mlflow.log_table(pd.DataFrame({"question": ["c"], "answer": [3]}), "table.json")
    table = mlflow.load_table("table.json", run_ids=[run.info.run_id])
    assert list(table["question"]) == ["a", "b", "c"] and list(table["answer"]) == [1, 2, 3]
    assert "table.json" in client.get_run(run.info.run_id).data.tags["mlflow.loggedArtifacts"]


@pytest.mark.parametrize("value, seen", [
    (float("nan"), math.isnan), (float("inf"), lambda v: v > 1e308), (float("-inf"), lambda v: v < -1e308),
    (5e-324, lambda v: v == 5e-324), (-0.0, lambda v: v == 0.0), (2**53 + 2, lambda v: v == 2**53 + 2),
])
def test_odd_numbers(client, experiment, value, seen):
    with mlflow.start_run() as run:
        mlflow.log_metric("one", value, step=-3)
        mlflow.log_metrics({"batch": value}, step=7)
    data = client.get_run(run.info.run_id).data
    assert seen(data.metrics["one"]) and seen(data.metrics["batch"])
    assert seen(client.get_metric_history(run.info.run_id, "one")[0].value)
    assert client.get_metric_history(run.info.run_id, "one")[0].step == -3
    frame = mlflow.search_runs([experiment.experiment_id])
    assert seen(frame["metrics.one"][0])


@pytest.mark.parametrize("key", ["a/b", "a b", "a.b-c_d", "ü", "x" * 250])
def test_keys_as_they_come(client, experiment, key):
    with mlflow.start_run() as run:
        mlflow.log_metric(key, 1.5)
        mlflow.log_param(key, "p")
        mlflow.set_tag(key, "t")
    data = client.get_run(run.info.run_id).data
    assert (data.metrics[key], data.params[key], data.tags[key]) == (1.5, "p", "t")
    found = client.search_runs([experiment.experiment_id], f"metrics.`{key}` = 1.5 and params.\"{key}\" = 'p'")
    assert len(found) == 1


@pytest.mark.parametrize("bad", ["../x", "/x", "a//b", "x" * 251, ""])
def test_keys_that_are_refused(client, experiment, bad):
    run = client.create_run(experiment.experiment_id).info.run_id
    for write in (lambda: client.log_metric(run, bad, 1.0), lambda: client.log_param(run, bad, "v")):
        with pytest.raises(MlflowException) as refused:
            write()
        assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_param_is_written_once(client, experiment):
    with mlflow.start_run() as run:
        mlflow.log_param("p", "1")
        mlflow.log_param("p", "1")
        with pytest.raises(MlflowException) as refused:
            mlflow.log_param("p", "2")
        mlflow.log_param("long", "y" * 6000)
    assert "Changing param values is not allowed" in str(refused.value)
    assert len(client.get_run(run.info.run_id).data.params["long"]) == 6000


def test_datasets_of_every_kind(client, experiment, tmp_path):
    (tmp_path / "leads.csv").write_text("a,b\n1,2\n3,4\n")
    frame = pd.read_csv(tmp_path / "leads.csv")
    with mlflow.start_run() as run:
        made = mlflow.data.from_pandas(frame, source=str(tmp_path / "leads.csv"), name="leads", targets="b")
        mlflow.log_input(made, context="training", tags={"split": "a"})
        mlflow.log_input(made, context="training")
        mlflow.log_input(mlflow.data.from_numpy(ROWS, name="rows"), context="eval")
    used = {i.dataset.name: i for i in client.get_run(run.info.run_id).inputs.dataset_inputs}
    assert set(used) == {"leads", "rows"}, "the same dataset twice is one"
    assert used["leads"].dataset.digest == made.digest and "leads.csv" in used["leads"].dataset.source
    tags = {t.key: t.value for t in used["leads"].tags}
    assert tags["mlflow.data.context"] == "training" and tags["split"] == "a"
    for text in ("datasets.name = 'leads'", f"dataset.digest = '{made.digest}'", "datasets.context = 'eval'"):
        found = client.search_runs([experiment.experiment_id], text)
        assert [r.info.run_id for r in found] == [run.info.run_id], text
    assert client.search_runs([experiment.experiment_id], "datasets.name = 'nothing'") == []
    back = mlflow.data.get_source(used["leads"].dataset).load()
    assert open(back).read().startswith("a,b")


def test_a_run_under_way_is_described(client, experiment):
    with mlflow.start_run(description="what it is for", tags={"k": "v"}, log_system_metrics=False) as run:
        mlflow.log_param("p", 1)
        seen = mlflow.active_run()
        assert seen.info.run_id == run.info.run_id
        assert client.get_run(run.info.run_id).info.status == "RUNNING"
    data = client.get_run(run.info.run_id).data
    assert data.tags["mlflow.note.content"] == "what it is for" and data.tags["k"] == "v"
    assert mlflow.get_run(run.info.run_id).data.params == {"p": "1"}
    assert mlflow.last_active_run().info.run_id == run.info.run_id
    with pytest.raises(ZeroDivisionError), mlflow.start_run() as failed:
        1 / 0
    assert client.get_run(failed.info.run_id).info.status == "FAILED"


def test_a_tree_of_runs(client, experiment):
    with mlflow.start_run(run_name="root") as root:
        for i in range(3):
            with mlflow.start_run(run_name=f"child-{i}", nested=True):
                mlflow.log_metric("m", i)
                with mlflow.start_run(run_name=f"leaf-{i}", nested=True):
                    mlflow.log_metric("m", 10 + i)
    children = client.search_runs(
        [experiment.experiment_id], f"tags.mlflow.parentRunId = '{root.info.run_id}'", order_by=["metrics.m"]
    )
    assert [r.info.run_name for r in children] == ["child-0", "child-1", "child-2"]
    leaf = client.search_runs([experiment.experiment_id], "attributes.run_name LIKE 'leaf-%'", order_by=["metrics.m DESC"])
    assert client.get_parent_run(leaf[0].info.run_id).info.run_name == "child-2"
    assert client.get_parent_run(root.info.run_id) is None


def test_an_experiments_tags_and_place(client, name):
    made = client.create_experiment(name, tags={"mlflow.note.content": "x"})
    mlflow.set_experiment(experiment_id=made)
    mlflow.set_experiment_tags({"a": "1", "b": "2"})
    seen = client.get_experiment(made)
    assert seen.tags == {"mlflow.note.content": "x", "a": "1", "b": "2"}
    assert seen.artifact_location == f"mlflow-artifacts:/{made}"
    with mlflow.start_run() as run:
        pass
    assert run.info.artifact_uri == f"mlflow-artifacts:/{made}/{run.info.run_id}/artifacts"
    if IS_3:
        client.delete_experiment_tag(made, "a")
        assert "a" not in client.get_experiment(made).tags
