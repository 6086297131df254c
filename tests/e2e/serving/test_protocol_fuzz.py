"""Schemathesis over the serving operations of our own OpenAPI document: no answer is a 5xx."""

import json
import subprocess
import sys

from serving_world import endpoint, trained  # noqa: F401

LIMIT_S = 30
OPERATIONS = [
    "/api/v1/endpoints/{endpoint}/predict", "/v2/models/{name}/infer", "/v2/models/{name}",
    "/v2/models/{name}/config", "/v2/models/{name}/stats", "/v2/models/{name}/versions/{version}/infer",
    "/endpoints/{endpoint}/invocations",
]


def test_no_5xx(endpoint, tmp_path):
    document = endpoint.server.get("/api/openapi.json").json()
    assert set(OPERATIONS) <= set(document["paths"])
    # Known names, so that the fuzzer gets past `there is no endpoint`.
    document["paths"] = {path: document["paths"][path] for path in OPERATIONS}
    for item in document["paths"].values():
        for operation in item.values():
            for parameter in operation["parameters"]:
                known = {"name": ["leads"], "endpoint": ["leads"], "version": ["1"]}[parameter["name"]]
                parameter["schema"] = {"type": "string", "enum": known}
    place = tmp_path / "serving.json"
    place.write_text(json.dumps(document))
    report = tmp_path / "report.xml"
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", str(place), "--url", endpoint.url,
         "--checks", "not_a_server_error", "--phases", "examples,coverage,fuzzing",
         "--max-examples", "60", "--seed", "5", "--max-time", str(LIMIT_S),
         "--report", "junit", "--report-junit-path", str(report)],
        capture_output=True, text=True, timeout=LIMIT_S * 4, cwd=tmp_path,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}\n{endpoint.server.log()}"
    assert report.read_text().count("<testcase") >= len(OPERATIONS), done.stdout[-3000:]
    assert "panicked" not in endpoint.server.log()
