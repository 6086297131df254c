"""Everything that a client can see of a tracking server, as JSON: `dump.py OUT`. Places are told relative."""

import hashlib
import json
import math
import re
import sys
import tempfile

import mlflow
from mlflow.entities import ViewType

IS_3 = int(mlflow.__version__.split(".")[0]) >= 3
client = mlflow.MlflowClient()


def number(value):
    return "nan" if math.isnan(value) else value


def place(uri):
    """What stands below the root of artifacts: `1/<run>/artifacts/…`."""
    found = re.search(r"(?:^mlflow-artifacts:/|/)(\d+/(?:[0-9a-f]{32}|models)(?:/.*)?)$", uri or "")
    return found.group(1) if found else uri


def files(run_id, path=None):
    seen = {}
    for file in client.list_artifacts(run_id, path):
        if file.is_dir:
            seen |= files(run_id, file.path)
        else:
            with tempfile.TemporaryDirectory() as folder:
                local = client.download_artifacts(run_id, file.path, folder)
                seen[file.path] = hashlib.sha256(open(local, "rb").read()).hexdigest()
    return seen


def run(r):
    info, data = r.info, r.data
    # A history is a call of its own: of the many runs that are alike, some are looked at.
    wanted = not info.run_name.startswith("many-") or info.run_name.endswith("7")
    seen = {
        "info": [info.run_id, info.run_name, info.user_id, info.experiment_id, info.status, info.start_time,
                 info.end_time, info.lifecycle_stage, place(info.artifact_uri)],
        "params": data.params, "tags": data.tags, "metrics": {k: number(v) for k, v in data.metrics.items()},
        "history": {k: sorted([m.timestamp, m.step, str(number(m.value))] for m in client.get_metric_history(info.run_id, k))
                    for k in data.metrics if wanted},
        "inputs": sorted([i.dataset.to_dictionary(), sorted((t.key, t.value) for t in i.tags)] for i in r.inputs.dataset_inputs)
        if len(r.inputs.dataset_inputs) < 2 else len(r.inputs.dataset_inputs),
    }
    if IS_3:
        seen["models"] = [sorted(m.model_id for m in r.inputs.model_inputs),
                          sorted((m.model_id, m.step) for m in (r.outputs.model_outputs if r.outputs else []))]
    if info.lifecycle_stage == "active" and not (info.run_name or "").startswith("many-"):
        seen["files"] = files(info.run_id)
    return seen


def pages(search, **more):
    token = None
    while True:
        page = search(page_token=token, **more)
        yield from page
        token = page.token
        if not token:
            return


experiments = list(pages(client.search_experiments, view_type=ViewType.ALL))
ids = [e.experiment_id for e in experiments]
seen = {
    "experiments": sorted(
        [e.experiment_id, e.name, e.lifecycle_stage, e.tags, e.artifact_location.rsplit("/")[-1] if e.experiment_id != "0" else ""]
        for e in experiments
    ),
    "runs": sorted(
        (run(r) for r in pages(lambda **p: client.search_runs(ids, run_view_type=ViewType.ALL, **p), max_results=200)),
        key=lambda r: r["info"][0],
    ),
    "models": [
        [m.name, m.description or "", m.tags, {k: int(v) for k, v in m.aliases.items()}, m.creation_timestamp]
        for m in sorted(client.search_registered_models(), key=lambda m: m.name)
    ],
    "versions": [
        [v.name, int(v.version), v.description or "", v.tags, sorted(client.get_model_version(v.name, v.version).aliases), v.current_stage, v.run_id, v.status,
         v.creation_timestamp, place(client.get_model_version_download_uri(v.name, v.version))]
        for v in sorted(client.search_model_versions(), key=lambda v: (v.name, int(v.version)))
    ],
}
if IS_3:
    models = client.search_logged_models(ids)
    seen["logged"] = [
        [m.model_id, m.name, m.experiment_id, str(m.status), m.source_run_id, m.tags, m.params, m.creation_timestamp,
         place(m.artifact_location),
         sorted([x.key, x.value, x.step, x.timestamp, x.run_id, x.dataset_name, x.dataset_digest] for x in m.metrics or [])]
        for m in sorted(models, key=lambda m: m.model_id)
    ]
with open(sys.argv[1], "w") as out:
    json.dump(seen, out, indent=1, sort_keys=True)
