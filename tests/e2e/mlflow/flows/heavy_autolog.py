"""autolog with the libraries of tables: what it promises is on the server, and the model loads."""

import mlflow
import numpy as np
import pandas as pd
import pytest
from conftest import IS_3
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

rng = np.random.default_rng(3)
TABLE = pd.DataFrame(rng.random((200, 4)), columns=list("abcd"))
LABEL = (TABLE["a"] + 0.3 * rng.random(200) > 0.65).astype("int64")


@pytest.fixture(autouse=True)
def quiet():
    """Each flow switches its own library on; whatever happens it is off again."""
    yield
    for library in ("sklearn", "xgboost", "lightgbm"):
        getattr(mlflow, library).autolog(disable=True)


def the_model(client, run):
    """The URI of the one model that the run made."""
    if IS_3:
        outputs = client.get_run(run.info.run_id).outputs.model_outputs
        assert len(outputs) == 1
        return f"models:/{outputs[0].model_id}"
    return f"runs:/{run.info.run_id}/model"


def test_sklearn(client, experiment):
    mlflow.sklearn.autolog(silent=True)
    with mlflow.start_run() as run:
        model = LogisticRegression(C=0.5).fit(TABLE, LABEL)
        model.score(TABLE, LABEL)
    seen = client.get_run(run.info.run_id)
    assert seen.data.params["C"] == "0.5" and seen.data.params["solver"] == "lbfgs"
    assert {"training_score", "training_f1_score", "training_log_loss", "training_roc_auc"} <= set(seen.data.metrics)
    assert "LogisticRegression_score_TABLE" in seen.data.metrics or any("score" in k for k in seen.data.metrics)
    assert seen.data.tags["estimator_name"] == "LogisticRegression"
    files = [f.path for f in client.list_artifacts(run.info.run_id)]
    assert {"estimator.html", "training_confusion_matrix.png"} <= set(files), files
    used = seen.inputs.dataset_inputs
    assert [t.value for t in used[0].tags if t.key == "mlflow.data.context"] == ["train"]
    loaded = mlflow.pyfunc.load_model(the_model(client, run))
    assert (loaded.predict(TABLE) == model.predict(TABLE)).all()


def test_sklearn_grid_search(client, experiment):
    mlflow.sklearn.autolog(silent=True, max_tuning_runs=3)
    with mlflow.start_run() as run:
        search = GridSearchCV(LogisticRegression(), {"C": [0.01, 0.1, 1.0, 10.0]}, cv=3).fit(TABLE, LABEL)
    seen = client.get_run(run.info.run_id)
    assert seen.data.params["best_C"] == str(search.best_params_["C"])
    assert abs(seen.data.metrics["best_cv_score"] - search.best_score_) < 1e-12
    children = client.search_runs([experiment.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'")
    assert len(children) == 3 and all("mean_test_score" in c.data.metrics for c in children)
    assert max(c.data.metrics["mean_test_score"] for c in children) == search.best_score_
    assert "cv_results.csv" in [f.path for f in client.list_artifacts(run.info.run_id)]


def test_xgboost(client, experiment):
    import xgboost

    mlflow.xgboost.autolog(silent=True)
    with mlflow.start_run() as run:
        data = xgboost.DMatrix(TABLE, label=LABEL)
        model = xgboost.train(
            {"objective": "binary:logistic", "eval_metric": "logloss", "max_depth": 2, "nthread": 1},
            data, num_boost_round=12, evals=[(data, "train")], verbose_eval=False,
        )
    seen = client.get_run(run.info.run_id)
    assert seen.data.params["max_depth"] == "2" and seen.data.params["num_boost_round"] == "12"
    history = client.get_metric_history(run.info.run_id, "train-logloss")
    steps = [(m.step, m.value) for m in sorted(history, key=lambda m: m.step)]
    assert [s for s, _ in steps] == list(range(12)) and steps[-1][1] < steps[0][1]
    assert any("feature_importance" in f.path for f in client.list_artifacts(run.info.run_id))
    loaded = mlflow.xgboost.load_model(the_model(client, run))
    assert np.allclose(loaded.predict(data), model.predict(data))


def test_lightgbm(client, experiment):
    import lightgbm

    mlflow.lightgbm.autolog(silent=True)
    with mlflow.start_run() as run:
        data = lightgbm.Dataset(TABLE, label=LABEL)
        model = lightgbm.train(
            {"objective": "binary", "num_leaves": 5, "verbose": -1, "num_threads": 1},
            data, num_boost_round=12, valid_sets=[data], valid_names=["train"],
        )
    seen = client.get_run(run.info.run_id)
    assert seen.data.params["num_leaves"] == "5"
    assert len(client.get_metric_history(run.info.run_id, "train-binary_logloss")) == 12
    assert any("feature_importance" in f.path for f in client.list_artifacts(run.info.run_id))
    loaded = mlflow.lightgbm.load_model(the_model(client, run))
    assert np.allclose(loaded.predict(TABLE), model.predict(TABLE))
