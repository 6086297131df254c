"""Decisions leave the log by command: as Parquet, and asked again."""

from serving_world import endpoint, rows, trained  # noqa: F401


def test_decisions_are_exported_as_parquet(endpoint, tmp_path):  # noqa: F811
    import pyarrow.parquet as pq

    sent = rows(20, seed=7)
    answer = endpoint.server.post("/api/v1/endpoints/leads/predict", {"rows": sent})
    made = {decision["decision_id"] for decision in answer.json()["decisions"]}
    file = tmp_path / "leads.parquet"
    ran = endpoint.server.run("decisions", "export", "--endpoint", "leads", "--file", file).ok()
    assert "wrote" in ran.out + ran.err
    table = pq.read_table(file)
    assert made <= set(table.column("id").to_pylist())


def test_a_decision_is_asked_again(endpoint):  # noqa: F811
    answer = endpoint.server.post("/api/v1/endpoints/leads/predict", {"rows": rows(1, seed=8)})
    decision = answer.json()["decisions"][0]["decision_id"]
    ran = endpoint.server.run("decisions", "replay", decision).ok()
    assert "same" in ran.out


def test_rows_and_inputs_that_are_too_old_go_when_told_to(endpoint):  # noqa: F811
    server = endpoint.server
    made = server.post("/api/v1/endpoints", {"name": "passing", "model": "leads@champion"})
    assert made.status < 300, made.text
    server.wait_for("/v2/models/passing/ready")
    predict = "/api/v1/endpoints/passing/predict"
    found = server.post(predict, {"rows": rows(3, seed=91)}).json()["decisions"]
    ids = [decision["decision_id"] for decision in found]
    ours = ["gc", "decisions", "--endpoint", "passing"]

    dry = server.run(*ours, "--inputs-older-than", "PT0S").ok().out
    assert "the inputs of 3 more would go" in dry and "--yes" in dry, dry
    assert all(server.get(f"/api/v1/decisions/{one}").json()["inputs"] for one in ids)
    done = server.run(*ours, "--inputs-older-than", "PT0S", "--yes").ok().out
    assert "the inputs of 3 more went" in done, done
    assert not any(server.get(f"/api/v1/decisions/{one}").json()["inputs"] for one in ids)

    late = server.post(predict, {"rows": rows(1, seed=92)}).json()["decisions"][0]["decision_id"]
    assert "4 rows" in server.run(*ours, "--rows-older-than", "PT0S").ok().out
    server.run(*ours, "--rows-older-than", "PT0S", "--yes").ok()
    assert all(server.get(f"/api/v1/decisions/{one}").status == 404 for one in [*ids, late])
    neither = server.run("gc", "decisions")
    assert neither.code and "`rows_older_than`" in neither.err and "`decisions.keep_rows`" in neither.err, neither.err
