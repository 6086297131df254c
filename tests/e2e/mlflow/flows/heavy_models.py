"""log_model, register, alias, load_model and a real scoring process, flavour by flavour."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import mlflow
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from conftest import IS_3
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng(5)
TABLE = pd.DataFrame(rng.random((80, 3)), columns=["a", "b", "c"])
LABEL = (TABLE["a"] > 0.5).astype("int64")
MLFLOW = Path(sys.executable).with_name("mlflow")


class Doubles(mlflow.pyfunc.PythonModel):
    """A model in Python, with an artifact of its own."""

    def load_context(self, context):
        self.factor = json.loads(Path(context.artifacts["factor"]).read_text())["factor"]

    def predict(self, context, model_input, params=None):
        return model_input["a"] * self.factor


def log(flavor, model, **more):
    """Logs as that generation does and answers the model's info."""
    place = {"name": "model"} if IS_3 else {"artifact_path": "model"}
    return flavor.log_model(model, **place, **more)


def sklearn_model():
    model = LogisticRegression().fit(TABLE, LABEL)
    pins = {"pip_requirements": ["scikit-learn"], "serialization_format": "cloudpickle"}
    return mlflow.sklearn, model, model.predict(TABLE), lambda m: m.predict(TABLE), pins


def xgboost_model():
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(TABLE, LABEL)
    return mlflow.xgboost, model, model.predict(TABLE), lambda m: m.predict(TABLE), {"pip_requirements": ["xgboost"]}


def lightgbm_model():
    import lightgbm

    model = lightgbm.LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(TABLE, LABEL)
    return mlflow.lightgbm, model, model.predict(TABLE), lambda m: m.predict(TABLE), {"pip_requirements": ["lightgbm"]}


@pytest.mark.parametrize("make", [sklearn_model, xgboost_model, lightgbm_model])
def test_from_log_to_load(client, experiment, name, make):
    flavor, model, expected, predict, pins = make()
    signature = infer_signature(TABLE, expected)
    with mlflow.start_run() as run:
        info = log(flavor, model, signature=signature, input_example=TABLE[:2], registered_model_name=name, **pins)
    assert client.get_model_version(name, "1").run_id == run.info.run_id
    client.set_registered_model_alias(name, "champion", "1")
    for uri in (info.model_uri, f"models:/{name}/1", f"models:/{name}@champion", f"runs:/{run.info.run_id}/model"):
        assert (np.asarray(predict(flavor.load_model(uri))) == expected).all(), uri
    loaded = mlflow.pyfunc.load_model(f"models:/{name}@champion")
    assert (np.asarray(loaded.predict(TABLE)) == expected).all()
    assert loaded.metadata.get_input_schema().input_names() == ["a", "b", "c"]
    example = mlflow.models.Model.load(f"models:/{name}/1").load_input_example(None) if not IS_3 else None
    assert example is None or list(example.columns) == ["a", "b", "c"]


def test_a_python_model(client, experiment, name, tmp_path):
    (tmp_path / "factor.json").write_text('{"factor": 2}')
    with mlflow.start_run():
        log(
            mlflow.pyfunc, None, python_model=Doubles(), artifacts={"factor": str(tmp_path / "factor.json")},
            registered_model_name=name, pip_requirements=["pandas"],
        ) if IS_3 else mlflow.pyfunc.log_model(
            "model", python_model=Doubles(), artifacts={"factor": str(tmp_path / "factor.json")},
            registered_model_name=name, pip_requirements=["pandas"],
        )
    loaded = mlflow.pyfunc.load_model(f"models:/{name}/1")
    assert np.allclose(loaded.predict(TABLE), TABLE["a"] * 2)
    assert isinstance(loaded.unwrap_python_model(), Doubles)


def test_a_model_from_code(client, experiment, name, tmp_path):
    code = tmp_path / "model_code.py"
    code.write_text(
        "import mlflow\n"
        "class Plus(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return model_input['a'] + 1\n"
        "mlflow.models.set_model(Plus())\n"
    )
    place = {"name": "model"} if IS_3 else {"artifact_path": "model"}
    with mlflow.start_run():
        mlflow.pyfunc.log_model(**place, python_model=str(code), registered_model_name=name, pip_requirements=["pandas"])
    assert np.allclose(mlflow.pyfunc.load_model(f"models:/{name}/1").predict(TABLE), TABLE["a"] + 1)


