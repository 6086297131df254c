"""MLflow's own pages against this server, in a real browser: no call fails, nothing breaks, what was logged is seen."""

import os
import re
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from clients import environment
from conftest import Server

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
# The pages ask whether there is a login, and take this 404 for "no"; MLflow's server answers the same.
NO_LOGIN = "/users/current"
# Chromium's own remark on charts that lay themselves out again; nothing was asked of the server.
RESIZE = "ResizeObserver loop"


def interpreter() -> Path:
    """An interpreter with the whole of MLflow: `VIADUCT_TEST_MLFLOW` names one, else the client's environment."""
    named = os.environ.get("VIADUCT_TEST_MLFLOW")
    return Path(named) if named else environment(3)


@pytest.fixture(scope="module")
def folder() -> Path:
    """The build of MLflow's pages."""
    found = sorted(interpreter().parents[1].glob("lib/python3*/site-packages/mlflow/server/js/build"))
    if not found:
        pytest.skip("no pages: this environment holds `mlflow-skinny`, and only `mlflow` brings them")
    return found[0]


class Seed:
    """Two runs with a chart, files, a dataset, a logged model, a registered one with two versions, a prompt."""

    def __init__(self, server: Server):
        self.server = server
        self.experiment = self.post("experiments/create", name="orchard")["experiment_id"]
        self.runs = [self.run("apple-run", 0.1), self.run("pear-run", 0.3)]
        self.model = self.logged_model()
        self.post("registered-models/create", name="cider-press", description="presses")
        for _ in range(2):
            self.post("model-versions/create", name="cider-press", source=f"models:/{self.model}",
                      run_id=self.runs[0], model_id=self.model)
        self.post("registered-models/alias", name="cider-press", alias="champion", version="1")
        prompt = {"key": "mlflow.prompt.is_prompt", "value": "true"}
        self.post("registered-models/create", name="grafting", tags=[prompt])
        text = {"key": "mlflow.prompt.text", "value": "How is {{tree}} grafted?"}
        self.post("model-versions/create", name="grafting", source="dummy-source", tags=[prompt, text])

    def post(self, path: str, **body):
        answer = self.server.post(f"{API}/{path}", body)
        assert answer.status == 200, f"{path}: {answer.text}"
        return answer.json()

    def run(self, name: str, height: float) -> str:
        now = int(time.time() * 1000)
        made = self.post("runs/create", experiment_id=self.experiment, run_name=name, start_time=now)
        run = made["run"]["info"]["run_id"]
        metrics = [{"key": "ripeness", "value": height * step, "timestamp": now + step, "step": step}
                   for step in range(50)]
        metrics.append({"key": "system/cpu_utilization_percentage", "value": 12.5, "timestamp": now, "step": 0})
        params = [{"key": "variety", "value": f"sort-{height}"}]
        self.post("runs/log-batch", run_id=run, metrics=metrics, params=params,
                  tags=[{"key": "season", "value": "autumn"}])
        dataset = {"name": "harvest", "digest": "abc123", "source_type": "local", "source": "{}"}
        self.post("runs/log-inputs", run_id=run, datasets=[{"dataset": dataset}])
        self.post("runs/update", run_id=run, status="FINISHED", end_time=now + 1000)
        for path, text in (("notes.txt", "windfall\n"), ("plots/table.csv", "a,b\n1,2\n")):
            put = self.server.request("PUT", f"{FILES}/{self.experiment}/{run}/artifacts/{path}", text)
            assert put.status == 200, put.text
        return run

    def logged_model(self) -> str:
        made = self.post("logged-models", experiment_id=self.experiment, name="juicer",
                         source_run_id=self.runs[0], model_type="sklearn")
        model = made["model"]["info"]["model_id"]
        described = f"artifact_path: juicer\nflavors:\n  python_function:\n    loader_module: mlflow.sklearn\nmodel_id: {model}\nrun_id: {self.runs[0]}\n"
        place = f"{FILES}/{self.experiment}/models/{model}/artifacts/MLmodel"
        assert self.server.request("PUT", place, described).status == 200
        ready = self.server.request("PATCH", f"{API}/logged-models/{model}", {"status": "LOGGED_MODEL_READY"})
        assert ready.status == 200, ready.text
        self.post("runs/outputs", run_id=self.runs[0], models=[{"model_id": model, "step": 0}])
        return model


@pytest.fixture(scope="module")
def seed(folder, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("ui") / "data", "--mlflow-ui", str(folder))
    yield Seed(server)
    if server.is_up():
        server.stop()


