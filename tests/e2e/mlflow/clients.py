"""The unmodified clients of MLflow 2 and 3, each in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import venv
from pathlib import Path

from conftest import ROOT

HERE = Path(__file__).resolve().parent
FLOWS = HERE / "flows"


def environment(generation: int) -> Path:
    """The interpreter of that generation; brought in on first use, and again when the pins change."""
    file = HERE.parent / f"requirements-mlflow{generation}.txt"
    wanted = file.read_text()
    place = ROOT / f".venv-mlflow{generation}"
    python, stamp = place / "bin/python", place / "requirements.stamp"
    if python.is_file() and stamp.is_file() and stamp.read_text() == wanted:
        return python
    if not python.is_file():
        venv.create(place, with_pip=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-r", file], check=True)
    stamp.write_text(wanted)
    return python


def settings(tracking_uri: str, home: Path) -> dict[str, str]:
    """The environment of a client: nothing of ours, one thread, no second tries that hide an error."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    return kept | {
        "MLFLOW_TRACKING_URI": tracking_uri, "NO_PROXY": "*", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0",
        "HOME": str(home), "GIT_PYTHON_REFRESH": "quiet",
    }


def flows(generation: int, tracking_uri: str, home: Path, files: str) -> subprocess.CompletedProcess:
    """Runs the flows whose file names match inside the client's own interpreter."""
    return subprocess.run(
        [environment(generation), "-m", "pytest", "-q", "--durations=3", "-p", "no:cacheprovider", "--rootdir", FLOWS,
         "--confcutdir", FLOWS, "-o", f"python_files={files}", "-o", "norecursedirs=.git", "-W", "ignore", FLOWS],
        cwd=home, capture_output=True, text=True, timeout=900, env=settings(tracking_uri, home),
    )
