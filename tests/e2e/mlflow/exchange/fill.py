"""Fills a tracking server with one of everything: `fill.py ARTIFACT_ROOT RUNS`. Runs in the client's interpreter."""

import sys
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.entities import Metric, Param, RunTag

IS_3 = int(mlflow.__version__.split(".")[0]) >= 3
root, count = Path(sys.argv[1]), int(sys.argv[2])
client = mlflow.MlflowClient()

first = client.create_experiment("first", str(root / "1"), tags={"team": "ä", "mlflow.note.content": "why\nnot"})
gone = client.create_experiment("gone", str(root / "2"))
mlflow.set_experiment("first")
frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
with mlflow.start_run(run_name="whole", tags={"k": "v" * 3000}) as whole:
    for step in range(60):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metric("nan", float("nan"))
    mlflow.log_metric("up", float("inf"))
    mlflow.log_metric("down", float("-inf"), step=-1)
    client.log_metric(whole.info.run_id, "back", 2.0, timestamp=1_700_000_000_000, step=5)
    client.log_metric(whole.info.run_id, "back", 1.0, timestamp=1_600_000_000_000, step=5)
    client.log_metric(whole.info.run_id, "back", 3.0, timestamp=1_700_000_000_000, step=4)
    mlflow.log_params({"p": 1, "long": "y" * 4000, "a/b": "with slash"})
    mlflow.log_input(mlflow.data.from_pandas(frame, name="leads"), context="training", tags={"split": "1"})
    mlflow.log_text("hello", "notes/ü ñ.txt")
    mlflow.log_dict({"a": 1}, "a.json")
    with mlflow.start_run(nested=True, run_name="child") as child:
        mlflow.log_metric("m", 1)
with mlflow.start_run() as deleted:
    mlflow.log_param("p", "deleted")
client.delete_run(deleted.info.run_id)
client.delete_experiment(gone)
client.create_run("0", run_name="in default")
for i in range(count):
    run = client.create_run(first, start_time=1_700_000_000_000 + i, run_name=f"many-{i}").info.run_id
    points = [Metric("acc", i + s / 10, 1_700_000_000_000 + s, s) for s in range(20)]
    client.log_batch(run, points, [Param("i", str(i))], [RunTag("odd", str(i % 2))])

client.create_registered_model("credit", tags={"owner": "ana"}, description="who pays back")
source = f"{whole.info.artifact_uri}/notes"
for i in range(3):
    client.create_model_version("credit", source, whole.info.run_id, tags={"i": str(i)}, description=f"try {i}")
client.set_registered_model_alias("credit", "champion", "2")
client.transition_model_version_stage("credit", "1", "Production")
client.delete_model_version("credit", "3")
client.create_registered_model("empty")
if IS_3:
    from mlflow.entities.logged_model_output import LoggedModelOutput

    model = mlflow.initialize_logged_model("net", source_run_id=whole.info.run_id, tags={"t": "1"}, params={"depth": "3"})
    client.log_outputs(whole.info.run_id, [LoggedModelOutput(model.model_id, 2)])
    client.log_metric(whole.info.run_id, "auc", 0.75, model_id=model.model_id, dataset_name="leads", dataset_digest="d")
    mlflow.finalize_logged_model(model.model_id, "READY")
    client.create_model_version("credit", f"models:/{model.model_id}", whole.info.run_id, model_id=model.model_id)
    lost = mlflow.initialize_logged_model("lost")
    client.delete_logged_model(lost.model_id)
