"""A backup of a running server comes back whole, and a damaged one is refused."""

import json

from conftest import run


def test_backup_and_restore(server, tmp_path):
    taken = run("backup", "--data-dir", server.data_dir, "--to", tmp_path / "backup").ok()
    assert "backup of" in taken.out
    files = json.loads((tmp_path / "backup/backup.json").read_text())["files"]
    assert "viaduct.db" in [file["path"] for file in files]
    run("restore", "--from", tmp_path / "backup", "--data-dir", tmp_path / "restored").ok()
    server.stop()
    server.data_dir = tmp_path / "restored"
    server.start()
    assert server.get("/healthz").status == 200


def test_a_backup_goes_into_a_new_directory_only(server, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("mine")
    refused = run("backup", "--data-dir", server.data_dir, "--to", tmp_path / "full")
    assert refused.code == 2 and "is not empty" in refused.err
    run("backup", "--data-dir", server.data_dir, "--to", tmp_path / "backup").ok()
    refused = run("restore", "--from", tmp_path / "backup", "--data-dir", tmp_path / "full")
    assert refused.code == 2 and "is not empty" in refused.err


def test_a_damaged_backup_is_named(server, tmp_path):
    run("backup", "--data-dir", server.data_dir, "--to", tmp_path / "backup").ok()
    database = tmp_path / "backup/viaduct.db"
    database.write_bytes(database.read_bytes()[:-1] + b"\x01")
    refused = run("restore", "--from", tmp_path / "backup", "--data-dir", tmp_path / "restored")
    assert refused.code == 1
    assert "`viaduct.db` is not what was backed up" in refused.err
    assert not (tmp_path / "restored").exists()
