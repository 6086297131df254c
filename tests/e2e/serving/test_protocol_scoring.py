"""MLflow's scoring protocol and plain records, by `requests` and MLflow's own client."""

import json

import numpy as np
import pandas as pd
import pytest
import requests

from serving_world import COLUMNS, endpoint, rows, trained  # noqa: F401


def score(endpoint, body, kind="application/json", **headers):
    data = body if isinstance(body, (str, bytes)) else json.dumps(body)
    headers["Content-Type"] = kind
    return requests.post(f"{endpoint.url}/endpoints/leads/invocations", data=data, headers=headers, timeout=30)


def frame_of(sent):
    return pd.DataFrame(sent)[COLUMNS]


FORMS = {
    "dataframe_split": lambda sent: {"dataframe_split": json.loads(frame_of(sent).to_json(orient="split"))},
    "dataframe_records": lambda sent: {"dataframe_records": sent},
    "instances of objects": lambda sent: {"instances": sent},
    "instances of lists": lambda sent: {"instances": [[row[c] for c in COLUMNS] for row in sent]},
    "inputs by column": lambda sent: {"inputs": {c: [row[c] for row in sent] for c in COLUMNS}},
    "inputs by column, [n, 1]": lambda sent: {"inputs": {c: [[row[c]] for row in sent] for c in COLUMNS}},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_labels(endpoint, form):
    sent = rows(40)
    answer = score(endpoint, FORMS[form](sent))
    assert answer.status_code == 200, answer.text
    expected = endpoint.model.predict(frame_of(sent)).tolist()
    assert answer.json()["predictions"] == expected
    traces = answer.json()["decisions"]
    assert len({trace["decision_id"] for trace in traces}) == 40
    logged = endpoint.server.get(f"/api/v1/decisions/{traces[3]['decision_id']}")
    assert logged.status == 200 and sent[3]["job"] in logged.text


def test_csv_as_pandas_writes_it(endpoint):
    sent = rows(40)
    answer = score(endpoint, frame_of(sent).to_csv(index=False), kind="text/csv; charset=utf-8")
    assert answer.json()["predictions"] == endpoint.model.predict(frame_of(sent)).tolist()


def test_mlflows_own_client_reads_the_answer(endpoint):
    from mlflow.deployments import PredictionsResponse

    sent = rows(5)
    read = PredictionsResponse.from_json(score(endpoint, {"dataframe_records": sent}).text)
    labels = read.get_predictions()[0].tolist()
    assert labels == endpoint.model.predict(frame_of(sent)).tolist()


@pytest.mark.parametrize("body, kind, said", [
    ({}, "application/json", "exactly one"), ("{", "application/json", "not what this address takes"),
    ({"instances": [[1]]}, "application/json", "takes 4"), ({"instances": []}, "application/json", "empty"),
    ({"dataframe_split": {"columns": ["age"], "data": [[1, 2]]}}, "application/json", "row 0"),
    ({"dataframe_records": [{"age": "x"}]}, "application/json", ""),
    ("age,job\n1\n", "text/csv", "table"), (b"\xff\xfe", "text/csv", ""), ("{}", "text/plain", "text/csv"),
])
def test_what_is_no_table_is_refused_in_mlflows_words(endpoint, body, kind, said):
    answer = score(endpoint, body, kind)
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) == {"error_code", "message"} and said in answer.json()["message"]


def test_ping_version_and_unknown(endpoint):
    base = f"{endpoint.url}/endpoints/leads"
    assert requests.get(f"{base}/ping", timeout=9).status_code == 200
    assert requests.get(f"{base}/health", timeout=9).status_code == 200
    assert requests.get(f"{base}/version", timeout=9).text
    unknown = requests.get(f"{endpoint.url}/endpoints/nobody/ping", timeout=9)
    assert unknown.status_code == 404 and unknown.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    refused = score(endpoint, {"instances": rows(1)}, **{"X-Api-Key": "vdk_wrong"})
    assert refused.status_code == 401 and refused.json()["error_code"] == "UNAUTHENTICATED"


def test_plain_records_say_the_same(endpoint):
    sent = rows(200)
    answer = requests.post(endpoint.url + endpoint.predict_path, json={"rows": sent}, timeout=30)
    outputs = [decision["output"] for decision in answer.json()["decisions"]]
    found = [output["probabilities"]["yes"] for output in outputs]
    assert np.allclose(found, endpoint.probabilities(sent), atol=1e-5)
    packed = requests.post(endpoint.url + endpoint.predict_path, json={"rows": sent}, timeout=30,
                           headers={"Accept-Encoding": "deflate"})
    assert packed.headers["Content-Encoding"] == "deflate" and len(packed.json()["decisions"]) == 200
    late = requests.post(endpoint.url + endpoint.predict_path, json={"rows": sent[:1]}, timeout=9,
                         headers={"X-Request-Timeout": "0ms"})
    assert late.status_code == 504 and late.json()["type"].endswith("deadline-passed")
