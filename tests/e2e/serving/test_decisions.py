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