# Each page by its address and what must be seen on it; {…} is filled in from the seed.
PAGES = {
    "home": ("/", ["orchard"]),
    "experiments": ("/experiments", ["orchard"]),
    "runs": ("/experiments/{experiment}/runs", ["apple-run", "pear-run"]),
    "charts": ("/experiments/{experiment}/runs?compareRunsMode=CHART", ["ripeness"]),
    "experiment-overview": ("/experiments/{experiment}/overview/usage", ["orchard"]),
    "experiment-traces": ("/experiments/{experiment}/traces", ["orchard"]),
    "experiment-judges": ("/experiments/{experiment}/judges", ["orchard"]),
    "experiment-datasets": ("/experiments/{experiment}/datasets", ["orchard"]),
    "experiment-evaluations": ("/experiments/{experiment}/evaluation-runs", ["orchard"]),
    "experiment-prompts": ("/experiments/{experiment}/prompts", ["orchard"]),
    "logged-models": ("/experiments/{experiment}/models", ["juicer"]),
    "logged-model": ("/experiments/{experiment}/models/{model}", ["juicer", "apple-run"]),
    "run": ("/experiments/{experiment}/runs/{run}", ["apple-run", "ripeness", "variety", "harvest"]),
    "run-metrics": ("/experiments/{experiment}/runs/{run}/model-metrics", ["apple-run", "ripeness"]),
    "run-system-metrics": ("/experiments/{experiment}/runs/{run}/system-metrics", ["apple-run"]),
    "run-traces": ("/experiments/{experiment}/runs/{run}/traces", ["apple-run"]),
    "run-artifacts": ("/experiments/{experiment}/runs/{run}/artifacts", ["notes.txt", "plots"]),
    "run-artifact": ("/experiments/{experiment}/runs/{run}/artifacts/notes.txt", ["notes.txt", "windfall"]),
    "compare-runs": ("/compare-runs?runs={both}&experiments={experiments}", ["apple-run", "pear-run", "variety"]),
    "models": ("/models", ["cider-press"]),
    "model": ("/models/cider-press", ["cider-press", "Version 1", "champion"]),
    "version": ("/models/cider-press/versions/1", ["cider-press", "Version 1"]),
    "prompts": ("/prompts", ["grafting"]),
    "prompt": ("/prompts/grafting", ["grafting", "grafted"]),
    "gateway": ("/gateway", ["Gateway"]),
}


def address(seed: Seed, path: str) -> str:
    def listed(items):
        return quote("[" + ",".join(f'"{item}"' for item in items) + "]")

    return seed.server.url + "/mlflow/#" + path.format(
        experiment=seed.experiment, run=seed.runs[0], model=seed.model,
        both=listed(seed.runs), experiments=listed([seed.experiment]),
    )


@pytest.mark.parametrize("name", PAGES)
def test_page(seed, browser, name):
    path, words = PAGES[name]
    context = browser.new_context(viewport={"width": 1500, "height": 1000})
    # Why: their film and fonts are elsewhere, and a test speaks to this machine only.
    context.route(lambda url: not url.startswith(seed.server.url), lambda route: route.abort())
    page = context.new_page()
    failed, said, asked = [], [], [time.monotonic()]
    page.on("request", lambda request: asked.append(time.monotonic()))
    ours = lambda url: url.startswith(seed.server.url) and NO_LOGIN not in url
    page.on("response", lambda r: failed.append(f"{r.status} {r.request.method} {r.url}")
            if r.status >= 400 and ours(r.url) else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda m: said.append(f"{m.text} {m.location.get('url', '')}")
            if m.type == "error" and ours(m.location.get("url", "")) and RESIZE not in m.text else None)
    page.goto(address(seed, path))
    missing = list(words)
    end = time.monotonic() + 30
    while missing and time.monotonic() < end:
        page.wait_for_timeout(100)
        shown = page.locator("body").inner_text()
        missing = [word for word in missing if word not in shown]
    # What a page asks for after it shows its first words counts too.
    while time.monotonic() < min(end, asked[-1] + 1):
        page.wait_for_timeout(100)
    shots = os.environ.get("VIADUCT_TEST_SCREENSHOTS")
    if shots:
        page.screenshot(path=f"{shots}/{name}.png")
    shown = page.locator("body").inner_text()
    context.close()
    assert not missing, f"{name} does not show {missing}:\n{shown[:2000]}"
    assert not failed, failed
    assert not said, said
    for broken in ("Something went wrong", "Page Not Found", "load error"):
        assert broken not in shown, f"{name}: {broken}\n{shown[:2000]}"


