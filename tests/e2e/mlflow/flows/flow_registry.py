"""Models: logged, registered, named by alias, loaded back."""

import mlflow
import numpy as np
import pytest
from conftest import IS_3, ROWS
from mlflow.exceptions import MlflowException


def test_an_onnx_model_from_log_to_load(client, experiment, log_onnx, name):
    with mlflow.start_run() as run:
        uri = log_onnx()
    version = mlflow.register_model(uri, name)
    assert version.version in (1, "1") and version.run_id == run.info.run_id
    assert version.status == "READY"
    client.set_registered_model_alias(name, "champion", version.version)
    for uri in (f"models:/{name}@champion", f"models:/{name}/1", f"models:/{name}/latest"):
        loaded = mlflow.pyfunc.load_model(uri)
        label = loaded.predict(ROWS)
        label = label["label"] if isinstance(label, dict) else label
        assert len(np.asarray(label)) == len(ROWS)
    assert mlflow.onnx.load_model(f"models:/{name}@champion").graph.input[0].name == "X"
    assert mlflow.models.get_model_info(f"models:/{name}/1").signature is not None


def test_a_model_of_a_run(client, experiment, log_onnx, name):
    with mlflow.start_run() as run:
        log_onnx("net")
    again = mlflow.register_model(f"runs:/{run.info.run_id}/net", name)
    assert again.run_id == run.info.run_id
    assert mlflow.onnx.load_model(f"models:/{name}/{again.version}").graph.input[0].name == "X"
    assert mlflow.onnx.load_model(f"runs:/{run.info.run_id}/net").graph.input[0].name == "X"


def test_versions_aliases_tags(client, experiment, log_onnx, name):
    with mlflow.start_run():
        uri = log_onnx()
    client.create_registered_model(name, tags={"a": "1"}, description="what it is")
    with pytest.raises(MlflowException) as refused:
        client.create_registered_model(name)
    assert refused.value.error_code == "RESOURCE_ALREADY_EXISTS"
    one = client.create_model_version(name, uri, tags={"k": "v"}, description="first")
    two = client.create_model_version(name, uri)
    assert (int(one.version), int(two.version)) == (1, 2)
    client.set_registered_model_alias(name, "champion", "1")
    client.set_registered_model_alias(name, "champion", "2")
    assert int(client.get_model_version_by_alias(name, "champion").version) == 2
    assert client.get_model_version(name, "2").aliases == ["champion"]
    assert {k: str(v) for k, v in client.get_registered_model(name).aliases.items()} == {"champion": "2"}
    client.set_model_version_tag(name, "1", "k", "w")
    client.set_registered_model_tag(name, "b", "2")
    client.delete_registered_model_tag(name, "a")
    assert client.get_model_version(name, "1").tags["k"] == "w"
    client.delete_model_version_tag(name, "1", "k")
    assert "k" not in client.get_model_version(name, "1").tags
    assert client.get_registered_model(name).tags == {"b": "2"}
    client.update_model_version(name, "1", "other")
    client.update_registered_model(name, "better")
    assert client.get_model_version(name, "1").description == "other"
    assert client.get_registered_model(name).description == "better"
    client.delete_model_version(name, "2")
    with pytest.raises(MlflowException):
        client.get_model_version(name, "2")
    with pytest.raises(MlflowException) as refused:
        client.get_model_version_by_alias(name, "champion")
    assert "alias champion not found" in str(refused.value)
    assert int(client.create_model_version(name, uri).version) == 3, "a number is given once"
    client.set_registered_model_alias(name, "a", "3")
    client.delete_registered_model_alias(name, "a")
    for bad in ("latest", "v1", "a b"):
        with pytest.raises(MlflowException):
            client.set_registered_model_alias(name, bad, "3")


def test_stages_for_older_clients(client, experiment, log_onnx, name):
    with mlflow.start_run():
        uri = log_onnx()
    client.create_registered_model(name)
    for _ in range(3):
        client.create_model_version(name, uri)
    client.transition_model_version_stage(name, "1", "Production")
    client.transition_model_version_stage(name, "2", "production", archive_existing_versions=True)
    stages = {int(v.version): v.current_stage for v in client.search_model_versions(f"name = '{name}'")}
    assert stages == {1: "Archived", 2: "Production", 3: "None"}
    assert [int(v.version) for v in client.get_latest_versions(name, ["Production"])] == [2]
    assert sorted(int(v.version) for v in client.get_latest_versions(name)) == [1, 2, 3]
    assert client.get_model_version_download_uri(name, "2").startswith("mlflow-artifacts:/")


