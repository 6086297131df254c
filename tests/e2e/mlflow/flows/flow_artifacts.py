"""Artifacts up, down, listed and deleted through the server."""

import hashlib
import os

import mlflow
import pytest
from mlflow.exceptions import MlflowException


def test_files_and_folders(client, experiment, tmp_path):
    (tmp_path / "in/sub/deep").mkdir(parents=True)
    names = ["a.txt", "sub/b c.json", "sub/deep/ü ñ.csv", "sub/50%.md"]
    for name in names:
        (tmp_path / "in" / name).write_text(name)
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(tmp_path / "in"), "top")
        mlflow.log_text("hello", "note.txt")
        mlflow.log_dict({"a": 1}, "some/dict.json")
    run_id = run.info.run_id
    assert [f.path for f in client.list_artifacts(run_id)] == ["note.txt", "some", "top"]
    inner = client.list_artifacts(run_id, "top/sub")
    assert [(f.path, f.is_dir) for f in inner] == [
        ("top/sub/50%.md", False), ("top/sub/b c.json", False), ("top/sub/deep", True)
    ]
    assert inner[0].file_size == len("sub/50%.md")
    down = client.download_artifacts(run_id, "top", str(tmp_path))
    for name in names:
        assert open(os.path.join(down, name)).read() == name
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/note.txt") == "hello"
    assert mlflow.artifacts.load_dict(f"runs:/{run_id}/some/dict.json") == {"a": 1}
    assert client.list_artifacts(run_id, "nothing") == []
    with pytest.raises((MlflowException, OSError)):
        client.download_artifacts(run_id, "nothing.txt", str(tmp_path))


def test_a_file_is_replaced_whole(client, experiment):
    with mlflow.start_run() as run:
        mlflow.log_text("a longer first text", "x.txt")
        mlflow.log_text("short", "x.txt")
        mlflow.log_text("", "empty.txt")
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/x.txt") == "short"
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/empty.txt") == ""


def test_a_big_file(client, experiment, tmp_path):
    big = tmp_path / "big.bin"
    with open(big, "wb") as out:
        for i in range(40):
            out.write(bytes([i]) * (1 << 20))
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(big))
    (tmp_path / "down").mkdir()
    down = client.download_artifacts(run.info.run_id, "big.bin", str(tmp_path / "down"))
    assert digest(down) == digest(big)


def digest(path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_artifacts_are_deleted(client, experiment):
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with mlflow.start_run() as run:
        mlflow.log_text("a", "d/a.txt")
        mlflow.log_text("b", "b.txt")
    repository = get_artifact_repository(run.info.artifact_uri)
    repository.delete_artifacts("d")
    assert [f.path for f in client.list_artifacts(run.info.run_id)] == ["b.txt"]
