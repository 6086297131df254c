"""Experiments, runs and models in a real browser, from what MLflow's wire wrote."""

import json
import re
import time

import pytest
from test_pages import open_page, text

API = "/api/2.0/mlflow"


def post(server, path, body):
    reply = server.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    assert reply.status == 200, f"{path}: {reply.status} {reply.body}"
    return json.loads(reply.body)


def run_of(server, experiment, name, auc, depth):
    now = int(time.time() * 1000)
    tags = [{"key": "mlflow.source.git.repoURL", "value": "javascript:alert(1)"}]
    new = {"experiment_id": experiment, "run_name": name, "start_time": now, "user_id": "bea", "tags": tags}
    run = post(server, f"{API}/runs/create", new)["run"]["info"]["run_id"]
    metrics = [{"key": "loss", "value": 1 / (step + 1), "timestamp": now + step, "step": step} for step in range(200)]
    metrics.append({"key": "auc", "value": auc, "timestamp": now, "step": 0})
    params = [{"key": "depth", "value": depth}, {"key": "eta", "value": "0.1"}]
    post(server, f"{API}/runs/log-batch", {"run_id": run, "metrics": metrics, "params": params})
    post(server, f"{API}/runs/update", {"run_id": run, "status": "FINISHED", "end_time": now + 64_000})
    return run


@pytest.fixture
def tracked(server):
    experiment = post(server, f"{API}/experiments/create", {"name": "churn <b>bold</b>"})["experiment_id"]
    server.experiment = experiment
    server.runs = [run_of(server, experiment, name, auc, depth)
                   for name, auc, depth in (("first", 0.71, "4"), ("second", 0.84, "6"))]
    post(server, f"{API}/registered-models/create", {"name": "churn", "description": "Who leaves?"})
    version = {"name": "churn", "source": f"runs:/{server.runs[1]}/model", "run_id": server.runs[1]}
    post(server, f"{API}/model-versions/create", version)
    post(server, f"{API}/registered-models/alias", {"name": "churn", "alias": "champion", "version": "1"})
    return server


def test_addresses_that_the_client_prints_lead_here(page, tracked):
    run = tracked.runs[0]
    page.goto(f"{tracked.url}/#/experiments/{tracked.experiment}/runs/{run}")
    page.wait_for_url(f"{tracked.url}/runs/{run}")
    page.goto("about:blank")
    page.goto(f"{tracked.url}/#/experiments/{tracked.experiment}")
    page.wait_for_url(f"{tracked.url}/experiments/{tracked.experiment}")
    page.goto("about:blank")
    page.goto(f"{tracked.url}/#/models/churn")
    page.wait_for_url(f"{tracked.url}/models/churn")


def test_from_the_list_to_a_comparison(tracked, page):
    open_page(page, tracked, "/")
    page.keyboard.press("g")
    page.keyboard.press("e")
    page.wait_for_url("**/experiments")
    page.get_by_role("link", name="churn <b>bold</b>").click()
    page.get_by_label("Filter").fill("metrics.auc > 0.8")
    page.keyboard.press("Enter")
    page.wait_for_url("**filter=**")
    assert "second" in text(page) and "first" not in page.locator("table").inner_text()
    page.get_by_label("Filter").fill("metrics.auc >")
    page.keyboard.press("Enter")
    page.wait_for_selector("#filter-problem")
    open_page(page, tracked, f"/experiments/{tracked.experiment}")
    page.get_by_role("link", name="auc").click()
    page.wait_for_url("**order=**")
    assert page.locator("table.runs tbody tr").first.inner_text().find("second") >= 0
    for name in ("first", "second"):
        page.get_by_label(f"Compare {name}").check()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/compare**")
    assert page.locator("tr.differs").count() >= 2
    assert page.locator("figure svg.plot").count() == 1


def test_a_run_and_its_model(tracked, page):
    open_page(page, tracked, f"/runs/{tracked.runs[1]}")
    assert page.locator("figure svg.plot polyline").count() >= 1
    assert "javascript:alert(1)" in text(page)
    assert page.locator("a[href^='javascript']").count() == 0
    page.get_by_role("link", name="churn", exact=True).click()
    page.wait_for_url("**/models/churn")
    shown = text(page)
    for word in ("@champion", "second", "pointed an alias", "registered a version"):
        assert word in shown, word


def test_a_deleted_run_comes_back(tracked, page):
    post(tracked, f"{API}/runs/delete", {"run_id": tracked.runs[0]})
    open_page(page, tracked, f"/runs/{tracked.runs[0]}")
    page.get_by_role("button", name="Restore the run").click()
    page.wait_for_selector("text=The run was restored.")
    got = tracked.request("GET", f"{API}/runs/get?run_id={tracked.runs[0]}")
    assert json.loads(got.body)["run"]["info"]["lifecycle_stage"] == "active"


def test_an_experiment_says_who_changed_what(tracked, page):
    tag = {"experiment_id": tracked.experiment, "key": "team", "value": "retention"}
    post(tracked, f"{API}/experiments/set-experiment-tag", tag)
    post(tracked, f"{API}/experiments/delete", {"experiment_id": tracked.experiment})
    open_page(page, tracked, f"/experiments/{tracked.experiment}")
    said = page.locator("ol.edits > li").all_inner_texts()
    verbs = [re.match(r"anonymous (.*) \d+ \w+ \d{4}", line).group(1) for line in said]
    assert verbs == ["deleted it", "set a tag", "created it"], said
    assert "retention" in said[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone(tracked, browser, scheme):
    experiment, runs = tracked.experiment, tracked.runs
    compare = f"/experiments/{experiment}/compare?run={runs[0]}&run={runs[1]}"
    paths = ["/experiments", f"/experiments/{experiment}", compare, f"/runs/{runs[1]}", "/models", "/models/churn"]
    context = browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 800})
    page = context.new_page()
    problems = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    for path in paths:
        open_page(page, tracked, path)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, f"{path} is {width} pixels wide on a phone of 390"
    context.close()
    assert not problems, problems


def test_gc_tells_first_and_takes_away_with_yes(tmp_path):
    from conftest import Server

    server = Server(tmp_path / "data", VIADUCT__MLFLOW__RETENTION="PT1S")
    try:
        run = run_of(server, "0", "doomed", 0.7, "4")
        post(server, f"{API}/runs/delete", {"run_id": run})
        time.sleep(1.5)
        told = server.run("gc", "mlflow").ok().out
        assert run in told and "nothing was touched" in told, told
        assert server.request("GET", f"{API}/runs/get?run_id={run}").status == 200
        done = server.run("gc", "mlflow", "--yes").ok().out
        assert "1 went" in done, done
        assert server.request("GET", f"{API}/runs/get?run_id={run}").status == 404
        assert server.run("gc", "mlflow", "--older-than", "PT0S").code == 1
    finally:
        server.stop()