def test_files_come_whole_and_nothing_else_does(seed):
    server = seed.server
    moved = server.get("/mlflow")
    assert (moved.status, moved.headers["Location"]) == (308, "/mlflow/")
    first = server.get("/mlflow/")
    assert (first.status, first.headers["Cache-Control"]) == (200, "no-cache")
    assert "frame-ancestors 'self'" in first.headers["Content-Security-Policy"]
    script = re.search(r'src="(static-files/[^"]+\.js)"', first.text).group(1)
    answer = server.get(f"/mlflow/{script}")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/javascript")
    assert "max-age=2419200" in answer.headers["Cache-Control"]
    for out in ("static-files/../../../../__init__.py", "static-files/..%2f..%2f..%2f__init__.py",
                "static-files/%2e%2e/%2e%2e/%2e%2e/__init__.py", "static-files//etc/passwd",
                "static-files/static", "static-files/", "server.py"):
        refused = server.get(f"/mlflow/{out}")
        assert refused.status == 404, out
        assert refused.json()["error_code"] == "ENDPOINT_NOT_FOUND"
    for path in ("ajax-api/2.0/mlflow/experiments/search", "api/2.0/mlflow/experiments/search", "version"):
        assert server.get(f"/mlflow/{path}").status == 200, path


def test_the_first_mlflow_on_the_path_brings_the_pages(folder, servers):
    found = servers("found", PATH=f"{interpreter().parent}:/usr/bin:/bin")
    assert found.get("/mlflow/").status == 200
    absent = servers("absent", PATH="/nowhere")
    page = absent.get("/mlflow/")
    assert page.status == 404 and "pip install mlflow" in page.text


def test_a_locked_door_is_locked_here_too(folder, servers):
    server = servers("locked", "--mlflow-ui", str(folder))
    server.run("user", "add", "tom", "--role", "admin", "--password-stdin", stdin="correct horse battery").ok()
    page = server.get("/mlflow/")
    assert (page.status, page.headers["Location"]) == (303, "/login?next=/mlflow/")
    query = {"query": "{ mlflowGetExperiment(input: {experimentId: \"0\"}) { experiment { name } } }"}
    for method, path in (("GET", "ajax-api/2.0/mlflow/experiments/search"), ("POST", "graphql"),
                         ("POST", "ajax-api/3.0/mlflow/traces/search")):
        body = query if method == "POST" else None
        for prefix in ("/mlflow/", "/"):
            refused = server.request(method, prefix + path, body)
            assert (refused.status, refused.json()["error_code"]) == (401, "UNAUTHENTICATED"), prefix + path


def graphql(seed, query, **variables):
    answer = seed.server.post("/graphql", {"query": query, "variables": variables})
    assert answer.status == 200, answer.text
    return answer.json()


def test_graphql_answers_what_it_is_asked(seed):
    query = """query GetRun($data: MlflowGetRunInput!) @component(name: "x") { mlflowGetRun(input: $data) {
        apiError { code message } run { who: info { runUuid experimentId startTime status } experiment { name tags { key } }
        modelVersions { name version } data { metrics { key value step timestamp } tags { key value } }
        inputs { datasetInputs { dataset { name digest } } } outputs { modelOutputs { modelId step } } __typename } } }"""
    answer = graphql(seed, query, data={"runId": seed.runs[0]})
    assert answer["errors"] is None
    run = answer["data"]["mlflowGetRun"]["run"]
    assert run["who"]["runUuid"] == seed.runs[0] and run["who"]["startTime"].isdigit()
    assert run["experiment"] == {"name": "orchard", "tags": []}
    assert {(v["name"], v["version"]) for v in run["modelVersions"]} == {("cider-press", "1"), ("cider-press", "2")}
    assert {"name": "harvest", "digest": "abc123"} in [d["dataset"] for d in run["inputs"]["datasetInputs"]]
    assert run["outputs"]["modelOutputs"] == [{"modelId": seed.model, "step": "0"}]
    assert run["__typename"] == "MlflowRunExtension"
    search = """query($d: MlflowSearchRunsInput!) { mlflowSearchRuns(input: $d) { runs { info { runName } } nextPageToken } }"""
    found = graphql(seed, search, d={"experimentIds": [seed.experiment], "filter": "params.variety = 'sort-0.1'"})
    assert found["data"]["mlflowSearchRuns"]["runs"] == [{"info": {"runName": "apple-run"}}]


