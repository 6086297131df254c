"""Commands that need no server."""

import json

from conftest import run


def test_version_and_help():
    assert run("--version").ok().out.startswith("viaduct ")
    text = run("--help").ok().out
    for command in ("server", "doctor", "apply", "review", "setup"):
        assert f"  {command} " in text, text
    assert "Exit codes:" in text


def test_config_show_names_origins(tmp_path):
    (tmp_path / "viaduct.toml").write_text('[log]\nformat = "json"\n')
    shown = run("config", "show", cwd=tmp_path, VIADUCT__DATABASE__URL="postgres://me:hush@db/v").ok()
    assert 'format = "json"' in shown.out and "# viaduct.toml:2" in shown.out
    assert "# environment VIADUCT__DATABASE__URL" in shown.out
    assert "hush" not in shown.out


def test_an_unknown_key_names_line_and_nearest(tmp_path):
    (tmp_path / "viaduct.toml").write_text('[server]\nlisten_on = "x"\n')
    refused = run("config", "show", cwd=tmp_path)
    assert refused.code == 2
    assert "viaduct.toml:2: there is no key `server.listen_on`" in refused.err


def test_doctor_on_an_empty_machine(tmp_path):
    report = run("doctor", "--data-dir", tmp_path / "d", cwd=tmp_path)
    assert "data directory" in report.out and "will be made" in report.out
    assert "run `viaduct setup runtime`" in report.out
    assert not (tmp_path / "d").exists()


def test_doctor_fails_on_a_python_that_is_not_there(tmp_path):
    report = run("doctor", "--data-dir", tmp_path / "d", cwd=tmp_path, VIADUCT__REPRODUCE__PYTHON="/no/python")
    assert report.code == 5
    assert "fail  python" in report.out


def test_nobody_answering_is_its_own_exit_code(tmp_path):
    refused = run("get", "projects", VIADUCT_SERVER="http://127.0.0.1:9")
    assert refused.code == 3
    assert "hint: start one with `viaduct server`" in refused.err


def test_calc_lists_its_families_and_computes():
    families = [line.split()[0] for line in run("calc", "--list").ok().out.splitlines()]
    assert "welch" in families
    answer = json.loads(run("calc", "welch", stdin='{"a": [1, 2, 3, 4], "b": [2, 3, 4, 6]}').out)
    assert isinstance(answer, dict)
    assert run("calc", "nonsense", stdin="{}").out.strip().startswith("{")
