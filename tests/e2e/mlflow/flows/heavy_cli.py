"""The `mlflow` command against the server, and what runs beside the training code."""

import csv
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner
from conftest import IS_3
from mlflow.cli import cli
from mlflow.entities import Metric

MLFLOW = Path(sys.executable).with_name("mlflow")


def command(*words):
    """Runs `mlflow WORDS` in this process, as importing it takes seconds, and answers what it printed."""
    done = CliRunner().invoke(cli, [*map(str, words)], env={"COLUMNS": "200"})
    assert done.exit_code == 0, f"{words}: {done.output}{done.exception!r}"
    return done.output


def refused(*words):
    """What `mlflow WORDS` says when it does not succeed."""
    done = CliRunner().invoke(cli, [*map(str, words)])
    assert done.exit_code != 0, f"{words}: {done.output}"
    return f"{done.output}{done.exception}"


def test_the_command_itself(client, experiment):
    """One whole process, as a shell starts it."""
    done = subprocess.run([MLFLOW, "experiments", "search"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and experiment.name in done.stdout, done.stdout + done.stderr


def test_experiments(client, name):
    said = command("experiments", "create", "-n", name)
    experiment = client.get_experiment_by_name(name).experiment_id
    assert experiment in said
    assert name in command("experiments", "search")
    command("experiments", "rename", "-x", experiment, "--new-name", f"{name}-2")
    command("experiments", "delete", "-x", experiment)
    assert client.get_experiment(experiment).lifecycle_stage == "deleted"
    assert f"{name}-2" in command("experiments", "search", "--view", "deleted_only")
    command("experiments", "restore", "-x", experiment)
    run = client.create_run(experiment, run_name="one")
    client.log_metric(run.info.run_id, "m", 0.5)
    rows = list(csv.DictReader(io.StringIO(command("experiments", "csv", "-x", experiment))))
    assert [r["run_id"] for r in rows if r.get("run_id")] == [run.info.run_id]


def test_runs(client, experiment):
    run = client.create_run(experiment.experiment_id, run_name="from-cli").info.run_id
    client.log_batch(run, [Metric("m", 0.5, 1, 0)])
    assert "from-cli" in command("runs", "list", "--experiment-id", experiment.experiment_id)
    told = json.loads(command("runs", "describe", "--run-id", run))
    assert told["info"]["run_id"] == run and told["data"]["metrics"] == {"m": 0.5}
    command("runs", "delete", "--run-id", run)
    assert client.get_run(run).info.lifecycle_stage == "deleted"
    command("runs", "restore", "--run-id", run)
    assert client.get_run(run).info.lifecycle_stage == "active"
    said = refused("runs", "delete", "--run-id", "0" * 32)
    assert "not found" in said.lower() or "RESOURCE_DOES_NOT_EXIST" in said


def test_artifacts(client, experiment, tmp_path):
    run = client.create_run(experiment.experiment_id).info.run_id
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    command("artifacts", "log-artifact", "--local-file", tmp_path / "b.txt", "--run-id", run)
    command("artifacts", "log-artifacts", "--local-dir", tmp_path / "in", "--run-id", run, "--artifact-path", "d")
    listed = json.loads(command("artifacts", "list", "--run-id", run))
    assert [(f["path"], f["is_dir"]) for f in listed] == [("b.txt", False), ("d", True)]
    (tmp_path / "out").mkdir()
    command("artifacts", "download", "--run-id", run, "--artifact-path", "d", "--dst-path", tmp_path / "out")
    assert (tmp_path / "out/d/a.txt").read_text() == "a"


def test_gc_is_for_databases(client, experiment):
    """`mlflow gc` opens a database itself; over any tracking server it removes nothing."""
    run = client.create_run(experiment.experiment_id).info.run_id
    client.delete_run(run)
    said = refused("gc", "--run-ids", run, "--backend-store-uri", mlflow.get_tracking_uri())
    assert "hard-deleting" in said, said
    assert client.get_run(run).info.lifecycle_stage == "deleted"


def test_a_script_that_knows_only_its_environment(client, experiment, tmp_path):
    """`mlflow.autolog()` at the top of a training script; the server and experiment by environment."""
    script = tmp_path / "train.py"
    script.write_text(
        "import mlflow\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "mlflow.autolog(log_models=False)\n"
        "LogisticRegression(C=3.0).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, cwd=tmp_path,
        env=os.environ | {"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(), "MLFLOW_EXPERIMENT_NAME": experiment.name},
    )
    assert done.returncode == 0, done.stderr
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.params["C"] == "3.0" and run.data.metrics["training_score"] == 1.0, done.stderr
    assert run.info.status == "FINISHED" and run.data.tags["mlflow.source.name"].endswith("train.py")


def test_system_metrics(client, experiment):
    pytest.importorskip("psutil")
    mlflow.set_system_metrics_sampling_interval(0.2)
    mlflow.set_system_metrics_samples_before_logging(1)
    with mlflow.start_run(log_system_metrics=True) as run:
        end = time.monotonic() + 20
        while "system/cpu_utilization_percentage" not in client.get_run(run.info.run_id).data.metrics:
            assert time.monotonic() < end, "no system metric came"
            time.sleep(0.2)
    metrics = client.get_run(run.info.run_id).data.metrics
    assert metrics["system/system_memory_usage_megabytes"] > 0
    assert "system/disk_available_megabytes" in metrics
    assert len(client.get_metric_history(run.info.run_id, "system/cpu_utilization_percentage")) >= 1


def test_logging_in_the_background_loses_nothing(client, experiment):
    mlflow.config.enable_async_logging()
    try:
        with mlflow.start_run() as run:
            for step in range(500):
                mlflow.log_metric("m", step, step=step)
                mlflow.log_params({f"p{step}": step}) if step < 50 else None
            mlflow.set_tags({f"t{i}": i for i in range(50)})
    finally:
        mlflow.config.enable_async_logging(False)
    mlflow.flush_async_logging()
    data = client.get_run(run.info.run_id).data
    history = client.get_metric_history(run.info.run_id, "m")
    assert sorted(m.step for m in history) == list(range(500)) and data.metrics["m"] == 499
    assert len([k for k in data.params if k.startswith("p")]) == 50
    assert len([k for k in data.tags if k.startswith("t") and k[1:].isdigit()]) == 50


@pytest.mark.skipif(not IS_3, reason="a prompt is a registry object since MLflow 3")
def test_prompts_stay_out_of_the_way(client, experiment, name):
    """Prompts need not be kept; a call that makes one ends in an answer, never in a hang or a 5xx."""
    try:
        prompt = mlflow.genai.register_prompt(name=name, template="Hello {{who}}")
    except mlflow.exceptions.MlflowException as refused:
        assert refused.error_code in ("NOT_IMPLEMENTED", "ENDPOINT_NOT_FOUND", "INVALID_PARAMETER_VALUE")
    else:
        assert prompt.template == "Hello {{who}}"
        assert [m for m in client.search_registered_models() if m.name == name] == []