def test_models_are_found(client, experiment, log_onnx, name):
    with mlflow.start_run() as run:
        uri = log_onnx()
    for i in range(3):
        client.create_registered_model(f"{name}-{i}", tags={"n": str(i)})
    client.create_model_version(f"{name}-1", uri, run_id=run.info.run_id)
    found = client.search_registered_models(f"name LIKE '{name}%'", order_by=["name DESC"])
    assert [m.name for m in found] == [f"{name}-{i}" for i in (2, 1, 0)]
    assert [int(v.version) for m in found for v in m.latest_versions] == [1]
    found = client.search_registered_models(f"name LIKE '{name}%' and tags.n = '2'")
    assert [m.name for m in found] == [f"{name}-2"]
    first = client.search_registered_models(f"name ILIKE '{name.upper()}%'", max_results=2)
    rest = client.search_registered_models(f"name ILIKE '{name.upper()}%'", max_results=2, page_token=first.token)
    assert [m.name for m in [*first, *rest]] == [f"{name}-{i}" for i in range(3)]
    found = client.search_model_versions(f"run_id = '{run.info.run_id}'")
    assert [v.name for v in found] == [f"{name}-1"]
    client.rename_registered_model(f"{name}-1", f"{name}-x")
    assert int(client.get_model_version(f"{name}-x", "1").version) == 1
    client.delete_registered_model(f"{name}-x")
    with pytest.raises(MlflowException) as refused:
        client.get_registered_model(f"{name}-x")
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize("source", [
    "/etc", "file:///etc", "http://169.254.169.254/latest",
    "mlflow-artifacts:/../../etc", "mlflow-artifacts:/1/%2e%2e/etc", "runs:/x/../../etc",
])
def test_a_source_outside_is_refused(client, name, source):
    from mlflow.utils.rest_utils import http_request

    client.create_registered_model(name)
    for tags in ([], [{"key": "mlflow.prompt.is_prompt", "value": "true"}]):
        answer = http_request(
            client._tracking_client.store.get_host_creds(), "/api/2.0/mlflow/model-versions/create", "POST",
            json={"name": name, "source": source, "tags": tags},
        )
        assert answer.status_code in (400, 404), answer.text
        assert answer.json()["error_code"] in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")
    assert client.search_model_versions(f"name = '{name}'") == []


def test_a_source_in_a_bucket_is_a_name(client, name):
    """As on a stock server: it is kept and told, the client reads it, the server never does."""
    client.create_registered_model(name)
    version = client.create_model_version(name, "s3://bucket/x")
    assert client.get_model_version(name, version.version).source == "s3://bucket/x"
    assert client.get_model_version_download_uri(name, version.version) == "s3://bucket/x"


@pytest.mark.skipif(not IS_3, reason="logged models came with MLflow 3")
def test_logged_models(client, experiment, log_onnx):
    with mlflow.start_run() as run:
        uri = log_onnx("net")
    model_id = uri.removeprefix("models:/")
    seen = mlflow.get_logged_model(model_id)
    assert seen.name == "net" and str(seen.status) == "READY" and seen.source_run_id == run.info.run_id
    assert client.get_run(run.info.run_id).outputs.model_outputs[0].model_id == model_id
    client.set_logged_model_tags(model_id, {"a": "1", "b": "2"})
    client.delete_logged_model_tag(model_id, "a")
    assert mlflow.get_logged_model(model_id).tags["b"] == "2"
    client.log_model_params(model_id, {"depth": "3"})
    assert mlflow.get_logged_model(model_id).params == {"depth": "3"}
    found = mlflow.search_logged_models(
        [experiment.experiment_id], "name = 'net' and params.depth = '3'", output_format="list"
    )
    assert [m.model_id for m in found] == [model_id]
    empty = mlflow.initialize_logged_model(name="empty")
    assert str(empty.status) == "PENDING"
    mlflow.finalize_logged_model(empty.model_id, "READY")
    ordered = mlflow.search_logged_models(
        [experiment.experiment_id], order_by=[{"field_name": "creation_timestamp", "ascending": True}],
        output_format="list",
    )
    assert [m.name for m in ordered] == ["net", "empty"]
    client.delete_logged_model(empty.model_id)
    with pytest.raises(MlflowException) as refused:
        client.get_logged_model(empty.model_id)
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_autolog(client, experiment):
    from sklearn.linear_model import LogisticRegression

    mlflow.sklearn.autolog(log_models=False, silent=True)
    try:
        with mlflow.start_run() as run:
            LogisticRegression().fit(ROWS, (ROWS[:, 0] > 0.5).astype(int))
    finally:
        mlflow.sklearn.autolog(disable=True)
    seen = client.get_run(run.info.run_id)
    assert "C" in seen.data.params and "training_score" in seen.data.metrics


def test_a_sklearn_model(client, experiment, name):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(ROWS, (ROWS[:, 0] > 0.5).astype(int))
    pins = {"pip_requirements": ["scikit-learn"], "serialization_format": "cloudpickle"}
    with mlflow.start_run():
        if IS_3:
            logged = mlflow.sklearn.log_model(model, name="m", registered_model_name=name, **pins)
        else:
            logged = mlflow.sklearn.log_model(model, "m", registered_model_name=name, **pins)
    assert logged.registered_model_version in (1, "1")
    loaded = mlflow.pyfunc.load_model(f"models:/{name}/1")
    assert (loaded.predict(ROWS) == model.predict(ROWS)).all()
