"""Starting, stopping, and the words with which a start is refused."""

import socket

from conftest import free_port, run


def test_answers_and_stops_when_asked(server):
    assert server.get("/healthz").status == 200
    assert server.stop() == 0


def test_a_used_data_directory_explains_itself(server):
    other = run("server", "--data-dir", server.data_dir, "--listen", f"127.0.0.1:{free_port()}")
    assert other.code == 2
    assert f"`{server.data_dir}` is in use by another process (pid {server.process.pid})" in other.err


def test_a_directory_is_free_again_after_kill_9(server):
    server.kill9()
    server.start()
    assert server.get("/healthz").status == 200


def test_a_busy_port_explains_itself(tmp_path):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        refused = run("server", "--data-dir", tmp_path / "d", "--listen", address)
    assert refused.code == 2
    assert f"`{address}` is in use by another process" in refused.err
    assert "--listen" in refused.err


def test_a_directory_of_real_time_gets_no_simulated_clock(server):
    server.stop()
    refused = run("server", "--data-dir", server.data_dir, "--clock", "simulated")
    assert refused.code == 2
    assert "has lived in real time" in refused.err


def test_a_directory_of_simulated_time_gets_no_real_clock(servers):
    server = servers("data", "--clock", "simulated", "--clock-start", "2026-01-05T00:00:00Z")
    server.stop()
    refused = run("server", "--data-dir", server.data_dir)
    assert refused.code == 2
    assert "--clock simulated" in refused.err


def test_listening_elsewhere_without_a_user_is_refused(tmp_path):
    refused = run("server", "--data-dir", tmp_path / "d", "--listen", f"0.0.0.0:{free_port()}", timeout=20)
    assert refused.code == 2
    assert "viaduct user add" in refused.err


def test_starts_fast_and_small(servers):
    server = servers()
    assert server.resident_mib() < 120
