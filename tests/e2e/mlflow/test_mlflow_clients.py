"""What data scientists do, by the real clients, against a server of its own.

`flows/flow_*.py` are light and run for each generation on each engine; `flows/heavy_*.py` train,
load and serve models, and run once for each generation, one on each engine.
"""

import sys

import pytest
from clients import flows


def prove(request, servers, tmp_path, generation: int, engine: str, files: str) -> None:
    options = []
    if engine == "postgres":
        options = ["--database", request.getfixturevalue("postgres").database()]
    server = servers("data", *options)
    done = flows(generation, server.url, tmp_path, files)
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, f"{done.stdout[-12000:]}\n{done.stderr[-3000:]}\n{server.log()}"


@pytest.mark.parametrize("generation", [2, 3])
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_flows(request, servers, tmp_path, generation, engine):
    prove(request, servers, tmp_path, generation, engine, "flow_*.py")


@pytest.mark.parametrize("generation, engine", [(2, "sqlite"), (3, "postgres")])
def test_heavy_flows(request, servers, tmp_path, generation, engine):
    prove(request, servers, tmp_path, generation, engine, "heavy_*.py")