def test_a_model_is_downloaded(client, experiment, name, tmp_path):
    flavor, model, expected, predict, pins = sklearn_model()
    with mlflow.start_run():
        log(flavor, model, registered_model_name=name, **pins)
    place = mlflow.artifacts.download_artifacts(f"models:/{name}/1", dst_path=str(tmp_path))
    assert {"MLmodel", "model.pkl", "requirements.txt"} <= set(os.listdir(place))
    assert (mlflow.sklearn.load_model(place).predict(TABLE) == expected).all()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def score(process, port, body, limit_s=90):
    """Asks the scoring process until it is up, or has ended."""
    end = time.monotonic() + limit_s
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(request, timeout=30) as answer:
                return json.loads(answer.read())
        except OSError:
            if time.monotonic() > end or process.poll() is not None:
                raise
            time.sleep(0.3)


def test_mlflow_models_serve(client, experiment, name, tmp_path):
    flavor, model, expected, predict, pins = sklearn_model()
    with mlflow.start_run():
        log(flavor, model, registered_model_name=name, signature=infer_signature(TABLE, expected), **pins)
    client.set_registered_model_alias(name, "champion", "1")
    port = free_port()
    environment = os.environ | {"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(), "PATH": f"{MLFLOW.parent}:{os.environ['PATH']}"}
    with open(tmp_path / "serve.log", "wb") as out:
        process = subprocess.Popen(
            [MLFLOW, "models", "serve", "-m", f"models:/{name}@champion", "-p", str(port), "--env-manager", "local",
             "--workers", "1"], stdout=out, stderr=out, env=environment, cwd=tmp_path, start_new_session=True,
        )
    try:
        answer = score(process, port, {"dataframe_split": TABLE[:5].to_dict(orient="split")})
        assert answer["predictions"] == expected[:5].tolist()
    except OSError:
        pytest.fail((tmp_path / "serve.log").read_text()[-3000:])
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def test_evaluate_a_classifier(client, experiment, name):
    flavor, model, expected, predict, pins = sklearn_model()
    data = TABLE.assign(label=LABEL)
    evaluate = mlflow.models.evaluate if IS_3 else mlflow.evaluate
    with mlflow.start_run() as run:
        info = log(flavor, model, registered_model_name=name, signature=infer_signature(TABLE, expected), **pins)
        result = evaluate(
            info.model_uri, data, targets="label", model_type="classifier", evaluators=["default"],
            evaluator_config={"default": {"log_explainer": False}},
        )
    seen = client.get_run(run.info.run_id)
    accuracy = float((expected == LABEL).mean())
    assert abs(result.metrics["accuracy_score"] - accuracy) < 1e-9
    assert abs(seen.data.metrics["accuracy_score"] - accuracy) < 1e-9
    assert {"f1_score", "roc_auc", "log_loss", "recall_score"} <= set(seen.data.metrics)
    assert len(seen.inputs.dataset_inputs) >= 1
    files = {f.path for f in client.list_artifacts(run.info.run_id)}
    assert any("confusion_matrix" in f for f in files) and any("roc_curve" in f for f in files), files
    if IS_3:
        metrics = {m.key for m in client.get_logged_model(info.model_id).metrics}
        assert "accuracy_score" in metrics


def test_evaluate_a_regressor_of_a_function(client, experiment):
    data = TABLE.assign(y=TABLE["a"] * 2)
    evaluate = mlflow.models.evaluate if IS_3 else mlflow.evaluate
    with mlflow.start_run() as run:
        evaluate(
            lambda x: np.asarray(x["a"]) * 2, data[["a", "b", "c", "y"]], targets="y", model_type="regressor",
            evaluators=["default"], evaluator_config={"default": {"log_explainer": False}},
        )
    assert client.get_run(run.info.run_id).data.metrics["mean_absolute_error"] == 0