def test_graphql_says_nan_as_null_and_refusals_where_they_are_asked_for(seed):
    run = seed.run("plum-run", 0.2)
    seed.post("runs/log-metric", run_id=run, key="rot", value="NaN", timestamp=1, step=0)
    query = "query($i: MlflowGetRunInput!) { mlflowGetRun(input: $i) { run { data { metrics { key value } } } } }"
    metrics = graphql(seed, query, i={"runId": run})["data"]["mlflowGetRun"]["run"]["data"]["metrics"]
    assert {"key": "rot", "value": None} in metrics
    absent = graphql(seed, query, i={"runId": "0" * 32})
    assert absent["data"]["mlflowGetRun"] is None and "not found" in absent["errors"][0]
    asked = "query($i: MlflowGetRunInput!) { mlflowGetRun(input: $i) { apiError { code } run { info { runId } } } }"
    absent = graphql(seed, asked, i={"runId": "0" * 32})
    assert absent == {"data": {"mlflowGetRun": {"apiError": {"code": "RESOURCE_DOES_NOT_EXIST"}, "run": None}},
                      "errors": None}


def test_graphql_is_bounded(seed):
    field = 'mlflowGetExperiment(input: {experimentId: "0"}) { experiment { name } }'
    aliased = " ".join(f"a{n}: {field}" for n in range(50))
    answer = graphql(seed, "{ " + aliased + " }")
    assert answer["data"] is None and "at most 10 root fields" in answer["errors"][0]
    assert seed.server.post("/graphql", {"query": "{ " + "a " * 200_000 + "}"}).status == 400
    form = seed.server.request("POST", "/graphql", "query=x", headers={"Content-Type": "text/plain"})
    assert form.status == 400


def test_what_is_not_kept_says_so_cleanly(seed):
    server = seed.server
    for path in ("/api/3.0/mlflow/traces", "/ajax-api/3.0/mlflow/traces", "/v1/traces",
                 "/ajax-api/2.0/mlflow/gateway-proxy", "/api/3.0/mlflow/prompt-optimization/jobs"):
        refused = server.post(path, {})
        assert (refused.status, refused.json()["error_code"]) == (501, "NOT_IMPLEMENTED"), path
    for method, path in (("POST", "gateway/endpoints/create"), ("POST", "datasets/d-1/records"),
                         ("PATCH", "datasets/d-1/tags"), ("PUT", "scorers/online-config"),
                         ("POST", "label-schemas/create"), ("POST", "review-queues/items/add")):
        refused = server.request(method, f"/ajax-api/3.0/mlflow/{path}", {})
        assert (refused.status, refused.json()["error_code"]) == (501, "NOT_IMPLEMENTED"), path
    assert "viaduct deploy" in server.post("/api/3.0/mlflow/gateway/endpoints/create", {}).json()["message"]
    for method, path in (("GET", "datasets/d-1"), ("GET", "gateway/secrets/get"), ("DELETE", "datasets/d-1"),
                         ("DELETE", "scorers/delete"), ("PATCH", "issues/1"), ("GET", "issues/1"),
                         ("POST", "prompt-optimization/jobs/1/cancel")):
        body = {} if method in ("POST", "PATCH") else None
        refused = server.request(method, f"/api/3.0/mlflow/{path}", body)
        assert (refused.status, refused.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST"), path
    for method, path in (("GET", "/ajax-api/2.0/mlflow/users/current"), ("GET", "/api/3.0/mlflow/traces/tr-1"),
                         ("POST", "/ajax-api/3.0/jobs/search"), ("POST", "/gateway/mlflow/v1/chat/completions"),
                         ("GET", "/ajax-api/3.0/mlflow/skills"), ("GET", "/api/2.0/mlflow/nothing")):
        refused = server.request(method, path, {} if method == "POST" else None)
        assert (refused.status, refused.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND"), path
    wrong = server.get("/api/2.0/mlflow/runs/create")
    assert wrong.status == 405 and "does not answer GET" in wrong.json()["message"], wrong.text
    assert server.post("/api/3.0/mlflow/traces/search", {}).json() == {}


def test_there_is_one_workspace(seed):
    server = seed.server
    for method, path in (("GET", "workspaces"), ("POST", "workspaces"), ("GET", "workspaces/other"),
                         ("PATCH", "workspaces/other"), ("DELETE", "workspaces/other")):
        body = {} if method in ("POST", "PATCH") else None
        refused = server.request(method, f"/api/3.0/mlflow/{path}", body)
        assert (refused.status, refused.json()["error_code"]) == (503, "FEATURE_DISABLED"), path
    named = server.get(f"{API}/experiments/search", headers={"X-MLFLOW-WORKSPACE": "other"})
    assert (named.status, named.json()["error_code"]) == (400, "FEATURE_DISABLED")
    info = server.get("/api/3.0/mlflow/server-info", headers={"X-MLFLOW-WORKSPACE": "other"})
    assert info.status == 200 and info.json()["workspaces_enabled"] is False
