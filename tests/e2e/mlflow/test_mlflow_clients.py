"""The unmodified clients of MLflow 2 and 3, each in an environment of its own.

The flows are pytest files that run inside the client's own interpreter, against a server of their
own: `flows/flow_*.py`.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from conftest import ROOT

HERE = Path(__file__).resolve().parent


def environment(generation: int) -> Path:
    """The interpreter of that generation; brought in on first use, and again when the pins change."""
    wanted = (HERE.parent / f"requirements-mlflow{generation}.txt").read_text()
    place = ROOT / f".venv-mlflow{generation}"
    python, stamp = place / "bin/python", place / "requirements.stamp"
    if python.is_file() and stamp.is_file() and stamp.read_text() == wanted:
        return python
    if not python.is_file():
        venv.create(place, with_pip=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-r", HERE.parent / f"requirements-mlflow{generation}.txt"], check=True)
    stamp.write_text(wanted)
    return python


@pytest.mark.parametrize("generation", [2, 3])
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_flows(request, servers, tmp_path, generation, engine):
    options = []
    if engine == "postgres":
        options = ["--database", request.getfixturevalue("postgres").database()]
    server = servers("data", *options)
    flows = HERE / "flows"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    done = subprocess.run(
        [environment(generation), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", flows,
         "--confcutdir", flows, "-o", "python_files=flow_*.py", "-o", "norecursedirs=.git", "-W", "ignore", flows],
        cwd=tmp_path, capture_output=True, text=True, timeout=600,
        env=kept | {"MLFLOW_TRACKING_URI": server.url, "NO_PROXY": "*", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
                    "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1",
                    "PYTHONHASHSEED": "0", "HOME": str(tmp_path)},
    )
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-3000:]}\n{server.log()}"
