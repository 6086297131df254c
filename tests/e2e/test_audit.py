"""Whoever changes history is found, on both databases."""

import sqlite3

import pytest
from conftest import ROOT, run

EXAMPLE = ROOT / "examples/term-deposit/viaduct.yaml"


@pytest.fixture
def evidence(servers, database, postgres):
    """A server that has facts and audit entries and has stopped; a way to change its rows."""
    server = servers("data", *database)
    server.run("apply", "-f", EXAMPLE).ok()
    server.run("collect", "term-deposit").ok()
    server.stop()
    place = database or ["--data-dir", str(server.data_dir)]

    def change(sql: str) -> None:
        if database:
            name = database[1].split("@/")[1].split("?")[0]
            postgres.sql(name, sql)
        else:
            with sqlite3.connect(server.data_dir / "viaduct.db") as connection:
                connection.executescript(sql)

    return place, change


def test_an_untouched_history_is_whole(evidence):
    place, _ = evidence
    report = run("audit", "verify", *place).ok()
    assert [line.split()[0] for line in report.out.splitlines()] == ["ok"] * 4


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE audit SET action = 'nothing.happened' WHERE chain_seq = 1", "entry 1"),
        ("DELETE FROM audit WHERE chain_seq = 1", "entry 1"),
        ("DELETE FROM fact WHERE chain_seq = (SELECT max(chain_seq) FROM fact)", "cut off"),
        (
            "UPDATE fact SET chain_seq = chain_seq + 1000 WHERE chain_seq IN (1, 2);"
            "UPDATE fact SET chain_seq = 1003 - chain_seq WHERE chain_seq IN (1001, 1002)",
            "entry 1",
        ),
        ("UPDATE fact SET producer = 'mallory' WHERE chain_seq = 2", "entry 2"),
    ],
)
def test_a_changed_history_is_named(evidence, sql, words):
    place, change = evidence
    change(sql)
    report = run("audit", "verify", *place)
    assert report.code == 5, report.out + report.err
    broken = [line for line in report.out.splitlines() if line.startswith("broken")]
    assert len(broken) == 1 and words in broken[0], report.out
