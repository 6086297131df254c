"""A project is a file: applied, compared, shown, deleted."""

import pytest
from conftest import ROOT

EXAMPLE = ROOT / "examples/term-deposit/viaduct.yaml"


@pytest.fixture
def manifest(tmp_path):
    """A copy of the example that a test may change."""
    path = tmp_path / "viaduct.yaml"
    path.write_text(EXAMPLE.read_text())
    for name in ("contract.odcs.yaml", "contract.yaml"):
        if (EXAMPLE.parent / name).is_file():
            (tmp_path / name).write_text((EXAMPLE.parent / name).read_text())
    return path


def test_the_example_applies_on_an_empty_server_with_warnings(server, manifest):
    dry = server.run("apply", "-f", manifest, "--dry-run").ok()
    assert "would be made" in dry.out
    assert "none yet" in server.run("get", "projects").out
    done = server.run("apply", "-f", manifest).ok()
    assert "applied" in done.out
    assert "`bea`" in done.err and "warning: " in done.err
    assert "does not exist yet" in done.err
    assert "no changes" in server.run("apply", "-f", manifest).ok().out
    assert "concept" in server.run("get", "projects").ok().out


def test_diff_answers_by_its_exit_code(server, manifest):
    assert server.run("diff", "-f", manifest).code == 5
    server.run("apply", "-f", manifest).ok()
    assert server.run("diff", "-f", manifest).code == 0
    manifest.write_text(manifest.read_text().replace("Term deposit call list", "Calls"))
    changed = server.run("diff", "-f", manifest)
    assert changed.code == 5
    assert "Term deposit call list -> Calls" in changed.out


def test_a_mistake_is_shown_with_its_line_and_a_caret(server, manifest):
    text = manifest.read_text()
    line = next(n for n, l in enumerate(text.splitlines(), 1) if l.startswith("  title:"))
    manifest.write_text(text.replace("  title:", "  titel:"))
    refused = server.run("apply", "-f", manifest)
    assert refused.code == 1
    assert "error[invalid-manifest]" in refused.err
    assert f"--> {manifest}:{line}:3" in refused.err
    assert "^^^^^" in refused.err and "title" in refused.err
    assert "none yet" in server.run("get", "projects").out


def test_text_that_is_no_yaml_names_its_place(server, manifest):
    manifest.write_text("apiVersion: viaduct/v1\nkind: [Project\n")
    refused = server.run("apply", "-f", manifest)
    assert refused.code == 1
    assert f"{manifest}:" in refused.err


def test_criteria_say_what_to_do(server, manifest):
    server.run("apply", "-f", manifest).ok()
    shown = server.run("get", "criteria", "--project", "term-deposit").ok().out
    assert "gate G1 stays shut" in shown
    ids = ["A1", "A2", "A3", "A4", "A5", "D1", "D2", "D3", "D4", "M1", "M2", "M3", "S1", "I1", "O1"]
    for criterion in ids:
        assert any(line.startswith(criterion) for line in shown.splitlines()), criterion
    assert "what to do" in shown


def test_described_and_deleted(server, manifest):
    server.run("apply", "-f", manifest).ok()
    shown = server.run("describe", "project", "term-deposit").ok().out
    assert "Term deposit call list" in shown and "gate G1" in shown
    server.run("describe", "endpoint", "term-deposit").ok()
    missing = server.run("describe", "project", "nothing")
    assert missing.code == 1 and "error[not-found]" in missing.err
